//! Key reduction: the join keys of one domain's rows keep another domain from sending rows that
//! would find no partner.
//!
//! Every join between fragments allows keys to flow in one direction or the other. Which of them
//! do is decided for all fragments of a query together, since a fragment that was reduced has
//! fewer keys to reduce the next one by.

mod lineage;
mod schedule;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{NullEquality, Result};
use datafusion::logical_expr::{Expr, ExprSchemable, Join, JoinType, LogicalPlan};
use weft_governance::KeyDisclosure;
use weft_plan::KeySet;

use super::cut::{CutPlan, FragmentPlan};
use super::estimate::Estimate;
use lineage::{Place, source};

pub use lineage::leaves;
pub(super) use lineage::{disclosure, targets};

/// Join keys on their way from one fragment's rows to another fragment.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyFlow {
    /// The fragment whose rows hold the keys.
    pub from: u32,
    /// The columns of its answer that are the key.
    pub from_columns: Vec<usize>,
    /// The fragment that sends fewer rows for it.
    pub to: u32,
    /// The columns of its answer that the keys are compared with.
    pub to_columns: Vec<usize>,
    /// The types in which the two are compared.
    pub types: Vec<DataType>,
    /// Whether NULL is equal to NULL.
    pub nulls_equal: bool,
    /// How much of the keys may travel.
    pub disclosure: KeyDisclosure,
    /// What the fragment that is reduced is expected to send without these keys.
    pub unreduced: Unreduced,
}

/// Rows as they are expected without a reduction.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Unreduced {
    /// Bytes of the rows.
    pub bytes: f64,
    /// Different keys in them.
    pub keys: f64,
}

impl Unreduced {
    /// So many that every key is worth its way.
    const ENDLESS: Self = Self {
        bytes: f64::INFINITY,
        keys: f64::INFINITY,
    };

    /// Bytes that so many keys keep from being sent.
    pub fn spared_by(&self, keys: usize) -> f64 {
        let kept = (keys as f64 / self.keys.max(1.0)).min(1.0);
        self.bytes * (1.0 - kept)
    }
}

/// How the fragments of a query spare one another rows.
#[derive(Debug, Clone, Default)]
pub struct Reduction {
    /// The keys that flow. No fragment waits for its own keys, not even by way of others.
    pub flows: Vec<KeyFlow>,
    /// By ordinal: the rows that each reduced fragment is expected to send.
    pub rows: BTreeMap<u32, f64>,
    /// The keys that do not flow, each with the reason.
    pub refused: Vec<Refused>,
}

impl Reduction {
    /// The rows that `fragment` is expected to send.
    pub fn rows_of(&self, fragment: &FragmentPlan) -> f64 {
        let reduced = self.rows.get(&fragment.ordinal).copied();
        reduced.unwrap_or(fragment.estimate.rows)
    }
}

/// Keys of one fragment that could spare rows of another and do not flow.
#[derive(Debug, Clone, PartialEq)]
pub struct Refused {
    /// The fragment whose rows hold the keys.
    pub from: u32,
    /// The fragment that sends all its rows.
    pub to: u32,
    /// Why.
    pub reason: Reason,
}

/// Why keys do not flow.
#[derive(Debug, Clone, PartialEq)]
pub enum Reason {
    /// The join keeps rows without a partner.
    Kept(JoinType),
    /// The owner of the column discloses no keys, or less than the join would need.
    Undisclosed(String),
    /// The columns are compared in a way that keys cannot be.
    Compared,
    /// Keys flow the other way, which spares more.
    OtherWay,
    /// They would keep too many rows: the part of them, between 0 and 1.
    Keeps(f64),
    /// Several places of the query read the fragment.
    Shared,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept(join) => write!(f, "a {join} join keeps rows without a partner"),
            Self::Undisclosed(column) => {
                write!(f, "the owner does not disclose `{column}` as a join key")
            }
            Self::Compared => f.write_str("keys of these types cannot be compared in advance"),
            Self::OtherWay => f.write_str("keys flow the other way"),
            Self::Keeps(part) => {
                write!(
                    f,
                    "its keys would keep about {:.0} % of the rows",
                    part * 100.0
                )
            }
            Self::Shared => f.write_str("the rows are read in several places"),
        }
    }
}

/// Which keys flow between the fragments of `cut`: with `weigh` those that spare
/// more than they cost, otherwise as many as possible.
///
/// # Errors
/// If the plan is malformed.
pub(super) fn reduce(cut: &CutPlan, weigh: bool) -> Result<Reduction> {
    let mut whole = Reduction::default();
    // Those of scalars stand first, at the same place whatever becomes of the rest of the query.
    for part in cut.scalars.iter().chain([&cut.plan]) {
        let mut part = reduce_part(part, &cut.fragments, weigh)?;
        whole.flows.append(&mut part.flows);
        whole.rows.append(&mut part.rows);
        whole.refused.append(&mut part.refused);
    }
    Ok(whole)
}

