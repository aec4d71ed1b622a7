//! A process that sends what it has in memory: over bare sockets, and as a plain Flight server.

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::flight_service_server::{FlightService, FlightServiceServer};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo,
    HandshakeRequest, HandshakeResponse, PollInfo, PutResult, SchemaResult, Ticket,
};
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt, TryStreamExt};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

use super::super::BenchError;
use super::super::worker::{Worker, say};
use super::Payload;

/// Bytes of one batch, about: what a message should have.
const BATCH: usize = 1 << 20;
/// Rows of the table that are held; when they have been sent it begins anew.
const ROWS: usize = 1 << 20;
/// Bytes that are handed to the socket at once.
const BUFFER: usize = 1 << 20;

/// What a process sends.
#[derive(Debug, Clone)]
pub struct Source {
    numbers: Vec<RecordBatch>,
    mixed: Vec<RecordBatch>,
    rows: usize,
}

/// Where it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Places {
    tcp: SocketAddr,
    plain: SocketAddr,
    door: SocketAddr,
}

impl Source {
    /// The largest table, from the Parquet file in `tables`.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn load(tables: &Path) -> Result<Self, BenchError> {
        let file = tables.join("lineitem.parquet");
        let (numbers, rows) = load(&file, Payload::Numbers)?;
        let (mixed, _) = load(&file, Payload::Mixed)?;
        Ok(Self {
            numbers,
            mixed,
            rows,
        })
    }

    /// The columns of `payload`.
    pub fn schema(&self, payload: Payload) -> SchemaRef {
        let first = self.batches(payload).first();
        first.map_or_else(|| Schema::empty().into(), RecordBatch::schema)
    }

    /// All rows of the table, of which the first ones stand for the others.
    pub fn rows(&self, payload: Payload) -> impl Iterator<Item = RecordBatch> + Send + 'static {
        let (batches, mut left) = (self.batches(payload).to_vec(), self.rows);
        batches.into_iter().cycle().map_while(move |batch| {
            let rows = batch.num_rows().min(left);
            left -= rows;
            (rows > 0).then(|| batch.slice(0, rows))
        })
    }

    fn batches(&self, payload: Payload) -> &[RecordBatch] {
        match payload {
            Payload::Numbers => &self.numbers,
            Payload::Mixed => &self.mixed,
        }
    }

    /// Sends to whoever asks until the standard input ends, and says where; `door` is where another
    /// server of this process sends the same.
    ///
    /// # Errors
    /// If there is no address to listen on.
    pub async fn serve(self, door: SocketAddr) -> Result<(), BenchError> {
        let bare = TcpListener::bind(("127.0.0.1", 0)).await;
        let bare = bare.map_err(BenchError::Listen)?;
        let flight = TcpListener::bind(("127.0.0.1", 0)).await;
        let flight = flight.map_err(BenchError::Listen)?;
        let places = Places {
            tcp: bare.local_addr().map_err(BenchError::Listen)?,
            plain: flight.local_addr().map_err(BenchError::Listen)?,
            door,
        };
        let served = Server::builder()
            .add_service(FlightServiceServer::new(Plain(self)))
            .serve_with_incoming(connections(flight));
        say(&places)?;
        tokio::select! {
            () = send_bare(bare) => Ok(()),
            served = served => served.map_err(BenchError::query),
            () = until_told() => Ok(()),
        }
    }
}

/// A process that [`Source::serve`]s. It ends with this value.
pub struct SourceProcess {
    worker: Worker,
    places: Places,
}

impl SourceProcess {
    /// Starts `command`, whose program is to serve a [`Source`].
    ///
    /// # Errors
    /// If it does not start.
    pub async fn start(command: Command) -> Result<Self, BenchError> {
        let (worker, places) = Worker::start_saying("the source", command).await?;
        Ok(Self { worker, places })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.worker.pid()
    }

    /// Where it sends bytes over bare sockets.
    pub fn tcp(&self) -> SocketAddr {
        self.places.tcp
    }

    /// Where it is a plain Flight server; the ticket is the name of the payload.
    pub fn plain(&self) -> SocketAddr {
        self.places.plain
    }

    /// Where it sends the same through a door.
    pub fn door(&self) -> SocketAddr {
        self.places.door
    }
}

async fn until_told() {
    let mut rest = Vec::new();
    let _ = tokio::io::stdin().read_to_end(&mut rest).await;
}

