//! What a coordinator wishes while a fragment runs.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow_flight::FlightData;
use futures::StreamExt;
use futures::stream::BoxStream;
use prost::Message;
use tokio::sync::watch;
use weft_governance::Error;
use weft_wire::rpc::fragment::{FragmentControl, KeyFilter};

use super::bound::Bound;
use super::engine::malformed;

/// Bounds that one fragment takes.
const MOST_BOUNDS: usize = 10_000;

/// The newest bound of a fragment's rows.
pub(super) type Bounds = watch::Receiver<Option<Arc<Bound>>>;

/// The frames that follow a fragment's first.
pub(super) struct Control {
    frames: BoxStream<'static, Result<FlightData, Error>>,
    output: SchemaRef,
    bounds: watch::Sender<Option<Arc<Bound>>>,
    left: usize,
}

impl Control {
    /// Reads `frames` for a fragment whose rows have the columns of `output`.
    pub(super) fn new(
        frames: BoxStream<'static, Result<FlightData, Error>>,
        output: SchemaRef,
    ) -> (Self, Bounds) {
        let (bounds, newest) = watch::channel(None);
        let control = Self {
            frames,
            output,
            bounds,
            left: MOST_BOUNDS,
        };
        (control, newest)
    }

    /// The keys that the fragment waits for, unless the coordinator asks to stop before.
    ///
    /// # Errors
    /// `WEFT-PROTOCOL` if they do not come, or for what a fragment cannot heed.
    pub(super) async fn keys(&mut self) -> Result<Option<Vec<KeyFilter>>, Error> {
        match self.next().await? {
            Some(Wish::Stop) => Ok(None),
            Some(Wish::Reduce(filters)) => Ok(Some(filters)),
            None => Err(malformed("keys")),
        }
    }

    /// Heeds what comes, and returns when the coordinator asks to stop. A closed sending side is no
    /// such request.
    ///
    /// # Errors
    /// `WEFT-PROTOCOL` for what a running fragment cannot heed.
    pub(super) async fn stopped(&mut self) -> Result<(), Error> {
        match self.next().await? {
            Some(Wish::Stop) => Ok(()),
            Some(Wish::Reduce(_)) => Err(malformed("keys")),
            None => std::future::pending().await,
        }
    }

    /// The next wish but for bounds, which are passed on; none once the sending side is closed.
    async fn next(&mut self) -> Result<Option<Wish>, Error> {
        while let Some(Ok(frame)) = self.frames.next().await {
            let control = FragmentControl::decode(frame.app_metadata);
            let FragmentControl {
                cancel,
                bound,
                keys,
            } = control.map_err(|_| malformed("control"))?;
            if cancel {
                return Ok(Some(Wish::Stop));
            }
            if let Some(bound) = bound {
                let left = self.left.checked_sub(1);
                self.left = left.ok_or_else(|| malformed("number of bounds"))?;
                let bound = Bound::decode(bound, &self.output)?;
                self.bounds.send_replace(Some(Arc::new(bound)));
            }
            if let Some(keys) = keys {
                return Ok(Some(Wish::Reduce(keys.filters)));
            }
        }
        Ok(None)
    }
}

enum Wish {
    Stop,
    Reduce(Vec<KeyFilter>),
}

#[cfg(test)]
mod tests;
