//! Queries over a world, made by chance.
//!
//! Every query has one answer. An order names all output columns, so that ties are between rows
//! that are the same; windows that number rows order by all columns there are; doubles are summed in
//! quarters; nothing overflows, divides by zero or fails to cast.

mod aggregates;
mod expressions;
mod predicates;
mod relations;
mod scope;
mod windows;

use std::collections::BTreeSet;

use super::dice::Dice;
use super::query::{Body, Direction, Distinct, Expr, Group, Kind, Limit, Query, Select};
use super::world::World;
use scope::{Column, Scope};

/// How deeply queries nest.
const DEPTH: usize = 2;
/// At most so many columns are returned.
const WIDTH: usize = 5;

/// Makes queries.
pub(crate) struct Generator<'a> {
    dice: Dice,
    world: &'a World,
    /// Common tables that can be read where the generator is.
    shared: Vec<Shared>,
    /// Names given to columns so far. One name for a column and for one below it is refused.
    names: usize,
}

#[derive(Debug, Clone)]
struct Shared {
    name: String,
    columns: Vec<Column>,
    rows: usize,
}

/// What a query shall be like.
struct Wish<'a> {
    /// The kinds of its columns.
    kinds: Option<Vec<Kind>>,
    /// How many levels of queries may be inside it.
    depth: usize,
    /// What is around it: its columns can be used, and its names are taken.
    outer: Option<&'a Scope>,
}

/// A query and what comes out of it.
struct Made {
    query: Query,
    columns: Vec<Column>,
    rows: usize,
}

/// A SELECT and what comes out of it.
struct MadeSelect {
    select: Select,
    rows: usize,
}

impl<'a> Generator<'a> {
    pub(crate) fn new(dice: Dice, world: &'a World) -> Self {
        Self {
            dice,
            world,
            shared: Vec::new(),
            names: 0,
        }
    }

    /// A query.
    pub(crate) fn query(mut self) -> Query {
        let shared = match self.dice.chance(18) {
            true => 1 + self.dice.below(2),
            false => 0,
        };
        let mut tables = Vec::new();
        for number in 0..shared {
            let made = self.nested(&Wish::inside(DEPTH));
            let name = format!("w{number}");
            self.shared.push(Shared {
                name: name.clone(),
                columns: made.columns,
                rows: made.rows,
            });
            tables.push((name, made.query));
        }
        let mut query = self.body(&Wish::inside(DEPTH)).query;
        query.shared = tables;
        if self.dice.chance(60) {
            self.order(&mut query);
        }
        query
    }

    /// A query that stands in another; it may have a limit.
    fn nested(&mut self, wish: &Wish<'_>) -> Made {
        let mut made = self.body(wish);
        if self.dice.chance(12) && wish.outer.is_none() {
            self.order(&mut made.query);
            if let Some(limit) = made.query.limit {
                made.rows = made.rows.min(limit.rows);
            }
        }
        made
    }

    fn order(&mut self, query: &mut Query) {
        let width = query.body.width();
        query.order = (0..width)
            .map(|_| Direction {
                descending: self.dice.chance(40),
                nulls_first: self.dice.chance(50),
            })
            .collect();
        if self.dice.chance(60) {
            let rows = *self.dice.pick(&[1, 2, 3, 5, 5, 10, 10, 20, 20, 40]);
            query.limit = Some(Limit {
                rows: if self.dice.chance(3) { 0 } else { rows },
                skip: *self.dice.pick(&[0, 0, 0, 0, 0, 0, 1, 1, 3, 10]),
            });
        }
        // The order above says which of the rows is the first.
        if let Body::Select(select) = &mut query.body
            && select.distinct == Distinct::Nothing
            && !select.repeats_an_item()
            && self.dice.chance(15)
        {
            select.distinct = Distinct::On(1 + self.dice.below(width));
        }
    }

    fn body(&mut self, wish: &Wish<'_>) -> Made {
        let sides = self.dice.weighted(&[(86, 1), (11, 2), (3, 3)]);
        let first = self.select(wish);
        let columns = first.select.columns();
        let kinds: Vec<Kind> = columns.iter().map(|(_, kind)| *kind).collect();
        let mut rows = first.rows;
        let mut body = Body::Select(Box::new(first.select));
        for _ in 1..sides {
            let other = self.select(&Wish {
                kinds: Some(kinds.clone()),
                ..*wish
            });
            let operator = self.dice.weighted(&[
                (38, "UNION ALL"),
                (22, "UNION"),
                (10, "INTERSECT"),
                (8, "INTERSECT ALL"),
                (13, "EXCEPT"),
                (9, "EXCEPT ALL"),
            ]);
            rows += other.rows;
            let (mut left, mut right) = (body, Body::Select(Box::new(other.select)));
            if matches!(left, Body::Set { .. }) && self.dice.chance(50) {
                std::mem::swap(&mut left, &mut right);
            }
            body = Body::Set {
                operator,
                left: Box::new(left),
                right: Box::new(right),
            };
        }
        let names = body.first().columns();
        Made {
            query: Query::of(body),
            columns: names,
            rows,
        }
    }

