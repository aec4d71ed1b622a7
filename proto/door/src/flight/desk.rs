//! What a signed-in client asks for: descriptors and tickets in, results out.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow_flight::sql::metadata::{SqlInfoData, XdbcTypeInfoData};
use arrow_flight::sql::{Any, Command, ProstMessageExt, TicketStatementQuery};
use arrow_flight::{
    FlightDescriptor, FlightEndpoint, FlightInfo, IpcMessage, Location, SchemaAsIpc, SchemaResult,
    Ticket,
};
use arrow_ipc::writer::IpcWriteOptions;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use prost::Message;
use tokio_util::sync::CancellationToken;
use weft_governance::{Error, ErrorKind, code};

use super::entry::Roaming;
use super::outflow::{Outflow, Stop};
use super::reader::Reader;
use super::{catalog, info, malformed, types, unsupported};
use crate::backend::{Backend, Elsewhere, Prepared, Recipient, ResultStream, StatementKind};
use crate::encode::{Encoder, same_columns, size_of, wire_schema};
use crate::limits::Limits;
use crate::rows;
use crate::session::{Announced, Kept, Pending, Session, Sessions, Shelf, Statement, Work};
use crate::ticket::{self, Carried, Seal};

/// The place of whoever announced a result, as Flight names it: the last resort of clients that
/// cannot reach another one.
const SAME_CONNECTION: &str = "arrow-flight-reuse-connection://?";

/// A result that may be fetched, and the session that it was asked for in.
type Found<B> = (Arc<Session<B>>, Arc<Announced<B>>);

type Batches = BoxStream<'static, Result<RecordBatch, Error>>;

/// Answers the calls of signed-in clients over a backend.
pub(crate) struct Desk<B: Backend> {
    backend: Arc<B>,
    sessions: Sessions<B>,
    limits: Limits,
    seal: Seal,
    shelf: Shelf,
    about: SqlInfoData,
    types: XdbcTypeInfoData,
}

impl<B: Backend> fmt::Debug for Desk<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk")
            .field("sessions", &self.sessions)
            .finish_non_exhaustive()
    }
}

impl<B: Backend> Desk<B> {
    /// A desk at which no one is signed in yet.
    ///
    /// # Errors
    /// `Internal` if the machine has no randomness.
    pub(crate) fn new(backend: Arc<B>, limits: Limits) -> Result<Self, Error> {
        Ok(Self {
            sessions: Sessions::new(Arc::clone(&backend), limits.clone())?,
            backend,
            seal: Seal::generate()?,
            shelf: Shelf::new(limits.kept),
            limits,
            about: info::about()?,
            types: types::listed()?,
        })
    }

    pub(crate) fn backend(&self) -> &B {
        &self.backend
    }

    pub(crate) fn sessions(&self) -> &Sessions<B> {
        &self.sessions
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) fn seal(&self) -> &Seal {
        &self.seal
    }

