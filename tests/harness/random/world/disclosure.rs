//! What the contracts say of keys that may travel to other domains.

use std::collections::BTreeMap;

use super::{PRODUCTS, Table};
use crate::random::dice::Dice;

/// A part of what a world's seed determines that no query has.
const PART: u64 = u64::MAX;

/// What is said of products, tables and columns, by their full names. Of a product something always
/// is, or nothing of it travels.
#[derive(Debug, Default)]
pub(super) struct Disclosures(BTreeMap<String, &'static str>);

impl Disclosures {
    /// Those of the world of `seed`.
    pub(super) fn of(seed: u64, tables: &[Table]) -> Self {
        let mut dice = Dice::of_part(seed, PART);
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
        Self(said)
    }

    /// What is said of `path`, as custom property of a contract.
    pub(super) fn stated(&self, indent: &str, path: &[&str]) -> String {
        match self.0.get(&path.join(".")) {
            None => String::new(),
            Some(disclosure) => format!(
                "{indent}customProperties:\n{indent}  - property: weft.keyDisclosure\n{indent}    value: {disclosure}\n"
            ),
        }
    }

    /// Everything that is said.
    pub(super) fn said(&self) -> impl Iterator<Item = (&str, &'static str)> {
        let said = self.0.iter();
        said.map(|(path, disclosure)| (path.as_str(), *disclosure))
    }
}

fn any(dice: &mut Dice) -> &'static str {
    dice.weighted(&[(76, "list"), (10, "bloom"), (10, "range"), (4, "none")])
}
