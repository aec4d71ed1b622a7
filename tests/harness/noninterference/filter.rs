//! Row filters, and what they say of a row: an account of it that is independent of the engine.

use std::cmp::Ordering;
use std::fmt;

use super::twins::{PUBLIC_ZONES, Privacy, SECRET_ZONES, TwinColumn, TwinTable};
use crate::random::dice::Dice;
use crate::random::world::{Type, Value};

/// A row filter.
#[derive(Debug, Clone)]
pub(crate) enum Filter {
    Compare(Named, &'static str, Value),
    In(Named, Vec<Value>),
    Between(Named, Value, Value),
    Like(Named, String),
    IsNull(Named),
    /// A text column equals an attribute of the asker.
    Attribute(Named, &'static str),
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
    Not(Box<Self>),
}

/// A column with its place and type.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    at: usize,
    name: &'static str,
    of: Type,
}

impl Filter {
    /// A filter of `table` that is true of none of its secret rows, for somebody of `zone`.
    pub(crate) fn of(dice: &mut Dice, table: &TwinTable, zone: Option<&str>) -> Self {
        for _ in 0..20 {
            let filter = Self::any(dice, table);
            if filter.hides_secrets(table, zone) {
                return filter;
            }
        }
        Self::guard(dice, table)
    }

    /// Whether it is true of no secret row.
    pub(crate) fn hides_secrets(&self, table: &TwinTable, zone: Option<&str>) -> bool {
        let secrets = table.rows.iter().filter(|row| row.secret);
        let mut rows = secrets.flat_map(|row| row.worlds.iter().flatten());
        rows.all(|row| self.holds(row, zone) != Some(true))
    }

    fn any(dice: &mut Dice, table: &TwinTable) -> Self {
        let guard = Self::guard(dice, table);
        match dice.below(100) {
            0..25 => guard,
            25..65 => guard.and(Self::condition(dice, table, 1)),
            65..80 => {
                let other = Self::guard(dice, table).and(Self::condition(dice, table, 1));
                guard.and(Self::condition(dice, table, 0)).or(other)
            }
            80..90 => guard.not().or(Self::condition(dice, table, 0)).not(),
            _ => Self::condition(dice, table, 2),
        }
    }

    /// What is true of many public rows, and of no secret one.
    fn guard(dice: &mut Dice, table: &TwinTable) -> Self {
        let zone = Named::of(table, "zone");
        let level = Named::of(table, "level");
        let text = |text: &'static str| Value::Text(text);
        match dice.below(9) {
            0 => Self::Compare(zone, "=", text(dice.word(&PUBLIC_ZONES))),
            1 => Self::In(zone, PUBLIC_ZONES.map(text).to_vec()),
            2 => Self::Like(zone, "h%".to_owned()),
            3 => {
                let secret = Self::In(zone.clone(), SECRET_ZONES.map(text).to_vec());
                secret.or(Self::IsNull(zone)).not()
            }
            4 => Self::Compare(level, "<=", Value::Number(3)),
            5 => Self::Between(level, Value::Number(0), Value::Number(3)),
            6 => Self::Compare(level, ">", Value::Number(3)).not(),
            7 => Self::In(level, [0, 1, 2, 5].map(Value::Number).to_vec()),
            _ => Self::Attribute(zone, "zone"),
        }
    }

    fn condition(dice: &mut Dice, table: &TwinTable, depth: usize) -> Self {
        if depth > 0 {
            let inner = Self::condition(dice, table, depth - 1);
            match dice.below(6) {
                0 => return inner.and(Self::condition(dice, table, depth - 1)),
                1 | 2 => return inner.or(Self::condition(dice, table, depth - 1)),
                3 => return inner.not(),
                _ => {}
            }
        }
        let columns = table.columns.iter().enumerate();
        let fitting: Vec<(usize, &TwinColumn)> =
            columns.filter(|(_, it)| is_comparable(it)).collect();
        let (at, column) = *dice.pick(&fitting);
        let named = Named {
            at,
            name: column.name,
            of: column.of,
        };
        let mut value = || match (column.privacy, column.of) {
            // Where a private column differs between the worlds, no filter tells.
            (Privacy::Year, _) => Value::Number(10_957),
            (_, of) => Value::any(dice, of, 0),
        };
        let (one, other) = (value(), value());
        match (column.privacy, dice.below(100)) {
            (Privacy::LastFour, 0..50) => Self::IsNull(named).not(),
            (Privacy::LastFour, _) => Self::Like(
                named,
                dice.word(&["%3333", "%4", "____%", "%cd"]).to_owned(),
            ),
            (Privacy::Year, 0..50) => Self::IsNull(named),
            (Privacy::Year, _) => Self::Compare(named, dice.word(&["<", ">="]), one),
            (_, 0..15) => Self::IsNull(named),
            (_, 15..35) => Self::In(named, vec![one, other]),
            (_, 35..45) if column.of == Type::Text => {
                let pattern = dice.word(&["a%", "%b", "_", "%", "A_", "%a%"]);
                Self::Like(named, pattern.to_owned())
            }
            (_, 45..55) if column.of != Type::Text => Self::Between(named, one, other),
            _ => {
                let operator = dice.word(&["=", "<>", "<", "<=", ">", ">="]);
                Self::Compare(named, operator, one)
            }
        }
    }

