//! What an authority is told at its start.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Settings of an authority.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Its name in tokens.
    pub issuer: String,
    /// Folder of its keys and leases.
    pub state: PathBuf,
    /// Host names and IP addresses at which it is reached, for its certificate.
    pub hosts: Vec<String>,
    /// How long a person stays signed in.
    pub lease_lifetime: Duration,
    /// How long a user token for a server lives.
    pub user_token_lifetime: Duration,
}

impl Settings {
    /// The usual lifetimes: 12 hours signed in, 2 minutes for a token.
    pub fn new(listen: SocketAddr, issuer: &str, state: PathBuf) -> Self {
        Self {
            listen,
            issuer: issuer.to_owned(),
            state,
            hosts: vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
            lease_lifetime: Duration::from_secs(12 * 3600),
            user_token_lifetime: Duration::from_secs(120),
        }
    }
}

/// A person whom the authority signs in by password.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The name to sign in with; the subject of tokens.
    pub name: String,
    /// Argon2id, as a PHC string.
    pub password_hash: String,
    /// Groups. Members of `mesh-admins` let servers join.
    #[serde(default)]
    pub groups: BTreeSet<String>,
    /// Further claims.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// A disabled person is refused like an unknown one.
    #[serde(default)]
    pub disabled: bool,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User").field("name", &self.name).finish_non_exhaustive()
    }
}
