//! A fragment's conversation: authenticate, check, admit, stream, close.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arrow::record_batch::RecordBatch;
use arrow_flight::FlightData;
use futures::StreamExt;
use futures::stream::BoxStream;
use prost::Message;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tracing::{Instrument, Span, info};
use weft_door::encode::{Encoder, can_be_sent_as};
use weft_door::{Compression, Exchange, schema};
use weft_governance::{Asker, Error, ErrorKind, FragmentId, ServerId, code};
use weft_plan::Interrupt;
use weft_wire::authority::TokenKeys;
use weft_wire::identity::Peer;
use weft_wire::protocol::{DELEGATION_HEADER, FRAGMENT_COMMAND};
use weft_wire::replay::ReplayCache;
use weft_wire::rpc::fragment::fragment_terminal::End;
use weft_wire::rpc::fragment::{self, FragmentRequest, Reservation};
use weft_wire::token::{Delegation, VerifiedUser, sha256};

use super::control::{Bounds, Control};
use super::{Engine, Reservations, Reserved, Running, Via, terminal};
use crate::enforce::{Account, Gate, Standing};

/// Frames that may wait for a slow reader.
const FRAMES_AHEAD: usize = 4;
/// How long a fragment that was asked to stop may take for it.
const GRACE: Duration = Duration::from_secs(1);

/// Answers fragments that coordinators send.
#[derive(Clone)]
pub struct FragmentService {
    me: ServerId,
    keys: Arc<TokenKeys>,
    replays: Arc<ReplayCache>,
    gate: Gate,
    engine: Engine,
    reservations: Reservations,
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
            reservations: Reservations::default(),
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
            return Err(unsupported("this exchange is not a fragment"));
        }
        let peer =
            peer.ok_or_else(|| delegation("no server certificate came with the fragment"))?;
        let digest = sha256(&first.app_metadata);
        let request = FragmentRequest::decode(first.app_metadata.clone())
            .map_err(|_| delegation("the fragment is malformed"))?;
        let user = self
            .authenticate(&peer, &metadata, &request, digest)
            .await?;
        if let Some(reservation) = request.reservation.clone() {
            let sent = (request, digest, peer.server);
            return self.reserve(reservation, sent, user).await;
        }
        let principal = user.principal;
        let presence = self.keys.people();
        let presence = presence.presence(&principal.subject, user.issued_at);
        let compression = match request.compression() {
            fragment::Compression::Unspecified => Compression::None,
            fragment::Compression::Lz4Frame => Compression::Lz4,
        };
        let (keys_follow, tell_last_row) = (request.keys_follow, request.tell_last_row);
        let purpose = request.purpose.clone();
        let via = Via::Coordinator(peer.server.clone());
        let mut fragment = self.engine.decode(request, via, digest).await?;
        let id = fragment.id();
        let deadline = Instant::now() + fragment.timeout();
        let (mut control, bounds) = Control::new(rest, Arc::clone(fragment.output()));
        if keys_follow {
            let keys = timeout_at(deadline, control.keys());
            let keys = keys.await.map_err(|_| too_late())??;
            fragment = self.engine.reduce(fragment, keys.ok_or_else(withdrawn)?)?;
        }
        let asker = Asker {
            principal: &principal,
            purpose: purpose.as_deref(),
            at: SystemTime::now().into(),
        };
        let permit = self.gate.admit(&asker, fragment).await?;
        let mut running = self.engine.run(permit).await?;
        running.standing = running.standing.of(presence);
        let encoder = Encoder::new(Arc::clone(&running.schema));
        let encoder = encoder.compressing(compression)?.digesting();
        let conversation = Conversation {
            id,
            deadline,
            control,
            bounds,
            tell_last_row,
        };
        Ok(conversation.stream(&self.engine, running, encoder))
    }

    /// Keeps a fragment for the client that `reservation` names. Nothing is decided, nothing runs.
    async fn reserve(
        &self,
        reservation: Reservation,
        (request, digest, coordinator): (FragmentRequest, [u8; 32], ServerId),
        user: VerifiedUser,
    ) -> Result<BoxStream<'static, Result<FlightData, Error>>, Error> {
        let bearer = reservation.bearer.as_slice().try_into();
        let bearer = bearer.map_err(|_| delegation("the digest of the bearer is malformed"))?;
        if request.keys_follow || !request.shipped.is_empty() {
            return Err(unsupported("a fragment that waits for others is not kept"));
        }
        let announced = Arc::new(schema::from_bytes(&reservation.announced)?);
        let via = Via::Reserved(coordinator.clone());
        let fragment = self.engine.decode(request.clone(), via, digest).await?;
        if !can_be_sent_as(fragment.output(), &announced) {
            let message = "the fragment's answer does not fit what its reader was told";
            return Err(Error::new(
                ErrorKind::SchemaDrift,
                code::SCHEMA_DRIFT,
                message,
            ));
        }
        let lifetime = user.expires_at.duration_since(SystemTime::now());
        let ticket = self.reservations.keep(Reserved {
            request,
            digest,
            query: fragment.id().query,
            coordinator,
            principal: user.principal,
            issued_at: user.issued_at,
            announced,
            bearer,
            expires_at: user.expires_at,
        })?;
        let lifetime_ms = lifetime.unwrap_or_default().as_millis();
        let reserved = fragment::Reserved {
            ticket: ticket.to_vec(),
            lifetime_ms: u64::try_from(lifetime_ms).unwrap_or(u64::MAX),
        };
        let frame = FlightData {
            app_metadata: reserved.encode_to_vec().into(),
            ..FlightData::default()
        };
        Ok(futures::stream::iter([Ok(frame)]).boxed())
    }

    /// What is kept for clients.
    pub(crate) fn reservations(&self) -> &Reservations {
        &self.reservations
    }

    /// Who asks, proved by a token for this node, sent by a coordinator that the token was made
    /// for and that signed for exactly this fragment, once.
    async fn authenticate(
        &self,
        peer: &Peer,
        metadata: &tonic::metadata::MetadataMap,
        request: &FragmentRequest,
        digest: [u8; 32],
    ) -> Result<VerifiedUser, Error> {
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
        Ok(user)
    }
}

