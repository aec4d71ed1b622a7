//! Settings of `weft authority`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use weft_authority::{ProviderSettings, Settings, User};
use weft_door::limits::units;

use super::keys::Keys;
use super::operations::{LISTEN, OperationsConfig};

/// As the file writes them.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AuthorityConfig {
    pub(crate) authority: Authority,
    pub(crate) users: Vec<User>,
    pub(crate) providers: Vec<ProviderSettings>,
    pub(crate) operations: OperationsConfig,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Authority {
    pub(crate) listen: SocketAddr,
    pub(crate) issuer: String,
    pub(crate) state: PathBuf,
    pub(crate) hosts: Vec<String>,
    #[serde(with = "units::duration")]
    pub(crate) lease_lifetime: Duration,
    #[serde(with = "units::duration")]
    pub(crate) user_token_lifetime: Duration,
    #[serde(with = "units::duration")]
    pub(crate) certificate_lifetime: Duration,
}

impl Default for Authority {
    fn default() -> Self {
        let Settings {
            listen,
            issuer,
            state,
            hosts,
            lease_lifetime,
            user_token_lifetime,
            certificate_lifetime,
            ..
        } = Settings::new(
            ([127, 0, 0, 1], 7460).into(),
            "weft",
            PathBuf::from("weft-authority"),
        );
        Self {
            listen,
            issuer,
            state,
            hosts,
            lease_lifetime,
            user_token_lifetime,
            certificate_lifetime,
        }
    }
}

impl AuthorityConfig {
    /// What `--print-config` explains.
    pub(crate) const KEYS: [Keys; 1] = [Keys(&[
        ("authority.listen", "Where it listens, always with TLS."),
        ("authority.issuer", "Its name in tokens."),
        ("authority.state", "Folder of its keys and leases."),
        (
            "authority.hosts",
            "Host names and addresses of its certificate.",
        ),
        (
            "authority.lease_lifetime",
            "How long a person stays signed in.",
        ),
        (
            "authority.user_token_lifetime",
            "How long a token for a node lives.",
        ),
        (
            "authority.certificate_lifetime",
            "How long certificates of servers are valid; they are renewed in time.",
        ),
        (
            "users",
            "Who can sign in: a list of tables with name, password_hash, groups, attributes, disabled.",
        ),
        (
            "providers",
            "Identity providers whose people sign in: a list of tables with name, issuer, client_id, client_secret_file, algorithms, audience, jwks_url, ca_file, scopes, subject_claim, groups_claim, groups, group_prefix, attributes, accept_id_tokens.",
        ),
        LISTEN,
    ])];

    /// As the library takes them.
    pub(crate) fn parts(self) -> (Settings, Vec<User>) {
        let Authority {
            listen,
            issuer,
            state,
            hosts,
            lease_lifetime,
            user_token_lifetime,
            certificate_lifetime,
        } = self.authority;
        let settings = Settings {
            hosts,
            lease_lifetime,
            user_token_lifetime,
            certificate_lifetime,
            providers: self.providers,
            ..Settings::new(listen, &issuer, state)
        };
        (settings, self.users)
    }
}
