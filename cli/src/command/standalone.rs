//! `weft node --domain NAME --data DIR`: a folder as it is, on loopback, with an authority of its
//! own in the same process.

use std::collections::BTreeMap;

use weft_authority::{AuthorityServer, Settings, User, hash_password};
use weft_governance::Error;
use weft_node::{GrantSettings, Node, server_id};
use weft_wire::authority::Authority;

use super::demo::random_password;
use super::wrong;
use crate::config::NodeConfig;
use crate::exit::note;
use crate::serve::{self, Until};

/// Who owns everything in the folder.
const OWNER: &str = "owner";

/// Serves until it is time to stop.
///
/// # Errors
/// If the address is not on loopback, or something keeps the node from starting.
pub(super) async fn run(mut config: NodeConfig, until: Until) -> Result<(), Error> {
    if !config.node.listen.ip().is_loopback() {
        return Err(wrong(format!(
            "a node without an authority serves on loopback only, not at `{}`",
            config.node.listen
        ))
        .with_hint("Set `node.listen` to 127.0.0.1, or join a mesh with `node.join_token_file` and `coordinator.url`."));
    }
    let password = random_password()?;
    let owner = User {
        name: OWNER.to_owned(),
        password_hash: hash_password(&password)?,
        groups: ["mesh-admins".to_owned()].into(),
        attributes: BTreeMap::new(),
        disabled: false,
    };
    let _claim = serve::claim(&config.node.state).await?;
    let state = config.node.state.join("authority");
    let settings = Settings::new(([127, 0, 0, 1], 0).into(), "weft-node", state);
    let authority = AuthorityServer::start(settings, vec![owner]).await?;
    let loaded = weft_node::product::load(&config.settings()?.domain, &config.node.data).await;
    config
        .grants
        .extend(loaded.products.iter().map(|product| GrantSettings {
            user: Some(OWNER.to_owned()),
            product: product.reference.product().to_owned(),
            ..GrantSettings::default()
        }));
    let settings = config.settings()?;
    let identity = authority.identity(&server_id(&settings)?)?;
    let ca = config.node.state.join("ca.pem");
    std::fs::create_dir_all(&config.node.state)
        .and_then(|()| std::fs::write(&ca, authority.ca_pem()))
        .map_err(|error| wrong(format!("`{}` cannot be written: {error}", ca.display())))?;
    let client = Authority::connect(&authority.url(), &identity)?;
    let node = Node::start(settings, identity, client).await?;
    for problem in node.problems() {
        note(&format!("not served: {problem}"));
    }
    note(&format!(
        "sign in as `{OWNER}` with the password {password}\nweft sql grpc+tls://{} --user {OWNER} --ca {}",
        node.address(),
        ca.display()
    ));
    serve::node::until_stopped(node, until).await?;
    authority.stop().await;
    Ok(())
}
