//! What a killed parent process leaves behind.

use std::os::unix::process::parent_id;
use std::path::PathBuf;

/// A folder that belongs to the parent process, which removes it unless it is killed. Then this
/// value does, at the end of this process.
#[derive(Debug)]
pub(crate) struct Leftovers {
    folder: PathBuf,
    parent: u32,
}

impl Leftovers {
    pub(crate) fn of_parent(folder: PathBuf) -> Self {
        Self {
            folder,
            parent: parent_id(),
        }
    }
}

impl Drop for Leftovers {
    fn drop(&mut self) {
        if parent_id() != self.parent {
            // Its siblings do the same at this moment; the last one finds nothing to remove.
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}
