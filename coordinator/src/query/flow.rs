//! What crosses the boundary of a domain for a query.

use std::sync::Arc;

use weft_governance::{DomainId, TableRef};

use crate::execute::Counters;
use crate::plan::FragmentPlan;

/// The rows of one fragment on their way from its domain to the coordinator, counted as they come.
#[derive(Debug, Clone)]
pub struct Flow {
    /// The fragment, counted from 0 within its query.
    pub fragment: u32,
    /// Whose rows they are.
    pub source: DomainId,
    /// The tables that they are made of.
    pub tables: Vec<TableRef>,
    /// The columns that cross.
    pub columns: Vec<String>,
    /// What came so far.
    pub counters: Arc<Counters>,
}

impl Flow {
    /// The flow of `fragment`.
    pub(super) fn of(fragment: &FragmentPlan, counters: &Arc<Counters>) -> Self {
        let tables = fragment.tables.iter().map(|table| table.table().clone());
        let columns = fragment.output.fields().iter().map(|f| f.name().clone());
        Self {
            fragment: fragment.ordinal,
            source: fragment.site.domain.clone(),
            tables: tables.collect(),
            columns: columns.collect(),
            counters: Arc::clone(counters),
        }
    }
}
