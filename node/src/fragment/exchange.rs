//! A fragment's conversation: authenticate, check, admit, stream, close.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;

use arrow_flight::FlightData;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use prost::Message;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;
use tracing::info;
use weft_door::Exchange;
use weft_door::encode::Encoder;
use weft_governance::{Error, ErrorKind, FragmentId, Principal, ServerId, code};
use weft_wire::authority::TokenKeys;
use weft_wire::identity::Peer;
use weft_wire::protocol::{DELEGATION_HEADER, FRAGMENT_COMMAND};
use weft_wire::replay::ReplayCache;
use weft_wire::rpc::fragment::fragment_terminal::End;
use weft_wire::rpc::fragment::{FragmentControl, FragmentRequest};
use weft_wire::token::{Delegation, sha256};

use super::{Engine, Running, Via, terminal};
use crate::enforce::Gate;

/// Frames that may wait for a slow reader.
const FRAMES_AHEAD: usize = 4;

/// Answers fragments that coordinators send.
#[derive(Clone)]
pub struct FragmentService {
    me: ServerId,
    keys: Arc<TokenKeys>,
    replays: Arc<ReplayCache>,
    gate: Gate,
    engine: Engine,
}

impl FragmentService {
    /// A service of the node `me`.
    pub fn new(
        me: ServerId,
        keys: Arc<TokenKeys>,
        replays: Arc<ReplayCache>,
        gate: Gate,
        engine: Engine,
    ) -> Self {
        Self {
            me,
            keys,
            replays,
            gate,
            engine,
        }
    }

    /// Runs one fragment. The answer's last frame is a terminal message; an answer that ends
    /// without one failed.
    ///
    /// # Errors
    /// Whatever keeps the fragment from starting.
    pub async fn exchange(
        &self,
        call: Exchange,
    ) -> Result<BoxStream<'static, Result<FlightData, Error>>, Error> {
        let Exchange {
            peer,
            metadata,
            first,
            rest,
        } = call;
        let is_fragment = first
            .flight_descriptor
            .as_ref()
            .is_some_and(|d| d.cmd.as_ref() == FRAGMENT_COMMAND);
        if !is_fragment {
            return Err(Error::new(
                ErrorKind::Unsupported,
                code::UNSUPPORTED,
                "this exchange is not a fragment",
            ));
        }
        let peer =
            peer.ok_or_else(|| delegation("no server certificate came with the fragment"))?;
        let digest = sha256(&first.app_metadata);
        let request = FragmentRequest::decode(first.app_metadata.clone())
            .map_err(|_| delegation("the fragment is malformed"))?;
        let principal = self
            .authenticate(&peer, &metadata, &request, digest)
            .await?;
        let via = Via::Coordinator(peer.server.clone());
        let fragment = self.engine.decode(request, via, digest).await?;
        let id = fragment.id();
        let deadline = Instant::now() + fragment.timeout();
        let permit = self.gate.admit(&principal, fragment).await?;
        let running = self.engine.run(permit).await?;
        Ok(stream(&self.engine, id, running, rest, deadline))
    }

    /// Who asks, proved by a token for this node, sent by a coordinator that the token was made
    /// for and that signed for exactly this fragment, once.
    async fn authenticate(
        &self,
        peer: &Peer,
        metadata: &tonic::metadata::MetadataMap,
        request: &FragmentRequest,
        digest: [u8; 32],
    ) -> Result<Principal, Error> {
        let now = SystemTime::now();
        let token = metadata
            .get("authorization")
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "))
            .ok_or_else(unauthenticated)?;
        let user = self.keys.verify(token, Some(&peer.thumbprint), now).await?;
        let signed = metadata
            .get(DELEGATION_HEADER)
            .and_then(|value| value.to_str().ok())
            .ok_or_else(|| delegation("no delegation came with the fragment"))?;
        let expected = Delegation {
            fragment: digest,
            user_token: sha256(token.as_bytes()),
            audience: self.me.clone(),
            query: request
                .query_id
                .parse()
                .map_err(|_| delegation("the query id is malformed"))?,
        };
        let id = Delegation::verify(signed, peer, &expected, now)?;
        self.replays.admit(id, now)?;
        Ok(user.principal)
    }
}

