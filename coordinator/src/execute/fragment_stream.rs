//! One fragment's conversation, from the coordinator's side.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::{FlightData, FlightDescriptor};
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use prost::Message;
use tokio::sync::oneshot;
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::{Request, Streaming};
use weft_door::Compression;
use weft_door::guard::{DecodeLimits, Decoded, Decoder};
use weft_governance::{DomainId, Error, ErrorKind, FragmentId, ServerId, code};
use weft_plan::fingerprint;
use weft_wire::protocol::{DELEGATION_HEADER, FRAGMENT_COMMAND, FRAGMENT_ENCODING};
use weft_wire::receipt::Receipt;
use weft_wire::rpc::fragment::fragment_terminal::End;
use weft_wire::rpc::fragment::{
    self as rpc, FragmentRequest, FragmentTerminal, Semantics, TableExpectation,
};
use weft_wire::status::from_status;
use weft_wire::token::{Delegation, sha256};
use weft_wire::trace::{Step, StepKind, TRACEPARENT, TraceContext};

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

/// What goes to a node along with a fragment.
#[derive(Debug, Clone)]
pub(super) struct Luggage {
    /// Rows of other domains that it reads.
    pub(super) shipped: Vec<Arc<ReadyRows>>,
    /// What turns out while it runs about rows that are of no use.
    pub(super) bounds: Bounds,
}

/// Keys that the rows of a fragment must have, once they are known.
pub(super) type Promised = oneshot::Receiver<Vec<Arc<Keys>>>;

/// Sends `fragment` with `luggage` to its node, later perhaps the keys that it waits for, and returns
/// its rows. Dropping them cancels it there.
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
        decoder,
        request,
        channel,
    } = opened.map_err(|error| {
        step.fail(error.code());
        at(error, &domain)
    })?;
    let reading = Reading {
        frames,
        lost,
        decoder,
        schema: Arc::clone(&fragment.read_as),
        domain,
        ordinal: fragment.ordinal,
        node: fragment.site.node.clone(),
        run,
        request,
        step,
        _channel: channel,
    };
    Ok(
        futures::stream::try_unfold(Some(reading), |reading| async move {
            match reading {
                Some(reading) => reading.next().await,
                None => Ok(None),
            }
        })
        .boxed(),
    )
}

/// A conversation that has begun.
struct Opened {
    frames: Streaming<FlightData>,
    decoder: Decoder,
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
        decoder: Decoder::new(DecodeLimits::default())
            .having_asked_for(compression)
            .digesting(),
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
    })
}

struct Reading {
    frames: Streaming<FlightData>,
    lost: Lost,
    decoder: Decoder,
    schema: SchemaRef,
    domain: DomainId,
    ordinal: u32,
    node: ServerId,
    run: Arc<QueryRun>,
    request: OpenRequest,
    step: Step,
    _channel: DataChannel,
}

impl Reading {
    /// The next batch, or the end if the terminal message says that all rows came.
    async fn next(mut self) -> Result<Option<(RecordBatch, Option<Self>)>, Error> {
        let next = self.read().await;
        match next {
            Ok(Some(batch)) => Ok(Some((batch, Some(self)))),
            Ok(None) => {
                let (rows, bytes) = (self.decoder.rows(), self.decoder.bytes());
                self.step.note("weft.rows", || rows.to_string());
                self.step.note("weft.bytes", || bytes.to_string());
                Ok(None)
            }
            Err(error) => {
                self.step.fail(error.code());
                Err(error)
            }
        }
    }

    async fn read(&mut self) -> Result<Option<RecordBatch>, Error> {
        loop {
            let frame = tokio::select! {
                frame = self.frames.message() => frame,
                () = self.lost.lost() => return Err(gone(&self.domain)),
            };
            let frame = frame.map_err(|status| at(from_status(&status), &self.domain))?;
            let Some(frame) = frame else {
                return Err(incomplete(&self.domain));
            };
            match self.decoder.decode(frame).map_err(|error| {
                broken(&self.domain, "the answer cannot be read").caused_by(error)
            })? {
                Decoded::Schema(_) => {}
                Decoded::Batch(batch) => {
                    self.count();
                    return self.restore(batch).map(Some);
                }
                Decoded::Metadata(bytes) => {
                    self.count();
                    return self.close(&bytes).map(|()| None);
                }
            }
        }
    }

    fn count(&self) {
        let counters = self.run.counters(self.ordinal);
        counters.rows.store(self.decoder.rows(), Ordering::Relaxed);
        counters
            .bytes
            .store(self.decoder.bytes(), Ordering::Relaxed);
    }

    /// What came, in the types that whoever reads it expects.
    fn restore(&self, batch: RecordBatch) -> Result<RecordBatch, Error> {
        if batch.num_columns() != self.schema.fields().len() {
            return Err(broken(
                &self.domain,
                "the answer has another number of columns",
            ));
        }
        let columns = batch
            .columns()
            .iter()
            .zip(self.schema.fields())
            .map(|(column, field)| {
                if column.data_type() == field.data_type() {
                    Ok(Arc::clone(column))
                } else {
                    arrow::compute::cast(column, field.data_type())
                }
            })
            .collect::<Result<Vec<_>, _>>();
        let rows =
            arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        columns
            .and_then(|columns| {
                RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &rows)
            })
            .map_err(|error| {
                broken(&self.domain, "the answer does not have the announced types")
                    .caused_by(error)
            })
    }

    /// Compares what was sent with what came.
    fn close(&mut self, bytes: &Bytes) -> Result<(), Error> {
        self.request.close();
        let terminal = FragmentTerminal::decode(bytes.clone())
            .map_err(|_| broken(&self.domain, "the terminal message is malformed"))?;
        let came = self.decoder.came();
        let same = (terminal.rows, terminal.bytes) == (came.rows, came.bytes);
        if terminal.end() != End::Complete || !same {
            return Err(incomplete(&self.domain));
        }
        let id = FragmentId {
            query: self.run.id(),
            ordinal: self.ordinal,
        };
        let receipt = Receipt::read(&terminal.receipt)
            .map_err(|error| broken(&self.domain, "its receipt is none").caused_by(error))?;
        if !receipt.tells(id, &self.node, &came) {
            return Err(broken(&self.domain, "its receipt is for something else"));
        }
        self.run.receipts().keep(terminal.receipt);
        Ok(())
    }
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

fn incomplete(domain: &DomainId) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        code::INCOMPLETE,
        "the answer ended before it was complete",
    )
    .at(domain.clone())
    .with_hint("Run the query again.")
}

fn broken(domain: &DomainId, message: &'static str) -> Error {
    Error::new(ErrorKind::Internal, code::PROTOCOL, message).at(domain.clone())
}
