//! The Flight service: every call authenticated, traced and answered by the desk.
//!
//! It serves `FlightService` itself and dispatches on Flight SQL's commands, because the generic
//! Flight SQL service answers `GetSchema`, `PollFlightInfo` and session actions with
//! `UNIMPLEMENTED` and leaves no way in between.

mod action;
mod catalog;
mod desk;
mod entry;
mod info;
mod keys;
mod message;
mod outflow;
mod parameters;
mod pattern;
mod prepared;
#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
mod put;
mod reader;
mod types;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arrow_flight::flight_service_server::FlightService;
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo,
    HandshakeRequest, HandshakeResponse, PollInfo, PutResult, SchemaResult, Ticket,
};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use tokio::time::Instant;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};
use tracing::{Instrument, Span, field, info_span};
use weft_governance::{Error, ErrorKind, code};
use weft_wire::identity::peer_of;
use weft_wire::status::{from_status, to_status};
use weft_wire::token::sha256;
use zeroize::Zeroizing;

pub(crate) use desk::Desk;

use crate::backend::{Backend, Exchange};
use crate::session::{Place, Presented, sign_in_first};
use entry::{Caller, Entered, Roaming, asks_for_direct, asks_to_share, cookie};
use outflow::Outflow;
use reader::Reader;

/// Messages that a client may send after it was answered; they are not looked at.
const UNHEARD_MESSAGES: usize = 16;

/// A stream of answers.
type Replies<T> = BoxStream<'static, Result<T, Status>>;

/// The Flight service in front of a desk.
#[derive(Debug)]
pub(crate) struct Flight<B: Backend>(Arc<Desk<B>>);

impl<B: Backend> Flight<B> {
    pub(crate) fn new(desk: Arc<Desk<B>>) -> Self {
        Self(desk)
    }

    async fn enter(&self, caller: Caller<'_>) -> Result<Entered<B>, Error> {
        let Caller { metadata, from } = caller;
        let presented = Presented::read(metadata)?;
        let bearer = presented
            .bearer()
            .map(|text| Zeroizing::new(text.to_owned()));
        let sessions = self.0.sessions();
        let session = sessions
            .authenticate(presented, cookie(metadata), from, SystemTime::now())
            .await?;
        Span::current().record("session", field::debug(session.id()));
        let offer = sessions.offer(&session)?;
        let roams =
            || asks_for_direct(metadata) || self.0.backend().fetches_elsewhere(session.inner());
        let roaming = match (bearer, from) {
            // What others sign in with too is not to be shown to other servers.
            (Some(bearer), Some(from)) if !session.is_shared() && roams() => {
                let own = sessions.is_named(&session, &bearer);
                let bearer = sha256(bearer.as_bytes());
                own.then_some(Roaming { bearer, from })
            }
            _ => None,
        };
        Ok(Entered {
            session,
            offer,
            roaming,
        })
    }

    /// The rows behind a ticket that this server gave for a result that another one announced.
    async fn redeem(
        &self,
        metadata: &MetadataMap,
        ticket: &Ticket,
        reader: Reader,
    ) -> Result<Option<Outflow>, Error> {
        let Some(part) = desk::part_of_another(ticket) else {
            return Ok(None);
        };
        let presented = Presented::read(metadata)?;
        match presented.bearer() {
            Some(bearer) => {
                let bearer = sha256(bearer.as_bytes());
                self.0.redeem(&part, bearer, reader).await
            }
            None => Ok(None),
        }
    }

    async fn shake_hands(
        &self,
        caller: Caller<'_>,
        messages: Streaming<HandshakeRequest>,
    ) -> Result<Response<Replies<HandshakeResponse>>, Error> {
        let Caller { metadata, from } = caller;
        let presented = Presented::read(metadata)?;
        let place = match asks_to_share(metadata) {
            true => Place::Shared,
            false => Place::Own,
        };
        let (session, bearer) = self
            .0
            .sessions()
            .sign_in(presented, place, from, SystemTime::now())
            .await?;
        Span::current().record("session", field::debug(session.id()));
        let reply = HandshakeResponse {
            protocol_version: 0,
            payload: bearer.clone().into(),
        };
        let replies = once_then_listen(reply, messages, self.0.limits().handshake);
        let mut response = Response::new(replies);
        let header = format!("Bearer {bearer}")
            .parse()
            .map_err(|_| sign_in_first())?;
        response.metadata_mut().insert("authorization", header);
        Ok(response)
    }

