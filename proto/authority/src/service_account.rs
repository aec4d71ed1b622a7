//! Machine users: notebooks and pipelines that sign in with a secret that the authority made.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use weft_governance::{Error, ErrorKind, Principal, code};

use crate::office::ADMINS;

/// Services are called `NAME@service` in grants and logs.
pub(crate) const SUFFIX: &str = "service";
/// A secret lives this long unless something else is said.
const USUAL: Duration = Duration::from_secs(90 * 24 * 3_600);
/// No secret lives longer.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3_600);
/// Bytes of a name, of a group's, of an attribute.
const LONGEST_NAME: usize = 200;
/// Groups and attributes of one service.
const MOST: usize = 50;

/// A service as it is kept, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) groups: BTreeSet<String>,
    pub(crate) attributes: BTreeMap<String, String>,
    /// When its secret ends.
    pub(crate) expires_at: SystemTime,
}

impl Service {
    /// Checks what an administrator wants.
    pub(crate) fn new(
        name: String,
        groups: BTreeSet<String>,
        attributes: BTreeMap<String, String>,
        expires_at: SystemTime,
    ) -> Result<Self, Error> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(plain) {
            return Err(unfit(
                "the name of a service is letters, digits, `-`, `_` and `.`",
            ));
        }
        let texts = groups
            .iter()
            .chain(attributes.iter().flat_map(|(k, v)| [k, v]));
        let usable = |text: &String| {
            !text.is_empty() && text.len() <= LONGEST_NAME && !text.chars().any(char::is_control)
        };
        if groups.len() + attributes.len() > MOST || !texts.into_iter().all(usable) {
            return Err(unfit(
                "a group or an attribute of the service is unusable, or there are too many",
            ));
        }
        if groups.contains(ADMINS) {
            return Err(unfit("a service is not in `mesh-admins`")
                .with_hint("Administrators are people, who sign in for what they change."));
        }
        Ok(Self {
            name,
            groups,
            attributes,
            expires_at,
        })
    }

    /// Who it is in tokens of the mesh `issuer`.
    pub(crate) fn principal(self, issuer: &str) -> Principal {
        Principal {
            issuer: issuer.to_owned(),
            subject: subject(&self.name),
            groups: self.groups,
            attributes: self.attributes,
        }
    }
}

/// What the service `name` is called in grants and logs.
pub(crate) fn subject(name: &str) -> String {
    format!("{name}@{SUFFIX}")
}

/// When a secret ends that is made `now` to live for `wanted` seconds; 0 for as long as usual.
///
/// # Errors
/// If that is longer than any may.
pub(crate) fn end(wanted: u64, now: SystemTime) -> Result<SystemTime, Error> {
    let lifetime = match wanted {
        0 => USUAL,
        seconds => Duration::from_secs(seconds),
    };
    if lifetime > LONGEST {
        return Err(unfit("the secret of a service lives at most 366 days"));
    }
    Ok(now + lifetime)
}

pub(crate) fn unfit(message: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, code::SETTINGS, message)
}
