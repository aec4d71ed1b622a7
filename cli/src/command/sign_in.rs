//! Who signs in: from files or the terminal, never from arguments.

use std::io::IsTerminal;

use weft_governance::{Error, ErrorKind, code};
use zeroize::Zeroizing;

use super::{read_secret, wrong};
use crate::args::SignInArgs;
use crate::client::SignIn;

/// The CA to trust, if one is named.
///
/// # Errors
/// If the file cannot be read.
pub(super) fn ca(args: &SignInArgs) -> Result<Option<String>, Error> {
    args.ca
        .as_ref()
        .map(|file| {
            std::fs::read_to_string(file)
                .map_err(|error| wrong(format!("`{}` cannot be read: {error}", file.display())))
        })
        .transpose()
}

/// Reads the password or the token; asks for a password if neither is in a file.
///
/// # Errors
/// If there is nothing to sign in with.
pub(super) fn read(args: &SignInArgs) -> Result<SignIn, Error> {
    if let Some(file) = &args.token_file {
        return Ok(SignIn::Bearer(read_secret(file)?));
    }
    let user = args.user.clone().ok_or_else(|| {
        Error::new(
            ErrorKind::Unauthenticated,
            code::UNAUTHENTICATED,
            "nobody is named to sign in",
        )
        .with_hint("Name yourself with --user, or sign in once with `weft login`.")
    })?;
    let password = match &args.password_file {
        Some(file) => read_secret(file)?,
        None if std::io::stdin().is_terminal() => {
            let typed = rpassword::prompt_password(format!("password of {user}: "))
                .map_err(|error| wrong(format!("the password cannot be read: {error}")))?;
            Zeroizing::new(typed)
        }
        None => {
            return Err(Error::new(
                ErrorKind::Unauthenticated,
                code::UNAUTHENTICATED,
                "there is no password",
            )
            .with_hint("Put it into a file and name that with --password-file."));
        }
    };
    Ok(SignIn::Password { user, password })
}
