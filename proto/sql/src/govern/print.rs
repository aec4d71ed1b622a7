//! Names, texts and lists as the canonical text has them.

use std::fmt;

use weft_governance::{Columns, Grantee};

pub(super) use weft_governance::id::Quoted as Name;

/// A text in single quotes.
pub(super) struct Text<'a>(pub(super) &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}'", self.0.replace('\'', "''"))
    }
}

/// Items with commas between them.
pub(super) struct Separated<F>(pub(super) F);

impl<F, I> fmt::Display for Separated<F>
where
    F: Fn() -> I,
    I: Iterator<Item: fmt::Display>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, item) in (self.0)().enumerate() {
            let separator = if place == 0 { "" } else { ", " };
            write!(f, "{separator}{item}")?;
        }
        Ok(())
    }
}

/// USER or GROUP, and the name.
pub(super) struct To<'a>(pub(super) &'a Grantee);

impl fmt::Display for To<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Grantee::User(subject) => write!(f, "USER {}", Name(subject)),
            Grantee::Group(group) => write!(f, "GROUP {}", Name(group)),
        }
    }
}

/// Columns in parentheses, with a space before them; nothing where all are meant.
pub(super) struct InParentheses<'a>(pub(super) &'a Columns);

impl fmt::Display for InParentheses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Columns::All => Ok(()),
            Columns::Only(names) => {
                let names = Separated(|| names.iter().map(|name| Name(name)));
                write!(f, " ({names})")
            }
        }
    }
}
