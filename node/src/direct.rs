//! People who connect straight to the node: Flight SQL over the domain's own tables.
//!
//! Their queries pass the same gate as fragments do.

mod released;
mod statement;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use arrow_flight::FlightData;
use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use datafusion::common::ScalarValue;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use tokio::time::Instant;
use weft_door::{
    Backend, Credentials, Exchange, ForeignKey, Opened, Prepared, ResultStream, StatementKind,
    TableEntry, TableKind,
};
use weft_governance::{Asker, DomainId, Error, ErrorKind, Principal, code};
use weft_plan::{
    Current, Effort, FullName, NameIndex, ProductTable, Semantics, Tables, access_schema,
    access_table, event_log_name, event_log_schema, leashed, parameter_values, receipts_schema,
    receipts_table, resolve, table_references,
};
use weft_sql::{Caps, Explain, Govern, PURPOSE, Statement as Parsed, ast, is_brief, purpose};
use weft_wire::authority::{Authority, Lease, Presence, TokenKeys};
use weft_wire::rpc::node::ColumnAccess;

use crate::enforce::{Gate, Permit, Policy, VisibleTable, explain};
use crate::fragment::{Engine, Fragment, FragmentService, PlannedSql, Reserved, Running, Via};
use crate::product;
use crate::rights::{Rights, grant_schema, grants_schema, one_id, request_schema, requests_schema};

use released::Released;
pub(crate) use statement::{DirectQuery, DirectStatement};

/// Answers people and, for fragments, coordinators.
pub(crate) struct Direct {
    /// Checks passwords.
    pub(crate) authority: Authority,
    /// Checks tokens.
    pub(crate) keys: Arc<TokenKeys>,
    /// Decides.
    pub(crate) gate: Gate,
    /// Changes what is decided by.
    pub(crate) rights: Rights,
    /// Runs.
    pub(crate) engine: Engine,
    /// How long a query may run.
    pub(crate) deadline: Duration,
    /// Answers coordinators.
    pub(crate) fragments: FragmentService,
}

/// A signed-in person.
pub(crate) struct DirectSession {
    principal: Principal,
    presence: Presence,
    lease: Option<Lease>,
    state: Mutex<State>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    /// Where short names start.
    current: Current,
    /// What the rows will be used for, if that was said.
    purpose: Option<String>,
}

/// What a session's statements depend on.
pub(crate) struct Scope {
    state: State,
    policy: Arc<Policy>,
}

impl DirectSession {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Direct {
    /// The state of a session that begins.
    fn fresh(&self) -> State {
        State {
            current: Current {
                catalog: Some(self.gate.policy().domain().to_string()),
                schema: None,
            },
            purpose: None,
        }
    }

    async fn govern(
        &self,
        session: &DirectSession,
        statement: &Govern,
    ) -> Result<ResultStream, Error> {
        let who = &session.principal;
        match statement {
            Govern::Grant(grant) => {
                identified(grant_schema(), &self.rights.grant(who, grant).await?)
            }
            Govern::Revoke { grant } => {
                self.rights.revoke(who, grant).await?;
                Ok(answered(Arc::new(Schema::empty()), None))
            }
            Govern::ShowGrants { on, to } => {
                let shown = self.rights.shown(who, on.as_ref(), to.as_ref())?;
                Ok(answered(grants_schema(), Some(shown)))
            }
            Govern::Request(request) => {
                let id = self.rights.request(who, request).await?;
                identified(request_schema(), &id)
            }
            Govern::ShowRequests => {
                let shown = self.rights.requests(who).await?;
                Ok(answered(requests_schema(), Some(shown)))
            }
            Govern::Approve(approval) => {
                identified(grant_schema(), &self.rights.approve(who, approval).await?)
            }
            Govern::Reject { request, reason } => {
                self.rights.reject(who, request, reason).await?;
                Ok(answered(Arc::new(Schema::empty()), None))
            }
            Govern::ShowReceipts { query } => {
                let receipts = self.rights.receipts(who, *query).await?;
                Ok(answered(
                    receipts_schema(),
                    Some(receipts_table(&receipts)?),
                ))
            }
            Govern::ShowEffectiveAccess { on, principal } => {
                let purpose = session.state().purpose.clone();
                let asked = principal.as_deref().unwrap_or(&who.subject);
                let shown =
                    self.rights
                        .effective(who, purpose.as_deref(), on, &self.of(who, asked))?;
                Ok(answered(access_schema(), Some(access_table(&shown)?)))
            }
        }
    }

