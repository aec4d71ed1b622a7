//! The side of a join whose rows are grouped, and what is asked of it.

use arrow::datatypes::DataType;
use datafusion::common::{Column, DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::Case;
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable, Join, JoinType, LogicalPlan, Operator, cast, lit, when,
};

use super::demand::{Bound, Demand, Found, Measure, Names, Partial, replace};
use super::merge::sum_type;
use super::total::is_strict;

/// A side of a join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

impl Side {
    /// This side of `join`, and the other.
    pub(super) fn of(self, join: &Join) -> (&LogicalPlan, &LogicalPlan) {
        self.in_order(&*join.left, &*join.right)
    }

    /// This side of an equality, and the other.
    pub(super) fn pair(self, (left, right): &(Expr, Expr)) -> (&Expr, &Expr) {
        self.in_order(left, right)
    }

    /// What belongs to this side and to the other from left to right, or the reverse.
    pub(super) fn in_order<T>(self, own: T, other: T) -> (T, T) {
        match self {
            Self::Left => (own, other),
            Self::Right => (other, own),
        }
    }

    /// Whether rows without a partner show up with NULL in the columns of this side.
    pub(super) fn is_padded(self, join: &Join) -> bool {
        match join.join_type {
            JoinType::Left => self == Self::Right,
            JoinType::Right => self == Self::Left,
            JoinType::Full => true,
            _ => false,
        }
    }
}

/// What is asked of one side of a join, so that an expression over the join's rows can be had from
/// the rows of that side once they are grouped. Its answers are expressions in which a column of its
/// own stands for each thing that was asked, until `fill` puts what was found there.
#[derive(Debug)]
pub(super) struct Asking<'a> {
    own: &'a DFSchema,
    joined: &'a DFSchema,
    padded: bool,
    names: &'a Names,
    keys: Vec<(Expr, Column)>,
    partials: Vec<(Partial, Column)>,
    bounds: Vec<Bound>,
}

impl<'a> Asking<'a> {
    /// Nothing is asked yet of `side` of `join`. `None` if a column could be of either side.
    pub(super) fn new(join: &'a Join, side: Side, names: &'a Names) -> Option<Self> {
        let (own, other) = side.of(join);
        let own = own.schema().as_ref();
        let apart = !other.schema().columns().iter().any(|it| own.has_column(it));
        apart.then_some(Self {
            own,
            joined: &join.schema,
            padded: side.is_padded(join),
            names,
            keys: Vec::new(),
            partials: Vec::new(),
            bounds: Vec::new(),
        })
    }

    pub(super) fn is_padded(&self) -> bool {
        self.padded
    }

    /// What was asked.
    pub(super) fn asked(&self) -> Demand {
        Demand {
            keys: self.keys.iter().map(|(key, _)| key.clone()).collect(),
            partials: self.partials.iter().map(|(it, _)| it.clone()).collect(),
            bounds: self.bounds.clone(),
        }
    }

    /// `answer` with what was found in place of what was asked.
    pub(super) fn fill(&self, answer: Expr, found: &Found) -> Result<Expr> {
        replace(answer, |column| {
            let keys = self.keys.iter().map(|(_, name)| name).zip(&found.keys);
            let partials = self.partials.iter().map(|(_, name)| name);
            let mut all = keys.chain(partials.zip(&found.partials));
            all.find(|(name, _)| *name == column)
                .map(|(_, found)| found.clone())
        })
    }

    /// The answers to the keys and to the partials of `demand`. `None` if this side cannot help with
    /// them.
    pub(super) fn demand(&mut self, demand: Demand) -> Result<Option<(Vec<Expr>, Vec<Expr>)>> {
        for bound in demand.bounds {
            self.bound(bound);
        }
        let keys = demand.keys.into_iter().map(|key| self.key(key));
        let keys = keys.collect::<Result<_>>()?;
        let mut partials = Vec::new();
        for partial in demand.partials {
            let Some(answer) = self.partial(partial)? else {
                return Ok(None);
            };
            partials.push(answer);
        }
        Ok(Some((keys, partials)))
    }

    /// Says how many values columns of this side can have together.
    pub(super) fn bound(&mut self, bound: Bound) {
        if bound.columns.iter().all(|it| self.share(it) == Share::All) {
            self.bounds.push(bound);
        }
    }

    /// `expr` itself, to be computed where the rows are grouped if that can be.
    pub(super) fn key(&mut self, expr: Expr) -> Result<Expr> {
        let whole = matches!(expr, Expr::Column(_)) || !self.padded;
        if whole && self.share(&expr) == Share::All {
            return Ok(self.ask_key(expr));
        }
        self.columns(expr)
    }

