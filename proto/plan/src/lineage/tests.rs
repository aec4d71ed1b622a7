use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::TableReference;
use datafusion::execution::session_state::SessionStateBuilder;
use sqlparser::ast::Statement;
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;
use weft_governance::ProductRef;

use super::*;
use crate::frontend::{Tables, plan_query};

fn table(product: &str, name: &str) -> ProductTable {
    let product = ProductRef::new("sales".parse().expect("domain"), product).expect("product");
    let columns = ["id", "price", "note"].map(|it| Field::new(it, DataType::Int64, true));
    let remarks = ["its id", "its price", "its note"].map(|it| Remark {
        description: Some(it.to_owned()),
        ..Remark::default()
    });
    let table = product.table(name).expect("table");
    ProductTable::new(table, Arc::new(Schema::new(columns.to_vec()))).with_remarks(remarks)
}

/// What each column of `sql` is said to be.
fn told(sql: &str) -> Vec<String> {
    let parsed = Parser::parse_sql(&GenericDialect {}, sql).expect("SQL");
    let [Statement::Query(query)] = parsed.as_slice() else {
        panic!("{sql} is one query");
    };
    let tables: Tables = ["orders", "lines"]
        .into_iter()
        .map(|name| {
            let provider: Arc<dyn datafusion::catalog::TableProvider> =
                Arc::new(table("shop", name));
            (TableReference::bare(name), provider)
        })
        .collect();
    let state = SessionStateBuilder::new_with_default_features().build();
    let plan = plan_query(&state, &tables, query.as_ref().clone()).expect("a plan");
    let columns = plain_columns(&plan).into_iter();
    let told = columns.map(|column| match column {
        Some(PlainColumn { table, remark }) => {
            format!("{table}: {}", remark.description.unwrap_or_default())
        }
        None => "-".to_owned(),
    });
    told.collect()
}

#[test]
fn plain_columns_are_followed_to_their_tables() {
    let id = "sales.shop.orders: its id";
    let price = "sales.shop.orders: its price";
    for (sql, expected) in [
        ("SELECT id, price FROM orders", vec![id, price]),
        ("SELECT price AS id FROM orders", vec![price]),
        (
            "SELECT id FROM orders WHERE price > 1 ORDER BY note LIMIT 3",
            vec![id],
        ),
        ("SELECT DISTINCT id FROM orders", vec![id]),
        (
            "SELECT a.b FROM (SELECT id AS b, note AS c FROM orders) a",
            vec![id],
        ),
        (
            "WITH w AS (SELECT price FROM orders) SELECT * FROM w",
            vec![price],
        ),
        ("SELECT id, count(*) FROM orders GROUP BY id", vec![id, "-"]),
        (
            "SELECT id, row_number() OVER (ORDER BY id) FROM orders",
            vec![id, "-"],
        ),
        (
            "SELECT l.id, o.id FROM orders o LEFT JOIN lines l ON o.id = l.id",
            vec!["sales.shop.lines: its id", id],
        ),
        (
            "SELECT id FROM orders WHERE id IN (SELECT id FROM lines)",
            vec![id],
        ),
    ] {
        assert_eq!(told(sql), expected, "{sql}");
    }
}

#[test]
fn of_what_is_computed_nothing_is_told() {
    for sql in [
        "SELECT id + 1 FROM orders",
        "SELECT CAST(id AS VARCHAR) AS id FROM orders",
        "SELECT max(id) AS id FROM orders",
        "SELECT 1 AS id",
        "SELECT coalesce(id, price) AS id FROM orders",
        "SELECT id FROM orders UNION ALL SELECT id FROM lines",
        "SELECT id FROM orders GROUP BY ROLLUP (id)",
        "SELECT (SELECT max(id) FROM lines) AS id FROM orders",
    ] {
        assert_eq!(told(sql), ["-"], "{sql}");
    }
}