fn stream(
    engine: &Engine,
    id: FragmentId,
    running: Running,
    rest: BoxStream<'static, Result<FlightData, Error>>,
    deadline: Instant,
) -> BoxStream<'static, Result<FlightData, Error>> {
    let (frames, ready) = mpsc::channel(FRAMES_AHEAD);
    let task = engine
        .workers()
        .spawn(pump(id, running, rest, deadline, frames));
    Frames {
        ready,
        _task: AbortOnDropHandle::new(task),
    }
    .boxed()
}

/// The frames of an answer; dropping them stops the fragment.
struct Frames {
    ready: mpsc::Receiver<Result<FlightData, Error>>,
    _task: AbortOnDropHandle<()>,
}

impl Stream for Frames {
    type Item = Result<FlightData, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.ready.poll_recv(context)
    }
}

type FrameSender = mpsc::Sender<Result<FlightData, Error>>;

/// A reader that went away closes the channel; there is nobody left to tell.
struct ReaderGone;

async fn pump(
    id: FragmentId,
    mut running: Running,
    mut rest: BoxStream<'static, Result<FlightData, Error>>,
    deadline: Instant,
    frames: FrameSender,
) {
    let started = Instant::now();
    let mut encoder = Encoder::new(Arc::clone(&running.schema));
    let outcome = tokio::select! {
        outcome = send_all(&mut running, &mut encoder, &frames) => outcome,
        () = cancelled(&mut rest) => Ok(End::Stopped),
        () = sleep_until(deadline) => Ok(End::Unspecified),
    };
    let (rows, bytes, elapsed_ms) = (
        encoder.rows(),
        encoder.bytes(),
        started.elapsed().as_millis(),
    );
    let last = match outcome {
        Ok(End::Unspecified) => Err(Error::new(
            ErrorKind::DeadlineExceeded,
            code::DEADLINE,
            "the fragment ran longer than its query allows",
        )),
        Ok(end) => Ok(terminal::frame(end, &encoder)),
        Err(Ended::Failed(error)) => Err(error),
        Err(Ended::ReaderGone(ReaderGone)) => {
            info!(fragment = %id, rows, bytes, elapsed_ms, "fragment abandoned by its reader");
            return;
        }
    };
    info!(fragment = %id, rows, bytes, elapsed_ms, complete = last.is_ok(), "fragment finished");
    // The reader may be gone by now; then nobody needs the last frame.
    let _ = frames.send(last).await;
}

enum Ended {
    Failed(Error),
    ReaderGone(ReaderGone),
}

async fn send_all(
    running: &mut Running,
    encoder: &mut Encoder,
    frames: &FrameSender,
) -> Result<End, Ended> {
    send(frames, encoder.schema_frame()).await?;
    while let Some(batch) = running.batches.next().await {
        let batch = batch.map_err(Ended::Failed)?;
        for frame in encoder.encode(&batch).map_err(Ended::Failed)? {
            send(frames, frame).await?;
        }
    }
    Ok(End::Complete)
}

async fn send(frames: &FrameSender, frame: FlightData) -> Result<(), Ended> {
    frames
        .send(Ok(frame))
        .await
        .map_err(|_| Ended::ReaderGone(ReaderGone))
}

/// Returns when the coordinator asks to stop. A closed sending side is no such request.
async fn cancelled(rest: &mut BoxStream<'static, Result<FlightData, Error>>) {
    while let Some(Ok(frame)) = rest.next().await {
        let control = FragmentControl::decode(frame.app_metadata);
        if control.is_ok_and(|control| control.cancel) {
            return;
        }
    }
    std::future::pending().await
}

fn unauthenticated() -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        code::UNAUTHENTICATED,
        "no user token came with the fragment",
    )
}

fn delegation(message: &'static str) -> Error {
    Error::new(ErrorKind::Unauthenticated, code::DELEGATION, message)
}
