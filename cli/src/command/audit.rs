//! `weft audit`: whether an event log is what a server wrote, without the server.

mod report;
mod witness;

use std::path::{Path, PathBuf};

use weft_governance::{Error, ErrorKind, code};
use weft_ledger::{Broken, Checkpoint, Verifier, newest_checkpoint};

use super::{print_line, wrong};
use crate::args::{AuditArgs, AuditCommand, AuditVerifyArgs};
use crate::exit::{Exit, note};
use witness::Witness;

/// Runs `weft audit`.
///
/// # Errors
/// `WEFT-LOG-BROKEN` with the first thing that is wrong with the log, `WEFT-SETTINGS` if a file
/// cannot be read or is something else.
pub(super) fn run(args: &AuditArgs) -> Result<Exit, Error> {
    match &args.command {
        AuditCommand::Verify(args) => verify(args),
        AuditCommand::Checkpoint(args) => checkpoint(&args.file),
    }
}

fn verify(args: &AuditVerifyArgs) -> Result<Exit, Error> {
    let AuditVerifyArgs {
        file,
        key,
        ca,
        checkpoint,
    } = args;
    let ca = ca.as_deref().map(text).transpose()?;
    let mut witness = Witness::new(&texts(key)?, ca.as_deref())?;
    let kept = checkpoint
        .iter()
        .map(|file| kept(file))
        .collect::<Result<Vec<_>, _>>()?;
    let verified = kept
        .into_iter()
        .fold(
            Verifier::new(|checkpoint| witness.check(checkpoint)),
            Verifier::expecting,
        )
        .verify(file)
        .map_err(|broken| refusal(file, broken))?;
    if !witness.knows_whom_to_trust() {
        note("whose key signed the checkpoints was not checked; name --ca or --key for that");
    }
    print_line(&report::of(&verified, witness.server()))
}

fn checkpoint(file: &Path) -> Result<Exit, Error> {
    let newest = newest_checkpoint(file).map_err(|broken| refusal(file, broken))?;
    let newest = newest.ok_or_else(|| {
        wrong(format!("`{}` has no checkpoint yet", file.display()))
            .with_hint("A server writes one a minute after its first event, and when it stops.")
    })?;
    print_line(&newest.to_json())
}

fn kept(file: &Path) -> Result<Checkpoint, Error> {
    Checkpoint::from_json(&text(file)?).map_err(|error| {
        wrong(format!(
            "`{}` cannot be used as a checkpoint: {error}",
            file.display()
        ))
        .with_hint("`weft audit checkpoint FILE` prints one.")
    })
}

fn texts(files: &[PathBuf]) -> Result<Vec<String>, Error> {
    files.iter().map(|file| text(file)).collect()
}

fn text(file: &Path) -> Result<String, Error> {
    std::fs::read_to_string(file)
        .map_err(|error| wrong(format!("`{}` cannot be read: {error}", file.display())))
}

/// What is wrong with the log, and from where on.
fn refusal(file: &Path, broken: Broken) -> Error {
    let file = file.display();
    let hint = match (&broken, broken.sequence()) {
        (Broken::Unreadable(cause), _) => {
            return wrong(format!("`{file}` cannot be read: {cause}")).with_hint(
                "A copy needs the file along that is named like it and ends in `-wal`, if there \
                 is one; both together need a folder that can be written.",
            );
        }
        (Broken::NotALedger, _) => return wrong(format!("`{file}`: {broken}")),
        (Broken::Unsealed { cause, .. }, _) => Some(format!("The seal was refused: {cause}.")),
        (_, Some(sequence @ 2..)) => Some(format!(
            "What stands before record {sequence} holds together."
        )),
        (_, Some(_) | None) => None,
    };
    let error = Error::new(
        ErrorKind::Internal,
        code::LOG_BROKEN,
        format!("`{file}` is not what was written: {broken}"),
    )
    .caused_by(broken);
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}
