//! Puts a node together.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;
use tonic::service::Routes;
use tracing::{error, info};
use weft_door::{Door, Listen};
use weft_governance::{Error, ErrorKind, ServerId, code};
use weft_ledger::{Ledger, LedgerError, Sealing};
use weft_operations::Operations;
use weft_plan::sealer;
use weft_wire::authority::{Authority, People, TokenKeys};
use weft_wire::identity::{Identity, Renewal};
use weft_wire::protocol::{FRAGMENT_ENCODING, PROTOCOL_MAJOR, PROTOCOL_MINOR};
use weft_wire::replay::ReplayCache;
use weft_wire::rpc::fragment::reservations_server::ReservationsServer;
use weft_wire::rpc::node::node_server::NodeServer;
use weft_wire::rpc::registry::{Announcement, ProductAnnouncement};

use crate::census::{Census, Counting};
use crate::describe::DescribeService;
use crate::direct::Direct;
use crate::enforce::{Gate, Policy};
use crate::federated::{self, Federated};
use crate::fragment::{Engine, EngineSettings, FragmentService, ReservationService};
use crate::join::Join;
use crate::product::{self, Problem};
use crate::rights::{Rights, grants};
use crate::settings::Settings;
use crate::vitals::{NodeVitals, prepare};

/// Delegations that are remembered until they expire.
const REPLAY_CAPACITY: usize = 100_000;

/// How often what is new in the event log is put under the node's signature.
const SEALED_EVERY: Duration = Duration::from_secs(60);

/// A running node. Dropping it stops it.
pub struct Node {
    address: SocketAddr,
    problems: Vec<Problem>,
    gate: Gate,
    engine: Engine,
    census: Census,
    _counting: Counting,
    _announcing: AbortOnDropHandle<()>,
    _following: Option<AbortOnDropHandle<()>>,
    door: Door,
    join: Option<Join>,
    sealing: Sealing,
    operations: Option<Operations>,
    _preparing: AbortOnDropHandle<()>,
    _renewal: Renewal,
}

