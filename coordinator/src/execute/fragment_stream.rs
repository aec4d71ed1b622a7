//! One fragment's conversation, from the coordinator's side.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use arrow::record_batch::RecordBatch;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::{FlightData, FlightDescriptor};
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use prost::Message;
use tokio::sync::oneshot;
use tokio_util::task::AbortOnDropHandle;
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::{Request, Streaming};
use weft_door::Compression;
use weft_governance::{DomainId, Error, ErrorKind, FragmentId, ServerId, code};
use weft_plan::fingerprint;
use weft_wire::protocol::{DELEGATION_HEADER, FRAGMENT_COMMAND, FRAGMENT_ENCODING};
use weft_wire::rpc::fragment::{self as rpc, FragmentRequest, Semantics, TableExpectation};
use weft_wire::status::from_status;
use weft_wire::token::{Delegation, sha256};
use weft_wire::trace::{Step, StepKind, TRACEPARENT, TraceContext};

use super::answer::{Answer, Said, incomplete};
use super::bound::Bounds;
use super::keys::Keys;
use super::open_request::{Expected, Newest, OpenRequest};
use super::shipment::ReadyRows;
use crate::channels::DataChannel;
use crate::plan::FragmentPlan;
use crate::query::QueryRun;
use crate::registry::Lost;

/// How long a delegation lives: it is used at once.
const DELEGATION_LIFETIME: Duration = Duration::from_secs(30);
/// The largest frame that a node sends.
const FRAME_BYTES: usize = 64 << 20;

/// What crossed the boundary for one fragment, counted as the node's encoder counts.
#[derive(Debug, Default)]
pub struct Counters {
    rows: AtomicU64,
    bytes: AtomicU64,
    requests: AtomicU64,
}