    /// What the session would see of what `query` reads.
    async fn access(
        &self,
        session: &DirectSession,
        query: &ast::Query,
    ) -> Result<ResultStream, Error> {
        let scope = self.scope(session);
        let tables = match self.readable(session, &scope, query)? {
            Readable::Products(tables, grouped) => (tables, grouped),
            // Nothing has to be granted for it.
            Readable::System(_) => return Ok(answered(access_schema(), None)),
        };
        let fragment = self.fragment(query, tables, Vec::new()).await?;
        let asker = asker(session, scope.state.purpose.as_deref());
        let accesses = fragment.accesses().iter();
        let shown: Vec<ColumnAccess> = accesses
            .flat_map(|access| explain(&scope.policy, &asker, access))
            .collect();
        Ok(answered(access_schema(), Some(access_table(&shown)?)))
    }

    /// Sets where short names start, if that is a place that the session may see.
    fn start_names_at(&self, session: &DirectSession, current: Current) -> Result<(), Error> {
        let policy = self.gate.policy();
        let domain = policy.domain().to_string();
        let purpose = session.state().purpose.clone();
        let asker = asker(session, purpose.as_deref());
        let current = Current {
            catalog: Some(current.catalog.unwrap_or_else(|| domain.clone())),
            ..current
        };
        let known = match &current.schema {
            None => true,
            Some(schema) => policy
                .visible_tables(&asker)
                .iter()
                .any(|visible| visible.table.product().product() == schema),
        };
        if current.catalog.as_ref() != Some(&domain) || !known {
            return Err(elsewhere(&current, &domain));
        }
        session.state().current = current;
        Ok(())
    }

    /// The principal `subject`, as far as this node knows.
    fn of(&self, who: &Principal, subject: &str) -> Principal {
        match who.subject == subject {
            true => who.clone(),
            false => self.gate.met(subject),
        }
    }

    /// Runs what `permit` allows for a person who reads it here, while they may and until `end`.
    async fn release(
        &self,
        permit: Permit,
        presence: Presence,
        end: impl Future<Output = Error> + Send + 'static,
    ) -> Result<Released, Error> {
        let Running {
            schema,
            batches,
            interrupt,
            is_short: _,
            standing,
            account,
        } = self.engine.run(permit).await?;
        let batches = self.engine.workers().drive(batches, interrupt);
        let standing = standing.of(presence);
        let end = async move {
            tokio::select! {
                lost = standing.lost() => lost,
                error = end => error,
            }
        };
        Ok(Released {
            schema,
            rows: batches,
            account,
            end: end.boxed(),
        })
    }

    /// Runs what is `reserved`, for whom it is, until it is `withdrawn`.
    async fn run_reserved(
        &self,
        reserved: &Reserved,
        withdrawn: impl Future<Output = Error> + Send + 'static,
    ) -> Result<Released, Error> {
        let people = self.keys.people();
        people.known().await?;
        let presence = people.presence(&reserved.principal.subject, reserved.issued_at);
        presence.check()?;
        self.gate.meet(&reserved.principal);
        let via = Via::Reserved(reserved.coordinator.clone());
        let request = reserved.request.clone();
        let purpose = request.purpose.clone();
        let fragment = self.engine.decode(request, via, reserved.digest).await?;
        let asker = Asker {
            principal: &reserved.principal,
            purpose: purpose.as_deref(),
            at: SystemTime::now().into(),
        };
        let deadline = Instant::now() + fragment.timeout().min(self.deadline);
        let permit = self.gate.admit(&asker, fragment).await?;
        let end = async move {
            tokio::select! {
                error = withdrawn => error,
                error = late(deadline) => error,
            }
        };
        self.release(permit, presence, end).await
    }

    /// Plans `query` over `tables` of products to the end.
    async fn fragment(
        &self,
        query: &ast::Query,
        tables: (Tables, bool),
        values: Vec<ScalarValue>,
    ) -> Result<Fragment, Error> {
        let (query, values) = (query.clone(), Some(values));
        let planned = self
            .engine
            .plan(query, tables, values, semantics(), self.deadline);
        planned.await?.bound()
    }

