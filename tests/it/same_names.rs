//! Columns of the same name on the way of a join's or a limit's own filter.
//!
//! The engine's release that is used here sends such filters to the wrong one of two columns of
//! the same name, by default, and loses rows. The queries are those that showed it, on files of
//! which a filter can skip some.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::prelude::SessionContext;
use harness::{
    Column, Mesh, MeshOptions, Published, Rows, grant, run, single_process, unguarded_process,
};

/// A table without rows: name, columns.
type Described = (&'static str, &'static [Column<'static>], &'static str);

/// A file of a table: its columns with their values.
type File = Vec<(&'static str, ArrayRef)>;

const NAMES: &[Described] = &[
    (
        "ta",
        &[("id", "string", "varchar"), ("ty", "string", "varchar")],
        "",
    ),
    ("tb", &[("id", "string", "varchar")], ""),
    (
        "orders",
        &[("id", "integer", "bigint"), ("amount", "integer", "bigint")],
        "",
    ),
    (
        "payments",
        &[("id", "integer", "bigint"), ("amount", "integer", "bigint")],
        "",
    ),
    ("customers", &[("id", "integer", "bigint")], ""),
];

/// Rows of a file, enough for a limit to be sure of its first rows before the next file is opened.
const ROWS: i64 = 20_000;

/// Writes a product whose tables are folders of Parquet files, the same in each domain.
fn write(domain: &str, data: &Path) {
    let product = Published {
        domain,
        product: "p",
        tables: NAMES,
    };
    product.write(data);
    let text = |values: &[&str]| -> ArrayRef { Arc::new(StringArray::from(values.to_vec())) };
    let number = |values: &[i64]| -> ArrayRef { Arc::new(Int64Array::from(values.to_vec())) };
    // Every other order is paid, the last one with the least.
    let paid: Vec<i64> = (0..8 * ROWS).step_by(2).collect();
    let mut amounts = vec![30; paid.len()];
    *amounts.last_mut().expect("payments") = 10;
    let files: Vec<(&str, Vec<File>)> = vec![
        (
            "ta",
            vec![vec![("id", text(&["a1"])), ("ty", text(&["x1"]))]],
        ),
        ("tb", vec![vec![("id", text(&["x1"]))]]),
        (
            "orders",
            (0..8)
                .map(|file| {
                    let ids: Vec<i64> = (file * ROWS..(file + 1) * ROWS).collect();
                    let amounts = vec![100 * (file + 1); ids.len()];
                    vec![("id", number(&ids)), ("amount", number(&amounts))]
                })
                .collect(),
        ),
        (
            "payments",
            vec![vec![("id", number(&paid)), ("amount", number(&amounts))]],
        ),
        ("customers", vec![vec![("id", number(&paid))]]),
    ];
    for (table, parts) in files {
        let product = data.join("p");
        std::fs::remove_file(product.join(format!("{table}.csv"))).expect("as CSV");
        let folder = product.join(table);
        std::fs::create_dir_all(&folder).expect("folder");
        for (number, columns) in parts.into_iter().enumerate() {
            let batch = RecordBatch::try_from_iter(columns).expect("columns");
            let file = std::fs::File::create(folder.join(format!("{number}.parquet")));
            let file = file.expect("file");
            let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("writer");
            writer.write(&batch).expect("written");
            writer.close().expect("closed");
        }
    }
}

/// What is asked, with `{1}` and `{2}` for domains, and the only answer.
const QUERIES: [(&str, &[&str]); 4] = [
    // Through a condition that stands between.
    (
        "SELECT s.id AS sid, a.id AS aid, b.id AS bid FROM {1}.p.tb s JOIN (SELECT a.id, b.id FROM {2}.p.ta a LEFT JOIN {2}.p.tb b ON a.ty = b.id WHERE a.ty || coalesce(b.id, '') <> 'none') ON s.id = b.id",
        &["x1", "a1", "x1"],
    ),
    // Through a projection.
    (
        "SELECT s.id AS sid, a.id AS aid, b.id AS bid, tag FROM {1}.p.tb s JOIN (SELECT a.id, b.id, a.ty || '!' AS tag FROM {2}.p.ta a JOIN {2}.p.tb b ON a.ty = b.id) ON s.id = b.id",
        &["x1", "a1", "x1", "x1!"],
    ),
    // Through an aggregation.
    (
        "SELECT s.id AS sid, a.id AS aid, b.id AS bid FROM {1}.p.tb s JOIN (SELECT a.id, b.id FROM {2}.p.ta a LEFT JOIN {2}.p.tb b ON a.ty = b.id GROUP BY a.id, b.id) ON s.id = b.id",
        &["x1", "a1", "x1"],
    ),
    // Of a limit, through joins.
    (
        "SELECT o.amount AS ordered, p.amount AS paid FROM {2}.p.orders o JOIN {2}.p.payments p ON o.id = p.id JOIN {1}.p.customers c ON p.id = c.id ORDER BY p.amount LIMIT 1",
        &["800", "10"],
    ),
];

#[test]
fn columns_of_the_same_name_are_not_taken_for_each_other() {
    run(async {
        let folder = tempfile::tempdir().expect("folder");
        let domain = |domain: &str| {
            let data = folder.path().join(domain);
            write(domain, &data);
            (domain.to_owned(), data, vec![grant("analyst", "p")])
        };
        let domains = vec![domain("left"), domain("right")];
        let mesh = Mesh::start(MeshOptions {
            domains,
            ..MeshOptions::empty()
        })
        .await;
        let mut analyst = mesh.sign_in("analyst").await;
        let mut direct = mesh.sign_in_at("left", "analyst").await;
        let left = folder.path().join("left");
        let oracle = single_process(&[("left", &left)]).await;
        let unguarded = unguarded_process(&[("left", &left)]).await;
        let mut failed = Vec::new();
        for (sql, expected) in QUERIES {
            let at = |one: &str, other: &str| sql.replace("{1}", one).replace("{2}", other);
            for (how, answer) in [
                ("at the node", analyst.query(&at("left", "left")).await),
                ("between domains", analyst.query(&at("right", "left")).await),
                ("directly", direct.query(&at("left", "left")).await),
            ] {
                let rows = answer.unwrap_or_else(|error| panic!("{sql}: {error}"));
                if rows.rows() != [expected] {
                    failed.push(format!("{how}: {sql}\n{rows}"));
                }
            }
            let alone = |engine: &SessionContext| {
                let (engine, sql) = (engine.clone(), at("left", "left"));
                async move {
                    let query = engine.sql(&sql).await.expect("planned");
                    Rows::of(&query.collect().await.expect("run"))
                }
            };
            let rows = alone(&oracle).await;
            if rows.rows() != [expected] {
                failed.push(format!("in one process: {sql}\n{rows}"));
            }
            // As long as the engine has the defect, these data show it.
            let rows = alone(&unguarded).await;
            if rows.rows() == [expected] {
                failed.push(format!("right without a guard: {sql}"));
            }
        }
        assert!(failed.is_empty(), "{}", failed.join("\n"));
    });
}