    /// Keeps `value`, of so many `bytes`, for whoever's session it is.
    pub(super) fn keep<T: Send + 'static>(
        &self,
        session: &Session<B>,
        value: T,
        bytes: usize,
    ) -> Kept<T> {
        let now = Instant::now();
        self.shelf.keep(&session.whose(), value, bytes, now)
    }

    pub(super) fn about(&self) -> &SqlInfoData {
        &self.about
    }

    pub(super) fn types(&self) -> &XdbcTypeInfoData {
        &self.types
    }

    /// Announces a result: its schema and one ticket. A command runs here, once. A client that is
    /// `roaming` may be told of another place for the rows of a query.
    pub(super) async fn flight_info(
        &self,
        session: &Arc<Session<B>>,
        descriptor: FlightDescriptor,
        roaming: Option<Roaming>,
    ) -> Result<FlightInfo, Error> {
        let command = read_command(&descriptor.cmd)?;
        let info = match &command {
            Command::CommandStatementQuery(query) => {
                outside_transactions(query.transaction_id.as_ref())?;
                let statement = self.prepare(session, &query.query).await?;
                self.begin(session, &statement, None, roaming).await?
            }
            Command::CommandPreparedStatementQuery(query) => {
                let handle = &query.prepared_statement_handle;
                let named = self.named(session, handle).await?;
                self.begin(session, &named.statement, named.values()?, roaming)
                    .await?
            }
            command => {
                let schema = catalog::schema(command).ok_or_else(|| unknown(command))?;
                announce(&schema, endpoint(command.clone().into_any()), -1)?
            }
        };
        Ok(info.with_descriptor(descriptor))
    }

    /// The schema that a result would have; nothing runs.
    pub(super) async fn schema(
        &self,
        session: &Session<B>,
        descriptor: FlightDescriptor,
    ) -> Result<SchemaResult, Error> {
        let schema = match read_command(&descriptor.cmd)? {
            Command::CommandStatementQuery(query) => {
                outside_transactions(query.transaction_id.as_ref())?;
                Arc::clone(&self.prepare(session, &query.query).await?.schema)
            }
            Command::CommandPreparedStatementQuery(query) => {
                let handle = &query.prepared_statement_handle;
                Arc::clone(&self.named(session, handle).await?.statement.schema)
            }
            command => catalog::schema(&command).ok_or_else(|| unknown(&command))?,
        };
        Ok(SchemaResult {
            schema: ipc_schema(&schema)?,
        })
    }

    /// The rows behind a ticket. Statements start when the stream is polled, after its schema.
    pub(super) async fn fetch(
        &self,
        session: &Arc<Session<B>>,
        ticket: Ticket,
        reader: Reader,
    ) -> Result<Outflow, Error> {
        let deadline = reader.deadline;
        let command = read_command(&ticket.ticket).map_err(|_| no_such_ticket())?;
        if let Command::TicketStatementQuery(_) = &command {
            let (session, announced) = self.announced(session, &carried(&ticket)?.sealed)?;
            let pending = announced.pending.get(Instant::now());
            let pending = pending.ok_or_else(no_such_ticket)?;
            let stop = Stop {
                deadline,
                cancel: announced.cancel.clone(),
            };
            let encoder = reader.served_by(Encoder::new(Arc::clone(&pending.schema)))?;
            let rows = match &pending.work {
                Work::Replay(batches) => stream::iter(batches.clone()).map(Ok).boxed(),
                Work::Run {
                    statement,
                    parameters,
                } => {
                    let rows = one_by_one(parameters.as_ref());
                    let run = (Arc::clone(&self.backend), session, Arc::clone(statement));
                    let announced = Arc::clone(&pending.schema);
                    stream::iter(rows)
                        .then(move |row| {
                            let (backend, session, statement) = run.clone();
                            let announced = Arc::clone(&announced);
                            async move {
                                let result = backend.run(session.inner(), statement, row).await?;
                                as_announced(&announced, result)
                            }
                        })
                        .try_flatten()
                        .boxed()
                }
            };
            return Ok(Outflow::new(encoder, rows, stop));
        }
        let schema = catalog::schema(&command).ok_or_else(no_such_ticket)?;
        let batch = catalog::answer(self, session, command).await?;
        let stop = Stop {
            deadline,
            cancel: CancellationToken::new(),
        };
        Ok(Outflow::new(
            reader.served_by(Encoder::new(schema))?,
            stream::iter([Ok(batch)]).boxed(),
            stop,
        ))
    }

    /// Ends the result behind a ticket, wherever it is being worked on.
    pub(super) fn cancel(&self, session: &Arc<Session<B>>, ticket: &Ticket) -> Result<(), Error> {
        let (_, announced) = self.announced(session, &carried(ticket)?.sealed)?;
        announced.cancel.cancel();
        Ok(())
    }

    /// The same result for as long again, to be fetched here.
    pub(super) fn renew(
        &self,
        session: &Arc<Session<B>>,
        endpoint: FlightEndpoint,
    ) -> Result<FlightEndpoint, Error> {
        let ticket = endpoint.ticket.as_ref().ok_or_else(no_such_ticket)?;
        let Carried { sealed, .. } = carried(ticket)?;
        self.announced(session, &sealed)?;
        let now = SystemTime::now();
        let known = self.seal.open(&sealed, now).ok_or_else(no_such_ticket)?;
        let renewed = ticket::Ticket {
            expires_at: now + self.limits.result_lifetime,
            ..known
        };
        Ok(FlightEndpoint {
            app_metadata: endpoint.app_metadata,
            ..self.redeemable(&renewed, None)?
        })
    }

    /// Prepares a statement for this session.
    pub(super) async fn prepare(
        &self,
        session: &Session<B>,
        sql: &str,
    ) -> Result<Statement<B>, Error> {
        if sql.len() > self.limits.statement {
            return Err(too_long(self.limits.statement));
        }
        let Prepared {
            statement,
            schema,
            parameters,
            kind,
        } = self.backend.prepare(session.inner(), sql).await?;
        Ok(Statement {
            statement: Arc::new(statement),
            schema: catalog::named_types(&wire_schema(&schema)),
            parameters: wire_schema(&parameters),
            kind,
            weight: weight_of(sql),
            bound: Mutex::new(None),
        })
    }

    /// Runs a command to its end and returns its rows.
    pub(super) async fn run_command(
        &self,
        session: &Session<B>,
        statement: &Statement<B>,
        values: Option<&[u8]>,
    ) -> Result<Vec<RecordBatch>, Error> {
        let parameters = parameters_of(statement, values)?;
        let (mut batches, mut size) = (Vec::new(), 0_usize);
        for row in one_by_one(parameters.as_ref()) {
            let command = Arc::clone(&statement.statement);
            let run = self.backend.run(session.inner(), command, row);
            let mut result = as_announced(&statement.schema, run.await?)?;
            while let Some(batch) = result.try_next().await? {
                size += size_of(&batch);
                if size > self.limits.command_result {
                    return Err(result_too_large(self.limits.command_result));
                }
                batches.push(batch);
            }
        }
        Ok(batches)
    }

    /// The columns that the statement answers with, which may depend on the values bound to it.
    async fn columns(
        &self,
        session: &Session<B>,
        statement: &Statement<B>,
        parameters: Option<&RecordBatch>,
    ) -> Result<SchemaRef, Error> {
        let known = || Arc::clone(&statement.schema);
        let Some(first) = parameters.map(|rows| rows.slice(0, rows.num_rows().min(1))) else {
            return Ok(known());
        };
        let told = self
            .backend
            .columns(session.inner(), &statement.statement, &first)
            .await?;
        let told = told.map(|schema| catalog::named_types(&wire_schema(&schema)));
        Ok(told.unwrap_or_else(known))
    }

    async fn begin(
        &self,
        session: &Session<B>,
        statement: &Statement<B>,
        values: Option<Bytes>,
        roaming: Option<Roaming>,
    ) -> Result<FlightInfo, Error> {
        let mut schema = Arc::clone(&statement.schema);
        let (work, weight, rows) = match statement.kind {
            StatementKind::Query => {
                let parameters = parameters_of(statement, values.as_deref())?;
                schema = self
                    .columns(session, statement, parameters.as_ref())
                    .await?;
                let work = Work::Run {
                    statement: Arc::clone(&statement.statement),
                    parameters,
                };
                let values = values.map_or(0, |values| values.len());
                (work, statement.weight.saturating_add(values), -1)
            }
            StatementKind::Command => {
                let batches = self.run_command(session, statement, values.as_deref());
                let batches = batches.await?;
                let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
                let weight = batches.iter().map(RecordBatch::get_array_memory_size);
                let weight = weight.fold(0, usize::saturating_add);
                let rows = i64::try_from(rows).unwrap_or(-1);
                (Work::Replay(batches), weight, rows)
            }
        };
        let pending = Pending {
            schema: Arc::clone(&schema),
            work,
        };
        let cancel = CancellationToken::new();
        let elsewhere = match roaming {
            Some(roaming) => self.elsewhere(session, &pending, &cancel, roaming).await?,
            None => None,
        };
        let pending = self.keep(session, Arc::new(pending), weight);
        let announced = Announced { pending, cancel };
        let ticket = ticket::Ticket {
            session: *session.id(),
            result: session.results().add(announced, Instant::now())?,
            expires_at: SystemTime::now() + self.limits.result_lifetime,
        };
        announce(&schema, self.redeemable(&ticket, elsewhere)?, rows)
    }

    /// Where else the client may fetch the rows of a result, if anywhere. The bearer of the session is
    /// shown there, so that from then on the session is only used from where the client is.
    async fn elsewhere(
        &self,
        session: &Session<B>,
        pending: &Pending<B>,
        cancelled: &CancellationToken,
        Roaming { bearer, from }: Roaming,
    ) -> Result<Option<Elsewhere>, Error> {
        let Work::Run {
            statement,
            parameters,
        } = &pending.work
        else {
            return Ok(None);
        };
        let once = parameters.as_ref().is_none_or(|rows| rows.num_rows() == 1);
        if !once || !session.may_settle(from) {
            return Ok(None);
        }
        let recipient = Recipient {
            announced: &pending.schema,
            bearer,
            cancelled,
        };
        let values = parameters.clone();
        let elsewhere = self
            .backend
            .elsewhere(session.inner(), statement, values, recipient);
        let elsewhere = elsewhere.await?;
        Ok(elsewhere.filter(|_| session.settle(from)))
    }

    /// The rows that this server gave `part` of a ticket for, if it did.
    pub(super) async fn redeem(
        &self,
        part: &[u8],
        bearer: [u8; 32],
        reader: Reader,
    ) -> Result<Option<Outflow>, Error> {
        let Some(result) = self.backend.redeem(part, bearer).await? else {
            return Ok(None);
        };
        let encoder = reader.served_by(Encoder::new(result.schema))?;
        let stop = Stop {
            deadline: reader.deadline,
            cancel: CancellationToken::new(),
        };
        Ok(Some(Outflow::new(encoder, result.batches, stop)))
    }

    /// Where the result behind `ticket` is fetched, and until when: here, and perhaps `elsewhere`.
    fn redeemable(
        &self,
        ticket: &ticket::Ticket,
        elsewhere: Option<Elsewhere>,
    ) -> Result<FlightEndpoint, Error> {
        let sealed = self.seal.close(ticket)?;
        let (locations, elsewhere, until) = match elsewhere {
            Some(Elsewhere {
                location,
                ticket: other,
                expires_at,
            }) => (
                vec![location, SAME_CONNECTION.to_owned()],
                other.to_vec(),
                expires_at.min(ticket.expires_at),
            ),
            None => (Vec::new(), Vec::new(), ticket.expires_at),
        };
        let handle = Carried { sealed, elsewhere };
        let ticket = TicketStatementQuery {
            statement_handle: handle.encode_to_vec().into(),
        };
        let mut endpoint = endpoint(ticket.as_any());
        endpoint.location = locations.into_iter().map(|uri| Location { uri }).collect();
        let until = until.duration_since(UNIX_EPOCH);
        let until = until.unwrap_or_default().as_secs();
        endpoint.expiration_time.get_or_insert_default().seconds =
            i64::try_from(until).unwrap_or(i64::MAX);
        Ok(endpoint)
    }

    /// What a sealed ticket stands for, and the session that it was made in: the caller's, or another
    /// of the same person's. The answer is the same whatever is wrong with it.
    fn announced(&self, session: &Arc<Session<B>>, sealed: &[u8]) -> Result<Found<B>, Error> {
        let now = SystemTime::now();
        let found = self.seal.open(sealed, now).and_then(|ticket| {
            let maker = self.sessions.of_same_owner(&ticket.session, session, now)?;
            let announced = maker.results().get(&ticket.result, Instant::now())?;
            Some((maker, announced))
        });
        found.ok_or_else(no_such_ticket)
    }
}

