//! Numbers that a server shows, and how they are written down.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::listener::Vitals;

/// How a number moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Up, until the server stops.
    Counter,
    /// Up and down.
    Gauge,
}

/// A number, or several of one meaning. Names and labels are constants of the program: there are never
/// more of them, whatever clients do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    name: &'static str,
    help: &'static str,
    kind: Kind,
    values: Vec<(Option<Label>, u64)>,
}

type Label = (&'static str, &'static str);

impl Reading {
    /// What there is now.
    pub fn gauge(name: &'static str, help: &'static str, value: u64) -> Self {
        Self {
            name,
            help,
            kind: Kind::Gauge,
            values: vec![(None, value)],
        }
    }

    /// What there was since the start. `_total` is added to the name.
    pub fn counter(name: &'static str, help: &'static str, value: u64) -> Self {
        Self {
            kind: Kind::Counter,
            ..Self::gauge(name, help, value)
        }
    }

    /// The same by `label` in place of one number.
    #[must_use]
    pub fn by(
        self,
        label: &'static str,
        values: impl IntoIterator<Item = (&'static str, u64)>,
    ) -> Self {
        let values = values.into_iter();
        let values = values.map(|(of, value)| (Some((label, of)), value));
        Self {
            values: values.collect(),
            ..self
        }
    }

    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Counter => ConstCounter::new(0_u64).metric_type(),
            Kind::Gauge => ConstGauge::new(0_u64).metric_type(),
        };
        let mut metric = encoder.encode_descriptor(self.name, self.help, None, kind)?;
        for (label, value) in &self.values {
            match label {
                Some(label) => self.write(*value, metric.encode_family(&[*label])?)?,
                // Without a label there is one number.
                None => return self.write(*value, metric),
            }
        }
        Ok(())
    }

    fn write(&self, value: u64, metric: MetricEncoder<'_>) -> fmt::Result {
        match self.kind {
            Kind::Counter => ConstCounter::new(value).encode(metric),
            Kind::Gauge => ConstGauge::new(value).encode(metric),
        }
    }
}

/// The readings of a server, read whenever somebody asks.
struct Readings(Arc<dyn Vitals>);

impl fmt::Debug for Readings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Readings")
    }
}

impl Collector for Readings {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let readings = self.0.readings();
        readings
            .iter()
            .try_for_each(|reading| reading.encode(&mut encoder))
    }
}

/// All readings of `vitals`, to be written down by [`text`].
pub(crate) fn registry(vitals: Arc<dyn Vitals>, version: &'static str) -> Registry {
    let mut registry = Registry::with_prefix("weft");
    let build = Info::new([("version", version)]);
    registry.register("build", "The version of the server", build);
    registry.register_collector(Box::new(Readings(vitals)));
    registry
}

/// In the text format of OpenMetrics.
///
/// # Errors
/// None in practice: it is written to memory.
pub(crate) fn text(registry: &Registry) -> Result<String, fmt::Error> {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Steady;

    impl Vitals for Steady {
        fn checks(&self) -> Vec<(&'static str, bool)> {
            Vec::new()
        }

        fn readings(&self) -> Vec<Reading> {
            vec![
                Reading::gauge("connections", "Open connections", 3),
                Reading::counter("queries", "Ended queries", 0)
                    .by("state", [("finished", 7), ("failed", 1)]),
            ]
        }
    }

    #[test]
    fn readings_are_written_as_open_metrics() {
        let text = text(&registry(Arc::new(Steady), "1.2.3")).expect("text");
        for line in [
            "# TYPE weft_connections gauge",
            "weft_connections 3",
            "# TYPE weft_queries counter",
            "weft_queries_total{state=\"finished\"} 7",
            "weft_queries_total{state=\"failed\"} 1",
            "weft_build_info{version=\"1.2.3\"} 1",
        ] {
            assert!(text.lines().any(|it| it == line), "{line} in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
