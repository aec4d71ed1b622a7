//! Rows that a permit lets go to a person who reads them here, and the one end that they have.

use std::sync::{Arc, OnceLock};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use weft_door::ResultStream;
use weft_governance::Error;
use weft_plan::leashed;

use crate::enforce::Account;
use crate::fragment::Fetching;

type Rows = BoxStream<'static, Result<RecordBatch, Error>>;

/// Rows on their way out.
pub(super) struct Released {
    pub(super) schema: SchemaRef,
    pub(super) rows: Rows,
    /// Has to be told how that ended.
    pub(super) account: Account,
    /// What ends it before the last row.
    pub(super) end: BoxFuture<'static, Error>,
}

impl Released {
    /// The rows. The coordinator of whoever is `fetching` them is told of them.
    pub(super) fn answer(self, fetching: Option<Fetching>) -> ResultStream {
        let Self {
            schema,
            rows,
            account,
            end,
        } = self;
        let told = Told {
            parties: Some((account, fetching)),
            why: Arc::default(),
        };
        let why = Arc::clone(&told.why);
        let end = async move {
            let error = end.await;
            why.get_or_init(|| error).clone()
        };
        // What ends a query ends it also while nobody reads its rows.
        ResultStream {
            schema,
            batches: leashed(end, told.of(rows)),
        }
    }
}

/// Those who are told how rows left. Dropped before the last, it tells why, or that the reader left.
struct Told {
    parties: Option<(Account, Option<Fetching>)>,
    why: Arc<OnceLock<Error>>,
}

impl Told {
    /// `rows`, of which they are told.
    fn of(self, rows: Rows) -> Rows {
        let open = (self, rows);
        futures::stream::unfold(open, |(mut told, mut rows)| async {
            let next = rows.next().await;
            match &next {
                Some(Ok(batch)) => told.pass(batch.num_rows() as u64),
                Some(Err(error)) => told.failed(error),
                None => told.finished(),
            }
            next.map(|next| (next, (told, rows)))
        })
        .boxed()
    }

    fn pass(&self, rows: u64) {
        if let Some((_, Some(fetching))) = &self.parties {
            fetching.pass(rows);
        }
    }

    fn finished(&mut self) {
        if let Some((account, fetching)) = self.parties.take() {
            let receipt = account.read_directly();
            if let Some(fetching) = fetching {
                fetching.finished(receipt);
            }
        }
    }

    fn failed(&mut self, error: &Error) {
        if let Some((account, fetching)) = self.parties.take() {
            account.failed(error);
            if let Some(fetching) = fetching {
                fetching.failed(error);
            }
        }
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        let why = Arc::clone(&self.why);
        if let Some(error) = why.get() {
            self.failed(error);
        }
    }
}
