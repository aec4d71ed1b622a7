//! Grants made by chance that hide all in which twin worlds differ, and what they show.

use std::collections::BTreeMap;
use std::fmt::Write;

use weft_governance::hex;
use weft_wire::token::sha256;

use super::filter::Filter;
use super::twins::{Privacy, TwinColumn, TwinTable, Twins};
use crate::random::dice::Dice;
use crate::random::world::{Type, Value, World};

/// Days from 1970-01-01 to the first of January of each year from 1970.
const FIRST: i128 = 1970;
const MICROS: i128 = 86_400_000_000;

/// What one person may read.
#[derive(Debug)]
pub(crate) struct Rights {
    pub(crate) user: String,
    /// What `principal_attribute('zone')` is.
    pub(crate) zone: Option<&'static str>,
    /// For each table the grants on it.
    grants: Vec<Vec<TableGrant>>,
}

/// A grant on a table.
#[derive(Debug, Clone)]
struct TableGrant {
    /// By place, in the order of the table.
    columns: Vec<usize>,
    /// Whether it was written without a list.
    all: bool,
    filter: Option<Filter>,
    masks: BTreeMap<usize, Mask>,
    /// What narrows where keys and rows go, and how many of them.
    clauses: String,
    /// How many rows a group has at least, if only groups are shown.
    groups: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mask {
    Null,
    LastFour,
    Year,
    Digest,
}

impl Rights {
    /// The rights of the person `number` in the world of `twins`.
    pub(crate) fn of(seed: u64, number: usize, twins: &Twins) -> Self {
        let mut dice = Dice::of_part(seed, (1 << 41) + number as u64);
        let zone = *dice.pick(&[Some("home"), Some("home"), Some("harbour"), None]);
        // No grant may show another row where two of them meet; most people have one.
        let several = dice.chance(20);
        let groups = dice.chance(20).then(|| *dice.pick(&[2, 3, 5]));
        let mut grants = Vec::new();
        let mut products = BTreeMap::new();
        for table in &twins.tables {
            let known: &mut bool = products.entry((table.domain, table.product)).or_default();
            let mut given = Vec::new();
            if *known && dice.chance(8) {
                grants.push(given);
                continue;
            }
            *known = true;
            // Groups of one domain are joined with rows of others, too.
            let groups = groups.filter(|_| dice.chance(70));
            let of = |dice: &mut Dice| TableGrant::of(dice, table, zone, groups);
            given.push(of(&mut dice));
            if several && dice.chance(50) {
                given.push(of(&mut dice));
            }
            grants.push(given);
        }
        Self {
            user: user(number),
            zone,
            grants,
        }
    }

    /// Whether there is one grant at most on each table, and of its rows, so that it is clear what is seen.
    pub(crate) fn are_plain(&self) -> bool {
        let mut grants = self.grants.iter();
        !self.show_groups() && grants.all(|grants| grants.len() < 2)
    }

    /// Whether some tables are shown in groups alone.
    pub(crate) fn show_groups(&self) -> bool {
        let mut grants = self.grants.iter().flatten();
        grants.any(|grant| grant.groups.is_some())
    }

    /// The statements that give them, with the domain of each.
    pub(crate) fn statements(&self, twins: &Twins) -> Vec<(&'static str, String)> {
        let tables = twins.tables.iter().zip(&self.grants);
        tables
            .flat_map(|(table, grants)| {
                grants
                    .iter()
                    .map(|grant| (table.domain, grant.statement(table, &self.user)))
            })
            .collect()
    }

    /// Those that give everything instead.
    pub(crate) fn wide_statements(&self, twins: &Twins) -> Vec<(&'static str, String)> {
        let tables = twins.tables.iter().zip(&self.grants);
        tables
            .filter(|(_, grants)| !grants.is_empty())
            .map(|(table, _)| {
                let TwinTable {
                    domain, full_name, ..
                } = table;
                let sql = format!("GRANT SELECT ON TABLE {full_name} TO USER {}", self.user);
                (*domain, sql)
            })
            .collect()
    }

    /// The tables and columns that can be named, with the rows as the first grant shows them.
    pub(crate) fn seen(&self, twins: &Twins) -> World {
        let tables = twins.tables.iter().zip(&self.grants);
        let seen: Vec<_> = tables
            .map(|(table, grants)| {
                let grant = grants.first()?;
                let mut columns = grant.columns.clone();
                for other in grants {
                    columns.extend(&other.columns);
                }
                columns.sort_unstable();
                columns.dedup();
                // The columns of others than the first can be named; their rows are not needed.
                let rows = match grants.len() {
                    1 => grant.shown(table, self.zone),
                    _ => vec![vec![Value::Null; columns.len()]; 10],
                };
                Some((columns, rows))
            })
            .collect();
        twins.seen(&seen)
    }
}

/// The name of a person.
pub(crate) fn user(number: usize) -> String {
    format!("person{number}")
}

impl TableGrant {
    fn of(dice: &mut Dice, table: &TwinTable, zone: Option<&str>, groups: Option<usize>) -> Self {
        let all = dice.chance(45) || groups.is_some();
        let mut columns: Vec<usize> = (0..table.columns.len())
            .filter(|_| all || dice.chance(65))
            .collect();
        if columns.is_empty() {
            columns.push(0);
        }
        let secrets = table.rows.iter().any(|row| row.secret);
        let filter = (secrets || dice.chance(30)).then(|| Filter::of(dice, table, zone));
        let mut masks = BTreeMap::new();
        for at in &columns {
            if let Some(mask) = Mask::of(dice, &table.columns[*at]) {
                masks.insert(*at, mask);
            }
        }
        let mut clauses = String::new();
        if dice.chance(15) {
            clauses.push_str(dice.word(&[" KEYS NONE", " KEYS BLOOM", " KEYS RANGE"]));
        }
        if dice.chance(15) {
            clauses.push_str(dice.word(&[" FLOW TO DOMAIN north", " FLOW TO DOMAIN east, south"]));
        }
        if dice.chance(15) {
            // More than anybody reads: what is counted must not show either.
            clauses.push_str(dice.word(&[
                " LIMIT 1000000000 ROWS PER DAY",
                " LIMIT 1000000000000 BYTES PER DAY",
            ]));
        }
        Self {
            columns,
            all,
            filter,
            masks,
            clauses,
            groups,
        }
    }

