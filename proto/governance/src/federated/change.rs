//! What is different between a grant under one policy and under another.

use crate::grant::{Grant, Mask};
use crate::timestamp::Timestamp;

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A column is shown through another mask, through one, or through none.
    Mask {
        /// The column.
        column: String,
        /// How it was shown.
        before: Option<Mask>,
        /// How it will be.
        after: Option<Mask>,
    },
    /// It ends at another time; absent, not by itself.
    End {
        /// When it ended.
        before: Option<Timestamp>,
        /// When it will.
        after: Option<Timestamp>,
    },
    /// Whether a purpose has to be named.
    Purpose {
        /// From now on it has to be; otherwise, no longer.
        required: bool,
    },
}

/// What is different between `before` and `after`, which are what two policies leave of one grant.
pub fn changes(before: &Grant, after: &Grant) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut columns: Vec<&String> = before.masks.keys().chain(after.masks.keys()).collect();
    columns.sort();
    columns.dedup();
    for column in columns {
        let mask = |grant: &Grant| grant.masks.get(column).copied();
        let (before, after) = (mask(before), mask(after));
        if before != after {
            changes.push(Change::Mask {
                column: column.clone(),
                before,
                after,
            });
        }
    }
    if before.valid_until != after.valid_until {
        changes.push(Change::End {
            before: before.valid_until,
            after: after.valid_until,
        });
    }
    if before.purpose_required != after.purpose_required {
        changes.push(Change::Purpose {
            required: after.purpose_required,
        });
    }
    changes
}
