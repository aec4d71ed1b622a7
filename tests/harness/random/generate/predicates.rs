//! Conditions, those with queries in them too.

use super::scope::Scope;
use super::{Generator, Wish};
use crate::random::query::{Body, Expr, Group, Kind, Query, Select};

const COMPARISONS: [&str; 8] = [
    "{} = {}",
    "{} <> {}",
    "{} <> {}",
    "{} < {}",
    "{} <= {}",
    "{} > {}",
    "{} >= {}",
    "{} IS DISTINCT FROM {}",
];

const PATTERNS: [&str; 8] = ["a%", "%b", "%a%", "_", "", "%", "A_", "x\\_y"];

impl Generator<'_> {
    /// A condition in WHERE, with queries in it if `depth` allows.
    pub(super) fn condition(&mut self, scope: &Scope, depth: usize) -> Expr {
        if depth == 0 || !self.dice.chance(25) {
            return self.predicate(scope, 1);
        }
        let asked = self.asked(scope, depth);
        match self.dice.below(100) {
            0..15 => {
                let other = self.predicate(scope, 0);
                Expr::form("({} OR {})", vec![asked, other], Kind::Flag)
            }
            15..22 => Expr::form("(NOT {})", vec![asked], Kind::Flag),
            _ => asked,
        }
    }

    /// A condition without queries.
    pub(super) fn predicate(&mut self, scope: &Scope, depth: usize) -> Expr {
        if depth > 0 {
            match self.dice.below(100) {
                0..14 => return self.connected(scope, "({} OR {})", depth),
                14..22 => return self.connected(scope, "({} AND {})", depth),
                22..30 => {
                    let inner = self.predicate(scope, depth - 1);
                    return Expr::form("(NOT {})", vec![inner], Kind::Flag);
                }
                30..48 => return self.comparison(scope, depth),
                _ => {}
            }
        }
        self.simple(scope)
    }

    fn connected(&mut self, scope: &Scope, form: &str, depth: usize) -> Expr {
        let one = self.predicate(scope, depth - 1);
        let other = self.predicate(scope, depth - 1);
        Expr::form(form, vec![one, other], Kind::Flag)
    }

    fn comparison(&mut self, scope: &Scope, depth: usize) -> Expr {
        let kind = self.known_kind(scope);
        let one = self.scalar(scope, kind, depth);
        let other = self.scalar(scope, kind, depth);
        Expr::form(*self.dice.pick(&COMPARISONS), vec![one, other], Kind::Flag)
    }

    fn known_kind(&mut self, scope: &Scope) -> Kind {
        match scope.any(&mut self.dice) {
            Some(column) => column.kind(),
            None => *self.dice.pick(&Kind::ALL),
        }
    }

    /// A condition on one column.
    pub(super) fn simple(&mut self, scope: &Scope) -> Expr {
        let flag = Kind::Flag;
        let kind = self.known_kind(scope);
        let column = self.leaf(scope, kind);
        match self.dice.below(100) {
            0..8 => Expr::form("{} IS NULL", vec![column], flag),
            8..26 => Expr::form("{} IS NOT NULL", vec![column], flag),
            26..40 => {
                let mut operands = vec![column];
                for _ in 0..1 + self.dice.below(6) {
                    operands.push(self.literal(kind));
                }
                let places = vec!["{}"; operands.len() - 1].join(", ");
                let not = if self.dice.chance(35) { " NOT" } else { "" };
                Expr::form(format!("{{}}{not} IN ({places})"), operands, flag)
            }
            40..50 if kind != Kind::Flag => {
                let [least, most] = self.bounds(kind);
                let operands = vec![column, least, most];
                let not = if self.dice.chance(25) { " NOT" } else { "" };
                Expr::form(format!("{{}}{not} BETWEEN {{}} AND {{}}"), operands, flag)
            }
            _ if kind == Kind::Text && self.dice.chance(40) => {
                let pattern = *self.dice.pick(&PATTERNS);
                let like = *self.dice.pick(&["LIKE", "NOT LIKE", "ILIKE"]);
                let pattern = Expr::literal(format!("'{pattern}'"), Kind::Text);
                Expr::form(format!("{{}} {like} {{}}"), vec![column, pattern], flag)
            }
            _ if kind == Kind::Flag => match self.dice.below(4) {
                0 => Expr::form("{} IS NOT TRUE", vec![column], flag),
                1 => Expr::form("{} IS FALSE", vec![column], flag),
                2 => Expr::form("(NOT {})", vec![column], flag),
                _ => column,
            },
            _ => {
                let other = match scope.like(&mut self.dice, kind) {
                    Some(other) if self.dice.chance(35) => other,
                    _ => self.literal(kind),
                };
                Expr::form(*self.dice.pick(&COMPARISONS), vec![column, other], flag)
            }
        }
    }

    /// EXISTS, IN, or a comparison with what a query returns.
    fn asked(&mut self, scope: &Scope, depth: usize) -> Expr {
        let which = self.dice.below(100);
        // NOT IN over several columns is not planned.
        let not_in = (62..75).contains(&which);
        let outer = match which {
            0..45 => true,
            _ => self.dice.chance(if not_in { 8 } else { 40 }),
        };
        let outer = outer.then_some(scope);
        let kind = self.known_kind(scope);
        let operand = self.leaf(scope, kind);
        if which >= 75 {
            let query = self.single(scope, kind, depth);
            let form = format!(
                "{} ({{}})",
                self.dice.pick(&COMPARISONS[..7]).trim_end_matches(" {}")
            );
            return Expr::Subquery {
                form,
                operand: Some(Box::new(operand)),
                query: Box::new(query),
                kind: Kind::Flag,
            };
        }
        let wish = Wish {
            kinds: Some(vec![kind]),
            depth: depth - 1,
            outer,
        };
        let query = match outer {
            Some(_) => {
                let (from, inner) = self.from(&wish);
                let filter = self.filter(&inner, &wish);
                let item = self.leaf(&inner, kind);
                Query::of(Body::Select(Box::new(Select {
                    items: vec![(item, self.name())],
                    from,
                    filter,
                    ..Select::empty()
                })))
            }
            None => self.nested(&wish).query,
        };
        let query = Box::new(query);
        let (form, operand) = match which {
            0..25 => ("EXISTS ({})", None),
            25..45 => ("NOT EXISTS ({})", None),
            45..62 => ("{} IN ({})", Some(Box::new(operand))),
            _ => ("{} NOT IN ({})", Some(Box::new(operand))),
        };
        Expr::Subquery {
            form: form.to_owned(),
            operand,
            query,
            kind: Kind::Flag,
        }
    }

    /// What one query returns, for each row of `scope`.
    pub(super) fn looked_up(&mut self, scope: &Scope, kind: Kind, depth: usize) -> Expr {
        Expr::Subquery {
            form: "({})".to_owned(),
            operand: None,
            query: Box::new(self.single(scope, kind, depth)),
            kind,
        }
    }

    /// A query that returns one row with one value of `kind`.
    fn single(&mut self, scope: &Scope, kind: Kind, depth: usize) -> Query {
        let outer = self.dice.chance(50).then_some(scope);
        let wish = Wish {
            kinds: Some(vec![kind]),
            depth: depth - 1,
            outer,
        };
        let (from, inner) = self.from(&wish);
        let mut terms = Vec::new();
        if self.dice.chance(50) {
            terms.push(self.predicate(&inner, 1));
        }
        if let Some(outer) = outer {
            terms.extend(self.equal_to_outer(&inner, outer));
        }
        let item = self.aggregated(&inner, kind);
        Query::of(Body::Select(Box::new(Select {
            items: vec![(item, self.name())],
            from,
            filter: Expr::all(terms),
            group: Group::Nothing,
            ..Select::empty()
        })))
    }

    fn equal_to_outer(&mut self, inner: &Scope, outer: &Scope) -> Option<Expr> {
        let (one, other) = self.pair(inner, outer)?;
        Some(Expr::form("{} = {}", vec![one, other], Kind::Flag))
    }

    /// What ties an inner query to the rows around it.
    pub(super) fn correlation(&mut self, inner: &Scope, outer: &Scope) -> Vec<Expr> {
        let mut terms = Vec::new();
        if self.dice.chance(90) {
            terms.extend(self.equal_to_outer(inner, outer));
        }
        if terms.is_empty() || self.dice.chance(25) {
            let form = *self.dice.pick(&["{} <> {}", "{} < {}", "{} >= {}"]);
            let pair = self.pair(inner, outer);
            terms.extend(pair.map(|(one, other)| Expr::form(form, vec![one, other], Kind::Flag)));
        }
        terms
    }
}
