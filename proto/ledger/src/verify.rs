//! Whether a log is what was written.

mod broken;
mod checkpoints;

use std::fmt;
use std::path::Path;
use std::time::SystemTime;

use rusqlite::Connection;

use crate::checkpoint::{Checkpoint, SealError};
use crate::record::{COLUMNS, GENESIS, Stored, time};
use crate::store::{self, Form, Trace};

pub use broken::Broken;
use checkpoints::Checkpoints;

/// A whole log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// How many records it has.
    pub records: u64,
    /// The hash of the newest one; zeros if there is none.
    pub head: [u8; 32],
    /// The times of the first and of the newest record, as those who wrote them saw it.
    pub times: Option<(SystemTime, SystemTime)>,
    /// How many checkpoints it has.
    pub checkpoints: u64,
    /// The newest of them.
    pub newest_checkpoint: Option<Checkpoint>,
}

type Witness<'a> = dyn FnMut(&Checkpoint) -> Result<(), SealError> + 'a;

/// Checks a log from its first record to its newest. Reads the file once, in constant memory, and
/// writes nothing into it.
pub struct Verifier<'a> {
    witness: Box<Witness<'a>>,
    kept: Vec<Checkpoint>,
}

impl<'a> Verifier<'a> {
    /// A verifier that asks `witness` of each checkpoint whether its seal holds.
    pub fn new(witness: impl FnMut(&Checkpoint) -> Result<(), SealError> + 'a) -> Self {
        Self {
            witness: Box::new(witness),
            kept: Vec::new(),
        }
    }

    /// Also expects what a checkpoint says that was kept outside the log.
    #[must_use]
    pub fn expecting(mut self, kept: Checkpoint) -> Self {
        self.kept.push(kept);
        self
    }

    /// Checks the log at `path`. Safe while a server writes to it.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn verify(mut self, path: &Path) -> Result<Verified, Broken> {
        read(path, |connection| self.check(connection))
    }

    fn check(&mut self, connection: &Connection) -> Result<Verified, Broken> {
        // One moment of the log, whatever is written meanwhile.
        let snapshot = connection.unchecked_transaction()?;
        let form = Form::of(&snapshot)?.ok_or(Broken::NotALedger)?;
        let checkpoints =
            Checkpoints::begin(&snapshot, form, &mut *self.witness, self.kept.clone())?;
        let verified = walk(&snapshot, checkpoints)?;
        match form.difference(&snapshot)? {
            Some(object) => Err(Broken::Altered { object }),
            None => Ok(verified),
        }
    }
}

impl fmt::Debug for Verifier<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("kept", &self.kept)
            .finish_non_exhaustive()
    }
}

/// Checks the log at `path`, all but who sealed its checkpoints.
///
/// # Errors
/// The first thing that is wrong.
pub fn verify(path: &Path) -> Result<Verified, Broken> {
    Verifier::new(|_| Ok(())).verify(path)
}

/// The newest checkpoint of the log at `path`, unchecked.
///
/// # Errors
/// If the file is no event log or cannot be read.
pub fn newest_checkpoint(path: &Path) -> Result<Option<Checkpoint>, Broken> {
    read(path, |connection| {
        match Form::of(connection)?.ok_or(Broken::NotALedger)? {
            Form::Events => Ok(None),
            Form::Checkpoints => Ok(store::checkpoints::newest(connection)?),
        }
    })
}

/// Reads a file that nobody writes without leaving anything beside it. If somebody turns out to
/// write, what was read so is worth nothing, and it is read once more beside them.
fn read<T>(
    path: &Path,
    mut reading: impl FnMut(&Connection) -> Result<T, Broken>,
) -> Result<T, Broken> {
    let before = Trace::of(path);
    if before.is_complete() {
        let found = reading(&store::open_unchanging(path)?);
        if Trace::of(path) == before {
            return found;
        }
    }
    reading(&store::open_to_read(path)?)
}

fn walk(connection: &Connection, mut checkpoints: Checkpoints<'_, '_>) -> Result<Verified, Broken> {
    let mut select =
        connection.prepare(&format!("SELECT {COLUMNS} FROM events ORDER BY sequence"))?;
    let mut rows = select.query([])?;
    let (mut records, mut head, mut times) = (0, GENESIS, None);
    loop {
        let expected = records + 1;
        let row = rows.next().map_err(|cause| Broken::Damaged {
            sequence: expected,
            cause,
        })?;
        let Some(row) = row else { break };
        let place = row.get(0)?;
        let sequence = numbered(place)?;
        if sequence != expected {
            return Err(Broken::Missing {
                expected,
                found: sequence,
            });
        }
        // A value of another type is a change like any other.
        let record = Stored::read(row).map_err(|_| Broken::Changed { sequence })?;
        if !record.is_intact() {
            return Err(Broken::Changed { sequence });
        }
        if record.previous != head {
            return Err(Broken::Unlinked { sequence });
        }
        checkpoints.meet(sequence, &record.hash)?;
        let at = time(record.entry.at);
        times = Some((times.map_or(at, |(first, _)| first), at));
        (records, head) = (sequence, record.hash);
    }
    let (checkpoints, newest_checkpoint) = checkpoints.end(records)?;
    Ok(Verified {
        records,
        head,
        times,
        checkpoints,
        newest_checkpoint,
    })
}

/// Records are numbered from 1.
fn numbered(place: i64) -> Result<u64, Broken> {
    u64::try_from(place)
        .ok()
        .filter(|sequence| *sequence > 0)
        .ok_or(Broken::Stray { place })
}
