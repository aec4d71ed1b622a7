//! Which queries run now, which wait, and which are refused at once.
//!
//! Those who ask share what there is: nobody runs or waits for more than a part of it, a place that
//! becomes free goes to whoever runs least, and where no more may wait, whoever waits most gives way.

mod crowd;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::timeout;
use weft_governance::{Error, ErrorKind, code};

use crowd::Crowd;

/// How long clients take from the plan of a query to asking for its rows.
const UNTIL_ASKED: Duration = Duration::from_millis(500);

/// How many queries run and wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdmissionLimits {
    /// Queries that run at a time.
    pub running: usize,
    /// Those of one principal.
    pub running_per_principal: usize,
    /// Queries that wait for a place.
    pub waiting: usize,
    /// For how long one waits.
    pub patience: Duration,
}

/// The places. Cheap to clone.
#[derive(Clone)]
pub struct Admission(Arc<Places>);

struct Places {
    limits: AdmissionLimits,
    state: Mutex<State>,
}

struct State {
    next: u64,
    running: usize,
    /// By principal; none that runs nothing.
    runs: HashMap<String, usize>,
    waiting: VecDeque<Waiter>,
    planned: Vec<Expected>,
    refused: Crowd,
}

/// A query that is being planned, or was a moment ago, and will want a place.
struct Expected {
    number: u64,
    principal: String,
    /// Until when it is waited for; nothing while it is being planned.
    until: Option<Instant>,
}

struct Waiter {
    number: u64,
    principal: String,
    answer: oneshot::Sender<Verdict>,
}

enum Verdict {
    /// The place is counted already.
    Runs,
    GivesWay,
}

/// The prospect of a place for a query that is being planned, so that no more are planned than there is
/// room for.
pub struct Prospect {
    admission: Admission,
    number: u64,
}

/// The right to run one query, until it is dropped.
pub struct Place {
    admission: Admission,
    principal: String,
}

impl Admission {
    /// Places within `limits`, of each at least one.
    pub fn new(limits: AdmissionLimits) -> Self {
        Self(Arc::new(Places {
            limits: AdmissionLimits {
                running: limits.running.max(1),
                running_per_principal: limits.running_per_principal.max(1),
                ..limits
            },
            state: Mutex::new(State {
                next: 0,
                running: 0,
                runs: HashMap::new(),
                waiting: VecDeque::new(),
                planned: Vec::new(),
                refused: Crowd::new(Instant::now()),
            }),
        }))
    }

    /// A place for a query of `principal`, at once or after a while.
    ///
    /// # Errors
    /// `WEFT-RESOURCES` with the time after which to try again, if too many wait, or it waited too long.
    pub async fn enter(&self, principal: &str) -> Result<Place, Error> {
        let waiting = match self.ask(principal)? {
            Asked::Runs(place) => return Ok(place),
            Asked::Waits(waiting) => waiting,
        };
        match timeout(self.0.limits.patience, waiting.answered()).await {
            Ok(Verdict::Runs) => Ok(self.place(principal)),
            Ok(Verdict::GivesWay) => Err(self.full(&mut self.lock())),
            Err(_) => Err(self.too_long(&mut self.lock())),
        }
    }

    /// Refuses now what [`enter`](Self::enter) would refuse at once, before work is put into it. What is
    /// not refused counts as one that waits until it enters.
    ///
    /// # Errors
    /// The same.
    pub fn expect(&self, principal: &str) -> Result<Prospect, Error> {
        let mut state = self.lock();
        let now = Instant::now();
        state
            .planned
            .retain(|it| it.until.is_none_or(|until| now < until));
        let free = self.is_free(&state, principal) || self.may_wait(&state, principal);
        if !free || !self.may_be_planned(&state, principal) {
            return Err(self.full(&mut state));
        }
        let number = state.next;
        state.next += 1;
        state.planned.push(Expected {
            number,
            principal: principal.to_owned(),
            until: None,
        });
        Ok(Prospect {
            admission: self.clone(),
            number,
        })
    }

    /// Queries that wait for a place.
    pub fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Queries that have one.
    pub fn running(&self) -> usize {
        self.lock().running
    }

    fn ask(&self, principal: &str) -> Result<Asked, Error> {
        let mut state = self.lock();
        if self.is_free(&state, principal) {
            state.begin(principal);
            return Ok(Asked::Runs(self.place(principal)));
        }
        if !self.may_wait(&state, principal) {
            return Err(self.full(&mut state));
        }
        if state.waiting.len() >= self.0.limits.waiting {
            state.make_way();
        }
        let (answer, verdict) = oneshot::channel();
        let number = state.next;
        state.next += 1;
        state.waiting.push_back(Waiter {
            number,
            principal: principal.to_owned(),
            answer,
        });
        Ok(Asked::Waits(Waiting {
            admission: self.clone(),
            principal: principal.to_owned(),
            number,
            verdict,
        }))
    }

    /// Whether a query of `principal` can run now. Those who wait are served first, unless none of
    /// them may run.
    fn is_free(&self, state: &State, principal: &str) -> bool {
        state.running < self.0.limits.running
            && self.may_run(state, principal)
            && !state
                .waiting
                .iter()
                .any(|it| self.may_run(state, &it.principal))
    }

    fn may_run(&self, state: &State, principal: &str) -> bool {
        state.runs_of(principal) < self.0.limits.running_per_principal
    }

    /// Whether there is room to wait, or somebody waits for more who can give way.
    fn may_wait(&self, state: &State, principal: &str) -> bool {
        let own = state.waits_of(principal);
        state.waiting.len() < self.0.limits.waiting
            || state.most_waiting().is_some_and(|(_, most)| most > own + 1)
    }

