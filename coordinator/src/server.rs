//! Puts a coordinator together.

use std::net::SocketAddr;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use futures::future::join_all;
use tokio_util::task::AbortOnDropHandle;
use tonic::service::Routes;
use tracing::{error, info};
use weft_door::{
    Backend, Credentials, Door, Elsewhere, Listen, Opened, Prepared, Recipient, ResultStream,
    TableEntry,
};
use weft_governance::{Error, Principal};
use weft_ledger::{EventKind, Sealing};
use weft_operations::Operations;
use weft_plan::{Current, Memory, PlannerThreads, QuerySessions, RunningPlans, Workers, unless};
use weft_sql::Caps;
use weft_wire::authority::{Authority, People, TokenKeys};
use weft_wire::identity::{Identity, Renewal};
use weft_wire::rpc::registry::registry_server::RegistryServer;

use crate::catalog::Catalogs;
use crate::channels::Channels;
use crate::journal::Journal;
use crate::query::{
    Admission, AdmissionLimits, Fetches, QueryEngine, Resources, ResultLimits, RunningQueries,
    Statement,
};
use crate::registry::{Registry, RegistryService};
use crate::session::{Session, Sessions};
use crate::settings::Settings;
use crate::vitals::{CoordinatorVitals, prepare};

/// A running coordinator. Dropping it stops it.
pub struct Coordinator {
    registry: Registry,
    door: Door,
    client_door: Option<Door>,
    journal: Journal,
    sealing: Sealing,
    operations: Option<Operations>,
    _preparing: AbortOnDropHandle<()>,
    _renewal: Renewal,
}

impl Coordinator {
    /// Serves nodes and clients.
    ///
    /// # Errors
    /// If a setting is unsafe or an address is taken.
    pub async fn start(
        settings: Settings,
        identity: Identity,
        authority: Authority,
    ) -> Result<Self, Error> {
        settings.validate()?;
        let me = identity.id().clone();
        let identity = Arc::new(identity);
        let registry = Registry::new(settings.heartbeat_interval);
        let channels = Channels::new(Arc::clone(&identity));
        let renewal = Renewal::start(&identity, &authority, &settings.state);
        let keys = Arc::new(TokenKeys::new(
            authority.clone(),
            me.clone(),
            People::follow(&authority),
        ));
        let journal = Journal::open(&settings.state, me.clone())?;
        journal.myself(EventKind::Started).await?;
        let sealing = journal.seal(&identity);
        let preparing = AbortOnDropHandle::new(tokio::spawn(prepare(Arc::clone(&keys))));
        let sessions = Sessions::new(authority, Arc::clone(&keys), settings.basic_sign_in);
        let catalogs = Catalogs::new(registry.clone(), channels.clone(), journal.clone())
            .showing(sessions.roster().clone(), settings.shown.clone());
        let resources = Resources {
            identity: Arc::clone(&identity),
            registry: registry.clone(),
            channels,
            transport: settings.transport,
        };
        let engine = engine(&settings, resources, &catalogs, &journal)?;
        let mut vitals = CoordinatorVitals::new(&engine, keys);
        let backend = Arc::new(Front {
            sessions,
            engine,
            catalogs,
            journal: journal.clone(),
        });
        let service = RegistryServer::new(RegistryService::new(
            registry.clone(),
            journal.clone(),
            me.to_string(),
        ));
        let listen = Listen {
            address: settings.listen,
            tls: Some(identity.server_config()?),
        };
        let door = Door::open(
            listen,
            settings.door.clone(),
            Arc::clone(&backend),
            Routes::new(service),
        )?;
        let client_door = match &settings.client_listen {
            Some(client) => {
                let tls = client.tls.then(|| identity.server_config()).transpose()?;
                let listen = Listen {
                    address: client.address,
                    tls,
                };
                Some(Door::open(
                    listen,
                    settings.door.clone(),
                    backend,
                    Routes::default(),
                )?)
            }
            None => None,
        };
        let doors = std::iter::once(&door).chain(&client_door);
        vitals.doors = doors.map(Door::vitals).collect();
        let version = env!("CARGO_PKG_VERSION");
        let operations = settings
            .operations
            .map(|address| Operations::open(address, version, Arc::new(vitals)))
            .transpose()?;
        info!(%me, address = %door.address(), "coordinator serves");
        Ok(Self {
            registry,
            door,
            client_door,
            journal,
            sealing,
            operations,
            _preparing: preparing,
            _renewal: renewal,
        })
    }

    /// Where nodes, and clients over TLS, connect.
    pub fn address(&self) -> SocketAddr {
        self.door.address()
    }

    /// Where clients connect, if that is another place.
    pub fn client_address(&self) -> Option<SocketAddr> {
        self.client_door.as_ref().map(Door::address)
    }

    /// Where whoever operates it asks how it is doing, if anywhere.
    pub fn operations_address(&self) -> Option<SocketAddr> {
        self.operations.as_ref().map(Operations::address)
    }

    /// The nodes.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Takes no new queries, lets running ones end for as long as the limits of the door say, seals the
    /// event log, and stops.
    pub async fn stop(self) {
        // Nodes stay connected for as long as their rows are asked for.
        let doors = std::iter::once(&self.door).chain(&self.client_door);
        join_all(doors.map(Door::drain)).await;
        if let Some(door) = self.client_door {
            door.stop().await;
        }
        self.door.stop().await;
        if let Err(error) = self.journal.myself(EventKind::Stopped).await {
            error!(%error, "the end is not in the event log");
        }
        self.sealing.stop().await;
    }
}

