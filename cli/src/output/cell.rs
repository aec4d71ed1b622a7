//! One value as text.

use std::io;

use arrow::array::{Array, ArrayRef};
use arrow::util::display::{ArrayFormatter, DurationFormat, FormatOptions};

/// How values are written: ISO dates, NULL as nothing.
const OPTIONS: FormatOptions<'static> = FormatOptions::new()
    .with_display_error(true)
    .with_duration_format(DurationFormat::Pretty);

/// A column's values as text; `None` is NULL.
pub(super) struct Column<'a> {
    array: &'a ArrayRef,
    formatter: ArrayFormatter<'a>,
}

impl<'a> Column<'a> {
    pub(super) fn new(array: &'a ArrayRef) -> io::Result<Self> {
        let formatter =
            ArrayFormatter::try_new(array.as_ref(), &OPTIONS).map_err(io::Error::other)?;
        Ok(Self { array, formatter })
    }

    pub(super) fn value(&self, row: usize) -> Option<String> {
        (!self.array.is_null(row)).then(|| self.formatter.value(row).to_string())
    }
}
