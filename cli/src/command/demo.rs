//! `weft demo`: a mesh of three domains on this machine, on data made on the spot.
//!
//! The authority runs in this process; the coordinator and the nodes are processes of their own,
//! which end when this one does, however it ends.

mod child;
mod people;
mod representatives;
mod settings;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use tracing::debug;
use weft_authority::{AuthorityServer, Settings as AuthoritySettings};
use weft_governance::{Error, ErrorKind, ServerId, code};
use weft_node::{GrantSettings, PolicySettings};
use weft_operations::Operations;

use child::{Child, Home};
use people::People;
pub(super) use people::random_password;
use representatives::Representatives;

use crate::client::{Client, SignIn, Target};
use crate::connection::{Person, Who};
use crate::serve::{self, Claim, Until};

/// The demo's domains with their products.
const DOMAINS: [(&str, &str); 3] = [
    ("sales", "orders"),
    ("crm", "customers"),
    ("supply", "parts"),
];

/// The mesh's name in tokens and policies.
const ISSUER: &str = "weft-demo";

/// What the person asked for.
#[derive(Debug, Clone)]
pub(super) struct Options {
    /// TPC-H scale factor.
    pub(super) scale: f64,
    /// Where everything is kept; a temporary folder if absent.
    pub(super) dir: Option<PathBuf>,
    /// Port for clients; any free one if absent.
    pub(super) port: Option<u16>,
}

/// A domain of a mesh on this machine, with one node.
#[derive(Debug, Clone)]
pub(super) struct Served {
    /// The domain.
    pub(super) domain: String,
    /// Its folder of product folders.
    pub(super) data: PathBuf,
    /// Who may read what.
    pub(super) grants: Vec<GrantSettings>,
    /// Where the coordinator reaches the node, if that is not where it listens.
    pub(super) advertise: Option<SocketAddr>,
}

/// A folder that one mesh has for itself.
pub(super) struct Place {
    folder: PathBuf,
    _claim: Claim,
    // Last: its files are in use until the processes have ended.
    temporary: Option<TempDir>,
}

impl Place {
    /// `wanted`, which stays; a temporary folder otherwise.
    ///
    /// # Errors
    /// If it cannot be used, or is in use.
    pub(super) async fn take(wanted: Option<&Path>) -> Result<Self, Error> {
        let (folder, temporary) = folder(wanted)?;
        let claim = serve::claim(&folder).await?;
        Ok(Self {
            folder,
            _claim: claim,
            temporary,
        })
    }

    /// The folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}

/// A running demo. Dropping it ends all of its processes.
pub(super) struct Demo {
    people: People,
    authority: AuthorityServer,
    operations: Operations,
    coordinator: Child,
    nodes: BTreeMap<String, Child>,
    representatives: Representatives,
    // Last: its files are in use until the processes have ended.
    place: Place,
}

impl Demo {
    /// Makes the data, unless it is there, and starts everything.
    ///
    /// # Errors
    /// If the folder cannot be used or a process does not start.
    pub(super) async fn start(options: &Options) -> Result<Self, Error> {
        let place = Place::take(options.dir.as_deref()).await?;
        let (data, scale) = (place.folder.clone(), options.scale);
        let generated = tokio::task::spawn_blocking(move || workload::demo::generate(&data, scale))
            .await
            .map_err(|error| failed(format!("the data could not be made: {error}")))?
            .map_err(|error| failed(error.to_string()))?;
        debug!(folder = %place.folder.display(), scale, reused = generated.reused(), "demo data is ready");
        let served = DOMAINS.map(|(domain, product)| Served {
            domain: domain.to_owned(),
            data: generated.data_dir(domain),
            grants: vec![
                GrantSettings {
                    user: Some("analyst".to_owned()),
                    product: product.to_owned(),
                    ..GrantSettings::default()
                },
                GrantSettings {
                    group: Some(format!("{domain}-owners")),
                    product: product.to_owned(),
                    ..GrantSettings::default()
                },
            ],
            advertise: None,
        });
        Self::start_with(place, &served, options.port, "auto").await
    }

    /// Starts a mesh of any domains, with the demo's people and this `transport.compression`.
    ///
    /// # Errors
    /// If a process does not start.
    pub(super) async fn start_with(
        place: Place,
        served: &[Served],
        port: Option<u16>,
        compression: &str,
    ) -> Result<Self, Error> {
        let folder = &place.folder;
        let people = People::with_new_passwords()?;
        let state = folder.join("authority");
        let settings = AuthoritySettings::new(([127, 0, 0, 1], 0).into(), ISSUER, state);
        let authority = AuthorityServer::start(settings, people.users()?).await?;
        let operations = Operations::open(
            ([127, 0, 0, 1], 0).into(),
            env!("CARGO_PKG_VERSION"),
            authority.vitals(),
        )?;
        std::fs::write(folder.join("ca.pem"), authority.ca_pem())
            .map_err(|e| unusable(folder, &e))?;
        let home = Home {
            folder,
            temporary: place.temporary.is_some(),
        };
        let coordinator = start_coordinator(home, &authority, port, compression).await?;
        let domains = served.iter().map(|served| served.domain.as_str());
        let representatives = Representatives::in_folder(folder, domains)?;
        let mut nodes = BTreeMap::new();
        for domain in served {
            let policy = representatives.settings(ISSUER);
            let node = start_node(home, &authority, &coordinator, domain, policy).await?;
            nodes.insert(domain.domain.clone(), node);
        }
        Ok(Self {
            people,
            authority,
            operations,
            coordinator,
            nodes,
            representatives,
            place,
        })
    }

