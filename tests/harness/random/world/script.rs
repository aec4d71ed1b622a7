//! Tables as SQL, for a person who wants to see a difference in another engine.

use std::collections::BTreeSet;

use super::Table;
use super::disclosure::Disclosures;

/// Statements that make `tables`, and what is disclosed of their keys.
pub(super) fn script<'a>(
    tables: impl Iterator<Item = &'a Table>,
    disclosures: &Disclosures,
) -> String {
    let mut domains = BTreeSet::new();
    let mut schemas = BTreeSet::new();
    let mut script = String::new();
    for table in tables {
        if domains.insert(table.domain) {
            script.push_str(&format!("ATTACH ':memory:' AS {};\n", table.domain));
        }
        if schemas.insert((table.domain, table.product)) {
            let schema = format!("CREATE SCHEMA {}.{};\n", table.domain, table.product);
            script.push_str(&schema);
        }
        script.push_str(&create(table));
    }
    for (path, disclosure) in disclosures.said() {
        script.push_str(&format!("-- {path}: {disclosure}\n"));
    }
    script
}

fn create(table: &Table) -> String {
    let mut parts: Vec<String> = table
        .columns
        .iter()
        .map(|column| format!("{} {}", column.name, column.of.names().2))
        .collect();
    if !table.key.is_empty() {
        let key = table.key.iter().map(|at| table.columns[*at].name);
        let key: Vec<&str> = key.collect();
        parts.push(format!("PRIMARY KEY ({})", key.join(", ")));
    }
    let name = table.full_name();
    let mut script = format!("CREATE TABLE {name} ({});\n", parts.join(", "));
    let rows: Vec<String> = table
        .rows
        .iter()
        .map(|row| {
            let values = row.iter().zip(&table.columns);
            let values: Vec<String> = values
                .map(|(value, column)| column.of.show(value))
                .collect();
            format!("({})", values.join(", "))
        })
        .collect();
    if !rows.is_empty() {
        script.push_str(&format!(
            "INSERT INTO {name} VALUES\n  {};\n",
            rows.join(",\n  ")
        ));
    }
    script
}