    /// `expr`, to be computed after the join.
    pub(super) fn columns(&mut self, expr: Expr) -> Result<Expr> {
        let columns: Vec<Column> = expr.column_refs().into_iter().cloned().collect();
        let mut asked = Vec::new();
        for column in columns.into_iter().filter(|it| self.own.has_column(it)) {
            let answer = self.ask_key(Expr::Column(column.clone()));
            asked.push((column, answer));
        }
        replace(expr, |column| {
            let asked = asked.iter().find(|(known, _)| known == column);
            asked.map(|(_, answer)| answer.clone())
        })
    }

    fn partial(&mut self, partial: Partial) -> Result<Option<Expr>> {
        let Partial { measure, filter } = partial;
        // A condition on rows without a partner is not for this side to judge.
        let (filter, gate) = match filter {
            Some(filter) if self.padded || self.share(&filter) != Share::All => {
                (None, Some(self.columns(filter)?))
            }
            filter => (filter, None),
        };
        let answer = match measure {
            Measure::Rows => Some(self.rows(filter)?),
            Measure::Count(expr) if self.measures(&expr) => {
                Some(self.ask(Measure::Count(expr), filter))
            }
            Measure::Count(expr) => {
                let rows = self.rows(filter)?;
                let counts = self.columns(expr)?.is_not_null();
                Some(when(counts, rows).end()?)
            }
            Measure::Least(expr) if self.measures(&expr) => {
                Some(self.ask(Measure::Least(expr), filter))
            }
            Measure::Greatest(expr) if self.measures(&expr) => {
                Some(self.ask(Measure::Greatest(expr), filter))
            }
            Measure::Least(expr) | Measure::Greatest(expr) => match filter {
                None => Some(self.columns(expr)?),
                Some(filter) => {
                    let (filter, expr) = (self.columns(filter)?, self.columns(expr)?);
                    Some(when(filter, expr).end()?)
                }
            },
            Measure::Sum(expr) => self.sum(expr, &filter)?,
        };
        Ok(match (gate, answer) {
            (Some(gate), Some(answer)) => Some(when(gate, answer).end()?),
            (_, answer) => answer,
        })
    }

    /// Whether a measure of `expr` can be taken before the join: it is about this side alone, and
    /// NULL in rows that the join adds.
    fn measures(&self, expr: &Expr) -> bool {
        self.share(expr) == Share::All && (!self.padded || is_strict(expr))
    }

    /// How many of the join's rows there are for a row of this side once it is grouped.
    fn rows(&mut self, filter: Option<Expr>) -> Result<Expr> {
        let rows = self.ask(Measure::Rows, filter);
        if self.padded {
            // A row without a partner on this side is one.
            return when(rows.clone().is_null(), lit(1_i64)).otherwise(rows);
        }
        Ok(rows)
    }

    /// The sum of `expr`, in its scale.
    fn sum(&mut self, expr: Expr, filter: &Option<Expr>) -> Result<Option<Expr>> {
        match self.share(&expr) {
            Share::All if self.measures(&expr) => {
                Ok(Some(self.ask(Measure::Sum(expr), filter.clone())))
            }
            Share::None => {
                let mut rows = self.rows(filter.clone())?;
                if filter.is_some() {
                    // A sum of no row is no zero.
                    let none = rows.clone().eq(lit(0_i64));
                    rows = when(none, lit(ScalarValue::Int64(None))).otherwise(rows)?;
                }
                times(expr, rows, self.joined)
            }
            Share::Some if !self.padded => self.mixed_sum(expr, filter),
            Share::All | Share::Some => Ok(None),
        }
    }

