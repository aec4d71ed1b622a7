//! What crosses the boundary of a domain for a query.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::LogicalPlan;
use weft_governance::{DomainId, KeyDisclosure, TableRef};

use super::run::QueryRun;
use crate::execute::Counters;
use crate::plan::{
    CutPlan, FragmentPlan, KeyFlow, LiteralFlow, Question, RemoteFragment, Tightened, told,
};

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
    /// What it is for: the operator that takes it in.
    pub operator: String,
    /// What is expected.
    pub expected: Expected,
    /// The grants that allow it.
    pub grants: Vec<String>,
    /// Why less does not cross, where something could have spared more.
    pub alternatives: Vec<String>,
    /// What has crossed so far.
    pub counters: Arc<Counters>,
}

/// Rows and bytes to be expected, inexact.
#[derive(Debug, Clone, Copy, Default)]
pub struct Expected {
    /// Rows, or keys.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// In which form data crosses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlowForm {
    /// Rows.
    Rows,
    /// Join keys, as far as the owner discloses them.
    Keys(KeyDisclosure),
    /// The value of a scalar subquery.
    Literal,
    /// Rows that the other domain joins with its own.
    Shipment,
    /// The last of the first rows of an order that they are in, as a value of the other domain.
    Bound,
    /// How many rows meet conditions, asked while the query was planned.
    Estimate,
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
            Self::Literal => "literal",
            Self::Shipment => "shipped rows",
            Self::Bound => "bound",
            Self::Estimate => "estimate",
        }
    }
}

impl Flow {
    /// All flows of `cut`, in the order of the fragments that they belong to, with the counters of
    /// `run` if it runs, after what was asked before it.
    ///
    /// # Errors
    /// If the plan is malformed.
    pub(super) fn all(cut: &CutPlan, run: Option<&QueryRun>) -> Result<Vec<Self>> {
        let mut operators = operators(&cut.plan)?;
        for scalar in &cut.scalars {
            operators.append(&mut self::operators(scalar)?);
        }
        for shipment in &cut.shipments {
            if let Some(to) = cut.fragment(shipment.to) {
                let onward = format!("sent on to {}", to.site.domain);
                operators.insert(shipment.from, onward);
            }
        }
        let told = told(&cut.plan)?;
        let mut flows = run.map_or_else(Vec::new, |run| run.asked().to_vec());
        for fragment in &cut.fragments {
            for (index, flow) in cut.reduction.flows.iter().enumerate() {
                let from = cut.fragment(flow.from);
                if let Some(from) = from.filter(|_| flow.to == fragment.ordinal) {
                    let counters = run.map(|run| Arc::clone(run.key_counters(index)));
                    flows.push(Self {
                        counters: counters.unwrap_or_default(),
                        ..Self::of_keys(flow, from, fragment)
                    });
                }
            }
            for (index, literal) in cut.literals.iter().enumerate() {
                let from = cut.fragment(literal.from);
                if let Some(from) = from.filter(|_| literal.to == fragment.ordinal) {
                    let counters = run.map(|run| Arc::clone(run.literal_counters(index)));
                    flows.push(Self {
                        counters: counters.unwrap_or_default(),
                        ..Self::of_literal(cut, literal, from, fragment)
                    });
                }
            }
            for shipment in cut.shipments.iter().filter(|it| it.to == fragment.ordinal) {
                if let Some(from) = cut.fragment(shipment.from) {
                    let counters = run.map(|run| run.shipment_counters(shipment.number));
                    flows.push(Self {
                        counters: counters.cloned().unwrap_or_default(),
                        ..Self::of_shipment(cut, from, fragment)
                    });
                }
            }
            for target in told.iter().filter(|it| it.fragment == fragment.ordinal) {
                let domain = &fragment.site.domain;
                let others = cut.fragments.iter();
                for from in others.filter(|it| it.site.domain != *domain) {
                    let counters = run.map(|run| Arc::clone(run.bound_counters(target.fragment)));
                    flows.push(Self {
                        counters: counters.unwrap_or_default(),
                        ..Self::of_bound(target, from, fragment)
                    });
                }
            }
            let operator = operators.get(&fragment.ordinal).cloned();
            let counters = run.map(|run| Arc::clone(run.counters(fragment.ordinal)));
            flows.push(Self {
                operator: operator.unwrap_or_default(),
                counters: counters.unwrap_or_default(),
                ..Self::of_rows(cut, fragment)
            });
        }
        Ok(flows)
    }

    /// The answer to `question`, which `run` asks. Nothing crosses if the answer is known.
    pub(super) fn of_question(question: &Question, run: &QueryRun) -> Self {
        let conditions = question.conditions.iter().map(ToString::to_string);
        let conditions: Vec<_> = conditions.collect();
        Self {
            form: FlowForm::Estimate,
            columns: question.columns(),
            operator: format!("share of the rows with {}", conditions.join(", ")),
            counters: Arc::clone(run.counters(question.fragment.ordinal)),
            ..Self::of_rows(&question.cut, &question.fragment)
        }
    }

