//! The eight tables and where each of them lives in a mesh.

use std::fmt;

use arrow::datatypes::SchemaRef;
use tpchgen_arrow as arrow_rows;

/// A TPC-H table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Table {
    /// `orders`, 1,500,000 rows at scale 1.
    Orders,
    /// `lineitem`, about 6,000,000 rows at scale 1.
    Lineitem,
    /// `customer`, 150,000 rows at scale 1.
    Customer,
    /// `nation`, 25 rows at any scale.
    Nation,
    /// `region`, 5 rows at any scale.
    Region,
    /// `part`, 200,000 rows at scale 1.
    Part,
    /// `supplier`, 10,000 rows at scale 1.
    Supplier,
    /// `partsupp`, 800,000 rows at scale 1.
    Partsupp,
}

impl Table {
    /// Every table, in the order of its domain and product.
    pub const ALL: [Self; 8] = [
        Self::Orders,
        Self::Lineitem,
        Self::Customer,
        Self::Nation,
        Self::Region,
        Self::Part,
        Self::Supplier,
        Self::Partsupp,
    ];

    /// The table that `name` means in SQL, whatever its case.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|table| table.name().eq_ignore_ascii_case(name))
    }

    /// The short name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Lineitem => "lineitem",
            Self::Customer => "customer",
            Self::Nation => "nation",
            Self::Region => "region",
            Self::Part => "part",
            Self::Supplier => "supplier",
            Self::Partsupp => "partsupp",
        }
    }

    /// The domain that owns the table in the demo: the catalog of its full name.
    pub const fn domain(self) -> &'static str {
        match self {
            Self::Orders | Self::Lineitem => "sales",
            Self::Customer | Self::Nation | Self::Region => "crm",
            Self::Part | Self::Supplier | Self::Partsupp => "supply",
        }
    }

    /// The data product that holds the table in the demo: the schema of its full name.
    pub const fn product(self) -> &'static str {
        match self {
            Self::Orders | Self::Lineitem => "orders",
            Self::Customer | Self::Nation | Self::Region => "customers",
            Self::Part | Self::Supplier | Self::Partsupp => "parts",
        }
    }

    /// The name in three parts, as in `sales.orders.lineitem`.
    pub fn full_name(self) -> String {
        format!("{}.{}.{}", self.domain(), self.product(), self.name())
    }

    /// The columns, all of them required. Text is announced as `Utf8View`.
    pub fn schema(self) -> SchemaRef {
        match self {
            Self::Orders => arrow_rows::OrderArrow::schema_ref(),
            Self::Lineitem => arrow_rows::LineItemArrow::schema_ref(),
            Self::Customer => arrow_rows::CustomerArrow::schema_ref(),
            Self::Nation => arrow_rows::NationArrow::schema_ref(),
            Self::Region => arrow_rows::RegionArrow::schema_ref(),
            Self::Part => arrow_rows::PartArrow::schema_ref(),
            Self::Supplier => arrow_rows::SupplierArrow::schema_ref(),
            Self::Partsupp => arrow_rows::PartSuppArrow::schema_ref(),
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
