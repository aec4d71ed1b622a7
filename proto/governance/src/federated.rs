//! Rules that all domains of a mesh follow: a federated policy.
//!
//! Owns the text of a policy and what it makes of a grant. A policy takes away and never gives: what
//! [`FederatedPolicy::narrowing`] finds can only mask a cell, end a grant earlier, or ask for a
//! purpose. Who signs a policy, how it travels and when it is in force is not decided here.

mod change;
mod narrowing;
mod read;
mod selector;
mod span;

use std::collections::BTreeSet;
use std::fmt;

pub use change::{Change, changes};
pub use narrowing::{Bound, Covered, Narrowing};
pub use read::InvalidPolicy;
pub use selector::{ColumnSelector, LabelledColumn, LabelledTable, Labels, ProductSelector};
pub use span::{InvalidSpan, Span};

use crate::grant::Mask;

/// The most bytes that the text of a policy may have.
pub const LONGEST_DOCUMENT: usize = 64 << 10;

/// One version of the rules of a mesh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FederatedPolicy {
    /// From 1 on; a newer policy has a higher one.
    pub version: u64,
    /// The mesh that it is for: the issuer's name in its authority's tokens.
    pub mesh: String,
    /// For people.
    pub description: String,
    /// In the order of the text; no two have the same name. All of them hold.
    pub rules: Vec<Rule>,
}

/// What is demanded of the grants on some columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// What explanations call it.
    pub name: String,
    /// The columns, among those of `products`; absent, all of them.
    pub columns: Option<ColumnSelector>,
    /// The products; absent, all.
    pub products: Option<ProductSelector>,
    /// How the columns are shown unless a grant unmasks them.
    pub mask: Option<MaskDemand>,
    /// How long a grant that covers one of the columns is held.
    pub max_grant_duration: Option<Span>,
    /// Whether a grant that covers one of the columns is held only by who names a purpose.
    pub require_purpose: bool,
}

/// A mask, and who does without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaskDemand {
    /// The mask; a column whose type it does not fit shows NULL.
    pub mask: Mask,
    /// The purposes that unmask: every purpose of a grant has to be among them. Absent, any do;
    /// empty, none does.
    pub unmask_for: Option<BTreeSet<String>>,
}

impl FederatedPolicy {
    /// Reads the policy in `text`.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its line and column.
    pub fn parse(text: &str) -> Result<Self, InvalidPolicy> {
        read::policy(text)
    }
}

/// What tells one policy from another, also where its rules are of a newer version than this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyHead {
    /// As in [`FederatedPolicy`].
    pub version: u64,
    /// As in [`FederatedPolicy`].
    pub mesh: String,
}

impl PolicyHead {
    /// Reads version and mesh of the policy in `text` and nothing else.
    ///
    /// # Errors
    /// If the YAML cannot be read, or one of them is missing or malformed.
    pub fn parse(text: &str) -> Result<Self, InvalidPolicy> {
        read::head(text)
    }
}

impl fmt::Display for PolicyHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, mesh } = self;
        write!(f, "policy {version} of `{mesh}`")
    }
}

#[cfg(test)]
mod tests;
