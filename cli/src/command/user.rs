//! `weft user`: who may sign in.

use weft_governance::Error;

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
    let ChangeUserArgs { name, at } = args;
    let at = at_authority::of(&at)?;
    at.desk.set_disabled(&at.proof, &name, disabled).await?;
    let what = if disabled { "disabled" } else { "enabled" };
    note(&format!("`{name}` is {what}"));
    Ok(Exit::Ok)
}
