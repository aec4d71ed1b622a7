//! A wire from the coordinator to a node that can be cut while both go on.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// Where the coordinator connects in place of the node. Dropping it ends all connections.
pub(crate) struct Wire {
    address: SocketAddr,
    target: watch::Sender<Option<SocketAddr>>,
    cuts: watch::Sender<usize>,
    carrying: JoinHandle<()>,
}

impl Wire {
    /// A wire that leads nowhere yet.
    pub(crate) async fn new() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let (target, _) = watch::channel(None);
        let (cuts, _) = watch::channel(0);
        let (to, cut) = (target.clone(), cuts.clone());
        let carrying = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                connections.spawn(carry(near, to.subscribe(), cut.subscribe()));
            }
        });
        Self {
            address,
            target,
            cuts,
            carrying,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn lead_to(&self, node: SocketAddr) {
        self.target.send_replace(Some(node));
    }

    /// Ends all connections that there are; new ones can be made.
    pub(crate) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.carrying.abort();
    }
}

async fn carry(
    mut near: TcpStream,
    mut target: watch::Receiver<Option<SocketAddr>>,
    mut cuts: watch::Receiver<usize>,
) {
    let known = target.wait_for(Option::is_some).await.map(|known| *known);
    let Ok(Some(node)) = known else {
        return;
    };
    let Ok(mut far) = TcpStream::connect(node).await else {
        return;
    };
    tokio::select! {
        _ = copy_bidirectional(&mut near, &mut far) => {}
        _ = cuts.changed() => {}
    }
}
