//! Queries that try to learn what is hidden: those of the random queries, some with expressions that
//! fail on some values, and forms of their own.

use crate::random::dice::Dice;
use crate::random::generate::Generator;
use crate::random::query::{Body, Expr, Kind, Query};
use crate::random::world::{Table, World};

/// A query over what somebody sees.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) sql: String,
    /// Whether its order leaves no tie between rows that differ.
    pub(crate) ordered: bool,
    /// The query as a tree, where it was made so.
    pub(crate) tree: Option<Query>,
    /// Whether expressions in it may fail: when they do depends on which is evaluated first.
    pub(crate) risky: bool,
}

impl Attempt {
    /// The query of `dice` over what is `seen`.
    pub(crate) fn of(mut dice: Dice, seen: &World) -> Self {
        // They take longer than all others.
        if dice.chance(35) {
            return Self::random(dice, seen);
        }
        let form = Form { seen };
        for _ in 0..50 {
            if let Some((sql, ordered)) = form.write(&mut dice) {
                return Self {
                    sql,
                    ordered,
                    tree: None,
                    risky: true,
                };
            }
        }
        Self::random(dice, seen)
    }

    /// The query of `dice` over what is `seen` in groups alone: one that groups, more often than not.
    pub(crate) fn over_groups(mut dice: Dice, seen: &World) -> Self {
        if !dice.chance(70) {
            return Self::of(dice, seen);
        }
        let form = Form { seen };
        for _ in 0..50 {
            if let Some(sql) = form.grouped(&mut dice) {
                return Self {
                    sql,
                    ordered: false,
                    tree: None,
                    risky: true,
                };
            }
        }
        Self::of(dice, seen)
    }

    fn random(mut dice: Dice, seen: &World) -> Self {
        let risk = dice.chance(60);
        let mut query = Generator::new(dice.clone(), seen).query();
        let risky = risk && add_risk(&mut dice, &mut query.body);
        Self {
            sql: query.to_string(),
            ordered: !query.order.is_empty(),
            tree: Some(query),
            risky,
        }
    }
}

/// Adds a condition that fails on some values to the first SELECT, if it reads a table itself.
fn add_risk(dice: &mut Dice, body: &mut Body) -> bool {
    let select = match body {
        Body::Select(select) => select,
        Body::Set { left, .. } => return add_risk(dice, left),
    };
    let mut columns = Vec::new();
    if let Some(filter) = &select.filter {
        columns_of(filter, &mut columns);
    }
    for (item, _) in &select.items {
        columns_of(item, &mut columns);
    }
    columns.retain(|column| matches!(column.kind(), Kind::Text | Kind::Int));
    if columns.is_empty() {
        return false;
    }
    let column = dice.pick(&columns).clone();
    let form = risk(dice, column.kind());
    let risky = Expr::form(form, vec![column], Kind::Flag);
    select.filter = Some(match select.filter.take() {
        Some(filter) if dice.chance(50) => {
            Expr::form("({} AND {})", vec![filter, risky], Kind::Flag)
        }
        Some(filter) => Expr::form("({} OR {})", vec![risky, filter], Kind::Flag),
        None => risky,
    });
    true
}

fn columns_of(expr: &Expr, columns: &mut Vec<Expr>) {
    match expr {
        Expr::Column { .. } => columns.push(expr.clone()),
        Expr::Form { form, operands, .. } if !form.contains("OVER") && !form.contains("sum(") => {
            for operand in operands {
                columns_of(operand, columns);
            }
        }
        _ => {}
    }
}

/// A condition with a place for a column, that fails on some values.
fn risk(dice: &mut Dice, kind: Kind) -> &'static str {
    match kind {
        Kind::Text => dice.word(&[
            "CAST({} AS BIGINT) > 3",
            "CAST({} AS INTEGER) = 12",
            "CAST({} AS DATE) > DATE '2000-01-01'",
            "CAST({} AS DOUBLE) < 1e3",
            "CAST({} AS TIMESTAMP) IS NOT NULL",
            "CAST({} AS BOOLEAN)",
        ]),
        _ => dice.word(&[
            "(10 / ({} - 3)) > 1",
            "(7 % {}) = 1",
            "CAST({} AS SMALLINT) > 3",
            "CAST({} AS TINYINT) > 3",
            "({} * 9000000000000000000) > 0",
            "factorial({}) > 3",
        ]),
    }
}

