//! What a contract tells people of a column.

/// What a contract tells of a column that decides nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remark {
    /// What it holds.
    pub description: Option<String>,
    /// How confidential it is, in the owner's words.
    pub classification: Option<String>,
    /// What contracts refer to it by, beside its name.
    pub id: Option<String>,
}
