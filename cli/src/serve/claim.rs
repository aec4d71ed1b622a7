//! One process for one state folder.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use weft_governance::{Error, ErrorKind, code};

/// How long a predecessor that is told to stop may take for it.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(50);

/// The right to use a folder. It ends with this value, and with the process at the latest.
#[derive(Debug)]
pub(crate) struct Claim {
    _lock: File,
}

/// Makes `folder` unless it is there, and claims it.
///
/// # Errors
/// If another process uses it and goes on, or the folder cannot be written.
pub(crate) async fn claim(folder: &Path) -> Result<Claim, Error> {
    claim_within(folder, PATIENCE).await
}

async fn claim_within(folder: &Path, patience: Duration) -> Result<Claim, Error> {
    let unusable =
        |error: std::io::Error| wrong(format!("`{}` cannot be used: {error}", folder.display()));
    std::fs::create_dir_all(folder).map_err(unusable)?;
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join("lock"))
        .map_err(unusable)?;
    let deadline = Instant::now() + patience;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Claim { _lock: file }),
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => sleep(PAUSE).await,
            Err(TryLockError::WouldBlock) => {
                return Err(
                    wrong(format!("another process uses `{}`", folder.display()))
                        .with_hint("Stop it, or choose another folder."),
                );
            }
        }
    }
}

fn wrong(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, code::SETTINGS, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_is_used_by_one_at_a_time() {
        let folder = tempfile::tempdir().expect("folder");
        let state = folder.path().join("state");
        let first = claim(&state).await.expect("free");
        let refused = claim_within(&state, PAUSE).await.expect_err("in use");
        assert_eq!(refused.code(), code::SETTINGS);
        drop(first);
        claim(&state).await.expect("free again");
    }
}
