//! What is known of the rows of the tables. It is found out in the background, one table at a time:
//! neither the node's start nor a query waits for it.
//!
//! Of each table first what its files say of themselves is taken, then the tables are read, small ones
//! first. What a grant with a row filter or masks shows of a table is read when a holder of the grant
//! asks for the first time, through the same barrier as a query of theirs: it depends on what they may
//! see and on nothing else. Coordinators learn of it by the node's epoch, which rises when more is
//! known.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use datafusion::common::Result;
use datafusion::execution::context::SessionState;
use futures::FutureExt;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, warn};
use weft_governance::{Error, TableRef};
use weft_plan::{ColumnStatistics, TableStatistics};

use crate::enforce::{Gate, Shown, VisibleTable};
use crate::fragment::Engine;
use crate::product::statistics::{ReadLimits, announced, measured, shown};

/// Coordinators ask anew whenever the epoch rises, so it does not rise more often.
const PAUSE: Duration = Duration::from_secs(1);
/// Digits of counts that others see.
const DIGITS: i32 = 3;

/// What is known so far. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Census(Arc<watch::Sender<Findings>>);

/// The work of finding out. Dropping it ends the work.
#[derive(Debug)]
pub(crate) struct Counting {
    _task: AbortOnDropHandle<()>,
}

/// Whose rows and cells: those of a table, or those of it that a grant shows under a federated policy,
/// if there is one. What a grant shows under one it may not show under the next.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Subject {
    table: TableRef,
    grant: Option<String>,
    federated: Option<u64>,
}

#[derive(Debug, Default)]
struct Findings {
    /// How often coordinators were told that more is known.
    revision: u64,
    /// What is known of each subject that was asked for. The columns are those of the table.
    known: BTreeMap<Subject, Option<Arc<TableStatistics>>>,
    /// Subjects that nobody has looked at yet, in the order in which they were asked for.
    wanted: Vec<Subject>,
    /// Whether all is known that was asked for, and coordinators were told.
    settled: bool,
}

impl Census {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Findings::default())))
    }

    /// Starts to find out about the tables of the policy of `gate`. `tell` is called with the
    /// revision whenever coordinators should ask anew.
    ///
    /// # Errors
    /// If the engine's settings do not fit.
    pub(crate) fn start(
        &self,
        gate: &Gate,
        engine: &Engine,
        tell: impl Fn(u64) + Send + Sync + 'static,
    ) -> Result<Counting, Error> {
        let counter = Counter {
            gate: gate.clone(),
            session: engine.background_session()?,
            findings: Arc::clone(&self.0),
            told: None,
            begun: Instant::now(),
            tell,
        };
        let task = engine.workers().spawn(counter.work());
        Ok(Counting {
            _task: AbortOnDropHandle::new(task),
        })
    }

    /// How often more became known.
    pub(crate) fn revision(&self) -> u64 {
        self.0.borrow().revision
    }

    /// Waits until all is known that was asked for.
    pub(crate) async fn settled(&self) {
        let mut findings = self.0.subscribe();
        // The sender is as old as this.
        let _ = findings.wait_for(|findings| findings.settled).await;
    }

    /// What is known of the rows of `visible` as its asker may see them, rounded. What is not known
    /// of a grant yet will be found out.
    pub(crate) fn of(&self, visible: &VisibleTable) -> Option<TableStatistics> {
        self.want(visible);
        let findings = self.0.borrow();
        let known = |shown: &Shown| {
            let subject = Subject::of(visible, shown);
            findings.known.get(&subject)?.as_ref()
        };
        let rows = known(visible.rows.as_ref()?)?.rows;
        let columns = visible.columns.iter().map(|(place, shown)| {
            let column = known(shown).and_then(|known| known.columns.get(*place));
            column.map(rounded).unwrap_or_default()
        });
        Some(TableStatistics {
            rows: round(rows),
            columns: columns.collect(),
        })
    }

    fn want(&self, visible: &VisibleTable) {
        let shown = visible.columns.iter().map(|(_, shown)| shown);
        let shown = shown.chain(&visible.rows);
        let narrowed = shown.filter(|shown| matches!(shown, Shown::Through(_)));
        let wanted: Vec<Subject> = {
            let findings = self.0.borrow();
            let subjects = narrowed.map(|shown| Subject::of(visible, shown));
            subjects
                .filter(|subject| !findings.known.contains_key(subject))
                .collect()
        };
        if wanted.is_empty() {
            return;
        }
        self.0.send_modify(|findings| {
            for subject in wanted {
                if !findings.known.contains_key(&subject) {
                    findings.known.insert(subject.clone(), None);
                    findings.wanted.push(subject);
                    findings.settled = false;
                }
            }
        });
    }
}

