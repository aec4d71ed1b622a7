//! Which folders are products.

use weft_governance::DomainId;

use super::fixture::Data;
use crate::product::{Discoverable, load};

const BODY: &str = "schema: [{name: t, description: Things., properties: [{name: a}]}]\n";

#[tokio::test]
async fn a_product_has_the_name_of_its_folder_and_the_words_of_its_contract() {
    let data = Data::with(&format!(
        "dataProduct: p\ndescription: {{purpose: To count., usage: Count.}}\n{BODY}"
    ));
    data.text("p/t.csv", "a\n");
    data.text("notes/readme.txt", "no product");
    data.text(".hidden/x.odcs.yaml", "no contract");
    data.text("x.odcs.yaml", "not in a folder");
    let served = data.served().await;
    assert_eq!(served.loaded.products.len(), 1);
    let product = &served.loaded.products[0];
    assert_eq!(product.reference.to_string(), "sales.p");
    assert_eq!(
        (product.version.as_str(), product.description.as_str()),
        ("1.0.0", "To count.")
    );
    assert!(product.is_discoverable());
    let table = &product.tables[0];
    assert_eq!(table.reference.to_string(), "sales.p.t");
    assert_eq!(table.description, "Things.");
}

#[tokio::test]
async fn the_contract_says_who_may_know_of_a_product() {
    let with = |value: &str| {
        format!("{BODY}customProperties: [{{property: weft.discoverable, value: {value}}}]\n")
    };
    for (value, expected) in [
        ("everyone", Discoverable::Everyone),
        ("granted", Discoverable::Granted),
    ] {
        let data = Data::with(&with(value));
        data.text("p/t.csv", "a\n");
        assert_eq!(
            data.served().await.loaded.products[0].discoverable,
            expected
        );
    }
    let data = Data::with(&with("nobody"));
    let expected = "p/p.odcs.yaml:7: `weft.discoverable` must be `everyone` or `granted`";
    assert_eq!(data.problems().await, [expected]);
}

#[tokio::test]
async fn a_folder_that_is_not_named_like_its_product_is_refused() {
    let data = Data::with(&format!("dataProduct: orders\n{BODY}"));
    data.text("p/t.csv", "a\n");
    let expected = "p/p.odcs.yaml:6: `dataProduct` is `orders`, but the product's folder is `p`";
    assert_eq!(data.problems().await, [expected]);
}

#[tokio::test]
async fn every_fault_of_a_contract_is_a_problem_with_its_line() {
    let data = Data::with("schema:\n  - name: t\n  - name: t\n  - logicalType: thing\n");
    assert_eq!(
        data.problems().await,
        [
            "p/p.odcs.yaml:8: schema object `t` is already declared in line 7",
            "p/p.odcs.yaml:9: `name` of a schema object is missing",
        ]
    );
    data.contract("p", "schema: [\n");
    let problems = data.problems().await;
    assert!(
        problems[0].starts_with("p/p.odcs.yaml:6: the YAML cannot be read: "),
        "{problems:?}"
    );
}

#[tokio::test]
async fn a_table_without_columns_or_with_a_name_that_is_a_path_is_refused() {
    let data = Data::with("schema:\n  - name: t\n  - name: a/../b\n    properties: [{name: a}]\n");
    data.text("p/t.csv", "a\n");
    let problems = data.problems().await;
    assert_eq!(
        problems[0],
        "p/p.odcs.yaml:7: table `t`: it declares no columns"
    );
    assert!(problems[1].starts_with("p/p.odcs.yaml:8: `a/../b` is not a valid table name"));
}

#[tokio::test]
async fn a_product_has_one_contract_and_a_name_of_its_own() {
    let data = Data::with(BODY);
    data.text("p/t.csv", "a\n");
    data.contract("P", BODY);
    data.text("P/t.csv", "a\n");
    data.contract("q", BODY);
    data.text("q/other.odcs.yaml", "");
    data.text("a.b/x.odcs.yaml", "");
    let problems = data.problems().await;
    assert!(
        problems[0].starts_with("a.b/x.odcs.yaml:1: "),
        "{problems:?}"
    );
    assert_eq!(
        problems[1..],
        [
            "p: products `P` and `p` are one name after folding to lower case",
            "q: a product has one contract, but there are `q/other.odcs.yaml` and `q/q.odcs.yaml`",
        ]
    );
    data.contract("a.b", BODY);
    std::fs::remove_file(data.path("a.b/x.odcs.yaml")).expect("removed");
    let problems = data.problems().await;
    assert!(
        problems[0].contains("is not a valid product name"),
        "{problems:?}"
    );
}

#[tokio::test]
async fn a_data_directory_that_is_not_there_is_a_problem() {
    let data = Data::new();
    let domain: DomainId = "sales".parse().expect("valid");
    let loaded = load(&domain, &data.root().join("nowhere")).await;
    assert!(loaded.products.is_empty());
    let problem = loaded.problems[0].to_string();
    assert!(
        problem.contains("nowhere: the data directory cannot be read: "),
        "{problem}"
    );
}
