//! Engines that take turns on a query, and what comes of it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Engine, EngineKind, Flow, Run, Wire};
use crate::tpch::Query;

/// How often each engine runs a query.
#[derive(Debug, Clone, Copy)]
pub struct Turns {
    /// Runs that are not counted.
    pub warm_up: usize,
    /// Runs that are.
    pub runs: usize,
}

/// What came of one query.
#[derive(Debug, Clone)]
pub struct Raced {
    /// Its number.
    pub query: usize,
    /// What came of it at each engine.
    pub outcomes: BTreeMap<EngineKind, Outcome>,
}

/// What came of one query at one engine.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The measured runs.
    Ran(Vec<Run>),
    /// What the engine said in place of an answer.
    Failed(String),
}

/// What is to be thought of Weft's answers to a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// They are those of the other engines.
    Equal,
    /// There is no other engine to compare with.
    Unchecked,
    /// They are not those of the other engines.
    Wrong(String),
    /// An engine did not answer.
    Failed(String),
}

/// Has `engines` run `query` in turns. An engine that fails is not asked again.
pub async fn race(engines: &mut [Box<dyn Engine>], query: &Query, turns: Turns) -> Raced {
    let mut outcomes = BTreeMap::new();
    for turn in 0..turns.warm_up + turns.runs {
        for engine in engines.iter_mut() {
            let outcome = outcomes
                .entry(engine.kind())
                .or_insert_with(|| Outcome::Ran(Vec::new()));
            let Outcome::Ran(runs) = outcome else {
                continue;
            };
            match engine.run(query.sql).await {
                Ok(run) if turn >= turns.warm_up => runs.push(run),
                Ok(_) => {}
                Err(error) => *outcome = Outcome::Failed(error.to_string()),
            }
        }
    }
    Raced {
        query: query.number,
        outcomes,
    }
}

impl Raced {
    /// The measured runs of `engine`; none if it failed or was not asked.
    pub fn runs(&self, engine: EngineKind) -> &[Run] {
        match self.outcomes.get(&engine) {
            Some(Outcome::Ran(runs)) => runs,
            Some(Outcome::Failed(_)) | None => &[],
        }
    }

    /// The shortest time of `engine`.
    pub fn best(&self, engine: EngineKind) -> Option<Duration> {
        self.runs(engine).iter().map(|run| run.time).min()
    }

    /// The time of `engine` that as many runs were below as above.
    pub fn median(&self, engine: EngineKind) -> Option<Duration> {
        let mut times: Vec<Duration> = self.runs(engine).iter().map(|run| run.time).collect();
        times.sort();
        let middle = times.len() / 2;
        let upper = *times.get(middle)?;
        if times.len() % 2 == 1 {
            return Some(upper);
        }
        let lower = *times.get(middle.checked_sub(1)?)?;
        Some((lower + upper) / 2)
    }

    /// The processor time of `engine` in one run, as a mean: the kernel counts in hundredths of a
    /// second.
    pub fn cpu(&self, engine: EngineKind) -> Option<Duration> {
        let runs = self.runs(engine);
        let sum: Duration = runs.iter().map(|run| run.cpu).sum::<Option<_>>()?;
        sum.checked_div(u32::try_from(runs.len()).ok()?)
    }

    /// What crossed the boundaries of domains in the last run of Weft.
    pub fn flows(&self) -> &[Flow] {
        self.flows_of(EngineKind::Weft)
    }

    /// What crossed the boundaries of domains in the last run of `engine`.
    pub fn flows_of(&self, engine: EngineKind) -> &[Flow] {
        let last = self.runs(engine).last();
        last.map_or(&[], |run| &run.flows)
    }

    /// The same in the last run of Weft by the account of the kernel.
    pub fn wire(&self) -> &[Wire] {
        let last = self.runs(EngineKind::Weft).last();
        last.map_or(&[], |run| &run.wire)
    }

    /// What is to be thought of Weft's answers.
    pub fn verdict(&self) -> Verdict {
        for (engine, outcome) in &self.outcomes {
            if let Outcome::Failed(message) = outcome {
                return Verdict::Failed(format!("{engine}: {message}"));
            }
        }
        let own = self.runs(EngineKind::Weft);
        let mut verdict = Verdict::Unchecked;
        for other in EngineKind::ALL {
            if other == EngineKind::Weft {
                continue;
            }
            let Some(known) = self.runs(other).first().map(|run| &run.answer) else {
                continue;
            };
            if let Some(run) = own.iter().find(|run| !run.answer.agrees(known)) {
                let (own, known) = (run.answer.rows, known.rows);
                return Verdict::Wrong(if own == known {
                    format!("{own} rows, other than those of {other}")
                } else {
                    format!("{own} rows, {known} of {other}")
                });
            }
            verdict = Verdict::Equal;
        }
        verdict
    }
}

impl Verdict {
    /// Whether something has to be looked into.
    pub fn is_bad(&self) -> bool {
        match self {
            Self::Equal | Self::Unchecked => false,
            Self::Wrong(_) | Self::Failed(_) => true,
        }
    }

    /// In one word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Unchecked => "unchecked",
            Self::Wrong(_) => "WRONG",
            Self::Failed(_) => "FAILED",
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::{Arc, Mutex};

    use async_trait::async_trait;

    use super::super::{Answer, BenchError};
    use super::*;
    use crate::tpch::QUERIES;

