//! The first rows of an order, on their way to becoming known, tell running fragments which rows are
//! of no use any more.
//!
//! Here is decided which fragments may be told. A condition on the first key of an order goes as far
//! down as one on a join key; what the value of a bound says of other domains' rows must be no more
//! than their owners let travel as the range of a join key.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchemaRef, Result, internal_err};
use datafusion::logical_expr::logical_plan::Extension;
use datafusion::logical_expr::{
    Expr, LogicalPlan, Sort, UserDefinedLogicalNode, UserDefinedLogicalNodeCore,
};
use weft_governance::KeyDisclosure;

use super::cut::{CutPlan, FragmentPlan};
use super::reduce::{disclosure, leaves, targets};
use super::ship::Alternative;

/// First rows of which the keys are kept while a query runs. Of more, none are.
const MOST_ROWS: usize = 10_000;
/// Bytes that a fragment has to be expected to send: fewer are on their way before a bound is.
const WORTHWHILE: f64 = (1 << 20) as f64;

/// What is known while an order with a limit is made, and whom it is told.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd)]
pub struct Tightening {
    /// The first column that is ordered by.
    pub column: usize,
    /// Whether its greatest values come first.
    pub descending: bool,
    /// Whether NULL comes before all values.
    pub nulls_first: bool,
    /// The rows that are asked for.
    pub rows: usize,
    /// The fragments that the values of the column come from.
    pub targets: Vec<Tightened>,
}

/// A fragment that need not send all of its rows, once some are known.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd)]
pub struct Tightened {
    /// Its place in the query.
    pub fragment: u32,
    /// The column of its answer that is compared.
    pub column: usize,
    /// The column's name.
    pub name: String,
}

/// Rows on their way to an order with a limit, seen by a [`Tightening`]. They pass as they are.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd)]
pub struct Tighten {
    input: Arc<LogicalPlan>,
    tightening: Arc<Tightening>,
}

impl Tighten {
    /// The one that `node` is.
    pub fn of(node: &dyn UserDefinedLogicalNode) -> Option<&Self> {
        node.as_any().downcast_ref()
    }

    /// What becomes known of the rows, and who is told.
    pub fn tightening(&self) -> &Arc<Tightening> {
        &self.tightening
    }
}

impl UserDefinedLogicalNodeCore for Tighten {
    fn name(&self) -> &str {
        "Tighten"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.input.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tighten: ")?;
        for (index, target) in self.tightening.targets.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            let Tightened { fragment, name, .. } = target;
            write!(f, "{separator}fragment #{fragment} by {name}")?;
        }
        Ok(())
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        match (exprs.is_empty(), <[LogicalPlan; 1]>::try_from(inputs)) {
            (true, Ok([input])) => Ok(Self {
                input: Arc::new(input),
                tightening: Arc::clone(&self.tightening),
            }),
            _ => internal_err!("rows that tighten fragments have one source"),
        }
    }
}

/// The fragments that orders in `plan` tell something.
///
/// # Errors
/// If the plan is malformed.
pub fn told(plan: &LogicalPlan) -> Result<Vec<Tightened>> {
    let mut told = Vec::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Extension(extension) = node
            && let Some(tighten) = Tighten::of(extension.node.as_ref())
        {
            told.extend(tighten.tightening.targets.iter().cloned());
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(told)
}

/// `cut`, in all forms that it may take, with the orders that tell its fragments something. With
/// `weigh` they tell those only that send much.
///
/// # Errors
/// If the plan is malformed.
pub(super) fn tighten(cut: CutPlan, weigh: bool) -> Result<CutPlan> {
    let plan = tightened(&cut, weigh)?;
    let alternative = match cut.alternative {
        Some(alternative) => {
            let Alternative {
                shipment,
                most,
                cut,
            } = *alternative;
            Some(Box::new(Alternative {
                shipment,
                most,
                cut: tighten(cut, weigh)?,
            }))
        }
        None => None,
    };
    Ok(CutPlan {
        plan,
        alternative,
        ..cut
    })
}

fn tightened(cut: &CutPlan, weigh: bool) -> Result<LogicalPlan> {
    if repeats(&cut.plan)? {
        return Ok(cut.plan.clone());
    }
    let listeners = Listeners {
        cut,
        leaves: leaves(&cut.plan)?,
        weigh,
    };
    let plan = cut.plan.clone().transform_down(|node| {
        let LogicalPlan::Sort(sort) = &node else {
            return Ok(Transformed::no(node));
        };
        let Some(tightening) = listeners.of(sort)? else {
            return Ok(Transformed::no(node));
        };
        let seen = Tighten {
            input: Arc::clone(&sort.input),
            tightening: Arc::new(tightening),
        };
        let input = Arc::new(LogicalPlan::Extension(Extension {
            node: Arc::new(seen),
        }));
        let sort = Sort {
            input,
            ..sort.clone()
        };
        Ok(Transformed::yes(LogicalPlan::Sort(sort)))
    })?;
    Ok(plan.data)
}

/// Which fragments of a query may be told.
struct Listeners<'a> {
    cut: &'a CutPlan,
    /// The fragments that the plan reads, each as often as it is read.
    leaves: Vec<u32>,
    weigh: bool,
}

