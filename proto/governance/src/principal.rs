//! Who asks.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The group of those who run the mesh: they sign people in for others, disable them, and end their
/// queries. They have no rights on data.
pub const ADMINS: &str = "mesh-admins";

/// A person or service, as an issuer vouches for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Principal {
    /// The authority that signed the principal in.
    pub issuer: String,
    /// The principal's name at that issuer.
    pub subject: String,
    /// Groups at the time of the token.
    pub groups: BTreeSet<String>,
    /// Further claims, by name.
    pub attributes: BTreeMap<String, String>,
}

impl Principal {
    /// Whether it is one of those who run the mesh.
    pub fn is_admin(&self) -> bool {
        self.groups.contains(ADMINS)
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.subject)
    }
}