    pub(crate) fn run(millis: u64, rows: u64, checksum: Option<&str>) -> Run {
        Run {
            time: Duration::from_millis(millis),
            cpu: Some(Duration::from_millis(2 * millis)),
            answer: Answer {
                rows,
                checksum: checksum.map(str::to_owned),
            },
            flows: Vec::new(),
            wire: Vec::new(),
        }
    }

    pub(crate) fn raced(query: usize, runs: &[(EngineKind, Vec<Run>)]) -> Raced {
        let outcomes = runs.iter().cloned();
        Raced {
            query,
            outcomes: outcomes
                .map(|(kind, runs)| (kind, Outcome::Ran(runs)))
                .collect(),
        }
    }

    /// An engine that notes when it is asked, and always says the same.
    pub(crate) struct Noted {
        kind: EngineKind,
        notes: Arc<Mutex<Vec<EngineKind>>>,
        /// Nothing if it fails.
        run: Option<Run>,
    }

    impl Noted {
        pub(crate) fn new(kind: EngineKind, run: Run) -> Self {
            Self {
                kind,
                notes: Arc::default(),
                run: Some(run),
            }
        }
    }

    #[async_trait]
    impl Engine for Noted {
        fn kind(&self) -> EngineKind {
            self.kind
        }

        async fn run(&mut self, _: &str) -> Result<Run, BenchError> {
            self.notes.lock().expect("notes").push(self.kind);
            let out_of_order = || BenchError::query("out of order");
            self.run.clone().ok_or_else(out_of_order)
        }

        fn processes(&self) -> Vec<(String, u32)> {
            Vec::new()
        }
    }

    async fn take_turns(failing: Option<EngineKind>) -> (Raced, Vec<EngineKind>) {
        let notes = Arc::<Mutex<Vec<EngineKind>>>::default();
        let mut engines: Vec<Box<dyn Engine>> = Vec::new();
        for kind in [EngineKind::Weft, EngineKind::DuckDb] {
            let run = (failing != Some(kind)).then(|| run(1, 1, None));
            let notes = Arc::clone(&notes);
            engines.push(Box::new(Noted { kind, notes, run }));
        }
        let turns = Turns {
            warm_up: 1,
            runs: 2,
        };
        let raced = race(&mut engines, &QUERIES[5], turns).await;
        let notes = notes.lock().expect("notes").clone();
        (raced, notes)
    }

    #[tokio::test]
    async fn engines_take_turns_and_warm_ups_do_not_count() {
        use EngineKind::{DuckDb, Weft};
        let (raced, notes) = take_turns(None).await;
        assert_eq!(notes, [Weft, DuckDb, Weft, DuckDb, Weft, DuckDb]);
        assert_eq!((raced.query, raced.runs(Weft).len()), (6, 2));
    }

    #[tokio::test]
    async fn an_engine_that_fails_is_not_asked_again() {
        use EngineKind::{DuckDb, Weft};
        let (raced, notes) = take_turns(Some(Weft)).await;
        assert_eq!(notes, [Weft, DuckDb, DuckDb, DuckDb]);
        let failed = Verdict::Failed("weft: out of order".to_owned());
        assert_eq!(raced.verdict(), failed);
        assert_eq!(raced.best(Weft), None);
    }

    #[test]
    fn best_median_and_mean() {
        let runs = |times: &[u64]| times.iter().map(|time| run(*time, 1, None)).collect();
        let ms = |ms| Some(Duration::from_millis(ms));
        let odd = raced(1, &[(EngineKind::Weft, runs(&[30, 10, 20, 90, 25]))]);
        assert_eq!(odd.best(EngineKind::Weft), ms(10));
        assert_eq!(odd.median(EngineKind::Weft), ms(25));
        assert_eq!(odd.cpu(EngineKind::Weft), ms(70));
        let even = raced(1, &[(EngineKind::Weft, runs(&[30, 10, 20, 40]))]);
        assert_eq!(even.median(EngineKind::Weft), ms(25));
        assert_eq!(even.median(EngineKind::DuckDb), None);
        assert_eq!(even.cpu(EngineKind::DuckDb), None);
    }

    #[test]
    fn an_answer_is_judged_by_every_other_engine() {
        use EngineKind::{DataFusion, DuckDb, Weft};
        let weft = || (Weft, vec![run(1, 3, Some("a")), run(1, 3, Some("a"))]);
        let verdict = |others: &[(EngineKind, Vec<Run>)]| {
            let mut all = vec![weft()];
            all.extend(others.iter().cloned());
            raced(1, &all).verdict().word()
        };
        assert_eq!(verdict(&[]), "unchecked");
        assert_eq!(
            verdict(&[(DataFusion, vec![run(1, 3, Some("a"))])]),
            "equal"
        );
        assert_eq!(
            verdict(&[(DataFusion, vec![run(1, 3, Some("b"))])]),
            "WRONG"
        );
        assert_eq!(verdict(&[(DataFusion, vec![run(1, 2, None)])]), "WRONG");
        let equal = (DataFusion, vec![run(1, 3, Some("a"))]);
        assert_eq!(
            verdict(&[equal.clone(), (DuckDb, vec![run(1, 3, None)])]),
            "equal"
        );
        assert_eq!(verdict(&[equal, (DuckDb, vec![run(1, 4, None)])]), "WRONG");
        let once = raced(
            1,
            &[
                (Weft, vec![run(1, 3, Some("a")), run(1, 2, Some("a"))]),
                (DataFusion, vec![run(1, 3, Some("a"))]),
            ],
        );
        assert!(once.verdict().is_bad(), "every run counts");
    }
}