    /// Where clients connect.
    pub(super) fn flight_sql(&self) -> String {
        format!("grpc://{}", self.coordinator.field("client_address"))
    }

    /// Where the node of `domain` listens.
    pub(super) fn node_address(&self, domain: &str) -> Option<SocketAddr> {
        self.nodes.get(domain)?.field("address").parse().ok()
    }

    /// The processes beside this one, by name.
    pub(super) fn processes(&self) -> impl Iterator<Item = (&str, u32)> {
        let nodes = self.nodes.iter();
        let nodes = nodes.map(|(domain, node)| (domain.as_str(), node.pid()));
        std::iter::once(("coordinator", self.coordinator.pid())).chain(nodes)
    }

    /// Signs a demo person in.
    ///
    /// # Errors
    /// If there is no such person.
    pub(super) async fn open_session(&self, user: &str) -> Result<Client, Error> {
        let Some(password) = self.password(user) else {
            let names = self.people().collect::<Vec<_>>().join(", ");
            return Err(failed(format!("the demo does not know `{user}`"))
                .with_hint(format!("It knows {names}.")));
        };
        self.sign_in(user, password).await
    }

    fn target(&self) -> Target {
        Target {
            url: self.flight_sql(),
            ca_pem: None,
            server: None,
        }
    }

    async fn sign_in(&self, user: &str, password: &str) -> Result<Client, Error> {
        let password = password.to_owned().into();
        Client::connect(
            &self.target(),
            SignIn::Password {
                user: user.to_owned(),
                password,
            },
        )
        .await
    }

    /// Where clients connect, as an address.
    pub(super) fn client_address(&self) -> Option<SocketAddr> {
        self.coordinator.field("client_address").parse().ok()
    }

    /// The node of `domain`, and how a demo person signs in there.
    ///
    /// # Errors
    /// If there is no such person or node.
    pub(super) fn at_node(&self, user: &str, domain: &str) -> Result<(Target, SignIn), Error> {
        let address = self.node_address(domain);
        let (address, password) = address
            .zip(self.password(user))
            .ok_or_else(|| failed(format!("the demo does not know `{user}` or `{domain}`")))?;
        let target = Target {
            url: format!("grpc+tls://{address}"),
            ca_pem: std::fs::read_to_string(self.place.folder.join("ca.pem")).ok(),
            server: Some(node_id(domain)?),
        };
        let sign_in = SignIn::Password {
            user: user.to_owned(),
            password: password.to_owned().into(),
        };
        Ok((target, sign_in))
    }

    /// Somebody who can sign in at the owners' nodes.
    pub(super) fn person(&self, user: &str) -> Option<Person> {
        Some(Person {
            who: Who::Password {
                user: user.to_owned(),
                password: self.password(user)?.to_owned().into(),
            },
            ca_pem: std::fs::read_to_string(self.place.folder.join("ca.pem")).ok(),
        })
    }

    /// The password of a demo person.
    pub(super) fn password(&self, user: &str) -> Option<&str> {
        self.people.password(user)
    }

    /// Names of the demo's people.
    pub(super) fn people(&self) -> impl Iterator<Item = &str> {
        self.people.names()
    }

    /// What a program needs to know of the demo. `tokens` are bearers of sessions at the
    /// coordinator, by person.
    pub(super) fn describe(&self, tokens: &BTreeMap<String, String>) -> Value {
        let nodes: BTreeMap<_, _> = self
            .nodes
            .iter()
            .map(|(domain, node)| (domain, format!("grpc+tls://{}", node.field("address"))))
            .collect();
        let operations: BTreeMap<_, _> = self
            .nodes
            .iter()
            .map(|(domain, node)| (domain.as_str(), node.field("operations").to_owned()))
            .chain([
                (
                    "coordinator",
                    self.coordinator.field("operations").to_owned(),
                ),
                ("authority", self.operations.address().to_string()),
            ])
            .map(|(name, address)| (name, format!("http://{address}")))
            .collect();
        let mut pids: BTreeMap<&str, u32> = self.processes().collect();
        pids.insert("authority", std::process::id());
        let principals: BTreeMap<_, _> = self
            .people
            .names()
            .map(|name| {
                let entry = json!({"password": self.password(name), "token": tokens.get(name)});
                (name, entry)
            })
            .collect();
        json!({
            "flight_sql": self.flight_sql(),
            "web": null,
            "nodes": nodes,
            "ca": self.place.folder.join("ca.pem"),
            "dir": self.place.folder,
            "authority": self.authority.url(),
            "policy": self.representatives.describe(),
            "operations": operations,
            "pids": pids,
            "principals": principals,
        })
    }