/// Forms over one or two tables.
struct Form<'a> {
    seen: &'a World,
}

/// A table under an alias.
struct Source<'a> {
    table: &'a Table,
    alias: &'static str,
}

impl Source<'_> {
    fn named(&self) -> String {
        format!("{} {}", self.table.full_name(), self.alias)
    }

    fn any(&self, dice: &mut Dice) -> String {
        let column = dice.pick(&self.table.columns);
        format!("{}.{}", self.alias, column.name)
    }

    fn of(&self, dice: &mut Dice, fits: impl Fn(Kind) -> bool) -> Option<String> {
        let columns = self.table.columns.iter();
        let fitting: Vec<_> = columns.filter(|it| fits(it.of.kind())).collect();
        let column = (!fitting.is_empty()).then(|| dice.pick(&fitting))?;
        Some(format!("{}.{}", self.alias, column.name))
    }

    fn risky(&self, dice: &mut Dice) -> Option<String> {
        let kind = *dice.pick(&[Kind::Text, Kind::Text, Kind::Int]);
        let column = self.of(dice, |it| it == kind)?;
        Some(risk(dice, kind).replace("{}", &column))
    }

    /// All columns, so that an order by them leaves no tie between rows that differ.
    fn all(&self) -> String {
        let columns = self.table.columns.iter();
        let columns = columns.map(|it| format!("{}.{}", self.alias, it.name));
        columns.collect::<Vec<_>>().join(", ")
    }

    fn places(&self) -> String {
        let places = (1..=self.table.columns.len()).map(|it| it.to_string());
        places.collect::<Vec<_>>().join(", ")
    }
}