    /// The columns and parameters of `query`; without `values`, as far as they can be told. If that makes a
    /// plan, it is kept for the first run.
    async fn describe(
        &self,
        session: &DirectSession,
        asked: &DirectQuery,
        values: Option<Vec<ScalarValue>>,
    ) -> Result<(SchemaRef, SchemaRef), Error> {
        let (scope, query) = (self.scope(session), asked.query.clone());
        let tables = match self.readable(session, &scope, &query)? {
            Readable::Products(tables, grouped) => (tables, grouped),
            Readable::System(tables) => {
                let values = values.unwrap_or_default();
                return self
                    .engine
                    .describe(query, tables, values, semantics())
                    .await;
            }
        };
        let planned = self
            .engine
            .plan(query, tables, values.clone(), semantics(), self.deadline);
        let PlannedSql {
            schema,
            parameters,
            fragment,
        } = planned.await?;
        if let Some(fragment) = fragment {
            asked.keep(values.unwrap_or_default(), &scope, fragment);
        }
        Ok((schema, parameters))
    }

    /// What names and rights of `session` are now.
    fn scope(&self, session: &DirectSession) -> Scope {
        Scope {
            state: session.state().clone(),
            policy: self.gate.policy(),
        }
    }

    /// What `query` may read of what `session` may see.
    fn readable(
        &self,
        session: &DirectSession,
        Scope { state, policy }: &Scope,
        query: &ast::Query,
    ) -> Result<Readable, Error> {
        let State { current, purpose } = state;
        let asker = asker(session, purpose.as_deref());
        let names = Names::of(policy.visible_tables(&asker));
        let (mut products, mut grouped, mut system) = (Tables::new(), false, Tables::new());
        for reference in table_references(query)? {
            let name = resolve(&reference, current, &names)?;
            match names.0.get(&name) {
                Some(visible) => {
                    grouped |= visible.min_group_size.is_some();
                    let table: Arc<dyn TableProvider> = Arc::new(
                        ProductTable::new(visible.table.clone(), Arc::clone(&visible.schema))
                            .with_remarks(visible.remarks.clone()),
                    );
                    products.insert(reference, table);
                }
                // The only other name there is.
                None => {
                    let log = self.rights.event_log(self.gate.node(), &session.principal);
                    system.insert(reference, Arc::new(log));
                }
            }
        }
        match (products.is_empty(), system.is_empty()) {
            (_, true) => Ok(Readable::Products(products, grouped)),
            (true, false) => Ok(Readable::System(system)),
            (false, false) => Err(mixed()),
        }
    }

    /// Runs `query` over the node's own tables, after it was written down.
    async fn read_system(
        &self,
        session: &DirectSession,
        query: ast::Query,
        tables: Tables,
        values: Vec<ScalarValue>,
    ) -> Result<ResultStream, Error> {
        self.rights.read_by(&session.principal, &query).await?;
        let deadline = Instant::now() + self.deadline;
        let read = self.engine.read(query, tables, values, semantics());
        let (schema, batches, interrupt) = read.await?;
        let batches = self.engine.workers().drive(batches, interrupt);
        let presence = session.presence.clone();
        let end = async move {
            tokio::select! {
                error = presence.ended() => error,
                error = late(deadline) => error,
            }
        };
        let batches = leashed(end, batches);
        Ok(ResultStream { schema, batches })
    }
}

#[async_trait]
impl Backend for Direct {
    type Session = DirectSession;
    type Statement = DirectStatement;

    async fn sign_in(&self, credentials: Credentials) -> Result<Opened<DirectSession>, Error> {
        let people = self.keys.people();
        people.known().await?;
        let (principal, presence, lease, expires_at) = match credentials {
            Credentials::Password { user, password } => {
                let lease = self.authority.sign_in(&user, &password).await?;
                let principal = lease.principal.clone();
                let presence = people.presence(&principal.subject, lease.issued_at);
                let expires_at = lease.expires_at;
                (principal, presence, Some(lease), expires_at)
            }
            Credentials::Token(token) => {
                let user = self.keys.verify(&token, None, SystemTime::now()).await?;
                let presence = people.presence(&user.principal.subject, user.issued_at);
                (user.principal, presence, None, user.expires_at)
            }
        };
        self.gate.meet(&principal);
        let session = DirectSession {
            principal,
            presence,
            lease,
            state: Mutex::new(self.fresh()),
        };
        Ok(Opened {
            session,
            expires_at,
        })
    }