/// What another server than the one that announced a result has given for it, if one did.
pub(super) fn part_of_another(ticket: &Ticket) -> Option<Vec<u8>> {
    let Carried { elsewhere, .. } = carried(ticket).ok()?;
    Some(elsewhere).filter(|part| !part.is_empty())
}

/// What a ticket for a statement's result holds.
fn carried(ticket: &Ticket) -> Result<Carried, Error> {
    match read_command(&ticket.ticket) {
        Ok(Command::TicketStatementQuery(ticket)) => {
            Carried::decode(ticket.statement_handle).map_err(|_| no_such_ticket())
        }
        _ => Err(no_such_ticket()),
    }
}

/// The values for each run of a statement: one without any if none are bound.
fn one_by_one(rows: Option<&RecordBatch>) -> Vec<Option<RecordBatch>> {
    match rows {
        Some(rows) => (0..rows.num_rows())
            .map(|row| Some(rows.slice(row, 1)))
            .collect(),
        None => vec![None],
    }
}

/// The rows of `result`, if they have the columns that the client was told of: it may bind them by
/// position.
fn as_announced(announced: &Schema, result: ResultStream) -> Result<Batches, Error> {
    if same_columns(announced, &result.schema) {
        return Ok(result.batches);
    }
    Err(changed())
}

