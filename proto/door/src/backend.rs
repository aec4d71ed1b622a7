//! What a server puts behind its door.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_flight::FlightData;
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataMap;
pub use weft_governance::contract::Remark;
use weft_governance::{Error, ErrorKind, code};
use weft_wire::identity::Peer;
use zeroize::Zeroizing;

/// What someone presents to be let in.
pub enum Credentials {
    /// A name and its password.
    Password {
        /// Who signs in.
        user: String,
        /// The password as it was typed.
        password: Zeroizing<String>,
    },
    /// A signed token, such as one that the authority issued for this server.
    Token(Zeroizing<String>),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password { user, password: _ } => f
                .debug_struct("Password")
                .field("user", user)
                .finish_non_exhaustive(),
            Self::Token(_) => f.debug_struct("Token").finish_non_exhaustive(),
        }
    }
}

/// A session as the backend opened it.
#[derive(Debug)]
pub struct Opened<S> {
    /// The backend's own state of the session.
    pub session: S,
    /// When the session ends by itself.
    pub expires_at: SystemTime,
}

/// What running a statement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatementKind {
    /// Reads: run when the result is fetched, and again when it is fetched again.
    Query,
    /// Changes something: run once, when it is asked for; its result is kept for the fetch.
    Command,
}

/// A statement that parsed and fits the tables it names.
#[derive(Debug)]
pub struct Prepared<S> {
    /// The backend's own form of it.
    pub statement: S,
    /// Columns of the result; none for a command that returns nothing. They may say where they come
    /// from ([`with_origins`](crate::with_origins)). The door announces their wire form
    /// ([`wire_schema`](crate::wire_schema)).
    pub schema: SchemaRef,
    /// One field per parameter, in order, called `$1`, `$2`, …
    pub parameters: SchemaRef,
    /// What running it does.
    pub kind: StatementKind,
}

/// Rows on their way. Dropping it cancels the work behind it, everywhere.
pub struct ResultStream {
    /// Columns of all batches.
    pub schema: SchemaRef,
    /// The rows; an error ends them.
    pub batches: BoxStream<'static, Result<RecordBatch, Error>>,
}

impl fmt::Debug for ResultStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResultStream")
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}

/// Where a client may fetch the rows of a result by itself, instead of here.
#[derive(Debug)]
pub struct Elsewhere {
    /// The other server, as Flight names places: `grpc+tls://HOST:PORT`.
    pub location: String,
    /// What the other server takes for the rows.
    pub ticket: Bytes,
    /// When it no longer does.
    pub expires_at: SystemTime,
}

/// The client for whom a result is set aside at another server.
#[derive(Debug)]
pub struct Recipient<'a> {
    /// The schema that the client was told, in wire form.
    pub announced: &'a SchemaRef,
    /// SHA-256 of the bearer that the client presents.
    pub bearer: [u8; 32],
    /// Is cancelled when the client has the result cancelled, or its session is over.
    pub cancelled: &'a CancellationToken,
}

/// Whose table it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TableKind {
    /// One of the server's own.
    SystemTable,
    /// One of a data product.
    Table,
}

impl TableKind {
    /// Every kind, in the order of their names.
    pub const ALL: [Self; 2] = [Self::SystemTable, Self::Table];

    /// The name that clients filter by.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SystemTable => "SYSTEM TABLE",
            Self::Table => "TABLE",
        }
    }
}

/// A table that a session may know of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableEntry {
    /// First part of its name: the domain.
    pub catalog: String,
    /// Second part: the product.
    pub schema: String,
    /// Last part.
    pub table: String,
    /// Whose it is.
    pub kind: TableKind,
    /// Its columns, without those that the session may not know of.
    pub columns: SchemaRef,
    /// What is told of each column: as many as there are columns, or none.
    pub remarks: Vec<Remark>,
    /// The columns of its primary key, in order; none if it is not told.
    pub key: Vec<String>,
    /// Which of its columns refer to those of another table.
    pub foreign_keys: Vec<ForeignKey>,
    /// What it holds, in the owner's words.
    pub description: Option<String>,
}

/// Columns that refer to those of another table, which is listed too, as its columns are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// The columns that refer, in order.
    pub columns: Vec<String>,
    /// The catalog of the table that is referred to.
    pub catalog: String,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub table: String,
    /// Its columns, as many as `columns`.
    pub to: Vec<String>,
}

/// A call of `DoExchange`, as fragments use it.
pub struct Exchange {
    /// The server at the other end, if it proved itself by a certificate.
    pub peer: Option<Peer>,
    /// The call's metadata.
    pub metadata: MetadataMap,
    /// The first message, which carries the descriptor.
    pub first: FlightData,
    /// All further messages.
    pub rest: BoxStream<'static, Result<FlightData, Error>>,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

/// The server behind a [`Door`](crate::Door).
///
/// The door cancels a call by dropping its future or stream; every method must be safe to drop.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// What the backend keeps per session.
    type Session: Send + Sync + 'static;
    /// A statement that was prepared.
    type Statement: Send + Sync + 'static;

