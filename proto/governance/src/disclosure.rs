//! How much of a column's values may travel to another domain as join keys.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What of a column may be sent to another domain's node, so that it sends fewer rows itself.
///
/// Joining two domains discloses values of one to the node of the other. The owner says how much;
/// of what product, column and grant say, the narrowest holds.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum KeyDisclosure {
    /// Nothing.
    #[default]
    None,
    /// The least and the greatest value.
    Range,
    /// A Bloom filter of the values.
    Bloom,
    /// The values.
    List,
}

/// All of them with their names.
const NAMES: [(KeyDisclosure, &str); 4] = [
    (KeyDisclosure::None, "none"),
    (KeyDisclosure::Range, "range"),
    (KeyDisclosure::Bloom, "bloom"),
    (KeyDisclosure::List, "list"),
];

/// A word that means no disclosure.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("unknown key disclosure `{0}`; known are none, range, bloom, list")]
pub struct UnknownDisclosure(String);

impl FromStr for KeyDisclosure {
    type Err = UnknownDisclosure;

    fn from_str(text: &str) -> Result<Self, UnknownDisclosure> {
        NAMES
            .iter()
            .find(|(_, name)| *name == text)
            .map(|(disclosure, _)| *disclosure)
            .ok_or_else(|| UnknownDisclosure(text.to_owned()))
    }
}

impl fmt::Display for KeyDisclosure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES
            .iter()
            .find(|(disclosure, _)| disclosure == self)
            .map_or("", |(_, name)| *name);
        f.write_str(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrower_of_two_is_the_smaller() {
        assert!(KeyDisclosure::None < KeyDisclosure::Range);
        assert!(KeyDisclosure::Range < KeyDisclosure::Bloom);
        assert!(KeyDisclosure::Bloom < KeyDisclosure::List);
        assert_eq!(KeyDisclosure::default(), KeyDisclosure::None);
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for (disclosure, name) in NAMES {
            assert_eq!(disclosure.to_string().parse(), Ok(disclosure));
            assert_eq!(name.parse(), Ok(disclosure));
        }
        assert!("all".parse::<KeyDisclosure>().is_err());
    }
}
