//! A process that reads what others send, and says how long it took.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arrow_flight::Ticket;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::flight_service_client::FlightServiceClient;
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;
use tonic::Request;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use super::super::worker::{Ready, Worker, duration, say};
use super::super::{BenchError, cpu_time};
use super::Carry;

const SCRIPT: &str = include_str!("reader.py");
/// Bytes that are taken from a bare socket at once.
const BUFFER: usize = 1 << 20;
/// Bytes of the largest message that is taken.
const MESSAGE: usize = 64 << 20;

/// Rows to be fetched over Flight.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Fetch {
    /// Where, as `HOST:PORT`.
    pub address: SocketAddr,
    /// What answers there proves itself with, if it speaks TLS.
    pub tls: Option<Tls>,
    /// Whose rows they are.
    pub bearer: Option<String>,
    /// What they are behind, two digits for each byte.
    pub ticket: String,
}

/// How a server proves who it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tls {
    /// The CA, PEM.
    pub ca: String,
    /// The name in its certificate.
    pub name: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Asked {
    Tcp { address: SocketAddr, bytes: u64 },
    Flight(Fetch),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Told {
    Done {
        seconds: f64,
        cpu_seconds: f64,
        bytes: u64,
        rows: u64,
    },
    Failed(String),
}

/// A process that reads.
pub struct Reader(Worker);

impl Reader {
    /// Starts `command`, whose program is to call [`read`].
    ///
    /// # Errors
    /// If it does not start.
    pub async fn start(command: Command) -> Result<Self, BenchError> {
        Worker::start("the reader", command).await.map(Self)
    }

    /// Starts one in Python, with the module `pyarrow`.
    ///
    /// # Errors
    /// If it does not start, or the interpreter has no such module.
    pub async fn start_python(python: &Path) -> Result<Self, BenchError> {
        let mut command = Command::new(python);
        command.arg("-c").arg(SCRIPT);
        Worker::start("pyarrow", command).await.map(Self)
    }

    /// Its version.
    pub fn version(&self) -> &str {
        self.0.version()
    }

    /// Reads so many bytes over a bare socket. The processor time is the reader's alone.
    ///
    /// # Errors
    /// If they do not come.
    pub async fn tcp(&mut self, address: SocketAddr, bytes: u64) -> Result<Carry, BenchError> {
        self.ask(&Asked::Tcp { address, bytes }).await
    }

    /// Reads an answer over Flight. The processor time is the reader's alone.
    ///
    /// # Errors
    /// If it does not come.
    pub async fn flight(&mut self, fetch: Fetch) -> Result<Carry, BenchError> {
        self.ask(&Asked::Flight(fetch)).await
    }

    async fn ask(&mut self, asked: &Asked) -> Result<Carry, BenchError> {
        match self.0.ask(asked).await? {
            Told::Done {
                seconds,
                cpu_seconds,
                bytes,
                rows,
            } => Ok(Carry {
                bytes,
                rows,
                time: duration(seconds),
                cpu: duration(cpu_seconds),
            }),
            Told::Failed(message) => Err(BenchError::query(message)),
        }
    }
}

impl Fetch {
    /// The rows behind `ticket` in plain text.
    pub fn plain(address: SocketAddr, bearer: Option<String>, ticket: &[u8]) -> Self {
        Self {
            address,
            tls: None,
            bearer,
            ticket: ticket.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }

    fn ticket(&self) -> Ticket {
        let digits: Vec<u8> = self.ticket.bytes().collect();
        let bytes = digits.chunks(2).filter_map(|pair| {
            let pair = std::str::from_utf8(pair).ok()?;
            u8::from_str_radix(pair, 16).ok()
        });
        Ticket::new(bytes.collect::<Vec<_>>())
    }
}

/// Reads what it is told to, from standard input to standard output, until the input ends.
///
/// # Errors
/// If nobody reads the output.
pub async fn read() -> Result<(), BenchError> {
    say(&Ready {
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut place = Place::default();
    while let Ok(Some(line)) = lines.next_line().await {
        let asked: Asked = serde_json::from_str(&line).map_err(BenchError::query)?;
        let read = match asked {
            Asked::Tcp { address, bytes } => bare(address, bytes).await,
            Asked::Flight(fetch) => place.fetch(&fetch).await,
        };
        say(&read.unwrap_or_else(|error| Told::Failed(error.to_string())))?;
    }
    Ok(())
}

/// The last server that was read from, to which the connection stays.
#[derive(Default)]
struct Place(Option<(SocketAddr, Channel)>);

impl Place {
    async fn fetch(&mut self, fetch: &Fetch) -> Result<Told, BenchError> {
        let known = self.0.take().filter(|(to, _)| *to == fetch.address);
        let channel = match known {
            Some((_, channel)) => channel,
            None => connect(fetch).await?,
        };
        self.0 = Some((fetch.address, channel.clone()));
        let mut client = FlightServiceClient::new(channel).max_decoding_message_size(MESSAGE);
        let mut request = Request::new(fetch.ticket());
        if let Some(bearer) = &fetch.bearer {
            let bearer = format!("Bearer {bearer}").parse();
            let metadata = request.metadata_mut();
            metadata.insert("authorization", bearer.map_err(BenchError::query)?);
        }
        let clock = Clock::start();
        let messages = client.do_get(request).await.map_err(BenchError::query)?;
        let bytes = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&bytes);
        let messages = messages.into_inner().inspect_ok(move |message| {
            let length = message.data_header.len() + message.data_body.len();
            counted.fetch_add(length as u64, Ordering::Relaxed);
        });
        let mut batches = FlightRecordBatchStream::new_from_flight_data(messages.err_into());
        let mut rows = 0;
        while let Some(batch) = batches.try_next().await.map_err(BenchError::query)? {
            rows += batch.num_rows() as u64;
        }
        Ok(clock.stop(bytes.load(Ordering::Relaxed), rows))
    }
}

async fn connect(fetch: &Fetch) -> Result<Channel, BenchError> {
    let scheme = if fetch.tls.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{}", fetch.address);
    let mut endpoint = Endpoint::from_shared(url).map_err(BenchError::query)?;
    if let Some(Tls { ca, name }) = &fetch.tls {
        let config = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(ca))
            .domain_name(name);
        endpoint = endpoint.tls_config(config).map_err(BenchError::query)?;
    }
    let endpoint = endpoint
        .tcp_nodelay(true)
        .initial_stream_window_size(16 << 20)
        .initial_connection_window_size(64 << 20);
    endpoint.connect().await.map_err(BenchError::query)
}

async fn bare(address: SocketAddr, bytes: u64) -> Result<Told, BenchError> {
    let mut stream = TcpStream::connect(address)
        .await
        .map_err(BenchError::query)?;
    let mut buffer = vec![0; BUFFER];
    let clock = Clock::start();
    stream.write_u64(bytes).await.map_err(BenchError::query)?;
    let mut came = 0;
    loop {
        match stream.read(&mut buffer).await.map_err(BenchError::query)? {
            0 => break,
            more => came += more as u64,
        }
    }
    if came == bytes {
        Ok(clock.stop(came, 0))
    } else {
        Err(BenchError::query(format!("{came} bytes of {bytes} came")))
    }
}

/// Time and processor time of this process.
struct Clock(Instant, Option<Duration>);

impl Clock {
    fn start() -> Self {
        Self(Instant::now(), cpu_time(std::process::id()))
    }

    fn stop(self, bytes: u64, rows: u64) -> Told {
        let Self(started, before) = self;
        let seconds = started.elapsed().as_secs_f64();
        let cpu = cpu_time(std::process::id()).zip(before);
        Told::Done {
            seconds,
            cpu_seconds: cpu.map_or(0.0, |(after, before)| (after - before).as_secs_f64()),
            bytes,
            rows,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tickets_are_what_they_were() {
        let ticket = [0, 9, 127, 128, 255];
        let fetch = Fetch::plain(([127, 0, 0, 1], 1).into(), None, &ticket);
        assert_eq!(fetch.ticket, "00097f80ff");
        assert_eq!(fetch.ticket().ticket[..], ticket);
    }
}
