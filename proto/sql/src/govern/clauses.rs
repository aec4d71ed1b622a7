//! Clauses that come in any order, each at most once.

use std::collections::BTreeSet;

use weft_governance::Error;

use super::reader::Reader;
use crate::refusal::syntax;

/// The clauses of a statement that were read so far.
#[derive(Default)]
pub(super) struct Clauses {
    read: Vec<&'static str>,
}

impl Clauses {
    /// Takes the first words of the clause `words`, if they come next.
    ///
    /// # Errors
    /// If the clause was read before.
    pub(super) fn take(
        &mut self,
        reader: &mut Reader<'_, '_>,
        words: &'static str,
    ) -> Result<bool, Error> {
        if !reader.take(words) {
            return Ok(false);
        }
        self.note(words)?;
        Ok(true)
    }

    /// Remembers that `clause` was read.
    ///
    /// # Errors
    /// If it was read before.
    pub(super) fn note(&mut self, clause: &'static str) -> Result<(), Error> {
        if self.read.contains(&clause) {
            return Err(syntax(format!("{clause} is given twice")));
        }
        self.read.push(clause);
        Ok(())
    }

    /// Whether none was read.
    pub(super) fn is_empty(&self) -> bool {
        self.read.is_empty()
    }
}

/// Collects what is named once each.
///
/// # Errors
/// If something is named twice.
pub(super) fn distinct<T: Ord + ToString, C: FromIterator<T>>(
    what: &str,
    items: Vec<T>,
) -> Result<C, Error> {
    let mut known = BTreeSet::new();
    match items.iter().find(|item| !known.insert(*item)) {
        Some(twice) => {
            let twice = twice.to_string();
            Err(syntax(format!("{what} `{twice}` is named twice")))
        }
        None => Ok(items.into_iter().collect()),
    }
}
