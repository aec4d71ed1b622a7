//! Two worlds that differ only in rows and cells that no grant of theirs shows.
//!
//! Every table has public rows, which both worlds hold in the same order, and among them secret rows,
//! of which each world has others and another number. Private columns differ in the public rows too,
//! as far as the masks that they are only ever shown through look the same.

use std::path::{Path, PathBuf};

use crate::random::dice::Dice;
use crate::random::world::{Column, Type, Value, World};

/// A part of what a seed determines that neither a query nor a grant has.
const SECRETS: u64 = 1 << 40;

/// 1970-01-01 to the first days of some years, in days.
const YEARS: [i128; 5] = [0, 3_652, 7_305, 10_957, 18_993];
const MICROS: i128 = 86_400_000_000;

/// The values by which grants tell public rows from secret ones.
pub(crate) const PUBLIC_ZONES: [&str; 2] = ["home", "harbour"];
pub(crate) const SECRET_ZONES: [&str; 4] = ["away", "x", "", "Home"];

/// How a column may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Privacy {
    /// As it is.
    None,
    /// By its last four characters at most: length and end are the same in both worlds.
    LastFour,
    /// By its year at most.
    Year,
    /// Not at all.
    Whole,
}

/// A column of both worlds.
#[derive(Debug, Clone)]
pub(crate) struct TwinColumn {
    pub(crate) name: &'static str,
    pub(crate) of: Type,
    pub(crate) privacy: Privacy,
}

/// A row of one world or of both.
#[derive(Debug, Clone)]
pub(crate) struct TwinRow {
    pub(crate) secret: bool,
    pub(crate) worlds: [Option<Vec<Value>>; 2],
}

/// A table of both worlds.
#[derive(Debug, Clone)]
pub(crate) struct TwinTable {
    pub(crate) full_name: String,
    pub(crate) domain: &'static str,
    pub(crate) product: &'static str,
    pub(crate) columns: Vec<TwinColumn>,
    pub(crate) rows: Vec<TwinRow>,
}

/// What somebody sees of a table: the places of columns, and rows of these.
pub(crate) type Seen = (Vec<usize>, Vec<Vec<Value>>);

/// Both worlds.
#[derive(Debug)]
pub(crate) struct Twins {
    seed: u64,
    pub(crate) tables: Vec<TwinTable>,
}

impl Twins {
    /// The worlds of `seed`.
    pub(crate) fn of(seed: u64) -> Self {
        let world = World::of(seed);
        let mut dice = Dice::of_part(seed, SECRETS);
        let mut tables = Vec::new();
        for table in &world.tables {
            let mut columns: Vec<TwinColumn> = table
                .columns
                .iter()
                .map(|column| TwinColumn {
                    name: column.name,
                    of: column.of,
                    privacy: Privacy::None,
                })
                .collect();
            let mut add = |name, of, privacy| columns.push(TwinColumn { name, of, privacy });
            add("zone", Type::Text, Privacy::None);
            add("level", Type::Long, Privacy::None);
            for (name, of, privacy, percent) in [
                ("ssn", Type::Text, Privacy::LastFour, 70),
                ("born", Type::Day, Privacy::Year, 50),
                ("seen", Type::Moment, Privacy::Year, 35),
                ("pay", Type::Money, Privacy::Whole, 50),
                ("memo", Type::Text, Privacy::Whole, 50),
            ] {
                if dice.chance(percent) {
                    add(name, of, privacy);
                }
            }
            let secrets = dice.chance(85);
            let public = table.rows.iter();
            let mut rows: Vec<TwinRow> = public
                .map(|row| public_row(&mut dice, row, &columns))
                .collect();
            if secrets {
                add_secrets(&mut dice, &mut rows, &columns, table.rows.len());
            }
            tables.push(TwinTable {
                full_name: table.full_name(),
                domain: table.domain,
                product: table.product,
                columns,
                rows,
            });
        }
        Self { seed, tables }
    }

    /// Writes one of the two worlds below `folder`, and says where each domain's products are.
    pub(crate) fn write(&self, which: usize, folder: &Path) -> Vec<(&'static str, PathBuf)> {
        let mut world = World::of(self.seed);
        for (table, twin) in world.tables.iter_mut().zip(&self.tables) {
            table.columns = twin.columns.iter().map(TwinColumn::plain).collect();
            table.rows = twin.rows_of(which).cloned().collect();
        }
        world.write(folder)
    }

    /// A world of what somebody sees of each table.
    pub(crate) fn seen(&self, seen: &[Option<Seen>]) -> World {
        let mut world = World::of(self.seed);
        let tables = std::mem::take(&mut world.tables).into_iter();
        let tables = tables.zip(&self.tables).zip(seen);
        world.tables = tables
            .filter_map(|((mut table, twin), seen)| {
                let (columns, rows) = seen.as_ref()?;
                let columns = columns.iter().map(|at| twin.columns[*at].plain());
                table.columns = columns.collect();
                table.rows.clone_from(rows);
                table.key = Vec::new();
                Some(table)
            })
            .collect();
        world
    }
}