/// The same for the fragments whose rows meet in `plan`.
fn reduce_part(
    plan: &LogicalPlan,
    fragments: &[Arc<FragmentPlan>],
    weigh: bool,
) -> Result<Reduction> {
    if fragments.len() < 2 {
        return Ok(Reduction::default());
    }
    let mut found = Found {
        leaves: lineage::leaves(plan)?,
        ..Found::default()
    };
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Join(join) = node {
            found.add_join(join, fragments)?;
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    // Rows that one reader has no use for, another may need.
    let mut possible = std::mem::take(&mut found.possible);
    let mut refused = std::mem::take(&mut found.refused);
    for flow in possible.extract_if(.., |flow| found.is_shared(flow.to)) {
        refused.push(flow.refused(Reason::Shared));
    }
    let mut reduction = schedule::schedule(possible, fragments, weigh);
    reduction.refused.append(&mut refused);
    Ok(reduction)
}

/// What the joins of a query allow.
#[derive(Default)]
struct Found {
    /// The fragments that the query reads, each as often as it is read.
    leaves: Vec<u32>,
    possible: Vec<KeyFlow>,
    refused: Vec<Refused>,
}

impl KeyFlow {
    /// Bytes that so many keys of rows like `from` take as a list.
    pub fn key_bytes(&self, keys: f64, from: &Estimate) -> f64 {
        let columns = self.from_columns.iter();
        let columns = columns.filter_map(|column| from.columns.get(*column));
        keys * columns.map(|column| column.width).sum::<f64>()
    }

    /// Whether sending so many keys, and setting `read` bytes of rows aside for them, would cost
    /// more than it spares.
    pub fn is_lost(&self, keys: usize, read: f64) -> bool {
        let spared = self.unreduced.spared_by(keys);
        spared <= 0.0 || read * schedule::SET_ASIDE > self.unreduced.bytes
    }

    fn refused(&self, reason: Reason) -> Refused {
        Refused {
            from: self.from,
            to: self.to,
            reason,
        }
    }
}

/// One equality of a join, as keys would flow along it.
struct Step {
    from: Place,
    to: Place,
    data_type: DataType,
}

impl Found {
    /// Whether several places of the query read the fragment.
    fn is_shared(&self, ordinal: u32) -> bool {
        let places = self.leaves.iter().filter(|leaf| **leaf == ordinal);
        places.count() > 1
    }

    fn add_join(&mut self, join: &Join, fragments: &[Arc<FragmentPlan>]) -> Result<()> {
        let nulls_equal = join.null_equality == NullEquality::NullEqualsNull;
        let (mut rightwards, mut leftwards) = (Vec::new(), Vec::new());
        for (left, right) in &join.on {
            let ends = (
                end(&join.left, left, nulls_equal)?,
                end(&join.right, right, nulls_equal)?,
            );
            match ends {
                (Some(left), Some(right)) if left.compared == right.compared => {
                    rightwards.extend(steps(&join.left, &left, &join.right, &right, nulls_equal)?);
                    leftwards.extend(steps(&join.right, &right, &join.left, &left, nulls_equal)?);
                }
                _ => self.incomparable(join, left, right, nulls_equal),
            }
        }
        let right = right_may_lack_partners(join.join_type) && !join.null_aware;
        let left = left_may_lack_partners(join.join_type) && !join.null_aware;
        for (steps, allowed) in [(rightwards, right), (leftwards, left)] {
            if allowed {
                self.add_steps(steps, nulls_equal, fragments)?;
            } else {
                self.refuse(&steps, &Reason::Kept(join.join_type));
            }
        }
        Ok(())
    }

    fn refuse(&mut self, steps: &[Step], reason: &Reason) {
        self.refused.extend(steps.iter().map(|step| Refused {
            from: step.from.fragment,
            to: step.to.fragment,
            reason: reason.clone(),
        }));
    }

    /// Notes that keys do not flow between two columns that are not compared as they are.
    fn incomparable(&mut self, join: &Join, left: &Expr, right: &Expr, nulls_equal: bool) {
        let place = |input: &LogicalPlan, expr: &Expr| {
            let column = expr.column_refs().into_iter().next()?;
            source(
                input,
                input.schema().maybe_index_of_column(column)?,
                nulls_equal,
            )
        };
        if let (Some(left), Some(right)) = (place(&join.left, left), place(&join.right, right)) {
            for (from, to) in [(left, right), (right, left)] {
                self.refused.push(Refused {
                    from: from.fragment,
                    to: to.fragment,
                    reason: Reason::Compared,
                });
            }
        }
    }

    /// Steps between the same two fragments make one key of several columns, as far as the owner
    /// lets whole keys travel.
    fn add_steps(
        &mut self,
        steps: Vec<Step>,
        nulls_equal: bool,
        fragments: &[Arc<FragmentPlan>],
    ) -> Result<()> {
        let mut together: BTreeMap<(u32, u32), KeyFlow> = BTreeMap::new();
        for Step {
            from,
            to,
            data_type,
        } in steps
        {
            let Some(fragment) = fragment(fragments, from.fragment) else {
                continue;
            };
            let disclosure = disclosure(&fragment.plan, from.column)?;
            let alone = KeyFlow {
                from: from.fragment,
                from_columns: vec![from.column],
                to: to.fragment,
                to_columns: vec![to.column],
                types: vec![data_type],
                nulls_equal,
                disclosure,
                unreduced: Unreduced::default(),
            };
            match disclosure {
                KeyDisclosure::List => match together.get_mut(&(alone.from, alone.to)) {
                    None => {
                        together.insert((alone.from, alone.to), alone);
                    }
                    // One column that is compared with two adds nothing but its own copy.
                    Some(flow)
                        if flow.from_columns.contains(&from.column)
                            || flow.to_columns.contains(&to.column) => {}
                    // Columns of two reads of a fragment come from different rows of it.
                    Some(_) if self.is_shared(from.fragment) => self.possible.push(alone),
                    Some(flow) => {
                        flow.from_columns.extend(alone.from_columns);
                        flow.to_columns.extend(alone.to_columns);
                        flow.types.extend(alone.types);
                    }
                },
                // Only lists know several columns, and NULL.
                KeyDisclosure::Range | KeyDisclosure::Bloom if !nulls_equal => {
                    self.possible.push(alone);
                }
                KeyDisclosure::None | KeyDisclosure::Range | KeyDisclosure::Bloom => {
                    let fields = fragment.output.fields();
                    let column = fields.get(from.column).map(|it| it.name().clone());
                    let reason = Reason::Undisclosed(column.unwrap_or_default());
                    self.refused.push(alone.refused(reason));
                }
            }
        }
        self.possible.extend(together.into_values());
        Ok(())
    }
}

/// Whether a row of the right side that has no partner leaves no trace in the join's answer.
fn right_may_lack_partners(join_type: JoinType) -> bool {
    match join_type {
        JoinType::Inner
        | JoinType::Left
        | JoinType::LeftSemi
        | JoinType::LeftAnti
        | JoinType::LeftMark
        | JoinType::RightSemi => true,
        JoinType::Right | JoinType::Full | JoinType::RightAnti | JoinType::RightMark => false,
    }
}

fn left_may_lack_partners(join_type: JoinType) -> bool {
    right_may_lack_partners(join_type.swap())
}

/// A side of an equality that is a column, as it stands or widened.
struct End {
    index: usize,
    compared: DataType,
}

fn end(input: &LogicalPlan, expr: &Expr, nulls_equal: bool) -> Result<Option<End>> {
    let schema = input.schema();
    let compared = expr.get_type(schema)?;
    let inner = match expr {
        Expr::Cast(cast) => cast.expr.as_ref(),
        expr => expr,
    };
    let Expr::Column(column) = inner else {
        return Ok(None);
    };
    let Some(index) = schema.maybe_index_of_column(column) else {
        return Ok(None);
    };
    let own = schema.field(index).data_type().clone();
    let fits = KeySet::supports(&own)
        && KeySet::supports(&compared)
        && is_widening(&own, &compared)
        // A value that has no place in the other type must not become a NULL that is a key.
        && (own == compared || !nulls_equal);
    Ok(fits.then_some(End { index, compared }))
}

/// Whether every value of `narrow` has a place of its own in `wide`.
fn is_widening(narrow: &DataType, wide: &DataType) -> bool {
    if narrow == wide || (narrow.is_string() && wide.is_string()) {
        return true;
    }
    match (digits(narrow), digits(wide)) {
        (Some((whole, fraction)), Some((more, finer))) => {
            let same_sign = !wide.is_unsigned_integer() || narrow.is_unsigned_integer();
            whole <= more && fraction <= finer && same_sign
        }
        _ => false,
    }
}

/// Digits before and after the point: those that a value may have, or, for integers, those that
/// every value of as many digits fits into.
fn digits(data_type: &DataType) -> Option<(i16, i16)> {
    let whole = match data_type {
        DataType::Int8 | DataType::UInt8 => 3,
        DataType::Int16 | DataType::UInt16 => 5,
        DataType::Int32 | DataType::UInt32 => 10,
        DataType::Int64 => 19,
        DataType::UInt64 => 20,
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => {
            let scale = i16::from(*scale);
            return Some((i16::from(*precision) - scale, scale));
        }
        _ => return None,
    };
    Some((whole, 0))
}

fn steps(
    from_plan: &LogicalPlan,
    from: &End,
    to_plan: &LogicalPlan,
    to: &End,
    nulls_equal: bool,
) -> Result<Vec<Step>> {
    let Some(source) = source(from_plan, from.index, nulls_equal) else {
        return Ok(Vec::new());
    };
    let found = targets(to_plan, to.index, nulls_equal)?;
    Ok(found
        .into_iter()
        .map(|target| Step {
            from: source,
            to: target,
            data_type: to.compared.clone(),
        })
        .collect())
}

fn fragment(fragments: &[Arc<FragmentPlan>], ordinal: u32) -> Option<&Arc<FragmentPlan>> {
    fragments.iter().find(|it| it.ordinal == ordinal)
}