impl Subject {
    fn of(visible: &VisibleTable, shown: &Shown) -> Self {
        match shown {
            Shown::Openly => Self::whole(visible.table.clone()),
            Shown::Through(grant) => Self {
                table: visible.table.clone(),
                grant: Some(grant.clone()),
                federated: visible.federated,
            },
        }
    }

    fn whole(table: TableRef) -> Self {
        Self {
            table,
            grant: None,
            federated: None,
        }
    }
}

/// Finds out.
struct Counter<T> {
    /// Its newest policy holds what owners have granted since.
    gate: Gate,
    session: SessionState,
    findings: Arc<watch::Sender<Findings>>,
    /// When coordinators were last told.
    told: Option<Instant>,
    begun: Instant,
    tell: T,
}

impl<T: Fn(u64) + Send + Sync> Counter<T> {
    async fn work(mut self) {
        let policy = self.gate.policy();
        let tables = policy.products().iter().flat_map(|it| &it.tables);
        let tables: Vec<TableRef> = tables.map(|table| table.reference.clone()).collect();
        let mut sized = Vec::new();
        for table in tables {
            let subject = Subject::whole(table);
            let found = self.try_to(&subject, self.announced(&subject)).await;
            sized.push((found.as_ref().map(|found| found.rows), subject.clone()));
            self.keep(subject, found);
        }
        // Those of which nothing is known come first: they are text, and rarely large.
        sized.sort();
        for (_, subject) in sized {
            self.tell_in_time();
            if let Some(found) = self.try_to(&subject, self.measured(&subject)).await {
                self.keep(subject, Some(found));
            }
        }
        loop {
            for subject in self.next_wanted() {
                self.tell_in_time();
                let found = self.try_to(&subject, self.shown(&subject)).await;
                self.keep(subject, found);
            }
            if !self.has_wanted() {
                self.settle().await;
            }
            let mut findings = self.findings.subscribe();
            // The sender is as old as this.
            let _ = findings.wait_for(|it| !it.wanted.is_empty()).await;
        }
    }

    async fn announced(&self, subject: &Subject) -> Result<Option<TableStatistics>> {
        match self.gate.policy().guarded(&subject.table) {
            Some(guarded) => announced(guarded.table.source.as_ref(), &self.session).await,
            None => Ok(None),
        }
    }

    async fn measured(&self, subject: &Subject) -> Result<Option<TableStatistics>> {
        let policy = self.gate.policy();
        let Some(guarded) = policy.guarded(&subject.table) else {
            return Ok(None);
        };
        let (source, key) = (guarded.table.source.as_ref(), &guarded.table.key);
        let limits = ReadLimits::default();
        measured(source, key, &self.session, limits).await.map(Some)
    }

