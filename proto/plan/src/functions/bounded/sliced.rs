//! Calls that are much work for a few rows, a few rows at a time.
//!
//! An expression is evaluated for a batch at once. A pattern that each row makes anew is compiled as often,
//! and all of them are kept until the batch is done: seconds and gigabytes, in which nothing can stop the
//! query. In slices, memory holds the patterns of one, and between two the query can be ended.

use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::{cast, concat};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDF};

use super::operator::Form;
use super::size::compared;
use crate::interrupt::Interrupt;

/// Patterns of one slice that differ.
const PATTERNS: usize = 16;
/// What [`compared`] tells of one slice, unless it is of a single row.
const WEIGHT: u64 = 16 << 20;

/// What makes a call much work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Work {
    /// To compile the second argument.
    Patterns,
    /// To compare the two arguments, letter by letter.
    Letters,
}

impl Work {
    /// That of a call of the function `name` with `args`.
    pub(super) fn of(name: &str, args: &[Expr]) -> Option<Self> {
        let fixed = |index: usize| args.get(index).is_none_or(is_fixed);
        match name {
            "regexp_like" | "regexp_match" | "regexp_count" | "regexp_instr" | "regexp_replace"
                if !fixed(1) =>
            {
                Some(Self::Patterns)
            }
            "levenshtein" if !fixed(0) || !fixed(1) => Some(Self::Letters),
            _ => None,
        }
    }

    /// That of an operator with `right` as its second operand.
    pub(super) fn of_operator(form: &Form, right: &Expr) -> Option<Self> {
        use Operator as O;
        let matches = match form {
            Form::Binary(op) => matches!(
                op,
                O::RegexMatch
                    | O::RegexIMatch
                    | O::RegexNotMatch
                    | O::RegexNotIMatch
                    | O::LikeMatch
                    | O::ILikeMatch
                    | O::NotLikeMatch
                    | O::NotILikeMatch
            ),
            Form::Like(..) | Form::SimilarTo(..) => true,
        };
        (matches && !is_fixed(right)).then_some(Self::Patterns)
    }

    /// The rows of each slice of a call with `args`.
    fn slices(self, args: &[ColumnarValue], rows: usize) -> Vec<usize> {
        match self {
            Self::Patterns => match args.get(1) {
                Some(ColumnarValue::Array(patterns)) => by_patterns(patterns),
                Some(ColumnarValue::Scalar(_)) | None => vec![rows],
            },
            Self::Letters => by_weight(compared(args, rows)),
        }
    }
}

fn is_fixed(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(..))
}

/// Slices with few patterns each.
fn by_patterns(patterns: &ArrayRef) -> Vec<usize> {
    let Ok(texts) = cast(patterns, &DataType::Utf8View) else {
        return by_weight((0..patterns.len()).map(|_| WEIGHT / PATTERNS as u64));
    };
    let (mut slices, mut seen, mut rows) = (Vec::new(), HashSet::new(), 0);
    for pattern in texts.as_string_view().iter().map(Option::unwrap_or_default) {
        if !seen.contains(pattern) && seen.len() >= PATTERNS {
            slices.push(std::mem::take(&mut rows));
            seen.clear();
        }
        seen.insert(pattern);
        rows += 1;
    }
    slices.push(rows);
    slices
}

/// Slices that weigh little each.
fn by_weight(weights: impl Iterator<Item = u64>) -> Vec<usize> {
    let (mut slices, mut rows, mut sum) = (Vec::new(), 0, 0_u64);
    for weight in weights {
        if rows > 0 && sum.saturating_add(weight) > WEIGHT {
            slices.push(std::mem::take(&mut rows));
            sum = 0;
        }
        rows += 1;
        sum = sum.saturating_add(weight);
    }
    slices.push(rows);
    slices
}

/// How a call is cut, and what ends its plan meanwhile.
#[derive(Debug)]
pub(super) struct Slices {
    pub(super) work: Work,
    pub(super) interrupt: Interrupt,
}

// Of one plan, all have the same signal.
impl PartialEq for Slices {
    fn eq(&self, other: &Self) -> bool {
        self.work == other.work
    }
}

impl Eq for Slices {}

impl Hash for Slices {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.work.hash(state);
    }
}

impl Slices {
    /// What `function` makes of `args`, slice by slice.
    pub(super) fn invoke(
        &self,
        function: &ScalarUDF,
        args: ScalarFunctionArgs,
    ) -> Result<ColumnarValue> {
        self.interrupt.check()?;
        let slices = self.work.slices(&args.args, args.number_rows);
        if slices.len() < 2 {
            return function.invoke_with_args(args);
        }
        let (mut parts, mut start) = (Vec::with_capacity(slices.len()), 0);
        for rows in slices {
            self.interrupt.check()?;
            let operands = args.args.iter().map(|arg| match arg {
                ColumnarValue::Array(array) => ColumnarValue::Array(array.slice(start, rows)),
                ColumnarValue::Scalar(value) => ColumnarValue::Scalar(value.clone()),
            });
            let part = ScalarFunctionArgs {
                args: operands.collect(),
                arg_fields: args.arg_fields.clone(),
                number_rows: rows,
                return_field: Arc::clone(&args.return_field),
                config_options: Arc::clone(&args.config_options),
            };
            parts.push(function.invoke_with_args(part)?.into_array(rows)?);
            start += rows;
        }
        let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
        Ok(ColumnarValue::Array(concat(&parts)?))
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::StringArray;

    use super::*;

    #[test]
    fn a_slice_has_few_patterns_or_little_weight() {
        let patterns = |count: usize| -> ArrayRef {
            let texts = (0..100).map(|row| (row % count).to_string());
            Arc::new(StringArray::from_iter_values(texts))
        };
        assert_eq!(by_patterns(&patterns(1)), [100]);
        assert_eq!(by_patterns(&patterns(PATTERNS)), [100]);
        assert_eq!(by_patterns(&patterns(100)), [16, 16, 16, 16, 16, 16, 4]);
        let none: ArrayRef = Arc::new(StringArray::new_null(50));
        assert_eq!(by_patterns(&none), [50]);
        assert_eq!(by_weight([1; 50].into_iter()), [50]);
        assert_eq!(
            by_weight([WEIGHT, 1, WEIGHT - 1, 1, 3 * WEIGHT].into_iter()),
            [1, 2, 1, 1]
        );
        let texts = |length: usize| {
            let text = "x".repeat(length);
            ColumnarValue::Array(Arc::new(StringArray::from_iter_values([&text; 6])))
        };
        let slices = |length| Work::Letters.slices(&[texts(length), texts(length)], 6);
        assert_eq!(slices(100), [6]);
        assert_eq!(slices(7_000), [2, 2, 2]);
    }
}
