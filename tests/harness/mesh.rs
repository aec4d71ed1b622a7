//! An authority, a coordinator and nodes.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::{sleep, timeout};
use weft_authority::{
    AuthorityServer, ProviderSettings, Settings as AuthoritySettings, User, hash_password,
};
use weft_coordinator::registry::NodeEntry;
use weft_coordinator::{
    ClientListen, Coordinator, QueryLimits, Settings as CoordinatorSettings, Transport,
};
use weft_governance::{Error, Grantee, ServerId};
use weft_node::{
    CoordinatorAddress, GrantSettings, Node, NodeLimits, PolicySettings, Settings as NodeSettings,
};
use weft_wire::authority::Authority;
use weft_wire::identity::Identity;
use weft_wire::join::issue_token;
use workload::demo;

use crate::client::Client;
use crate::operations::reading;
use crate::wire::Wire;

/// Nothing in a test takes longer than this.
const PATIENCE: Duration = Duration::from_secs(60);
/// The password of everyone in a test.
const PASSWORD: &str = "correct horse";

/// What a mesh consists of.
pub struct MeshOptions {
    /// Each domain's folder of product folders, and its grants.
    pub domains: Vec<(String, PathBuf, Vec<GrantSettings>)>,
    /// Who can sign in, with groups.
    pub users: Vec<(String, Vec<String>)>,
    /// What the authority says of some of them, by name.
    pub attributes: BTreeMap<String, BTreeMap<String, String>>,
    /// Identity providers whose people sign in too.
    pub providers: Vec<ProviderSettings>,
    /// How long certificates of servers live.
    pub certificate_lifetime: Duration,
    /// How long leases live.
    pub lease_lifetime: Duration,
    /// Bytes of memory of each node.
    pub node_memory: usize,
    /// What queries may take.
    pub query_limits: QueryLimits,
    /// What clients and nodes may do to the doors.
    pub door: weft_door::Limits,
    /// How rows travel from nodes.
    pub transport: Transport,
    /// Where clients are told to reach the nodes of some domains.
    pub client_addresses: BTreeMap<String, String>,
    /// Domains to whose nodes the connections can be cut.
    pub wired: Vec<String>,
    /// Whose signatures put a federated policy in force.
    pub policy: Option<PolicySettings>,
}

/// A running mesh. Dropping it stops it.
pub struct Mesh {
    /// The token service.
    pub authority: AuthorityServer,
    /// The planner.
    pub coordinator: Coordinator,
    nodes: BTreeMap<String, Node>,
    wires: BTreeMap<String, Wire>,
    domains: Vec<(String, PathBuf, Vec<GrantSettings>)>,
    folder: TempDir,
    node_memory: usize,
    node_deadline: Duration,
    door: weft_door::Limits,
    client_addresses: BTreeMap<String, String>,
    policy: Option<PolicySettings>,
    authority_url: String,
}

impl MeshOptions {
    /// Three domains with TPC-H data; `analyst` may read all of it, `outsider` nothing.
    pub fn tpch(scale: f64) -> Self {
        let data = workload_data(scale);
        let product = |domain: &str, product: &str| {
            (
                domain.to_owned(),
                data.join(domain).join("data"),
                vec![crate::grant("analyst", product)],
            )
        };
        Self {
            domains: vec![
                product("sales", "orders"),
                product("crm", "customers"),
                product("supply", "parts"),
            ],
            ..Self::empty()
        }
    }

    /// No domain; the usual people.
    pub fn empty() -> Self {
        Self {
            domains: Vec::new(),
            users: vec![
                ("analyst".to_owned(), vec!["analysts".to_owned()]),
                ("outsider".to_owned(), Vec::new()),
                ("admin".to_owned(), vec!["mesh-admins".to_owned()]),
            ],
            attributes: BTreeMap::new(),
            providers: Vec::new(),
            certificate_lifetime: Duration::from_secs(86_400),
            lease_lifetime: Duration::from_secs(3600),
            node_memory: NodeLimits::default().memory,
            query_limits: QueryLimits::default(),
            door: weft_door::Limits::default(),
            transport: Transport::default(),
            client_addresses: BTreeMap::new(),
            wired: Vec::new(),
            policy: None,
        }
    }
}