impl TwinTable {
    /// The rows of one world.
    pub(crate) fn rows_of(&self, which: usize) -> impl Iterator<Item = &Vec<Value>> {
        self.rows
            .iter()
            .filter_map(move |row| row.worlds[which].as_ref())
    }
}

impl TwinColumn {
    fn plain(&self) -> Column {
        Column {
            name: self.name,
            of: self.of,
        }
    }
}

fn public_row(dice: &mut Dice, known: &[Value], columns: &[TwinColumn]) -> TwinRow {
    let mut both = [known.to_vec(), known.to_vec()];
    for column in &columns[known.len()..] {
        let [one, other] = match (column.name, column.privacy) {
            ("zone", _) => same(Value::Text(dice.word(&PUBLIC_ZONES))),
            ("level", _) => same(Value::Number(dice.between(0, 3).into())),
            (_, Privacy::LastFour) => ended_alike(dice),
            (_, Privacy::Year) => of_one_year(dice, column.of),
            (_, Privacy::Whole | Privacy::None) => {
                [(); 2].map(|()| Value::any(dice, column.of, 25))
            }
        };
        both[0].push(one);
        both[1].push(other);
    }
    TwinRow {
        secret: false,
        worlds: both.map(Some),
    }
}

fn same(value: Value) -> [Value; 2] {
    [value.clone(), value]
}

/// Texts of the same length and with the same last four characters.
fn ended_alike(dice: &mut Dice) -> [Value; 2] {
    if dice.chance(10) {
        return same(Value::Null);
    }
    let end = dice.word(&["3333", "4444", "0012", "abcd", "é é4", "7", ""]);
    if end.chars().count() < 4 {
        return same(Value::Text(end));
    }
    let hidden = dice.below(8);
    let letters: Vec<char> = "0123456789-aXé".chars().collect();
    [(); 2].map(|()| {
        let start: String = (0..hidden).map(|_| *dice.pick(&letters)).collect();
        Value::Text((start + end).leak())
    })
}

/// Days, or moments, of the same year.
fn of_one_year(dice: &mut Dice, of: Type) -> [Value; 2] {
    if dice.chance(10) {
        return same(Value::Null);
    }
    let year = *dice.pick(&YEARS);
    [(); 2].map(|()| {
        let day = year + i128::from(dice.between(0, 364));
        Value::Number(match of {
            Type::Moment => day * MICROS + i128::from(dice.between(0, 23)) * 3_600_000_000,
            _ => day,
        })
    })
}

/// Puts secret rows between the public ones, in each world others.
fn add_secrets(dice: &mut Dice, rows: &mut Vec<TwinRow>, columns: &[TwinColumn], public: usize) {
    for which in 0..2 {
        let count = match dice.below(10) {
            0 => 0,
            1..8 => dice.below(public / 2 + 4),
            _ => dice.below(120),
        };
        for _ in 0..count {
            let row = columns.iter().map(|column| secret(dice, column)).collect();
            let mut worlds = [None, None];
            worlds[which] = Some(row);
            let secret = true;
            rows.insert(dice.below(rows.len() + 1), TwinRow { secret, worlds });
        }
    }
}

/// A cell of a secret row: one that shows if it is counted, compared, cast or divided by.
fn secret(dice: &mut Dice, column: &TwinColumn) -> Value {
    match column.name {
        "zone" if dice.chance(20) => return Value::Null,
        "zone" => return Value::Text(dice.word(&SECRET_ZONES)),
        "level" if dice.chance(20) => return Value::Null,
        "level" => return Value::Number(dice.between(7, 99).into()),
        _ => {}
    }
    if dice.chance(40) {
        return Value::any(dice, column.of, 20);
    }
    match column.of {
        Type::Int => Value::Number((*dice.pick(&[i32::MIN, i32::MAX, 0, -7, 1_000_000])).into()),
        Type::Long => Value::Number((*dice.pick(&[i64::MIN, i64::MAX, 0, -7, 1 << 40])).into()),
        Type::Whole => Value::Number(*dice.pick(&[-999_999_999, 999_999_999, 0])),
        Type::Money | Type::Rate => Value::Number(*dice.pick(&[-9_999_999_999, 9_999_999_999, 0])),
        Type::Double => Value::Number(*dice.pick(&[-4_000_000_000, 4_000_000_000, 0])),
        Type::Text => Value::Text(dice.word(&["SECRET", "SECRET-9999", "99999999999", "zzz"])),
        Type::Day => Value::Number(*dice.pick(&[0, 30_000, 60_000])),
        Type::Moment => Value::Number(*dice.pick(&[0, 30_000 * MICROS, 60_000 * MICROS])),
        Type::Flag => Value::Flag(dice.chance(50)),
    }
}
