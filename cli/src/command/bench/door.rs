//! The door of Weft's servers in front of rows in memory: what it costs by itself.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use async_trait::async_trait;
use futures::{StreamExt, stream};
use tonic::service::Routes;
use weft_door::{
    Backend, Credentials, Door, Limits, Listen, Opened, Prepared, ResultStream, StatementKind,
    TableEntry,
};
use weft_governance::{Error, ErrorKind, code};
use workload::bench::{Payload, Source};

/// Opens a door through which `source` is sent to whoever signs in. A statement is the name of a payload.
///
/// # Errors
/// If there is no address to listen on.
pub(super) fn open(source: Source) -> Result<Door, Error> {
    let listen = Listen {
        address: ([127, 0, 0, 1], 0).into(),
        tls: None,
    };
    let backend = Arc::new(Memory(source));
    Door::open(listen, Limits::default(), backend, Routes::default())
}

struct Memory(Source);

#[async_trait]
impl Backend for Memory {
    type Session = ();
    type Statement = Payload;

    async fn sign_in(&self, _: Credentials) -> Result<Opened<()>, Error> {
        Ok(Opened {
            session: (),
            expires_at: SystemTime::now() + Duration::from_secs(86_400),
        })
    }

    fn beside(&self, _: &Arc<()>) {}

    async fn sign_out(&self, _: Arc<()>) {}

    async fn prepare(&self, _: &Arc<()>, sql: &str) -> Result<Prepared<Payload>, Error> {
        let payload = Payload::ALL.into_iter().find(|it| it.to_string() == sql);
        let payload = payload.ok_or_else(|| {
            let message = format!("`{sql}` is not the name of a payload");
            Error::new(ErrorKind::InvalidInput, code::PLAN, message)
        })?;
        Ok(Prepared {
            statement: payload,
            schema: self.0.schema(payload),
            parameters: Arc::new(Schema::empty()),
            kind: StatementKind::Query,
        })
    }

    async fn run(
        &self,
        _: &Arc<()>,
        payload: Arc<Payload>,
        _: Option<RecordBatch>,
    ) -> Result<ResultStream, Error> {
        Ok(ResultStream {
            schema: self.0.schema(*payload),
            batches: stream::iter(self.0.rows(*payload)).map(Ok).boxed(),
        })
    }

    async fn tables(&self, _: &Arc<()>) -> Result<Vec<TableEntry>, Error> {
        Ok(Vec::new())
    }

    fn session_options(&self, (): &()) -> Vec<(String, String)> {
        Vec::new()
    }

    async fn set_session_option(&self, _: &Arc<()>, _: &str, _: &str) -> Result<(), Error> {
        let message = "there are no session options here";
        Err(Error::new(
            ErrorKind::Unsupported,
            code::UNSUPPORTED,
            message,
        ))
    }
}
