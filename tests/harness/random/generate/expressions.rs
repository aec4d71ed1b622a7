//! Values: columns, literals, functions.

use super::Generator;
use super::scope::Scope;
use crate::random::query::{Expr, Kind};
use crate::random::world::{Type, Value};

/// SQL with a place for each operand, and the kinds of the operands.
type Form = (&'static str, &'static [Kind]);

use Kind::{Day, Decimal, Double, Flag, Int, Moment, Text};

const INT: &[Form] = &[
    ("({} + {})", &[Int, Int]),
    ("({} - {})", &[Int, Int]),
    ("({} * 2)", &[Int]),
    ("({} % 3)", &[Int]),
    ("({} / 2)", &[Int]),
    ("(- {})", &[Int]),
    ("abs({})", &[Int]),
    ("greatest({}, {})", &[Int, Int]),
    ("character_length({})", &[Text]),
    ("CAST({} AS BIGINT)", &[Decimal]),
    ("CAST({} AS INTEGER)", &[Int]),
    ("TRY_CAST({} AS BIGINT)", &[Text]),
    ("CAST(extract(day FROM {}) AS BIGINT)", &[Day]),
    ("strpos({}, 'a')", &[Text]),
    ("CASE {} WHEN 1 THEN {} WHEN 2 THEN 0 END", &[Int, Int]),
];
const DECIMAL: &[Form] = &[
    ("({} + {})", &[Decimal, Int]),
    ("({} - {})", &[Decimal, Decimal]),
    ("({} * 0.5)", &[Decimal]),
    ("(- {})", &[Decimal]),
    ("abs({})", &[Decimal]),
    ("CAST({} AS DECIMAL(12, 2))", &[Int]),
    ("CAST({} AS DECIMAL(14, 1))", &[Decimal]),
    ("least({}, {})", &[Decimal, Decimal]),
];
const DOUBLE: &[Form] = &[("CAST({} AS DOUBLE)", &[Int])];
const TEXT: &[Form] = &[
    ("upper({})", &[Text]),
    ("lower({})", &[Text]),
    ("btrim({})", &[Text]),
    ("({} || {})", &[Text, Text]),
    ("concat({}, '-', {})", &[Text, Text]),
    ("substr({}, 1, 2)", &[Text]),
    ("replace({}, 'a', 'b')", &[Text]),
    ("CAST({} AS VARCHAR)", &[Int]),
    ("CAST({} AS VARCHAR)", &[Day]),
    ("CAST({} AS VARCHAR)", &[Decimal]),
    ("left({}, 1)", &[Text]),
];
const DAY: &[Form] = &[("CAST({} AS DATE)", &[Moment])];
const MOMENT: &[Form] = &[
    ("date_trunc('day', {})", &[Moment]),
    ("CAST({} AS TIMESTAMP)", &[Day]),
];

impl Generator<'_> {
    /// A column of `kind` if there is one.
    pub(super) fn leaf(&mut self, scope: &Scope, kind: Kind) -> Expr {
        let column = scope.of_kind(&mut self.dice, kind);
        match column {
            Some(column) if self.dice.chance(92) => column,
            _ => self.literal(kind),
        }
    }

    /// A value of `kind`, without queries in it.
    pub(super) fn scalar(&mut self, scope: &Scope, kind: Kind, depth: usize) -> Expr {
        if depth == 0 {
            return self.leaf(scope, kind);
        }
        if kind == Flag {
            return self.predicate(scope, depth - 1);
        }
        match self.dice.below(100) {
            0..12 => {
                let operands = self.operands(scope, &[kind, kind], depth);
                Expr::form("coalesce({}, {})", operands, kind)
            }
            12..18 => {
                let operands = self.operands(scope, &[kind, kind], depth);
                Expr::form("nullif({}, {})", operands, kind)
            }
            18..32 => {
                let operands = self.operands(scope, &[Flag, kind, kind], depth);
                Expr::form("CASE WHEN {} THEN {} ELSE {} END", operands, kind)
            }
            32..36 => {
                let operands = self.operands(scope, &[Flag, kind], depth);
                Expr::form("CASE WHEN {} THEN {} END", operands, kind)
            }
            36..45 => self.leaf(scope, kind),
            _ => {
                let (form, operands) = *self.dice.pick(forms(kind));
                let operands = self.operands(scope, operands, depth);
                Expr::form(form, operands, kind)
            }
        }
    }

    fn operands(&mut self, scope: &Scope, kinds: &[Kind], depth: usize) -> Vec<Expr> {
        kinds
            .iter()
            .map(|kind| self.scalar(scope, *kind, depth - 1))
            .collect()
    }

    /// A literal of `kind`; seldom NULL.
    pub(super) fn literal(&mut self, kind: Kind) -> Expr {
        if self.dice.chance(4) {
            return kind.null();
        }
        let of = self.type_of(kind);
        let value = Value::any(&mut self.dice, of, 0);
        self.written(kind, of, &value)
    }

    /// Two literals of `kind`; seldom is the first the greater one.
    pub(super) fn bounds(&mut self, kind: Kind) -> [Expr; 2] {
        let of = self.type_of(kind);
        let mut values = [(); 2].map(|()| Value::any(&mut self.dice, of, 0));
        if self.dice.chance(90) {
            values.sort();
        }
        values.map(|value| self.written(kind, of, &value))
    }

    fn type_of(&mut self, kind: Kind) -> Type {
        match kind {
            Int => Type::Long,
            Decimal => *self.dice.pick(&[Type::Money, Type::Rate]),
            Double => Type::Double,
            Text => Type::Text,
            Day => Type::Day,
            Moment => Type::Moment,
            Flag => Type::Flag,
        }
    }

    fn written(&mut self, kind: Kind, of: Type, value: &Value) -> Expr {
        let sql = of.show(value);
        let sql = match kind {
            Day => format!("DATE {sql}"),
            Moment => format!("TIMESTAMP {sql}"),
            Double => format!("CAST({sql} AS DOUBLE)"),
            Decimal if self.dice.chance(50) => format!("CAST({sql} AS DECIMAL(10, 2))"),
            _ => sql,
        };
        Expr::literal(sql, kind)
    }
}

fn forms(kind: Kind) -> &'static [Form] {
    match kind {
        Int => INT,
        Decimal => DECIMAL,
        Double => DOUBLE,
        Text => TEXT,
        Day => DAY,
        Moment | Flag => MOMENT,
    }
}
