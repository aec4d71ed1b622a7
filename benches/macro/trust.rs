//! What the owners let others see of their data, and what they let travel.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use thiserror::Error;

/// What the grants of the measured mesh hold back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grants {
    /// Nothing.
    Open,
    /// What [`crate::guard::GUARDS`] say.
    Guarded,
}

/// How much of join keys may travel to other domains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// The keys themselves.
    List,
    /// A Bloom filter of them.
    Bloom,
    /// The least and the greatest.
    Range,
    /// Nothing.
    None,
}

/// There are no such grants.
#[derive(Debug, Error)]
#[error("grants are `open` or `guarded`")]
pub struct NoSuchGrants;

/// Keys cannot be disclosed like this.
#[derive(Debug, Error)]
#[error("keys are disclosed as `list`, `bloom`, `range` or `none`")]
pub struct NoSuchKeys;

impl Grants {
    /// The name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Guarded => "guarded",
        }
    }
}

impl Keys {
    /// The name, as in a contract or a grant.
    pub fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Bloom => "bloom",
            Self::Range => "range",
            Self::None => "none",
        }
    }
}

impl FromStr for Grants {
    type Err = NoSuchGrants;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Open, Self::Guarded]
            .into_iter()
            .find(|grants| grants.name() == text)
            .ok_or(NoSuchGrants)
    }
}

impl FromStr for Keys {
    type Err = NoSuchKeys;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::List, Self::Bloom, Self::Range, Self::None]
            .into_iter()
            .find(|keys| keys.name() == text)
            .ok_or(NoSuchKeys)
    }
}

impl fmt::Display for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Grants {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl Serialize for Keys {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