/// The rows of parameters that `statement` runs with.
fn parameters_of<B: Backend>(
    statement: &Statement<B>,
    values: Option<&[u8]>,
) -> Result<Option<RecordBatch>, Error> {
    let rows = values.map(rows::from_bytes).transpose()?;
    match (rows, statement.parameters.fields().len()) {
        (None, wanted) if wanted > 0 => Err(unbound(wanted)),
        (rows, _) => Ok(rows),
    }
}

/// Bytes that a prepared statement takes, about: a name or a number of its text is a node of its plan.
fn weight_of(sql: &str) -> usize {
    const LEAST: usize = 64 << 10;
    const MOST: usize = 4 << 20;
    const EACH: usize = 160;
    let plan = sql.len().saturating_mul(EACH).clamp(LEAST, MOST);
    plan.saturating_add(sql.len().saturating_mul(3))
}

/// Reads a command of Flight SQL from a descriptor or ticket.
pub(super) fn read_command(bytes: &[u8]) -> Result<Command, Error> {
    let any =
        Any::decode(bytes).map_err(|_| malformed("the descriptor is no Flight SQL command"))?;
    Command::try_from(any).map_err(|_| malformed("the descriptor is no Flight SQL command"))
}

/// A schema with its length in front, as announcements carry it.
pub(super) fn ipc_schema(schema: &Schema) -> Result<Bytes, Error> {
    let options = IpcWriteOptions::default();
    let message: Result<IpcMessage, _> = SchemaAsIpc::new(schema, &options).try_into();
    message.map(|IpcMessage(bytes)| bytes).map_err(|error| {
        Error::new(
            ErrorKind::Internal,
            code::INTERNAL,
            "a schema cannot be encoded",
        )
        .caused_by(error)
    })
}

