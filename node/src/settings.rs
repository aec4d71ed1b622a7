//! What a node is told at its start.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use weft_door::Limits;
use weft_door::limits::units;
use weft_governance::{DomainId, Grantee};

/// Settings of a node.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whose node it is.
    pub domain: DomainId,
    /// Its name within the domain.
    pub name: String,
    /// The folder of product folders.
    pub data: PathBuf,
    /// The folder of its certificate and event log.
    pub state: PathBuf,
    /// Where it listens, always with TLS.
    pub listen: SocketAddr,
    /// `HOST:PORT` at which coordinators reach it, if that is not where it listens.
    pub advertise: Option<String>,
    /// `HOST:PORT` at which clients reach it, if that is not where coordinators do.
    pub client_address: Option<String>,
    /// The coordinator that it joins.
    pub coordinator: Option<CoordinatorAddress>,
    /// Who may read what, beside what owners grant in SQL. Nobody may read what no grant names.
    pub grants: Vec<GrantSettings>,
    /// Who gives and takes rights in SQL.
    pub owners: Vec<Grantee>,
    /// Whose signatures put a federated policy in force; without it none is.
    pub policy: Option<PolicySettings>,
    /// Limits of fragments.
    pub limits: NodeLimits,
    /// Limits of connections and sessions.
    pub door: Limits,
    /// Where whoever operates it asks how it is doing, if anywhere.
    pub operations: Option<SocketAddr>,
}

/// A coordinator to join.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoordinatorAddress {
    /// `https://HOST:PORT`.
    pub url: String,
    /// Its name in the mesh, which its certificate has to show.
    #[serde(default = "main_coordinator")]
    pub name: String,
}

fn main_coordinator() -> String {
    "main".to_owned()
}

/// How the node follows the mesh's federated policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicySettings {
    /// The mesh: the `issuer` of its authority.
    pub mesh: String,
    /// How many representatives have to sign a policy.
    pub threshold: usize,
    /// The public key of each domain's representative, as `weft policy key` prints it.
    pub representatives: BTreeMap<DomainId, String>,
    /// About how often the authority is asked for a newer policy.
    #[serde(default = "usual_refresh", with = "units::duration")]
    pub refresh: Duration,
}

fn usual_refresh() -> Duration {
    Duration::from_secs(5)
}

/// Limits of fragments.
#[derive(Debug, Clone)]
pub struct NodeLimits {
    /// How long a query of somebody who connects straight may run; fragments have their query's time.
    pub deadline: Duration,
    /// Bytes of memory for all of them together.
    pub memory: usize,
    /// Bytes of memory for one of them.
    pub query_memory: usize,
    /// Bytes that one of them may write to disk when memory is short.
    pub query_spill: usize,
    /// Fragments, and queries of people who connect straight, at a time.
    pub max_concurrent: usize,
    /// Partitions of one fragment's plan.
    pub partitions: usize,
    /// Planning threads at a time.
    pub planner_threads: usize,
}

impl Default for NodeLimits {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            deadline: Duration::from_secs(600),
            memory: 1 << 30,
            query_memory: 1 << 29,
            query_spill: 10 << 30,
            max_concurrent: 1_000,
            partitions: cores,
            planner_threads: cores * 2,
        }
    }
}

/// A grant as the owner writes it: for exactly one user or group, on a product or one table of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantSettings {
    /// The principal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Or the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The product.
    pub product: String,
    /// The table; all of the product's if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// The columns; all if absent. Needs `table`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<String>>,
    /// A condition that visible rows meet. Needs `table`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row_filter: Option<String>,
    /// Masks by column: `sha-256`, `show-last-4`, `replace-with-null`, `truncate-to-year`. Needs
    /// `table`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub masks: BTreeMap<String, String>,
    /// What the rows may be used for; anything if absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub purposes: Vec<String>,
    /// The first moment at which it is held: a date, or a time in RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<String>,
    /// The first moment at which it is no longer held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<String>,
    /// How much of the columns may travel to other domains as join keys: `none`, `range`, `bloom`,
    /// `list`. It narrows what the contract says with `weft.keyDisclosure`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_disclosure: Option<String>,
    /// The domains to whose nodes rows may be sent, so that joins are done there; `["*"]` for all.
    /// It narrows what the contract says with `weft.flowTo`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow_to: Option<Vec<String>>,
}
