//! Contracts of products that the demo does not have, made of the tables of those that it has.

use super::Product;
use crate::demo;
use crate::tpch::Table;

/// A contract for `product`, with its tables as the demo's contracts describe them. References to
/// tables of other products are left out: a contract speaks of its own tables.
pub(super) fn compose(product: &Product) -> String {
    let Product {
        domain,
        name,
        tables,
    } = product;
    let mut contract = format!(
        "apiVersion: v3.1.0\nkind: DataContract\nid: {domain}-{name}\nname: {name}\nversion: 1.0.0\nstatus: active\ndomain: {domain}\ndataProduct: {name}\n\ncustomProperties:\n  - property: weft.discoverable\n    value: everyone\n  - property: weft.keyDisclosure\n    value: list\n  - property: weft.flowTo\n    value: \"*\"\n\nschema:\n"
    );
    for table in *tables {
        for line in own_references(&described(*table), tables) {
            contract.push_str(line);
            contract.push('\n');
        }
    }
    contract
}

/// The lines that describe `table` in the demo's contract.
fn described(table: Table) -> Vec<&'static str> {
    let first = format!("  - name: {table}");
    demo::PRODUCTS
        .iter()
        .filter_map(|product| product.contract.split_once("\nschema:\n"))
        .map(|(_, schema)| {
            let mut lines = schema.lines().skip_while(|line| *line != first);
            let head = lines.next();
            let rest = lines.take_while(|line| !line.starts_with("  - ") && !is_top(line));
            head.into_iter()
                .chain(rest)
                .filter(|line| !line.is_empty())
                .collect()
        })
        .find(|lines: &Vec<_>| !lines.is_empty())
        .unwrap_or_default()
}

fn is_top(line: &str) -> bool {
    line.starts_with(|c: char| !c.is_whitespace())
}

/// `lines` without the `relationships` that point at a table outside `tables`.
fn own_references<'a>(lines: &[&'a str], tables: &[Table]) -> Vec<&'a str> {
    let mut kept = Vec::with_capacity(lines.len());
    let mut rest = lines;
    while let Some((line, after)) = rest.split_first() {
        let length = match line.trim_start() {
            "relationships:" => 1 + after.iter().take_while(|l| depth(l) > depth(line)).count(),
            _ => 1,
        };
        let (block, after) = rest.split_at(length);
        if block.iter().all(|line| points_inside(line, tables)) {
            kept.extend_from_slice(block);
        }
        rest = after;
    }
    kept
}

/// Whether `line` is no reference, or one to a table of `tables`.
fn points_inside(line: &str, tables: &[Table]) -> bool {
    line.trim_start()
        .strip_prefix("to: ")
        .and_then(|target| target.split('.').next())
        .is_none_or(|name| tables.iter().any(|table| table.name() == name))
}

fn depth(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

#[cfg(test)]
mod tests {
    use super::super::Layout;
    use super::*;

    #[test]
    fn every_column_of_every_table_is_described() {
        for layout in [Layout::One, Layout::Six] {
            for product in layout.products() {
                let contract = compose(product);
                for table in product.tables {
                    assert!(contract.contains(&format!("\n  - name: {table}\n")));
                    for field in table.schema().fields() {
                        let line = format!("\n      - name: {}\n", field.name());
                        assert_eq!(contract.matches(&line).count(), 1, "{table}: {line}");
                    }
                }
                let columns: usize = product
                    .tables
                    .iter()
                    .map(|t| t.schema().fields().len())
                    .sum();
                assert_eq!(contract.matches("\n      - name: ").count(), columns);
            }
        }
    }

    #[test]
    fn only_references_within_the_product_stay() {
        let references = |layout: Layout, domain: &str| {
            let products = layout.products().iter();
            let contract: String = products
                .filter(|p| p.domain == domain)
                .map(compose)
                .collect();
            contract
                .lines()
                .filter_map(|line| line.trim().strip_prefix("to: ").map(str::to_owned))
                .collect::<Vec<_>>()
        };
        assert_eq!(references(Layout::Six, "supply"), ["supplier.s_suppkey"]);
        assert_eq!(references(Layout::Six, "geography"), ["region.r_regionkey"]);
        assert!(references(Layout::Six, "logistics").is_empty());
        assert_eq!(references(Layout::One, "company").len(), 5);
    }
}