/// What the two sides of a fragment agree on while it runs.
struct Conversation {
    id: FragmentId,
    deadline: Instant,
    control: Control,
    bounds: Bounds,
    tell_last_row: bool,
}

impl Conversation {
    /// Starts the fragment's work on the engine's threads, and beside it, on this one's, what ends
    /// it. If that is short, whoever asks for the first rows makes them.
    fn stream(
        self,
        engine: &Engine,
        running: Running,
        encoder: Encoder,
    ) -> BoxStream<'static, Result<FlightData, Error>> {
        let (frames, ready) = mpsc::channel(FRAMES_AHEAD);
        let (fail, failed) = oneshot::channel();
        let Running {
            schema: _,
            batches,
            interrupt,
            is_short,
            standing,
            account,
        } = running;
        let sending = Sending {
            encoder,
            bounds: self.bounds,
            frames: frames.clone(),
            tell_last_row: self.tell_last_row,
        };
        let (id, control, deadline) = (self.id, self.control, self.deadline);
        let span = Span::current();
        let supervised = move |work| {
            let work = Work { work, interrupt };
            let outlet = Outlet { frames, fail };
            let duties = (standing, account);
            let supervision = supervise(id, work, control, duties, deadline, outlet);
            tokio::spawn(supervision.instrument(span));
            sent(ready, failed)
        };
        let work = sending.all(batches);
        if !is_short {
            return supervised(engine.workers().take_on(work));
        }
        let workers = engine.workers().clone();
        let begun = async move { supervised(workers.begin(work).await) };
        futures::stream::once(begun).flatten().boxed()
    }
}

/// What is sent: frames in their order, or at once that the fragment failed. Rows that wait for a slow
/// reader are not the answer then, and perhaps no longer its to read.
fn sent(
    ready: mpsc::Receiver<FlightData>,
    failed: oneshot::Receiver<Error>,
) -> BoxStream<'static, Result<FlightData, Error>> {
    let open = (ready, failed);
    futures::stream::try_unfold(open, |(mut ready, mut failed)| async move {
        tokio::select! {
            biased;
            Ok(error) = &mut failed, if !failed.is_terminated() => Err(error),
            frame = ready.recv() => Ok(frame.map(|frame| (frame, (ready, failed)))),
        }
    })
    .boxed()
}

/// Where a fragment's last word goes.
struct Outlet {
    frames: FrameSender,
    fail: oneshot::Sender<Error>,
}

/// The task that runs a fragment and sends its rows. Dropping it stops the fragment.
struct Work {
    work: weft_plan::Work<(Encoder, Result<(), Ended>)>,
    interrupt: Interrupt,
}

