//! Queries that the engine's release answers wrongly by itself, with answers worked out by hand.
//!
//! Joins whose missing partners the engine takes for a constant, first rows that it looks for by half
//! of an order, subqueries of which it confuses columns of the same name.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::prelude::SessionContext;
use harness::{
    Client, Mesh, MeshOptions, Published, Rows, grant, run, single_process, unguarded_process,
};
use weft_governance::ErrorKind;

/// Both domains have the same tables. A dash is NULL.
const TABLES: &[(&str, &[harness::Column<'static>], &str)] = &[
    (
        "a",
        &[("id", "integer", "bigint"), ("n", "integer", "bigint")],
        "1,10\n2,20\n3,30\n4,40",
    ),
    (
        "b",
        &[("id", "integer", "bigint"), ("x", "integer", "bigint")],
        "2,1\n4,1",
    ),
    (
        "c",
        &[("id", "integer", "bigint"), ("x", "integer", "bigint")],
        "1,1\n7,1",
    ),
    ("t", &[("id", "integer", "bigint")], "1\n2\n-"),
    (
        "u",
        &[("k", "integer", "bigint"), ("n", "integer", "bigint")],
        "1,1\n-,2\n-,-",
    ),
    ("v", &[("id", "integer", "bigint")], "1\n-"),
];

/// `{1}` and `{2}` are domains. Rows in order, columns apart by commas.
const QUERIES: &[(&str, &[&str])] = &[
    // A constant is NULL where there is no partner: orders and first rows.
    (
        "SELECT a.id, b.flag FROM {1}.p.a LEFT JOIN (SELECT id, x AS flag FROM {2}.p.b WHERE x = 1) b ON a.id = b.id ORDER BY b.flag NULLS LAST, a.id",
        &["2,1", "4,1", "1,NULL", "3,NULL"],
    ),
    (
        "SELECT a.id, b.flag FROM {1}.p.a LEFT JOIN (SELECT id, x AS flag FROM {2}.p.b WHERE x = 1) b ON a.id = b.id ORDER BY b.flag NULLS LAST, a.id DESC LIMIT 2",
        &["4,1", "2,1"],
    ),
    (
        "SELECT a.id, b.flag FROM (SELECT id, 1 AS flag FROM {2}.p.b WHERE id > 0) b RIGHT JOIN {1}.p.a ON a.id = b.id ORDER BY b.flag NULLS FIRST, a.id DESC LIMIT 3",
        &["3,NULL", "1,NULL", "4,1"],
    ),
    (
        "SELECT c.one, b.two, coalesce(b.id, c.id) AS id FROM (SELECT id, x AS one FROM {1}.p.c WHERE x = 1) c FULL JOIN (SELECT id, x AS two FROM {2}.p.b WHERE x = 1) b ON b.id = c.id ORDER BY c.one NULLS LAST, b.two NULLS FIRST, id DESC",
        &["1,NULL,7", "1,NULL,1", "NULL,1,4", "NULL,1,2"],
    ),
    (
        "SELECT a.id, b.flag FROM {1}.p.a LEFT JOIN (SELECT id, x AS flag FROM {2}.p.b WHERE x = 1) b ON a.id < b.id - 1 ORDER BY b.flag NULLS LAST, a.id DESC LIMIT 2",
        &["2,1", "1,1"],
    ),
    // The first rows of a union of different constants.
    (
        "SELECT name, c FROM (SELECT CAST(NULL AS VARCHAR) AS name, 5 AS c FROM {1}.p.a WHERE id > 0 UNION ALL SELECT CASE WHEN id < 4 THEN NULL ELSE 'x' END, 27 FROM {2}.p.a WHERE id > 0) ORDER BY name NULLS LAST, c DESC LIMIT 4",
        &["x,27", "NULL,27", "NULL,27", "NULL,27"],
    ),
    // NULL is equal to NULL in one of two joins and not in the other.
    (
        "SELECT t.id, u.k FROM {1}.p.t JOIN ({2}.p.u JOIN {2}.p.v ON u.k = v.id) ON t.id IS NOT DISTINCT FROM u.n",
        &["1,1"],
    ),
    (
        "SELECT t.id, u.k FROM {1}.p.t JOIN {2}.p.u ON t.id = u.n JOIN {2}.p.v ON u.k IS NOT DISTINCT FROM v.id ORDER BY t.id",
        &["1,1", "2,NULL"],
    ),
    (
        "SELECT t.id, u.k FROM {1}.p.t JOIN ({2}.p.u JOIN {2}.p.v ON u.k IS NOT DISTINCT FROM v.id) ON t.id = u.n ORDER BY t.id",
        &["1,1", "2,NULL"],
    ),
    (
        "SELECT t.id FROM {1}.p.t JOIN {2}.p.u ON t.id IS NOT DISTINCT FROM u.n WHERE u.k = t.id",
        &["1"],
    ),
    // A subquery that counts has a row also where there is nothing to count.
    (
        "SELECT a.id FROM {1}.p.a WHERE 0 IN (SELECT count(*) FROM {2}.p.b WHERE b.id = a.id) ORDER BY a.id",
        &["1", "3"],
    ),
    (
        "SELECT a.id FROM {1}.p.a WHERE 0 NOT IN (SELECT count(*) FROM {2}.p.b WHERE b.id = a.id) ORDER BY a.id",
        &["2", "4"],
    ),
    (
        "SELECT a.id FROM {1}.p.a WHERE EXISTS (SELECT count(*) FROM {2}.p.b WHERE b.id = a.id) ORDER BY a.id",
        &["1", "2", "3", "4"],
    ),
    (
        "SELECT a.id, 0 IN (SELECT count(*) FROM {2}.p.b WHERE b.id = a.id) AS none FROM {1}.p.a ORDER BY a.id",
        &["1,true", "2,false", "3,true", "4,false"],
    ),
    // Two columns of one name are compared with the query around.
    (
        "SELECT a.id FROM {1}.p.a WHERE EXISTS (SELECT 1 FROM {2}.p.b JOIN {2}.p.c ON b.x = c.x WHERE c.id = a.id AND b.id = a.n - 6)",
        &["1"],
    ),
    (
        "SELECT a.id FROM {1}.p.a WHERE NOT EXISTS (SELECT 1 FROM {2}.p.b JOIN {2}.p.c ON b.x = c.x WHERE c.id = a.id AND b.id = a.n - 6) ORDER BY a.id",
        &["2", "3", "4"],
    ),
    (
        "SELECT a.id, (SELECT count(*) FROM {2}.p.b JOIN {2}.p.c ON b.x = c.x WHERE c.id = a.id AND b.id = a.n - 6) AS found FROM {1}.p.a ORDER BY a.id",
        &["1,1", "2,0", "3,0", "4,0"],
    ),
    (
        "SELECT a.id, s.c, s.b FROM {1}.p.a CROSS JOIN LATERAL (SELECT c.id AS c, b.id AS b FROM {2}.p.b JOIN {2}.p.c ON b.x = c.x WHERE c.id = a.id AND b.id < a.n) s ORDER BY s.b",
        &["1,1,2", "1,1,4"],
    ),
    // A column of that name comes out of the subquery.
    (
        "SELECT a.id FROM {1}.p.a WHERE a.id + 6 IN (SELECT c.id FROM {2}.p.b JOIN {2}.p.c ON b.x = c.x WHERE b.id = a.n - 6)",
        &["1"],
    ),
    (
        "SELECT a.n, s.id FROM {1}.p.a CROSS JOIN LATERAL (SELECT c.id FROM {2}.p.b JOIN {2}.p.c ON b.x = c.x WHERE b.id = a.n - 6) s ORDER BY s.id",
        &["10,1", "10,7"],
    ),
    (
        "SELECT a.n, s.id FROM {1}.p.a CROSS JOIN LATERAL (SELECT -c.id AS id FROM {2}.p.c WHERE c.id = a.n - 3) s",
        &["10,-7"],
    ),
    // A column of another type than the subquery remembers.
    (
        "SELECT a.id, s.id AS b FROM (SELECT id, CASE WHEN id > 0 THEN sum(CAST(id AS DECIMAL(10,2))) ELSE 6.75 END AS n FROM {1}.p.a GROUP BY id) a CROSS JOIN LATERAL (SELECT b.id FROM {2}.p.b WHERE CAST(b.id AS INTEGER) = a.n) s ORDER BY a.id",
        &["2,2", "4,4"],
    ),
    (
        "SELECT a.id FROM (SELECT id, CASE WHEN id > 0 THEN sum(CAST(id AS DECIMAL(10,2))) ELSE 6.75 END AS n FROM {1}.p.a GROUP BY id) a WHERE NOT EXISTS (SELECT 1 FROM {2}.p.b WHERE CAST(b.id AS INTEGER) = a.n) ORDER BY a.id",
        &["1", "3"],
    ),
];

/// Writes a product whose tables are Parquet files: of other files the engine knows too little to go
/// wrong.
fn write(domain: &str, data: &Path) {
    let product = Published {
        domain,
        product: "p",
        tables: TABLES,
    };
    product.write(data);
    for (table, columns, rows) in TABLES {
        let number = |it: &str| (it != "-").then(|| it.parse().expect("a number"));
        let rows: Vec<Vec<Option<i64>>> = rows
            .lines()
            .map(|row| row.split(',').map(number).collect())
            .collect();
        let columns = columns.iter().enumerate().map(|(at, (name, ..))| {
            let values: Int64Array = rows.iter().map(|row| row[at]).collect::<Vec<_>>().into();
            (*name, Arc::new(values) as ArrayRef)
        });
        let batch = RecordBatch::try_from_iter(columns).expect("columns");
        let folder = data.join("p");
        std::fs::remove_file(folder.join(format!("{table}.csv"))).expect("as CSV");
        let file = std::fs::File::create(folder.join(format!("{table}.parquet"))).expect("file");
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("writer");
        writer.write(&batch).expect("written");
        writer.close().expect("closed");
    }
}

/// What the engine would answer wrongly and is not asked.
const REFUSED: &[&str] = &[
    "SELECT a.id, (SELECT max(b.id) FROM {2}.p.b WHERE b.id = a.id HAVING count(*) = 0) AS m FROM {1}.p.a",
    "SELECT a.id FROM {1}.p.a WHERE EXISTS (SELECT count(*) FROM {2}.p.b WHERE b.id = a.id HAVING count(*) = 0)",
    "SELECT a.id FROM {1}.p.a WHERE 0 IN (SELECT count(*) FROM {2}.p.b WHERE b.id = a.id HAVING count(*) = 0)",
    "SELECT a.id, s.n FROM {1}.p.a CROSS JOIN LATERAL (SELECT count(*) AS n FROM {2}.p.b WHERE b.id = a.id HAVING count(*) > 0) s",
    "SELECT a.id, s.n FROM {1}.p.a CROSS JOIN LATERAL (SELECT DISTINCT count(*) AS n FROM {2}.p.b WHERE b.id = a.id) s",
    "SELECT a.id, s.n FROM {1}.p.a CROSS JOIN LATERAL (SELECT b.id, count(*) AS n FROM {2}.p.b WHERE b.id = a.id GROUP BY ROLLUP (b.id)) s",
];

async fn alone(engine: &SessionContext, sql: &str) -> Result<Rows, String> {
    let query = engine.sql(sql).await.map_err(|error| error.to_string())?;
    let rows = query.collect().await.map_err(|error| error.to_string())?;
    Ok(Rows::of(&rows))
}

fn written(rows: &Rows) -> Vec<String> {
    rows.rows().iter().map(|row| row.join(",")).collect()
}

async fn asked(client: &mut Client, sql: &str) -> Result<Rows, String> {
    let answer = client.query(sql).await;
    answer.map_err(|error| error.to_string())
}

#[test]
fn what_the_engine_gets_wrong_is_right() {
    run(async {
        let folder = tempfile::tempdir().expect("folder");
        let domain = |domain: &str| {
            let data = folder.path().join(domain);
            write(domain, &data);
            (domain.to_owned(), data, vec![grant("analyst", "p")])
        };
        let mesh = Mesh::start(MeshOptions {
            domains: vec![domain("left"), domain("right")],
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
            let here = at("left", "left");
            let answers = [
                ("at the node", asked(&mut analyst, &here).await),
                (
                    "between domains",
                    asked(&mut analyst, &at("left", "right")).await,
                ),
                (
                    "the other way",
                    asked(&mut analyst, &at("right", "left")).await,
                ),
                ("directly", asked(&mut direct, &here).await),
                ("in one process", alone(&oracle, &here).await),
            ];
            for (how, answer) in answers {
                match answer {
                    Ok(rows) if written(&rows) == *expected => {}
                    Ok(rows) => failed.push(format!("{how}: {sql}\n{rows}")),
                    Err(error) => failed.push(format!("{how}: {sql}\n{error}")),
                }
            }
            // As long as the engine has the defect, these data show it; some do not each time.
            let mut shown = false;
            for _ in 0..50 {
                let answer = alone(&unguarded, &here).await;
                shown |= !answer.is_ok_and(|rows| written(&rows) == *expected);
                if shown {
                    break;
                }
            }
            if !shown {
                failed.push(format!("right without a guard: {sql}"));
            }
        }
        for sql in REFUSED {
            for (one, other) in [("left", "left"), ("left", "right")] {
                let sql = sql.replace("{1}", one).replace("{2}", other);
                let refused = analyst.query(&sql).await.err();
                if refused.is_none_or(|error| error.kind() != ErrorKind::Unsupported) {
                    failed.push(format!("not refused: {sql}"));
                }
            }
        }
        assert!(failed.is_empty(), "{}", failed.join("\n"));
    });
}

/// What the engine plans by what is known of the rows has to be known for as long as the plan runs.
#[test]
fn a_window_over_a_column_with_one_value_is_made() {
    run(async {
        let folder = tempfile::tempdir().expect("folder");
        let data = folder.path().join("left");
        write("left", &data);
        let mesh = Mesh::start(MeshOptions {
            domains: vec![("left".to_owned(), data, vec![grant("analyst", "p")])],
            ..MeshOptions::empty()
        })
        .await;
        let sql = "SELECT id, max(n) OVER (PARTITION BY id ORDER BY n) FROM left.p.a WHERE id < 2";
        for mut client in [
            mesh.sign_in("analyst").await,
            mesh.sign_in_at("left", "analyst").await,
        ] {
            let rows = client.query(sql).await.expect("answered");
            assert_eq!(written(&rows), ["1,10"]);
        }
    });
}
