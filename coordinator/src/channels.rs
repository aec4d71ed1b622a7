//! Connections to nodes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::transport::{Channel, Endpoint};
use weft_governance::{Error, ErrorKind, ServerId, code};
use weft_wire::identity::Identity;

use crate::registry::NodeEntry;

/// Unread streams fill a connection's window; with more on one connection, one that a join waits
/// for could get nothing.
const STREAMS: usize = 3;
/// Data connections to one node.
const CONNECTIONS: usize = 16;
const STREAM_WINDOW: u32 = 16 << 20;
const CONNECTION_WINDOW: u32 = 64 << 20;

/// Connections to nodes, made when they are needed. Cheap to clone.
#[derive(Clone)]
pub struct Channels {
    identity: Arc<Identity>,
    nodes: Arc<Mutex<HashMap<ServerId, Arc<NodeChannels>>>>,
}

struct NodeChannels {
    endpoint: String,
    control: Channel,
    data: Vec<(Channel, Arc<Semaphore>)>,
    /// Streams on all data connections together.
    room: Arc<Semaphore>,
    /// Those of them that may be opened before anybody reads them.
    ahead: Arc<Semaphore>,
}

/// A data connection with room for one more stream. The room is given back on drop.
pub struct DataChannel {
    channel: Channel,
    _slot: OwnedSemaphorePermit,
    _room: OwnedSemaphorePermit,
}

impl DataChannel {
    /// The connection.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }
}

impl Channels {
    /// Connections as `identity`.
    pub fn new(identity: Arc<Identity>) -> Self {
        Self {
            identity,
            nodes: Arc::default(),
        }
    }

    /// The connection for short calls to `node`.
    ///
    /// # Errors
    /// If the node's endpoint is malformed.
    pub async fn control(&self, node: &NodeEntry) -> Result<Channel, Error> {
        Ok(self.to(node)?.control.clone())
    }

    /// A connection for one stream of rows from `node`; waits while all are taken.
    ///
    /// # Errors
    /// If the node's endpoint is malformed.
    pub async fn data(&self, node: &NodeEntry) -> Result<DataChannel, Error> {
        let channels = self.to(node)?;
        let room = Arc::clone(&channels.room)
            .acquire_owned()
            .await
            .map_err(|_| closed())?;
        for (channel, slots) in &channels.data {
            if let Ok(slot) = Arc::clone(slots).try_acquire_owned() {
                return Ok(DataChannel {
                    channel: channel.clone(),
                    _slot: slot,
                    _room: room,
                });
            }
        }
        // Room for a stream means that some connection has a slot, or gets one in a moment.
        let (channel, slots) = channels.data.first().ok_or_else(closed)?;
        let slot = Arc::clone(slots)
            .acquire_owned()
            .await
            .map_err(|_| closed())?;
        Ok(DataChannel {
            channel: channel.clone(),
            _slot: slot,
            _room: room,
        })
    }

    /// Leave to open a stream of rows from `node` before anybody reads it, if there is room. Streams
    /// that nobody reads yet never take all the room, so that those that are read go on.
    ///
    /// # Errors
    /// If the node's endpoint is malformed.
    pub fn ahead(&self, node: &NodeEntry) -> Result<Option<OwnedSemaphorePermit>, Error> {
        let ahead = Arc::clone(&self.to(node)?.ahead);
        Ok(ahead.try_acquire_owned().ok())
    }

    fn to(&self, node: &NodeEntry) -> Result<Arc<NodeChannels>, Error> {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = nodes
            .get(&node.id)
            .filter(|known| known.endpoint == node.endpoint)
        {
            return Ok(Arc::clone(known));
        }
        let channels = Arc::new(self.open(node)?);
        nodes.insert(node.id.clone(), Arc::clone(&channels));
        Ok(channels)
    }

    fn open(&self, node: &NodeEntry) -> Result<NodeChannels, Error> {
        let open = |windows: fn(Endpoint) -> Endpoint| {
            let channel = self.identity.channel(&node.endpoint, &node.id, |endpoint| {
                windows(endpoint)
                    .connect_timeout(Duration::from_secs(3))
                    .http2_keep_alive_interval(Duration::from_secs(10))
                    .keep_alive_timeout(Duration::from_secs(5))
                    .keep_alive_while_idle(true)
            });
            channel.map_err(|error| {
                Error::new(
                    ErrorKind::Internal,
                    code::CONNECT,
                    "the node's endpoint is malformed",
                )
                .caused_by(error)
            })
        };
        let wide = |endpoint: Endpoint| {
            endpoint
                .initial_stream_window_size(STREAM_WINDOW)
                .initial_connection_window_size(CONNECTION_WINDOW)
        };
        // A lazy channel costs nothing until its first call.
        let connection = |_| Ok((open(wide)?, Arc::new(Semaphore::new(STREAMS))));
        Ok(NodeChannels {
            endpoint: node.endpoint.clone(),
            control: open(|endpoint| endpoint)?,
            data: (0..CONNECTIONS)
                .map(connection)
                .collect::<Result<_, Error>>()?,
            room: Arc::new(Semaphore::new(CONNECTIONS * STREAMS)),
            ahead: Arc::new(Semaphore::new(CONNECTIONS * STREAMS / 2)),
        })
    }
}

fn closed() -> Error {
    Error::new(
        ErrorKind::Internal,
        code::INTERNAL,
        "a connection pool was closed",
    )
}