    /// The sum of what both sides have a part in, as long as it is linear in what is of this side.
    fn mixed_sum(&mut self, expr: Expr, filter: &Option<Expr>) -> Result<Option<Expr>> {
        let data_type = expr.get_type(self.joined)?;
        let decimal = matches!(data_type, DataType::Decimal128(..));
        match expr {
            Expr::Case(case) if case.expr.is_none() => {
                let Some(target) = sum_type(&data_type) else {
                    return Ok(None);
                };
                self.sum_of_case(case, filter, &target)
            }
            Expr::Negative(inner) if decimal => {
                let sum = self.sum(*inner, filter)?;
                Ok(sum.map(|sum| Expr::Negative(Box::new(sum))))
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if decimal => match op {
                Operator::Multiply => {
                    let (left, right) = match (self.share(&left), self.share(&right)) {
                        (Share::None, _) => (Some(*left), self.sum(*right, filter)?),
                        (_, Share::None) => (self.sum(*left, filter)?, Some(*right)),
                        _ => return Ok(None),
                    };
                    Ok(left.zip(right).map(|(left, right)| left * right))
                }
                Operator::Plus | Operator::Minus => {
                    // A row counts only if both terms are known.
                    let mut filter = filter.clone();
                    for term in [&left, &right] {
                        let Some(unknown) = self.may_be_null(term)? else {
                            return Ok(None);
                        };
                        let known = unknown.into_iter().map(Expr::is_not_null);
                        filter = filter.into_iter().chain(known).reduce(Expr::and);
                    }
                    let left = self.sum(*left, &filter)?;
                    let right = self.sum(*right, &filter)?;
                    Ok(left.zip(right).map(|(left, right)| match op {
                        Operator::Plus => left + right,
                        _ => left - right,
                    }))
                }
                _ => Ok(None),
            },
            _ => Ok(None),
        }
    }

    fn sum_of_case(
        &mut self,
        case: Case,
        filter: &Option<Expr>,
        target: &DataType,
    ) -> Result<Option<Expr>> {
        let mut branches = Vec::new();
        for (when, then) in case.when_then_expr {
            let when = self.columns(*when)?;
            let Some(then) = self.sum_of_branch(*then, filter, target)? else {
                return Ok(None);
            };
            branches.push((Box::new(when), Box::new(then)));
        }
        let otherwise = match case.else_expr {
            None => None,
            Some(otherwise) => match self.sum_of_branch(*otherwise, filter, target)? {
                Some(sum) => Some(Box::new(sum)),
                None => return Ok(None),
            },
        };
        Ok(Some(Expr::Case(Case::new(None, branches, otherwise))))
    }

    fn sum_of_branch(
        &mut self,
        expr: Expr,
        filter: &Option<Expr>,
        target: &DataType,
    ) -> Result<Option<Expr>> {
        let sum = match &expr {
            Expr::Literal(value, _) if value.is_null() => {
                return Ok(Some(lit(ScalarValue::try_from(target)?)));
            }
            // Without a condition there is a row at least, and a sum of zeros.
            Expr::Literal(value, _) if filter.is_none() && is_zero(value) => {
                return Ok(Some(lit(ScalarValue::new_zero(target)?)));
            }
            _ => self.sum(expr, filter)?,
        };
        Ok(sum.map(|sum| cast(sum, target.clone())))
    }

    /// The parts of this side in `expr` that may be NULL, and with them `expr`, if it is only NULL
    /// where a part of it is.
    fn may_be_null(&self, expr: &Expr) -> Result<Option<Vec<Expr>>> {
        match (self.share(expr), expr) {
            (Share::None, _) => Ok(Some(Vec::new())),
            (Share::All, _) => Ok(Some(match expr.nullable(self.own)? {
                true => vec![expr.clone()],
                false => Vec::new(),
            })),
            (Share::Some, Expr::Negative(inner)) => self.may_be_null(inner),
            (Share::Some, Expr::BinaryExpr(BinaryExpr { left, right, .. })) => {
                let (left, right) = (self.may_be_null(left)?, self.may_be_null(right)?);
                Ok(left.zip(right).map(|(left, right)| [left, right].concat()))
            }
            _ => Ok(None),
        }
    }

    fn share(&self, expr: &Expr) -> Share {
        let columns = expr.column_refs();
        let own = columns.iter().filter(|it| self.own.has_column(it)).count();
        match own {
            0 => Share::None,
            own if own == columns.len() => Share::All,
            _ => Share::Some,
        }
    }

    fn ask_key(&mut self, key: Expr) -> Expr {
        let known = self.keys.iter().find(|(known, _)| *known == key);
        let name = known.map(|(_, name)| name.clone()).unwrap_or_else(|| {
            let name = Column::new_unqualified(self.names.fresh());
            self.keys.push((key, name.clone()));
            name
        });
        Expr::Column(name)
    }

    fn ask(&mut self, measure: Measure, filter: Option<Expr>) -> Expr {
        let partial = Partial { measure, filter };
        let known = self.partials.iter().find(|(known, _)| *known == partial);
        let name = known.map(|(_, name)| name.clone()).unwrap_or_else(|| {
            let name = Column::new_unqualified(self.names.fresh());
            self.partials.push((partial, name.clone()));
            name
        });
        Expr::Column(name)
    }
}

/// How many of the columns of an expression are of one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Share {
    None,
    Some,
    All,
}

/// The sum of `rows` times `expr`, if it is the same as adding it up.
fn times(expr: Expr, rows: Expr, schema: &DFSchema) -> Result<Option<Expr>> {
    Ok(match expr.get_type(schema)? {
        DataType::Int64 => Some(expr * rows),
        // As many digits as the greatest number of rows has.
        DataType::Decimal128(..) => Some(expr * cast(rows, DataType::Decimal128(20, 0))),
        _ => None,
    })
}

fn is_zero(value: &ScalarValue) -> bool {
    ScalarValue::new_zero(&value.data_type()).is_ok_and(|zero| zero == *value)
}
