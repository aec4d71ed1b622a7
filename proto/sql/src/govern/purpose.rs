//! FOR PURPOSE: what rows may be used for.

use std::collections::BTreeSet;
use std::fmt;

use weft_governance::Error;

use super::clauses::{Clauses, distinct};
use super::print::{Separated, Text};
use super::reader::Reader;

/// Reads the clause, if it comes next; PURPOSES says the same.
pub(super) fn take(
    reader: &mut Reader<'_, '_>,
    clauses: &mut Clauses,
) -> Result<Option<BTreeSet<String>>, Error> {
    if !reader.take("FOR PURPOSE") && !reader.take("FOR PURPOSES") {
        return Ok(None);
    }
    clauses.note("FOR PURPOSE")?;
    let purposes = reader.list(|reader| reader.text("a purpose"))?;
    distinct("the purpose", purposes).map(Some)
}

/// Prints the clause, with a space before it, unless any purpose will do.
pub(super) fn print(purposes: &BTreeSet<String>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if purposes.is_empty() {
        return Ok(());
    }
    let texts = Separated(|| purposes.iter().map(|purpose| Text(purpose)));
    write!(f, " FOR PURPOSE {texts}")
}