    /// Opens a session.
    ///
    /// # Errors
    /// `Unauthenticated` if the credentials are not valid.
    async fn sign_in(&self, credentials: Credentials) -> Result<Opened<Self::Session>, Error>;

    /// Whether a session may go on; asked at every call. One that may not is closed.
    ///
    /// # Errors
    /// `Unauthenticated` if it may not.
    fn check(&self, session: &Self::Session) -> Result<(), Error> {
        let _ = session;
        Ok(())
    }

    /// A fresh session of the same person beside `session`, which stays; it lives no longer.
    fn beside(&self, session: &Arc<Self::Session>) -> Self::Session;

    /// Ends a session that was closed, expired or displaced.
    async fn sign_out(&self, session: Arc<Self::Session>);

    /// Parses and plans one statement; `?` stands for the next parameter.
    ///
    /// # Errors
    /// If the statement cannot be parsed, does not fit the tables, or may not be run.
    async fn prepare(
        &self,
        session: &Arc<Self::Session>,
        sql: &str,
    ) -> Result<Prepared<Self::Statement>, Error>;

    /// The columns of the result with these `parameters`, as [`run`](Self::run) takes them; nothing
    /// if they are those that were prepared.
    ///
    /// # Errors
    /// If the values do not fit the statement.
    async fn columns(
        &self,
        session: &Arc<Self::Session>,
        statement: &Arc<Self::Statement>,
        parameters: &RecordBatch,
    ) -> Result<Option<SchemaRef>, Error> {
        let _ = (session, statement, parameters);
        Ok(None)
    }

    /// Starts a statement. `parameters` has one row and the columns that [`Prepared::parameters`]
    /// names, of the types that the client sent; it is `None` if there are none.
    ///
    /// # Errors
    /// If the statement cannot be started.
    async fn run(
        &self,
        session: &Arc<Self::Session>,
        statement: Arc<Self::Statement>,
        parameters: Option<RecordBatch>,
    ) -> Result<ResultStream, Error>;

    /// Whether results of the session are fetched where they are made, if they can be.
    fn fetches_elsewhere(&self, session: &Self::Session) -> bool {
        let _ = session;
        false
    }

    /// Where `recipient` may fetch the rows of a statement, with the parameters of [`run`](Self::run);
    /// nothing if only here. Whether they are fetched there or here is up to the client.
    ///
    /// # Errors
    /// If the statement may not be run.
    async fn elsewhere(
        &self,
        session: &Arc<Self::Session>,
        statement: &Arc<Self::Statement>,
        parameters: Option<RecordBatch>,
        recipient: Recipient<'_>,
    ) -> Result<Option<Elsewhere>, Error> {
        let _ = (session, statement, parameters, recipient);
        Ok(None)
    }

    /// The rows that this server gave `ticket` for, as [`Elsewhere::ticket`], to whoever
    /// presents `bearer`; nothing if there is no such ticket.
    ///
    /// # Errors
    /// If the rows may not be read, or cannot be.
    async fn redeem(&self, ticket: &[u8], bearer: [u8; 32]) -> Result<Option<ResultStream>, Error> {
        let _ = (ticket, bearer);
        Ok(None)
    }

    /// Every table that the session may know of, from what is at hand: no other server is asked.
    ///
    /// # Errors
    /// If there is nothing at hand.
    async fn tables(&self, session: &Arc<Self::Session>) -> Result<Vec<TableEntry>, Error>;

    /// The session's options, such as `catalog` and `schema`, by name.
    fn session_options(&self, session: &Self::Session) -> Vec<(String, String)>;

    /// Sets an option of the session; an empty value sets it back.
    ///
    /// # Errors
    /// `Unsupported` if there is no such option; any other kind if the value does not fit.
    async fn set_session_option(
        &self,
        session: &Arc<Self::Session>,
        name: &str,
        value: &str,
    ) -> Result<(), Error>;

    /// Whose session it is; no two people have the same. Sessions of one owner beyond a limit
    /// displace that owner's oldest, and a ticket may be redeemed in another session of its owner.
    fn owner(&self, session: &Self::Session) -> Option<String> {
        let _ = session;
        None
    }

    /// Serves a `DoExchange`. The backend decides from the peer and the metadata who calls.
    ///
    /// # Errors
    /// `Unsupported` unless the backend serves exchanges.
    async fn exchange(
        &self,
        call: Exchange,
    ) -> Result<BoxStream<'static, Result<FlightData, Error>>, Error> {
        let _ = call;
        Err(Error::new(
            ErrorKind::Unsupported,
            code::UNSUPPORTED,
            "this server does not serve exchanges",
        ))
    }
}
