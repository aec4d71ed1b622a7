//! Sessions that `weft login` keeps, one file each, readable by their owner alone.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use weft_governance::{Error, ErrorKind, ServerId, code};
use weft_wire::identity::write_private;
use zeroize::Zeroizing;

use super::wrong;
use crate::client::Target;

/// What is kept of a session.
pub(super) enum Session {
    /// The bearer that one server knows.
    Bearer(Zeroizing<String>),
    /// A login at the authority, good for tokens for every server.
    Login(Kept),
}

/// A login as it is kept.
pub(super) struct Kept {
    /// Where the authority is.
    pub(super) authority: String,
    /// The server at the session's URL.
    pub(super) server: ServerId,
    /// What the login is proved with.
    pub(super) secret: Zeroizing<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Profile {
    url: String,
    ca_pem: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bearer: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    login: Option<LoginText>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LoginText {
    authority: String,
    server: String,
    secret: String,
}

/// Keeps the session of one server under `name`.
///
/// # Errors
/// If it cannot be written.
pub(super) fn save_session(name: &str, target: &Target, bearer: &str) -> Result<(), Error> {
    save(name, target, Some(bearer.to_owned()), None)
}

/// Keeps a login under `name`.
///
/// # Errors
/// If it cannot be written.
pub(super) fn save_login(name: &str, target: &Target, kept: &Kept) -> Result<(), Error> {
    let login = LoginText {
        authority: kept.authority.clone(),
        server: kept.server.to_string(),
        secret: kept.secret.to_string(),
    };
    save(name, target, None, Some(login))
}

fn save(
    name: &str,
    target: &Target,
    bearer: Option<String>,
    login: Option<LoginText>,
) -> Result<(), Error> {
    let file = file(name)?;
    let profile = Profile {
        url: target.url.clone(),
        ca_pem: target.ca_pem.clone(),
        bearer,
        login,
    };
    let write = || -> std::io::Result<()> {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        write_private(&file, &Zeroizing::new(serde_json::to_vec(&profile)?))
    };
    write().map_err(|error| wrong(format!("`{}` cannot be written: {error}", file.display())))
}

/// The session kept under `name`.
///
/// # Errors
/// If there is none.
pub(super) fn load(name: &str) -> Result<(Target, Session), Error> {
    let file = file(name)?;
    let text = Zeroizing::new(std::fs::read(&file).map_err(|_| {
        Error::new(
            ErrorKind::Unauthenticated,
            code::UNAUTHENTICATED,
            format!("there is no session `{name}`, and no URL to sign in at"),
        )
        .with_hint("Sign in with `weft login grpc://HOST:PORT --user NAME`, or name a URL.")
    })?);
    let damaged = || wrong(format!("`{}` is damaged; sign in again", file.display()));
    let Profile {
        url,
        ca_pem,
        bearer,
        login,
    } = serde_json::from_slice(&text).map_err(|_| damaged())?;
    let session = match (bearer, login) {
        (Some(bearer), None) => Session::Bearer(Zeroizing::new(bearer)),
        (None, Some(login)) => Session::Login(Kept {
            authority: login.authority,
            server: login.server.parse().map_err(|_| damaged())?,
            secret: Zeroizing::new(login.secret),
        }),
        (Some(_), Some(_)) | (None, None) => return Err(damaged()),
    };
    let target = Target {
        url,
        ca_pem,
        server: None,
    };
    Ok((target, session))
}

/// Forgets the session kept under `name`.
///
/// # Errors
/// If it cannot be deleted.
pub(super) fn remove(name: &str) -> Result<(), Error> {
    let file = file(name)?;
    std::fs::remove_file(&file)
        .map_err(|error| wrong(format!("`{}` cannot be deleted: {error}", file.display())))
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
