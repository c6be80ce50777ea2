//! Plugins in the order of their dependencies.

use std::collections::BTreeSet;

use crate::pipeline::PlannedPlugin;

/// The plugins' names, dependencies first. The derive has refused cycles and unknown names; were there any, the order
/// of the fields stands.
pub(super) fn start_order(plugins: &[PlannedPlugin]) -> Vec<&'static str> {
    let mut order: Vec<&'static str> = Vec::new();
    let mut left: BTreeSet<usize> = (0..plugins.len()).collect();
    while !left.is_empty() {
        let is_ready = |plugin: &PlannedPlugin| {
            let waits_for = |name: &&str| left.iter().any(|at| plugins[*at].name == *name);
            !plugin.depends_on.iter().any(waits_for)
        };
        let next = left
            .iter()
            .copied()
            .find(|at| is_ready(&plugins[*at]))
            .or_else(|| left.first().copied());
        let Some(next) = next else { break };
        left.remove(&next);
        order.push(plugins[next].name);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_starts_after_those_it_depends_on() {
        let plugin = |name, depends_on| PlannedPlugin {
            name,
            depends_on,
            parameters: Vec::new(),
        };
        let plugins = [
            plugin("web", &["cache", "database"]),
            plugin("cache", &["database"]),
            plugin("database", &[]),
        ];
        assert_eq!(start_order(&plugins), ["database", "cache", "web"]);
    }
}
