//! Settings of `weft node`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use weft_door::limits::units;
use weft_governance::{DomainId, Error, ErrorKind, Grantee, code};
use weft_node::{CoordinatorAddress, GrantSettings, NodeLimits, PolicySettings, Settings};

use super::coordinator::AuthorityAddress;
use super::keys::{DOOR, Keys};
use super::operations::{LISTEN, OperationsConfig};

/// As the file writes them.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct NodeConfig {
    pub(crate) node: Node,
    pub(crate) authority: AuthorityAddress,
    pub(crate) coordinator: Option<CoordinatorAddress>,
    pub(crate) grants: Vec<GrantSettings>,
    pub(crate) owners: Option<Owners>,
    pub(crate) policy: Option<PolicySettings>,
    pub(crate) limits: Limits,
    pub(crate) door: weft_door::Limits,
    pub(crate) operations: OperationsConfig,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Node {
    pub(crate) domain: Option<DomainId>,
    pub(crate) name: Option<String>,
    pub(crate) data: PathBuf,
    pub(crate) state: PathBuf,
    pub(crate) listen: SocketAddr,
    pub(crate) advertise: Option<String>,
    pub(crate) client_address: Option<String>,
    pub(crate) hosts: Vec<String>,
    pub(crate) join_token_file: Option<PathBuf>,
}

/// Who gives and takes rights in SQL.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Owners {
    pub(crate) users: Vec<String>,
    pub(crate) groups: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Limits {
    #[serde(with = "units::duration")]
    pub(crate) deadline: Duration,
    #[serde(with = "units::size")]
    pub(crate) memory: usize,
    #[serde(with = "units::size")]
    pub(crate) query_memory: usize,
    #[serde(with = "units::size")]
    pub(crate) query_spill: usize,
    pub(crate) max_concurrent: usize,
    pub(crate) partitions: usize,
    pub(crate) planner_threads: usize,
}

impl Default for Node {
    fn default() -> Self {
        Self {
            domain: None,
            name: None,
            data: PathBuf::from("."),
            state: PathBuf::from("weft-node"),
            listen: ([127, 0, 0, 1], 7462).into(),
            advertise: None,
            client_address: None,
            hosts: vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
            join_token_file: None,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        let NodeLimits {
            deadline,
            memory,
            query_memory,
            query_spill,
            max_concurrent,
            partitions,
            planner_threads,
        } = NodeLimits::default();
        Self {
            deadline,
            memory,
            query_memory,
            query_spill,
            max_concurrent,
            partitions,
            planner_threads,
        }
    }
}

impl NodeConfig {
    /// What `--print-config` explains.
    pub(crate) const KEYS: [Keys; 2] = [
        Keys(&[
            ("node.domain", "The domain that the node serves."),
            (
                "node.name",
                "The node's name within the domain; DOMAIN-1 if it is not set.",
            ),
            ("node.data", "Folder of product folders."),
            (
                "node.state",
                "Folder of the node's certificate and event log.",
            ),
            ("node.listen", "Where it listens, always with TLS."),
            (
                "node.advertise",
                "HOST:PORT at which coordinators reach it, if that is elsewhere.",
            ),
            (
                "node.client_address",
                "HOST:PORT at which clients that fetch rows by themselves reach it, if that is elsewhere.",
            ),
            ("node.hosts", "Host names and addresses of its certificate."),
            (
                "node.join_token_file",
                "File with the join token for the first start.",
            ),
            (
                "authority.url",
                "Where the authority is: https://HOST:PORT.",
            ),
            (
                "coordinator.url",
                "The coordinator to join: https://HOST:PORT.",
            ),
            ("coordinator.name", "The coordinator's name in the mesh."),
            (
                "grants",
                "Who may read what: a list of tables with user or group, product, table, columns, row_filter, masks, purposes, valid_from, valid_until.",
            ),
            (
                "owners.groups",
                "Groups that give and take rights in SQL; DOMAIN-owners if no owners are set.",
            ),
            ("owners.users", "Users that do."),
            (
                "policy.mesh",
                "The mesh whose federated policy is followed: the issuer of its authority.",
            ),
            (
                "policy.threshold",
                "How many representatives have to sign a policy.",
            ),
            (
                "policy.representatives",
                "The public key of each domain's representative, as `weft policy key` prints it.",
            ),
            (
                "policy.refresh",
                "About how often the authority is asked for a newer policy.",
            ),
            (
                "limits.deadline",
                "How long a query of somebody who connects straight may run.",
            ),
            ("limits.memory", "Memory for all fragments together."),
            ("limits.query_memory", "Memory for one fragment."),
            (
                "limits.query_spill",
                "Bytes that one fragment may write to disk when memory is short.",
            ),
            (
                "limits.max_concurrent",
                "Fragments, and queries of people who connect straight, at a time.",
            ),
            ("limits.partitions", "Partitions of one fragment's plan."),
            ("limits.planner_threads", "Planning threads at a time."),
            LISTEN,
        ]),
        Keys(&DOOR),
    ];

    /// As the library takes them.
    ///
    /// # Errors
    /// `WEFT-SETTINGS` if no domain is set.
    pub(crate) fn settings(&self) -> Result<Settings, Error> {
        let domain = self.node.domain.clone().ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidInput,
                code::SETTINGS,
                "`node.domain` is not set",
            )
            .with_hint("Set it in the file, as WEFT_NODE__DOMAIN, or with --domain.")
        })?;
        let owners = match &self.owners {
            Some(Owners { users, groups }) => {
                let users = users.iter().cloned().map(Grantee::User);
                users
                    .chain(groups.iter().cloned().map(Grantee::Group))
                    .collect()
            }
            None => vec![Grantee::Group(format!("{domain}-owners"))],
        };
        let Limits {
            deadline,
            memory,
            query_memory,
            query_spill,
            max_concurrent,
            partitions,
            planner_threads,
        } = self.limits;
        Ok(Settings {
            name: self
                .node
                .name
                .clone()
                .unwrap_or_else(|| format!("{domain}-1")),
            domain,
            data: self.node.data.clone(),
            state: self.node.state.clone(),
            listen: self.node.listen,
            advertise: self.node.advertise.clone(),
            client_address: self.node.client_address.clone(),
            coordinator: self.coordinator.clone(),
            grants: self.grants.clone(),
            owners,
            policy: self.policy.clone(),
            limits: NodeLimits {
                deadline,
                memory,
                query_memory,
                query_spill,
                max_concurrent,
                partitions,
                planner_threads,
            },
            door: self.door.clone(),
            operations: self.operations.listen,
        })
    }
}
