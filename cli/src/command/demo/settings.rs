//! The settings files of the demo's processes.

use std::path::Path;

use serde::Serialize;
use serde_json::json;
use weft_governance::{Error, ErrorKind, code};
use weft_node::{GrantSettings, PolicySettings};

use super::Served;

/// On any free port: a demo has several servers on one machine.
const OPERATIONS: &str = "[operations]\nlisten = \"127.0.0.1:0\"\n\n";

/// What a demo node is told.
pub(super) struct NodeOptions<'a> {
    pub(super) served: &'a Served,
    pub(super) policy: PolicySettings,
    pub(super) state: &'a Path,
    pub(super) token: Option<&'a Path>,
    pub(super) authority: &'a str,
    pub(super) coordinator: &'a str,
}

/// The coordinator's: TLS for nodes, plain text on loopback for clients.
pub(super) fn coordinator(
    state: &Path,
    token: Option<&Path>,
    authority: &str,
    port: Option<u16>,
    compression: &str,
) -> String {
    let client = format!("127.0.0.1:{}", port.unwrap_or(0));
    let token = join_token_line(token);
    format!(
        "[coordinator]\nstate = {state}\nlisten = \"127.0.0.1:0\"\nbasic_sign_in = true\nheartbeat_interval = \"500ms\"\nclient_listen = {{ address = \"{client}\", tls = false }}\n{token}\n[authority]\nurl = {authority}\n\n[transport]\ncompression = \"{compression}\"\n\n{OPERATIONS}",
        state = json!(state),
        authority = json!(authority),
    )
}

/// A node's, with its grants and the representatives whose policies it follows.
///
/// # Errors
/// If a grant cannot be written down.
pub(super) fn node(options: &NodeOptions<'_>) -> Result<String, Error> {
    let NodeOptions {
        served,
        policy,
        state,
        token,
        authority,
        coordinator,
    } = options;
    let Served {
        domain,
        data,
        grants,
        advertise,
    } = served;
    let token = join_token_line(*token);
    let advertise = advertise.map(|address| format!("advertise = \"{address}\"\n"));
    Ok(format!(
        "[node]\ndomain = \"{domain}\"\ndata = {data}\nstate = {state}\nlisten = \"127.0.0.1:0\"\n{advertise}{token}\n[authority]\nurl = {authority}\n\n[coordinator]\nurl = \"https://{coordinator}\"\n\n{OPERATIONS}{grants}",
        data = json!(data),
        state = json!(state),
        advertise = advertise.unwrap_or_default(),
        authority = json!(authority),
        grants = lists(grants, policy)?,
    ))
}

/// `[[grants]]` for each, and `[policy]`.
fn lists(grants: &[GrantSettings], policy: &PolicySettings) -> Result<String, Error> {
    #[derive(Serialize)]
    struct Lists<'a> {
        grants: &'a [GrantSettings],
        policy: &'a PolicySettings,
    }
    toml::to_string(&Lists { grants, policy }).map_err(|error| {
        Error::new(
            ErrorKind::Internal,
            code::INTERNAL,
            "a grant cannot be written as settings",
        )
        .caused_by(error)
    })
}

fn join_token_line(token: Option<&Path>) -> String {
    token
        .map(|file| format!("join_token_file = {}\n", json!(file)))
        .unwrap_or_default()
}
