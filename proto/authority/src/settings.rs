//! What an authority is told at its start.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use weft_governance::{Error, ErrorKind, code};

use crate::oidc::ProviderSettings;

const HOUR: Duration = Duration::from_secs(3_600);
/// Nobody stays signed in longer.
const LONGEST_LEASE: Duration = Duration::from_secs(12 * 3_600);
/// How long the certificate of a server is valid.
const YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);
/// No token that a server gets for a person lives longer.
const LONGEST_USER_TOKEN: Duration = Duration::from_secs(120);

/// Settings of an authority. Durations are written as `12h`, `2min`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Its name in tokens.
    pub issuer: String,
    /// Folder of its keys and leases.
    pub state: PathBuf,
    /// Host names and IP addresses at which it is reached, for its certificate.
    #[serde(default = "default_hosts")]
    pub hosts: Vec<String>,
    /// How long a person stays signed in, and how long a token that a person asks for lives. At
    /// most 12 hours.
    #[serde(default = "default_lease_lifetime", with = "humane")]
    pub lease_lifetime: Duration,
    /// How long a user token lives that a server gets in exchange. At most 2 minutes.
    #[serde(default = "default_user_token_lifetime", with = "humane")]
    pub user_token_lifetime: Duration,
    /// How long a join token waits for its server.
    #[serde(default = "default_join_lifetime", with = "humane")]
    pub join_lifetime: Duration,
    /// How long the certificate of a server is valid. It is renewed when two thirds of that are over.
    #[serde(default = "default_certificate_lifetime", with = "humane")]
    pub certificate_lifetime: Duration,
    /// Connections at a time; further ones are closed at once.
    #[serde(default = "default_connections")]
    pub connections: usize,
    /// Other identity providers whose people sign in here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub providers: Vec<ProviderSettings>,
}

impl Settings {
    /// The usual lifetimes: 12 hours signed in, 2 minutes for a token, an hour to join.
    pub fn new(listen: SocketAddr, issuer: &str, state: PathBuf) -> Self {
        Self {
            listen,
            issuer: issuer.to_owned(),
            state,
            hosts: default_hosts(),
            lease_lifetime: default_lease_lifetime(),
            user_token_lifetime: default_user_token_lifetime(),
            join_lifetime: default_join_lifetime(),
            certificate_lifetime: default_certificate_lifetime(),
            connections: default_connections(),
            providers: Vec::new(),
        }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.issuer.is_empty() || self.issuer.len() > 256 {
            return Err(unfit("issuer", "Give the mesh a name of 1 to 256 bytes."));
        }
        if self.connections == 0 {
            return Err(unfit("connections", "Allow at least one connection."));
        }
        check_lifetime("lease_lifetime", self.lease_lifetime, LONGEST_LEASE)?;
        check_lifetime(
            "user_token_lifetime",
            self.user_token_lifetime,
            LONGEST_USER_TOKEN,
        )?;
        check_lifetime("join_lifetime", self.join_lifetime, HOUR)?;
        check_lifetime("certificate_lifetime", self.certificate_lifetime, YEAR)
    }
}

fn check_lifetime(name: &str, value: Duration, longest: Duration) -> Result<(), Error> {
    if value >= Duration::from_secs(1) && value <= longest {
        return Ok(());
    }
    let longest = humantime::format_duration(longest);
    Err(unfit(name, &format!("Set it to between 1s and {longest}.")))
}

fn unfit(setting: &str, hint: &str) -> Error {
    let message = format!("the authority's setting `{setting}` is out of bounds");
    Error::new(ErrorKind::InvalidInput, code::SETTINGS, message).with_hint(hint)
}

fn default_hosts() -> Vec<String> {
    vec!["localhost".to_owned(), "127.0.0.1".to_owned()]
}

fn default_lease_lifetime() -> Duration {
    LONGEST_LEASE
}

fn default_user_token_lifetime() -> Duration {
    LONGEST_USER_TOKEN
}

fn default_join_lifetime() -> Duration {
    HOUR
}

fn default_certificate_lifetime() -> Duration {
    YEAR
}

fn default_connections() -> usize {
    1_024
}

mod humane {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&humantime::format_duration(*value))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(from)?;
        humantime::parse_duration(&text)
            .map_err(|_| D::Error::custom(format!("`{text}` is no duration such as `2min`")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: &str = "listen = '127.0.0.1:0'\nissuer = 'mesh'\nstate = 'state'\n";

    #[test]
    fn durations_are_written_for_people_and_have_defaults() {
        let text = format!("{SHORT}lease_lifetime = '8h'\n");
        let settings: Settings = toml::from_str(&text).expect("valid");
        assert_eq!(settings.lease_lifetime, Duration::from_secs(8 * 3_600));
        assert_eq!(settings.user_token_lifetime, Duration::from_secs(120));
        let again: Settings =
            toml::from_str(&toml::to_string(&settings).expect("writable")).expect("readable");
        assert_eq!(again, settings);
    }

    #[test]
    fn unknown_settings_are_refused() {
        assert!(toml::from_str::<Settings>(&format!("{SHORT}tls = false\n")).is_err());
    }

    #[test]
    fn lifetimes_beyond_the_longest_are_refused() {
        let usual = toml::from_str::<Settings>(SHORT).expect("valid");
        assert!(usual.check().is_ok());
        let day = Duration::from_secs(24 * 3_600);
        for unfit in [
            Settings {
                lease_lifetime: day,
                ..usual.clone()
            },
            Settings {
                user_token_lifetime: day,
                ..usual.clone()
            },
            Settings {
                user_token_lifetime: Duration::ZERO,
                ..usual.clone()
            },
            Settings {
                join_lifetime: day,
                ..usual.clone()
            },
            Settings {
                issuer: String::new(),
                ..usual.clone()
            },
        ] {
            assert_eq!(unfit.check().expect_err("unfit").code(), code::SETTINGS);
        }
    }
}
