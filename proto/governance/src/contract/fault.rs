//! What is wrong with a contract, and where.

use std::fmt;

/// A place in the contract's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct At {
    /// Counted from 1.
    pub line: u64,
    /// In characters, counted from 1.
    pub column: u64,
}

impl At {
    /// The first character.
    pub const START: Self = Self { line: 1, column: 1 };
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub at: At,
    /// What.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.message)
    }
}

/// A contract that does not keep to the standard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidContract {
    first: Fault,
    others: Vec<Fault>,
}

impl InvalidContract {
    /// All faults in the order of the text; there is at least one.
    pub fn faults(&self) -> impl Iterator<Item = &Fault> {
        std::iter::once(&self.first).chain(&self.others)
    }

    pub(crate) fn one(at: At, message: impl Into<String>) -> Self {
        Self {
            first: Fault {
                at,
                message: message.into(),
            },
            others: Vec::new(),
        }
    }
}

impl fmt::Display for InvalidContract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first.fmt(f)?;
        self.others
            .iter()
            .try_for_each(|fault| write!(f, "\n{fault}"))
    }
}

impl std::error::Error for InvalidContract {}

/// The faults found so far.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    found: Vec<Fault>,
}

impl Faults {
    pub(crate) fn add(&mut self, at: At, message: impl Into<String>) {
        self.found.push(Fault {
            at,
            message: message.into(),
        });
    }

    /// `value`, if nothing was found.
    pub(crate) fn into_result<T>(self, value: T) -> Result<T, InvalidContract> {
        if self.found.is_empty() {
            Ok(value)
        } else {
            Err(self.into_error(At::START))
        }
    }

    /// What was found; `at` is named if that is nothing.
    pub(crate) fn into_error(mut self, at: At) -> InvalidContract {
        self.found.sort_by_key(|fault| fault.at);
        let mut found = self.found.into_iter();
        match found.next() {
            Some(first) => InvalidContract {
                first,
                others: found.collect(),
            },
            None => InvalidContract::one(at, "this is not a contract"),
        }
    }
}
