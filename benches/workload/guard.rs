//! What careful owners hold back: a row filter and a mask in each of the demo's domains, and the tables
//! as they look behind them.
//!
//! Owns which rows and cells those are, and makes copies without them. It grants nothing.

use std::path::Path;

use arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::functions::expr_fn::{encode, sha256};
use datafusion::logical_expr::Expr;
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext, cast, col, lit};
use datafusion::scalar::ScalarValue;
use futures::TryStreamExt;

use crate::WorkloadError;
use crate::tpch::{self, Table, Written};

/// What is held back of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard {
    /// The table.
    pub table: Table,
    /// The condition that visible rows meet.
    pub row_filter: &'static str,
    /// The column that is masked.
    pub column: &'static str,
    /// How.
    pub mask: Mask,
}

/// What is seen in place of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mask {
    /// Its SHA-256 in hexadecimal digits.
    Sha256,
    /// NULL.
    ReplaceWithNull,
}

/// A row filter and a mask in each of the demo's domains. Each leaves something of the answer of every
/// query of TPC-H, also at a tenth of its scale.
pub const GUARDS: [Guard; 3] = [
    Guard {
        table: Table::Orders,
        row_filter: "o_orderstatus <> 'P'",
        column: "o_clerk",
        mask: Mask::Sha256,
    },
    Guard {
        table: Table::Customer,
        row_filter: "c_mktsegment <> 'HOUSEHOLD'",
        column: "c_address",
        mask: Mask::ReplaceWithNull,
    },
    Guard {
        table: Table::Part,
        row_filter: "p_container <> 'WRAP JAR'",
        column: "p_comment",
        mask: Mask::ReplaceWithNull,
    },
];

impl Mask {
    /// Its name in a grant.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha-256",
            Self::ReplaceWithNull => "replace-with-null",
        }
    }
}

impl Guard {
    /// What is held back of `table`.
    pub fn of(table: Table) -> Option<&'static Self> {
        GUARDS.iter().find(|guard| guard.table == table)
    }

    /// Writes what is seen of the rows in `from` to `to`, in their order. A file appears only when it is
    /// whole.
    ///
    /// # Errors
    /// What stopped the reading or the writing.
    pub(crate) async fn copy(&self, from: &Path, to: &Path) -> Result<Written, WorkloadError> {
        let copy_error = |source| WorkloadError::Copy {
            table: self.table,
            source,
        };
        let (schema, mut rows) = self.shown(from).await.map_err(copy_error)?;
        let mut writer = tpch::TableWriter::create(self.table, schema, to)?;
        while let Some(batch) = rows.try_next().await.map_err(copy_error)? {
            writer.write(&batch)?;
        }
        writer.finish()
    }

    async fn shown(
        &self,
        from: &Path,
    ) -> Result<(SchemaRef, datafusion::execution::SendableRecordBatchStream), DataFusionError>
    {
        // One partition: rows stay in their order.
        let engine =
            SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
        let file = from.to_string_lossy();
        let table = engine
            .read_parquet(file.as_ref(), ParquetReadOptions::default())
            .await?;
        let visible = table.parse_sql_expr(self.row_filter)?;
        let columns = self
            .table
            .schema()
            .fields()
            .iter()
            .map(|field| match field.name() == self.column {
                true => self.masked(field),
                false => Ok(col(field.name())),
            })
            .collect::<Result<Vec<_>, _>>()?;
        let shown = table.filter(visible)?.select(columns)?;
        let rows = shown.execute_stream().await?;
        Ok((rows.schema(), rows))
    }

    /// The masked column, with its type and name.
    fn masked(&self, field: &arrow::datatypes::Field) -> Result<Expr, DataFusionError> {
        let data_type = field.data_type();
        let shown = match self.mask {
            Mask::Sha256 => encode(sha256(col(field.name())), lit("hex")),
            Mask::ReplaceWithNull => Expr::Literal(ScalarValue::try_from(data_type)?, None),
        };
        Ok(cast(shown, data_type.clone()).alias(field.name()))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;

    use super::*;
    use crate::bench::Digest;

    async fn rows(file: &Path, sql: &str) -> Vec<arrow::record_batch::RecordBatch> {
        let engine = SessionContext::new();
        let (name, options) = ("t", ParquetReadOptions::default());
        let file = file.to_string_lossy();
        engine
            .register_parquet(name, file.as_ref(), options)
            .await
            .expect("a table");
        let answer = engine.sql(sql).await.expect("planned");
        answer.collect().await.expect("rows")
    }

    #[tokio::test]
    async fn a_copy_has_the_visible_rows_with_masks_in_their_order() {
        let dir = tempfile::tempdir().expect("a directory");
        tpch::generate(dir.path(), 0.001).expect("generated");
        for guard in &GUARDS {
            let (table, column) = (guard.table, guard.column);
            let original = dir.path().join(format!("{table}.parquet"));
            let copy = dir.path().join("copy.parquet");
            let written = guard.copy(&original, &copy).await.expect("copied");
            let masked = match guard.mask {
                Mask::Sha256 => format!("encode(sha256({column}), 'hex')"),
                Mask::ReplaceWithNull => "CAST(NULL AS VARCHAR)".to_owned(),
            };
            let expected = rows(
                &original,
                &format!(
                    "SELECT * REPLACE ({masked} AS {column}) FROM t WHERE {}",
                    guard.row_filter
                ),
            )
            .await;
            let found = rows(&copy, "SELECT * FROM t").await;
            let digest = |batches| Digest::of(batches).expect("printable");
            assert_eq!(digest(&found), digest(&expected), "{table}");
            assert_eq!(digest(&found).rows, written.rows, "{table}");
            let all = rows(&original, "SELECT count(*) FROM t").await;
            let all = all[0]
                .column(0)
                .as_primitive::<arrow::datatypes::Int64Type>();
            assert!(
                written.rows > 0 && written.rows < all.value(0).unsigned_abs(),
                "{table}"
            );
        }
    }

    #[test]
    fn every_domain_holds_something_back() {
        let mut domains = GUARDS.map(|guard| guard.table.domain());
        domains.sort_unstable();
        assert_eq!(domains, ["crm", "sales", "supply"]);
        for guard in &GUARDS {
            assert_eq!(Guard::of(guard.table), Some(guard));
            assert!(guard.table.schema().index_of(guard.column).is_ok());
        }
        assert_eq!(Guard::of(Table::Lineitem), None);
    }
}