    fn and(self, other: Self) -> Self {
        Self::And(Box::new(self), Box::new(other))
    }

    fn or(self, other: Self) -> Self {
        Self::Or(Box::new(self), Box::new(other))
    }

    fn not(self) -> Self {
        Self::Not(Box::new(self))
    }

    /// What it says of `row`, for somebody of `zone`; `None` is SQL's NULL.
    pub(crate) fn holds(&self, row: &[Value], zone: Option<&str>) -> Option<bool> {
        match self {
            Self::Compare(column, operator, value) => {
                let order = compare(column.value(row)?, value);
                Some(match *operator {
                    "=" => order.is_eq(),
                    "<>" => order.is_ne(),
                    "<" => order.is_lt(),
                    "<=" => order.is_le(),
                    ">" => order.is_gt(),
                    _ => order.is_ge(),
                })
            }
            Self::In(column, values) => {
                let found = column.value(row)?;
                Some(values.iter().any(|value| compare(found, value).is_eq()))
            }
            Self::Between(column, least, most) => {
                let found = column.value(row)?;
                Some(compare(found, least).is_ge() && compare(found, most).is_le())
            }
            Self::Like(column, pattern) => match column.value(row)? {
                Value::Text(text) => {
                    let [text, pattern] = [text, pattern.as_str()].map(|it| it.chars().collect());
                    Some(is_like::<Vec<char>>(text, pattern))
                }
                other => panic!("{other:?} LIKE"),
            },
            Self::IsNull(column) => Some(column.value(row).is_none()),
            Self::Attribute(column, _) => {
                let (found, zone) = (column.value(row)?, zone?);
                Some(matches!(found, Value::Text(text) if *text == zone))
            }
            Self::And(one, other) => match (one.holds(row, zone), other.holds(row, zone)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            },
            Self::Or(one, other) => match (one.holds(row, zone), other.holds(row, zone)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
            Self::Not(inner) => inner.holds(row, zone).map(|holds| !holds),
        }
    }
}

/// Columns of types whose literals need no cast, and that tell the same in both worlds.
fn is_comparable(column: &TwinColumn) -> bool {
    let simple = matches!(column.of, Type::Long | Type::Text | Type::Day | Type::Int);
    match column.privacy {
        Privacy::None => simple,
        Privacy::LastFour => true,
        Privacy::Year => column.of == Type::Day,
        Privacy::Whole => false,
    }
}

fn compare(one: &Value, other: &Value) -> Ordering {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.cmp(other),
        (Value::Text(one), Value::Text(other)) => one.as_bytes().cmp(other.as_bytes()),
        other => panic!("{other:?} do not compare"),
    }
}

fn is_like<T: AsRef<[char]>>(text: T, pattern: T) -> bool {
    match (text.as_ref(), pattern.as_ref()) {
        (text, []) => text.is_empty(),
        (text, ['%', rest @ ..]) => (0..=text.len()).any(|skipped| is_like(&text[skipped..], rest)),
        ([_, text @ ..], ['_', rest @ ..]) => is_like(text, rest),
        ([one, text @ ..], [other, rest @ ..]) => one == other && is_like(text, rest),
        ([], _) => false,
    }
}

impl Named {
    fn of(table: &TwinTable, name: &'static str) -> Self {
        let mut columns = table.columns.iter();
        let at = columns.position(|it| it.name == name).expect("a column");
        Self {
            at,
            name,
            of: table.columns[at].of,
        }
    }

    /// The cell, unless it is NULL.
    fn value<'a>(&self, row: &'a [Value]) -> Option<&'a Value> {
        Some(&row[self.at]).filter(|value| **value != Value::Null)
    }

    fn written(&self, value: &Value) -> String {
        self.of.show(value)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compare(column, operator, value) => {
                write!(f, "{} {operator} {}", column.name, column.written(value))
            }
            Self::In(column, values) => {
                let values: Vec<_> = values.iter().map(|value| column.written(value)).collect();
                write!(f, "{} IN ({})", column.name, values.join(", "))
            }
            Self::Between(column, least, most) => {
                let [least, most] = [least, most].map(|it| column.written(it));
                write!(f, "{} BETWEEN {least} AND {most}", column.name)
            }
            Self::Like(column, pattern) => write!(f, "{} LIKE '{pattern}'", column.name),
            Self::IsNull(column) => write!(f, "{} IS NULL", column.name),
            Self::Attribute(column, attribute) => {
                write!(f, "{} = principal_attribute('{attribute}')", column.name)
            }
            Self::And(one, other) => write!(f, "({one} AND {other})"),
            Self::Or(one, other) => write!(f, "({one} OR {other})"),
            Self::Not(inner) => write!(f, "(NOT {inner})"),
        }
    }
}
