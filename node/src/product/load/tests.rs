use std::fs;
use std::path::Path;

use datafusion::prelude::SessionContext;
use tempfile::TempDir;

use super::*;

const HEAD: &str =
    "apiVersion: v3.1.0\nkind: DataContract\nid: x\nname: x\nversion: 1.0.0\nstatus: active\n";

fn product(data: &Path, name: &str, schema: &str, files: &[(&str, &str)]) {
    let folder = data.join(name);
    fs::create_dir_all(&folder).expect("folder");
    fs::write(
        folder.join(format!("{name}.odcs.yaml")),
        format!("{HEAD}{schema}"),
    )
    .expect("contract");
    for (file, text) in files {
        let path = folder.join(file);
        fs::create_dir_all(path.parent().expect("parent")).expect("folder");
        fs::write(path, text).expect("data");
    }
}

const SALE: &str = "schema:\n  - name: sale\n    properties:\n      - {name: id, physicalName: sale_id, logicalType: integer, physicalType: bigint}\n      - {name: day, logicalType: date, physicalType: date}\n";

async fn loaded(data: &Path) -> Loaded {
    load(&"shop".parse().expect("domain"), data).await
}

async fn answer(loaded: &Loaded, sql: &str) -> String {
    let context = SessionContext::new();
    for table in loaded.products.iter().flat_map(|product| &product.tables) {
        context
            .register_table(table.reference.table(), Arc::clone(&table.source))
            .expect("registered");
    }
    let batches = context
        .sql(sql)
        .await
        .expect("planned")
        .collect()
        .await
        .expect("run");
    arrow::util::pretty::pretty_format_batches(&batches)
        .expect("printed")
        .to_string()
}

#[tokio::test]
async fn the_contract_names_orders_and_types_the_columns_of_several_files() {
    let data = TempDir::new().expect("folder");
    let files = [
        ("sale/a.csv", "day,secret,sale_id\n2024-01-01,x,1\n"),
        ("sale/b.csv", "day,secret,sale_id\n,y,2\n"),
    ];
    product(data.path(), "sales", SALE, &files);
    let loaded = loaded(data.path()).await;
    assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
    let rows = answer(&loaded, "SELECT * FROM sale ORDER BY id").await;
    assert!(
        rows.contains("| id | day        |") && rows.contains("| 2  |            |"),
        "{rows}"
    );
    assert!(
        !rows.contains("secret"),
        "an undeclared column is invisible: {rows}"
    );
}

#[tokio::test]
async fn a_broken_product_is_named_with_its_line_and_the_others_are_served() {
    let data = TempDir::new().expect("folder");
    product(
        data.path(),
        "good",
        SALE,
        &[("sale.csv", "sale_id,day\n1,\n")],
    );
    product(data.path(), "yaml", "schema: [\n", &[]);
    product(data.path(), "nodata", SALE, &[]);
    product(
        data.path(),
        "twice",
        &format!("{SALE}{}", SALE.replace("schema:\n", "")),
        &[("sale.csv", "sale_id,day\n")],
    );
    product(data.path(), "column", SALE, &[("sale.csv", "sale_id\n1\n")]);
    let loaded = loaded(data.path()).await;
    let served: Vec<_> = loaded
        .products
        .iter()
        .map(|p| p.reference.product())
        .collect();
    assert_eq!(served, ["good"]);
    let problems: Vec<_> = loaded
        .problems
        .iter()
        .map(|p| (p.product.as_str(), p.to_string()))
        .collect();
    for name in ["yaml", "nodata", "twice", "column"] {
        let found = problems.iter().find(|(product, _)| *product == name);
        let (_, text) = found.unwrap_or_else(|| panic!("{name}: {problems:?}"));
        assert!(text.contains(name), "it names the file: {text}");
    }
    let (_, missing) = problems
        .iter()
        .find(|(product, _)| *product == "column")
        .expect("reported");
    assert!(
        missing.contains("day") && missing.contains("sale"),
        "{missing}"
    );
}

#[tokio::test]
async fn data_stays_inside_the_data_folder() {
    let data = TempDir::new().expect("folder");
    let outside = TempDir::new().expect("folder");
    fs::write(outside.path().join("sale.csv"), "sale_id,day\n666,\n").expect("data");
    product(data.path(), "sales", SALE, &[]);
    std::os::unix::fs::symlink(
        outside.path().join("sale.csv"),
        data.path().join("sales/sale.csv"),
    )
    .expect("link");
    let loaded = loaded(data.path()).await;
    assert!(loaded.products.is_empty(), "{:?}", loaded.products);
    assert_eq!(loaded.problems.len(), 1);
}
