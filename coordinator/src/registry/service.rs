//! Where nodes join.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::time::{Instant, timeout, timeout_at};
use tonic::transport::Uri;
use tonic::{Request, Response, Status, Streaming};
use tracing::{info, warn};
use weft_governance::{Error, ErrorKind, ServerId, code};
use weft_ledger::EventKind;
use weft_wire::identity::peer_of;
use weft_wire::protocol::{FRAGMENT_ENCODING, PROTOCOL_MAJOR, PROTOCOL_MINOR};
use weft_wire::rpc::registry::coordinator_message::Message as Answer;
use weft_wire::rpc::registry::node_message::Message;
use weft_wire::rpc::registry::registry_server::Registry as Calls;
use weft_wire::rpc::registry::{
    Announcement, CoordinatorMessage, Heartbeat, NodeMessage, ProductAnnouncement, Welcome,
};
use weft_wire::status::{from_status, to_status};

use super::{Event, NodeEntry, NodeStatus, ProductSummary, Registry};
use crate::journal::Journal;

/// How long a node may take to announce itself.
const FIRST: Duration = Duration::from_secs(10);
/// Heartbeats that may be missed.
const MISSED: u32 = 3;
/// The part of the time that a node has by which a server that looks too late is itself at fault.
const OWN_DELAY: u32 = 6;
/// Names of one announcement, all together.
const MOST_NAMES: usize = 200_000;

/// The service behind [`Registry`].
pub struct RegistryService {
    registry: Registry,
    journal: Journal,
    me: String,
    connections: Arc<AtomicU64>,
}

impl RegistryService {
    /// A service that is called `me` and writes to `journal` who comes and goes.
    pub fn new(registry: Registry, journal: Journal, me: String) -> Self {
        Self {
            registry,
            journal,
            me,
            connections: Arc::default(),
        }
    }
}

#[tonic::async_trait]
impl Calls for RegistryService {
    type JoinStream = BoxStream<'static, Result<CoordinatorMessage, Status>>;

    async fn join(
        &self,
        request: Request<Streaming<NodeMessage>>,
    ) -> Result<Response<Self::JoinStream>, Status> {
        let node = peer_of(&request)
            .map(|peer| peer.server)
            .filter(|server| matches!(server, ServerId::Node { .. }))
            .ok_or_else(|| to_status(&not_a_node()))?;
        let connection = self.connections.fetch_add(1, Ordering::Relaxed) + 1;
        let mut messages = request.into_inner();
        let first = timeout(FIRST, messages.next()).await;
        let Ok(Some(Ok(NodeMessage {
            message: Some(Message::Announcement(announcement)),
        }))) = first
        else {
            return Err(to_status(&malformed(
                "first message is not an announcement",
            )));
        };
        let entry = entry(&node, connection, announcement).map_err(|error| to_status(&error))?;
        info!(%node, endpoint = entry.endpoint, "node joined");
        let endpoint = Some(entry.endpoint.as_str());
        self.journal.node(EventKind::Registered, &node, endpoint);
        self.registry.apply(Event::Announced(entry));
        let interval = self.registry.heartbeat();
        let welcome = Welcome {
            coordinator: self.me.clone(),
            protocol_major: PROTOCOL_MAJOR,
            protocol_minor: PROTOCOL_MINOR,
            heartbeat_interval_ms: u64::try_from(interval.as_millis()).unwrap_or(u64::MAX),
        };
        let welcome = CoordinatorMessage {
            message: Some(Answer::Welcome(welcome)),
        };
        let presence = Presence {
            registry: self.registry.clone(),
            journal: self.journal.clone(),
            node,
            connection,
        };
        let rest = futures::stream::once(follow(presence, messages, interval));
        Ok(Response::new(
            futures::stream::iter([Ok(welcome)]).chain(rest).boxed(),
        ))
    }
}

/// A node's connection. When it ends, however it ends, the node is unreachable.
struct Presence {
    registry: Registry,
    journal: Journal,
    node: ServerId,
    connection: u64,
}

impl Drop for Presence {
    fn drop(&mut self) {
        let event = Event::Left {
            node: self.node.clone(),
            connection: self.connection,
        };
        // A connection that another one has taken the place of is no loss.
        if self.registry.apply(event) {
            self.journal.node(EventKind::Unregistered, &self.node, None);
        }
    }
}

