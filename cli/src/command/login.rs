//! `weft login` and `weft logout`: what is kept on this machine in place of a password.

mod browser;
mod device;

use weft_governance::Error;
use weft_wire::person::{Desk, Login, Proof, SignedIn};

use super::{at_authority, profile, server, sign_in, wrong};
use crate::args::{LoginArgs, LogoutArgs, SignInArgs};
use crate::client::{Client, SignIn, Target};
use crate::exit::{Exit, note};

/// Signs in and keeps the session, or with an authority the login.
///
/// # Errors
/// What the server or the authority says, or if it cannot be kept.
pub(super) async fn login(args: LoginArgs) -> Result<Exit, Error> {
    let LoginArgs {
        url,
        profile,
        authority,
        server: id,
        provider,
        device,
        no_browser,
        service,
        secret_file,
        sign_in,
    } = args;
    let Some(authority) = authority else {
        if provider.is_some() || service.is_some() {
            let message = "--provider and --service need --authority".to_owned();
            return Err(wrong(message)
                .with_hint("Name the authority: --authority https://HOST:7460 --ca ca.pem."));
        }
        return at_server(url, &profile, &sign_in).await;
    };
    let ca = at_authority::ca(&sign_in)?;
    let desk = Desk::at(&authority, &ca)?;
    let login = match (provider, service) {
        (Some(provider), _) if device => device::sign_in(&desk, &provider).await?,
        (Some(provider), _) => browser::sign_in(&desk, &provider, !no_browser).await?,
        (None, Some(name)) => {
            let file = secret_file.ok_or_else(|| {
                wrong("there is no secret; name its file with --secret-file".to_owned())
            })?;
            let secret = super::read_secret(&file)?;
            opened(&desk, &Proof::Service { name, secret }).await?
        }
        (None, None) => match sign_in::read(&sign_in)? {
            SignIn::Password { user, password } => {
                opened(&desk, &Proof::Password { user, password }).await?
            }
            SignIn::Bearer(_) => {
                let message = "the authority takes a password here, not a token".to_owned();
                return Err(wrong(message));
            }
        },
    };
    let kept = profile::Kept {
        authority,
        server: server(&id)?,
        secret: login.secret.clone(),
    };
    let target = Target {
        url,
        ca_pem: Some(ca),
        server: None,
    };
    profile::save_login(&profile, &target, &kept)?;
    note(&format!(
        "signed in as `{}` {}; `weft sql --profile {profile}` uses this login, `weft logout` ends it",
        login.principal,
        until(&login)
    ));
    Ok(Exit::Ok)
}

/// Ends a login and forgets it.
///
/// # Errors
/// If there is none, or the authority cannot be told; it is forgotten all the same.
pub(super) async fn logout(args: LogoutArgs) -> Result<Exit, Error> {
    let LogoutArgs { profile } = args;
    let (target, session) = profile::load(&profile)?;
    profile::remove(&profile)?;
    if let profile::Session::Login(kept) = session {
        let ca = target.ca_pem.unwrap_or_default();
        let desk = Desk::at(&kept.authority, &ca)?;
        desk.end_login(&kept.secret).await.map_err(|error| {
            error.with_hint("It is forgotten here, and ends at the authority by itself.")
        })?;
    }
    note(&format!("signed out; the session `{profile}` is gone"));
    Ok(Exit::Ok)
}

/// The session of a server that signs people in by itself.
async fn at_server(url: String, profile: &str, sign_in: &SignInArgs) -> Result<Exit, Error> {
    let target = Target {
        url,
        ca_pem: sign_in::ca(sign_in)?,
        server: None,
    };
    let client = Client::connect(&target, sign_in::read(sign_in)?).await?;
    let bearer = client
        .bearer()
        .ok_or_else(|| wrong("the server gave no session".to_owned()))?;
    profile::save_session(profile, &target, bearer)?;
    note(&format!(
        "signed in; `weft sql --profile {profile}` uses this session"
    ));
    Ok(Exit::Ok)
}

/// A login for a proof that needs nobody to wait.
async fn opened(desk: &Desk, proof: &Proof) -> Result<Login, Error> {
    match desk.open_login(proof).await? {
        SignedIn::Yes(login) => Ok(login),
        SignedIn::Waiting { .. } => Err(wrong("the sign-in is not done".to_owned())),
    }
}

fn until(login: &Login) -> String {
    let end = chrono::DateTime::<chrono::Local>::from(login.expires_at);
    format!("until {}", end.format("%Y-%m-%d %H:%M"))
}