impl Listeners<'_> {
    /// What `sort` tells, if it tells anybody anything.
    fn of(&self, sort: &Sort) -> Result<Option<Tightening>> {
        let (Some(rows), Some(first)) = (sort.fetch, sort.expr.first()) else {
            return Ok(None);
        };
        let Expr::Column(column) = &first.expr else {
            return Ok(None);
        };
        let schema = sort.input.schema();
        let Some(index) = schema.maybe_index_of_column(column) else {
            return Ok(None);
        };
        if !(1..=MOST_ROWS).contains(&rows) {
            return Ok(None);
        }
        let data_type = schema.field(index).data_type();
        // Where a lost partner shows up as NULL, that is one more row that comes last.
        let strict = first.nulls_first;
        let mut found = Vec::new();
        for place in targets(&sort.input, index, strict)? {
            let mut fragments = self.cut.fragments.iter();
            let Some(fragment) = fragments.find(|it| it.ordinal == place.fragment) else {
                continue;
            };
            let Some(field) = fragment.output.fields().get(place.column) else {
                continue;
            };
            if is_compared(data_type, field.data_type()) && self.may_know(fragment)? {
                found.push(Tightened {
                    fragment: place.fragment,
                    column: place.column,
                    name: field.name().clone(),
                });
            }
        }
        Ok((!found.is_empty()).then_some(Tightening {
            column: index,
            descending: !first.asc,
            nulls_first: first.nulls_first,
            rows,
            targets: found,
        }))
    }

    /// Whether it is of use to `fragment`, and the owners of all other rows let its node know.
    fn may_know(&self, fragment: &FragmentPlan) -> Result<bool> {
        let ordinal = fragment.ordinal;
        let readers = self.leaves.iter().filter(|it| **it == ordinal).count();
        let rows = self.cut.reduction.rows.get(&ordinal).copied();
        let rows = rows.unwrap_or(fragment.estimate.rows);
        if readers != 1 || (self.weigh && rows * fragment.estimate.width() < WORTHWHILE) {
            return Ok(false);
        }
        for other in &self.cut.fragments {
            if other.site.domain != fragment.site.domain && !is_disclosed(&other.plan)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Whether every column that `plan` reads may show its least and greatest value to other domains.
fn is_disclosed(plan: &LogicalPlan) -> Result<bool> {
    let mut disclosed = true;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(_) = node {
            let columns = node.schema().fields().len();
            // Of a table without columns the number of rows is read, which nobody lets travel.
            disclosed &= columns > 0;
            for column in 0..columns {
                disclosed &= disclosure(node, column)? >= KeyDisclosure::Range;
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(disclosed)
}

/// Whether `plan` may read its fragments more than once.
fn repeats(plan: &LogicalPlan) -> Result<bool> {
    let mut repeats = false;
    plan.apply_with_subqueries(|node| {
        repeats |= matches!(node, LogicalPlan::RecursiveQuery(_));
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(repeats)
}

/// Whether both sides order values of these types alike.
fn is_compared(here: &DataType, there: &DataType) -> bool {
    let same = here == there || (here.is_string() && there.is_string());
    let ordered = matches!(
        there,
        DataType::Boolean
            | DataType::Date32
            | DataType::Date64
            | DataType::Time32(_)
            | DataType::Time64(_)
            | DataType::Timestamp(..)
            | DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
    );
    same && (ordered || there.is_integer() || there.is_decimal() || there.is_string())
}
