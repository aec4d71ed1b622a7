//! Settings of `weft coordinator`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use weft_coordinator::{ClientListen, QueryLimits, Settings};
use weft_door::limits::units;
use weft_governance::Error;

use super::keys::{DOOR, Keys};
use super::operations::{LISTEN, OperationsConfig};

/// As the file writes them.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CoordinatorConfig {
    pub(crate) coordinator: Coordinator,
    pub(crate) authority: AuthorityAddress,
    pub(crate) transport: TransportConfig,
    pub(crate) limits: Limits,
    pub(crate) door: weft_door::Limits,
    pub(crate) operations: OperationsConfig,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Coordinator {
    pub(crate) state: PathBuf,
    pub(crate) listen: SocketAddr,
    pub(crate) hosts: Vec<String>,
    pub(crate) client_listen: Option<Clients>,
    pub(crate) basic_sign_in: bool,
    #[serde(with = "units::duration")]
    pub(crate) heartbeat_interval: Duration,
    pub(crate) join_token_file: Option<PathBuf>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Clients {
    pub(crate) address: SocketAddr,
    #[serde(default = "on")]
    pub(crate) tls: bool,
}

/// Where the authority is; known from the join token at the first start.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AuthorityAddress {
    pub(crate) url: Option<String>,
}

/// How rows travel from nodes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TransportConfig {
    pub(crate) compression: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Limits {
    #[serde(with = "units::duration")]
    pub(crate) deadline: Duration,
    pub(crate) max_concurrent: usize,
    pub(crate) max_per_principal: usize,
    pub(crate) queue: usize,
    #[serde(with = "units::duration")]
    pub(crate) queue_wait: Duration,
    #[serde(with = "units::size")]
    pub(crate) memory: usize,
    #[serde(with = "units::size")]
    pub(crate) query_memory: usize,
    #[serde(with = "units::size")]
    pub(crate) query_spill: usize,
    pub(crate) result_rows: u64,
    #[serde(with = "units::size")]
    pub(crate) result_bytes: usize,
    pub(crate) partitions: usize,
    pub(crate) planner_threads: usize,
}

fn on() -> bool {
    true
}

impl Default for Coordinator {
    fn default() -> Self {
        Self {
            state: PathBuf::from("weft-coordinator"),
            listen: ([127, 0, 0, 1], 7461).into(),
            hosts: vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
            client_listen: None,
            basic_sign_in: false,
            heartbeat_interval: Duration::from_secs(1),
            join_token_file: None,
        }
    }
}

impl Default for TransportConfig {
    fn default() -> Self {
        Self {
            compression: "auto".to_owned(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        let QueryLimits {
            deadline,
            max_concurrent,
            max_per_principal,
            queue,
            queue_wait,
            memory,
            query_memory,
            query_spill,
            result_rows,
            result_bytes,
            partitions,
            planner_threads,
            ask_wait: _,
        } = QueryLimits::default();
        Self {
            deadline,
            max_concurrent,
            max_per_principal,
            queue,
            queue_wait,
            memory,
            query_memory,
            query_spill,
            result_rows,
            result_bytes,
            partitions,
            planner_threads,
        }
    }
}

impl CoordinatorConfig {
    /// What `--print-config` explains.
    pub(crate) const KEYS: [Keys; 2] = [
        Keys(&[
            (
                "coordinator.state",
                "Folder of the coordinator's certificate.",
            ),
            (
                "coordinator.listen",
                "Where nodes connect, and clients over TLS.",
            ),
            (
                "coordinator.hosts",
                "Host names and addresses of its certificate.",
            ),
            (
                "coordinator.client_listen.address",
                "A second place for clients.",
            ),
            (
                "coordinator.client_listen.tls",
                "Whether that place speaks TLS; plain text only on loopback.",
            ),
            (
                "coordinator.basic_sign_in",
                "Whether people may sign in here with a password.",
            ),
            (
                "coordinator.heartbeat_interval",
                "How often nodes are to send a sign of life.",
            ),
            (
                "coordinator.join_token_file",
                "File with the join token for the first start.",
            ),
            (
                "authority.url",
                "Where the authority is: https://HOST:PORT.",
            ),
            (
                "transport.compression",
                "Which nodes compress the rows that they send: `auto` is all that are not on this machine, `lz4` is all, `none` is none.",
            ),
            ("limits.deadline", "How long a query may run."),
            ("limits.max_concurrent", "Queries at a time."),
            (
                "limits.max_per_principal",
                "Queries of one principal at a time.",
            ),
            (
                "limits.queue",
                "Queries that wait for others to end; further ones are refused at once.",
            ),
            (
                "limits.queue_wait",
                "How long a query waits for others to end.",
            ),
            ("limits.memory", "Memory for all queries together."),
            ("limits.query_memory", "Memory for one query."),
            (
                "limits.query_spill",
                "Bytes that one query may write to disk when memory is short.",
            ),
            ("limits.result_rows", "Rows of one answer."),
            ("limits.result_bytes", "Bytes of one answer."),
            ("limits.partitions", "Partitions of one query's plan."),
            ("limits.planner_threads", "Planning threads at a time."),
            LISTEN,
        ]),
        Keys(&DOOR),
    ];

    /// As the library takes them.
    ///
    /// # Errors
    /// `WEFT-SETTINGS` if there is no such compression.
    pub(crate) fn settings(&self) -> Result<Settings, Error> {
        let Limits {
            deadline,
            max_concurrent,
            max_per_principal,
            queue,
            queue_wait,
            memory,
            query_memory,
            query_spill,
            result_rows,
            result_bytes,
            partitions,
            planner_threads,
        } = self.limits;
        let client_listen = self.coordinator.client_listen.as_ref();
        Ok(Settings {
            listen: self.coordinator.listen,
            client_listen: client_listen.map(|clients| ClientListen {
                address: clients.address,
                tls: clients.tls,
            }),
            state: self.coordinator.state.clone(),
            basic_sign_in: self.coordinator.basic_sign_in,
            heartbeat_interval: self.coordinator.heartbeat_interval,
            transport: self.transport.compression.parse()?,
            limits: QueryLimits {
                deadline,
                max_concurrent,
                max_per_principal,
                queue,
                queue_wait,
                memory,
                query_memory,
                query_spill,
                result_rows,
                result_bytes,
                partitions,
                planner_threads,
                ..QueryLimits::default()
            },
            door: self.door.clone(),
            operations: self.operations.listen,
            shown: Vec::new(),
        })
    }
}
