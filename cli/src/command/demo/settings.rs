//! The settings files of the demo's processes.

use std::path::Path;

use serde_json::json;

/// What a demo node is told.
pub(super) struct NodeOptions<'a> {
    pub(super) domain: &'a str,
    pub(super) product: &'a str,
    pub(super) data: &'a Path,
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
) -> String {
    let client = format!("127.0.0.1:{}", port.unwrap_or(0));
    let token = join_token_line(token);
    format!(
        "[coordinator]\nstate = {state}\nlisten = \"127.0.0.1:0\"\nbasic_sign_in = true\nheartbeat_interval = \"500ms\"\nclient_listen = {{ address = \"{client}\", tls = false }}\n{token}\n[authority]\nurl = {authority}\n",
        state = json!(state),
        authority = json!(authority),
    )
}

/// A node's: its product is granted to the analyst and to its owner.
pub(super) fn node(options: &NodeOptions<'_>) -> String {
    let NodeOptions {
        domain,
        product,
        data,
        state,
        token,
        authority,
        coordinator,
    } = options;
    let token = join_token_line(*token);
    format!(
        "[node]\ndomain = \"{domain}\"\ndata = {data}\nstate = {state}\nlisten = \"127.0.0.1:0\"\n{token}\n[authority]\nurl = {authority}\n\n[coordinator]\nurl = \"https://{coordinator}\"\n\n[[grants]]\nuser = \"analyst\"\nproduct = \"{product}\"\n\n[[grants]]\ngroup = \"{domain}-owners\"\nproduct = \"{product}\"\n",
        data = json!(data),
        state = json!(state),
        authority = json!(authority),
    )
}

fn join_token_line(token: Option<&Path>) -> String {
    token
        .map(|file| format!("join_token_file = {}\n", json!(file)))
        .unwrap_or_default()
}
