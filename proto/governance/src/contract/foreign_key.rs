//! Which columns of a table refer to those of another.

use std::collections::BTreeSet;

use super::{Contract, Property, SchemaObject};

/// Columns of a table that refer to columns of a table of the same contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// The columns that refer.
    pub columns: Vec<String>,
    /// The table that is referred to.
    pub table: String,
    /// Its columns, as many as `columns`.
    pub to: Vec<String>,
}

impl Contract {
    /// The foreign keys of `object`, in the order of the contract. References to other contracts and
    /// to parts of columns are left out.
    pub fn foreign_keys(&self, object: &SchemaObject) -> Vec<ForeignKey> {
        let of_columns = object.properties.iter().flat_map(|column| {
            let references = column.relationships.iter().flat_map(|it| &it.to);
            references.filter_map(|to| {
                let (table, to) = self.column(to)?;
                Some(ForeignKey {
                    columns: vec![column.name.clone()],
                    table: table.name.clone(),
                    to: vec![to.name.clone()],
                })
            })
        });
        let of_table = object.relationships.iter().filter_map(|it| {
            let (tables, columns) = self.columns(&it.from)?;
            let (targets, to) = self.columns(&it.to)?;
            let own = tables == BTreeSet::from([object.name.as_str()]);
            let table = targets.first().filter(|_| own && targets.len() == 1)?;
            Some(ForeignKey {
                columns,
                table: (*table).to_owned(),
                to,
            })
        });
        of_columns.chain(of_table).collect()
    }

    /// The tables and columns that `references` lead to, if all of them do.
    fn columns(&self, references: &[String]) -> Option<(BTreeSet<&str>, Vec<String>)> {
        let found: Option<Vec<_>> = references.iter().map(|it| self.column(it)).collect();
        Some(
            found?
                .into_iter()
                .map(|(table, column)| (table.name.as_str(), column.name.clone()))
                .unzip(),
        )
    }

    /// The column of this contract that `reference` leads to.
    fn column(&self, reference: &str) -> Option<(&SchemaObject, &Property)> {
        if reference.contains('#') {
            return None;
        }
        let path = reference.strip_prefix('/').unwrap_or(reference);
        let steps: Vec<&str> = path.split(['/', '.']).collect();
        match steps.as_slice() {
            ["schema", table, "properties", column] if path.contains('/') => {
                let named = |id: &Option<String>, wanted: &str| id.as_deref() == Some(wanted);
                let table = self.schema.iter().find(|it| named(&it.id, table))?;
                let column = table.properties.iter().find(|it| named(&it.id, column))?;
                Some((table, column))
            }
            [table, column] if !path.contains('/') => {
                let table = self.schema.iter().find(|it| it.name == *table)?;
                let column = table.properties.iter().find(|it| it.name == *column)?;
                Some((table, column))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTRACT: &str = "\
apiVersion: v3.1.0
kind: DataContract
id: c
version: 1.0.0
status: active
schema:
  - name: orders
    id: o
    properties:
      - { name: year, id: y }
      - { name: number, id: n }
  - name: lines
    properties:
      - name: year
      - name: number
      - name: first
        relationships: [{ to: orders.number }, { to: other.yaml#/schema/x/properties/y }]
      - name: second
        relationships: [{ to: /schema/o/properties/n }, { to: elsewhere.id }]
    relationships:
      - { from: [lines.year, lines.number], to: [orders.year, orders.number] }
      - { from: lines.year, to: other.yaml#x.y }
";

    #[test]
    fn keys_within_the_contract_are_found_and_others_left_out() {
        let contract = Contract::parse(CONTRACT).expect("valid");
        let keys = |at: usize| contract.foreign_keys(&contract.schema[at]);
        let key = |columns: &[&str], to: &[&str]| ForeignKey {
            columns: columns.iter().map(|it| (*it).to_owned()).collect(),
            table: "orders".to_owned(),
            to: to.iter().map(|it| (*it).to_owned()).collect(),
        };
        assert!(keys(0).is_empty());
        assert_eq!(
            keys(1),
            [
                key(&["first"], &["number"]),
                key(&["second"], &["number"]),
                key(&["year", "number"], &["year", "number"]),
            ]
        );
    }
}
