//! An identity in a folder: `server.pem`, `server.key`, `ca.pem`, `server.id`.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use weft_governance::{Error, ErrorKind, ServerId, code};

use super::Identity;

impl Identity {
    /// The identity kept in `folder`, if there is one.
    ///
    /// # Errors
    /// If a file cannot be read or the parts do not fit.
    pub fn load(folder: &Path) -> Result<Option<Self>, Error> {
        let id = match fs::read_to_string(folder.join("server.id")) {
            Ok(id) => id,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unusable(folder, error)),
        };
        let read = |name: &str| {
            fs::read_to_string(folder.join(name)).map_err(|error| unusable(folder, error))
        };
        let id: ServerId = id
            .trim()
            .parse()
            .map_err(|error| unusable(folder, io::Error::other(error)))?;
        Self::new(
            id,
            read("server.pem")?,
            read("server.key")?,
            read("ca.pem")?,
        )
        .map(Some)
    }

    /// Keeps the identity in `folder`, the key readable by its owner alone.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn store(&self, folder: &Path) -> Result<(), Error> {
        let write = || -> io::Result<()> {
            fs::create_dir_all(folder)?;
            write_private(&folder.join("server.key"), self.key_pem().as_bytes())?;
            write_private(
                &folder.join("server.pem"),
                self.certificate_pem().as_bytes(),
            )?;
            fs::write(folder.join("ca.pem"), &self.ca_pem)?;
            // Last: its presence says that the rest is complete.
            fs::write(folder.join("server.id"), self.id.to_string())
        };
        write().map_err(|error| unusable(folder, error))
    }
}

impl Identity {
    /// Keeps a renewed certificate in `folder`, if this identity is kept there.
    pub(super) fn store_certificate(&self, folder: &Path) -> Result<(), Error> {
        let kept = fs::read_to_string(folder.join("server.id"));
        if !kept.is_ok_and(|id| id.trim() == self.id().to_string()) {
            return Ok(());
        }
        write_private(
            &folder.join("server.pem"),
            self.certificate_pem().as_bytes(),
        )
        .map_err(|error| unusable(folder, error))
    }
}

/// Writes a file that only its owner can read. The file is there whole or not at all, and one that
/// was there before, with whatever rights, is replaced.
///
/// # Errors
/// If it cannot be written.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let partial = path.with_extension(format!("{}.partial", uuid::Uuid::new_v4()));
    let written = write_new(&partial, bytes).and_then(|()| fs::rename(&partial, path));
    if written.is_err() {
        // What went wrong before is what the caller must know.
        let _ = fs::remove_file(&partial);
    }
    written
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn unusable(folder: &Path, error: io::Error) -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        code::SETTINGS,
        format!(
            "the server's identity in `{}` cannot be used: {error}",
            folder.display()
        ),
    )
}
