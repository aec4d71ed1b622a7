//! TPC-H: three domains answer like one process, and like another engine.

use harness::{Mesh, MeshOptions, Rows, assert_same_rows, run, single_process, workload_data};
use workload::tpch::QUERIES;

const SCALE: f64 = 0.01;

#[test]
fn all_queries_over_three_domains_equal_one_process_and_duckdb() {
    run(async {
        let data = workload_data(SCALE);
        let folder = |domain: &str| data.join(domain).join("data");
        let (sales, crm, supply) = (folder("sales"), folder("crm"), folder("supply"));
        let oracle = single_process(&[("sales", &sales), ("crm", &crm), ("supply", &supply)]).await;
        let mesh = Mesh::start(MeshOptions::tpch(SCALE)).await;
        let mut analyst = mesh.sign_in("analyst").await;
        let mut failed = Vec::new();
        for query in &QUERIES {
            let sql = query.qualified();
            let federated = match analyst.query(&sql).await {
                Ok(rows) => rows,
                Err(error) => {
                    failed.push(format!(
                        "{}: {error} {:?}",
                        query.name(),
                        std::error::Error::source(&error)
                    ));
                    continue;
                }
            };
            let batches = oracle
                .sql(&sql)
                .await
                .expect("planned")
                .collect()
                .await
                .expect("run");
            assert_same_rows(&query.name(), federated.clone(), Rows::of(&batches));
            compare_to_duckdb(&query.name(), federated);
        }
        assert!(failed.is_empty(), "{}", failed.join("\n"));
    });
}

/// Text, integers, decimals and dates are equal exactly; where DuckDB has a DOUBLE, DataFusion may
/// have a decimal of six digits, so those agree to one unit of the sixth.
fn compare_to_duckdb(name: &str, found: Rows) {
    let file = format!(
        "{}/data/tpch/answers/sf0.01/{name}.csv",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = std::fs::read_to_string(&file).expect("a recorded answer");
    let mut lines = text.lines().skip(1);
    let types = fields(lines.next().expect("types"));
    let mut known: Vec<Vec<String>> = lines.map(fields).collect();
    let mut found: Vec<Vec<String>> = found.rows().to_vec();
    assert_eq!(found.len(), known.len(), "{name}: rows");
    for row in &mut known {
        for (cell, kind) in row.iter_mut().zip(&types) {
            *cell = match cell.as_str() {
                "" => "NULL".to_owned(),
                text if kind.starts_with("DECIMAL") && text.contains('.') => {
                    text.trim_end_matches('0').trim_end_matches('.').to_owned()
                }
                text => text.to_owned(),
            };
        }
    }
    let exact = |row: &Vec<String>| -> Vec<String> {
        let cells = row.iter().zip(&types).filter(|(_, kind)| *kind != "DOUBLE");
        cells.map(|(cell, _)| cell.clone()).collect()
    };
    known.sort_by_key(exact);
    found.sort_by_key(exact);
    for (found, known) in found.iter().zip(&known) {
        assert_eq!(exact(found), exact(known), "{name}");
        for ((found, known), kind) in found.iter().zip(known).zip(&types) {
            if kind == "DOUBLE" && (found, known) != (&"NULL".to_owned(), &"NULL".to_owned()) {
                let (found, known): (f64, f64) = (
                    found.parse().expect("a number"),
                    known.parse().expect("a number"),
                );
                let close = (found - known).abs() <= 1e-6_f64.max(1e-9 * known.abs());
                assert!(close, "{name}: {found} and {known}");
            }
        }
    }
}

fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            c => fields.last_mut().expect("a field").push(c),
        }
    }
    fields
}
