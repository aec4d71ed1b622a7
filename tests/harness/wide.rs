//! Answers of more bytes than queues hold, and how they end.

use arrow::record_batch::RecordBatch;
use futures::StreamExt;
use futures::stream::BoxStream;

use crate::client::Failure;
use crate::mesh::Mesh;
use crate::world::{Published, grant};

/// A mesh of one domain with a table `sales.wide.t` of so many rows of 1 kB, which `analyst` may read.
pub async fn wide_table(rows: usize) -> Mesh {
    let lines: Vec<String> = (0..rows).map(|id| format!("{id},{id:01000}")).collect();
    let wide = Published {
        domain: "sales",
        product: "wide",
        tables: &[(
            "t",
            &[("id", "integer", "bigint"), ("text", "string", "varchar")],
            &lines.join("\n"),
        )],
    };
    Mesh::publish(&[wide], vec![("sales", grant("analyst", "wide"))]).await
}

/// The error that ends `rows`.
pub async fn end_of(mut rows: BoxStream<'static, Result<RecordBatch, Failure>>) -> Failure {
    loop {
        match rows.next().await.expect("an error, not an end") {
            Ok(_) => {}
            Err(error) => return error,
        }
    }
}