/// Batches of about [`BATCH`] bytes with plain strings, and the rows of the whole table.
fn load(file: &Path, payload: Payload) -> Result<(Vec<RecordBatch>, usize), BenchError> {
    let opened = File::open(file).map_err(BenchError::query)?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(opened).map_err(BenchError::query)?;
    let rows = builder.metadata().file_metadata().num_rows();
    let builder = match payload.columns() {
        [] => builder,
        columns => {
            let columns = columns.iter().copied();
            let mask = ProjectionMask::columns(builder.parquet_schema(), columns);
            builder.with_projection(mask)
        }
    };
    let probe = 1024;
    let reader = builder.with_batch_size(probe).with_limit(ROWS).build();
    let batches: Result<Vec<_>, _> = reader.map_err(BenchError::query)?.collect();
    let batches = batches.map_err(BenchError::query)?;
    let Some(first) = batches.first() else {
        return Err(BenchError::query("the table is empty"));
    };
    let width = first.get_array_memory_size() / first.num_rows().max(1);
    let whole = arrow::compute::concat_batches(&first.schema(), &batches);
    let whole = plain(&whole.map_err(BenchError::query)?)?;
    let most = (BATCH / width.max(1)).max(1);
    let cut = (0..whole.num_rows()).step_by(most).map(|from| {
        let rows = most.min(whole.num_rows() - from);
        compact(&whole.slice(from, rows))
    });
    let cut: Result<Vec<_>, _> = cut.collect();
    Ok((cut?, usize::try_from(rows).unwrap_or_default()))
}

/// Strings as `Utf8`, whatever the reader made of them.
fn plain(batch: &RecordBatch) -> Result<RecordBatch, BenchError> {
    let (fields, columns): (Vec<_>, Vec<_>) = batch
        .schema()
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, column)| {
            let to = match field.data_type() {
                DataType::Utf8View => DataType::Utf8,
                other => other.clone(),
            };
            let column = cast(column, &to).map_err(BenchError::query);
            let field = Field::new(field.name(), to, field.is_nullable());
            column.map(|column| (field, column))
        })
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .unzip();
    let schema = Schema::new(fields);
    RecordBatch::try_new(schema.into(), columns).map_err(BenchError::query)
}

/// With buffers of its own.
fn compact(batch: &RecordBatch) -> Result<RecordBatch, BenchError> {
    let rows = arrow::array::UInt64Array::from_iter_values(0..batch.num_rows() as u64);
    arrow::compute::take_record_batch(batch, &rows).map_err(BenchError::query)
}

fn connections(listener: TcpListener) -> impl Stream<Item = std::io::Result<TcpStream>> {
    stream::unfold(listener, |listener| async move {
        let accepted = listener.accept().await.map(|(stream, _)| stream);
        let accepted = accepted.and_then(|stream| stream.set_nodelay(true).map(|()| stream));
        Some((accepted, listener))
    })
}

/// Whoever connects says in eight bytes how many are wanted.
async fn send_bare(listener: TcpListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let buffer = vec![7; BUFFER];
            let mut left = stream.read_u64().await?;
            while left > 0 {
                let piece = usize::try_from(left).map_or(BUFFER, |left| left.min(BUFFER));
                stream
                    .write_all(buffer.get(..piece).unwrap_or(&buffer))
                    .await?;
                left -= piece as u64;
            }
            stream.shutdown().await
        });
    }
}

/// A server as the examples of the Flight library have it.
struct Plain(Source);

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl FlightService for Plain {
    type HandshakeStream = Answers<HandshakeResponse>;
    type ListFlightsStream = Answers<FlightInfo>;
    type DoGetStream = BoxStream<'static, Result<FlightData, Status>>;
    type DoPutStream = Answers<PutResult>;
    type DoExchangeStream = Answers<FlightData>;
    type DoActionStream = Answers<arrow_flight::Result>;
    type ListActionsStream = Answers<ActionType>;

    async fn do_get(
        &self,
        request: Request<Ticket>,
    ) -> Result<Response<Self::DoGetStream>, Status> {
        let name = request.into_inner().ticket;
        let payload = Payload::ALL
            .into_iter()
            .find(|payload| payload.to_string().as_bytes() == &name[..])
            .ok_or_else(|| Status::not_found("no such payload"))?;
        let rows = stream::iter(self.0.rows(payload)).map(Ok);
        let messages = FlightDataEncoderBuilder::new()
            .with_schema(self.0.schema(payload))
            .build(rows);
        Ok(Response::new(messages.map_err(Status::from).boxed()))
    }

    async fn handshake(
        &self,
        _: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        Err(nothing())
    }

    async fn list_flights(
        &self,
        _: Request<Criteria>,
    ) -> Result<Response<Self::ListFlightsStream>, Status> {
        Err(nothing())
    }

    async fn get_flight_info(
        &self,
        _: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        Err(nothing())
    }

    async fn poll_flight_info(
        &self,
        _: Request<FlightDescriptor>,
    ) -> Result<Response<PollInfo>, Status> {
        Err(nothing())
    }

    async fn get_schema(
        &self,
        _: Request<FlightDescriptor>,
    ) -> Result<Response<SchemaResult>, Status> {
        Err(nothing())
    }

    async fn do_put(
        &self,
        _: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoPutStream>, Status> {
        Err(nothing())
    }

    async fn do_exchange(
        &self,
        _: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        Err(nothing())
    }

    async fn do_action(
        &self,
        _: Request<Action>,
    ) -> Result<Response<Self::DoActionStream>, Status> {
        Err(nothing())
    }

    async fn list_actions(
        &self,
        _: Request<Empty>,
    ) -> Result<Response<Self::ListActionsStream>, Status> {
        Err(nothing())
    }
}

fn nothing() -> Status {
    Status::unimplemented("rows are all there is")
}
