//! What a column refers to.

use super::fault::{At, Faults};
use super::fields::{Fields, called};
use super::node::{Node, Value};

/// A reference between columns, such as a foreign key.
///
/// References are kept as written: `object.property` by names, `schema/ID/properties/ID` by ids,
/// or either of another contract behind `FILE.yaml#`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relationship {
    /// Where it stands.
    pub at: At,
    /// The columns that refer; empty where it is written at the column itself.
    pub from: Vec<String>,
    /// The columns that are referred to; as many as `from`, where that is not empty.
    pub to: Vec<String>,
}

impl Relationship {
    /// Reads a relationship of a table, which names both sides.
    pub(super) fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        let fields = Fields::of(node, "a relationship", faults)?;
        check_type(&fields, faults);
        let from = references(&fields, "from", faults);
        let to = references(&fields, "to", faults);
        let (from, to) = (from?, to?);
        if from.len() != to.len() {
            let message = format!(
                "a relationship must name as many columns in `to` as in `from`, but names {} and {}",
                to.len(),
                from.len()
            );
            faults.add(fields.at_of("to"), message);
        }
        Some(Self {
            at: node.at,
            from,
            to,
        })
    }

    /// Reads a relationship of a column, which is what refers.
    pub(super) fn read_implicit(node: &Node, faults: &mut Faults) -> Option<Self> {
        let fields = Fields::of(node, "a relationship", faults)?;
        check_type(&fields, faults);
        if fields.get("from").is_some() {
            let message = "a relationship of a property has no `from`: it is the property itself";
            faults.add(fields.at_of("from"), message);
        }
        let to = references(&fields, "to", faults)?;
        Some(Self {
            at: node.at,
            from: Vec::new(),
            to,
        })
    }
}

fn check_type(fields: &Fields<'_>, faults: &mut Faults) {
    if let Some(kind) = fields.text("type", faults)
        && kind != "foreignKey"
    {
        let message = format!("unknown `type` `{kind}` of a relationship; known is foreignKey");
        faults.add(fields.at_of("type"), message);
    }
}

/// One reference or a list of them.
fn references(fields: &Fields<'_>, name: &str, faults: &mut Faults) -> Option<Vec<String>> {
    let Some(node) = fields.get(name) else {
        fields.missing(name, faults);
        return None;
    };
    match &node.value {
        Value::Text(text) => Some(vec![text.clone()]),
        Value::List(items) if !items.is_empty() => Some(fields.texts(name, faults)),
        other => {
            let message = format!(
                "`{name}` of a relationship must be a reference or a list of them, but is {}",
                called(other)
            );
            faults.add(node.at, message);
            None
        }
    }
}
