//! What a right is on.

use std::fmt;

use weft_governance::{DomainId, Error, ProductRef, TableRef};

use super::print::Name;
use super::reader::Reader;
use crate::refusal::syntax;

/// A data product, which is all of its tables, or one table; fully named.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Object {
    /// `PRODUCT sales.orders`.
    Product(ProductRef),
    /// `TABLE sales.orders.lineitem`.
    Table(TableRef),
}

impl Object {
    /// The owner.
    pub fn domain(&self) -> &DomainId {
        self.product().domain()
    }

    /// The product, or that of the table.
    pub fn product(&self) -> &ProductRef {
        match self {
            Self::Product(product) => product,
            Self::Table(table) => table.product(),
        }
    }

    /// Reads `PRODUCT a.b` or `TABLE a.b.c`.
    pub(super) fn read(reader: &mut Reader<'_, '_>) -> Result<Self, Error> {
        if reader.take("PRODUCT") {
            product(&reader.path("a product")?).map(Self::Product)
        } else if reader.take("TABLE") {
            table(&reader.path("a table")?).map(Self::Table)
        } else {
            Err(reader.expected("PRODUCT or TABLE after ON"))
        }
    }

    /// Reads `a.b`, a product, or `a.b.c`, a table.
    pub(super) fn read_bare(reader: &mut Reader<'_, '_>) -> Result<Self, Error> {
        let parts = reader.path("a product or table")?;
        match parts.len() {
            2 => product(&parts).map(Self::Product),
            3 => table(&parts).map(Self::Table),
            _ => Err(syntax(format!(
                "`{}` is neither the full name of a product, such as sales.orders, nor of a table, such as sales.orders.lineitem",
                dotted(&parts)
            ))),
        }
    }

    /// The name as [`Object::read_bare`] reads it.
    pub(super) fn bare(&self) -> impl fmt::Display + '_ {
        fmt::from_fn(|f| {
            let product = self.product();
            let (domain, name) = (Name(product.domain().as_str()), Name(product.product()));
            write!(f, "{domain}.{name}")?;
            match self {
                Self::Product(_) => Ok(()),
                Self::Table(table) => write!(f, ".{}", Name(table.table())),
            }
        })
    }
}

fn product(parts: &[String]) -> Result<ProductRef, Error> {
    let [domain, product] = parts else {
        return Err(syntax(format!(
            "`{}` is not the full name of a product, which has two parts, such as sales.orders",
            dotted(parts)
        )));
    };
    product_of(domain, product)
}

fn table(parts: &[String]) -> Result<TableRef, Error> {
    let [domain, product, table] = parts else {
        return Err(syntax(format!(
            "`{}` is not the full name of a table, which has three parts, such as sales.orders.lineitem",
            dotted(parts)
        )));
    };
    let product = product_of(domain, product)?;
    product
        .table(table)
        .map_err(|error| syntax(error.to_string()))
}

fn product_of(domain: &str, product: &str) -> Result<ProductRef, Error> {
    let named = domain
        .parse()
        .and_then(|domain| ProductRef::new(domain, product));
    named.map_err(|error| syntax(error.to_string()))
}

fn dotted(parts: &[String]) -> String {
    let names: Vec<String> = parts.iter().map(|part| Name(part).to_string()).collect();
    names.join(".")
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Product(_) => write!(f, "PRODUCT {}", self.bare()),
            Self::Table(_) => write!(f, "TABLE {}", self.bare()),
        }
    }
}