    /// Whether all that are being planned find room with one more, or others are planned for somebody who
    /// has more of them and waits for more.
    fn may_be_planned(&self, state: &State, principal: &str) -> bool {
        let limits = &self.0.limits;
        let taken = state.running + state.waiting.len() + state.planned.len();
        let own = state.waits_of(principal) + state.planned_of(principal);
        taken < limits.running.saturating_add(limits.waiting)
            || state.most_wanting().is_some_and(|most| most > own + 1)
    }

    fn place(&self, principal: &str) -> Place {
        Place {
            admission: self.clone(),
            principal: principal.to_owned(),
        }
    }

    /// Ends a query of `principal` and lets others begin.
    fn leave(&self, principal: &str) {
        let mut state = self.lock();
        state.end(principal);
        while state.running < self.0.limits.running {
            // The first of those who run least.
            let candidates = state.waiting.iter().enumerate();
            let next = candidates
                .filter(|(_, it)| self.may_run(&state, &it.principal))
                .min_by_key(|(_, it)| state.runs_of(&it.principal))
                .map(|(index, _)| index);
            let Some(waiter) = next.and_then(|index| state.waiting.remove(index)) else {
                return;
            };
            state.begin(&waiter.principal);
            if waiter.answer.send(Verdict::Runs).is_err() {
                // It has given up in this moment.
                state.end(&waiter.principal);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn full(&self, state: &mut State) -> Error {
        let AdmissionLimits {
            running, waiting, ..
        } = self.0.limits;
        let message =
            format!("{running} queries run and {waiting} wait, and no more are allowed at a time");
        self.refused(state, message)
    }

    fn too_long(&self, state: &mut State) -> Error {
        let patience = self.0.limits.patience.as_secs_f32();
        let message =
            format!("the query waited {patience} s for others to end, as long as is allowed");
        self.refused(state, message)
    }

    fn refused(&self, state: &mut State, message: String) -> Error {
        let limits = &self.0.limits;
        let room = limits.running.saturating_add(limits.waiting);
        Error::new(ErrorKind::ResourceExhausted, code::RESOURCES, message)
            .with_hint("Try again when some of them have ended.")
            .retry_after(state.refused.refuse(Instant::now(), room))
    }
}

impl State {
    fn runs_of(&self, principal: &str) -> usize {
        self.runs.get(principal).copied().unwrap_or(0)
    }

    fn waits_of(&self, principal: &str) -> usize {
        let waiting = self.waiting.iter();
        waiting.filter(|it| it.principal == principal).count()
    }

    fn planned_of(&self, principal: &str) -> usize {
        let planned = self.planned.iter();
        planned.filter(|it| it.principal == principal).count()
    }

    /// For how many of one principal there are to be places.
    fn most_wanting(&self) -> Option<usize> {
        let waiting = self.waiting.iter().map(|it| it.principal.as_str());
        let planned = self.planned.iter().map(|it| it.principal.as_str());
        most(waiting.chain(planned)).map(|(_, most)| most)
    }

    fn begin(&mut self, principal: &str) {
        self.running += 1;
        *self.runs.entry(principal.to_owned()).or_insert(0) += 1;
    }

    fn end(&mut self, principal: &str) {
        self.running = self.running.saturating_sub(1);
        if let Some(runs) = self.runs.get_mut(principal) {
            *runs = runs.saturating_sub(1);
            if *runs == 0 {
                self.runs.remove(principal);
            }
        }
    }

    /// Who waits for most, and for how many.
    fn most_waiting(&self) -> Option<(&str, usize)> {
        most(self.waiting.iter().map(|it| it.principal.as_str()))
    }

    /// Sends the last of whoever waits for most away.
    fn make_way(&mut self) {
        let Some(most) = self
            .most_waiting()
            .map(|(principal, _)| principal.to_owned())
        else {
            return;
        };
        let last = self.waiting.iter().rposition(|it| it.principal == most);
        if let Some(waiter) = last.and_then(|index| self.waiting.remove(index)) {
            // Whoever has given up needs no word.
            let _ = waiter.answer.send(Verdict::GivesWay);
        }
    }
}

/// Who comes most often, and how often.
fn most<'a>(principals: impl Iterator<Item = &'a str>) -> Option<(&'a str, usize)> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for principal in principals {
        *counts.entry(principal).or_insert(0) += 1;
    }
    counts.into_iter().max_by_key(|(_, count)| *count)
}

enum Asked {
    Runs(Place),
    Waits(Waiting),
}

/// Somebody who waits. Dropping it gives up, also what was given and not taken yet.
struct Waiting {
    admission: Admission,
    principal: String,
    number: u64,
    verdict: oneshot::Receiver<Verdict>,
}

impl Waiting {
    async fn answered(mut self) -> Verdict {
        // Whoever answers never leaves without a word.
        (&mut self.verdict).await.unwrap_or(Verdict::GivesWay)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut state = self.admission.lock();
        state.waiting.retain(|it| it.number != self.number);
        drop(state);
        // A verdict that was taken is not there any more.
        if let Ok(Verdict::Runs) = self.verdict.try_recv() {
            self.admission.leave(&self.principal);
        }
    }
}

impl Prospect {
    /// The query is planned. It is waited for until its rows are asked for, but not for long: it may never
    /// be run.
    pub fn planned(&self) {
        let mut state = self.admission.lock();
        let number = self.number;
        if let Some(planned) = state.planned.iter_mut().find(|it| it.number == number) {
            planned.until = Some(Instant::now() + UNTIL_ASKED);
        }
    }
}

impl Drop for Prospect {
    fn drop(&mut self) {
        let mut state = self.admission.lock();
        state.planned.retain(|it| it.number != self.number);
    }
}

impl fmt::Debug for Prospect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prospect")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.admission.leave(&self.principal);
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission")
            .field("limits", &self.0.limits)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
