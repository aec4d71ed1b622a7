//! A column, or a part of one.

use super::fault::{At, Faults};
use super::fields::Fields;
use super::logical_type::LogicalType;
use super::node::{Node, Value};
use super::relationship::Relationship;
use super::{CustomProperty, custom_property, read_custom_properties};

/// A column of a table, a field of an object or the items of an array.
#[derive(Debug, Clone, PartialEq)]
pub struct Property {
    /// Where it stands.
    pub at: At,
    /// The stable id that references may use.
    pub id: Option<String>,
    /// What the contract calls it; empty for the items of an array that have no name.
    pub name: String,
    /// What the data calls it, if that is something else.
    pub physical_name: Option<String>,
    /// The class of its type.
    pub logical_type: Option<LogicalType>,
    /// More about the class, such as `format`; a map.
    pub logical_type_options: Option<Node>,
    /// The exact type, in the words of the system that holds the data.
    pub physical_type: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// Whether null is ruled out.
    pub required: bool,
    /// Whether no value appears twice.
    pub unique: bool,
    /// Whether it is part of the primary key.
    pub primary_key: bool,
    /// How sensitive it is, in the owner's words.
    pub classification: Option<String>,
    /// Labels.
    pub tags: Vec<String>,
    /// The fields, if this is an object.
    pub properties: Vec<Property>,
    /// The items, if this is an array.
    pub items: Option<Box<Property>>,
    /// Where it leads to.
    pub relationships: Vec<Relationship>,
    /// Rules on the data, as written.
    pub quality: Vec<Node>,
    /// The owner's own properties.
    pub custom_properties: Vec<CustomProperty>,
}

impl Property {
    /// The name that the data uses.
    pub fn source_name(&self) -> &str {
        self.physical_name.as_deref().unwrap_or(&self.name)
    }

    /// The option `name` of the logical type.
    pub fn option(&self, name: &str) -> Option<&Node> {
        self.logical_type_options
            .as_ref()
            .and_then(|options| options.get(name))
    }

    /// The value of the owner's own property `name`.
    pub fn custom_property(&self, name: &str) -> Option<&Node> {
        custom_property(&self.custom_properties, name)
    }

    /// Reads a column or a field, which has a name.
    pub(super) fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        let mut fields = Fields::of(node, "a property", faults)?;
        let name = fields.required_text("name", faults)?;
        fields.call(format!("property `{name}`"));
        Some(Self::read_named(name, &fields, faults))
    }

    /// Reads the items of an array, which need no name.
    fn read_items(node: &Node, array: &str, faults: &mut Faults) -> Option<Box<Self>> {
        let fields = Fields::of(node, format!("`items` of property `{array}`"), faults)?;
        let name = fields.text("name", faults).unwrap_or_default();
        Some(Box::new(Self::read_named(name, &fields, faults)))
    }

    fn read_named(name: String, fields: &Fields<'_>, faults: &mut Faults) -> Self {
        let items = fields
            .get("items")
            .and_then(|node| Self::read_items(node, &name, faults));
        Self {
            at: fields.at,
            id: fields.text("id", faults),
            physical_name: fields
                .text("physicalName", faults)
                .filter(|name| !name.is_empty()),
            logical_type: read_logical_type(fields, &name, faults),
            logical_type_options: read_options(fields, faults),
            physical_type: fields.text("physicalType", faults),
            description: fields.text("description", faults),
            required: fields.flag("required", faults),
            unique: fields.flag("unique", faults),
            primary_key: fields.flag("primaryKey", faults),
            classification: fields.text("classification", faults),
            tags: fields.texts("tags", faults),
            properties: fields.each("properties", faults, Self::read),
            items,
            relationships: fields.each("relationships", faults, Relationship::read_implicit),
            quality: fields.list("quality", faults).to_vec(),
            custom_properties: read_custom_properties(fields, faults),
            name,
        }
    }
}

fn read_logical_type(fields: &Fields<'_>, name: &str, faults: &mut Faults) -> Option<LogicalType> {
    let text = fields.text("logicalType", faults)?;
    let class = LogicalType::from_name(&text);
    if class.is_none() {
        let known = LogicalType::names();
        let message =
            format!("unknown `logicalType` `{text}` of property `{name}`; known are {known}");
        faults.add(fields.at_of("logicalType"), message);
    }
    class
}

fn read_options(fields: &Fields<'_>, faults: &mut Faults) -> Option<Node> {
    let node = fields.get("logicalTypeOptions")?;
    if !matches!(node.value, Value::Map(_)) {
        faults.add(node.at, "`logicalTypeOptions` must be a map");
        return None;
    }
    Some(node.clone())
}
