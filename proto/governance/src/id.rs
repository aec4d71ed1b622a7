//! Identifiers, one type per idea, parsed once at the edge.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

/// Why a text is not an identifier.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[error("`{text}` is not a valid {what}: {reason}")]
pub struct InvalidId {
    what: &'static str,
    text: String,
    reason: &'static str,
}

fn invalid(what: &'static str, text: &str, reason: &'static str) -> InvalidId {
    InvalidId {
        what,
        text: text.chars().take(80).collect(),
        reason,
    }
}

/// A domain: the catalog name that its tables have in SQL.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DomainId(String);

impl DomainId {
    /// The name as SQL writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DomainId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let what = "domain name";
        if text == "system" {
            return Err(invalid(what, text, "`system` is Weft's own catalog"));
        }
        let mut chars = text.chars();
        let starts_well = chars.next().is_some_and(|c| c.is_ascii_lowercase());
        let goes_on_well =
            chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-');
        if !starts_well || !goes_on_well || text.ends_with('-') || text.len() > 63 {
            return Err(invalid(
                what,
                text,
                "it starts with a lower-case letter, does not end in `-`, and has at most 63 of a-z, 0-9, `_` and `-`",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for DomainId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<DomainId> for String {
    fn from(id: DomainId) -> Self {
        id.0
    }
}

impl fmt::Display for DomainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A data product of a domain: `sales.orders`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "ProductParts", into = "ProductParts")]
pub struct ProductRef {
    domain: DomainId,
    product: String,
}

impl ProductRef {
    /// Names the product `product` of `domain`.
    ///
    /// # Errors
    /// If `product` is empty, longer than 128 bytes, or has control characters, dots or slashes.
    pub fn new(domain: DomainId, product: &str) -> Result<Self, InvalidId> {
        check_name("product name", product)?;
        if product.contains('.') {
            return Err(invalid("product name", product, "it holds a dot"));
        }
        Ok(Self {
            domain,
            product: product.to_owned(),
        })
    }

    /// The owner.
    pub fn domain(&self) -> &DomainId {
        &self.domain
    }

    /// The product's own name, the schema name of its tables in SQL.
    pub fn product(&self) -> &str {
        &self.product
    }

    /// Names the table `table` of this product.
    ///
    /// # Errors
    /// If `table` is empty, longer than 128 bytes, or has control characters or slashes.
    pub fn table(&self, table: &str) -> Result<TableRef, InvalidId> {
        check_name("table name", table)?;
        Ok(TableRef {
            product: self.clone(),
            table: table.to_owned(),
        })
    }
}

impl fmt::Display for ProductRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.domain, Quoted(&self.product))
    }
}

/// A table of a data product: `sales.orders.lineitem`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "TableParts", into = "TableParts")]
pub struct TableRef {
    product: ProductRef,
    table: String,
}

impl TableRef {
    /// The product that the table belongs to.
    pub fn product(&self) -> &ProductRef {
        &self.product
    }

    /// The owner.
    pub fn domain(&self) -> &DomainId {
        &self.product.domain
    }

    /// The table's own name.
    pub fn table(&self) -> &str {
        &self.table
    }
}

impl fmt::Display for TableRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.product, Quoted(&self.table))
    }
}

/// How a product is stored: its parts, which may not form a reference.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProductParts {
    domain: DomainId,
    product: String,
}

impl TryFrom<ProductParts> for ProductRef {
    type Error = InvalidId;

    fn try_from(parts: ProductParts) -> Result<Self, InvalidId> {
        let ProductParts { domain, product } = parts;
        Self::new(domain, &product)
    }
}

impl From<ProductRef> for ProductParts {
    fn from(reference: ProductRef) -> Self {
        let ProductRef { domain, product } = reference;
        Self { domain, product }
    }
}

/// How a table is stored: its parts, which may not form a reference.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TableParts {
    domain: DomainId,
    product: String,
    table: String,
}

impl TryFrom<TableParts> for TableRef {
    type Error = InvalidId;

    fn try_from(parts: TableParts) -> Result<Self, InvalidId> {
        let TableParts {
            domain,
            product,
            table,
        } = parts;
        ProductRef::new(domain, &product)?.table(&table)
    }
}

impl From<TableRef> for TableParts {
    fn from(reference: TableRef) -> Self {
        let TableRef { product, table } = reference;
        let ProductRef { domain, product } = product;
        Self {
            domain,
            product,
            table,
        }
    }
}

/// Prints an identifier as SQL needs it: bare when it folds to itself, quoted otherwise.
pub struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut chars = self.0.chars();
        let bare = chars
            .next()
            .is_some_and(|c| c.is_ascii_lowercase() || c == '_')
            && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if bare {
            f.write_str(self.0)
        } else {
            write!(f, "\"{}\"", self.0.replace('"', "\"\""))
        }
    }
}

