//! Threads of one's own.

use tokio::runtime::{Builder, Runtime};
use weft_governance::{Error, ErrorKind, code};

/// A runtime that ends when it is dropped. Whoever drops it may be on a thread of another one, and
/// does not wait for it.
#[derive(Debug)]
pub(crate) struct OwnRuntime(Option<Runtime>);

impl OwnRuntime {
    /// The one that `builder` describes.
    ///
    /// # Errors
    /// If its threads cannot be started.
    pub(crate) fn start(builder: &mut Builder) -> Result<Self, Error> {
        let runtime = builder.build().map_err(|error| {
            let message = "no threads can be started";
            Error::new(ErrorKind::Internal, code::INTERNAL, message).caused_by(error)
        })?;
        Ok(Self(Some(runtime)))
    }

    /// The runtime; `None` only between the drop and its end.
    pub(crate) fn get(&self) -> Option<&Runtime> {
        self.0.as_ref()
    }
}

impl Drop for OwnRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
