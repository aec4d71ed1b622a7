//! The mesh as a value, and how events change it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use weft_governance::{DomainId, ServerId};

/// All nodes that have joined since the coordinator started.
#[derive(Debug, Clone, Default)]
pub struct Mesh {
    /// By id.
    pub nodes: BTreeMap<ServerId, NodeEntry>,
}

/// A node.
#[derive(Debug, Clone)]
pub struct NodeEntry {
    /// Which.
    pub id: ServerId,
    /// Whose.
    pub domain: DomainId,
    /// Where: `https://HOST:PORT`.
    pub endpoint: String,
    /// Where clients reach it, in the same form.
    pub client_endpoint: String,
    /// Whether it can be reached.
    pub status: NodeStatus,
    /// Since when it has this status.
    pub since: SystemTime,
    /// Rises with every change of its contracts, schemas or grants.
    pub epoch: u64,
    /// The functions that it runs in fragments.
    pub functions: Arc<BTreeSet<String>>,
    /// The products that everyone may know of.
    pub products: Arc<[ProductSummary]>,
    /// Its version of Weft.
    pub software_version: String,
    /// Its last sign of life.
    pub last_heartbeat: SystemTime,
    /// Counts its connections; what an earlier one does late changes nothing.
    pub connection: u64,
}

/// Whether a node can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeStatus {
    /// It sends signs of life.
    Up,
    /// It went away, or is silent.
    Unreachable,
}

impl NodeStatus {
    /// The name in `system.runtime.nodes`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Unreachable => "unreachable",
        }
    }
}

/// A product that everyone may know of.
#[derive(Debug, Clone)]
pub struct ProductSummary {
    /// Its name.
    pub name: String,
    /// The version of its contract.
    pub version: String,
    /// For people.
    pub description: String,
    /// Its tables.
    pub tables: Vec<String>,
}

/// What happens to a mesh.
#[derive(Debug)]
pub enum Event {
    /// A node says what it is, at first or anew.
    Announced(NodeEntry),
    /// A node lives.
    Heartbeat {
        /// Which.
        node: ServerId,
        /// On which connection.
        connection: u64,
        /// Its epoch now.
        epoch: u64,
    },
    /// A node's connection ended, or was silent for too long.
    Left {
        /// Which.
        node: ServerId,
        /// Which connection.
        connection: u64,
    },
}

impl NodeEntry {
    /// Whether it can be reached.
    pub fn is_up(&self) -> bool {
        self.status == NodeStatus::Up
    }
}

impl Mesh {
    /// The mesh after `event`, and whether anyone who watches it has to know.
    pub(super) fn next(&self, event: Event, now: SystemTime) -> (Self, bool) {
        let mut next = self.clone();
        let visible = match event {
            Event::Announced(entry) => {
                next.nodes.insert(entry.id.clone(), entry);
                true
            }
            Event::Heartbeat {
                node,
                connection,
                epoch,
            } => {
                match next
                    .nodes
                    .get_mut(&node)
                    .filter(|entry| entry.connection == connection)
                {
                    Some(entry) => {
                        let changed = entry.epoch != epoch;
                        entry.epoch = epoch;
                        entry.last_heartbeat = now;
                        changed
                    }
                    None => false,
                }
            }
            Event::Left { node, connection } => {
                match next
                    .nodes
                    .get_mut(&node)
                    .filter(|entry| entry.connection == connection)
                {
                    Some(entry) if entry.is_up() => {
                        entry.status = NodeStatus::Unreachable;
                        entry.since = now;
                        true
                    }
                    _ => false,
                }
            }
        };
        (next, visible)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(connection: u64, at: SystemTime) -> NodeEntry {
        let domain: DomainId = "sales".parse().expect("valid");
        NodeEntry {
            id: ServerId::node(domain.clone(), "n1").expect("valid"),
            domain,
            endpoint: "https://127.0.0.1:1".to_owned(),
            client_endpoint: "https://127.0.0.1:1".to_owned(),
            status: NodeStatus::Up,
            since: at,
            epoch: 1,
            functions: Arc::default(),
            products: Arc::from([]),
            software_version: "0".to_owned(),
            last_heartbeat: at,
            connection,
        }
    }

    #[test]
    fn a_node_that_leaves_is_unreachable_until_it_comes_back() {
        let now = SystemTime::now();
        let first = entry(1, now);
        let node = first.id.clone();
        let (mesh, _) = Mesh::default().next(Event::Announced(first), now);
        let (mesh, seen) = mesh.next(
            Event::Left {
                node: node.clone(),
                connection: 1,
            },
            now,
        );
        assert!(seen && !mesh.nodes[&node].is_up());
        let (mesh, seen) = mesh.next(Event::Announced(entry(2, now)), now);
        assert!(seen && mesh.nodes[&node].is_up());
        let (mesh, seen) = mesh.next(
            Event::Left {
                node: node.clone(),
                connection: 1,
            },
            now,
        );
        assert!(
            !seen && mesh.nodes[&node].is_up(),
            "the end of the old connection came late"
        );
    }
}
