//! Steps of traces that have ended, for whoever collects them.

use std::sync::OnceLock;
use std::time::SystemTime;

use super::TraceContext;

type Collector = Box<dyn Fn(Ended) + Send + Sync>;

static COLLECTOR: OnceLock<Collector> = OnceLock::new();

/// Hands all steps that end from now on to `collector`, which must not wait. There is one per process;
/// tells whether this became it.
pub fn collect(collector: impl Fn(Ended) + Send + Sync + 'static) -> bool {
    COLLECTOR.set(Box::new(collector)).is_ok()
}

/// Whether anybody collects steps.
pub(super) fn are_collected() -> bool {
    COLLECTOR.get().is_some()
}

/// What a server did in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepKind {
    /// It answered a call.
    Served,
    /// It called another server.
    Called,
    /// It worked.
    Worked,
}

/// A step that has ended. It names no value of anybody's data.
#[derive(Debug, Clone)]
pub struct Ended {
    /// The step.
    pub context: TraceContext,
    /// What it was.
    pub kind: StepKind,
    /// What was done.
    pub name: &'static str,
    /// When it began.
    pub began: SystemTime,
    /// When it ended.
    pub ended: SystemTime,
    /// The code of the error that ended it.
    pub failed: Option<&'static str>,
    /// More about it: ids and counts.
    pub attributes: Vec<(&'static str, String)>,
}

/// A step under way; it ends when it is dropped.
#[derive(Debug)]
pub struct Step(Option<Ended>);

impl Step {
    /// The step `context`, if somebody collects steps of its trace.
    pub fn begin(context: TraceContext, kind: StepKind, name: &'static str) -> Self {
        let collected = are_collected() && context.is_sampled();
        let now = SystemTime::now();
        Self(collected.then(|| Ended {
            context,
            kind,
            name,
            began: now,
            ended: now,
            failed: None,
            attributes: Vec::new(),
        }))
    }

    /// Notes the error that ends it.
    pub fn fail(&mut self, code: &'static str) {
        if let Some(step) = &mut self.0 {
            step.failed = Some(code);
        }
    }

    /// Notes more about it; `value` is asked for only if somebody collects it.
    pub fn note(&mut self, name: &'static str, value: impl FnOnce() -> String) {
        if let Some(step) = &mut self.0 {
            step.attributes.push((name, value()));
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let (Some(mut step), Some(collector)) = (self.0.take(), COLLECTOR.get()) {
            step.ended = SystemTime::now();
            collector(step);
        }
    }
}
