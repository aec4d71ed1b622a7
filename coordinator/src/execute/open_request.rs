//! The sending side of a fragment's conversation, after its first message.

use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use arrow_flight::FlightData;
use futures::Stream;
use prost::Message;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};
use weft_wire::rpc::fragment::{FragmentControl, KeyFilters};

use super::bound::Bounds;
use super::fragment_stream::Counters;
use super::keys::Keys;

/// Time between two bounds: the first are better with every batch.
const PAUSE: Duration = Duration::from_millis(20);
/// Bounds that one fragment is told at most.
const MOST_BOUNDS: usize = 1_000;

/// It stays open for as long as rows are read, and an open one keeps the whole call open: so whoever
/// ends early has to say so. Dropping it does.
pub(super) struct OpenRequest(Option<oneshot::Sender<FlightData>>);

impl OpenRequest {
    /// With the frames that follow the first: the keys that the fragment waits for, bounds as they
    /// become known, and perhaps the wish to end.
    pub(super) fn new(
        keys: Option<Expected>,
        newest: Newest,
    ) -> (Self, impl Stream<Item = FlightData> + Send + 'static) {
        let (stop, stopped) = oneshot::channel();
        let open = Some((stopped, keys, newest));
        let frames = futures::stream::unfold(open, |open| async move {
            let (mut stopped, mut keys, mut newest) = open?;
            tokio::select! {
                biased;
                frame = &mut stopped => Some((frame.ok()?, None)),
                Some(frame) = came(&mut keys) => Some((frame, Some((stopped, None, newest)))),
                frame = newest.next() => Some((frame, Some((stopped, keys, newest)))),
            }
        });
        (Self(Some(stop)), frames)
    }

    /// Ends the conversation after its last message.
    pub(super) fn close(&mut self) {
        self.0 = None;
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        if let Some(stop) = self.0.take() {
            let cancel = FragmentControl {
                cancel: true,
                ..FragmentControl::default()
            };
            // A call that has ended needs no cancel.
            let _ = stop.send(frame(&cancel));
        }
    }
}

/// Keys that a fragment is told once they are known.
pub(super) struct Expected {
    /// They. Unless they come, the fragment is withdrawn.
    pub(super) keys: oneshot::Receiver<Vec<Arc<Keys>>>,
    /// Counts the request: the node has done nothing to be counted before it has them.
    pub(super) counters: Arc<Counters>,
}

/// The frame with the keys, if any are to come.
async fn came(expected: &mut Option<Expected>) -> Option<FlightData> {
    let Expected { keys, counters } = expected.as_mut()?;
    let Ok(keys) = keys.await else {
        *expected = None;
        return None;
    };
    counters.asked();
    let filters = keys.iter().map(|it| it.filter.clone()).collect();
    let control = FragmentControl {
        keys: Some(KeyFilters { filters }),
        ..FragmentControl::default()
    };
    Some(frame(&control))
}

/// Bounds on their way to a node. One that a better one follows soon is left out.
pub(super) struct Newest {
    bounds: Bounds,
    output: SchemaRef,
    counters: Arc<Counters>,
    left: usize,
    next: Instant,
}

impl Newest {
    /// Those of `bounds` for rows with the columns of `output`.
    pub(super) fn new(mut bounds: Bounds, output: SchemaRef, counters: Arc<Counters>) -> Self {
        // One that was there before the conversation is news as well.
        bounds.mark_changed();
        Self {
            bounds,
            output,
            counters,
            left: MOST_BOUNDS,
            next: Instant::now(),
        }
    }

    /// The next bound, once there is one.
    async fn next(&mut self) -> FlightData {
        while self.left > 0 && self.bounds.changed().await.is_ok() {
            sleep_until(self.next).await;
            let told = self.bounds.borrow_and_update().clone();
            // Without it the rows are more, and the answer is the same.
            if let Some(Ok(bound)) = told.map(|told| told.message(&self.output)) {
                self.left -= 1;
                self.next = Instant::now() + PAUSE;
                let frame = frame(&bound);
                self.counters.told(frame.app_metadata.len() as u64);
                return frame;
            }
        }
        std::future::pending().await
    }
}

fn frame(control: &FragmentControl) -> FlightData {
    FlightData {
        app_metadata: control.encode_to_vec().into(),
        ..FlightData::default()
    }
}
