//! Which columns of a table refer to those of another.

use super::{Contract, Property, SchemaObject};

/// Columns of a table that refer to columns of a table of this contract or another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// The columns that refer, by their names.
    pub columns: Vec<String>,
    /// The contract of the table that is referred to, as it is written; nothing for this one.
    pub contract: Option<String>,
    /// What they refer to.
    pub to: Referred,
}

/// Columns as another table refers to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referred {
    /// What `table` and `columns` are.
    pub by: ReferredBy,
    /// The table.
    pub table: String,
    /// Its columns, as many as refer to them.
    pub columns: Vec<String>,
}

/// By what a contract refers to a table and its columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReferredBy {
    /// By their names.
    Name,
    /// By their ids, which their contract gives them.
    Id,
}

/// One reference, taken apart: `TABLE.COLUMN` or `schema/ID/properties/ID`, behind `CONTRACT#` if it
/// leads to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reference<'a> {
    contract: Option<&'a str>,
    by: ReferredBy,
    table: &'a str,
    column: &'a str,
}

impl<'a> Reference<'a> {
    /// Nothing for references to parts of columns, and to what is no column.
    fn read(text: &'a str) -> Option<Self> {
        let (contract, path) = match text.split_once('#') {
            Some((contract, path)) => (Some(contract), path),
            None => (None, text),
        };
        let path = path.strip_prefix('/').unwrap_or(path);
        let mut steps = path.split(['/', '.']);
        let steps = [(); 5].map(|()| steps.next());
        let (by, table, column) = match steps {
            [
                Some("schema"),
                Some(table),
                Some("properties"),
                Some(column),
                None,
            ] if !path.contains('.') => (ReferredBy::Id, table, column),
            [Some(table), Some(column), None, ..] if !path.contains('/') => {
                (ReferredBy::Name, table, column)
            }
            _ => return None,
        };
        Some(Self {
            contract,
            by,
            table,
            column,
        })
    }
}

impl Contract {
    /// The foreign keys of `object`, in the order of the contract. What they refer to in this contract
    /// is there, and called by its name. References to parts of columns are left out.
    pub fn foreign_keys(&self, object: &SchemaObject) -> Vec<ForeignKey> {
        let of_columns = object.properties.iter().flat_map(|column| {
            let references = column.relationships.iter().flat_map(|it| &it.to);
            references.filter_map(|to| {
                let (contract, to) = self.referred(std::slice::from_ref(to))?;
                let columns = vec![column.name.clone()];
                Some(ForeignKey {
                    columns,
                    contract,
                    to,
                })
            })
        });
        let of_table = object.relationships.iter().filter_map(|it| {
            let (elsewhere, from) = self.referred(&it.from)?;
            let (contract, to) = self.referred(&it.to)?;
            let own = elsewhere.is_none() && from.table == object.name;
            own.then_some(ForeignKey {
                columns: from.columns,
                contract,
                to,
            })
        });
        of_columns.chain(of_table).collect()
    }

    /// The one table, of the contract that is named, and its columns, that `references` lead to.
    fn referred(&self, references: &[String]) -> Option<(Option<String>, Referred)> {
        let read: Option<Vec<Reference<'_>>> =
            references.iter().map(|it| Reference::read(it)).collect();
        let read = read?;
        let first = read.first()?;
        let same = |it: &Reference<'_>| {
            (it.contract, it.by, it.table) == (first.contract, first.by, first.table)
        };
        if !read.iter().all(same) {
            return None;
        }
        if let Some(contract) = first.contract {
            let columns = read.iter().map(|it| it.column.to_owned()).collect();
            let to = Referred {
                by: first.by,
                table: first.table.to_owned(),
                columns,
            };
            return Some((Some(contract.to_owned()), to));
        }
        let found: Option<Vec<_>> = read.iter().map(|it| self.column(it)).collect();
        let found = found?;
        let (table, _) = found.first()?;
        let to = Referred {
            by: ReferredBy::Name,
            table: table.name.clone(),
            columns: found.iter().map(|(_, it)| it.name.clone()).collect(),
        };
        Some((None, to))
    }

    /// The column of this contract that `reference` leads to.
    fn column(&self, reference: &Reference<'_>) -> Option<(&SchemaObject, &Property)> {
        let called = |name: &str, id: Option<&str>, wanted: &str| match reference.by {
            ReferredBy::Name => name == wanted,
            ReferredBy::Id => id == Some(wanted),
        };
        let mut tables = self.schema.iter();
        let table = tables.find(|it| called(&it.name, it.id.as_deref(), reference.table))?;
        let mut columns = table.properties.iter();
        let column = columns.find(|it| called(&it.name, it.id.as_deref(), reference.column))?;
        Some((table, column))
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
      - { from: lines.year, to: 'weft://crm/people#person.born' }
      - { from: [lines.year, lines.number], to: [other.yaml#x.y, another.yaml#x.z] }
      - { from: [lines.year, lines.number], to: [other.yaml#x.y, other.yaml#w.z] }
      - { from: orders.year, to: other.yaml#x.y }
";

    #[test]
    fn keys_lead_to_columns_of_this_contract_and_of_others() {
        let contract = Contract::parse(CONTRACT).expect("valid");
        let keys = |at: usize| contract.foreign_keys(&contract.schema[at]);
        let owned = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let key =
            |from: &[&str], elsewhere: Option<&str>, by, table: &str, to: &[&str]| ForeignKey {
                columns: owned(from),
                contract: elsewhere.map(str::to_owned),
                to: Referred {
                    by,
                    table: table.to_owned(),
                    columns: owned(to),
                },
            };
        use ReferredBy::{Id, Name};
        assert!(keys(0).is_empty());
        assert_eq!(
            keys(1),
            [
                key(&["first"], None, Name, "orders", &["number"]),
                key(&["first"], Some("other.yaml"), Id, "x", &["y"]),
                key(&["second"], None, Name, "orders", &["number"]),
                key(
                    &["year", "number"],
                    None,
                    Name,
                    "orders",
                    &["year", "number"]
                ),
                key(
                    &["year"],
                    Some("weft://crm/people"),
                    Name,
                    "person",
                    &["born"]
                ),
            ]
        );
    }

    #[test]
    fn what_is_no_reference_to_a_column_is_none() {
        for text in [
            "",
            "a",
            "a.b.c",
            "a/b",
            "schema/a",
            "schema/a/properties/b/properties/c",
            "schema/a.b/properties/c",
            "tables/a/properties/b",
            "f.yaml#",
            "f.yaml#a",
        ] {
            assert_eq!(Reference::read(text), None, "{text}");
        }
    }
}
