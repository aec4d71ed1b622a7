//! `weft user`: who may sign in.

use weft_governance::Error;
use weft_wire::join::set_disabled;

use super::at_authority;
use crate::args::{ChangeUserArgs, UserCommand};
use crate::exit::{Exit, note};

/// Changes a person at the authority, which tells every server.
///
/// # Errors
/// What the authority says.
pub(super) async fn run(command: UserCommand) -> Result<Exit, Error> {
    let (args, disabled) = match command {
        UserCommand::Disable(args) => (args, true),
        UserCommand::Enable(args) => (args, false),
    };
    let ChangeUserArgs {
        name,
        authority,
        sign_in,
    } = args;
    let (user, password, ca) = at_authority(&sign_in)?;
    set_disabled(&authority, &ca, &user, &password, &name, disabled).await?;
    let what = if disabled { "disabled" } else { "enabled" };
    note(&format!("`{name}` is {what}"));
    Ok(Exit::Ok)
}