impl Counters {
    /// Rows that came.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Bytes of data headers and bodies that came.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Notes `rows` of `bytes` that went out at once.
    pub(crate) fn sent(&self, rows: u64, bytes: u64) {
        self.rows.store(rows, Ordering::Relaxed);
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    /// Notes a message of `bytes` that went out after others.
    pub(super) fn told(&self, bytes: u64) {
        self.rows.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Notes a request for rows.
    pub(super) fn asked(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Requests that were sent. One that was withdrawn before its node knew all of it is none.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

pub(super) type Rows = BoxStream<'static, Result<RecordBatch, Error>>;

/// What goes to a node along with a fragment, and what stays when its rows have come.
#[derive(Debug, Clone)]
pub(super) struct Luggage {
    /// Rows of other domains that it reads.
    pub(super) shipped: Vec<Arc<ReadyRows>>,
    /// What turns out while it runs about rows that are of no use.
    pub(super) bounds: Bounds,
    /// Where the conversation goes on after the last row.
    pub(super) closings: Closings,
}

/// Keys that the rows of a fragment must have, once they are known.
pub(super) type Promised = oneshot::Receiver<Vec<Arc<Keys>>>;

/// Sends `fragment` with `luggage` to its node, later perhaps the keys that it waits for, and returns
/// its rows. Dropping them cancels it there. They have all come for certain when also the luggage's closings
/// have ended well.
pub(super) async fn open(
    fragment: Arc<FragmentPlan>,
    luggage: &Luggage,
    keys: Option<Promised>,
    run: Arc<QueryRun>,
) -> Result<Rows, Error> {
    let domain = fragment.site.domain.clone();
    let mut lost = run.registry().watch(&fragment.site.node)?;
    let context = run.trace().next();
    let mut step = Step::begin(context, StepKind::Called, "fragment");
    step.note("weft.query", || run.id().to_string());
    step.note("weft.fragment", || fragment.ordinal.to_string());
    step.note("weft.node", || fragment.site.node.to_string());
    let opened = tokio::select! {
        opened = request(&fragment, luggage, keys, &run, context) => opened,
        () = lost.lost() => Err(gone(&domain)),
    };
    let Opened {
        frames,
        answer,
        request,
        channel,
    } = opened.map_err(|error| {
        step.fail(error.code());
        at(error, &domain)
    })?;
    let reading = Reading {
        frames,
        lost,
        answer,
        run,
        request,
        step,
        _channel: channel,
    };
    let open = Some((reading, luggage.closings.clone()));
    let rows = futures::stream::try_unfold(open, |open| async move {
        let Some((reading, closings)) = open else {
            return Ok(None);
        };
        let next = reading.next(&closings).await?;
        Ok(next.map(|(batch, reading)| (batch, Some((reading, closings)))))
    });
    Ok(rows.boxed())
}

/// A conversation that has begun.
struct Opened {
    frames: Streaming<FlightData>,
    answer: Answer,
    request: OpenRequest,
    channel: DataChannel,
}

async fn request(
    fragment: &FragmentPlan,
    luggage: &Luggage,
    keys: Option<Promised>,
    run: &QueryRun,
    step: TraceContext,
) -> Result<Opened, Error> {
    let entry = run.registry().up(&fragment.site.node)?;
    let compression = run.transport().compression(&entry.endpoint);
    let message = FragmentRequest {
        keys_follow: keys.is_some(),
        tell_last_row: true,
        ..message(fragment, &luggage.shipped, compression, run)?
    };
    let (first, metadata) = introduced(&message, &fragment.site.node, run, step).await?;
    let newest = Newest::new(
        luggage.bounds.clone(),
        Arc::clone(&fragment.output),
        Arc::clone(run.bound_counters(fragment.ordinal)),
    );
    let counters = run.counters(fragment.ordinal);
    let expected = keys.map(|keys| Expected {
        keys,
        counters: Arc::clone(counters),
    });
    let waits = expected.is_some();
    let (open, control) = OpenRequest::new(expected, newest);
    let mut request = Request::new(futures::stream::iter([first]).chain(control));
    *request.metadata_mut() = metadata;
    let channel = run.channels().data(&entry).await?;
    let mut client = FlightServiceClient::new(channel.channel())
        .max_decoding_message_size(FRAME_BYTES)
        .max_encoding_message_size(FRAME_BYTES);
    if !waits {
        counters.asked();
    }
    let response = client
        .do_exchange(request)
        .await
        .map_err(|status| from_status(&status))?;
    Ok(Opened {
        frames: response.into_inner(),
        answer: Answer::new(
            FragmentId {
                query: run.id(),
                ordinal: fragment.ordinal,
            },
            (fragment.site.node.clone(), fragment.site.domain.clone()),
            Arc::clone(&fragment.read_as),
            compression,
        ),
        request: open,
        channel,
    })
}

/// The first frame of a conversation about `message`, and the headers that prove who asks for it.
pub(super) async fn introduced(
    message: &FragmentRequest,
    node: &ServerId,
    run: &QueryRun,
    step: TraceContext,
) -> Result<(FlightData, MetadataMap), Error> {
    let now = SystemTime::now();
    let token = run.session().token_for(node, now).await?;
    let message = Bytes::from(message.encode_to_vec());
    let delegation = Delegation {
        fragment: sha256(&message),
        user_token: sha256(token.as_bytes()),
        audience: node.clone(),
        query: run.id(),
    }
    .sign(run.identity(), now, DELEGATION_LIFETIME)?;
    let first = FlightData {
        flight_descriptor: Some(FlightDescriptor::new_cmd(FRAGMENT_COMMAND)),
        app_metadata: message,
        ..FlightData::default()
    };
    let mut metadata = MetadataMap::new();
    metadata.insert("authorization", header(&format!("Bearer {token}"))?);
    metadata.insert(DELEGATION_HEADER, header(&delegation)?);
    metadata.insert(TRACEPARENT, header(&step.to_string())?);
    Ok((first, metadata))
}

/// What the node of `fragment` is asked for, with the rows of `shipped`.
pub(super) fn message(
    fragment: &FragmentPlan,
    shipped: &[Arc<ReadyRows>],
    compression: Compression,
    run: &QueryRun,
) -> Result<FragmentRequest, Error> {
    if !fragment.scalars.is_empty() {
        // Encoded, it has NULL for each of them.
        let message = "a fragment is asked for before its values are known";
        return Err(Error::new(ErrorKind::Internal, code::INTERNAL, message));
    }
    let compression = match compression {
        Compression::None => rpc::Compression::Unspecified,
        Compression::Lz4 => rpc::Compression::Lz4Frame,
    };
    let semantics = run.semantics();
    let tables = fragment
        .tables
        .iter()
        .map(|table| TableExpectation {
            product: table.table().product().product().to_owned(),
            table: table.table().table().to_owned(),
            schema_fingerprint: fingerprint(table.visible()).to_vec(),
        })
        .collect();
    Ok(FragmentRequest {
        query_id: run.id().to_string(),
        ordinal: fragment.ordinal,
        encoding: FRAGMENT_ENCODING.to_owned(),
        plan: fragment.encoded.to_vec(),
        timeout_ms: u64::try_from(run.time_left()?.as_millis())
            .unwrap_or(u64::MAX)
            .max(1),
        semantics: Some(Semantics {
            time_zone: semantics.time_zone.clone(),
            query_start_ns: semantics.query_start_ns,
        }),
        tables,
        output_schema: weft_door::schema::to_bytes(&fragment.output),
        keys_follow: false,
        shipped: shipped.iter().map(|it| it.message.clone()).collect(),
        compression: compression.into(),
        purpose: run.purpose().map(str::to_owned),
        reservation: None,
        tell_last_row: false,
    })
}

struct Reading {
    frames: Streaming<FlightData>,
    lost: Lost,
    answer: Answer,
    run: Arc<QueryRun>,
    request: OpenRequest,
    step: Step,
    _channel: DataChannel,
}

impl Reading {
    /// The next batch, or the end of the rows. Unless the node has also said by then that these are all,
    /// `closings` wait for it.
    async fn next(mut self, closings: &Closings) -> Result<Option<(RecordBatch, Self)>, Error> {
        match self.heard().await? {
            Said::Rows(batch) => Ok(Some((batch, self))),
            Said::LastRow => {
                closings.wait_for(async move { self.heard().await.map(drop) });
                Ok(None)
            }
            Said::End(_) => Ok(None),
        }
    }

    async fn heard(&mut self) -> Result<Said, Error> {
        let said = self.read().await;
        match &said {
            Ok(Said::End(receipt)) => {
                self.request.close();
                self.run.receipts().keep(receipt.clone());
                let (rows, bytes) = (self.answer.rows(), self.answer.bytes());
                self.step.note("weft.rows", || rows.to_string());
                self.step.note("weft.bytes", || bytes.to_string());
            }
            Ok(Said::Rows(_) | Said::LastRow) => {}
            Err(error) => self.step.fail(error.code()),
        }
        said
    }

    async fn read(&mut self) -> Result<Said, Error> {
        loop {
            let frame = tokio::select! {
                frame = self.frames.message() => frame,
                () = self.lost.lost() => return Err(gone(self.answer.domain())),
            };
            let domain = self.answer.domain();
            let frame = frame.map_err(|status| at(from_status(&status), domain))?;
            let said = self.answer.heed(frame.ok_or_else(|| incomplete(domain))?)?;
            let counters = self.run.counters(self.answer.id().ordinal);
            counters.sent(self.answer.rows(), self.answer.bytes());
            if let Some(said) = said {
                return Ok(said);
            }
        }
    }
}

/// Conversations of which the last row has come: what their nodes sign for them is on its way. Dropping the
/// last clone ends them.
#[derive(Debug, Clone, Default)]
pub(super) struct Closings(Arc<Mutex<Vec<Closing>>>);

type Closing = AbortOnDropHandle<Result<(), Error>>;

impl Closings {
    fn wait_for(&self, end: impl Future<Output = Result<(), Error>> + Send + 'static) {
        let end = AbortOnDropHandle::new(tokio::spawn(end));
        self.lock().push(end);
    }

    /// Returns when all of them have ended.
    ///
    /// # Errors
    /// If one did not end well: rows that came of it may not be all.
    pub(super) async fn ended(&self) -> Result<(), Error> {
        loop {
            let next = self.lock().pop();
            let Some(end) = next else {
                return Ok(());
            };
            end.await.map_err(|_| lost_end())??;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Closing>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lost_end() -> Error {
    let message = "the end of a fragment was lost";
    Error::new(ErrorKind::Internal, code::INTERNAL, message)
}

fn header(text: &str) -> Result<MetadataValue<Ascii>, Error> {
    text.parse().map_err(|_| {
        Error::new(
            ErrorKind::Internal,
            code::INTERNAL,
            "a token does not fit into a header",
        )
    })
}

/// An error of the call, as seen from here: a connection that broke is a domain that is gone.
fn at(error: Error, domain: &DomainId) -> Error {
    match error.kind() {
        ErrorKind::Unavailable if error.code() == code::CONNECT => gone(domain).caused_by(error),
        _ => error.at(domain.clone()),
    }
}

fn gone(domain: &DomainId) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        code::DOMAIN_UNAVAILABLE,
        "the domain's node cannot be reached",
    )
    .at(domain.clone())
    .with_hint("`SELECT * FROM system.runtime.nodes` shows the state of each node; run the query again when it is up.")
}