    async fn exchange(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Replies<FlightData>>, Error> {
        let peer = peer_of(&request);
        if peer.is_none() && !request.metadata().contains_key("authorization") {
            return Err(sign_in_first());
        }
        let (metadata, _, mut frames) = request.into_parts();
        let first = put::first_message(&mut frames, self.0.limits().handshake).await?;
        let rest = frames.map_err(|status| from_status(&status)).boxed();
        let call = Exchange {
            peer,
            metadata,
            first,
            rest,
        };
        let replies = self.0.backend().exchange(call).await?;
        let span = Span::current();
        let replies = replies.map_err(move |error| span.in_scope(|| refuse(&error)));
        Ok(Response::new(replies.boxed()))
    }
}

#[tonic::async_trait]
impl<B: Backend> FlightService for Flight<B> {
    type HandshakeStream = Replies<HandshakeResponse>;
    type ListFlightsStream = Replies<FlightInfo>;
    type DoGetStream = Replies<FlightData>;
    type DoPutStream = Replies<PutResult>;
    type DoExchangeStream = Replies<FlightData>;
    type DoActionStream = Replies<arrow_flight::Result>;
    type ListActionsStream = Replies<ActionType>;

    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        // The credentials are in the metadata; the messages of old clients hold nothing more.
        let from = Caller::of(&request).from;
        let (metadata, _, messages) = request.into_parts();
        let deadline = outflow::deadline(&metadata);
        let caller = Caller {
            metadata: &metadata,
            from,
        };
        traced("Handshake", deadline, self.shake_hands(caller, messages)).await
    }

    async fn list_flights(
        &self,
        request: Request<Criteria>,
    ) -> Result<Response<Self::ListFlightsStream>, Status> {
        traced("ListFlights", None, async {
            self.enter(Caller::of(&request)).await?;
            Err(unsupported("flights are not listed").with_hint("Ask for the tables instead."))
        })
        .await
    }

