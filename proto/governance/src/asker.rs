//! Who asks, what for and when.

use crate::principal::Principal;
use crate::timestamp::Timestamp;

/// What a decision depends on beside the grants and the access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asker<'a> {
    /// Who asks.
    pub principal: &'a Principal,
    /// What the rows will be used for, if that was said.
    pub purpose: Option<&'a str>,
    /// The time of asking.
    pub at: Timestamp,
}

impl<'a> Asker<'a> {
    /// `principal` at the time `at`, who has named no purpose.
    pub fn new(principal: &'a Principal, at: Timestamp) -> Self {
        Self {
            principal,
            purpose: None,
            at,
        }
    }

    /// The same asker, for `purpose`.
    #[must_use]
    pub fn with_purpose(self, purpose: &'a str) -> Self {
        Self {
            purpose: Some(purpose),
            ..self
        }
    }
}
