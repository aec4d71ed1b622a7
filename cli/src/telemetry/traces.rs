//! Traces: steps that have ended, on their way to a collector of OpenTelemetry.

use std::sync::Arc;

use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SpanData, SpanProcessor};
use tracing::{info, warn};
use weft_governance::{Error, ErrorKind, ServerId, code};
use weft_wire::trace::{Ended, StepKind, collect};

/// The variables by which OpenTelemetry's programs are told of a collector.
const COLLECTOR: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
];

/// Sends what a server does to the collector that the environment names, over gRPC.
#[derive(Debug, Default)]
pub(crate) struct Traces(Option<Arc<BatchSpanProcessor>>);

impl Traces {
    /// Starts if there is a collector. Has to be called where the runtime is.
    ///
    /// # Errors
    /// If the environment says something that cannot be followed.
    pub(crate) fn start(server: &ServerId) -> Result<Self, Error> {
        let named = COLLECTOR.iter().find_map(std::env::var_os);
        if named.is_none_or(|endpoint| endpoint.is_empty()) {
            return Ok(Self::default());
        }
        let exporter = SpanExporter::builder().with_tonic().build();
        let exporter = exporter.map_err(|error| {
            let message = format!("traces cannot be sent: {error}");
            Error::new(ErrorKind::InvalidInput, code::SETTINGS, message).with_hint(
                "Set `OTEL_EXPORTER_OTLP_ENDPOINT` to a collector that takes OTLP over gRPC, such as \
                 `http://localhost:4317`, or to nothing.",
            )
        })?;
        let mut processor = BatchSpanProcessor::builder(exporter).build();
        // What the environment says of the service comes first.
        let service = std::env::var("OTEL_SERVICE_NAME").unwrap_or_else(|_| "weft".to_owned());
        let resource = Resource::builder()
            .with_attributes([
                KeyValue::new("service.name", service),
                KeyValue::new("service.instance.id", server.to_string()),
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            ])
            .build();
        processor.set_resource(&resource);
        let processor = Arc::new(processor);
        let ends = Arc::clone(&processor);
        if collect(move |step| ends.on_end(span(step))) {
            info!("traces are sent to the collector that the environment names");
        }
        Ok(Self(Some(processor)))
    }

    /// Sends what has not been sent yet.
    pub(crate) async fn stop(self) {
        let Some(processor) = self.0 else {
            return;
        };
        let flushed = tokio::task::spawn_blocking(move || processor.shutdown());
        if let Ok(Err(error)) = flushed.await {
            warn!(%error, "the last traces were not sent");
        }
    }
}

fn span(step: Ended) -> SpanData {
    let Ended {
        context,
        kind,
        name,
        began,
        ended,
        failed,
        attributes,
    } = step;
    let (trace, id, parent) = context.ids();
    let attributes = attributes
        .into_iter()
        .map(|(name, value)| KeyValue::new(name, value))
        .chain(failed.map(|code| KeyValue::new("error.type", code)))
        .collect();
    SpanData {
        span_context: SpanContext::new(
            TraceId::from(trace),
            SpanId::from(id),
            TraceFlags::SAMPLED,
            false,
            TraceState::NONE,
        ),
        parent_span_id: parent.map_or(SpanId::INVALID, SpanId::from),
        parent_span_is_remote: kind == StepKind::Served,
        span_kind: match kind {
            StepKind::Served => SpanKind::Server,
            StepKind::Called => SpanKind::Client,
            StepKind::Worked => SpanKind::Internal,
        },
        name: name.into(),
        start_time: began,
        end_time: ended,
        attributes,
        dropped_attributes_count: 0,
        events: Default::default(),
        links: Default::default(),
        status: failed.map_or(Status::Unset, Status::error),
        instrumentation_scope: InstrumentationScope::builder("weft").build(),
    }
}
