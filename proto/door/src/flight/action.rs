//! `DoAction`: prepared statements, cancelling, session options, the end of a session.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_flight::sql::{
    ActionCancelQueryRequest, ActionCancelQueryResult, ActionClosePreparedStatementRequest,
    ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult, Any,
    ProstMessageExt,
};
use arrow_flight::{
    Action, ActionType, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, FlightInfo,
    RenewFlightEndpointRequest, Result as Reply,
};
use bytes::Bytes;
use prost::Message;
use weft_governance::{Error, ErrorKind};

use super::desk::{Desk, ipc_schema, outside_transactions};
use super::message::{
    CloseSessionResult, CloseSessionStatus, GetSessionOptionsResult, OptionValue,
    SessionOptionValue, SetSessionOptionError, SetSessionOptionErrorValue,
    SetSessionOptionsRequest, SetSessionOptionsResult,
};
use super::{malformed, unsupported};
use crate::backend::{Backend, StatementKind};
use crate::session::Session;

const CREATE_PREPARED: &str = "CreatePreparedStatement";
const CLOSE_PREPARED: &str = "ClosePreparedStatement";
const CANCEL_FLIGHT: &str = "CancelFlightInfo";
const RENEW_ENDPOINT: &str = "RenewFlightEndpoint";
const CANCEL_QUERY: &str = "CancelQuery";
const SET_OPTIONS: &str = "SetSessionOptions";
const GET_OPTIONS: &str = "GetSessionOptions";
const CLOSE_SESSION: &str = "CloseSession";

/// Field 4 of a created statement, a flag: whether it is to be run as an update.
const IS_UPDATE_TAG: u8 = 4 << 3;

/// The actions that are served.
pub(super) fn list() -> impl Iterator<Item = ActionType> {
    [
        (CREATE_PREPARED, "prepares a statement"),
        (CLOSE_PREPARED, "forgets a prepared statement"),
        (CANCEL_FLIGHT, "cancels a query by its FlightInfo"),
        (RENEW_ENDPOINT, "lets a result be fetched for longer"),
        (
            CANCEL_QUERY,
            "cancels a query by its FlightInfo, in the old form",
        ),
        (SET_OPTIONS, "sets options of the session: catalog, schema"),
        (GET_OPTIONS, "tells the options of the session"),
        (CLOSE_SESSION, "ends the session"),
    ]
    .into_iter()
    .map(|(name, does)| ActionType {
        r#type: name.to_owned(),
        description: does.to_owned(),
    })
}

impl<B: Backend> Desk<B> {
    /// Does what a client asks for; at most one reply.
    pub(super) async fn act(
        &self,
        session: &Arc<Session<B>>,
        action: Action,
    ) -> Result<impl Iterator<Item = Reply> + Send + 'static + use<B>, Error> {
        let Action { r#type: name, body } = action;
        let reply = match name.as_str() {
            CREATE_PREPARED => Some(self.create_prepared(session, &unpack(&body)?).await?),
            CLOSE_PREPARED => {
                let request: ActionClosePreparedStatementRequest = unpack(&body)?;
                self.forget(session, &request.prepared_statement_handle);
                None
            }
            CANCEL_FLIGHT => {
                let request: CancelFlightInfoRequest = read(&body)?;
                self.cancel_all(session, request.info.unwrap_or_default())?;
                let status = CancelStatus::Cancelled.into();
                Some(CancelFlightInfoResult { status }.encode_to_vec())
            }
            RENEW_ENDPOINT => {
                let request: RenewFlightEndpointRequest = read(&body)?;
                let endpoint = request.endpoint.unwrap_or_default();
                Some(self.renew(session, endpoint)?.encode_to_vec())
            }
            CANCEL_QUERY => {
                let request: ActionCancelQueryRequest = unpack(&body)?;
                self.cancel_all(session, read(&request.info)?)?;
                let result = CancelStatus::Cancelled.into();
                Some(ActionCancelQueryResult { result }.as_any().encode_to_vec())
            }
            SET_OPTIONS => {
                let result = self.set_options(session, read(&body)?).await;
                Some(result.encode_to_vec())
            }
            GET_OPTIONS => Some(self.options(session).encode_to_vec()),
            CLOSE_SESSION => {
                // Others may be in a shared one; it ends with its token.
                let status = match session.is_shared() {
                    true => CloseSessionStatus::NotCloseable,
                    false => {
                        self.sessions().close(session).await;
                        CloseSessionStatus::Closed
                    }
                };
                let status = status.into();
                Some(CloseSessionResult { status }.encode_to_vec())
            }
            name => return Err(refused(name)),
        };
        Ok(reply.map(|body| Reply { body: body.into() }).into_iter())
    }

