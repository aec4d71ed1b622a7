//! FROM: tables, queries and joins.

use super::scope::{Relation, Scope};
use super::{Generator, Wish};
use crate::random::query::{Body, Expr, From, Kind, On, Query};

/// More rows than this are not joined.
const ROWS: usize = 20_000;

/// One input of a join.
struct Input {
    from: From,
    relations: Vec<Relation>,
    rows: usize,
}

impl Generator<'_> {
    pub(super) fn from(&mut self, wish: &Wish<'_>) -> (From, Scope) {
        let weights: &[(usize, usize)] = if wish.outer.is_some() {
            &[(75, 1), (25, 2)]
        } else if wish.depth < super::DEPTH {
            &[(50, 1), (40, 2), (10, 3)]
        } else {
            &[(12, 1), (40, 2), (29, 3), (13, 4), (6, 5)]
        };
        let inputs = self.dice.weighted(weights);
        // The names of what is around stay free for it; elsewhere the same names come again.
        let mut next = match wish.outer {
            Some(outer) => outer.next,
            None if self.dice.chance(25) => self.dice.below(3),
            None => 0,
        };
        let mut all = self.input(wish, &mut next);
        let mut added = 1;
        while added < inputs {
            added += 1;
            if wish.outer.is_none() && wish.depth > 0 && self.dice.chance(7) {
                all = self.lateral(all, wish, &mut next);
                continue;
            }
            let mut right = self.input(wish, &mut next);
            if added < inputs && self.dice.chance(15) {
                let further = self.input(wish, &mut next);
                right = self.join(right, further);
                added += 1;
            }
            all = self.join(all, right);
        }
        let scope = Scope {
            relations: all.relations,
            rows: all.rows,
            next,
        };
        (all.from, scope)
    }

    fn input(&mut self, wish: &Wish<'_>, next: &mut usize) -> Input {
        let alias = format!("t{next}");
        *next += 1;
        let which = self.dice.below(100);
        if which < 10 && wish.depth > 0 {
            let made = self.nested(&Wish::inside(wish.depth - 1));
            let query = Box::new(made.query);
            return Input {
                rows: made.rows,
                from: From::Derived {
                    query,
                    alias: alias.clone(),
                },
                relations: vec![Relation {
                    alias,
                    columns: made.columns,
                }],
            };
        }
        if which < 13 {
            return self.values(alias);
        }
        if which < 15 {
            return self.unnest(alias);
        }
        if which < 60 && !self.shared.is_empty() {
            let shared = self.dice.pick(&self.shared).clone();
            return Input {
                rows: shared.rows,
                from: From::Named {
                    name: shared.name,
                    alias: alias.clone(),
                },
                relations: vec![Relation {
                    alias,
                    columns: shared.columns,
                }],
            };
        }
        let table = self.dice.pick(&self.world.tables);
        let columns = table.columns.iter();
        Input {
            rows: table.rows.len(),
            from: From::Named {
                name: table.full_name(),
                alias: alias.clone(),
            },
            relations: vec![Relation {
                alias,
                columns: columns
                    .map(|column| (column.name.to_owned(), column.of.kind()))
                    .collect(),
            }],
        }
    }

    fn values(&mut self, alias: String) -> Input {
        let kinds = [("id", Kind::Int), ("name", Kind::Text), ("k", Kind::Int)];
        let columns = &kinds[..1 + self.dice.below(3)];
        let count = 1 + self.dice.below(4);
        let mut rows = Vec::new();
        for row in 0..count {
            let values = columns.iter().map(|(_, kind)| {
                // The first row says what type a column has.
                match row > 0 && self.dice.chance(15) {
                    true => "NULL".to_owned(),
                    false => self.literal(*kind).to_string(),
                }
            });
            rows.push(values.collect());
        }
        let columns: Vec<(String, Kind)> = columns
            .iter()
            .map(|(name, kind)| ((*name).to_owned(), *kind))
            .collect();
        Input {
            rows: count,
            from: From::Values {
                rows,
                columns: columns.iter().map(|(name, _)| name.clone()).collect(),
                alias: alias.clone(),
            },
            relations: vec![Relation { alias, columns }],
        }
    }

    fn unnest(&mut self, alias: String) -> Input {
        let (name, kind) = *self.dice.pick(&[
            ("id", Kind::Int),
            ("k", Kind::Int),
            ("name", Kind::Text),
            ("day", Kind::Day),
        ]);
        let count = 1 + self.dice.below(5);
        let members = (0..count).map(|_| self.literal(kind).to_string());
        Input {
            rows: count,
            from: From::Unnest {
                members: members.collect(),
                column: name.to_owned(),
                alias: alias.clone(),
            },
            relations: vec![Relation {
                alias,
                columns: vec![(name.to_owned(), kind)],
            }],
        }
    }

    /// `left` beside a query over its rows.
    fn lateral(&mut self, left: Input, wish: &Wish<'_>, next: &mut usize) -> Input {
        let alias = format!("t{next}");
        *next += 1;
        let outer = Scope {
            next: *next,
            ..Self::scope(&left)
        };
        let made = self.select(&Wish {
            kinds: None,
            depth: wish.depth - 1,
            outer: Some(&outer),
        });
        let mut relations = left.relations;
        relations.push(Relation {
            alias: alias.clone(),
            columns: made.select.columns(),
        });
        let (join, on) = self.dice.weighted(&[
            (60, ("CROSS JOIN", None)),
            (20, ("JOIN", Some("true"))),
            (20, ("LEFT JOIN", Some("true"))),
        ]);
        let query = Query::of(Body::Select(Box::new(made.select)));
        Input {
            rows: left.rows.saturating_mul(made.rows.max(1)) / 3,
            from: From::Join {
                join,
                left: Box::new(left.from),
                right: Box::new(From::Lateral {
                    query: Box::new(query),
                    alias,
                }),
                on: on.map_or(On::Nothing, |on| {
                    On::Condition(Expr::literal(on, Kind::Flag))
                }),
            },
            relations,
        }
    }

    fn join(&mut self, left: Input, right: Input) -> Input {
        let sides = (Self::scope(&left), Self::scope(&right));
        let product = left.rows.saturating_mul(right.rows);
        let join = self.dice.weighted(&[
            (38, "JOIN"),
            (24, "LEFT JOIN"),
            (8, "RIGHT JOIN"),
            (10, "FULL JOIN"),
            (5, "LEFT SEMI JOIN"),
            (5, "LEFT ANTI JOIN"),
            (5, "CROSS JOIN"),
        ]);
        let filters = matches!(join, "LEFT SEMI JOIN" | "LEFT ANTI JOIN");
        let (on, rows) = match self.equality(&sides.0, &sides.1) {
            _ if join == "CROSS JOIN" && product <= 2_000 => (On::Nothing, product),
            Some(_) if self.dice.chance(8) && !filters && product > 0 => {
                match self.using(&sides.0, &sides.1) {
                    Some(on) => (on, product / 3),
                    None => self.condition_on(&sides, product),
                }
            }
            _ => self.condition_on(&sides, product),
        };
        let join = match (join, &on) {
            ("CROSS JOIN", On::Condition(_) | On::Using(_)) => "JOIN",
            (join, _) => join,
        };
        let rows = rows.max(left.rows).max(right.rows);
        if rows > ROWS {
            return left;
        }
        let mut relations = left.relations;
        let rows = if filters {
            left.rows
        } else {
            relations.extend(right.relations);
            rows
        };
        Input {
            from: From::Join {
                join,
                left: Box::new(left.from),
                right: Box::new(right.from),
                on,
            },
            relations,
            rows,
        }
    }

    fn scope(input: &Input) -> Scope {
        Scope {
            relations: input.relations.clone(),
            rows: input.rows,
            next: 0,
        }
    }

    fn condition_on(&mut self, sides: &(Scope, Scope), product: usize) -> (On, usize) {
        let (left, right) = sides;
        let mut terms = Vec::new();
        let mut rows = product;
        // Without an equality, every pair of rows is looked at.
        if product > 1_000 || self.dice.chance(92) {
            let equalities = self.dice.weighted(&[(86, 1), (12, 2), (2, 3)]);
            for _ in 0..equalities {
                if let Some(equality) = self.equality(left, right) {
                    terms.push(equality);
                    rows /= 3;
                }
            }
        }
        if left.relations.len() > 1 && self.dice.chance(10) {
            terms.extend(self.twice(left, right));
        }
        if terms.is_empty() || self.dice.chance(12) {
            terms.extend(self.inequality(left, right));
        }
        if self.dice.chance(10) {
            let side = if self.dice.chance(50) { left } else { right };
            terms.push(self.simple(side));
        }
        if terms.is_empty() {
            terms.push(self.simple(left));
        }
        self.dice.shuffle(&mut terms);
        let condition = Expr::all(terms).expect("there is a term");
        (On::Condition(condition), rows)
    }

    /// An equality of a column on the left with one on the right; for the most part of keys.
    fn equality(&mut self, left: &Scope, right: &Scope) -> Option<Expr> {
        let (one, other) = self.pair(left, right)?;
        let flag = Kind::Flag;
        let both = vec![one.clone(), other.clone()];
        Some(match self.dice.below(100) {
            0..8 => Expr::form("{} IS NOT DISTINCT FROM {}", both, flag),
            8..12 if one.kind() == Kind::Int => Expr::form("({} + 1) = {}", both, flag),
            8..14 if one.kind() == Kind::Text => Expr::form("lower({}) = lower({})", both, flag),
            14..18 if one.kind() == Kind::Text => Expr::form("btrim({}) = {}", both, flag),
            14..20 => Expr::form(
                "coalesce({}, {}) = {}",
                vec![one.clone(), self.literal(one.kind()), other],
                flag,
            ),
            _ if self.dice.chance(50) => Expr::form("{} = {}", vec![other, one], flag),
            _ => Expr::form("{} = {}", both, flag),
        })
    }

    /// Two columns on the left that are compared with one on the right. Where they are equal by a join
    /// on the left, one comparison says both.
    fn twice(&mut self, left: &Scope, right: &Scope) -> Vec<Expr> {
        let Some((one, other)) = self.pair(left, right) else {
            return Vec::new();
        };
        let again = (0..4).find_map(|_| {
            let again = left.like(&mut self.dice, other.kind())?;
            (again != one && self.dice.chance(weight(&again))).then_some(again)
        });
        let equal = |column| Expr::form("{} = {}", vec![column, other.clone()], Kind::Flag);
        [one].into_iter().chain(again).map(equal).collect()
    }

    fn inequality(&mut self, left: &Scope, right: &Scope) -> Option<Expr> {
        let (one, other) = self.pair(left, right)?;
        let form = *self
            .dice
            .pick(&["{} < {}", "{} >= {}", "{} <> {}", "{} IS DISTINCT FROM {}"]);
        Some(Expr::form(form, vec![one, other], Kind::Flag))
    }

    fn using(&mut self, left: &Scope, right: &Scope) -> Option<On> {
        let [right] = right.relations.as_slice() else {
            return None;
        };
        // A name that stands once on each side.
        let names = left.relations.iter().flat_map(|it| &it.columns);
        let names: Vec<&(String, Kind)> = names.collect();
        let once =
            |column: &(String, Kind)| names.iter().filter(|it| it.0 == column.0).count() == 1;
        let same = right.columns.iter().filter(|column| {
            once(column)
                && names
                    .iter()
                    .any(|it| it.0 == column.0 && it.1.meets(column.1))
        });
        let mut same: Vec<String> = same.map(|(name, _)| name.clone()).collect();
        self.dice.shuffle(&mut same);
        same.truncate(1 + self.dice.below(2));
        (!same.is_empty()).then_some(On::Using(same))
    }

    /// Two columns that can be compared; for the most part keys, of which most meet some.
    pub(super) fn pair(&mut self, left: &Scope, right: &Scope) -> Option<(Expr, Expr)> {
        for _ in 0..8 {
            let one = left.any(&mut self.dice)?;
            if !self.dice.chance(weight(&one)) {
                continue;
            }
            for _ in 0..4 {
                let Some(other) = right.like(&mut self.dice, one.kind()) else {
                    break;
                };
                if self.dice.chance(weight(&other)) {
                    return Some((one, other));
                }
            }
        }
        let one = left.any(&mut self.dice)?;
        let other = right.like(&mut self.dice, one.kind())?;
        Some((one, other))
    }
}

/// In how many of a hundred cases a column is joined on.
fn weight(column: &Expr) -> usize {
    match column {
        Expr::Column { name, .. } => match name.as_str() {
            "id" | "k" | "n" => 100,
            "name" | "code" => 40,
            _ => 12,
        },
        _ => 0,
    }
}
