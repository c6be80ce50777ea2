//! The pipeline as it will run: channels with everybody on them, and the replicas that live in this process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::graph::{ConnectionNode, Graph, OperatorNode, PortRef, Runner};
use super::problem::Problem;
use super::selection::Selection;
use super::validate::Resolved;
use crate::channel::partitioning::Partitioning;
use crate::channel::{ChannelConfig, ChannelSpec, Delivery, Guarantee, Location, TransactionScope};
use crate::executor::Times;
use crate::name::{InstanceName, full_name};
use crate::operator::Factory;
use crate::port::{Direction, PortSettings};
use crate::protocol::{Layout, MemberId, RunPolicy, Side};

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
    resolved: &'a Resolved,
    pub(super) parts: Option<&'a [Selection]>,
    times: Times,
    run_policy: RunPolicy,
    pub(super) guarantee: Guarantee,
    pub(super) problems: &'a mut Vec<Problem>,
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
    fn is_here(&self, operator: usize, index: u32) -> bool {
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
    fn port_names(&self, port: PortRef) -> Vec<String> {
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

    fn connections_to(&self, to: PortRef) -> impl Iterator<Item = &ConnectionNode> {
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

    /// The channel of an input port; `None` if its names are not even valid.
    fn channel(&mut self, to: PortRef) -> Option<ChannelSpec> {
        let readers = self.port_names(to);
        let channel: Arc<str> = readers.first()?.as_str().into();
        let settings = self.settings(to);
        let location = self.location(to, &settings);
        let (mut writers, mut writer_config, mut local_writers) =
            (Vec::new(), Vec::<ChannelConfig>::new(), Vec::new());
        let (mut foreign, mut principals) = (BTreeSet::new(), Vec::new());
        if self.is_of_foreign(to) {
            let all = 0..u32::try_from(readers.len()).unwrap_or(u32::MAX);
            foreign.extend(all.map(MemberId::reader));
        }
        for connection in self.connections_to(to).copied().collect::<Vec<_>>() {
            let from = self.settings(connection.from);
            if !(self.is_of_foreign(to) && self.is_of_foreign(connection.from)) {
                self.check_location(connection, &location, from.location.as_ref());
            }
            let principal = u32::try_from(writers.len()).unwrap_or(u32::MAX);
            for (index, name) in (0..).zip(self.port_names(connection.from)) {
                let place = u32::try_from(writers.len()).unwrap_or(u32::MAX);
                if self.is_of_foreign(connection.from) {
                    foreign.insert(MemberId::writer(place));
                }
                principals.push(principal);
                if self.is_here(connection.from.operator, index) {
                    local_writers.push(place);
                }
                writers.push(name);
                writer_config.push(from.config.clone());
            }
        }
        let delivery = self
            .connections_to(to)
            .map(|connection| Delivery::from(connection.partitioning))
            .max();
        let times = Times {
            patience: settings.open_timeout.unwrap_or(self.times.patience),
            ..self.times
        };
        let local_readers: Vec<u32> = (0..)
            .zip(&readers)
            .map(|(index, _)| index)
            .filter(|index| self.is_here(to.operator, *index))
            .collect();
        let layout = Layout {
            channel,
            readers,
            writers,
            foreign,
            principals,
        };
        let keeper = layout.keeper();
        let of_keeper = match keeper.side {
            Side::Readers => &local_readers,
            Side::Writers => &local_writers,
        };
        let run_policy = if of_keeper.contains(&keeper.index) {
            self.run_policy
        } else {
            RunPolicy::Resume
        };
        let spec = ChannelSpec {
            layout: Arc::new(layout),
            location,
            reader_config: settings.config,
            writer_config,
            delivery: delivery.unwrap_or(Delivery::Shared),
            local_readers,
            local_writers,
            timing: times.timing(),
            run_policy,
            guarantee: self.guarantee,
            max_record_bytes: settings.max_record_bytes,
            buffer_bytes: settings.buffer_bytes,
        };
        let ends = self.connections_to(to).map(|connection| connection.from);
        if ends.chain([to]).any(|end| !self.is_of_foreign(end)) {
            self.check_transport(to, &spec);
        }
        Some(spec)
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

    fn replicas(&self, channels: &BTreeMap<(usize, &'static str), Arc<ChannelSpec>>) -> Vec<PlannedReplica> {
        let mut planned = Vec::new();
        for (operator, node) in self.graph.operators.iter().enumerate() {
            let (Ok(name), Runner::Ours(factory)) = (InstanceName::parse(&node.name), node.runner) else {
                continue;
            };
            for index in (0..node.replicas).filter(|index| self.is_here(operator, *index)) {
                planned.push(PlannedReplica {
                    operator: node.name.as_str().into(),
                    full_name: full_name(&[&self.graph.name, &name.replica(index)]),
                    index,
                    replicas: node.replicas,
                    factory,
                    parameters: self.resolved.operators.get(operator).cloned().unwrap_or_default(),
                    plugins: self.plugins(operator),
                    inputs: self.inputs(operator, index, channels),
                    outputs: self.outputs(operator, index, channels),
                });
            }
        }
        planned
    }

    fn plugins(&self, operator: usize) -> Vec<PlannedPlugin> {
        let plugins = self
            .graph
            .operators
            .get(operator)
            .map_or(&[][..], |node| &node.description.plugins);
        plugins
            .iter()
            .map(|plugin| PlannedPlugin {
                name: plugin.name,
                depends_on: plugin.depends_on,
                parameters: self
                    .resolved
                    .plugins
                    .get(&(operator, plugin.name))
                    .cloned()
                    .unwrap_or_default(),
            })
            .collect()
    }

    fn inputs(
        &self,
        operator: usize,
        index: u32,
        channels: &BTreeMap<(usize, &'static str), Arc<ChannelSpec>>,
    ) -> Vec<PlannedInput> {
        channels
            .range((operator, "")..)
            .take_while(|((of, _), _)| *of == operator)
            .map(|((_, port), channel)| PlannedInput {
                port,
                channel: Arc::clone(channel),
                member: MemberId::reader(index),
                ends_cycle: self
                    .connections_to(PortRef { operator, port })
                    .all(|connection| connection.ends_cycle),
            })
            .collect()
    }

    fn outputs(
        &self,
        operator: usize,
        index: u32,
        channels: &BTreeMap<(usize, &'static str), Arc<ChannelSpec>>,
    ) -> Vec<PlannedOutput> {
        let mut outputs = Vec::new();
        for connection in self
            .graph
            .connections
            .iter()
            .filter(|connection| connection.from.operator == operator)
        {
            let Some(channel) = channels.get(&(connection.to.operator, connection.to.port)) else {
                continue;
            };
            let names = self.port_names(connection.from);
            let Some(name) = names.get(index as usize) else {
                continue;
            };
            let place = channel
                .layout
                .writers
                .iter()
                .position(|writer| writer == name)
                .unwrap_or(0);
            let place = u32::try_from(place).unwrap_or(u32::MAX);
            outputs.push(PlannedOutput {
                port: connection.from.port,
                channel: Arc::clone(channel),
                member: MemberId::writer(place),
                partitioning: connection.partitioning,
                start: place,
            });
        }
        outputs
    }
}
