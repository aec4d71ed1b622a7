//! LIMIT: how much may be read in a day.

use std::fmt;
use std::num::NonZeroU64;

use weft_governance::{Error, Limits};

use super::reader::Reader;
use crate::refusal::syntax;

/// Units of bytes, the largest first: powers of a thousand, as networks are measured.
const BYTES: [(&str, u64); 4] = [
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("BYTES", 1),
];

/// Reads what follows LIMIT: `1000 ROWS PER DAY`, `5 GB PER DAY`, or both.
pub(super) fn read(reader: &mut Reader<'_, '_>) -> Result<Limits, Error> {
    let mut limits = Limits::default();
    reader.list(|reader| {
        let number = reader.number("a number of rows or bytes")?;
        let (what, limit, unit) = if reader.take("ROWS") {
            ("rows", &mut limits.rows_per_day, 1)
        } else if let Some((_, unit)) = BYTES.iter().find(|(name, _)| reader.take(name)) {
            ("bytes", &mut limits.bytes_per_day, *unit)
        } else {
            return Err(reader.expected("ROWS, BYTES, KB, MB or GB"));
        };
        reader.expect("PER DAY")?;
        if limit.is_some() {
            return Err(syntax(format!("a limit on {what} is given twice")));
        }
        let Some(total) = number.checked_mul(unit) else {
            let most = u64::MAX;
            return Err(syntax(format!(
                "the limit on {what} is larger than {most} {what}"
            )));
        };
        *limit = Some(NonZeroU64::new(total).ok_or_else(|| {
            syntax(format!("the limit on {what} is 0"))
                .with_hint("To give nothing, revoke the grant; to limit nothing, leave LIMIT out.")
        })?);
        Ok(())
    })?;
    Ok(limits)
}

/// Prints the clause, with a space before it, unless nothing is limited.
pub(super) fn print(limits: &Limits, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Limits {
        rows_per_day,
        bytes_per_day,
    } = limits;
    if let Some(rows) = rows_per_day {
        write!(f, " LIMIT {rows} ROWS PER DAY")?;
    }
    if let Some(bytes) = bytes_per_day {
        let (unit, size) = BYTES
            .iter()
            .find(|(_, size)| bytes.get().is_multiple_of(*size))
            .unwrap_or(&("BYTES", 1));
        let clause = if rows_per_day.is_some() {
            ","
        } else {
            " LIMIT"
        };
        write!(f, "{clause} {} {unit} PER DAY", bytes.get() / size)?;
    }
    Ok(())
}
