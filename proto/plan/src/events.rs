//! The event log of a server as a table: `system.events.log`.

mod columns;

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{Expr, Operator, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use weft_governance::{Error, ErrorKind, ServerId, code};
use weft_ledger::{Ledger, Record, Seal, Sealer, Which};
use weft_wire::identity::Identity;

pub use self::columns::schema as event_log_schema;
use self::columns::{QUERY, table};
use crate::names::FullName;

/// Where the event log of a server is found in SQL.
pub fn event_log_name() -> FullName {
    FullName {
        catalog: "system".to_owned(),
        schema: "events".to_owned(),
        table: "log".to_owned(),
    }
}

/// Signs the event log with the key of the server's certificate.
pub fn sealer(identity: &Identity) -> Sealer {
    let identity = identity.clone();
    Sealer::new(move |statement| {
        Ok(Seal {
            certificate: identity.certificate_der().to_vec(),
            signature: identity.seal(statement)?,
        })
    })
}

/// The log of one server, as one reader may see it. Read page by page, as far as rows are asked for.
#[derive(Clone)]
pub struct EventLog {
    ledger: Ledger,
    server: ServerId,
    /// Whose events these are, unless they are everybody's.
    principal: Option<String>,
    schema: SchemaRef,
}

impl EventLog {
    /// Everything in the `ledger` of `server`.
    pub fn whole(ledger: Ledger, server: ServerId) -> Self {
        Self {
            ledger,
            server,
            principal: None,
            schema: event_log_schema(),
        }
    }

    /// What the subject `principal` asked for, without the details that only the log's owner may know.
    pub fn of(ledger: Ledger, server: ServerId, principal: &str) -> Self {
        Self {
            principal: Some(principal.to_owned()),
            ..Self::whole(ledger, server)
        }
    }

    fn table(&self, records: &[Record]) -> Result<RecordBatch> {
        let server = self.server.to_string();
        Ok(table(&server, self.principal.is_none(), records)?)
    }
}

impl fmt::Debug for EventLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLog")
            .field("server", &self.server)
            .field("principal", &self.principal)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for EventLog {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| match query_of(filter) {
            Some(_) => TableProviderFilterPushDown::Inexact,
            None => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(support).collect())
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let pages = Pages {
            log: self.clone(),
            query: filters.iter().find_map(query_of),
        };
        Ok(Arc::new(StreamingTableExec::try_new(
            Arc::clone(&self.schema),
            vec![Arc::new(pages)],
            projection,
            None,
            false,
            limit,
        )?))
    }
}

/// The text that `filter` compares the query's id with.
fn query_of(filter: &Expr) -> Option<String> {
    let Expr::BinaryExpr(comparison) = filter else {
        return None;
    };
    let text = |expr: &Expr| match expr {
        Expr::Literal(ScalarValue::Utf8(text) | ScalarValue::Utf8View(text), _) => text.clone(),
        _ => None,
    };
    let (one, other) = (comparison.left.as_ref(), comparison.right.as_ref());
    match (comparison.op, one, other) {
        (Operator::Eq, Expr::Column(column), value)
        | (Operator::Eq, value, Expr::Column(column))
            if column.name == QUERY =>
        {
            text(value)
        }
        _ => None,
    }
}

/// One reading of the log.
#[derive(Debug)]
struct Pages {
    log: EventLog,
    /// The query that it is about, as it was written.
    query: Option<String>,
}

impl PartitionStream for Pages {
    fn schema(&self) -> &SchemaRef {
        &self.log.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let log = self.log.clone();
        let which = match self.query.as_deref().map(str::parse).transpose() {
            Ok(query) => Some(Which {
                principal: log.principal.clone(),
                query,
            }),
            // No query has such an id.
            Err(_) => None,
        };
        let start = which.map(|which| (which, None));
        let pages = futures::stream::try_unfold(start, move |place| {
            let log = log.clone();
            async move {
                let Some((which, place)) = place else {
                    return Ok(None);
                };
                let (page, next) = log.ledger.page(&which, place).await.map_err(unread)?;
                let next = next.map(|place| (which, Some(place)));
                Ok(Some((log.table(&page)?, next)))
            }
        });
        Box::pin(RecordBatchStreamAdapter::new(
            Arc::clone(&self.log.schema),
            pages,
        ))
    }
}

fn unread(cause: impl std::error::Error + Send + Sync + 'static) -> DataFusionError {
    let message = "the event log cannot be read";
    let error = Error::new(ErrorKind::Unavailable, code::NOT_AUDITED, message).caused_by(cause);
    DataFusionError::External(Box::new(error))
}