/// Follows a node's messages to their end.
async fn follow(
    presence: Presence,
    mut messages: Streaming<NodeMessage>,
    interval: Duration,
) -> Result<CoordinatorMessage, Status> {
    let Presence {
        registry,
        node,
        connection,
        journal: _,
    } = &presence;
    loop {
        match in_time(interval * MISSED, messages.next()).await {
            Some(Some(Ok(NodeMessage {
                message: Some(Message::Heartbeat(Heartbeat { epoch })),
            }))) => {
                let (node, connection) = (node.clone(), *connection);
                registry.apply(Event::Heartbeat {
                    node,
                    connection,
                    epoch,
                });
            }
            Some(Some(Ok(NodeMessage {
                message: Some(Message::Announcement(announcement)),
            }))) => match entry(node, *connection, announcement) {
                Ok(entry) => {
                    registry.apply(Event::Announced(entry));
                }
                Err(error) => return Err(to_status(&error)),
            },
            Some(Some(Ok(NodeMessage { message: None }))) => {
                return Err(to_status(&malformed("message is empty")));
            }
            Some(Some(Err(status))) => {
                warn!(%node, error = %from_status(&status), "node went away");
                return Err(status);
            }
            Some(None) => {
                info!(%node, "node left");
                return Err(to_status(&malformed("stream ended")));
            }
            None => {
                warn!(%node, "node is silent");
                return Err(to_status(&Error::new(
                    ErrorKind::DeadlineExceeded,
                    code::DEADLINE,
                    "no heartbeat came in time",
                )));
            }
        }
    }
}

/// What `wanted` gives, unless `patience` runs out. Time in which this server did not come to look is no
/// silence of others: where it was much of it, `patience` begins anew.
async fn in_time<T>(patience: Duration, wanted: impl Future<Output = T>) -> Option<T> {
    let mut wanted = pin!(wanted);
    loop {
        let end = Instant::now() + patience;
        match timeout_at(end, &mut wanted).await {
            Ok(came) => return Some(came),
            Err(_) if end.elapsed() > patience / OWN_DELAY => {}
            Err(_) => return None,
        }
    }
}

fn entry(id: &ServerId, connection: u64, announcement: Announcement) -> Result<NodeEntry, Error> {
    let Announcement {
        protocol_major,
        protocol_minor,
        software_version,
        endpoint,
        encodings,
        functions,
        epoch,
        products,
        client_endpoint,
    } = announcement;
    if protocol_major != PROTOCOL_MAJOR {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            code::PROTOCOL,
            format!(
                "the node speaks protocol {protocol_major}.{protocol_minor}, and this coordinator {PROTOCOL_MAJOR}.{PROTOCOL_MINOR}"
            ),
        )
        .with_hint("Run versions of Weft with the same major protocol."));
    }
    if !encodings
        .iter()
        .any(|encoding| encoding == FRAGMENT_ENCODING)
    {
        return Err(malformed(
            "node reads no fragment encoding that this coordinator writes",
        ));
    }
    let names = functions.len()
        + products
            .iter()
            .map(|product| product.tables.len() + 1)
            .sum::<usize>();
    if names > MOST_NAMES {
        return Err(malformed("announcement is too large"));
    }
    let client_endpoint = client_endpoint.unwrap_or_else(|| endpoint.clone());
    for endpoint in [&endpoint, &client_endpoint] {
        let uri: Uri = endpoint
            .parse()
            .map_err(|_| malformed("endpoint is no URL"))?;
        if uri.scheme_str() != Some("https") || uri.port_u16().is_none() {
            return Err(malformed("endpoint is not `https://HOST:PORT`"));
        }
    }
    let domain = id.domain().cloned().ok_or_else(not_a_node)?;
    let now = SystemTime::now();
    Ok(NodeEntry {
        id: id.clone(),
        domain,
        endpoint,
        client_endpoint,
        status: NodeStatus::Up,
        since: now,
        epoch,
        functions: Arc::new(functions.into_iter().collect::<BTreeSet<_>>()),
        products: products.into_iter().map(summary).collect(),
        software_version: software_version.chars().take(64).collect(),
        last_heartbeat: now,
        connection,
    })
}

fn summary(announced: ProductAnnouncement) -> ProductSummary {
    let ProductAnnouncement {
        name,
        version,
        description,
        tables,
    } = announced;
    ProductSummary {
        name,
        version,
        description,
        tables,
    }
}

fn not_a_node() -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        code::UNAUTHENTICATED,
        "only a node of the mesh may join, with its certificate",
    )
}

fn malformed(what: &str) -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        code::PROTOCOL,
        format!("the {what}"),
    )
}

#[cfg(test)]
mod tests {
    use std::thread::{sleep, spawn};

    use tokio::sync::mpsc;

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(300);

    #[tokio::test]
    async fn silence_ends_the_wait() {
        let never = std::future::pending::<()>();
        assert_eq!(in_time(PATIENCE / 10, never).await, None);
        assert_eq!(in_time(PATIENCE, async { 7 }).await, Some(7));
    }

    #[tokio::test]
    async fn what_a_server_is_too_busy_to_hear_is_no_silence() {
        let (say, mut heard) = mpsc::unbounded_channel();
        // The only thread is taken for longer than a node may be silent.
        tokio::spawn(async { sleep(4 * PATIENCE) });
        let late = spawn(move || {
            sleep(4 * PATIENCE + PATIENCE / 3);
            say.send("here").expect("waited for");
        });
        assert_eq!(in_time(PATIENCE, heard.recv()).await, Some(Some("here")));
        late.join().expect("done");
    }
}