    fn check(&self, session: &DirectSession) -> Result<(), Error> {
        session.presence.check()
    }

    fn beside(&self, session: &Arc<DirectSession>) -> DirectSession {
        DirectSession {
            principal: session.principal.clone(),
            presence: session.presence.clone(),
            lease: None,
            state: Mutex::new(self.fresh()),
        }
    }

    fn owner(&self, session: &DirectSession) -> Option<String> {
        let Principal {
            issuer, subject, ..
        } = &session.principal;
        Some(format!("{}:{issuer}{subject}", issuer.len()))
    }

    async fn sign_out(&self, session: Arc<DirectSession>) {
        if let Some(lease) = &session.lease
            && let Err(error) = self.authority.end_lease(lease).await
        {
            tracing::debug!(%error, "a lease could not be ended and will expire by itself");
        }
    }

    async fn prepare(
        &self,
        session: &Arc<DirectSession>,
        sql: &str,
    ) -> Result<Prepared<DirectStatement>, Error> {
        let text = sql.to_owned();
        let parse = move || weft_sql::parse(&text, &Caps::default());
        let effort = Effort::least_if(is_brief(sql));
        let parsed = self.engine.planner().run(effort, parse).await?;
        let query = match parsed {
            Parsed::Query(query) => *query,
            Parsed::Use(parts) => {
                let mut parts = parts.into_iter();
                let (catalog, schema) = (parts.next(), parts.next());
                let start = Current { catalog, schema };
                return Ok(command(DirectStatement::Use(start)));
            }
            Parsed::Set { name, value } if name == PURPOSE => {
                return Ok(command(DirectStatement::Purpose(purpose(&value)?)));
            }
            Parsed::Govern(statement) => return governed(statement),
            Parsed::Explain(Explain::Access, query) => {
                return Ok(Prepared {
                    schema: access_schema(),
                    kind: StatementKind::Query,
                    ..command(DirectStatement::Access(query))
                });
            }
            _ => return Err(unsupported()),
        };
        let query = DirectQuery::new(query);
        let (schema, parameters) = self.describe(session, &query, None).await?;
        Ok(Prepared {
            statement: DirectStatement::Query(Box::new(query)),
            schema,
            parameters,
            kind: StatementKind::Query,
        })
    }

    async fn columns(
        &self,
        session: &Arc<DirectSession>,
        statement: &Arc<DirectStatement>,
        parameters: &RecordBatch,
    ) -> Result<Option<SchemaRef>, Error> {
        let DirectStatement::Query(query) = statement.as_ref() else {
            return Ok(None);
        };
        let values = parameter_values(parameters)?;
        let (schema, _) = self.describe(session, query, Some(values)).await?;
        Ok(Some(schema))
    }

    async fn run(
        &self,
        session: &Arc<DirectSession>,
        statement: Arc<DirectStatement>,
        parameters: Option<RecordBatch>,
    ) -> Result<ResultStream, Error> {
        let values = parameters
            .as_ref()
            .map(parameter_values)
            .transpose()?
            .unwrap_or_default();
        let deadline = Instant::now() + self.deadline;
        let asked = match statement.as_ref() {
            DirectStatement::Query(asked) => asked,
            DirectStatement::Use(start) => {
                self.start_names_at(session, start.clone())?;
                return Ok(answered(Arc::new(Schema::empty()), None));
            }
            DirectStatement::Purpose(purpose) => {
                session.state().purpose.clone_from(purpose);
                return Ok(answered(Arc::new(Schema::empty()), None));
            }
            DirectStatement::Govern(statement) => return self.govern(session, statement).await,
            DirectStatement::Access(query) => return self.access(session, query).await,
        };
        let (scope, query) = (self.scope(session), &asked.query);
        let fragment = match asked.take(&values, &scope) {
            Some(fragment) => fragment,
            None => match self.readable(session, &scope, query)? {
                Readable::Products(tables, grouped) => {
                    self.fragment(query, (tables, grouped), values).await?
                }
                Readable::System(tables) => {
                    let query = query.clone();
                    return self.read_system(session, query, tables, values).await;
                }
            },
        };
        let asker = asker(session, scope.state.purpose.as_deref());
        let permit = self.gate.admit(&asker, fragment).await?;
        let released = self.release(permit, session.presence.clone(), late(deadline));
        Ok(released.await?.answer(None))
    }