    async fn create_prepared(
        &self,
        session: &Session<B>,
        request: &ActionCreatePreparedStatementRequest,
    ) -> Result<Vec<u8>, Error> {
        outside_transactions(request.transaction_id.as_ref())?;
        let named = self.name(session, &request.query).await?;
        let statement = &named.statement;
        let is_update =
            statement.kind == StatementKind::Command && statement.schema.fields().is_empty();
        let dataset_schema = if is_update {
            Bytes::new()
        } else {
            ipc_schema(&statement.schema)?
        };
        let parameter_schema = ipc_schema(&statement.parameters)?;
        let result = ActionCreatePreparedStatementResult {
            prepared_statement_handle: self.handle(session, &named)?,
            dataset_schema,
            parameter_schema,
        };
        let mut any = result.as_any();
        any.value = [&any.value[..], &[IS_UPDATE_TAG, u8::from(is_update)]]
            .concat()
            .into();
        Ok(any.encode_to_vec())
    }

    fn cancel_all(&self, session: &Arc<Session<B>>, info: FlightInfo) -> Result<(), Error> {
        let mut tickets = info
            .endpoint
            .into_iter()
            .filter_map(|endpoint| endpoint.ticket);
        tickets.try_for_each(|ticket| self.cancel(session, &ticket))
    }

    async fn set_options(
        &self,
        session: &Session<B>,
        request: SetSessionOptionsRequest,
    ) -> SetSessionOptionsResult {
        let mut errors = std::collections::HashMap::new();
        // By name: a catalog is set before a schema in it.
        let options: BTreeMap<_, _> = request.session_options.into_iter().collect();
        for (name, value) in options {
            if let Err(reason) = self.set_option(session, &name, value).await {
                errors.insert(
                    name,
                    SetSessionOptionError {
                        value: reason.into(),
                    },
                );
            }
        }
        SetSessionOptionsResult { errors }
    }

    async fn set_option(
        &self,
        session: &Session<B>,
        name: &str,
        value: SessionOptionValue,
    ) -> Result<(), SetSessionOptionErrorValue> {
        let value = match value.option_value {
            None => String::new(),
            Some(OptionValue::String(text)) => text,
            Some(_) => return Err(SetSessionOptionErrorValue::InvalidValue),
        };
        self.backend()
            .set_session_option(session.inner(), name, &value)
            .await
            .map_err(|error| match error.kind() {
                ErrorKind::Unsupported => SetSessionOptionErrorValue::InvalidName,
                ErrorKind::Internal | ErrorKind::Unavailable => SetSessionOptionErrorValue::Error,
                _ => SetSessionOptionErrorValue::InvalidValue,
            })
    }

    fn options(&self, session: &Session<B>) -> GetSessionOptionsResult {
        let options = self.backend().session_options(session.inner());
        let session_options = options
            .into_iter()
            .map(|(name, value)| {
                (
                    name,
                    SessionOptionValue {
                        option_value: Some(OptionValue::String(value)),
                    },
                )
            })
            .collect();
        GetSessionOptionsResult { session_options }
    }
}

/// Reads a message that comes wrapped, as Flight SQL's own do.
fn unpack<M: ProstMessageExt>(body: &[u8]) -> Result<M, Error> {
    let any: Any = read(body)?;
    any.unpack()
        .ok()
        .flatten()
        .ok_or_else(|| malformed("the action's body is malformed"))
}

/// Reads a message that comes as it is, as Flight's own do.
fn read<M: Message + Default>(body: &[u8]) -> Result<M, Error> {
    M::decode(body).map_err(|_| malformed("the action's body is malformed"))
}

fn refused(name: &str) -> Error {
    match name {
        "BeginTransaction" | "EndTransaction" | "BeginSavepoint" | "EndSavepoint" => {
            unsupported("there are no transactions")
                .with_hint("Switch on autocommit in the client.")
        }
        "CreatePreparedSubstraitPlan" => {
            unsupported("Substrait plans are not served").with_hint("Send SQL text instead.")
        }
        _ => unsupported("the action is not served")
            .with_hint("ListActions tells which actions there are."),
    }
}
