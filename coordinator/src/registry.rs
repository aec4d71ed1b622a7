//! Which nodes there are, and how they are.

mod mesh;
mod service;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use weft_governance::{Error, ErrorKind, ServerId, code};

pub use mesh::{Event, Mesh, NodeEntry, NodeStatus, ProductSummary};
pub use service::RegistryService;

/// The newest state of the mesh. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Registry {
    mesh: Arc<watch::Sender<Arc<Mesh>>>,
    heartbeat: Duration,
}

/// Waits for the loss of one node.
pub struct Lost {
    node: ServerId,
    mesh: watch::Receiver<Arc<Mesh>>,
}

impl Registry {
    /// An empty mesh whose nodes are to send a sign of life every `heartbeat`.
    pub fn new(heartbeat: Duration) -> Self {
        Self {
            mesh: Arc::new(watch::channel(Arc::default()).0),
            heartbeat,
        }
    }

    /// The mesh as it is now.
    pub fn mesh(&self) -> Arc<Mesh> {
        Arc::clone(&self.mesh.borrow())
    }

    /// The mesh now and whenever it changes.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Mesh>> {
        self.mesh.subscribe()
    }

    /// The entry of a node that can be reached.
    ///
    /// # Errors
    /// `WEFT-DOMAIN-UNAVAILABLE` if it cannot.
    pub fn up(&self, node: &ServerId) -> Result<NodeEntry, Error> {
        let mesh = self.mesh();
        mesh.nodes
            .get(node)
            .filter(|entry| entry.is_up())
            .cloned()
            .ok_or_else(|| away(node))
    }

    /// A watch over a node that can be reached now.
    ///
    /// # Errors
    /// `WEFT-DOMAIN-UNAVAILABLE` if it cannot.
    pub fn watch(&self, node: &ServerId) -> Result<Lost, Error> {
        let mesh = self.mesh.subscribe();
        self.up(node)?;
        Ok(Lost {
            node: node.clone(),
            mesh,
        })
    }

    pub(crate) fn heartbeat(&self) -> Duration {
        self.heartbeat
    }

    /// Lets `event` happen now, and says whether that changes what others see.
    pub(crate) fn apply(&self, event: Event) -> bool {
        let now = SystemTime::now();
        self.mesh.send_if_modified(|mesh| {
            let (next, visible) = mesh.next(event, now);
            *mesh = Arc::new(next);
            visible
        })
    }
}

impl Lost {
    /// Returns when the node cannot be reached any more.
    pub async fn lost(&mut self) {
        let node = &self.node;
        let gone = |mesh: &Arc<Mesh>| !mesh.nodes.get(node).is_some_and(NodeEntry::is_up);
        // A registry that is gone cannot lose nodes any more.
        if self.mesh.wait_for(gone).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

fn away(node: &ServerId) -> Error {
    let error = Error::new(
        ErrorKind::Unavailable,
        code::DOMAIN_UNAVAILABLE,
        "the domain's node cannot be reached",
    )
    .with_hint("`SELECT * FROM system.runtime.nodes` shows the state of each node; run the query again when it is up.");
    match node.domain() {
        Some(domain) => error.at(domain.clone()),
        None => error,
    }
}
