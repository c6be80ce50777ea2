//! The pipeline as it will run: channels with everybody on them, and the replicas that live in this process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::graph::{ConnectionNode, Graph, OperatorNode, PortRef};
use super::problem::Problem;
use super::selection::Selection;
use super::validate::Resolved;
use crate::channel::partitioning::Partitioning;
use crate::channel::{ChannelConfig, ChannelSpec, Delivery, Guarantee, Location, TransactionScope};
use crate::executor::Times;
use crate::name::{InstanceName, full_name};
use crate::operator::Factory;
use crate::port::{Direction, PortSettings};
use crate::protocol::{Layout, MemberId, RunPolicy, Side, Timing};

/// What a process runs.
pub(crate) struct Plan {
    pub(crate) pipeline: Arc<str>,
    /// Every channel that has a member in this process.
    pub(crate) channels: Vec<Arc<ChannelSpec>>,
    pub(crate) replicas: Vec<PlannedReplica>,
    /// Operators that somebody else runs.
    pub(crate) foreign: Vec<String>,
    guarantee: Guarantee,
}

/// One replica of an operator.
pub(crate) struct PlannedReplica {
    pub(crate) operator: Arc<str>,
    /// On the wire: `pl.clean_1`.
    pub(crate) full_name: String,
    pub(crate) index: u32,
    pub(crate) replicas: u32,
    pub(crate) factory: Factory,
    pub(crate) parameters: Vec<(String, Value)>,
    pub(crate) plugins: Vec<PlannedPlugin>,
    pub(crate) inputs: Vec<PlannedInput>,
    pub(crate) outputs: Vec<PlannedOutput>,
}

pub(crate) struct PlannedPlugin {
    pub(crate) name: &'static str,
    pub(crate) depends_on: &'static [&'static str],
    pub(crate) parameters: Vec<(String, Value)>,
}

/// An input port and its place on its channel.
pub(crate) struct PlannedInput {
    pub(crate) port: &'static str,
    pub(crate) channel: Arc<ChannelSpec>,
    pub(crate) member: MemberId,
    pub(crate) ends_cycle: bool,
}

/// One destination of an output port.
pub(crate) struct PlannedOutput {
    pub(crate) port: &'static str,
    pub(crate) channel: Arc<ChannelSpec>,
    pub(crate) member: MemberId,
    pub(crate) partitioning: Partitioning,
    /// The partition that this writer's round robin starts with.
    pub(crate) start: u32,
}

pub(super) struct Planner<'a> {
    pub(super) graph: &'a Graph,
    pub(super) resolved: &'a Resolved,
    pub(super) parts: Option<&'a [Selection]>,
    times: Times,
    run_policy: RunPolicy,
    pub(super) guarantee: Guarantee,
    pub(super) problems: &'a mut Vec<Problem>,
}

/// The writers of a channel, by their places.
#[derive(Default)]
struct Writers {
    names: Vec<String>,
    config: Vec<ChannelConfig>,
    local: Vec<u32>,
    foreign: BTreeSet<MemberId>,
    principals: Vec<u32>,
}

impl Plan {
    /// Plans what a process runs; problems that only show here are added to those that are known.
    pub(super) fn new(
        graph: &Graph,
        resolved: &Resolved,
        parts: Option<&[Selection]>,
        times: Times,
        run_policy: RunPolicy,
        guarantee: Guarantee,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let mut planner = Planner {
            graph,
            resolved,
            parts,
            times,
            run_policy,
            guarantee,
            problems,
        };
        planner.check_parts();
        let mut channels: BTreeMap<(usize, &'static str), Arc<ChannelSpec>> = BTreeMap::new();
        for (index, node) in graph.operators.iter().enumerate() {
            for port in node
                .description
                .ports
                .iter()
                .filter(|port| port.direction == Direction::Input)
            {
                let to = PortRef {
                    operator: index,
                    port: port.name,
                };
                if let Some(spec) = planner.channel(to) {
                    channels.insert((index, port.name), Arc::new(spec));
                }
            }
        }
        planner.check_guarantee(&channels);
        let replicas = planner.replicas(&channels);
        let here = |spec: &Arc<ChannelSpec>| !spec.local_readers.is_empty() || !spec.local_writers.is_empty();
        let channels = channels.into_values().filter(here).collect();
        Self {
            pipeline: graph.name.as_str().into(),
            channels,
            replicas,
            foreign: graph
                .operators
                .iter()
                .filter(|node| node.is_foreign())
                .map(|node| node.name.clone())
                .collect(),
            guarantee,
        }
    }

    /// Of each operator that commits in transactions, its scope in this process.
    pub(crate) fn transactions(&self) -> BTreeMap<Arc<str>, TransactionScope> {
        let mut scopes: BTreeMap<Arc<str>, TransactionScope> = BTreeMap::new();
        let writes = |replica: &&PlannedReplica| {
            self.guarantee == Guarantee::ExactlyOnce && !replica.outputs.is_empty()
        };
        for replica in self.replicas.iter().filter(writes) {
            let scope = scopes
                .entry(Arc::clone(&replica.operator))
                .or_insert_with(|| TransactionScope {
                    operator: full_name(&[&self.pipeline, &replica.operator]),
                    replicas: BTreeMap::new(),
                    inputs: replica
                        .inputs
                        .iter()
                        .map(|input| Arc::clone(&input.channel))
                        .collect(),
                    outputs: replica
                        .outputs
                        .iter()
                        .map(|output| Arc::clone(&output.channel))
                        .collect(),
                });
            scope.replicas.insert(replica.index, replica.full_name.clone());
        }
        scopes
    }
}

impl Planner<'_> {
    pub(super) fn is_here(&self, operator: usize, index: u32) -> bool {
        if self
            .graph
            .operators
            .get(operator)
            .is_none_or(OperatorNode::is_foreign)
        {
            return false;
        }
        let Some(parts) = self.parts else { return true };
        let name = self
            .graph
            .operators
            .get(operator)
            .map_or("", |node| node.name.as_str());
        parts
            .iter()
            .any(|part| part.operator == name && part.index.is_none_or(|only| only == index))
    }

