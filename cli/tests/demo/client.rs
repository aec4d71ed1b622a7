//! A Flight client of a demo that sees every message, and the memory of the demo's processes.

// Each of the tests that share it is a crate, and not all of them use all of it.
#![allow(dead_code)]

use std::net::SocketAddr;
use std::time::Duration;

use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::{CommandStatementQuery, ProstMessageExt};
use arrow_flight::{FlightData, FlightDescriptor, Ticket};
use futures::{StreamExt, TryStreamExt};
use prost::Message;
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};

use crate::demo::Demo;

impl Demo {
    pub(crate) fn start() -> Self {
        Self::start_with(|demo, folder| demo.arg("--dir").arg(folder))
    }

    /// Where clients connect in plain text.
    pub(crate) fn address(&self) -> SocketAddr {
        let url = self.text("/flight_sql");
        let address = url.strip_prefix("grpc://").expect("plain");
        address.parse().expect("an address")
    }

    /// Bytes of memory that the process `name` has now.
    pub(crate) fn resident(&self, name: &str) -> u64 {
        self.memory(name, "VmRSS:")
    }

    /// The most that it ever had.
    pub(crate) fn peak(&self, name: &str) -> u64 {
        self.memory(name, "VmHWM:")
    }

    fn memory(&self, name: &str, what: &str) -> u64 {
        let file = format!("/proc/{}/status", self.pid(name));
        let status = std::fs::read_to_string(file).expect("it lives");
        let said = status.lines().find_map(|line| line.strip_prefix(what));
        let said = said.and_then(|said| said.trim().strip_suffix(" kB"));
        let kibibytes: u64 = said.expect("there").parse().expect("a number");
        kibibytes * 1024
    }

    /// A client with a connection of its own.
    pub(crate) async fn client(&self) -> Client {
        let url = format!("http://{}", self.address());
        let channel = Channel::from_shared(url).expect("valid").connect().await;
        let bearer = format!("Bearer {}", self.text("/principals/analyst/token"));
        Client {
            inner: FlightServiceClient::new(channel.expect("connects")),
            bearer,
            trace: None,
        }
    }
}

/// One that is signed in as `analyst`.
pub(crate) struct Client {
    pub(crate) inner: FlightServiceClient<Channel>,
    bearer: String,
    trace: Option<&'static str>,
}

impl Client {
    /// The same, whose calls are in the trace that `header` says.
    pub(crate) fn within(self, header: &'static str) -> Self {
        let trace = Some(header);
        Self { trace, ..self }
    }

    /// `message` by whoever is signed in.
    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let bearer = self.bearer.parse().expect("a header");
        let metadata = request.metadata_mut();
        metadata.insert("authorization", bearer);
        if let Some(trace) = self.trace {
            metadata.insert("traceparent", trace.parse().expect("a header"));
        }
        request
    }

    /// The ticket of a query.
    pub(crate) async fn announce(&mut self, sql: &str) -> Result<Ticket, Status> {
        let query = CommandStatementQuery {
            query: sql.to_owned(),
            transaction_id: None,
        };
        let descriptor = FlightDescriptor::new_cmd(query.as_any().encode_to_vec());
        let request = self.request(descriptor);
        let info = self.inner.get_flight_info(request).await?.into_inner();
        let ticket = info.endpoint.into_iter().find_map(|it| it.ticket);
        Ok(ticket.expect("a ticket"))
    }

    /// The messages of a query's answer as they come.
    pub(crate) async fn messages(&mut self, sql: &str) -> Result<Streaming<FlightData>, Status> {
        let ticket = self.announce(sql).await?;
        let request = self.request(ticket);
        Ok(self.inner.do_get(request).await?.into_inner())
    }

    /// Bytes of a query's answer.
    pub(crate) async fn size(&mut self, sql: &str) -> Result<usize, Status> {
        let messages = self.messages(sql).await?;
        let sizes = messages.map_ok(|message| message.encoded_len());
        sizes.try_fold(0, async |all, more| Ok(all + more)).await
    }

    /// Asks a question whose answer is known: the server lives.
    pub(crate) async fn is_served(&mut self) {
        let sql = "SELECT count(*) FROM sales.orders.orders";
        let messages = self.messages(sql).await.expect("planned");
        let frames: Vec<_> = messages.collect().await;
        assert!(
            frames.len() >= 2 && frames.iter().all(Result::is_ok),
            "{frames:?}"
        );
    }
}

/// Runs a test to its end.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(test)
}

/// Whether tests are to take as long as they need.
pub(crate) fn at_length() -> bool {
    std::env::var_os("WEFT_TEST_FULL").is_some_and(|value| value == "1")
}

/// How long a test is in CI, and at length.
pub(crate) fn seconds(short: u64, long: u64) -> Duration {
    Duration::from_secs(if at_length() { long } else { short })
}
