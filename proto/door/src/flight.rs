//! The Flight service: every call authenticated, traced and answered by the desk.
//!
//! It serves `FlightService` itself and dispatches on Flight SQL's commands, because the generic
//! Flight SQL service answers `GetSchema`, `PollFlightInfo` and session actions with
//! `UNIMPLEMENTED` and leaves no way in between.

mod action;
mod catalog;
mod desk;
mod info;
mod keys;
mod message;
mod outflow;
mod parameters;
mod pattern;
mod put;
mod types;

use std::sync::Arc;
use std::time::SystemTime;

use arrow_flight::flight_service_server::FlightService;
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo,
    HandshakeRequest, HandshakeResponse, PollInfo, PutResult, SchemaResult, Ticket,
};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};
use tracing::{Instrument, Span, field, info_span};
use weft_governance::{Error, ErrorKind, code};
use weft_wire::identity::peer_of;
use weft_wire::status::{from_status, to_status};

pub(crate) use desk::Desk;

use crate::backend::{Backend, Exchange};
use crate::session::{Presented, Session, sign_in_first};

/// A stream of answers.
type Replies<T> = BoxStream<'static, Result<T, Status>>;

/// The Flight service in front of a desk.
#[derive(Debug)]
pub(crate) struct Flight<B: Backend>(Arc<Desk<B>>);

impl<B: Backend> Flight<B> {
    pub(crate) fn new(desk: Arc<Desk<B>>) -> Self {
        Self(desk)
    }

    async fn session(&self, metadata: &MetadataMap) -> Result<Arc<Session<B>>, Error> {
        let presented = Presented::read(metadata)?;
        let session = self
            .0
            .sessions()
            .authenticate(presented, SystemTime::now())
            .await?;
        Span::current().record("session", field::debug(session.id()));
        Ok(session)
    }

    async fn shake_hands(
        &self,
        metadata: &MetadataMap,
    ) -> Result<Response<Replies<HandshakeResponse>>, Error> {
        let presented = Presented::read(metadata)?;
        let (session, bearer) = self
            .0
            .sessions()
            .sign_in(presented, SystemTime::now())
            .await?;
        Span::current().record("session", field::debug(session.id()));
        let reply = HandshakeResponse {
            protocol_version: 0,
            payload: bearer.clone().into(),
        };
        let mut response = Response::new(stream::iter([Ok(reply)]).boxed());
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
        let (metadata, _, _messages) = request.into_parts();
        traced("Handshake", self.shake_hands(&metadata)).await
    }

    async fn list_flights(
        &self,
        request: Request<Criteria>,
    ) -> Result<Response<Self::ListFlightsStream>, Status> {
        traced("ListFlights", async {
            self.session(request.metadata()).await?;
            Err(unsupported("flights are not listed").with_hint("Ask for the tables instead."))
        })
        .await
    }

    async fn get_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        traced("GetFlightInfo", async {
            let session = self.session(request.metadata()).await?;
            self.0
                .flight_info(&session, request.into_inner())
                .await
                .map(Response::new)
        })
        .await
    }

    async fn poll_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<PollInfo>, Status> {
        traced("PollFlightInfo", async {
            let session = self.session(request.metadata()).await?;
            let info = self.0.flight_info(&session, request.into_inner()).await?;
            // No descriptor to poll with: the one endpoint is all there will be.
            Ok(Response::new(PollInfo {
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
        traced("GetSchema", async {
            let session = self.session(request.metadata()).await?;
            self.0
                .schema(&session, request.into_inner())
                .await
                .map(Response::new)
        })
        .await
    }

    async fn do_get(
        &self,
        request: Request<Ticket>,
    ) -> Result<Response<Self::DoGetStream>, Status> {
        traced("DoGet", async {
            let session = self.session(request.metadata()).await?;
            let deadline = outflow::deadline(request.metadata());
            let outflow = self
                .0
                .fetch(&session, request.into_inner(), deadline)
                .await?;
            Ok(Response::new(outflow.boxed()))
        })
        .await
    }

    async fn do_put(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoPutStream>, Status> {
        traced("DoPut", async {
            let session = self.session(request.metadata()).await?;
            let reply = self.0.put(&session, request.into_inner()).await?;
            Ok(Response::new(stream::iter([Ok(reply)]).boxed()))
        })
        .await
    }

    async fn do_exchange(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        traced("DoExchange", self.exchange(request)).await
    }

    async fn do_action(
        &self,
        request: Request<Action>,
    ) -> Result<Response<Self::DoActionStream>, Status> {
        traced("DoAction", async {
            let session = self.session(request.metadata()).await?;
            let reply = self.0.act(&session, request.into_inner()).await?;
            Ok(Response::new(stream::iter(reply.map(Ok)).boxed()))
        })
        .await
    }

    async fn list_actions(
        &self,
        request: Request<Empty>,
    ) -> Result<Response<Self::ListActionsStream>, Status> {
        traced("ListActions", async {
            self.session(request.metadata()).await?;
            Ok(Response::new(stream::iter(action::list().map(Ok)).boxed()))
        })
        .await
    }
}

/// Runs a call in a span of its own and turns its error into a status.
async fn traced<T>(
    rpc: &'static str,
    call: impl Future<Output = Result<Response<T>, Error>>,
) -> Result<Response<T>, Status> {
    let span = info_span!("call", rpc, session = field::Empty, code = field::Empty);
    async { call.await.map_err(|error| refuse(&error)) }
        .instrument(span)
        .await
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
