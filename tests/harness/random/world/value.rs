//! Types and values.

use std::fmt;

use crate::random::dice::Dice;
use crate::random::query::Kind;

/// The types of columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Int,
    Long,
    /// A decimal without a part behind the point.
    Whole,
    Money,
    Rate,
    Double,
    Text,
    Day,
    Moment,
    Flag,
}

/// A value of a column.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Value {
    Null,
    /// Of a decimal: without its point. Of a double: in quarters, so that sums are exact. Of a day:
    /// days since 1970. Of a moment: microseconds since then.
    Number(i128),
    Text(&'static str),
    Flag(bool),
}

/// Texts that differ only in case, spaces or accents, that are empty, or look like something else.
const TEXTS: [&str; 17] = [
    "a", "A", "a ", " a", "b", "B", "", "ab", "abc", "ABC", "é", "É", "%", "x_y", "12", "7", "null",
];

/// 2024-02-27.
const DAY: i128 = 19_780;

const MICROS: i128 = 86_400_000_000;

impl Type {
    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::Int | Self::Long => Kind::Int,
            Self::Whole | Self::Money | Self::Rate => Kind::Decimal,
            Self::Double => Kind::Double,
            Self::Text => Kind::Text,
            Self::Day => Kind::Day,
            Self::Moment => Kind::Moment,
            Self::Flag => Kind::Flag,
        }
    }

    /// Digits, and those behind the point.
    pub(crate) fn decimal(self) -> (u8, i8) {
        match self {
            Self::Money => (10, 2),
            Self::Rate => (12, 4),
            _ => (9, 0),
        }
    }

    /// What stands for 1.
    pub(crate) fn one(self) -> i128 {
        match self {
            Self::Money => 100,
            Self::Rate => 10_000,
            Self::Double => 4,
            _ => 1,
        }
    }

    /// The contract's names for it, and SQL's.
    pub(crate) fn names(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Int => ("integer", "int", "INTEGER"),
            Self::Long => ("integer", "bigint", "BIGINT"),
            Self::Whole => ("integer", "decimal(9,0)", "DECIMAL(9,0)"),
            Self::Money => ("number", "decimal(10,2)", "DECIMAL(10,2)"),
            Self::Rate => ("number", "decimal(12,4)", "DECIMAL(12,4)"),
            Self::Double => ("number", "double", "DOUBLE"),
            Self::Text => ("string", "varchar", "VARCHAR"),
            Self::Day => ("date", "date", "DATE"),
            Self::Moment => ("timestamp", "timestamp_us", "TIMESTAMP"),
            Self::Flag => ("boolean", "boolean", "BOOLEAN"),
        }
    }

    /// `value` as SQL, which JSON reads too but for the quotes of text and times.
    pub(crate) fn show(self, value: &Value) -> String {
        match value {
            Value::Null => "NULL".to_owned(),
            Value::Text(text) => format!("'{text}'"),
            Value::Flag(flag) => flag.to_string(),
            Value::Number(number) => match self {
                Self::Day => format!("'{}'", day(*number)),
                Self::Moment => format!("'{}'", moment(*number)),
                Self::Double => format!("{}", *number as f64 / 4.0),
                Self::Money | Self::Rate => {
                    let one = self.one();
                    let sign = if *number < 0 { "-" } else { "" };
                    let (whole, part) = (number.abs() / one, number.abs() % one);
                    let scale = usize::try_from(self.decimal().1).expect("a scale");
                    format!("{sign}{whole}.{part:0scale$}")
                }
                _ => number.to_string(),
            },
        }
    }
}

impl Value {
    /// A value, or in `nulls` of a hundred cases none.
    pub(crate) fn any(dice: &mut Dice, of: Type, nulls: usize) -> Self {
        if dice.chance(nulls) {
            return Self::Null;
        }
        let few = dice.chance(60);
        match of {
            Type::Int | Type::Long | Type::Whole if few => Self::Number(dice.between(0, 6).into()),
            Type::Int | Type::Long | Type::Whole => Self::Number(dice.between(-2, 25).into()),
            Type::Money | Type::Rate => {
                let quarter = of.one() / 4;
                let whole = i128::from(dice.between(0, 6)) * of.one();
                Self::Number(match few {
                    true => whole,
                    false => whole + quarter * i128::from(dice.between(-9, 9)),
                })
            }
            Type::Double => Self::Number(dice.between(-12, 24).into()),
            Type::Text if few => Self::Text(TEXTS[dice.below(7)]),
            Type::Text => Self::Text(TEXTS[dice.below(TEXTS.len())]),
            Type::Day => Self::Number(DAY + i128::from(dice.between(0, 5))),
            Type::Moment => {
                let day = DAY + i128::from(dice.between(0, 3));
                let hour = i128::from(*dice.pick(&[0, 0, 10, 23]));
                let rest = i128::from(*dice.pick(&[0, 0, 500_000]));
                Self::Number(day * MICROS + hour * 3_600_000_000 + rest)
            }
            Type::Flag => Self::Flag(dice.chance(50)),
        }
    }
}

/// Enough to tell values apart.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// The day `number` days after 1970-01-01, by the civil calendar.
fn day(number: i128) -> String {
    let shifted = number + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i128::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

fn moment(number: i128) -> String {
    let (date, time) = (number / MICROS, number % MICROS);
    let (hour, micros) = (time / 3_600_000_000, time % 3_600_000_000);
    format!("{}T{hour:02}:00:00.{micros:06}", day(date))
}
