//! `DoPut`: parameters for prepared statements, and statements that return no rows.

use std::time::Duration;

use arrow_flight::sql::{Command, DoPutPreparedStatementResult, DoPutUpdateResult};
use arrow_flight::{FlightData, PutResult};
use bytes::Bytes;
use prost::Message;
use tonic::Streaming;
use weft_governance::{Error, ErrorKind, code};
use weft_wire::status::from_status;

use super::desk::{Desk, outside_transactions, read_command};
use super::parameters::Binding;
use super::prepared::Named;
use super::{malformed, unsupported};
use crate::backend::{Backend, StatementKind};
use crate::session::{Session, Statement};

impl<B: Backend> Desk<B> {
    /// Answers a `DoPut`. Statements are answered at the first message: there are clients that wait
    /// for the answer before they end their stream.
    pub(super) async fn put(
        &self,
        session: &Session<B>,
        messages: &mut Streaming<FlightData>,
    ) -> Result<PutResult, Error> {
        let first = first_message(messages, self.limits().handshake).await?;
        let descriptor = first.flight_descriptor.as_ref();
        let descriptor = descriptor.ok_or_else(|| malformed("the stream has no descriptor"))?;
        match read_command(&descriptor.cmd)? {
            Command::CommandStatementUpdate(update) => {
                outside_transactions(update.transaction_id.as_ref())?;
                let statement = self.prepare(session, &update.query).await?;
                self.update(session, &statement, None).await
            }
            Command::CommandPreparedStatementUpdate(update) => {
                let handle = &update.prepared_statement_handle;
                let mut named = self.named(session, handle).await?;
                let has_parameters = !named.statement.parameters.fields().is_empty();
                if !first.data_header.is_empty() && has_parameters {
                    named = self.bind(session, named, first, messages).await?;
                }
                self.update(session, &named.statement, named.values()?)
                    .await
            }
            Command::CommandPreparedStatementQuery(query) => {
                let named = self
                    .named(session, &query.prepared_statement_handle)
                    .await?;
                let named = self.bind(session, named, first, messages).await?;
                let result = DoPutPreparedStatementResult {
                    prepared_statement_handle: Some(self.handle(session, &named)?),
                };
                Ok(reply(&result))
            }
            _ => Err(unsupported("data cannot be written here")
                .with_hint("Change data at its source; its owner publishes it as a data product.")),
        }
    }

    async fn update(
        &self,
        session: &Session<B>,
        statement: &Statement<B>,
        values: Option<Bytes>,
    ) -> Result<PutResult, Error> {
        if statement.kind == StatementKind::Query {
            let message = "the statement returns rows and cannot be run as an update";
            return Err(Error::new(ErrorKind::InvalidInput, code::PLAN, message)
                .with_hint("Execute it as a query."));
        }
        self.run_command(session, statement, values.as_deref())
            .await?;
        Ok(reply(&DoPutUpdateResult { record_count: 0 }))
    }

    async fn bind(
        &self,
        session: &Session<B>,
        named: Named<B>,
        first: FlightData,
        messages: &mut Streaming<FlightData>,
    ) -> Result<Named<B>, Error> {
        let mut binding = Binding::new(self.limits().message);
        binding.take(first)?;
        while let Some(message) = messages.message().await.map_err(|s| from_status(&s))? {
            binding.take(message)?;
        }
        let rows = binding.finish(&named.statement.parameters)?;
        self.bound(session, named, rows)
    }
}

/// The message that says what a stream is about; it must come within `patience`.
pub(super) async fn first_message(
    messages: &mut Streaming<FlightData>,
    patience: Duration,
) -> Result<FlightData, Error> {
    let first = tokio::time::timeout(patience, messages.message())
        .await
        .map_err(|_| {
            Error::new(
                ErrorKind::DeadlineExceeded,
                code::DEADLINE,
                "the stream did not begin in time",
            )
        })?;
    first
        .map_err(|status| from_status(&status))?
        .ok_or_else(|| malformed("the stream is empty"))
}

fn reply(result: &impl Message) -> PutResult {
    PutResult {
        app_metadata: result.encode_to_vec().into(),
    }
}