    async fn get_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let deadline = outflow::deadline(request.metadata());
        traced("GetFlightInfo", deadline, async {
            let entered = self.enter(Caller::of(&request)).await?;
            let info = self
                .0
                .flight_info(&entered.session, request.into_inner(), entered.roaming)
                .await?;
            Ok(entered.answer(info))
        })
        .await
    }

    /// Announces a result like `GetFlightInfo`, complete at once, however long its statement takes.
    ///
    /// A query runs while its rows are fetched and no faster than they are read: one that nobody fetches
    /// costs nothing, and no result is held for a reader who may not come. The one endpoint is therefore
    /// all there will be, and good from the start. A client that was told to ask again would wait for what
    /// does not happen before it fetches, and progress that is told meanwhile would be made up. How far a
    /// query is while its rows are read is in `system.runtime.queries`. What does run before it is
    /// announced are commands, which are short.
    async fn poll_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<PollInfo>, Status> {
        let deadline = outflow::deadline(request.metadata());
        traced("PollFlightInfo", deadline, async {
            let entered = self.enter(Caller::of(&request)).await?;
            let info = self
                .0
                .flight_info(&entered.session, request.into_inner(), entered.roaming)
                .await?;
            Ok(entered.answer(PollInfo {
                expiration_time: info.endpoint.iter().find_map(|it| it.expiration_time),
                info: Some(info),
                progress: Some(1.0),
                ..PollInfo::new()
            }))
        })
        .await
    }

    async fn get_schema(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<SchemaResult>, Status> {
        let deadline = outflow::deadline(request.metadata());
        traced("GetSchema", deadline, async {
            let entered = self.enter(Caller::of(&request)).await?;
            let schema = self
                .0
                .schema(&entered.session, request.into_inner())
                .await?;
            Ok(entered.answer(schema))
        })
        .await
    }

    async fn do_get(
        &self,
        request: Request<Ticket>,
    ) -> Result<Response<Self::DoGetStream>, Status> {
        let deadline = outflow::deadline(request.metadata());
        traced("DoGet", deadline, async {
            let reader = Reader::read(request.metadata(), deadline)?;
            let redeemed = self.redeem(request.metadata(), request.get_ref(), reader);
            if let Some(outflow) = redeemed.await? {
                return Ok(Response::new(outflow.boxed()));
            }
            let entered = self.enter(Caller::of(&request)).await?;
            let outflow = self
                .0
                .fetch(&entered.session, request.into_inner(), reader)
                .await?;
            Ok(entered.answer(outflow.boxed()))
        })
        .await
    }

    async fn do_put(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoPutStream>, Status> {
        let deadline = outflow::deadline(request.metadata());
        traced("DoPut", deadline, async {
            let entered = self.enter(Caller::of(&request)).await?;
            let mut messages = request.into_inner();
            let reply = self.0.put(&entered.session, &mut messages).await?;
            let patience = self.0.limits().handshake;
            Ok(entered.answer(once_then_listen(reply, messages, patience)))
        })
        .await
    }

    async fn do_exchange(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        traced("DoExchange", None, self.exchange(request)).await
    }

    async fn do_action(
        &self,
        request: Request<Action>,
    ) -> Result<Response<Self::DoActionStream>, Status> {
        let deadline = outflow::deadline(request.metadata());
        traced("DoAction", deadline, async {
            let entered = self.enter(Caller::of(&request)).await?;
            let reply = self.0.act(&entered.session, request.into_inner()).await?;
            Ok(entered.answer(stream::iter(reply.map(Ok)).boxed()))
        })
        .await
    }

    async fn list_actions(
        &self,
        request: Request<Empty>,
    ) -> Result<Response<Self::ListActionsStream>, Status> {
        traced("ListActions", None, async {
            let entered = self.enter(Caller::of(&request)).await?;
            Ok(entered.answer(stream::iter(action::list().map(Ok)).boxed()))
        })
        .await
    }
}

/// Runs a call in a span of its own, until the client gives up, and turns its error into a status.
async fn traced<T>(
    rpc: &'static str,
    deadline: Option<Instant>,
    call: impl Future<Output = Result<Response<T>, Error>>,
) -> Result<Response<T>, Status> {
    let span = info_span!("call", rpc, session = field::Empty, code = field::Empty);
    let in_time = async {
        match deadline {
            Some(deadline) => tokio::time::timeout_at(deadline, call)
                .await
                .unwrap_or_else(|_| Err(outflow::too_late())),
            None => call.await,
        }
    };
    async { in_time.await.map_err(|error| refuse(&error)) }
        .instrument(span)
        .await
}

/// One reply, and an end when the client has ended its side or `patience` is over: there are clients
/// that wait forever if a call ends while they still speak.
fn once_then_listen<T: Send + 'static, M: Send + 'static>(
    reply: T,
    mut messages: Streaming<M>,
    patience: Duration,
) -> Replies<T> {
    let listen = async move {
        let listened = async {
            for _ in 0..UNHEARD_MESSAGES {
                if !matches!(messages.message().await, Ok(Some(_))) {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(patience, listened).await;
    };
    let nothing = stream::once(listen).filter_map(|()| std::future::ready(None));
    stream::iter([Ok(reply)]).chain(nothing).boxed()
}

/// Notes in the current span why a call fails. Neither message nor cause is logged here: they may
/// name what only the asker may know.
fn refuse(error: &Error) -> Status {
    Span::current().record("code", error.code());
    match error.kind() {
        ErrorKind::Internal => tracing::error!(code = error.code(), "call failed"),
        _ => tracing::debug!(code = error.code(), "call refused"),
    }
    to_status(error)
}

fn unsupported(message: &str) -> Error {
    Error::new(ErrorKind::Unsupported, code::UNSUPPORTED, message)
}

/// For a message that no client of Flight SQL would send.
fn malformed(message: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, code::PROTOCOL, message)
}

#[cfg(test)]
mod tests;
