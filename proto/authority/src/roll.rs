//! Who is disabled, for the authority's own decisions and for the servers that follow it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tokio::sync::watch;
use tokio_stream::Stream;
use weft_governance::Error;
use weft_wire::convert::seconds;
use weft_wire::rpc::authority::{Disablement, FollowPeopleResponse};

use crate::state::{Disabled, State};
use crate::user::User;

/// People in one message, which then is far below the longest that is sent.
const AT_A_TIME: usize = 128;

type Known = BTreeMap<String, Disabled>;

/// The roll of those who are or were disabled.
pub(crate) struct Roll {
    /// Nothing once the authority stops.
    said: watch::Sender<Option<Arc<Known>>>,
    /// Held from a change to its publication, so that the newest is published last.
    changing: Mutex<()>,
}

impl Roll {
    /// The roll of `state`, once `users` are disabled who are in the settings.
    pub(crate) fn open(state: &State, users: &[User], now: SystemTime) -> Result<Self, Error> {
        let disabled = users.iter().filter(|user| user.disabled);
        let names: Vec<&str> = disabled.map(|user| user.name.as_str()).collect();
        state.disabled_by_settings(&names, now)?;
        let known = state.disabled(now)?;
        Ok(Self {
            said: watch::channel(Some(Arc::new(known))).0,
            changing: Mutex::default(),
        })
    }

    /// Whether `subject` is disabled.
    pub(crate) fn is_disabled(&self, subject: &str) -> bool {
        self.of(subject).is_some_and(|it| it.still)
    }

    /// Whether what was issued to `subject` at `issued_at` is no longer good.
    pub(crate) fn refuses(&self, subject: &str, issued_at: SystemTime) -> bool {
        self.of(subject)
            .is_some_and(|it| it.still || seconds(issued_at) <= it.since)
    }

    /// Disables `subject` or enables them again, by the word of `by`, in `state` first. Returns the
    /// second until which nothing of theirs is good.
    pub(crate) fn set(
        &self,
        state: &State,
        subject: &str,
        disabled: bool,
        by: &str,
        now: SystemTime,
    ) -> Result<u64, Error> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if disabled {
            state.disable(subject, by, now)?;
        } else {
            state.enable(subject, by)?;
        }
        let known = Arc::new(state.disabled(now)?);
        let since = known.get(subject).map_or(0, |it| it.since);
        // A roll that was closed stays so.
        self.said.send_if_modified(|said| match said {
            Some(said) => {
                *said = known;
                true
            }
            None => false,
        });
        Ok(since)
    }

    /// Everyone who is or was disabled, and then every change.
    pub(crate) fn follow(&self) -> impl Stream<Item = FollowPeopleResponse> + Send + 'static {
        let follower = Follower {
            said: self.said.subscribe(),
            last: None,
            waiting: Vec::new(),
        };
        futures::stream::unfold(follower, |mut follower| async move {
            let next = follower.next().await?;
            Some((next, follower))
        })
    }

    /// Ends what follows.
    pub(crate) fn close(&self) {
        self.said.send_replace(None);
    }

    fn of(&self, subject: &str) -> Option<Disabled> {
        self.said.borrow().as_ref()?.get(subject).copied()
    }
}

/// One server that follows.
struct Follower {
    said: watch::Receiver<Option<Arc<Known>>>,
    /// What it has heard, unless it is new.
    last: Option<Arc<Known>>,
    /// Messages that it has to be sent, the last one first.
    waiting: Vec<FollowPeopleResponse>,
}

impl Follower {
    async fn next(&mut self) -> Option<FollowPeopleResponse> {
        loop {
            if let Some(message) = self.waiting.pop() {
                return Some(message);
            }
            if self.last.is_some() {
                self.said.changed().await.ok()?;
            }
            let now = self.said.borrow_and_update().clone()?;
            self.waiting = messages(self.last.as_deref(), &now);
            self.last = Some(now);
        }
    }
}

/// What is new in `now`, the last message first. Who is new hears something in any case.
fn messages(before: Option<&Known>, now: &Known) -> Vec<FollowPeopleResponse> {
    let new = now.iter().filter(|(subject, disabled)| {
        let known = before.and_then(|before| before.get(*subject));
        known.is_none_or(|known| known.since != disabled.since)
    });
    let changes: Vec<Disablement> = new
        .map(|(subject, disabled)| Disablement {
            subject: subject.clone(),
            since: disabled.since,
        })
        .collect();
    let mut messages: Vec<_> = changes
        .chunks(AT_A_TIME)
        .map(|changes| FollowPeopleResponse {
            changes: changes.to_vec(),
            complete: false,
        })
        .collect();
    if messages.is_empty() && before.is_none() {
        messages.push(FollowPeopleResponse::default());
    }
    if let Some(last) = messages.last_mut() {
        last.complete = true;
    }
    messages.reverse();
    messages
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(people: impl IntoIterator<Item = (usize, u64)>) -> Known {
        let disabled = |since| Disabled { since, still: true };
        let people = people.into_iter();
        people
            .map(|(person, since)| (format!("p{person:04}"), disabled(since)))
            .collect()
    }

    #[test]
    fn who_is_new_hears_of_everyone_and_others_of_what_changed() {
        let many = known((0..300).map(|person| (person, 1)));
        let mut all = messages(None, &many);
        all.reverse();
        let sizes: Vec<_> = all
            .iter()
            .map(|it| (it.changes.len(), it.complete))
            .collect();
        assert_eq!(sizes, [(128, false), (128, false), (44, true)]);
        assert!(messages(Some(&many), &many).is_empty());
        let more = known((0..301).map(|person| (person, u64::from(person == 7) + 1)));
        let [change] = messages(Some(&many), &more)
            .try_into()
            .expect("one message");
        let subjects: Vec<_> = change.changes.iter().map(|it| &it.subject).collect();
        assert_eq!(subjects, ["p0007", "p0300"]);
        assert!(change.complete);
    }

    #[test]
    fn a_roll_without_anybody_is_said_as_well() {
        let [empty] = messages(None, &Known::new())
            .try_into()
            .expect("one message");
        assert!(empty.complete && empty.changes.is_empty());
    }
}