/// The TPC-H data of a scale, made once per machine, scale and format: an older checkout's tests may run beside.
pub fn workload_data(scale: f64) -> PathBuf {
    let format = demo::FORMAT;
    let folder = std::env::temp_dir().join(format!("weft-test-tpch-{scale}-format-{format}"));
    demo::generate(&folder, scale)
        .expect("data can be generated")
        .dir
}

impl Mesh {
    /// Starts everything and waits until all nodes have joined and know their tables' statistics.
    pub async fn start(options: MeshOptions) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let state = |name: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(&path).expect("folder");
            path
        };
        let mut settings =
            AuthoritySettings::new(loopback(), "https://authority.test", state("authority"));
        settings.lease_lifetime = options.lease_lifetime;
        settings.providers.clone_from(&options.providers);
        settings.certificate_lifetime = options.certificate_lifetime;
        let authority = AuthorityServer::start(settings, users(&options))
            .await
            .expect("authority");
        let main = ServerId::coordinator("main").expect("name");
        let identity = authority.identity(&main).expect("identity");
        let client = Authority::connect(&authority.url(), &identity).expect("authority");
        let node_deadline = options.query_limits.deadline;
        let settings = CoordinatorSettings {
            listen: loopback(),
            client_listen: Some(ClientListen {
                address: loopback(),
                tls: false,
            }),
            state: state("coordinator"),
            basic_sign_in: true,
            heartbeat_interval: Duration::from_secs(1),
            transport: options.transport,
            limits: options.query_limits,
            door: options.door.clone(),
            operations: Some(loopback()),
            shown: Vec::new(),
        };
        let coordinator = Coordinator::start(settings, identity, client)
            .await
            .expect("coordinator");
        let mut mesh = Self {
            authority_url: authority.url(),
            authority,
            coordinator,
            nodes: BTreeMap::new(),
            wires: BTreeMap::new(),
            domains: options.domains,
            folder,
            node_memory: options.node_memory,
            node_deadline,
            door: options.door,
            client_addresses: options.client_addresses,
            policy: options.policy,
        };
        for domain in options.wired {
            mesh.wires.insert(domain, Wire::new().await);
        }
        for (domain, ..) in mesh.domains.clone() {
            mesh.start_node(&domain).await;
        }
        mesh
    }

    /// A mesh of products written by hand.
    pub async fn publish(
        products: &[crate::Published<'_>],
        grants: Vec<(&str, GrantSettings)>,
    ) -> Self {
        Self::publish_with(MeshOptions::empty(), products, grants).await
    }

    /// The same, with options.
    pub async fn publish_with(
        options: MeshOptions,
        products: &[crate::Published<'_>],
        grants: Vec<(&str, GrantSettings)>,
    ) -> Self {
        let folder = tempfile::tempdir().expect("folder").keep();
        let mut domains: BTreeMap<String, Vec<GrantSettings>> = BTreeMap::new();
        for product in products {
            product.write(&folder.join(product.domain));
            domains.entry(product.domain.to_owned()).or_default();
        }
        for (domain, grant) in grants {
            domains.entry(domain.to_owned()).or_default().push(grant);
        }
        let domains = domains
            .into_iter()
            .map(|(domain, grants)| (domain.clone(), folder.join(domain), grants))
            .collect();
        let mesh = Self::start(MeshOptions { domains, ..options }).await;
        for node in mesh.nodes.values() {
            assert!(node.problems().is_empty(), "{:?}", node.problems());
        }
        mesh
    }

    /// Starts, or starts again, the node of `domain` and waits until it has joined.
    pub async fn start_node(&mut self, domain: &str) {
        self.try_to_start_node(domain).await.expect("node");
        self.wait_for(domain, |entry| entry.is_up()).await;
        self.wait_for_statistics(domain).await;
    }

    /// Starts, or starts again, the node of `domain`, if it lets itself be started.
    pub async fn try_to_start_node(&mut self, domain: &str) -> Result<(), Error> {
        let id = node_id(domain);
        let identity = self.authority.identity(&id).expect("identity");
        let authority = Authority::connect(&self.authority_url, &identity).expect("authority");
        let (_, data, grants) = self
            .domains
            .iter()
            .find(|(name, ..)| name == domain)
            .cloned()
            .expect("domain");
        let state = self.folder.path().join(format!("node-{domain}"));
        std::fs::create_dir_all(&state).expect("folder");
        let settings = NodeSettings {
            domain: domain.parse().expect("domain"),
            name: format!("{domain}-1"),
            data,
            state,
            listen: loopback(),
            advertise: self.wires.get(domain).map(|it| it.address().to_string()),
            client_address: self.client_addresses.get(domain).cloned(),
            coordinator: Some(CoordinatorAddress {
                url: format!("https://{}", self.coordinator.address()),
                name: "main".to_owned(),
            }),
            grants,
            owners: vec![Grantee::Group(format!("{domain}-owners"))],
            policy: self.policy.clone(),
            limits: NodeLimits {
                deadline: self.node_deadline,
                memory: self.node_memory,
                ..NodeLimits::default()
            },
            door: self.door.clone(),
            operations: Some(loopback()),
        };
        let node = Node::start(settings, identity, authority).await?;
        if let Some(wire) = self.wires.get(domain) {
            wire.lead_to(node.address());
        }
        self.nodes.insert(domain.to_owned(), node);
        Ok(())
    }

    /// Waits until the node of `domain` knows all that was asked for of its tables' rows, and the
    /// coordinator has heard of it: what a session learns from now on does not depend on the moment.
    pub async fn wait_for_statistics(&self, domain: &str) {
        let node = self.node(domain);
        timeout(PATIENCE, node.statistics_known())
            .await
            .expect("statistics in time");
        let epoch = node.epoch();
        self.wait_for(domain, |entry| entry.epoch >= epoch).await;
    }

    /// Publishes `product` anew in place of what its node serves, and starts that node again.
    pub async fn replace(&mut self, product: &crate::Published<'_>) {
        let (_, data, _) = self
            .domains
            .iter()
            .find(|(name, ..)| name == product.domain)
            .expect("domain");
        std::fs::remove_dir_all(data.join(product.product)).expect("published before");
        product.write(data);
        self.kill_node(product.domain);
        self.start_node(product.domain).await;
    }

    /// Nodes that are started from now on find no authority.
    pub fn hide_authority(&mut self) {
        "https://127.0.0.1:9".clone_into(&mut self.authority_url);
    }

    /// Takes the node of `domain` away without a farewell.
    pub fn kill_node(&mut self, domain: &str) {
        drop(self.nodes.remove(domain));
    }

    /// Ends every connection of the coordinator to the node of `domain`; new ones can be made.
    pub fn cut_wire(&self, domain: &str) {
        self.wires[domain].cut();
    }

    /// Waits until the coordinator sees the node of `domain` like this.
    pub async fn wait_for(&self, domain: &str, like: impl Fn(&NodeEntry) -> bool) {
        let id = node_id(domain);
        let mut mesh = self.coordinator.registry().subscribe();
        let seen = mesh.wait_for(|mesh| mesh.nodes.get(&id).is_some_and(&like));
        let _ = timeout(PATIENCE, seen)
            .await
            .expect("the node is seen in time")
            .expect("registry");
    }

    /// Waits until the coordinator sees every node up.
    pub async fn wait_for_all(&self) {
        for domain in self.nodes.keys() {
            self.wait_for(domain, |entry| entry.is_up()).await;
        }
    }

    /// Waits until no query is under way anywhere, and whatever it held is given back.
    pub async fn wait_until_idle(&self) {
        let coordinator = self.coordinator.operations_address().expect("listens");
        let idle = async {
            for name in [
                "weft_queries_running",
                "weft_plans",
                "weft_memory_reserved_bytes",
            ] {
                while reading(coordinator, name).await > 0 {
                    sleep(Duration::from_millis(5)).await;
                }
            }
            for node in self.nodes.values() {
                let node = node.operations_address().expect("listens");
                for name in ["weft_fragments_running", "weft_memory_reserved_bytes"] {
                    while reading(node, name).await > 0 {
                        sleep(Duration::from_millis(5)).await;
                    }
                }
            }
        };
        timeout(PATIENCE, idle).await.expect("idle in time");
    }

    /// Waits until `fragments` fragments compute at the node of `domain`.
    pub async fn wait_for_fragments(&self, domain: &str, fragments: usize) {
        let reached = async {
            while self.node(domain).running_fragments() != fragments {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, reached)
            .await
            .expect("as many fragments in time");
    }

    /// The node of `domain`.
    pub fn node(&self, domain: &str) -> &Node {
        &self.nodes[domain]
    }

    /// The event log of the node of `domain`.
    pub fn ledger(&self, domain: &str) -> PathBuf {
        self.folder
            .path()
            .join(format!("node-{domain}"))
            .join("events.db")
    }

    /// A folder of the mesh's own.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Signs `user` in at the coordinator.
    pub async fn sign_in(&self, user: &str) -> Client {
        let address = self.coordinator.client_address().expect("client address");
        Client::sign_in(&format!("http://{address}"), None, user, PASSWORD)
            .await
            .expect("sign-in")
    }

    /// Signs `user` in straight at the node of `domain`.
    pub async fn sign_in_at(&self, domain: &str, user: &str) -> Client {
        let url = format!("https://{}", self.node(domain).address());
        let tls = Some((self.authority.ca_pem().to_owned(), node_id(domain)));
        Client::sign_in(&url, tls, user, PASSWORD)
            .await
            .expect("sign-in")
    }

    /// Connects to the node of `domain` with a bearer in place of a sign-in.
    pub async fn bring_to(&self, domain: &str, bearer: &str) -> Client {
        let url = format!("https://{}", self.node(domain).address());
        let tls = Some((self.authority.ca_pem().to_owned(), node_id(domain)));
        Client::with_token(&url, tls, bearer).await
    }

    /// Connects to the coordinator with a bearer in place of a sign-in.
    pub async fn bring(&self, bearer: &str) -> Client {
        let address = self.coordinator.client_address().expect("client address");
        Client::with_token(&format!("http://{address}"), None, bearer).await
    }

    /// Connects to the coordinator from `address` of this machine, with a bearer.
    pub async fn bring_from(&self, address: IpAddr, bearer: &str) -> Client {
        let coordinator = self.coordinator.client_address().expect("client address");
        Client::with_token_from(address, &format!("http://{coordinator}"), bearer).await
    }

    /// A token of `user`'s for `server`, as a script brings one.
    pub async fn token(&self, user: &str, server: &ServerId) -> String {
        let (url, ca) = (self.authority.url(), self.authority.ca_pem());
        let token = issue_token(&url, ca, user, PASSWORD, server).await;
        token.expect("a token").text
    }

    /// The domains, in the order of their names.
    pub fn domains(&self) -> Vec<String> {
        self.nodes.keys().cloned().collect()
    }

    /// The password of everyone here.
    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// A certificate of the mesh for `server`, as a colleague, or a thief, would hold it.
    pub fn identity(&self, server: &ServerId) -> Identity {
        self.authority.identity(server).expect("identity")
    }
}

/// The only node of `domain`.
pub fn node_id(domain: &str) -> ServerId {
    ServerId::node(domain.parse().expect("domain"), &format!("{domain}-1")).expect("name")
}

fn users(options: &MeshOptions) -> Vec<User> {
    let password_hash = hash_password(PASSWORD).expect("hash");
    options
        .users
        .iter()
        .map(|(name, groups)| User {
            name: name.clone(),
            password_hash: password_hash.clone(),
            groups: groups.iter().cloned().collect(),
            attributes: options.attributes.get(name).cloned().unwrap_or_default(),
            disabled: false,
        })
        .collect()
}

fn loopback() -> std::net::SocketAddr {
    ([127, 0, 0, 1], 0).into()
}
