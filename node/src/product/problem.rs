//! Why a product is not served.

use std::fmt;
use std::path::{Path, PathBuf};

use weft_governance::contract::{At, Fault};

/// Something that keeps a product from being served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The product's folder.
    pub product: String,
    /// The file, or the folder, that has to be changed.
    pub file: PathBuf,
    /// The line of the file, if there is one to name.
    pub line: Option<u64>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        write!(f, " {}", self.message)
    }
}

/// A problem of a product whose name and contract are known further up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    place: Place,
    message: String,
    hint: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Contract(At),
    File(PathBuf),
}

impl Trouble {
    /// Something in the contract, or that has to be changed there.
    pub(super) fn contract(at: At, message: impl Into<String>) -> Self {
        Self {
            place: Place::Contract(at),
            message: message.into(),
            hint: None,
        }
    }

    /// Something about `file` as a whole.
    pub(super) fn file(file: &Path, message: impl Into<String>) -> Self {
        Self {
            place: Place::File(file.to_owned()),
            message: message.into(),
            hint: None,
        }
    }

    /// Adds a full sentence that says what to do.
    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn into_problem(self, product: &str, contract: &Path) -> Problem {
        let Self {
            place,
            message,
            hint,
        } = self;
        let (file, line) = match place {
            Place::Contract(at) => (contract.to_owned(), Some(at.line)),
            Place::File(file) => (file, None),
        };
        Problem {
            product: product.to_owned(),
            file,
            line,
            message,
            hint,
        }
    }
}

impl From<&Fault> for Trouble {
    fn from(fault: &Fault) -> Self {
        Self::contract(fault.at, fault.message.clone())
    }
}