    async fn shown(&self, subject: &Subject) -> Result<Option<TableStatistics>> {
        let Subject {
            table,
            grant,
            federated,
        } = subject;
        let policy = self.gate.policy();
        if policy.federated_version() != *federated {
            return Ok(None);
        }
        let grant = grant.as_deref().unwrap_or_default();
        let Some(source) = policy.shown_by(table, grant)? else {
            return Ok(None);
        };
        let most = ReadLimits::default().whole_rows;
        let found = shown(source.as_ref(), &self.session, most).await?;
        let schema = source.schema();
        let whole = policy.guarded(table).map(|it| &it.table.schema);
        Ok(found.zip(whole).map(|(found, whole)| {
            let column = |name: &String| found.columns.get(schema.index_of(name).ok()?).cloned();
            let columns = whole.fields().iter();
            TableStatistics {
                rows: found.rows,
                columns: columns
                    .map(|field| column(field.name()).unwrap_or_default())
                    .collect(),
            }
        }))
    }

    /// What `work` finds. A table that cannot be read is one of which nothing is known.
    async fn try_to(
        &self,
        subject: &Subject,
        work: impl Future<Output = Result<Option<TableStatistics>>> + Send,
    ) -> Option<TableStatistics> {
        let Subject { table, grant, .. } = subject;
        // A decoder may give up on a damaged file by a panic.
        match std::panic::AssertUnwindSafe(work).catch_unwind().await {
            Ok(Ok(found)) => {
                debug!(%table, grant, rows = found.as_ref().map(|it| it.rows), "table counted");
                found
            }
            Ok(Err(cause)) => {
                warn!(%table, grant, %cause, "table could not be counted");
                None
            }
            Err(_) => {
                warn!(%table, grant, "table could not be counted: its reader panicked");
                None
            }
        }
    }

    fn keep(&self, subject: Subject, found: Option<TableStatistics>) {
        let found = found.map(Arc::new);
        self.findings.send_modify(|findings| {
            findings.known.insert(subject, found);
        });
    }

    fn next_wanted(&self) -> Vec<Subject> {
        let mut wanted = Vec::new();
        self.findings
            .send_modify(|findings| wanted = std::mem::take(&mut findings.wanted));
        wanted
    }

    fn has_wanted(&self) -> bool {
        !self.findings.borrow().wanted.is_empty()
    }

    /// Tells coordinators what is known so far, unless they were told a moment ago.
    fn tell_in_time(&mut self) {
        let now = Instant::now();
        if now >= self.told.unwrap_or(self.begun) + PAUSE {
            self.told = Some(now);
            self.raise(false);
        }
    }

    /// Tells coordinators what is known.
    async fn settle(&mut self) {
        if let Some(told) = self.told {
            sleep_until(told + PAUSE).await;
        }
        self.told = Some(Instant::now());
        self.raise(true);
    }

    fn raise(&self, settled: bool) {
        let mut revision = 0;
        self.findings.send_modify(|findings| {
            findings.revision += 1;
            findings.settled = settled && findings.wanted.is_empty();
            revision = findings.revision;
        });
        (self.tell)(revision);
    }
}

fn rounded(column: &ColumnStatistics) -> ColumnStatistics {
    let ColumnStatistics {
        distinct,
        nulls,
        low,
        high,
        width,
    } = column;
    ColumnStatistics {
        distinct: distinct.map(round),
        nulls: nulls.map(round),
        low: low.clone(),
        high: high.clone(),
        width: width.map(|width| (width * 10.0).round() / 10.0),
    }
}

/// `count` to three significant digits.
fn round(count: u64) -> u64 {
    let digits = count.checked_ilog10().map_or(0, |log| log as i32 + 1);
    let unit = 10_u64.pow(u32::try_from(digits - DIGITS).unwrap_or(0));
    let up = unit > 1 && count % unit >= unit / 2;
    (count / unit + u64::from(up)).saturating_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_rounded_to_three_digits() {
        for (count, rounded) in [
            (0, 0),
            (25, 25),
            (999, 999),
            (1_004, 1_000),
            (1_005, 1_010),
            (15_000, 15_000),
            (60_175, 60_200),
            (9_999, 10_000),
            (6_001_215, 6_000_000),
        ] {
            assert_eq!(round(count), rounded, "{count}");
        }
    }
}
