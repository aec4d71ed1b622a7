//! The promise that a data product makes: a contract in the YAML of the Open Data Contract
//! Standard.
//!
//! Owns the reading of a contract's text and every check that needs nothing but the text. Whether
//! data keeps the promise is checked where the data is. Fields that Weft does not know are
//! ignored, so that contracts may carry what other tools need.

mod check;
pub(crate) mod fault;
pub(crate) mod fields;
mod foreign_key;
mod logical_type;
pub(crate) mod node;
mod property;
mod relationship;
mod remark;
mod schema_object;
mod server;
mod version;

pub use fault::{At, Fault, InvalidContract};
pub use foreign_key::{ForeignKey, Referred, ReferredBy};
pub use logical_type::LogicalType;
pub use node::{Key, Node, Value};
pub use property::Property;
pub use relationship::Relationship;
pub use remark::Remark;
pub use schema_object::SchemaObject;
pub use server::{Server, ServerKind};
pub use version::ApiVersion;

use fault::Faults;
use fields::Fields;

/// A contract that keeps to the standard.
#[derive(Debug, Clone, PartialEq)]
pub struct Contract {
    /// The version of the standard that it is written in.
    pub api_version: ApiVersion,
    /// The contract's own id.
    pub id: String,
    /// What people call it.
    pub name: Option<String>,
    /// The version of the contract.
    pub version: String,
    /// `proposed`, `draft`, `active`, `deprecated`, `retired` or the owner's own word. Optional
    /// since v3.2.0.
    pub status: Option<String>,
    /// The domain that the contract names.
    pub domain: Option<String>,
    /// The data product that the contract names.
    pub data_product: Option<String>,
    /// Where that name stands, or the contract if it names none.
    pub data_product_at: At,
    /// What the data is for.
    pub description: Description,
    /// Labels.
    pub tags: Vec<String>,
    /// Where the data is.
    pub servers: Vec<Server>,
    /// The tables.
    pub schema: Vec<SchemaObject>,
    /// The owner's own properties, in order.
    pub custom_properties: Vec<CustomProperty>,
}

/// What the data is for, in the contract's words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Description {
    /// Why it exists.
    pub purpose: Option<String>,
    /// What it cannot be used for.
    pub limitations: Option<String>,
    /// How to use it.
    pub usage: Option<String>,
}

/// A property outside the standard.
#[derive(Debug, Clone, PartialEq)]
pub struct CustomProperty {
    /// Its name.
    pub property: String,
    /// Its value; a missing one is null.
    pub value: Node,
}

impl Contract {
    /// Reads the contract in `text`.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its line and column. YAML that cannot be read
    /// and versions of the standard that are not known are reported alone.
    pub fn parse(text: &str) -> Result<Self, InvalidContract> {
        let root = Node::parse(text)?;
        let mut faults = Faults::default();
        let contract = Self::read(&root, &mut faults);
        match contract {
            Some(contract) => {
                check::check(&contract, &mut faults);
                faults.into_result(contract)
            }
            None => Err(faults.into_error(root.at)),
        }
    }

    /// The value of the owner's own property `name`.
    pub fn custom_property(&self, name: &str) -> Option<&Node> {
        custom_property(&self.custom_properties, name)
    }

    fn read(root: &Node, faults: &mut Faults) -> Option<Self> {
        let fields = Fields::of(root, "the contract", faults)?;
        let api_version = ApiVersion::read(&fields, faults)?;
        read_kind(&fields, faults);
        let id = fields.required_text("id", faults);
        let version = fields.required_text("version", faults);
        let status = if api_version.requires_status() {
            fields.required_text("status", faults)
        } else {
            fields.text("status", faults)
        };
        let contract = Self {
            api_version,
            id: id.unwrap_or_default(),
            name: fields.text("name", faults),
            version: version.unwrap_or_default(),
            status,
            domain: fields.text("domain", faults),
            data_product: fields.text("dataProduct", faults),
            data_product_at: fields.at_of("dataProduct"),
            description: read_description(&fields, faults),
            tags: fields.texts("tags", faults),
            servers: fields.each("servers", faults, Server::read),
            schema: fields.each("schema", faults, SchemaObject::read),
            custom_properties: read_custom_properties(&fields, faults),
        };
        Some(contract)
    }
}

/// The value of `name` among `properties`.
fn custom_property<'a>(properties: &'a [CustomProperty], name: &str) -> Option<&'a Node> {
    properties
        .iter()
        .find(|custom| custom.property == name)
        .map(|custom| &custom.value)
}

fn read_kind(fields: &Fields<'_>, faults: &mut Faults) {
    if let Some(kind) = fields.required_text("kind", faults)
        && kind != "DataContract"
    {
        let at = fields.at_of("kind");
        faults.add(
            at,
            format!("`kind` is `{kind}`, but only `DataContract` is a contract"),
        );
    }
}

fn read_description(fields: &Fields<'_>, faults: &mut Faults) -> Description {
    let Some(parts) = fields.map("description", "`description`", faults) else {
        return Description::default();
    };
    Description {
        purpose: parts.text("purpose", faults),
        limitations: parts.text("limitations", faults),
        usage: parts.text("usage", faults),
    }
}

fn read_custom_properties(fields: &Fields<'_>, faults: &mut Faults) -> Vec<CustomProperty> {
    fields.each("customProperties", faults, |node, faults| {
        let custom = Fields::of(node, "a custom property", faults)?;
        let property = custom.required_text("property", faults)?;
        let value = custom.get("value").cloned();
        let value = value.unwrap_or(Node {
            at: node.at,
            value: Value::Null,
        });
        Some(CustomProperty { property, value })
    })
}

#[cfg(test)]
mod tests;
