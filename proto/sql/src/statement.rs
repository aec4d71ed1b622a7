//! The statements that Weft knows.

use sqlparser::ast;

use weft_governance::QueryId;

use crate::govern::Govern;

/// A statement, parsed and within the caps.
#[derive(Debug, Clone, PartialEq)]
pub enum Statement {
    /// Anything that yields rows of tables.
    Query(Box<ast::Query>),
    /// How a query would run, or did run.
    Explain(Explain, Box<ast::Query>),
    /// Where short names start: `USE sales` or `USE sales.orders`. Empty: back to the default.
    Use(Vec<String>),
    /// What there is.
    Show(Show),
    /// A session setting and its value as written.
    Set {
        /// Lower-case name.
        name: String,
        /// The value, unquoted.
        value: String,
    },
    /// Ends a query that runs: `KILL QUERY '…'`.
    Kill(QueryId),
    /// Who is granted what, who asks for it, and what was done under it.
    Govern(Box<Govern>),
}

/// What an EXPLAIN asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Explain {
    /// The plan and its fragments.
    Plan,
    /// The plan, the fragments, and what crossed each boundary.
    Analyze,
    /// What would cross each boundary, and why.
    Flow,
    /// What did cross each boundary, and why.
    AnalyzeFlow,
    /// Which grants would decide, what they would hide, and what is not granted.
    Access,
}

impl Explain {
    /// Whether the query runs.
    pub fn runs(self) -> bool {
        match self {
            Self::Analyze | Self::AnalyzeFlow => true,
            Self::Plan | Self::Flow | Self::Access => false,
        }
    }
}

/// What a SHOW asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Show {
    /// Domains.
    Catalogs,
    /// Data products, of one domain if named.
    Schemas(Vec<String>),
    /// Tables, of one domain or product if named.
    Tables(Vec<String>),
    /// The columns of a table.
    Columns(ast::ObjectName),
    /// What is known of the rows of a table.
    Statistics(ast::ObjectName),
}