fn engine(
    settings: &Settings,
    resources: Resources,
    catalogs: &Catalogs,
    journal: &Journal,
) -> Result<QueryEngine, Error> {
    let limits = &settings.limits;
    let queries = RunningQueries::default();
    Ok(QueryEngine {
        fetches: Fetches::new(resources.clone(), queries.clone(), journal.clone()),
        resources,
        catalogs: catalogs.clone(),
        journal: journal.clone(),
        queries,
        admission: Admission::new(AdmissionLimits {
            running: limits.max_concurrent,
            running_per_principal: limits.max_per_principal,
            waiting: limits.queue,
            patience: limits.queue_wait,
        }),
        results: ResultLimits {
            rows: limits.result_rows,
            bytes: limits.result_bytes as u64,
        },
        planner: PlannerThreads::new(limits.planner_threads)?,
        workers: Workers::start(limits.partitions)?,
        plans: RunningPlans::default(),
        memory: Memory::new(limits.memory)?
            .with_shares(limits.query_memory, limits.query_spill as u64),
        partitions: limits.partitions,
        states: QuerySessions::default(),
        deadline: limits.deadline,
        ask_wait: limits.ask_wait.min(limits.deadline / 10),
        caps: Caps::default(),
    })
}

/// The coordinator behind its door.
struct Front {
    sessions: Sessions,
    engine: QueryEngine,
    catalogs: Catalogs,
    journal: Journal,
}

impl Front {
    /// Passes `answer` on, after a refusal in it was written down.
    async fn audited<T>(&self, session: &Session, answer: Result<T, Error>) -> Result<T, Error> {
        if let Err(error) = &answer {
            let who = &session.principal().subject;
            self.journal.refused(who, error).await?;
        }
        answer
    }
}

#[async_trait]
impl Backend for Front {
    type Session = Session;
    type Statement = Statement;

    async fn sign_in(&self, credentials: Credentials) -> Result<Opened<Session>, Error> {
        let opened = self.sessions.sign_in(credentials).await;
        match &opened {
            Ok(opened) => {
                let who = &opened.session.principal().subject;
                self.journal.session(EventKind::SignedIn, who);
            }
            Err(error) => self.journal.sign_in_refused(error),
        }
        opened
    }

    fn check(&self, session: &Session) -> Result<(), Error> {
        session.presence().check()
    }

    fn beside(&self, session: &Arc<Session>) -> Session {
        let who = &session.principal().subject;
        self.journal.session(EventKind::SignedIn, who);
        self.sessions.beside(session)
    }

    fn owner(&self, session: &Session) -> Option<String> {
        let Principal {
            issuer, subject, ..
        } = session.principal();
        Some(format!("{}:{issuer}{subject}", issuer.len()))
    }

    async fn sign_out(&self, session: Arc<Session>) {
        self.catalogs.forget(&session);
        let who = &session.principal().subject;
        self.journal.session(EventKind::SignedOut, who);
        self.sessions.sign_out(&session).await;
    }

    async fn prepare(
        &self,
        session: &Arc<Session>,
        sql: &str,
    ) -> Result<Prepared<Statement>, Error> {
        let prepared = self.engine.prepare(session, sql).await;
        self.audited(session, prepared).await
    }

    async fn columns(
        &self,
        session: &Arc<Session>,
        statement: &Arc<Statement>,
        parameters: &RecordBatch,
    ) -> Result<Option<SchemaRef>, Error> {
        let columns = self.engine.columns(session, statement, parameters).await;
        self.audited(session, columns).await
    }

    async fn run(
        &self,
        session: &Arc<Session>,
        statement: Arc<Statement>,
        parameters: Option<RecordBatch>,
    ) -> Result<ResultStream, Error> {
        let started = tokio::select! {
            biased;
            ended = session.presence().clone().ended() => return Err(ended),
            started = self.engine.run(session, &statement, parameters) => started,
        };
        let ResultStream { schema, batches } = self.audited(session, started).await?;
        Ok(ResultStream {
            schema,
            batches: unless(session.presence().clone().ended(), batches),
        })
    }

    fn fetches_elsewhere(&self, session: &Session) -> bool {
        session.is_direct()
    }

    async fn elsewhere(
        &self,
        session: &Arc<Session>,
        statement: &Arc<Statement>,
        parameters: Option<RecordBatch>,
        recipient: Recipient<'_>,
    ) -> Result<Option<Elsewhere>, Error> {
        let elsewhere = self
            .engine
            .elsewhere(session, statement, parameters, recipient)
            .await;
        self.audited(session, elsewhere).await
    }

    async fn tables(&self, session: &Arc<Session>) -> Result<Vec<TableEntry>, Error> {
        self.catalogs.tables(session).await
    }

    fn session_options(&self, session: &Session) -> Vec<(String, String)> {
        let Current { catalog, schema } = session.names();
        let catalog = catalog.map(|catalog| ("catalog".to_owned(), catalog));
        let schema = schema.map(|schema| ("schema".to_owned(), schema));
        catalog.into_iter().chain(schema).collect()
    }

    async fn set_session_option(
        &self,
        session: &Arc<Session>,
        name: &str,
        value: &str,
    ) -> Result<(), Error> {
        let current = session.names().with_option(name, value)?;
        self.catalogs.start_names_at(session, current).await
    }
}