    fn of_rows(cut: &CutPlan, fragment: &FragmentPlan) -> Self {
        let every = 0..fragment.output.fields().len();
        let rows = cut.reduction.rows_of(fragment);
        let mut alternatives: BTreeSet<String> = cut
            .reduction
            .refused
            .iter()
            .filter(|it| it.to == fragment.ordinal)
            .filter_map(|it| {
                let from = cut.fragment(it.from)?;
                Some(format!("no keys of {}: {}", from.site.domain, it.reason))
            })
            .collect();
        let unshipped = cut.unshipped.iter();
        let unshipped = unshipped.filter(|it| it.from == fragment.ordinal);
        alternatives.extend(unshipped.map(|it| format!("not sent on to {}: {}", it.to, it.reason)));
        Self {
            fragment: fragment.ordinal,
            source: fragment.site.domain.clone(),
            destination: None,
            form: FlowForm::Rows,
            tables: tables_behind(cut, fragment),
            columns: columns(&fragment.output, every),
            operator: String::new(),
            expected: Expected {
                rows: rows as u64,
                bytes: (rows * fragment.estimate.width()) as u64,
            },
            grants: grants(fragment),
            alternatives: alternatives.into_iter().collect(),
            counters: Arc::default(),
        }
    }

    fn of_keys(flow: &KeyFlow, from: &FragmentPlan, to: &FragmentPlan) -> Self {
        let compared = columns(&to.output, flow.to_columns.iter().copied());
        let keys = from.estimate.distinct(&flow.from_columns);
        Self {
            fragment: to.ordinal,
            source: from.site.domain.clone(),
            destination: Some(to.site.domain.clone()),
            form: FlowForm::Keys(flow.disclosure),
            tables: tables(from),
            columns: columns(&from.output, flow.from_columns.iter().copied()),
            operator: format!("only rows with {} among them", compared.join(", ")),
            expected: Expected {
                rows: keys as u64,
                bytes: flow.key_bytes(keys, &from.estimate) as u64,
            },
            grants: grants(from),
            alternatives: Vec::new(),
            counters: Arc::default(),
        }
    }

    fn of_shipment(cut: &CutPlan, from: &FragmentPlan, to: &FragmentPlan) -> Self {
        Self {
            fragment: to.ordinal,
            destination: Some(to.site.domain.clone()),
            form: FlowForm::Shipment,
            operator: format!("joined at {}", to.site.domain),
            alternatives: Vec::new(),
            ..Self::of_rows(cut, from)
        }
    }

    /// What the order that rows of `from` are in as well tells `to`.
    fn of_bound(target: &Tightened, from: &FragmentPlan, to: &FragmentPlan) -> Self {
        Self {
            fragment: to.ordinal,
            source: from.site.domain.clone(),
            destination: Some(to.site.domain.clone()),
            form: FlowForm::Bound,
            tables: tables(from),
            columns: vec![target.name.clone()],
            operator: format!("only rows that may be among the first by {}", target.name),
            expected: Expected { rows: 1, bytes: 8 },
            grants: grants(from),
            alternatives: Vec::new(),
            counters: Arc::default(),
        }
    }

    fn of_literal(
        cut: &CutPlan,
        literal: &LiteralFlow,
        from: &FragmentPlan,
        to: &FragmentPlan,
    ) -> Self {
        let scalar = cut.scalars.get(literal.scalar);
        let fields = scalar.map(|plan| plan.schema().fields());
        let columns = fields.into_iter().flatten().map(|it| it.name().clone());
        Self {
            fragment: to.ordinal,
            source: from.site.domain.clone(),
            destination: Some(to.site.domain.clone()),
            form: FlowForm::Literal,
            tables: tables(from),
            columns: columns.collect(),
            operator: format!("scalar_{}", literal.scalar),
            expected: Expected { rows: 1, bytes: 8 },
            grants: grants(from),
            alternatives: Vec::new(),
            counters: Arc::default(),
        }
    }
}

/// By fragment: the operator of the coordinator that takes its rows in.
fn operators(plan: &LogicalPlan) -> Result<BTreeMap<u32, String>> {
    let mut operators = BTreeMap::new();
    if let Some(remote) = RemoteFragment::of(plan) {
        operators.insert(remote.fragment().ordinal, "answer".to_owned());
    }
    plan.apply_with_subqueries(|node| {
        for input in node.inputs() {
            if let Some(remote) = RemoteFragment::of(input) {
                let name = node.display().to_string();
                operators.entry(remote.fragment().ordinal).or_insert(name);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(operators)
}

/// The grants that the asker holds on what `fragment` reads, each with its product.
fn grants(fragment: &FragmentPlan) -> Vec<String> {
    let mut grants = BTreeSet::new();
    for table in &fragment.tables {
        let product = table.table().product();
        grants.extend(
            table
                .grants()
                .iter()
                .map(|grant| format!("{product}: {grant}")),
        );
    }
    grants.into_iter().collect()
}

/// The tables that the rows of `fragment` are made of, wherever they are.
fn tables_behind(cut: &CutPlan, fragment: &FragmentPlan) -> Vec<TableRef> {
    let mut behind = tables(fragment);
    for shipment in cut.shipments.iter().filter(|it| it.to == fragment.ordinal) {
        behind.extend(
            cut.fragment(shipment.from)
                .into_iter()
                .flat_map(|it| tables(it)),
        );
    }
    behind
}

fn tables(fragment: &FragmentPlan) -> Vec<TableRef> {
    let tables = fragment.tables.iter();
    tables.map(|table| table.table().clone()).collect()
}

fn columns(schema: &Schema, indexes: impl Iterator<Item = usize>) -> Vec<String> {
    let fields = indexes.filter_map(|index| schema.fields().get(index));
    fields.map(|field| field.name().clone()).collect()
}
