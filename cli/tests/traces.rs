//! Steps of a query at a collector of OpenTelemetry.

// The lints that spare tests spare the functions beside them too.
#![cfg(test)]

#[path = "demo/client.rs"]
mod client;
mod demo;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::StreamExt;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use tokio::net::TcpListener;
use tonic::codegen::tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use demo::Demo;

/// Nothing here takes longer.
const PATIENCE: Duration = Duration::from_secs(60);
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const STEP: &str = "b7ad6b7169203331";
const HEADER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const JOIN: &str = "SELECT count(*) FROM sales.orders.orders JOIN crm.customers.customer \
                    ON o_custkey = c_custkey WHERE c_name <> 'Customer#000000007'";

/// A step as it came.
#[derive(Debug, Clone)]
struct Came {
    server: String,
    trace: String,
    step: String,
    parent: String,
    name: String,
    attributes: Vec<(String, String)>,
}

/// Takes all steps that are sent.
#[derive(Debug, Clone, Default)]
struct Collector(Arc<Mutex<Vec<Came>>>);

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn texts(attributes: Vec<KeyValue>) -> Vec<(String, String)> {
    let text = |value: KeyValue| match value.value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => (value.key, text),
        other => (value.key, format!("{other:?}")),
    };
    attributes.into_iter().map(text).collect()
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut came = self.0.lock().expect("whole");
        for of_server in request.into_inner().resource_spans {
            let server = texts(of_server.resource.expect("a server").attributes);
            let server = server.iter().find(|(key, _)| key == "service.instance.id");
            let server = &server.expect("named").1;
            let spans = of_server.scope_spans.into_iter().flat_map(|it| it.spans);
            came.extend(spans.map(|span| Came {
                server: server.clone(),
                trace: hex(&span.trace_id),
                step: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                name: span.name,
                attributes: texts(span.attributes),
            }));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// The steps of the test's trace once `whole` finds all of them there.
    async fn steps(&self, whole: impl Fn(&[Came]) -> bool) -> Vec<Came> {
        let started = Instant::now();
        loop {
            let came = self.0.lock().expect("whole").clone();
            let own: Vec<_> = came.into_iter().filter(|it| it.trace == TRACE).collect();
            if whole(&own) {
                return own;
            }
            assert!(started.elapsed() < PATIENCE, "{own:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_steps_of_a_query_at_all_servers_are_one_trace() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
    let collector = Collector::default();
    let service = TraceServiceServer::new(collector.clone());
    let serving = Server::builder()
        .add_service(service)
        .serve_with_incoming(TcpListenerStream::new(listener));
    let serving = tokio::spawn(serving);
    let demo = tokio::task::block_in_place(|| {
        Demo::start_with(|demo, folder| {
            demo.arg("--dir").arg(folder);
            demo.env("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)
                .env("OTEL_BSP_SCHEDULE_DELAY", "50")
        })
    });
    let mut client = demo.client().await.within(HEADER);
    let messages = client.messages(JOIN).await.expect("planned");
    let frames: Vec<_> = messages.collect().await;
    assert!(frames.iter().all(Result::is_ok), "{frames:?}");
    let nodes = |steps: &[Came]| -> BTreeSet<String> {
        let served = steps.iter().filter(|it| it.name == "DoExchange");
        served.map(|it| it.server.clone()).collect()
    };
    let steps = collector
        .steps(|steps| nodes(steps).len() == 2 && steps.iter().any(|it| it.name == "DoGet"))
        .await;
    let named = |name: &'static str| steps.iter().filter(move |it| it.name == name);
    let fetch = named("DoGet").next().expect("fetched");
    assert_eq!(
        (fetch.server.as_str(), fetch.parent.as_str()),
        ("coordinator/main", STEP)
    );
    let query = named("query").find(|it| it.parent == fetch.step);
    let query = query.expect("a query within the call");
    for exchange in named("DoExchange") {
        let fragment = named("fragment").find(|it| it.step == exchange.parent);
        let fragment = fragment.expect("a fragment that the node was asked for");
        assert_eq!(fragment.parent, query.step);
        let node = fragment
            .attributes
            .iter()
            .find(|(key, _)| key == "weft.node");
        assert_eq!(node.expect("a node").1, exchange.server);
    }
    // Nothing of what was asked, or found, is told to the collector.
    let all = format!("{steps:?}");
    assert!(
        !all.contains("Customer#") && !all.contains("SELECT"),
        "{all}"
    );
    drop(demo);
    serving.abort();
}