/// There are no transactions to be in.
pub(super) fn outside_transactions(transaction: Option<&Bytes>) -> Result<(), Error> {
    match transaction {
        Some(id) if !id.is_empty() => Err(unsupported("there are no transactions")
            .with_hint("Switch on autocommit in the client.")),
        _ => Ok(()),
    }
}

/// The refusal of a statement that does not answer with the columns that were announced.
pub(super) fn changed() -> Error {
    let message = "the columns of the answer have changed since the statement was prepared";
    Error::new(ErrorKind::SchemaDrift, code::SCHEMA_DRIFT, message)
        .with_hint("Prepare the statement again; its tables have changed.")
}

fn unbound(wanted: usize) -> Error {
    let message = format!("the statement has {wanted} parameters and none is bound");
    Error::new(ErrorKind::InvalidInput, code::PLAN, message)
        .with_hint("Bind a value to every parameter before running the statement.")
}

fn endpoint(ticket: Any) -> FlightEndpoint {
    FlightEndpoint::new().with_ticket(Ticket::new(ticket.encode_to_vec()))
}

fn announce(schema: &SchemaRef, endpoint: FlightEndpoint, rows: i64) -> Result<FlightInfo, Error> {
    Ok(FlightInfo {
        schema: ipc_schema(schema)?,
        ..FlightInfo::new()
    }
    .with_endpoint(endpoint)
    .with_total_records(rows))
}

fn no_such_ticket() -> Error {
    Error::new(
        ErrorKind::NotFound,
        code::NOT_FOUND,
        "no such ticket in this session",
    )
    .with_hint("Run the statement again; a result can be fetched for a while only.")
}

fn unknown(command: &Command) -> Error {
    let name = command.type_url().rsplit('.').next().unwrap_or_default();
    let name: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(60)
        .collect();
    unsupported(&format!("`{name}` is not served"))
}

fn too_long(limit: usize) -> Error {
    let message = format!("the statement is longer than {limit} bytes");
    Error::new(ErrorKind::InvalidInput, code::TOO_COMPLEX, message)
        .with_hint("Bind long lists of values as parameters, or split the statement.")
}

fn result_too_large(limit: usize) -> Error {
    let message = format!("the command returned more than {limit} bytes");
    Error::new(ErrorKind::ResourceExhausted, code::RESOURCES, message)
}