    /// The names of all replicas of a port, in the order of their indices.
    pub(super) fn port_names(&self, port: PortRef) -> Vec<String> {
        let Some(node) = self.graph.operators.get(port.operator) else {
            return Vec::new();
        };
        let Ok(name) = InstanceName::parse(&node.name) else {
            return Vec::new();
        };
        (0..node.replicas)
            .map(|index| full_name(&[&self.graph.name, &name.replica(index), port.port]))
            .collect()
    }

    pub(super) fn connections_to(&self, to: PortRef) -> impl Iterator<Item = &ConnectionNode> {
        self.graph
            .connections
            .iter()
            .filter(move |connection| connection.to == to)
    }

    fn settings(&self, port: PortRef) -> PortSettings {
        self.resolved
            .ports
            .get(&(port.operator, port.port))
            .cloned()
            .unwrap_or_default()
    }

    /// Everybody who writes to an input port.
    fn writers(&mut self, to: PortRef, location: &Location) -> Writers {
        let mut writers = Writers::default();
        for connection in self.connections_to(to).copied().collect::<Vec<_>>() {
            let from = self.settings(connection.from);
            let is_foreign = self.is_of_foreign(connection.from);
            if !(self.is_of_foreign(to) && is_foreign) {
                self.check_location(connection, location, from.location.as_ref());
            }
            let principal = u32::try_from(writers.names.len()).unwrap_or(u32::MAX);
            for (index, name) in (0..).zip(self.port_names(connection.from)) {
                let place = u32::try_from(writers.names.len()).unwrap_or(u32::MAX);
                if is_foreign {
                    writers.foreign.insert(MemberId::writer(place));
                }
                if self.is_here(connection.from.operator, index) {
                    writers.local.push(place);
                }
                writers.principals.push(principal);
                writers.names.push(name);
                writers.config.push(from.config.clone());
            }
        }
        writers
    }

    /// What the runs of a channel begin with here. Only whom they belong to gives one up; who is told the same waits until that is
    /// there, if it stays as long as there is work: a writer that opens the runs of others may be gone before.
    fn run_policy(&self, layout: &Layout, local_writers: &[u32]) -> RunPolicy {
        let keeper = layout.keeper();
        match keeper.side == Side::Readers || local_writers.contains(&keeper.index) {
            true => self.run_policy,
            false => RunPolicy::Resume,
        }
    }

    /// The channel of an input port; `None` if its names are not even valid.
    fn channel(&mut self, to: PortRef) -> Option<ChannelSpec> {
        let readers = self.port_names(to);
        let channel: Arc<str> = readers.first()?.as_str().into();
        let settings = self.settings(to);
        let location = self.location(to, &settings);
        let mut writers = self.writers(to, &location);
        if self.is_of_foreign(to) {
            let all = 0..u32::try_from(readers.len()).unwrap_or(u32::MAX);
            writers.foreign.extend(all.map(MemberId::reader));
        }
        let delivery = self
            .connections_to(to)
            .map(|connection| Delivery::from(connection.partitioning))
            .max();
        let local_readers: Vec<u32> = (0..)
            .zip(&readers)
            .map(|(index, _)| index)
            .filter(|index| self.is_here(to.operator, *index))
            .collect();
        let layout = Layout {
            channel,
            readers,
            writers: writers.names,
            foreign: writers.foreign,
            principals: writers.principals,
        };
        let run_policy = self.run_policy(&layout, &writers.local);
        let timing = self.timing(&settings);
        let spec = ChannelSpec {
            layout: Arc::new(layout),
            location,
            reader_config: settings.config,
            writer_config: writers.config,
            delivery: delivery.unwrap_or(Delivery::Shared),
            local_readers,
            local_writers: writers.local,
            timing,
            run_policy,
            guarantee: self.guarantee,
            max_record_bytes: settings.max_record_bytes,
            buffer_bytes: settings.buffer_bytes,
            sequential: settings.sequential,
            on_poison: settings.on_poison,
            on_lost_offset: settings.on_lost_offset,
        };
        let ends = self.connections_to(to).map(|connection| connection.from);
        if ends.chain([to]).any(|end| !self.is_of_foreign(end)) {
            self.check_transport(to, &spec);
        }
        Some(spec)
    }

    fn timing(&self, settings: &PortSettings) -> Timing {
        let patience = settings.open_timeout.unwrap_or(self.times.patience);
        Times {
            patience,
            ..self.times
        }
        .timing()
    }

    fn is_of_foreign(&self, port: PortRef) -> bool {
        let node = self.graph.operators.get(port.operator);
        node.is_some_and(OperatorNode::is_foreign)
    }

    /// Of somebody else's port the location may be unknown to us: it is that of the other end, then.
    fn location(&self, to: PortRef, settings: &PortSettings) -> Location {
        let is_foreign = self.is_of_foreign(to);
        let of_writer = || {
            let mut writers = self.connections_to(to).filter(|_| is_foreign);
            writers.find_map(|connection| self.settings(connection.from).location)
        };
        let location = settings.location.clone().or_else(of_writer);
        location.unwrap_or_else(Location::memory)
    }
}