impl Work {
    /// Stops the fragment and waits until it has sent its last frame, to know what was sent.
    async fn stop(mut self) -> Result<Encoder, Error> {
        self.interrupt.stop();
        match timeout(GRACE, &mut self.work).await {
            Ok(Ok((sent, _))) => Ok(sent),
            Ok(Err(_)) | Err(_) => Err(Error::new(
                ErrorKind::Cancelled,
                code::CANCELLED,
                "the fragment was stopped and did not say in time what it had sent",
            )),
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.interrupt.stop();
    }
}

/// Why a fragment ended before its last row.
enum Ended {
    Failed(Error),
    /// The reader asked for the end.
    Stopped,
    /// The reader went away; there is nobody left to tell.
    ReaderGone,
}

type FrameSender = mpsc::Sender<FlightData>;

/// The way of a fragment's rows to its reader.
struct Sending {
    encoder: Encoder,
    bounds: Bounds,
    frames: FrameSender,
    tell_last_row: bool,
}

impl Sending {
    async fn all(
        mut self,
        batches: BoxStream<'static, Result<RecordBatch, Error>>,
    ) -> (Encoder, Result<(), Ended>) {
        let sent = self.each(batches).await;
        (self.encoder, sent)
    }

    async fn each(
        &mut self,
        mut batches: BoxStream<'static, Result<RecordBatch, Error>>,
    ) -> Result<(), Ended> {
        let schema = self.encoder.schema_frame();
        self.send(schema).await?;
        while let Some(batch) = batches.next().await {
            let batch = batch.map_err(Ended::Failed)?;
            let bound = self.bounds.borrow().clone();
            let batch = match bound {
                Some(bound) => bound.apply(batch).map_err(Ended::Failed)?,
                None => batch,
            };
            for frame in self.encoder.encode(&batch).map_err(Ended::Failed)? {
                self.send(frame).await?;
            }
        }
        match self.tell_last_row {
            true => self.send(terminal::last_row(&self.encoder)).await,
            false => Ok(()),
        }
    }

    async fn send(&self, frame: FlightData) -> Result<(), Ended> {
        self.frames.send(frame).await.map_err(|_| Ended::ReaderGone)
    }
}

/// Waits for the first end of a fragment: its last row, its deadline, its reader's wish, or its
/// owner's.
async fn supervise(
    id: FragmentId,
    mut work: Work,
    mut control: Control,
    (standing, account): (Standing, Account),
    deadline: Instant,
    outlet: Outlet,
) {
    let started = Instant::now();
    let ended = tokio::select! {
        done = &mut work.work => match done {
            Ok((sent, Ok(()))) => Ok(sent),
            Ok((_, Err(ended))) => Err(ended),
            Err(_) => Err(Ended::Failed(crashed(id))),
        },
        stopped = control.stopped() => match stopped {
            Ok(()) => Err(Ended::Stopped),
            Err(error) => Err(Ended::Failed(error)),
        },
        lost = standing.lost() => Err(Ended::Failed(lost)),
        () = sleep_until(deadline) => Err(Ended::Failed(too_late())),
        () = outlet.frames.closed() => Err(Ended::ReaderGone),
    };
    let last = match ended {
        Ok(sent) => Ok((End::Complete, sent)),
        Err(Ended::Stopped) => work.stop().await.map(|sent| (End::Stopped, sent)),
        Err(Ended::Failed(error)) => Err(error),
        Err(Ended::ReaderGone) => {
            info!(fragment = %id, "fragment abandoned by its reader");
            return;
        }
    };
    let elapsed_ms = started.elapsed().as_millis();
    let last = match last {
        Ok((end, sent)) => {
            let (rows, bytes) = (sent.rows(), sent.bytes());
            info!(fragment = %id, rows, bytes, elapsed_ms, ?end, "fragment finished");
            let receipt = account.finished(end == End::Complete, sent.sent());
            receipt.map(|receipt| terminal::frame(end, &sent, receipt))
        }
        Err(error) => {
            account.failed(&error);
            Err(error)
        }
    };
    // The reader may be gone by now; then nobody needs the last word.
    match last {
        Ok(frame) => drop(outlet.frames.send(frame).await),
        Err(error) => {
            info!(fragment = %id, elapsed_ms, %error, "fragment failed");
            drop(outlet.fail.send(error));
        }
    }
}

fn too_late() -> Error {
    let message = "the fragment ran longer than its query allows";
    Error::new(ErrorKind::DeadlineExceeded, code::DEADLINE, message)
}

/// Whoever withdrew it knows.
fn withdrawn() -> Error {
    let message = "the fragment was withdrawn before its keys came";
    Error::new(ErrorKind::Cancelled, code::CANCELLED, message)
}

fn crashed(id: FragmentId) -> Error {
    let message = format!("the node failed (incident `{id}`)");
    Error::new(ErrorKind::Internal, code::INTERNAL, message)
}

fn unauthenticated() -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        code::UNAUTHENTICATED,
        "no user token came with the fragment",
    )
}

fn unsupported(message: &'static str) -> Error {
    Error::new(ErrorKind::Unsupported, code::UNSUPPORTED, message)
}

fn delegation(message: &'static str) -> Error {
    Error::new(ErrorKind::Unauthenticated, code::DELEGATION, message)
}