    async fn redeem(&self, ticket: &[u8], bearer: [u8; 32]) -> Result<Option<ResultStream>, Error> {
        let reservations = self.fragments.reservations();
        let Some((reserved, fetching)) = reservations.fetch(ticket, bearer) else {
            return Ok(None);
        };
        match self.run_reserved(&reserved, fetching.withdrawn()).await {
            Ok(released) => Ok(Some(ResultStream {
                schema: Arc::clone(&reserved.announced),
                ..released.answer(Some(fetching))
            })),
            Err(error) => {
                fetching.failed(&error);
                Err(error)
            }
        }
    }

    async fn tables(&self, session: &Arc<DirectSession>) -> Result<Vec<TableEntry>, Error> {
        let purpose = session.state().purpose.clone();
        let asker = asker(session, purpose.as_deref());
        let visible = self.gate.policy().visible_tables(&asker);
        let products = visible.into_iter().map(|visible| TableEntry {
            catalog: visible.table.domain().to_string(),
            schema: visible.table.product().product().to_owned(),
            table: visible.table.table().to_owned(),
            kind: TableKind::Table,
            columns: visible.schema,
            remarks: visible.remarks,
            key: visible.key,
            foreign_keys: own_keys(visible.table.domain(), visible.foreign_keys),
            description: Some(visible.description),
        });
        let FullName {
            catalog,
            schema,
            table,
        } = event_log_name();
        let log = TableEntry {
            catalog,
            schema,
            table,
            kind: TableKind::SystemTable,
            columns: event_log_schema(),
            remarks: Vec::new(),
            key: Vec::new(),
            foreign_keys: Vec::new(),
            description: Some("What this node decided and did, oldest first.".to_owned()),
        };
        Ok(products.chain([log]).collect())
    }

    fn session_options(&self, session: &DirectSession) -> Vec<(String, String)> {
        let State { current, .. } = session.state().clone();
        let catalog = current
            .catalog
            .iter()
            .map(|catalog| ("catalog".to_owned(), catalog.clone()));
        let schema = current
            .schema
            .iter()
            .map(|schema| ("schema".to_owned(), schema.clone()));
        catalog.chain(schema).collect()
    }

    async fn set_session_option(
        &self,
        session: &Arc<DirectSession>,
        name: &str,
        value: &str,
    ) -> Result<(), Error> {
        let current = session.state().current.clone();
        self.start_names_at(session, current.with_option(name, value)?)
    }

    async fn exchange(
        &self,
        call: Exchange,
    ) -> Result<BoxStream<'static, Result<FlightData, Error>>, Error> {
        self.fragments.exchange(call).await
    }
}

/// Those of `keys` that refer to tables of `domain`. What others have is not told here.
fn own_keys(domain: &DomainId, keys: Vec<product::ForeignKey>) -> Vec<ForeignKey> {
    let own = keys
        .into_iter()
        .filter(|key| key.product.domain() == domain);
    own.map(|key| ForeignKey {
        columns: key.columns,
        catalog: domain.to_string(),
        schema: key.product.product().to_owned(),
        table: key.to.table,
        to: key.to.columns,
    })
    .collect()
}

fn asker<'a>(session: &'a DirectSession, purpose: Option<&'a str>) -> Asker<'a> {
    Asker {
        principal: &session.principal,
        purpose,
        at: SystemTime::now().into(),
    }
}

fn command(statement: DirectStatement) -> Prepared<DirectStatement> {
    Prepared {
        statement,
        schema: Arc::new(Schema::empty()),
        parameters: Arc::new(Schema::empty()),
        kind: StatementKind::Command,
    }
}

