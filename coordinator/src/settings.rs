//! What a coordinator is told at its start.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use weft_door::Limits;
use weft_governance::{Error, ErrorKind, code};

use crate::transport::Transport;

/// Settings of a coordinator.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where nodes connect, and clients over TLS.
    pub listen: SocketAddr,
    /// A second place for clients.
    pub client_listen: Option<ClientListen>,
    /// Folder of its certificate.
    pub state: PathBuf,
    /// Whether people may sign in here with a password, which this coordinator then sees.
    pub basic_sign_in: bool,
    /// How often nodes are to send a sign of life. Three missed ones make a node unreachable.
    pub heartbeat_interval: Duration,
    /// Which nodes are asked to compress the rows that they send.
    pub transport: Transport,
    /// Limits of queries.
    pub limits: QueryLimits,
    /// Limits of connections and sessions.
    pub door: Limits,
    /// Where whoever operates it asks how it is doing, if anywhere.
    pub operations: Option<SocketAddr>,
    /// What `system.runtime.settings` shows.
    pub shown: Vec<ShownSetting>,
}

/// A setting as people see it. None holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownSetting {
    /// Its key.
    pub name: String,
    /// Its value as a settings file writes it; nothing if it is not set.
    pub value: Option<String>,
    /// Where the value comes from.
    pub source: String,
    /// What it is for.
    pub meaning: String,
}

/// A place for clients.
#[derive(Debug, Clone)]
pub struct ClientListen {
    /// Where.
    pub address: SocketAddr,
    /// Whether with TLS. Without, the address must be loopback.
    pub tls: bool,
}

/// Limits of queries.
#[derive(Debug, Clone)]
pub struct QueryLimits {
    /// How long a query may run.
    pub deadline: Duration,
    /// Queries at a time.
    pub max_concurrent: usize,
    /// Queries of one principal at a time.
    pub max_per_principal: usize,
    /// Queries that wait for others to end; further ones are refused.
    pub queue: usize,
    /// How long a query waits for others to end.
    pub queue_wait: Duration,
    /// Bytes of memory for all of them together.
    pub memory: usize,
    /// Bytes of memory for one of them.
    pub query_memory: usize,
    /// Bytes that one of them may write to disk when memory is short.
    pub query_spill: usize,
    /// Rows of one answer.
    pub result_rows: u64,
    /// Bytes of one answer.
    pub result_bytes: usize,
    /// Partitions of one query's plan.
    pub partitions: usize,
    /// Planning threads at a time.
    pub planner_threads: usize,
    /// How long planning waits for nodes that are asked how many rows meet a condition.
    pub ask_wait: Duration,
}

impl Default for QueryLimits {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            deadline: Duration::from_secs(600),
            max_concurrent: 100,
            max_per_principal: 50,
            queue: 200,
            queue_wait: Duration::from_secs(10),
            memory: 1 << 30,
            query_memory: 1 << 29,
            query_spill: 10 << 30,
            result_rows: 1_000_000_000,
            result_bytes: 64 << 30,
            partitions: cores,
            planner_threads: cores * 2,
            ask_wait: Duration::from_millis(250),
        }
    }
}

impl Settings {
    /// Refuses what would send passwords or rows in clear text over a network.
    ///
    /// # Errors
    /// `WEFT-SETTINGS`, naming the settings to change.
    pub fn validate(&self) -> Result<(), Error> {
        match &self.client_listen {
            Some(client) if !client.tls && !client.address.ip().is_loopback() => Err(Error::new(
                ErrorKind::InvalidInput,
                code::SETTINGS,
                format!("clients would connect in plain text at `{}`", client.address),
            )
            .with_hint(
                "Set `coordinator.client_listen.tls = true`, or let `coordinator.client_listen.address` be on loopback.",
            )),
            _ => Ok(()),
        }
    }
}