    /// Ends all processes and waits for them.
    pub(super) async fn stop(self) {
        for (_, node) in self.nodes {
            node.stop().await;
        }
        self.coordinator.stop().await;
        self.authority.stop().await;
    }
}

/// What the shell says at first.
pub(super) const GREETING: &str = "\
Three domains are up: sales (orders, lineitem), crm (customer, nation, region), supply (part, supplier, partsupp).
Try:  SELECT n_name, count(*) FROM crm.customers.customer JOIN crm.customers.nation ON c_nationkey = n_nationkey GROUP BY n_name ORDER BY 2 DESC LIMIT 5;
\\? lists the shell's commands, \\d the tables, Ctrl-D leaves.";

/// Starts a demo and signs `user` in.
///
/// # Errors
/// If it does not start, or there is no such person.
pub(super) async fn open(options: &Options, user: &str) -> Result<(Demo, Client), Error> {
    let demo = Demo::start(options).await?;
    let client = demo.open_session(user).await?;
    Ok((demo, client))
}

/// Starts a demo, describes it in one line of JSON, and serves until it is told to stop.
///
/// # Errors
/// If it does not start.
pub(super) async fn serve(options: &Options) -> Result<(), Error> {
    let demo = Demo::start(options).await?;
    let mut tokens = BTreeMap::new();
    for name in demo.people() {
        if let Some(password) = demo.password(name) {
            let bearer = Client::shared_bearer(&demo.target(), name, password).await?;
            tokens.insert(name.to_owned(), bearer);
        }
    }
    serve::announce(&demo.describe(&tokens));
    serve::stop(Until::Signal).await?;
    demo.stop().await;
    Ok(())
}

async fn start_coordinator(
    home: Home<'_>,
    authority: &AuthorityServer,
    port: Option<u16>,
    compression: &str,
) -> Result<Child, Error> {
    let state = home.folder.join("coordinator");
    let token = join_token(
        authority,
        &ServerId::coordinator("main").map_err(defect)?,
        &state,
    )?;
    let (token, url) = (token.as_deref(), authority.url());
    let settings = settings::coordinator(&state, token, &url, port, compression);
    let file = write(home.folder, "coordinator.toml", &settings)?;
    Child::start("coordinator", &["coordinator"], &file, home).await
}

async fn start_node(
    home: Home<'_>,
    authority: &AuthorityServer,
    coordinator: &Child,
    served: &Served,
    policy: PolicySettings,
) -> Result<Child, Error> {
    let domain = served.domain.as_str();
    let id = node_id(domain)?;
    let state = home.folder.join(domain).join("state");
    let token = join_token(authority, &id, &state)?;
    let settings = settings::node(&settings::NodeOptions {
        served,
        policy,
        state: &state,
        token: token.as_deref(),
        authority: &authority.url(),
        coordinator: coordinator.field("address"),
    })?;
    let file = write(home.folder, &format!("{domain}.toml"), &settings)?;
    Child::start(domain, &["node"], &file, home).await
}

/// The one node of a domain.
fn node_id(domain: &str) -> Result<ServerId, Error> {
    ServerId::node(domain.parse().map_err(defect)?, &format!("{domain}-1")).map_err(defect)
}

/// A file with a join token, unless the server has joined before.
fn join_token(
    authority: &AuthorityServer,
    server: &ServerId,
    state: &Path,
) -> Result<Option<PathBuf>, Error> {
    if state.join("server.id").exists() {
        return Ok(None);
    }
    std::fs::create_dir_all(state).map_err(|e| unusable(state, &e))?;
    let file = state.join("join-token");
    let token = authority.create_join_token(server)?.to_string();
    weft_wire::identity::write_private(&file, token.as_bytes()).map_err(|e| unusable(state, &e))?;
    Ok(Some(file))
}

fn folder(wanted: Option<&Path>) -> Result<(PathBuf, Option<TempDir>), Error> {
    match wanted {
        Some(path) => {
            std::fs::create_dir_all(path).map_err(|e| unusable(path, &e))?;
            let path = path.canonicalize().map_err(|e| unusable(path, &e))?;
            Ok((path, None))
        }
        None => {
            let temporary = tempfile::Builder::new()
                .prefix("weft-demo-")
                .tempdir()
                .map_err(|error| failed(format!("no temporary folder can be made: {error}")))?;
            Ok((temporary.path().to_owned(), Some(temporary)))
        }
    }
}

fn write(folder: &Path, name: &str, text: &str) -> Result<PathBuf, Error> {
    let file = folder.join(name);
    std::fs::write(&file, text).map_err(|e| unusable(folder, &e))?;
    Ok(file)
}

fn defect(error: weft_governance::id::InvalidId) -> Error {
    failed(error.to_string())
}

fn unusable(path: &Path, error: &std::io::Error) -> Error {
    failed(format!("`{}` cannot be used: {error}", path.display()))
}

fn failed(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, code::SETTINGS, message)
}
