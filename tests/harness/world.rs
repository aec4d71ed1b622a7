//! Small data products, written by hand in a test.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use weft_node::GrantSettings;

/// A column: name, logical type, physical type. A `*` before the name declares it as primary key, a `#`
/// behind it a tag, and a `>` at the end what it refers to.
pub type Column<'a> = (&'a str, &'a str, &'a str);

/// A data product of CSV tables: `(table, [(column, logical type, physical type)], rows as CSV)`.
pub struct Published<'a> {
    /// The domain.
    pub domain: &'a str,
    /// The product.
    pub product: &'a str,
    /// The tables: name, columns as `name type`, and rows as CSV without a header.
    pub tables: &'a [(&'a str, &'a [Column<'a>], &'a str)],
}

impl Published<'_> {
    /// Writes the product's folder below `data`.
    pub fn write(&self, data: &Path) {
        let folder = data.join(self.product);
        fs::create_dir_all(&folder).expect("folder");
        let mut contract = format!(
            "apiVersion: v3.1.0\nkind: DataContract\nid: {}-{}\nname: {}\nversion: 1.0.0\nstatus: active\ndomain: {}\ndataProduct: {}\ncustomProperties:\n  - property: weft.keyDisclosure\n    value: list\n  - property: weft.flowTo\n    value: \"*\"\nschema:\n",
            self.domain, self.product, self.product, self.domain, self.product
        );
        for (table, columns, rows) in self.tables {
            contract.push_str(&format!("  - name: {table}\n    properties:\n"));
            for (column, logical, physical) in *columns {
                let (name, key) = named(column);
                contract.push_str(&format!(
                    "      - name: {name}\n        logicalType: {logical}\n        physicalType: {physical}\n        primaryKey: {key}\n"
                ));
                let (column, to) = referring(column);
                if let Some((_, tag)) = column.split_once('#') {
                    contract.push_str(&format!("        tags: [{tag}]\n"));
                }
                if let Some(to) = to {
                    contract.push_str(&format!("        relationships: [{{ to: '{to}' }}]\n"));
                }
            }
            let header = columns
                .iter()
                .map(|(column, ..)| named(column).0)
                .collect::<Vec<_>>()
                .join(",");
            fs::write(
                folder.join(format!("{table}.csv")),
                format!("{header}\n{rows}\n"),
            )
            .expect("rows");
        }
        fs::write(folder.join(format!("{}.odcs.yaml", self.product)), contract).expect("contract");
    }
}

/// The name of a column and whether it is declared as key.
fn named(column: &str) -> (&str, bool) {
    let (column, _) = referring(column);
    let column = column.split_once('#').map_or(column, |(name, _)| name);
    match column.strip_prefix('*') {
        Some(name) => (name, true),
        None => (column, false),
    }
}

/// A column, and what it refers to.
fn referring(column: &str) -> (&str, Option<&str>) {
    match column.split_once('>') {
        Some((column, to)) => (column, Some(to)),
        None => (column, None),
    }
}

/// A grant on a whole product.
pub fn grant(user: &str, product: &str) -> GrantSettings {
    GrantSettings {
        user: Some(user.to_owned()),
        product: product.to_owned(),
        ..GrantSettings::default()
    }
}

/// A grant on one table, narrowed by a row filter and masks.
pub fn grant_table(
    user: &str,
    product: &str,
    table: &str,
    row_filter: Option<&str>,
    masks: &[(&str, &str)],
) -> GrantSettings {
    GrantSettings {
        table: Some(table.to_owned()),
        row_filter: row_filter.map(str::to_owned),
        masks: masks
            .iter()
            .map(|(column, mask)| ((*column).to_owned(), (*mask).to_owned()))
            .collect::<BTreeMap<_, _>>(),
        ..grant(user, product)
    }
}