    fn select(&mut self, wish: &Wish<'_>) -> MadeSelect {
        let (from, scope) = self.from(wish);
        let filter = self.filter(&scope, wish);
        let aggregate = self.dice.chance(35);
        let mut made = if aggregate {
            self.aggregate(&scope, wish)
        } else {
            self.plain(&scope, wish)
        };
        made.select.from = from;
        made.select.filter = filter;
        made
    }

    fn filter(&mut self, scope: &Scope, wish: &Wish<'_>) -> Option<Expr> {
        let terms = self.dice.weighted(&[(50, 0), (39, 1), (9, 2), (2, 3)]);
        let mut terms: Vec<Expr> = (0..terms)
            .map(|_| self.condition(scope, wish.depth))
            .collect();
        if let Some(outer) = wish.outer {
            terms.extend(self.correlation(scope, outer));
            self.dice.shuffle(&mut terms);
        }
        Expr::all(terms)
    }

    fn plain(&mut self, scope: &Scope, wish: &Wish<'_>) -> MadeSelect {
        let kinds = self.kinds(scope, wish);
        let items = kinds
            .iter()
            .map(|kind| match self.dice.below(100) {
                0..7 if wish.outer.is_none() => self.window(scope, *kind),
                7..11 if wish.outer.is_none() && wish.depth > 0 => {
                    self.looked_up(scope, *kind, wish.depth)
                }
                11..30 => self.scalar(scope, *kind, 2),
                _ => self.leaf(scope, *kind),
            })
            .collect();
        MadeSelect {
            rows: scope.rows,
            select: Select {
                distinct: self.distinct(15),
                items: self.named(items),
                ..Select::empty()
            },
        }
    }

    fn distinct(&mut self, percent: usize) -> Distinct {
        match self.dice.chance(percent) {
            true => Distinct::Rows,
            false => Distinct::Nothing,
        }
    }

    fn kinds(&mut self, scope: &Scope, wish: &Wish<'_>) -> Vec<Kind> {
        if let Some(kinds) = &wish.kinds {
            return kinds.clone();
        }
        let width = 1 + self.dice.below(WIDTH);
        (0..width)
            .map(|_| match scope.any(&mut self.dice) {
                Some(Expr::Column { kind, .. }) if self.dice.chance(90) => kind,
                _ => *self.dice.pick(&Kind::ALL),
            })
            .collect()
    }

    /// A name that no column has.
    fn name(&mut self) -> String {
        self.names += 1;
        format!("c{}", self.names)
    }

    /// `items` with names: often those of the columns that they are.
    fn named(&mut self, items: Vec<Expr>) -> Vec<(Expr, String)> {
        let mut taken = BTreeSet::new();
        let mut named = Vec::new();
        for item in items {
            let own = match &item {
                Expr::Column { name, .. } if self.dice.chance(70) => Some(name.clone()),
                _ => None,
            };
            let name = own.filter(|name| !taken.contains(name));
            let name = name.unwrap_or_else(|| self.name());
            taken.insert(name.clone());
            named.push((item, name));
        }
        named
    }
}

impl Wish<'_> {
    fn inside(depth: usize) -> Self {
        Self {
            kinds: None,
            depth,
            outer: None,
        }
    }
}

impl Body {
    /// The SELECT that gives the columns their names.
    pub(super) fn first(&self) -> &Select {
        match self {
            Self::Select(select) => select,
            Self::Set { left, .. } => left.first(),
        }
    }

    pub(super) fn width(&self) -> usize {
        self.first().items.len()
    }
}

impl Select {
    fn empty() -> Self {
        Self {
            distinct: Distinct::Nothing,
            items: Vec::new(),
            from: super::query::From::Named {
                name: String::new(),
                alias: String::new(),
            },
            filter: None,
            group: Group::Nothing,
            having: None,
        }
    }

    /// DataFusion 55.2 panics on DISTINCT ON if the order names an expression twice.
    fn repeats_an_item(&self) -> bool {
        let mut items = self.items.iter().enumerate();
        items.any(|(at, (item, _))| self.items.iter().take(at).any(|(other, _)| other == item))
    }

    fn columns(&self) -> Vec<Column> {
        let items = self.items.iter();
        items
            .map(|(item, name)| (name.clone(), item.kind()))
            .collect()
    }
}
