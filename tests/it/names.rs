//! Columns of the same name. DataFusion 55.2 takes one for the other on several ways; a mesh does
//! not, also where one node runs the whole query.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use arrow::record_batch::RecordBatch;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::prelude::{ParquetReadOptions, SessionContext};
use harness::{Mesh, MeshOptions, Rows, grant, run};

const CONTRACT: &str = "apiVersion: v3.1.0\nkind: DataContract\nid: p\nname: p\nversion: 1.0.0\nstatus: active\nschema:\n  - name: many\n    properties:\n      - name: id\n        logicalType: integer\n  - name: few\n    properties:\n      - name: id\n        logicalType: integer\n      - name: n\n        logicalType: integer\n";

fn write(folder: &Path) {
    fs::create_dir_all(folder).expect("folder");
    fs::write(folder.join("p.odcs.yaml"), CONTRACT).expect("contract");
    let many: ArrayRef = Arc::new(Int64Array::from_iter_values(0..100));
    table(&folder.join("many.parquet"), vec![("id", many)]);
    let few: ArrayRef = Arc::new(Int64Array::from(vec![5, 6, 200, 201]));
    let n: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3, 4]));
    table(&folder.join("few.parquet"), vec![("id", few), ("n", n)]);
}

fn table(file: &Path, columns: Vec<(&str, ArrayRef)>) {
    let columns = columns.into_iter().map(|(name, array)| (name, array, true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns).expect("rows");
    let file = File::create(file).expect("file");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("writer");
    writer.write(&batch).expect("rows");
    writer.close().expect("file");
}

/// A condition on one `id` is not taken for one on the other, which no row of its file meets.
#[test]
fn a_condition_reaches_the_column_that_it_names() {
    run(async {
        let folder = tempfile::tempdir().expect("folder");
        let product = folder.path().join("p");
        write(&product);
        let sql = |domain: &str| {
            format!(
                "SELECT f.n FROM {domain}many m FULL JOIN {domain}few f ON m.id = f.id WHERE m.id IS NULL AND f.n IS NOT NULL"
            )
        };
        let engine = SessionContext::new();
        for name in ["many", "few"] {
            let file = product.join(format!("{name}.parquet"));
            let file = file.to_str().expect("path");
            let options = ParquetReadOptions::default();
            let registered = engine.register_parquet(name, file, options).await;
            registered.expect("table");
        }
        let alone = engine.sql(&sql("")).await.expect("plan");
        let alone = Rows::of(&alone.collect().await.expect("rows"));
        assert!(
            alone.is_empty(),
            "the engine is right now: no guard is needed\n{alone}"
        );

        let mesh = Mesh::start(MeshOptions {
            domains: vec![(
                "left".to_owned(),
                folder.path().to_owned(),
                vec![grant("analyst", "p")],
            )],
            ..MeshOptions::empty()
        })
        .await;
        let mut analyst = mesh.sign_in("analyst").await;
        let rows = analyst.query(&sql("left.p.")).await.expect("rows").sorted();
        assert_eq!(rows.rows(), [["3"], ["4"]]);
    });
}
