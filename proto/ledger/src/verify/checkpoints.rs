//! The checkpoints of a log and those kept elsewhere, beside the records as they go by.

use std::iter::Peekable;
use std::vec;

use rusqlite::Connection;

use super::{Broken, Witness};
use crate::checkpoint::Checkpoint;
use crate::store::{Form, checkpoints};

/// What is still to come.
pub(super) struct Checkpoints<'a, 'w> {
    connection: &'a Connection,
    witness: &'a mut Witness<'w>,
    /// By their records.
    kept: Peekable<vec::IntoIter<Checkpoint>>,
    stored: Option<Checkpoint>,
    /// The record of the last one that held.
    held: u64,
    count: u64,
    newest: Option<Checkpoint>,
}

impl<'a, 'w> Checkpoints<'a, 'w> {
    pub(super) fn begin(
        connection: &'a Connection,
        form: Form,
        witness: &'a mut Witness<'w>,
        mut kept: Vec<Checkpoint>,
    ) -> Result<Self, Broken> {
        kept.sort_by_key(|checkpoint| checkpoint.sequence);
        let mut this = Self {
            connection,
            witness,
            kept: kept.into_iter().peekable(),
            stored: None,
            held: 0,
            count: 0,
            newest: None,
        };
        match form {
            Form::Events => {}
            Form::Checkpoints => this.stored = this.from(i64::MIN)?,
        }
        Ok(this)
    }

    /// Compares the record at `sequence`, the next one, with the checkpoints that it has.
    pub(super) fn meet(&mut self, sequence: u64, hash: &[u8; 32]) -> Result<(), Broken> {
        let stored = self.stored.take_if(|stored| stored.sequence == sequence);
        let first = self.held + 1;
        while let Some(kept) = self.kept.next_if(|kept| kept.sequence == sequence) {
            self.compare(&kept, first, hash)?;
            if stored.is_none() {
                return Err(Broken::NoCheckpoint { sequence });
            }
        }
        if let Some(stored) = stored {
            self.compare(&stored, first, hash)?;
            self.held = sequence;
            self.count += 1;
            self.newest = Some(stored);
            self.stored = self.from(place(sequence).saturating_add(1))?;
        }
        Ok(())
    }

    /// All records have gone by: how many checkpoints there were, and the newest of them.
    pub(super) fn end(mut self, records: u64) -> Result<(u64, Option<Checkpoint>), Broken> {
        let missing = self.kept.next().or_else(|| self.stored.take());
        match missing {
            Some(Checkpoint { sequence, .. }) => Err(Broken::Truncated {
                first: records + 1,
                sequence,
            }),
            None => Ok((self.count, self.newest)),
        }
    }

    fn compare(
        &mut self,
        checkpoint: &Checkpoint,
        first: u64,
        hash: &[u8; 32],
    ) -> Result<(), Broken> {
        let sequence = checkpoint.sequence;
        (self.witness)(checkpoint).map_err(|cause| Broken::Unsealed { sequence, cause })?;
        if checkpoint.hash == *hash {
            Ok(())
        } else {
            Err(Broken::Rewritten { first, sequence })
        }
    }

    /// The first checkpoint in the file of the records from `place` on.
    fn from(&self, place: i64) -> Result<Option<Checkpoint>, Broken> {
        let stored = checkpoints::from(self.connection, place).map_err(|cause| {
            Broken::UnreadableCheckpoint {
                sequence: self.held + 1,
                cause,
            }
        })?;
        // Nothing comes before the first record, so nothing would ever meet it.
        match stored {
            Some(stored) if stored.sequence == 0 => Err(Broken::Stray { place: 0 }),
            stored => Ok(stored),
        }
    }
}

fn place(sequence: u64) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}
