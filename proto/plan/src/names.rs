//! From a name as written to a table: catalog = domain, schema = product.

use std::fmt;

use datafusion::common::TableReference;
use weft_governance::id::Quoted;
use weft_governance::{Error, ErrorKind, code};

/// A table's three-part name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FullName {
    /// The domain, or `system`.
    pub catalog: String,
    /// The product.
    pub schema: String,
    /// The table.
    pub table: String,
}

impl fmt::Display for FullName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            catalog,
            schema,
            table,
        } = self;
        write!(
            f,
            "{}.{}.{}",
            Quoted(catalog),
            Quoted(schema),
            Quoted(table)
        )
    }
}

/// Where short names start in a session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Current {
    /// Set by `USE domain`.
    pub catalog: Option<String>,
    /// Set by `USE domain.product`.
    pub schema: Option<String>,
}

impl Current {
    /// The same with the session option `name` set to `value`; an empty value sets it back. In another
    /// catalog no schema is set.
    ///
    /// # Errors
    /// `Unsupported` if there is no such option, `InvalidInput` for a schema without a catalog.
    pub fn with_option(self, name: &str, value: &str) -> Result<Self, Error> {
        let value = (!value.is_empty()).then(|| value.to_owned());
        match name {
            "catalog" if self.catalog == value => Ok(self),
            "catalog" => Ok(Self {
                catalog: value,
                schema: None,
            }),
            "schema" if value.is_some() && self.catalog.is_none() => {
                let message = "a schema is set within a catalog, and none is set";
                Err(Error::new(ErrorKind::InvalidInput, code::SETTINGS, message)
                    .with_hint("Set the session option `catalog` first."))
            }
            "schema" => Ok(Self {
                schema: value,
                ..self
            }),
            _ => {
                let message = format!("there is no session option `{name}`");
                Err(Error::new(ErrorKind::Unsupported, code::SETTINGS, message)
                    .with_hint("The session options are `catalog` and `schema`."))
            }
        }
    }
}

/// The tables that a principal may name.
pub trait NameIndex {
    /// Whether there is such a table.
    fn contains(&self, name: &FullName) -> bool;
    /// The tables of a product, empty if there is no such product.
    fn tables_of(&self, catalog: &str, schema: &str) -> Vec<String>;
    /// All names, for suggestions.
    fn all(&self) -> Vec<FullName>;
}

/// Finds the table that `reference` means.
///
/// `a.b` is product.table of the current domain, else domain.product when that product has one
/// table. A bare name is a table of the current product, else the only table of a product of the
/// current domain.
///
/// # Errors
/// `WEFT-AMBIGUOUS` if two tables could be meant, `WEFT-NOT-FOUND` if none is.
pub fn resolve(
    reference: &TableReference,
    current: &Current,
    index: &dyn NameIndex,
) -> Result<FullName, Error> {
    let candidates = candidates(reference, current, index);
    match candidates.as_slice() {
        [one] => Ok(one.clone()),
        [first, second, ..] => Err(Error::new(
            ErrorKind::InvalidInput,
            code::AMBIGUOUS,
            format!("`{reference}` could be `{first}` or `{second}`"),
        )
        .with_hint("Write the full name: domain.product.table.")),
        [] => Err(not_found(reference, current, index)),
    }
}

fn candidates(
    reference: &TableReference,
    current: &Current,
    index: &dyn NameIndex,
) -> Vec<FullName> {
    let mut found = match reference {
        TableReference::Full {
            catalog,
            schema,
            table,
        } => vec![full(catalog, schema, table)],
        TableReference::Partial {
            schema: first,
            table: second,
        } => {
            let mut found = only_table(first, second, index);
            if let Some(catalog) = &current.catalog {
                found.insert(0, full(catalog, first, second));
            }
            found
        }
        TableReference::Bare { table } => match current {
            Current {
                catalog: Some(catalog),
                schema: Some(schema),
            } => {
                vec![full(catalog, schema, table)]
            }
            Current {
                catalog: Some(catalog),
                schema: None,
            } => only_table(catalog, table, index),
            Current { catalog: None, .. } => Vec::new(),
        },
    };
    found.retain(|name| index.contains(name));
    found.dedup();
    found
}

