//! The demo's products and their contracts.

use crate::tpch::Table;

/// A data product of the demo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Product {
    /// The domain that owns it.
    pub domain: &'static str,
    /// Its name, which is also the name of its folder.
    pub name: &'static str,
    /// Its contract, in the YAML of the Open Data Contract Standard.
    pub contract: &'static str,
}

impl Product {
    /// The tables under the contract.
    pub fn tables(&self) -> impl Iterator<Item = Table> {
        let (domain, name) = (self.domain, self.name);
        Table::ALL
            .into_iter()
            .filter(move |table| table.domain() == domain && table.product() == name)
    }
}

/// The three products of the demo, one per domain.
pub const PRODUCTS: [Product; 3] = [
    Product {
        domain: "sales",
        name: "orders",
        contract: include_str!("orders.odcs.yaml"),
    },
    Product {
        domain: "crm",
        name: "customers",
        contract: include_str!("customers.odcs.yaml"),
    },
    Product {
        domain: "supply",
        name: "parts",
        contract: include_str!("parts.odcs.yaml"),
    },
];