/// A statement about rights, as far as this node answers it.
fn governed(statement: Box<Govern>) -> Result<Prepared<DirectStatement>, Error> {
    let (schema, kind) = match statement.as_ref() {
        // They change something, whether or not anybody fetches what they answer.
        Govern::Grant(_) | Govern::Approve(_) => (grant_schema(), StatementKind::Command),
        Govern::Request(_) => (request_schema(), StatementKind::Command),
        Govern::Revoke { .. } | Govern::Reject { .. } => {
            (Arc::new(Schema::empty()), StatementKind::Command)
        }
        Govern::ShowGrants { .. } => (grants_schema(), StatementKind::Query),
        Govern::ShowRequests => (requests_schema(), StatementKind::Query),
        Govern::ShowReceipts { .. } => (receipts_schema(), StatementKind::Query),
        Govern::ShowEffectiveAccess { .. } => (access_schema(), StatementKind::Query),
    };
    Ok(Prepared {
        schema,
        kind,
        ..command(DirectStatement::Govern(statement))
    })
}

fn unsupported() -> Error {
    let message = "a node answers queries and statements about grants and requests only";
    Error::new(ErrorKind::Unsupported, code::UNSUPPORTED, message)
        .with_hint("Connect to a coordinator for SHOW and EXPLAIN.")
}

fn elsewhere(wanted: &Current, domain: &str) -> Error {
    let parts = wanted.catalog.iter().chain(&wanted.schema);
    let parts: Vec<&str> = parts.map(String::as_str).collect();
    let message = format!("there is no `{}` at this node", parts.join("."));
    Error::new(ErrorKind::NotFound, code::NOT_FOUND, message)
        .with_hint(format!("This node serves the data products of `{domain}`."))
}

fn identified(schema: SchemaRef, id: &str) -> Result<ResultStream, Error> {
    let row = one_id(Arc::clone(&schema), id)?;
    Ok(answered(schema, Some(row)))
}

fn answered(schema: SchemaRef, rows: Option<RecordBatch>) -> ResultStream {
    ResultStream {
        schema,
        batches: futures::stream::iter(rows.map(Ok)).boxed(),
    }
}

fn semantics() -> Semantics {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos();
    Semantics {
        time_zone: "+00:00".to_owned(),
        query_start_ns: i64::try_from(now).unwrap_or(i64::MAX),
    }
}

/// Returns once `deadline` is over.
async fn late(deadline: Instant) -> Error {
    tokio::time::sleep_until(deadline).await;
    too_late()
}

fn too_late() -> Error {
    let message = "the query ran longer than this node allows";
    Error::new(ErrorKind::DeadlineExceeded, code::DEADLINE, message)
        .with_hint("Ask for less, or have `limits.deadline` of the node raised.")
}

fn mixed() -> Error {
    let message = "the event log is read by itself, not beside tables of products";
    Error::new(ErrorKind::Unsupported, code::UNSUPPORTED, message)
        .with_hint("Read it first, and use what you found in the other query.")
}

/// What a query reads.
enum Readable {
    /// Tables of products, and whether some of them may be shown in groups alone.
    Products(Tables, bool),
    /// Tables of the node itself.
    System(Tables),
}

/// What one principal may name at this node, beside its event log.
struct Names(BTreeMap<FullName, VisibleTable>);

impl Names {
    fn of(visible: Vec<VisibleTable>) -> Self {
        let named = visible.into_iter().map(|visible| {
            let name = FullName {
                catalog: visible.table.domain().to_string(),
                schema: visible.table.product().product().to_owned(),
                table: visible.table.table().to_owned(),
            };
            (name, visible)
        });
        Self(named.collect())
    }
}

impl NameIndex for Names {
    fn contains(&self, name: &FullName) -> bool {
        self.0.contains_key(name) || *name == event_log_name()
    }

    fn tables_of(&self, catalog: &str, schema: &str) -> Vec<String> {
        self.0
            .keys()
            .filter(|name| name.catalog == catalog && name.schema == schema)
            .map(|name| name.table.clone())
            .collect()
    }

    fn all(&self) -> Vec<FullName> {
        let log = std::iter::once(event_log_name());
        self.0.keys().cloned().chain(log).collect()
    }
}
