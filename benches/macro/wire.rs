//! What crossed the boundary of a domain by the account of the kernel.

use super::Carried;

/// Bytes on all connections to a domain's node during a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wire {
    /// The domain.
    pub domain: String,
    /// To its node, and back.
    pub carried: Carried,
}

impl Wire {
    /// What was carried after `before`.
    #[must_use]
    pub fn since(self, before: &Self) -> Self {
        let Carried { there, back } = before.carried;
        Self {
            carried: Carried {
                there: self.carried.there.saturating_sub(there),
                back: self.carried.back.saturating_sub(back),
            },
            ..self
        }
    }
}
