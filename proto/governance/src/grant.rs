//! An owner's permission on a table.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::action::Action;
use crate::asker::Asker;
use crate::disclosure::KeyDisclosure;
use crate::flow_to::FlowTo;
use crate::id::TableRef;
use crate::limits::Limits;
use crate::principal::Principal;
use crate::timestamp::Timestamp;

/// Permission for one grantee to read one table.
///
/// The rows that it shows are those for which `row_filter` is true; the cells of a masked column
/// are seen only through the mask. It is held from `valid_from` until just before `valid_until`,
/// by those who ask for one of its purposes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// The owner's name for the grant; it appears in audit events and explanations.
    pub id: String,
    /// The table.
    pub table: TableRef,
    /// Who may read.
    pub grantee: Grantee,
    /// What the grantee may do with the rows.
    pub action: Action,
    /// Which columns.
    pub columns: Columns,
    /// A boolean SQL expression over the table's columns, evaluated on unmasked values.
    pub row_filter: Option<String>,
    /// How columns are masked, by column name.
    pub masks: BTreeMap<String, Mask>,
    /// What the rows may be used for; empty, for anything.
    pub purposes: BTreeSet<String>,
    /// Whether a purpose has to be named even where any will do. A federated policy asks for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub purpose_required: bool,
    /// The first moment at which it is held; absent, it is held at once.
    pub valid_from: Option<Timestamp>,
    /// The first moment at which it is no longer held; absent, it does not end.
    pub valid_until: Option<Timestamp>,
    /// Narrows what the product and its columns disclose as join keys; absent, it narrows nothing.
    pub key_disclosure: Option<KeyDisclosure>,
    /// Narrows where the product lets rows flow; absent, it narrows nothing.
    pub flow_to: Option<FlowTo>,
    /// How much may be read under it.
    pub limits: Limits,
}

impl Grant {
    /// All rows and columns of `table` for `grantee`, for any purpose and without an end.
    pub fn new(id: impl Into<String>, table: TableRef, grantee: Grantee) -> Self {
        Self {
            id: id.into(),
            table,
            grantee,
            action: Action::Select,
            columns: Columns::All,
            row_filter: None,
            masks: BTreeMap::new(),
            purposes: BTreeSet::new(),
            purpose_required: false,
            valid_from: None,
            valid_until: None,
            key_disclosure: None,
            flow_to: None,
            limits: Limits::default(),
        }
    }

    /// Whether the time of asking lies before, in or after the time of the grant.
    pub fn validity(&self, at: Timestamp) -> Validity {
        if self.valid_until.is_some_and(|until| at >= until) {
            Validity::Expired
        } else if self.valid_from.is_some_and(|from| at < from) {
            Validity::NotYet
        } else {
            Validity::Valid
        }
    }

    /// Whether rows read under it may be used for `purpose`. Who names none may use only what is
    /// granted for any, and that only where none has to be named.
    pub fn serves(&self, purpose: Option<&str>) -> bool {
        let named = purpose.filter(|purpose| !purpose.trim().is_empty());
        match self.purposes.is_empty() {
            true => named.is_some() || !self.purpose_required,
            false => named.is_some_and(|purpose| self.purposes.contains(purpose)),
        }
    }

    /// When it was given, to the millisecond, if it was given in SQL: its id tells.
    pub fn given_at(&self) -> Option<Timestamp> {
        let stamp = uuid::Uuid::parse_str(&self.id).ok()?.get_timestamp()?;
        let (seconds, nanos) = stamp.to_unix();
        let micros = seconds.checked_mul(1_000_000)?;
        let micros = micros.checked_add(u64::from(nanos / 1_000))?;
        Timestamp::from_micros(i64::try_from(micros).ok()?)
    }

    /// Whether `asker` may use it now.
    pub fn is_held_by(&self, asker: &Asker<'_>) -> bool {
        self.grantee.includes(asker.principal)
            && self.serves(asker.purpose)
            && self.validity(asker.at) == Validity::Valid
    }

    /// Whether it covers every one of `columns`.
    pub(crate) fn covers(&self, columns: &BTreeSet<String>) -> bool {
        columns.iter().all(|column| self.columns.contains(column))
    }
}

/// Where a moment lies relative to the time of a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Validity {
    /// Before it.
    NotYet,
    /// In it.
    Valid,
    /// After it.
    Expired,
}

/// Who a grant is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grantee {
    /// The principal with this subject.
    User(String),
    /// Every principal in this group.
    Group(String),
}

impl Grantee {
    /// Whether the grant is for `principal`.
    pub fn includes(&self, principal: &Principal) -> bool {
        match self {
            Self::User(subject) => *subject == principal.subject,
            Self::Group(group) => principal.groups.contains(group),
        }
    }
}

impl fmt::Display for Grantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(subject) => write!(f, "user {subject}"),
            Self::Group(group) => write!(f, "group {group}"),
        }
    }
}

/// The columns of a grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Columns {
    /// Every column that the contract declares.
    All,
    /// Only these.
    Only(BTreeSet<String>),
}

impl Columns {
    /// Whether `column` is among them.
    pub fn contains(&self, column: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(column),
        }
    }
}

/// How a cell is hidden. A mask keeps the column's type; NULL stays NULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mask {
    /// Every value becomes NULL. Any type.
    ReplaceWithNull,
    /// All but the last four characters become `X`. Text.
    #[serde(rename = "show-last-4")]
    ShowLast4,
    /// The SHA-256 digest of the UTF-8 bytes, as 64 hexadecimal digits. Text.
    #[serde(rename = "sha-256")]
    Sha256,
    /// The first day of the year. Dates and timestamps.
    TruncateToYear,
}

/// What the cells of a column are, as far as masks tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cells {
    /// Text.
    Text,
    /// Dates and timestamps.
    Time,
    /// Anything else.
    Other,
}

impl Mask {
    /// Whether it keeps the type of `cells`.
    pub fn fits(self, cells: Cells) -> bool {
        match self {
            Self::ReplaceWithNull => true,
            Self::ShowLast4 | Self::Sha256 => cells == Cells::Text,
            Self::TruncateToYear => cells == Cells::Time,
        }
    }
}

/// All masks with their names.
const MASKS: [(Mask, &str); 4] = [
    (Mask::ReplaceWithNull, "replace-with-null"),
    (Mask::ShowLast4, "show-last-4"),
    (Mask::Sha256, "sha-256"),
    (Mask::TruncateToYear, "truncate-to-year"),
];

/// A mask name that nobody knows.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "unknown mask `{0}`; known masks are replace-with-null, show-last-4, sha-256, truncate-to-year"
)]
pub struct UnknownMask(String);

impl FromStr for Mask {
    type Err = UnknownMask;

    fn from_str(text: &str) -> Result<Self, UnknownMask> {
        MASKS
            .iter()
            .find(|(_, name)| *name == text)
            .map(|(mask, _)| *mask)
            .ok_or_else(|| UnknownMask(text.to_owned()))
    }
}

impl fmt::Display for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = MASKS
            .iter()
            .find(|(mask, _)| mask == self)
            .map_or("", |(_, name)| *name);
        f.write_str(name)
    }
}

#[cfg(test)]
mod tests;
