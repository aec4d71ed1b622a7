//! A table.

use super::fault::{At, Faults};
use super::fields::Fields;
use super::node::Node;
use super::property::Property;
use super::relationship::Relationship;
use super::{CustomProperty, custom_property, read_custom_properties};

/// The classes that a whole table may have.
const CLASSES: [&str; 2] = ["object", "blob"];

/// A table under the contract.
#[derive(Debug, Clone, PartialEq)]
pub struct SchemaObject {
    /// Where it stands.
    pub at: At,
    /// The stable id that references may use.
    pub id: Option<String>,
    /// What the contract calls it.
    pub name: String,
    /// What the data calls it.
    pub physical_name: Option<String>,
    /// `object` or `blob`.
    pub logical_type: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// Labels.
    pub tags: Vec<String>,
    /// The columns, in order.
    pub properties: Vec<Property>,
    /// Where its columns lead to.
    pub relationships: Vec<Relationship>,
    /// Rules on the data, as written.
    pub quality: Vec<Node>,
    /// The owner's own properties.
    pub custom_properties: Vec<CustomProperty>,
}

impl SchemaObject {
    /// The value of the owner's own property `name`.
    pub fn custom_property(&self, name: &str) -> Option<&Node> {
        custom_property(&self.custom_properties, name)
    }

    /// The column called `name` in the contract.
    pub fn property(&self, name: &str) -> Option<&Property> {
        self.properties
            .iter()
            .find(|property| property.name == name)
    }

    pub(super) fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        let mut fields = Fields::of(node, "a schema object", faults)?;
        let name = fields.required_text("name", faults)?;
        fields.call(format!("schema object `{name}`"));
        Some(Self {
            at: fields.at,
            id: fields.text("id", faults),
            physical_name: fields.text("physicalName", faults),
            logical_type: read_logical_type(&fields, &name, faults),
            description: fields.text("description", faults),
            tags: fields.texts("tags", faults),
            properties: fields.each("properties", faults, Property::read),
            relationships: fields.each("relationships", faults, Relationship::read),
            quality: fields.list("quality", faults).to_vec(),
            custom_properties: read_custom_properties(&fields, faults),
            name,
        })
    }
}

fn read_logical_type(fields: &Fields<'_>, name: &str, faults: &mut Faults) -> Option<String> {
    let text = fields.text("logicalType", faults)?;
    if !CLASSES.contains(&text.as_str()) {
        let known = CLASSES.join(" and ");
        let message =
            format!("unknown `logicalType` `{text}` of schema object `{name}`; known are {known}");
        faults.add(fields.at_of("logicalType"), message);
    }
    Some(text)
}
