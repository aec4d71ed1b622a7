//! Runs the servers: settings in, a process that serves until it is told to stop.

pub(crate) mod authority;
mod claim;
pub(crate) mod coordinator;
mod leftovers;
pub(crate) mod node;

pub(crate) use claim::{Claim, claim};
pub(crate) use leftovers::Leftovers;

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::time::SystemTime;

use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::signal::unix::{Signal, SignalKind, signal};
use weft_governance::{Error, ErrorKind, ServerId, code};
use weft_wire::authority::{JoinToken, enroll};
use weft_wire::identity::Identity;

/// An address as JSON shows it.
pub(crate) fn shown(address: Option<SocketAddr>) -> Option<String> {
    address.map(|address| address.to_string())
}

/// How a server knows that it is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// On SIGINT or SIGTERM.
    Signal,
    /// Also when the process that started it goes away, which closes its standard input.
    ParentGone,
}

/// The identity kept in `state`, or if there is none or its certificate has ended, a new one in exchange
/// for the join token in `token_file`, which is deleted when it has been used. Also the authority's URL, if the token names it.
///
/// # Errors
/// If there is neither.
pub(crate) async fn identity(
    state: &Path,
    token_file: Option<&Path>,
    hosts: &[String],
) -> Result<(Identity, Option<String>), Error> {
    let url_file = state.join("authority.url");
    if let Some(identity) = Identity::load(state)? {
        let (_, end) = identity.renewal_due();
        let joins_anew = end <= SystemTime::now() && token_file.is_some_and(Path::exists);
        if !joins_anew {
            return Ok((identity, std::fs::read_to_string(url_file).ok()));
        }
    }
    let file = token_file.ok_or_else(|| {
        wrong(format!("there is no certificate in `{}` and no join token", state.display()))
            .with_hint("Ask for a token with `weft join-token`, put it into a file, and name it as `join_token_file`.")
    })?;
    let text = std::fs::read_to_string(file).map_err(|error| {
        wrong(format!(
            "the join token in `{}` cannot be read: {error}",
            file.display()
        ))
    })?;
    let token: JoinToken = text.parse()?;
    let identity = enroll(&token, hosts).await?;
    identity.store(state)?;
    std::fs::write(url_file, &token.authority_url)
        .map_err(|error| wrong(format!("`{}` cannot be written: {error}", state.display())))?;
    if let Err(error) = std::fs::remove_file(file) {
        tracing::warn!(%error, file = %file.display(), "a used join token could not be deleted");
    }
    Ok((identity, Some(token.authority_url)))
}

/// Refuses a certificate of another server than the settings describe.
pub(crate) fn check_identity(identity: &Identity, expected: &ServerId) -> Result<(), Error> {
    if identity.id() == expected {
        return Ok(());
    }
    Err(wrong(format!(
        "the certificate is for `{}`, and the settings describe `{expected}`",
        identity.id()
    ))
    .with_hint("Use the state folder of this server, or a join token that was made for it."))
}

/// Says in one line of JSON on standard output that the server is ready.
pub(crate) fn announce(ready: &Value) {
    let mut out = std::io::stdout().lock();
    // Whoever started the server may not want to know.
    let _ = writeln!(out, "{ready}").and_then(|()| out.flush());
}

/// What tells a server to stop.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    until: Until,
}

impl Signals {
    /// Watches from now on.
    ///
    /// # Errors
    /// If signals cannot be watched.
    pub(crate) fn watch(until: Until) -> Result<Self, Error> {
        let watch = |kind| {
            signal(kind).map_err(|error| wrong(format!("signals cannot be watched: {error}")))
        };
        Ok(Self {
            interrupt: watch(SignalKind::interrupt())?,
            terminate: watch(SignalKind::terminate())?,
            until,
        })
    }

    /// Returns when it is time to stop.
    pub(crate) async fn stop(&mut self) {
        match self.until {
            Until::Signal => self.asked().await,
            // A terminal sends SIGINT to the parent too, which then decides.
            Until::ParentGone => tokio::select! {
                () = parent_gone() => {}
                _ = self.terminate.recv() => {}
            },
        }
    }

    /// Lets `end` take its time, unless the server is told once more.
    pub(crate) async fn unless_told_again(mut self, end: impl Future<Output = ()>) {
        let again = async {
            match self.until {
                Until::Signal => self.asked().await,
                Until::ParentGone => drop(self.terminate.recv().await),
            }
        };
        tokio::select! {
            () = end => {}
            () = again => tracing::warn!("told to stop once more: what still runs is cut"),
        }
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Returns when it is time to stop.
///
/// # Errors
/// If signals cannot be watched.
pub(crate) async fn stop(until: Until) -> Result<(), Error> {
    Signals::watch(until)?.stop().await;
    Ok(())
}

async fn parent_gone() {
    let mut input = tokio::io::stdin();
    let mut ignored = [0_u8; 64];
    while matches!(input.read(&mut ignored).await, Ok(read) if read > 0) {}
}

fn wrong(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, code::SETTINGS, message)
}
