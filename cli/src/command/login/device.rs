//! A sign-in at a provider on another device (RFC 8628), for terminals without a browser.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use weft_governance::{Error, ErrorKind, code};
use weft_wire::person::{Desk, Login, Proof, SignedIn};

use crate::exit::note;

/// How much longer to wait when the provider wants to be asked less often.
const SLOWER: Duration = Duration::from_secs(5);

/// Signs in at `provider`.
///
/// # Errors
/// If the person does not sign in in time.
pub(super) async fn sign_in(desk: &Desk, provider: &str) -> Result<Login, Error> {
    let begun = desk.begin_device(provider).await?;
    note(&format!(
        "sign in on any device at\n\n{}\n\nwith the code {}\n",
        printable(&begun.verification_uri),
        printable(&begun.user_code)
    ));
    if let Some(complete) = &begun.verification_uri_complete {
        note(&format!("or at\n\n{}\n", printable(complete)));
    }
    let (mut interval, end) = (begun.interval, Instant::now() + begun.expires_in);
    let proof = Proof::Device {
        attempt: begun.attempt,
    };
    while Instant::now() < end {
        sleep(interval).await;
        match desk.open_login(&proof).await? {
            SignedIn::Yes(login) => return Ok(login),
            SignedIn::Waiting { slower: true } => interval += SLOWER,
            SignedIn::Waiting { slower: false } => {}
        }
    }
    Err(Error::new(
        ErrorKind::Unauthenticated,
        code::UNAUTHENTICATED,
        "nobody signed in in time",
    )
    .with_hint("Sign in again with `weft login --device`."))
}

/// What a provider wrote, without what a terminal would obey.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(500).collect()
}
