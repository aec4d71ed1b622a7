//! The file that says what a folder holds, and lets one writer in at a time.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::WorkloadError;

/// A folder's marker, held alone until it is dropped, also against other processes.
#[derive(Debug)]
pub(crate) struct Marker {
    path: PathBuf,
    file: File,
    text: String,
}

impl Marker {
    /// Waits until nobody else holds the marker in `folder`.
    pub(crate) fn hold(folder: &Path) -> Result<Self, WorkloadError> {
        let path = folder.join("generated");
        let (file, text) = open(&path).map_err(WorkloadError::io(&path))?;
        Ok(Self { path, file, text })
    }

    /// Whether the folder was last said to hold `text`.
    pub(crate) fn says(&self, text: &str) -> bool {
        self.text == text
    }

    /// Writes what the folder holds; nothing while it is being filled.
    pub(crate) fn say(&mut self, text: &str) -> Result<(), WorkloadError> {
        replace(&mut self.file, text).map_err(WorkloadError::io(&self.path))?;
        text.clone_into(&mut self.text);
        Ok(())
    }
}

fn open(path: &Path) -> std::io::Result<(File, String)> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    file.lock()?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok((file, text))
}

fn replace(file: &mut File, text: &str) -> std::io::Result<()> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
