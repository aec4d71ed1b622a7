//! What the contracts say of keys and rows that may travel to other domains.

use std::collections::BTreeMap;

use super::{PRODUCTS, Table};
use crate::random::dice::Dice;

/// Parts of what a world's seed determines that no query has.
const KEYS: u64 = u64::MAX;
const ROWS: u64 = u64::MAX - 1;

/// What is said of products, tables and columns, by their full names.
#[derive(Debug, Default)]
pub(super) struct Disclosures {
    /// How far keys travel. Of a product something always is said, or nothing of it travels.
    keys: BTreeMap<String, &'static str>,
    /// Where rows flow.
    rows: BTreeMap<String, &'static str>,
}

impl Disclosures {
    /// Those of the world of `seed`.
    pub(super) fn of(seed: u64, tables: &[Table]) -> Self {
        let mut dice = Dice::of_part(seed, ROWS);
        let mut rows = BTreeMap::new();
        for (domain, product, _) in PRODUCTS {
            rows.insert([domain, product].join("."), anywhere(&mut dice));
        }
        for table in tables {
            if dice.chance(10) {
                rows.insert(table.full_name(), anywhere(&mut dice));
            }
        }
        let mut dice = Dice::of_part(seed, KEYS);
        let mut said = BTreeMap::new();
        for (domain, product, _) in PRODUCTS {
            said.insert([domain, product].join("."), any(&mut dice));
        }
        for table in tables {
            if dice.chance(15) {
                said.insert(table.full_name(), any(&mut dice));
            }
            for column in &table.columns {
                if dice.chance(20) {
                    let name = format!("{}.{}", table.full_name(), column.name);
                    said.insert(name, any(&mut dice));
                }
            }
        }
        Self { keys: said, rows }
    }

    /// What is said of `path`, as custom properties of a contract.
    pub(super) fn stated(&self, indent: &str, path: &[&str]) -> String {
        let name = path.join(".");
        let keys = self.keys.get(&name).map(|said| ("keyDisclosure", said));
        let rows = self.rows.get(&name).map(|said| ("flowTo", said));
        let mut stated = String::new();
        for (property, value) in keys.into_iter().chain(rows) {
            if stated.is_empty() {
                stated.push_str(&format!("{indent}customProperties:\n"));
            }
            stated.push_str(&format!(
                "{indent}  - property: weft.{property}\n{indent}    value: {value}\n"
            ));
        }
        stated
    }

    /// Everything that is said.
    pub(super) fn said(&self) -> impl Iterator<Item = (&str, String)> {
        let keys = self.keys.iter();
        let keys = keys.map(|(path, said)| (path.as_str(), format!("keys as {said}")));
        let rows = self.rows.iter();
        keys.chain(rows.map(|(path, said)| (path.as_str(), format!("rows to {said}"))))
    }
}

fn any(dice: &mut Dice) -> &'static str {
    dice.weighted(&[(76, "list"), (10, "bloom"), (10, "range"), (4, "none")])
}

fn anywhere(dice: &mut Dice) -> &'static str {
    dice.weighted(&[
        (70, "\"*\""),
        (8, "[north]"),
        (8, "[east, south]"),
        (14, "[]"),
    ])
}