fn only_table(catalog: &str, schema: &str, index: &dyn NameIndex) -> Vec<FullName> {
    match index.tables_of(catalog, schema).as_slice() {
        [table] => vec![full(catalog, schema, table)],
        _ => Vec::new(),
    }
}

fn full(catalog: &str, schema: &str, table: &str) -> FullName {
    FullName {
        catalog: catalog.to_owned(),
        schema: schema.to_owned(),
        table: table.to_owned(),
    }
}

fn not_found(reference: &TableReference, current: &Current, index: &dyn NameIndex) -> Error {
    let error = Error::new(
        ErrorKind::NotFound,
        code::NOT_FOUND,
        format!("there is no table `{reference}`"),
    );
    let written = reference.to_string().to_lowercase();
    let all = index.all();
    let same_table = all
        .iter()
        .filter(|name| name.table == reference.table())
        .collect::<Vec<_>>();
    if let [only] = same_table.as_slice() {
        return error.with_hint(format!("Did you mean `{only}`?"));
    }
    let nearest = all
        .iter()
        .map(|name| {
            (
                strsim::damerau_levenshtein(&name.to_string(), &written),
                name,
            )
        })
        .filter(|(distance, _)| *distance <= 4)
        .min();
    match nearest {
        Some((_, name)) => error.with_hint(format!("Did you mean `{name}`?")),
        None if matches!(reference, TableReference::Bare { .. }) && current.catalog.is_none() => {
            error.with_hint("Write domain.product.table, or set a start with `USE domain.product`.")
        }
        None => error.with_hint("`SHOW TABLES` lists the tables that you may see."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Index(Vec<FullName>);

    impl NameIndex for Index {
        fn contains(&self, name: &FullName) -> bool {
            self.0.contains(name)
        }

        fn tables_of(&self, catalog: &str, schema: &str) -> Vec<String> {
            let of_product = |name: &&FullName| name.catalog == catalog && name.schema == schema;
            self.0
                .iter()
                .filter(of_product)
                .map(|name| name.table.clone())
                .collect()
        }

        fn all(&self) -> Vec<FullName> {
            self.0.clone()
        }
    }

    fn index() -> Index {
        Index(vec![
            full("sales", "orders", "orders"),
            full("sales", "orders", "lineitem"),
            full("sales", "returns", "returned"),
            full("crm", "customers", "customer"),
            full("returns", "returned", "only"),
        ])
    }

    fn resolved(text: &str, current: &Current) -> Result<String, String> {
        let reference = TableReference::parse_str(text);
        resolve(&reference, current, &index())
            .map(|name| name.to_string())
            .map_err(|error| format!("{} {}", error.message(), error.hint().unwrap_or_default()))
    }

    fn using(catalog: &str, schema: Option<&str>) -> Current {
        Current {
            catalog: Some(catalog.to_owned()),
            schema: schema.map(str::to_owned),
        }
    }

    #[test]
    fn names_resolve_from_where_the_session_stands() {
        let nowhere = Current::default();
        let full = Ok("sales.orders.orders".to_owned());
        assert_eq!(resolved("sales.orders.orders", &nowhere), full);
        assert_eq!(resolved("orders.orders", &using("sales", None)), full);
        assert_eq!(resolved("orders", &using("sales", Some("orders"))), full);
        assert_eq!(
            resolved("crm.customers", &nowhere),
            Ok("crm.customers.customer".to_owned())
        );
        assert_eq!(
            resolved("returns", &using("sales", None)),
            Ok("sales.returns.returned".to_owned())
        );
    }

    #[test]
    fn a_name_with_two_meanings_is_refused_with_both() {
        let error = resolved("returns.returned", &using("sales", None)).unwrap_err();
        assert!(
            error.contains("`sales.returns.returned` or `returns.returned.only`"),
            "{error}"
        );
    }

    #[test]
    fn a_near_miss_is_suggested() {
        let error = resolved("sales.orders.order", &Current::default()).unwrap_err();
        assert!(
            error.contains("Did you mean `sales.orders.orders`?"),
            "{error}"
        );
        let error = resolved("lineitem", &Current::default()).unwrap_err();
        assert!(
            error.contains("Did you mean `sales.orders.lineitem`?"),
            "{error}"
        );
    }
}