    fn statement(&self, table: &TwinTable, user: &str) -> String {
        let names = |places: &[usize]| {
            let names = places.iter().map(|at| table.columns[*at].name);
            names.collect::<Vec<_>>().join(", ")
        };
        let mut sql = match self.groups {
            Some(size) => format!("GRANT AGGREGATE (MIN GROUP SIZE {size}) "),
            None => "GRANT SELECT ".to_owned(),
        };
        if !self.all {
            write!(sql, "({}) ", names(&self.columns)).expect("a text");
        }
        write!(sql, "ON TABLE {} TO USER {user}", table.full_name).expect("a text");
        if let Some(filter) = &self.filter {
            write!(sql, " WHERE {filter}").expect("a text");
        }
        if !self.masks.is_empty() {
            let masks = self.masks.iter();
            let masks: Vec<_> = masks
                .map(|(at, mask)| format!("{} WITH '{}'", table.columns[*at].name, mask.name()))
                .collect();
            write!(sql, " MASK ({})", masks.join(", ")).expect("a text");
        }
        sql + &self.clauses
    }

    /// The rows that it shows, which must be the same in both worlds.
    fn shown(&self, table: &TwinTable, zone: Option<&str>) -> Vec<Vec<Value>> {
        let of_world = |which: usize| -> Vec<Vec<Value>> {
            let rows = table.rows_of(which);
            let visible = rows.filter(|row| match &self.filter {
                Some(filter) => filter.holds(row, zone) == Some(true),
                None => true,
            });
            let shown = visible.map(|row| {
                let cells = self.columns.iter();
                let cells = cells.map(|at| match self.masks.get(at) {
                    Some(mask) => mask.shown(&row[*at], table.columns[*at].of),
                    None => row[*at].clone(),
                });
                cells.collect()
            });
            shown.collect()
        };
        let (one, other) = (of_world(0), of_world(1));
        assert_eq!(one, other, "a grant shows in what the worlds differ");
        one
    }
}

impl Mask {
    /// How `column` is masked: always, where the worlds differ in it.
    fn of(dice: &mut Dice, column: &TwinColumn) -> Option<Self> {
        let text = column.of == Type::Text;
        let time = matches!(column.of, Type::Day | Type::Moment);
        match column.privacy {
            Privacy::LastFour => Some(*dice.pick(&[Self::LastFour, Self::LastFour, Self::Null])),
            Privacy::Year => Some(*dice.pick(&[Self::Year, Self::Year, Self::Null])),
            Privacy::Whole => Some(Self::Null),
            Privacy::None if !dice.chance(15) => None,
            Privacy::None if text => Some(*dice.pick(&[Self::Digest, Self::LastFour, Self::Null])),
            Privacy::None if time => Some(*dice.pick(&[Self::Year, Self::Null])),
            Privacy::None => Some(Self::Null),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Null => "replace-with-null",
            Self::LastFour => "show-last-4",
            Self::Year => "truncate-to-year",
            Self::Digest => "sha-256",
        }
    }

    fn shown(self, value: &Value, of: Type) -> Value {
        match (self, value) {
            (Self::Null, _) | (_, Value::Null) => Value::Null,
            (Self::LastFour, Value::Text(text)) => {
                let hidden = text.chars().count().saturating_sub(4);
                let end: String = text.chars().skip(hidden).collect();
                Value::Text(("X".repeat(hidden) + &end).leak())
            }
            (Self::Digest, Value::Text(text)) => Value::Text(hex(&sha256(text.as_bytes())).leak()),
            (Self::Year, Value::Number(number)) if of == Type::Moment => {
                Value::Number(first_of_year(number.div_euclid(MICROS)) * MICROS)
            }
            (Self::Year, Value::Number(number)) => Value::Number(first_of_year(*number)),
            (mask, value) => panic!("{mask:?} of {value:?}"),
        }
    }
}

/// The first day of the year of `day`, both counted from 1970-01-01.
fn first_of_year(day: i128) -> i128 {
    let mut start = 0;
    for year in FIRST.. {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let next = start + if leap { 366 } else { 365 };
        if day < next {
            return start;
        }
        start = next;
    }
    unreachable!("every day is in a year")
}
