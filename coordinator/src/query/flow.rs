//! What crosses the boundary of a domain for a query.

use std::sync::Arc;

use arrow::datatypes::Schema;
use weft_governance::{DomainId, KeyDisclosure, TableRef};

use super::run::QueryRun;
use crate::execute::Counters;
use crate::plan::{CutPlan, FragmentPlan, KeyFlow};

/// Data of one domain on its way to the coordinator, or by way of it to another domain.
#[derive(Debug, Clone)]
pub struct Flow {
    /// The fragment whose answer it is or whose answer it reduces, counted from 0 within its query.
    pub fragment: u32,
    /// Whose data it is.
    pub source: DomainId,
    /// Where it goes; absent for the coordinator.
    pub destination: Option<DomainId>,
    /// As what.
    pub form: FlowForm,
    /// The tables that it is made of.
    pub tables: Vec<TableRef>,
    /// The columns that cross.
    pub columns: Vec<String>,
    /// What has crossed so far.
    pub counters: Arc<Counters>,
}

/// In which form data crosses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlowForm {
    /// Rows.
    Rows,
    /// Join keys, as far as the owner discloses them.
    Keys(KeyDisclosure),
}

impl FlowForm {
    /// Its name in `system.runtime.flows`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Keys(KeyDisclosure::List) => "key list",
            Self::Keys(KeyDisclosure::Bloom) => "key bloom",
            Self::Keys(KeyDisclosure::Range) => "key range",
            Self::Keys(KeyDisclosure::None) => "no keys",
        }
    }
}

impl Flow {
    /// All flows of `cut`, in the order of the fragments that they belong to, with the counters of
    /// `run`.
    pub(super) fn all(cut: &CutPlan, run: &QueryRun) -> Vec<Self> {
        let mut flows = Vec::new();
        for fragment in &cut.fragments {
            let keys = cut.reduction.flows.iter().enumerate();
            for (index, flow) in keys.filter(|(_, flow)| flow.to == fragment.ordinal) {
                let from = cut.fragments.iter().find(|it| it.ordinal == flow.from);
                flows.extend(
                    from.map(|from| Self::of_keys(flow, from, fragment, run.key_counters(index))),
                );
            }
            flows.push(Self::of_rows(fragment, run.counters(fragment.ordinal)));
        }
        flows
    }

    fn of_rows(fragment: &FragmentPlan, counters: &Arc<Counters>) -> Self {
        let every = 0..fragment.output.fields().len();
        Self {
            fragment: fragment.ordinal,
            source: fragment.site.domain.clone(),
            destination: None,
            form: FlowForm::Rows,
            tables: tables(fragment),
            columns: columns(&fragment.output, every),
            counters: Arc::clone(counters),
        }
    }

    fn of_keys(
        flow: &KeyFlow,
        from: &FragmentPlan,
        to: &FragmentPlan,
        counters: &Arc<Counters>,
    ) -> Self {
        Self {
            fragment: to.ordinal,
            source: from.site.domain.clone(),
            destination: Some(to.site.domain.clone()),
            form: FlowForm::Keys(flow.disclosure),
            tables: tables(from),
            columns: columns(&from.output, flow.from_columns.iter().copied()),
            counters: Arc::clone(counters),
        }
    }
}

fn tables(fragment: &FragmentPlan) -> Vec<TableRef> {
    let tables = fragment.tables.iter();
    tables.map(|table| table.table().clone()).collect()
}

fn columns(schema: &Schema, indexes: impl Iterator<Item = usize>) -> Vec<String> {
    let fields = indexes.filter_map(|index| schema.fields().get(index));
    fields.map(|field| field.name().clone()).collect()
}
