//! Sessions that `weft login` keeps, one file each, readable by their owner alone.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use weft_governance::{Error, ErrorKind, code};
use weft_wire::identity::write_private;
use zeroize::Zeroizing;

use super::wrong;
use crate::client::{SignIn, Target};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Profile {
    url: String,
    ca_pem: Option<String>,
    bearer: String,
}

/// Keeps a session under `name`.
///
/// # Errors
/// If it cannot be written.
pub(super) fn save(name: &str, target: &Target, bearer: &str) -> Result<(), Error> {
    let file = file(name)?;
    let profile = Profile {
        url: target.url.clone(),
        ca_pem: target.ca_pem.clone(),
        bearer: bearer.to_owned(),
    };
    let write = || -> std::io::Result<()> {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        write_private(&file, &serde_json::to_vec(&profile)?)
    };
    write().map_err(|error| wrong(format!("`{}` cannot be written: {error}", file.display())))
}

/// The session kept under `name`.
///
/// # Errors
/// If there is none.
pub(super) fn load(name: &str) -> Result<(Target, SignIn), Error> {
    let file = file(name)?;
    let text = std::fs::read(&file).map_err(|_| {
        Error::new(
            ErrorKind::Unauthenticated,
            code::UNAUTHENTICATED,
            format!("there is no session `{name}`, and no URL to sign in at"),
        )
        .with_hint("Sign in with `weft login grpc://HOST:PORT --user NAME`, or name a URL.")
    })?;
    let Profile {
        url,
        ca_pem,
        bearer,
    } = serde_json::from_slice(&text)
        .map_err(|_| wrong(format!("`{}` is damaged; sign in again", file.display())))?;
    Ok((
        Target { url, ca_pem },
        SignIn::Bearer(Zeroizing::new(bearer)),
    ))
}

fn file(name: &str) -> Result<PathBuf, Error> {
    let plain = !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || c == '-' || c == '_');
    if !plain {
        return Err(wrong(format!(
            "`{name}` is no name for a session; use letters and digits"
        )));
    }
    let config = std::env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config")))
        .ok_or_else(|| wrong("neither XDG_CONFIG_HOME nor HOME is set".to_owned()))?;
    Ok(config
        .join("weft")
        .join("sessions")
        .join(format!("{name}.json")))
}