fn check_name(what: &'static str, text: &str) -> Result<(), InvalidId> {
    if text.is_empty() || text.len() > 128 {
        return Err(invalid(what, text, "it has between 1 and 128 bytes"));
    }
    if text
        .chars()
        .any(|c| c.is_control() || c == '/' || c == '\\')
        || text == "."
        || text == ".."
    {
        return Err(invalid(
            what,
            text,
            "it holds a control character or a path separator",
        ));
    }
    Ok(())
}

/// One query, from the statement at the coordinator to the fragments at the nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueryId(Uuid);

impl QueryId {
    /// A new id; ids made later sort later.
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }
}

impl FromStr for QueryId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Uuid::try_parse(text)
            .map(Self)
            .map_err(|_| invalid("query id", text, "it is no UUID"))
    }
}

impl fmt::Display for QueryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One fragment of a query: its place in the plan, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FragmentId {
    /// The query that the fragment belongs to.
    pub query: QueryId,
    /// The fragment's number within its query.
    pub ordinal: u32,
}

impl fmt::Display for FragmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.query, self.ordinal)
    }
}

/// One of Weft's servers, as its certificate and the audience of a token name it:
/// `authority`, `coordinator/NAME` or `node/DOMAIN/NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ServerId {
    /// The token service.
    Authority,
    /// A planner.
    Coordinator {
        /// Its name in the mesh.
        name: String,
    },
    /// An owner's server.
    Node {
        /// The domain that it serves.
        domain: DomainId,
        /// Its name within the domain.
        name: String,
    },
}

impl ServerId {
    /// The coordinator called `name`.
    ///
    /// # Errors
    /// If `name` is not a server name (same form as a domain name).
    pub fn coordinator(name: &str) -> Result<Self, InvalidId> {
        Ok(Self::Coordinator {
            name: server_name(name)?,
        })
    }

    /// The node called `name` of `domain`.
    ///
    /// # Errors
    /// If `name` is not a server name (same form as a domain name).
    pub fn node(domain: DomainId, name: &str) -> Result<Self, InvalidId> {
        Ok(Self::Node {
            domain,
            name: server_name(name)?,
        })
    }

    /// The domain, where the server is a node.
    pub fn domain(&self) -> Option<&DomainId> {
        match self {
            Self::Node { domain, .. } => Some(domain),
            Self::Authority | Self::Coordinator { .. } => None,
        }
    }
}

fn server_name(text: &str) -> Result<String, InvalidId> {
    text.parse::<DomainId>()
        .map(String::from)
        .map_err(|error| InvalidId {
            what: "server name",
            ..error
        })
}

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Authority => f.write_str("authority"),
            Self::Coordinator { name } => write!(f, "coordinator/{name}"),
            Self::Node { domain, name } => write!(f, "node/{domain}/{name}"),
        }
    }
}

impl FromStr for ServerId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        match text.split('/').collect::<Vec<_>>().as_slice() {
            ["authority"] => Ok(Self::Authority),
            ["coordinator", name] => Self::coordinator(name),
            ["node", domain, name] => Self::node(domain.parse()?, name),
            _ => Err(invalid(
                "server id",
                text,
                "it is `authority`, `coordinator/NAME` or `node/DOMAIN/NAME`",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_ids_survive_a_round_trip() {
        for text in ["authority", "coordinator/main", "node/sales/sales-1"] {
            assert_eq!(
                text.parse::<ServerId>().map(|id| id.to_string()),
                Ok(text.to_owned())
            );
        }
        assert!("node/Sales/x".parse::<ServerId>().is_err());
        assert!("coordinator/a/b".parse::<ServerId>().is_err());
    }

    #[test]
    fn a_name_that_would_leave_its_folder_is_refused() {
        let sales: DomainId = "sales".parse().expect("valid");
        for name in ["..", "a/b", "a\\b", "", "a\u{0}"] {
            assert!(ProductRef::new(sales.clone(), name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_domain_is_named_as_a_host_may_be() {
        for name in ["sales", "s", "sales-eu", "s3_x"] {
            assert!(name.parse::<DomainId>().is_ok(), "{name}");
        }
        let long = "a".repeat(64);
        for name in [
            "", "Sales", "3s", "sales-", "-sales", "sales.eu", "system", &long,
        ] {
            assert!(name.parse::<DomainId>().is_err(), "{name}");
        }
    }

    #[test]
    fn identifiers_print_as_sql_needs_them() {
        let sales: DomainId = "sales".parse().expect("valid");
        let product = ProductRef::new(sales, "Orders 2").expect("valid");
        let table = product.table("line\"item").expect("valid");
        assert_eq!(table.to_string(), "sales.\"Orders 2\".\"line\"\"item\"");
    }
}
