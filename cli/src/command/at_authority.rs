//! What a person proves at the authority with who they are.

use weft_governance::Error;
use weft_wire::person::{Desk, Proof};

use super::{profile, sign_in, wrong};
use crate::args::{AtAuthorityArgs, SignInArgs};
use crate::client::SignIn;

/// A person at the authority.
pub(super) struct AtAuthority {
    pub(super) desk: Desk,
    pub(super) url: String,
    pub(super) ca_pem: String,
    pub(super) proof: Proof,
}

/// The mesh's CA, which is needed.
///
/// # Errors
/// If it is not named or cannot be read.
pub(super) fn ca(args: &SignInArgs) -> Result<String, Error> {
    sign_in::ca(args)?.ok_or_else(|| {
        wrong("the authority's CA certificate is missing; name it with --ca".to_owned())
    })
}

/// Whoever the arguments name, with a password; without an authority among them, whoever `weft login`
/// kept.
///
/// # Errors
/// If there is nothing to prove it with.
pub(super) fn of(args: &AtAuthorityArgs) -> Result<AtAuthority, Error> {
    let AtAuthorityArgs {
        authority,
        profile,
        sign_in,
    } = args;
    let (url, ca_pem, proof) = match authority {
        Some(url) => {
            let proof = match sign_in::read(sign_in)? {
                SignIn::Password { user, password } => Proof::Password { user, password },
                SignIn::Bearer(_) => {
                    let message = "the authority takes a password, not a token";
                    return Err(wrong(message.to_owned()));
                }
            };
            (url.clone(), ca(sign_in)?, proof)
        }
        None => {
            let (target, session) = profile::load(profile)?;
            let profile::Session::Login(kept) = session else {
                return Err(wrong(format!("`{profile}` is a session of a server alone"))
                    .with_hint("Name --authority, --ca and --user, or sign in with `weft login --authority`."));
            };
            let ca = target.ca_pem.unwrap_or_default();
            (kept.authority, ca, Proof::Login(kept.secret))
        }
    };
    Ok(AtAuthority {
        desk: Desk::at(&url, &ca_pem)?,
        url,
        ca_pem,
        proof,
    })
}