impl Node {
    /// Loads the products, checks the grants, opens the log, and serves.
    ///
    /// # Errors
    /// If a grant cannot be enforced, the log cannot be opened, or the address is taken. A product
    /// with a problem is left out and reported by [`Node::problems`].
    pub async fn start(
        settings: Settings,
        identity: Identity,
        authority: Authority,
    ) -> Result<Self, Error> {
        let me = identity.id().clone();
        let loaded = product::load(&settings.domain, &settings.data).await;
        for problem in &loaded.problems {
            error!(product = problem.product, problem = %problem, "product is not served");
        }
        let granted = grants(&settings.grants, &loaded.products).map_err(|problems| {
            let all = problems
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("; ");
            Error::new(ErrorKind::InvalidInput, code::SETTINGS, all)
        })?;
        let epoch = epoch_of_this_start();
        let policy = Policy::compile(settings.domain.clone(), epoch, loaded.products, granted)?;
        let (policy, newest) = watch::channel(Arc::new(policy));
        let ledger =
            Ledger::open(&settings.state.join("events.db")).map_err(|e| unauditable(&e))?;
        let kept = federated::at_start(&ledger, settings.policy.as_ref())?;
        let federation = federated::before(kept.as_ref(), settings.policy.as_ref());
        let owners = settings.owners.clone();
        let held = (ledger.clone(), identity.clone());
        let rights = Rights::load(policy, held, owners, federation)?;
        let following = match &settings.policy {
            Some(own) => {
                let mut federated = Federated::new(own, rights.clone(), kept.as_ref())?;
                // What is demanded by now holds before the first row leaves.
                federated.refresh(&authority).await;
                Some(federated.follow(authority.clone(), own.refresh))
            }
            None => None,
        };
        let sealing = Sealing::start(ledger.clone(), sealer(&identity), SEALED_EVERY);
        let gate = Gate::new(newest, ledger.clone(), identity.clone())?;
        let engine = Engine::new(
            settings.domain.clone(),
            EngineSettings {
                memory: settings.limits.memory,
                query_memory: settings.limits.query_memory,
                query_spill: settings.limits.query_spill,
                max_concurrent: settings.limits.max_concurrent,
                partitions: settings.limits.partitions,
                planner_threads: settings.limits.planner_threads,
                limits: Default::default(),
            },
        )?;
        let renewal = Renewal::start(&identity, &authority, &settings.state);
        let keys = Arc::new(TokenKeys::new(
            authority.clone(),
            me.clone(),
            People::follow(&authority),
        ));
        let preparing = AbortOnDropHandle::new(tokio::spawn(prepare(Arc::clone(&keys))));
        let followed = Arc::clone(&keys);
        let direct = Direct {
            authority,
            keys: Arc::clone(&keys),
            gate: gate.clone(),
            rights: rights.clone(),
            engine: engine.clone(),
            deadline: settings.limits.deadline,
            fragments: FragmentService::new(
                me.clone(),
                Arc::clone(&keys),
                Arc::new(ReplayCache::new(REPLAY_CAPACITY)),
                gate.clone(),
                engine.clone(),
            ),
        };
        let census = Census::new();
        let describe = DescribeService::new(keys, gate.clone(), census.clone());
        let describe = NodeServer::new(describe);
        let listen = Listen {
            address: settings.listen,
            tls: Some(identity.server_config()?),
        };
        let reservations = ReservationService::new(direct.fragments.reservations().clone());
        let routes = Routes::new(describe).add_service(ReservationsServer::new(reservations));
        let door = Door::open(listen, settings.door.clone(), Arc::new(direct), routes)?;
        let address = door.address();
        let announcement = announcement(&settings, address, &engine, &gate.policy());
        let (announcing, announced) = watch::channel(announcement);
        let join = settings
            .coordinator
            .as_ref()
            .map(|coordinator| Join::start(coordinator, &identity, announced))
            .transpose()?;
        let (learnt, revision) = watch::channel(census.revision());
        let counting = census.start(&gate, &engine, move |revision| {
            learnt.send_replace(revision);
        })?;
        let announcing = announce(rights, gate.clone(), revision, announcing);
        let announcing = AbortOnDropHandle::new(tokio::spawn(announcing));
        let vitals = NodeVitals {
            door: door.vitals(),
            keys: followed,
            engine: engine.clone(),
            gate: gate.clone(),
            ledger,
            joined: join.as_ref().map(Join::joined),
        };
        let version = env!("CARGO_PKG_VERSION");
        let operations = settings
            .operations
            .map(|address| Operations::open(address, version, Arc::new(vitals)))
            .transpose()?;
        info!(%me, %address, "node serves");
        Ok(Self {
            address,
            problems: loaded.problems,
            gate,
            engine,
            census,
            _counting: counting,
            _announcing: announcing,
            _following: following,
            door,
            join,
            sealing,
            operations,
            _preparing: preparing,
            _renewal: renewal,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where whoever operates it asks how it is doing, if anywhere.
    pub fn operations_address(&self) -> Option<SocketAddr> {
        self.operations.as_ref().map(Operations::address)
    }

    /// The products that are not served, and why.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// What is served now.
    pub fn policy(&self) -> Arc<Policy> {
        self.gate.policy()
    }

    /// Rises with every change of what is served, and when more is known of the rows behind it.
    pub fn epoch(&self) -> u64 {
        self.policy().epoch() + self.census.revision()
    }

    /// Waits until all is known of the rows of the tables that was asked for until now.
    pub async fn statistics_known(&self) {
        self.census.settled().await;
    }

    /// Fragments of which some part computes.
    pub fn running_fragments(&self) -> usize {
        self.engine.running()
    }

    /// Takes no new fragments, lets running ones end for as long as the limits of the door say, takes
    /// its leave of the coordinator, and seals its event log.
    pub async fn stop(self) {
        // The coordinator gives up what it still reads of a node that has left.
        self.door.drain().await;
        drop(self.join);
        self.door.stop().await;
        self.sealing.stop().await;
    }
}

/// Tells the coordinator when rights change or begin or end by themselves, and when more is known of the
/// rows.
async fn announce(
    rights: Rights,
    gate: Gate,
    mut revision: watch::Receiver<u64>,
    announcement: watch::Sender<Announcement>,
) {
    let mut policies = gate.policies();
    loop {
        let policy = Arc::clone(&policies.borrow_and_update());
        let epoch = policy.epoch() + *revision.borrow_and_update();
        announcement.send_if_modified(|known| {
            let newer = known.epoch != epoch;
            known.epoch = epoch;
            newer
        });
        let turned = tokio::select! {
            changed = policies.changed() => match changed {
                Ok(()) => false,
                Err(_) => return,
            },
            changed = revision.changed() => match changed {
                Ok(()) => false,
                Err(_) => return,
            },
            () = policy.turned() => true,
        };
        if turned && let Err(error) = rights.turn().await {
            error!(%error, "rights that have begun or ended cannot be announced");
        }
    }
}

/// Epochs rise over restarts too, so that no coordinator keeps an answer of an earlier run.
fn epoch_of_this_start() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(1, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

fn announcement(
    settings: &Settings,
    address: SocketAddr,
    engine: &Engine,
    policy: &Policy,
) -> Announcement {
    let functions: &BTreeSet<String> = engine.function_names();
    let products = policy
        .products()
        .iter()
        .filter(|product| product.is_discoverable())
        .map(|product| ProductAnnouncement {
            name: product.reference.product().to_owned(),
            version: product.version.clone(),
            description: product.description.clone(),
            tables: product
                .tables
                .iter()
                .map(|table| table.reference.table().to_owned())
                .collect(),
        })
        .collect();
    let host = settings
        .advertise
        .clone()
        .unwrap_or_else(|| address.to_string());
    Announcement {
        protocol_major: PROTOCOL_MAJOR,
        protocol_minor: PROTOCOL_MINOR,
        software_version: env!("CARGO_PKG_VERSION").to_owned(),
        endpoint: format!("https://{host}"),
        encodings: vec![FRAGMENT_ENCODING.to_owned()],
        functions: functions.iter().cloned().collect(),
        epoch: policy.epoch(),
        products,
        client_endpoint: settings
            .client_address
            .as_ref()
            .map(|host| format!("https://{host}")),
    }
}

fn unauditable(cause: &LedgerError) -> Error {
    Error::new(
        ErrorKind::Internal,
        code::NOT_AUDITED,
        format!("the event log cannot be opened: {cause}"),
    )
    .with_hint("A node that cannot audit does not serve; check the state folder and its disk.")
}

/// The node's place in the mesh.
pub fn server_id(settings: &Settings) -> Result<ServerId, Error> {
    ServerId::node(settings.domain.clone(), &settings.name)
        .map_err(|error| Error::new(ErrorKind::InvalidInput, code::SETTINGS, error.to_string()))
}
