//! One row of one domain joined with one of another, again and again: what a query costs that moves
//! nearly nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Answer, Engine, EngineKind};

/// Orders that are asked for first and do not count.
const WARM_UP: usize = 10;
/// Orders at scale 1.
const ORDERS: f64 = 1_500_000.0;
/// Steps of this length through the orders come by every one of them before they repeat: it is a prime
/// that does not divide their number.
const STRIDE: u64 = 15_485_863;

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Points {
    /// How long each engine took for each order.
    times: BTreeMap<EngineKind, Vec<Duration>>,
    /// Rows that came. Of an order or a customer that is held back none do.
    found: u64,
    /// The first thing that was not as it should be.
    pub wrong: Option<String>,
}

impl Points {
    /// Has `engines` find the customers of `count` orders in turns, in data of `scale`.
    pub async fn race(engines: &mut [Box<dyn Engine>], count: usize, scale: f64) -> Self {
        let mut points = Self::default();
        for nth in 0..WARM_UP + count {
            let sql = sql(order_key(nth, scale));
            let mut known: Option<Answer> = None;
            for engine in engines.iter_mut() {
                let kind = engine.kind();
                match engine.run(&sql).await {
                    Ok(run) => {
                        points.check(kind, &run.answer, known.as_ref());
                        known.get_or_insert(run.answer);
                        if nth >= WARM_UP {
                            points.times.entry(kind).or_default().push(run.time);
                        }
                    }
                    Err(error) => points.say(format!("{kind}: {error}")),
                }
            }
        }
        if points.found == 0 {
            points.say("none of the orders was found".to_owned());
        }
        for times in points.times.values_mut() {
            times.sort();
        }
        points
    }

    /// The engines that answered.
    pub fn engines(&self) -> impl Iterator<Item = EngineKind> {
        self.times.keys().copied()
    }

    /// How many answers of `engine` were measured.
    pub fn count(&self, engine: EngineKind) -> usize {
        self.times.get(&engine).map_or(0, Vec::len)
    }

    /// The time that so many percent of the answers of `engine` did not exceed.
    pub fn percentile(&self, engine: EngineKind, percent: usize) -> Option<Duration> {
        let times = self.times.get(&engine)?;
        let place = (times.len() * percent).div_ceil(100).saturating_sub(1);
        times.get(place).copied()
    }

    fn check(&mut self, engine: EngineKind, answer: &Answer, known: Option<&Answer>) {
        self.found += answer.rows;
        if answer.rows > 1 {
            self.say(format!("{engine}: {} rows for one order", answer.rows));
        } else if known.is_some_and(|known| !known.agrees(answer)) {
            self.say(format!("{engine}: another customer than the engine before"));
        }
    }

    fn say(&mut self, what: String) {
        self.wrong.get_or_insert(what);
    }
}

fn sql(order_key: u64) -> String {
    format!(
        "select o_orderkey, o_orderdate, o_totalprice, c_name, c_acctbal from orders join customer on o_custkey = c_custkey where o_orderkey = {order_key}"
    )
}

/// The key of the `nth` order that is asked for. Of 32 keys in a row the benchmark uses the first eight.
pub(super) fn order_key(nth: usize, scale: f64) -> u64 {
    let orders = ((ORDERS * scale) as u64).max(1);
    let order = (nth as u64).wrapping_mul(STRIDE) % orders + 1;
    order / 8 * 32 + order % 8
}

#[cfg(test)]
impl Points {
    /// With these times in milliseconds, in their order.
    pub(super) fn of(millis: impl IntoIterator<Item = (EngineKind, Vec<u64>)>) -> Self {
        let times = |all: Vec<u64>| all.into_iter().map(Duration::from_millis).collect();
        let engines = millis.into_iter();
        Self {
            times: engines.map(|(kind, all)| (kind, times(all))).collect(),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::race::tests::{Noted, run};
    use super::*;

    #[test]
    fn the_keys_are_keys_of_orders_and_do_not_repeat() {
        let keys: BTreeSet<u64> = (0..1_500).map(|nth| order_key(nth, 0.001)).collect();
        assert_eq!(keys.len(), 1_500);
        assert_eq!(keys.first(), Some(&1));
        assert_eq!(keys.last(), Some(&(1_500 / 8 * 32 + 4)));
        assert!(keys.iter().all(|key| key % 32 < 8));
    }

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let points = Points::of([
            (EngineKind::Weft, (1..=200).collect()),
            (EngineKind::DataFusion, vec![7]),
        ]);
        let at = |engine, percent| points.percentile(engine, percent).map(|it| it.as_millis());
        assert_eq!(at(EngineKind::Weft, 50), Some(100));
        assert_eq!(at(EngineKind::Weft, 99), Some(198));
        assert_eq!(at(EngineKind::DataFusion, 50), Some(7));
        assert_eq!(at(EngineKind::DataFusion, 99), Some(7));
        assert_eq!(at(EngineKind::DuckDb, 50), None);
    }

    #[tokio::test]
    async fn engines_take_turns_and_must_agree() {
        use EngineKind::{DataFusion, Weft};
        let race = |answers: [u64; 2]| async move {
            let engine = |(kind, rows)| -> Box<dyn Engine> {
                Box::new(Noted::new(kind, run(1, rows, Some("a"))))
            };
            let kinds = [Weft, DataFusion].into_iter().zip(answers);
            let mut engines: Vec<_> = kinds.map(engine).collect();
            Points::race(&mut engines, 3, 0.001).await
        };
        let good = race([1, 1]).await;
        assert_eq!((good.count(Weft), good.wrong), (3, None));
        let bad = race([1, 2]).await;
        assert_eq!(
            bad.wrong.as_deref(),
            Some("datafusion: 2 rows for one order")
        );
        let other = race([1, 0]).await;
        assert_eq!(
            other.wrong.as_deref(),
            Some("datafusion: another customer than the engine before")
        );
        assert_eq!(
            race([0, 0]).await.wrong.as_deref(),
            Some("none of the orders was found")
        );
    }
}
