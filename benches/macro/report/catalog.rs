//! What a large catalog costs.

use std::fmt;

use serde_json::{Value, json};

use super::super::Planning;
use super::super::planning::Medians;
use super::Report;

/// How many times as long planning may take with many products.
const RATIO: f64 = 1.2;

/// Writes nothing if no planning was measured.
pub(super) fn write(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    match report.planning.as_ref().and_then(line) {
        Some(line) => writeln!(f, "{line}\n"),
        None => Ok(()),
    }
}

/// For programs: times in seconds.
pub(super) fn json(planning: &Planning) -> Value {
    json!({
        "query": planning.query,
        "more_products": planning.more_products,
        "medians": planning.medians(),
    })
}

fn line(planning: &Planning) -> Option<String> {
    let Medians {
        few_seconds,
        many_seconds,
        ratio,
    } = planning.medians()?;
    let kept = if ratio > RATIO { "over" } else { "ok" };
    let [few, many] = [few_seconds, many_seconds].map(|seconds| seconds * 1e3);
    Some(format!(
        "Planning of q{:02}, median: {few:.1} ms, and {many:.1} ms with {} more products in the catalog: {ratio:.2} times as long, {kept}",
        planning.query, planning.more_products
    ))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn planning_may_take_a_fifth_longer() {
        let mut planning = Planning::new(5, 10_000);
        assert_eq!(line(&planning), None);
        for (few, many) in [(10, 90), (20, 24), (30, 10)] {
            planning.add(Duration::from_millis(few), Duration::from_millis(many));
        }
        assert_eq!(
            line(&planning).expect("a line"),
            "Planning of q05, median: 20.0 ms, and 24.0 ms with 10000 more products in the catalog: 1.20 times as long, ok"
        );
        let ratio = json(&planning)["medians"]["ratio"].as_f64();
        assert!(ratio.is_some_and(|ratio| (ratio - 1.2).abs() < 1e-9));
    }
}
