//! Prepared statements, by handles that say all there is to say of them.
//!
//! A handle is sealed for the person who had the statement prepared. It holds the text, the names that it was
//! prepared under, what its columns are, and the values that are bound to it: it is good in every session of
//! that person with the same names. What a session keeps of a statement only spares preparing it anew. Values
//! that are too large to travel are kept as well, and binding them again is up to the client once they are gone.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema};
use bytes::Bytes;
use prost::Message;
use weft_governance::{Error, ErrorKind, code};
use weft_wire::token::sha256;

use super::desk::{Desk, changed};
use crate::backend::Backend;
use crate::rows;
use crate::schema;
use crate::session::{Handle, Session, Statement};

/// Bytes of values that travel in a handle, which comes back with every call.
const TRAVELLING: usize = 256 << 10;

/// What a handle says.
#[derive(Clone, PartialEq, Message)]
struct Said {
    /// Names the statement where it is kept at hand.
    #[prost(bytes = "vec", tag = "1")]
    id: Vec<u8>,
    #[prost(string, tag = "2")]
    sql: String,
    /// The options of the session that it was prepared in: what short names stand for.
    #[prost(btree_map = "string, string", tag = "3")]
    names: BTreeMap<String, String>,
    /// The digest of the columns that were announced.
    #[prost(bytes = "vec", tag = "4")]
    columns: Vec<u8>,
    /// The rows that are bound, unless they are kept.
    #[prost(bytes = "bytes", tag = "5")]
    values: Bytes,
    /// Where the rows that are bound are kept.
    #[prost(uint64, optional, tag = "6")]
    kept: Option<u64>,
}

/// A prepared statement as a client named it.
pub(super) struct Named<B: Backend> {
    pub(super) statement: Arc<Statement<B>>,
    said: Said,
}

impl<B: Backend> Named<B> {
    /// The rows that are bound to it, written out, if any are.
    ///
    /// # Errors
    /// `NotFound` if they are no longer kept.
    pub(super) fn values(&self) -> Result<Option<Bytes>, Error> {
        if !self.said.values.is_empty() {
            return Ok(Some(self.said.values.clone()));
        }
        let bound = self.statement.bound.lock();
        let bound = bound.unwrap_or_else(PoisonError::into_inner).clone();
        let there = bound.filter(|kept| self.said.kept.is_none_or(|id| id == kept.id()));
        match there {
            Some(kept) => kept.get(Instant::now()).ok_or_else(gone).map(Some),
            None if self.said.kept.is_some() => Err(gone()),
            None => Ok(None),
        }
    }
}

impl<B: Backend> Desk<B> {
    /// Prepares a statement, and keeps it at hand.
    pub(super) async fn name(&self, session: &Session<B>, sql: &str) -> Result<Named<B>, Error> {
        let names = self.names(session);
        let statement = Arc::new(self.prepare(session, sql).await?);
        let id = Handle::generate()?;
        self.keep_at_hand(session, id, &statement);
        let said = Said {
            id: id.as_bytes().to_vec(),
            sql: sql.to_owned(),
            names,
            columns: digest(&statement.schema),
            values: Bytes::new(),
            kept: None,
        };
        Ok(Named { statement, said })
    }

    /// The handle of a statement.
    pub(super) fn handle(&self, session: &Session<B>, named: &Named<B>) -> Result<Bytes, Error> {
        let said = named.said.encode_to_vec();
        let sealed = self.seal().close_statement(&session.whose(), said)?;
        Ok(sealed.into())
    }

    /// The prepared statement that a client names; prepared anew if it is not at hand.
    pub(super) async fn named(
        &self,
        session: &Session<B>,
        handle: &[u8],
    ) -> Result<Named<B>, Error> {
        let (id, said) = self.opened(session, handle).ok_or_else(unknown)?;
        let now = Instant::now();
        let at_hand = session.statements().get(&id, now);
        if let Some(statement) = at_hand.and_then(|kept| kept.get(now)) {
            return Ok(Named { statement, said });
        }
        if self.names(session) != said.names {
            return Err(otherwise());
        }
        let statement = Arc::new(self.prepare(session, &said.sql).await?);
        if digest(&statement.schema) != said.columns {
            return Err(changed());
        }
        self.keep_at_hand(session, id, &statement);
        Ok(Named { statement, said })
    }

    /// `named` with `values` bound to it, from now on also for whoever goes on with the handle of before.
    pub(super) fn bound(
        &self,
        session: &Session<B>,
        named: Named<B>,
        values: Option<RecordBatch>,
    ) -> Result<Named<B>, Error> {
        let values = match values {
            Some(rows) => Bytes::from(rows::to_bytes(&rows)?),
            None => Bytes::new(),
        };
        let kept = match values.is_empty() {
            true => None,
            false => Some(Arc::new(self.keep(session, values.clone(), values.len()))),
        };
        let Named { statement, said } = named;
        let travels = values.len() <= TRAVELLING;
        let said = Said {
            kept: kept.as_ref().filter(|_| !travels).map(|kept| kept.id()),
            values: if travels { values } else { Bytes::new() },
            ..said
        };
        *statement
            .bound
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = kept;
        Ok(Named { statement, said })
    }

    /// Keeps nothing of a statement any longer.
    pub(super) fn forget(&self, session: &Session<B>, handle: &[u8]) {
        if let Some((id, _)) = self.opened(session, handle) {
            session.statements().remove(&id);
        }
    }

    fn keep_at_hand(&self, session: &Session<B>, id: Handle, statement: &Arc<Statement<B>>) {
        let kept = self.keep(session, Arc::clone(statement), statement.weight);
        session
            .statements()
            .insert(id, Arc::new(kept), Instant::now());
    }

    fn opened(&self, session: &Session<B>, handle: &[u8]) -> Option<(Handle, Said)> {
        let said = self.seal().open_statement(&session.whose(), handle)?;
        let said = Said::decode(Bytes::from(said)).ok()?;
        Some((Handle::read(&said.id)?, said))
    }

    fn names(&self, session: &Session<B>) -> BTreeMap<String, String> {
        let options = self.backend().session_options(session.inner());
        options.into_iter().collect()
    }
}

/// Of the columns by their names and types, whatever is told of them beside.
fn digest(columns: &Schema) -> Vec<u8> {
    let fields = columns.fields().iter().map(|field| {
        let data_type = field.data_type().clone();
        Field::new(field.name(), data_type, field.is_nullable())
    });
    let plain = Schema::new(fields.collect::<Vec<_>>());
    sha256(&schema::to_bytes(&plain)).to_vec()
}

fn unknown() -> Error {
    again("no such prepared statement")
}

fn otherwise() -> Error {
    again("the statement was prepared with another catalog or schema in use")
}

fn again(message: &str) -> Error {
    Error::new(ErrorKind::NotFound, code::NOT_FOUND, message)
        .with_hint("Prepare the statement again.")
}

fn gone() -> Error {
    let message = "the values that were bound are no longer kept";
    Error::new(ErrorKind::NotFound, code::NOT_FOUND, message).with_hint("Bind them again.")
}