impl Form<'_> {
    fn source(&self, dice: &mut Dice, alias: &'static str) -> Source<'_> {
        let table = dice.pick(&self.seen.tables);
        Source { table, alias }
    }

    /// A query over groups of rows; nothing if the tables have no fitting columns.
    fn grouped(&self, dice: &mut Dice) -> Option<String> {
        let (a, b) = (self.source(dice, "a"), self.source(dice, "b"));
        let (from, other) = (a.named(), b.named());
        let numeric = |kind| matches!(kind, Kind::Int | Kind::Decimal | Kind::Double);
        let group = a.any(dice);
        let number = a.of(dice, numeric);
        let number = number.as_deref();
        let measure = match (dice.below(5), number) {
            (0, _) | (_, None) => "count(*) AS n".to_owned(),
            (1, Some(number)) => format!("count(*) AS n, sum({number}) AS s"),
            (2, Some(number)) => format!("avg({number}) AS v, count({number}) AS c"),
            (3, Some(number)) => format!("stddev({number}) AS d, count(*) AS n"),
            (_, Some(number)) => format!("max({number}) AS m, count(DISTINCT {number}) AS d"),
        };
        let name = || {
            let mut names = a.table.columns.iter().filter(|one| {
                let mut others = b.table.columns.iter();
                others.any(|it| it.name == one.name && it.of.kind() == one.of.kind())
            });
            names.next().map(|it| it.name)
        };
        Some(match dice.below(8) {
            0 => format!("SELECT {measure} FROM {from}"),
            1 | 2 => format!("SELECT {group} AS g, {measure} FROM {from} GROUP BY {group}"),
            3 => format!(
                "SELECT {group} AS g, {measure} FROM {from} WHERE {} IS NOT NULL GROUP BY {group}",
                a.any(dice)
            ),
            4 => format!(
                "SELECT {group} AS g, {measure} FROM {from} GROUP BY {group} HAVING (100 / (count(*) - 3)) > 0"
            ),
            5 => format!(
                "SELECT {group} AS g, {measure} FROM {from} WHERE {} GROUP BY {group}",
                a.risky(dice)?
            ),
            6 => {
                let name = name()?;
                format!(
                    "SELECT b.{name} AS g, {measure} FROM {from} JOIN {other} ON a.{name} = b.{name} GROUP BY b.{name}"
                )
            }
            _ => format!(
                "SELECT sum(n) AS s, max(n) AS m FROM (SELECT {group} AS g, count(*) AS n FROM {from} GROUP BY {group}) q"
            ),
        })
    }

    /// A query, and whether it is ordered; nothing if the tables have no fitting columns.
    fn write(&self, dice: &mut Dice) -> Option<(String, bool)> {
        let (a, b) = (self.source(dice, "a"), self.source(dice, "b"));
        let (from, other) = (a.named(), b.named());
        let column = a.any(dice);
        let int = |dice: &mut Dice, source: &Source<'_>| source.of(dice, |it| it == Kind::Int);
        let text = |dice: &mut Dice, source: &Source<'_>| source.of(dice, |it| it == Kind::Text);
        let shared = || {
            let mut names = a.table.columns.iter().filter(|one| {
                let mut others = b.table.columns.iter();
                others.any(|it| it.name == one.name && it.of.kind() == one.of.kind())
            });
            let count = names.clone().count();
            move |dice: &mut Dice| names.nth(dice.below(count)).map(|it| it.name)
        };
        let join = dice.word(&["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]);
        let unordered = |sql: String| Some((sql, false));
        // The forms whose expressions may fail come more often.
        let form = match dice.below(50) {
            more @ 36.. => [2, 3, 5, 6, 9, 16, 21][more % 7],
            form => form,
        };
        match form {
            0 => unordered(format!("SELECT * FROM {from}")),
            1 => {
                let limit = 1 + dice.below(12);
                let places = a.places();
                let sql = format!("SELECT * FROM {from} ORDER BY {places} LIMIT {limit}");
                Some((sql, true))
            }
            2 => unordered(format!("SELECT a.*, {} AS r FROM {from}", a.risky(dice)?)),
            3 => unordered(format!(
                "SELECT count(*) AS n FROM {from} WHERE {}",
                a.risky(dice)?
            )),
            4 => unordered(format!(
                "SELECT {column} AS g, count(*) AS n, min({0}) AS low, max({0}) AS high FROM {from} GROUP BY {column}",
                a.any(dice)
            )),
            5 => unordered(format!(
                "SELECT {0} AS g, count(*) AS n FROM {from} GROUP BY {0}",
                a.risky(dice)?
            )),
            6 => {
                let name = shared()(dice)?;
                let risky = a.risky(dice)?;
                unordered(format!(
                    "SELECT count(*) AS n, count(b.{name}) AS m FROM {from} {join} {other} ON a.{name} = b.{name} AND {risky}"
                ))
            }
            7 | 8 => {
                let name = shared()(dice)?;
                unordered(format!(
                    "SELECT {name}, {column} AS c FROM {from} {join} {other} USING ({name})"
                ))
            }
            9 => unordered(format!(
                "SELECT CASE WHEN {} THEN 1 WHEN {} THEN 2 ELSE 3 END AS c FROM {from}",
                a.risky(dice)?,
                a.risky(dice)?
            )),
            10 => unordered(format!(
                "SELECT {column} AS g FROM {from} GROUP BY {column} HAVING (100 / (min({}) - 2)) > 0",
                int(dice, &a)?
            )),
            11 => unordered(format!(
                "SELECT {column} AS c, row_number() OVER (PARTITION BY {} ORDER BY {}) AS n FROM {from}",
                a.any(dice),
                a.all()
            )),
            12 => unordered(format!(
                "SELECT sum({}) OVER (PARTITION BY {column}) AS s, lag({}) OVER (ORDER BY {}) AS l FROM {from}",
                int(dice, &a)?,
                a.any(dice),
                a.all()
            )),
            13 => unordered(format!(
                "SELECT DISTINCT {column} AS c, {} AS d FROM {from}",
                a.any(dice)
            )),
            14 | 15 => {
                let name = shared()(dice)?;
                let set = dice.word(&["UNION", "UNION ALL", "EXCEPT", "INTERSECT", "EXCEPT ALL"]);
                unordered(format!(
                    "SELECT a.{name} FROM {from} {set} SELECT b.{name} FROM {other}"
                ))
            }
            16 => {
                let name = shared()(dice)?;
                let not = dice.word(&["", "NOT "]);
                let risky = b.risky(dice)?;
                unordered(format!(
                    "SELECT {column} AS c FROM {from} WHERE a.{name} {not}IN (SELECT b.{name} FROM {other} WHERE {risky})"
                ))
            }
            17 => {
                let name = shared()(dice)?;
                let not = dice.word(&["", "NOT "]);
                unordered(format!(
                    "SELECT {column} AS c FROM {from} WHERE {not}EXISTS (SELECT 1 FROM {other} WHERE b.{name} = a.{name})"
                ))
            }
            18 => unordered(format!(
                "SELECT {column} AS c, (SELECT max({}) FROM {other}) AS m FROM {from}",
                b.any(dice)
            )),
            19 => {
                // More than one row fails.
                unordered(format!(
                    "SELECT (SELECT {} FROM {other}) AS m FROM {from}",
                    b.any(dice)
                ))
            }
            20 => {
                let pattern = dice.word(&["XXX%", "%3333", "%SECRET%", "_______%", "", "%"]);
                let column = text(dice, &a)?;
                unordered(format!(
                    "SELECT count(*) AS n FROM {from} WHERE {column} LIKE '{pattern}'"
                ))
            }
            21 => {
                let order = a.all();
                let sql = format!(
                    "SELECT {order} FROM {from} ORDER BY {} NULLS FIRST, {order}",
                    a.risky(dice)?
                );
                Some((sql, true))
            }
            22 => {
                let column = text(dice, &a)?;
                unordered(format!(
                    "SELECT count(*) AS n FROM {from} JOIN (VALUES ('XXXXXXX3333'), ('3333'), ('abcd'), ('SECRET')) v(g) ON {column} = v.g"
                ))
            }
            23 => unordered(format!(
                "SELECT count(*) AS n, count({column}) AS c, count(DISTINCT {column}) AS d, min({column}) AS l, max({column}) AS h FROM {from}"
            )),
            24 => {
                let ladder = dice.word(&["ROLLUP", "CUBE"]);
                unordered(format!(
                    "SELECT {column} AS g, {0} AS h, count(*) AS n FROM {from} GROUP BY {ladder} ({column}, {0})",
                    a.any(dice)
                ))
            }
            25 => {
                let name = dice.word(&["ssn", "pay", "memo", "zone", "level", "nothing"]);
                unordered(format!("SELECT a.{name} FROM {from}"))
            }
            26 => {
                let table =
                    dice.word(&["north.shop.t", "east.crm.v", "south.rates.t", "east.crm.w"]);
                unordered(format!(
                    "SELECT count(*) AS n FROM {table} a WHERE a.zone = 'away'"
                ))
            }
            27 => unordered(format!(
                "SELECT named_struct('v', {column})['v'] AS v, count(*) AS n FROM {from} GROUP BY 1"
            )),
            28 => {
                let column = text(dice, &a)?;
                unordered(format!(
                    "SELECT string_agg({column}, ',' ORDER BY {column}) AS s FROM {from}"
                ))
            }
            29 => unordered(format!(
                "SELECT count(*) AS n FROM (SELECT {column} AS c FROM {from} LIMIT {})",
                1 + dice.below(30)
            )),
            30 => unordered(format!(
                "WITH w AS (SELECT {column} AS c, count(*) AS n FROM {from} GROUP BY {column}) SELECT x.c, x.n + y.n AS s FROM w x JOIN w y ON x.c IS NOT DISTINCT FROM y.c"
            )),
            31 => unordered(format!(
                "SELECT count(*) AS n FROM {from} CROSS JOIN {other} WHERE {} AND {}",
                a.risky(dice)?,
                b.risky(dice)?
            )),
            32 => unordered(format!(
                "SELECT TRY_CAST({} AS BIGINT) AS t, arrow_typeof({column}) AS k FROM {from}",
                text(dice, &a)?
            )),
            33 => {
                let sql = format!(
                    "SELECT {column} AS c, {} AS d, count(*) AS n FROM {from} GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT 5",
                    a.any(dice)
                );
                Some((sql, true))
            }
            34 => {
                let (one, two) = (int(dice, &a)?, int(dice, &a)?);
                unordered(format!(
                    "SELECT sum({one}) AS s, avg({two}) AS v, sum({one} / {two}) AS q FROM {from}"
                ))
            }
            _ => unordered(format!(
                "SELECT approx_distinct({column}) AS d, bool_or({column} IS NULL) AS z, median({}) AS m FROM {from}",
                int(dice, &a)?
            )),
        }
    }
}
