//! The replicas of a plan, and their places on the channels.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::graph::{PortRef, Runner};
use super::plan::{PlannedInput, PlannedOutput, PlannedPlugin, PlannedReplica, Planner};
use crate::channel::ChannelSpec;
use crate::name::{InstanceName, full_name};
use crate::protocol::MemberId;

impl Planner<'_> {
    pub(super) fn replicas(
        &self,
        channels: &BTreeMap<(usize, &'static str), Arc<ChannelSpec>>,
    ) -> Vec<PlannedReplica> {
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
