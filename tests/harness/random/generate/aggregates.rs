//! GROUP BY, HAVING and what is counted and summed.

use super::scope::Scope;
use super::{Generator, MadeSelect, WIDTH, Wish};
use crate::random::query::{Expr, Group, Kind, Select};

impl Generator<'_> {
    pub(super) fn aggregate(&mut self, scope: &Scope, wish: &Wish<'_>) -> MadeSelect {
        let by = self.grouped_by(scope);
        let kinds = match &wish.kinds {
            Some(kinds) => kinds.clone(),
            None => {
                let more = 1 + self.dice.below(WIDTH - by.len());
                let counted = (0..more).map(|_| {
                    let column = scope.any(&mut self.dice);
                    column.map_or(Kind::Int, |column| column.kind())
                });
                let counted: Vec<Kind> = counted.collect();
                by.iter().map(Expr::kind).chain(counted).collect()
            }
        };
        let mut unused = by.clone();
        let items: Vec<Expr> = kinds
            .iter()
            .map(|kind| {
                let same = unused.iter().position(|expr| expr.kind() == *kind);
                match same {
                    Some(same) if self.dice.chance(90) => unused.remove(same),
                    _ => self.aggregated_item(scope, &by, *kind),
                }
            })
            .collect();
        let having = self.dice.chance(20).then(|| {
            let kind = *self
                .dice
                .pick(&[Kind::Int, Kind::Int, Kind::Decimal, Kind::Text]);
            let aggregate = self.aggregated(scope, kind);
            let form = *self
                .dice
                .pick(&["{} > {}", "{} <= {}", "{} <> {}", "{} IS NOT NULL"]);
            let mut operands = vec![aggregate];
            if form.matches("{}").count() == 2 {
                operands.push(self.literal(kind));
            }
            Expr::form(form, operands, Kind::Flag)
        });
        let group = self.group(by);
        MadeSelect {
            rows: match group {
                Group::Nothing => 1,
                _ => scope.rows,
            },
            select: Select {
                distinct: self.distinct(6),
                items: self.named(items),
                group,
                having,
                ..Select::empty()
            },
        }
    }

    fn grouped_by(&mut self, scope: &Scope) -> Vec<Expr> {
        let count = self.dice.weighted(&[(20, 0), (40, 1), (28, 2), (12, 3)]);
        let mut by: Vec<Expr> = Vec::new();
        for _ in 0..count {
            let Some(column) = scope.any(&mut self.dice) else {
                break;
            };
            let kind = column.kind();
            let expr = match kind {
                Kind::Int if self.dice.chance(12) => Expr::form("({} % 3)", vec![column], kind),
                Kind::Text if self.dice.chance(15) => Expr::form("upper({})", vec![column], kind),
                Kind::Moment if self.dice.chance(30) => {
                    Expr::form("date_trunc('day', {})", vec![column], kind)
                }
                _ => column,
            };
            if !by.contains(&expr) {
                by.push(expr);
            }
        }
        by
    }

    fn group(&mut self, by: Vec<Expr>) -> Group {
        if by.is_empty() {
            return Group::Nothing;
        }
        match self.dice.below(100) {
            0..7 => Group::Ladder("ROLLUP", by),
            7..12 => Group::Ladder("CUBE", by),
            12..20 => {
                let sets = 1 + self.dice.below(3);
                let mut sets: Vec<Vec<Expr>> = (0..sets)
                    .map(|_| {
                        let chosen = by.iter().filter(|_| self.dice.chance(50));
                        chosen.cloned().collect()
                    })
                    .collect();
                // Every expression of the list has to be in one of the sets.
                sets.push(by);
                Group::Sets(sets)
            }
            _ => Group::By(by),
        }
    }

    /// Something of `kind` that has one value in a group.
    fn aggregated_item(&mut self, scope: &Scope, by: &[Expr], kind: Kind) -> Expr {
        let aggregate = self.aggregated(scope, kind);
        let known = by.iter().find(|expr| expr.kind() == kind);
        match (self.dice.below(100), known) {
            (0..8, Some(known)) => {
                let operands = vec![known.clone(), aggregate];
                Expr::form("coalesce({}, {})", operands, kind)
            }
            (8..14, _) if kind == Kind::Int => {
                let other = self.aggregated(scope, kind);
                Expr::form("({} + {})", vec![aggregate, other], kind)
            }
            (14..20, _) if kind == Kind::Int && !by.is_empty() => {
                let partition = match by {
                    [first, _, ..] if self.dice.chance(60) => vec![first.clone()],
                    _ => Vec::new(),
                };
                let over = if partition.is_empty() {
                    "rank() OVER (ORDER BY {} DESC NULLS LAST)"
                } else {
                    "dense_rank() OVER (PARTITION BY {} ORDER BY {} NULLS FIRST)"
                };
                let operands = partition.into_iter().chain([aggregate]);
                Expr::form(over, operands.collect(), kind)
            }
            (20..26, _) => {
                let condition = self.having_flag(scope);
                let operands = vec![condition, aggregate, self.literal(kind)];
                Expr::form("CASE WHEN {} THEN {} ELSE {} END", operands, kind)
            }
            _ => aggregate,
        }
    }

    fn having_flag(&mut self, scope: &Scope) -> Expr {
        let count = self.aggregated(scope, Kind::Int);
        let limit = self.literal(Kind::Int);
        Expr::form("{} > {}", vec![count, limit], Kind::Flag)
    }

    /// An aggregate of `kind` over all rows of a group.
    pub(super) fn aggregated(&mut self, scope: &Scope, kind: Kind) -> Expr {
        let plain = self.plain_aggregate(scope, kind);
        if !self.dice.chance(18) {
            return plain;
        }
        let Expr::Form {
            form,
            mut operands,
            kind,
        } = plain
        else {
            return plain;
        };
        operands.push(self.predicate(scope, 0));
        Expr::form(format!("{form} FILTER (WHERE {{}})"), operands, kind)
    }

    fn plain_aggregate(&mut self, scope: &Scope, kind: Kind) -> Expr {
        let least_or_most = if self.dice.chance(50) {
            "min({})"
        } else {
            "max({})"
        };
        let (form, of) = match (kind, self.dice.below(100)) {
            (Kind::Int, 0..25) => return Expr::form("count(*)", Vec::new(), kind),
            (Kind::Int, 25..65) => {
                let form = if self.dice.chance(50) {
                    "count({})"
                } else {
                    "count(DISTINCT {})"
                };
                let kind = scope.any(&mut self.dice).map_or(kind, |it| it.kind());
                (form, kind)
            }
            (Kind::Int, 65..82) => ("sum({})", Kind::Int),
            (Kind::Decimal, 0..40) => ("sum({})", Kind::Decimal),
            (Kind::Decimal, 40..50) => ("sum(DISTINCT {})", Kind::Decimal),
            (Kind::Decimal, 50..70) => ("avg({})", Kind::Decimal),
            (Kind::Double, 0..30) => ("avg({})", Kind::Int),
            (Kind::Double, 30..45) => ("avg({})", Kind::Double),
            (Kind::Double, 45..75) => ("sum({})", Kind::Double),
            (Kind::Flag, 0..50) => ("bool_and({})", Kind::Flag),
            (Kind::Flag, _) => ("bool_or({})", Kind::Flag),
            _ => (least_or_most, kind),
        };
        let operand = match self.dice.chance(12) {
            true => self.scalar(scope, of, 1),
            false => self.leaf(scope, of),
        };
        Expr::form(form, vec![operand], kind)
    }
}
