//! `weft service`: machine users.

use std::collections::BTreeMap;

use weft_governance::Error;
use weft_wire::person::{ServiceChange, ServiceSecret};

use super::{at_authority, print_line, wrong};
use crate::args::{CreateServiceArgs, RotateServiceArgs, ServiceCommand};
use crate::exit::{Exit, note};

/// Has the authority make a secret, and prints it.
///
/// # Errors
/// What the authority says.
pub(super) async fn run(command: ServiceCommand) -> Result<Exit, Error> {
    let (args, change) = match command {
        ServiceCommand::Create(CreateServiceArgs {
            service,
            groups,
            attribute,
        }) => {
            let attributes = attribute.iter().map(|pair| attribute_of(pair));
            let change = ServiceChange::Create {
                groups: groups.into_iter().collect(),
                attributes: attributes.collect::<Result<BTreeMap<_, _>, _>>()?,
            };
            (service, change)
        }
        ServiceCommand::Rotate(RotateServiceArgs { service }) => (service, ServiceChange::Rotate),
    };
    let at = at_authority::of(&args.at)?;
    let changed = at
        .desk
        .change_service(&at.proof, &args.name, change, args.lifetime);
    let ServiceSecret {
        secret,
        subject,
        expires_at,
    } = changed.await?;
    let end = chrono::DateTime::<chrono::Local>::from(expires_at);
    note(&format!(
        "the secret of `{subject}`, good until {}; it is not shown again",
        end.format("%Y-%m-%d %H:%M")
    ));
    print_line(&secret)
}

fn attribute_of(pair: &str) -> Result<(String, String), Error> {
    let (name, value) = pair
        .split_once('=')
        .ok_or_else(|| wrong(format!("`--attribute {pair}` is not NAME=VALUE")))?;
    Ok((name.to_owned(), value.to_owned()))
}
