//! One immutable version of what the node serves and to whom.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::Result as Planned;
use weft_governance::evaluate::{evaluate, flow_to, held, key_disclosure, visible_columns};
use weft_governance::{
    Decision, DomainId, Error, FlowTo, Grant, KeyDisclosure, Obligations, Principal, TableAccess,
    TableRef,
};

use super::mask;
use super::permit::Binding;
use super::protected::ProtectedTable;
use super::row_filter::RowFilter;
use crate::product::{Product, Table};

/// The products and grants of one epoch, checked: every row filter compiles, every mask fits.
#[derive(Debug)]
pub struct Policy {
    domain: DomainId,
    epoch: u64,
    products: Vec<Product>,
    tables: BTreeMap<TableRef, Arc<Guarded>>,
    /// By their table: a question about one does not look at the grants on all.
    grants: BTreeMap<TableRef, Vec<Grant>>,
}

/// A table with the compiled row filters of its grants.
#[derive(Debug)]
pub(crate) struct Guarded {
    pub(crate) table: Table,
    pub(crate) row_filters: BTreeMap<String, RowFilter>,
}

/// What a principal may know of a table.
#[derive(Debug, Clone)]
pub struct VisibleTable {
    /// The table.
    pub table: TableRef,
    /// For people.
    pub description: String,
    /// The visible columns in contract order.
    pub schema: SchemaRef,
    /// The columns of the declared primary key, if all of them are seen as they are.
    pub key: Vec<String>,
    /// The visible columns that are seen through a mask when read alone.
    pub masked: BTreeSet<String>,
    /// Whether rows may be hidden.
    pub filtered: bool,
    /// How much of each visible column may travel to other domains as join keys.
    pub disclosure: Vec<KeyDisclosure>,
    /// Where rows may flow.
    pub flow_to: FlowTo,
    /// The ids of the grants that the principal holds on it.
    pub grants: Vec<String>,
    /// How the rows are seen when no column of them is read; `None` if not even then.
    pub rows: Option<Shown>,
    /// For each visible column its place among those of the table, and how it is seen when it is
    /// read alone.
    pub columns: Vec<(usize, Shown)>,
}

/// How a principal sees rows or cells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// All of them, as they are.
    Openly,
    /// Through the row filter or the masks of this grant.
    Through(String),
}

impl From<Obligations> for Shown {
    fn from(duties: Obligations) -> Self {
        if duties.is_open() {
            Self::Openly
        } else {
            Self::Through(duties.grant)
        }
    }
}

impl Policy {
    /// Checks and compiles `grants` over `products`.
    ///
    /// # Errors
    /// `WEFT-SETTINGS`, naming the grant whose filter or mask cannot be enforced.
    pub fn compile(
        domain: DomainId,
        epoch: u64,
        products: Vec<Product>,
        grants: Vec<Grant>,
    ) -> Result<Self, Error> {
        let mut granted: BTreeMap<TableRef, Vec<Grant>> = BTreeMap::new();
        for grant in grants {
            granted.entry(grant.table.clone()).or_default().push(grant);
        }
        let mut tables = BTreeMap::new();
        for table in products.iter().flat_map(|product| &product.tables) {
            let mut row_filters = BTreeMap::new();
            for grant in granted.get(&table.reference).into_iter().flatten() {
                mask::check(grant, &table.schema)?;
                if let Some(text) = &grant.row_filter {
                    let filter = RowFilter::compile(&grant.id, text, &table.schema)?;
                    row_filters.insert(grant.id.clone(), filter);
                }
            }
            let guarded = Guarded {
                table: table.clone(),
                row_filters,
            };
            tables.insert(table.reference.clone(), Arc::new(guarded));
        }
        Ok(Self {
            domain,
            epoch,
            products,
            tables,
            grants: granted,
        })
    }

    /// Whose node this is.
    pub fn domain(&self) -> &DomainId {
        &self.domain
    }

    /// Rises with every change.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What the node serves.
    pub fn products(&self) -> &[Product] {
        &self.products
    }

    /// The tables that `principal` may see any column of.
    pub fn visible_tables(&self, principal: &Principal) -> Vec<VisibleTable> {
        self.tables
            .values()
            .filter_map(|guarded| self.visible(principal, guarded))
            .collect()
    }

    pub(crate) fn decide(&self, principal: &Principal, access: &TableAccess) -> Decision {
        evaluate(self.grants_on(&access.table), principal, access)
    }

    fn grants_on(&self, table: &TableRef) -> &[Grant] {
        self.grants.get(table).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn guarded(&self, table: &TableRef) -> Option<&Arc<Guarded>> {
        self.tables.get(table)
    }

    /// The rows and cells of `table` as `grant` shows them, with the columns that it covers.
    ///
    /// # Errors
    /// If the grant cannot be enforced.
    pub(crate) fn shown_by(
        &self,
        table: &TableRef,
        grant: &str,
    ) -> Planned<Option<Arc<dyn TableProvider>>> {
        let grants = self.grants_on(table);
        let grant = grants.iter().find(|it| it.id == grant);
        let Some((guarded, grant)) = self.tables.get(table).zip(grant) else {
            return Ok(None);
        };
        let fields = guarded.table.schema.fields().iter();
        let fields: Vec<_> = fields
            .filter(|field| grant.columns.contains(field.name()))
            .map(|field| shown_as(field, grant.masks.contains_key(field.name())))
            .collect();
        let columns: BTreeSet<String> = fields.iter().map(|field| field.name().clone()).collect();
        let masks = grant.masks.iter();
        let binding = Binding {
            guarded: Arc::clone(guarded),
            obligations: Obligations {
                grant: grant.id.clone(),
                row_filter: grant.row_filter.clone(),
                masks: masks
                    .filter(|(column, _)| columns.contains(*column))
                    .map(|(column, mask)| (column.clone(), *mask))
                    .collect(),
            },
            columns,
        };
        let shown = ProtectedTable::new(&Arc::new(Schema::new(fields)), &binding)?;
        Ok(Some(Arc::new(shown)))
    }

    fn visible(&self, principal: &Principal, guarded: &Guarded) -> Option<VisibleTable> {
        let Table {
            reference,
            description,
            schema,
            key,
            disclosure,
            flow_to: flows,
            ..
        } = &guarded.table;
        let names = schema.fields().iter().map(|field| field.name().as_str());
        let grants = self.grants_on(reference);
        let seen = visible_columns(grants, principal, reference, names);
        if seen.is_empty() {
            return None;
        }
        let fields: Vec<_> = schema
            .fields()
            .iter()
            .filter(|field| seen.contains(field.name().as_str()))
            .map(|field| {
                let mut held = held(grants, principal, reference);
                let masked = held.any(|grant| grant.masks.contains_key(field.name()));
                shown_as(field, masked)
            })
            .collect();
        let disclosure = schema
            .fields()
            .iter()
            .zip(disclosure)
            .filter(|(field, _)| seen.contains(field.name().as_str()))
            .map(|(field, owner)| {
                key_disclosure(grants, principal, reference, field.name(), *owner)
            })
            .collect();
        let alone: BTreeMap<&str, Obligations> = seen
            .iter()
            .filter_map(|column| Some((*column, self.duties(principal, reference, &[column])?)))
            .collect();
        let masked: BTreeSet<String> = alone
            .iter()
            .filter(|(_, duties)| !duties.masks.is_empty())
            .map(|(column, _)| (*column).to_owned())
            .collect();
        let filtered = alone.values().any(|duties| duties.row_filter.is_some());
        let columns = schema
            .fields()
            .iter()
            .enumerate()
            .filter_map(|(place, field)| {
                let duties = alone.get(field.name().as_str())?;
                Some((place, Shown::from(duties.clone())))
            })
            .collect();
        let whole = key
            .iter()
            .all(|column| seen.contains(column.as_str()) && !masked.contains(column));
        Some(VisibleTable {
            table: reference.clone(),
            description: description.clone(),
            schema: Arc::new(Schema::new(fields)),
            key: if whole { key.clone() } else { Vec::new() },
            masked,
            filtered,
            disclosure,
            flow_to: flow_to(grants, principal, reference, flows),
            grants: held(grants, principal, reference)
                .map(|grant| grant.id.clone())
                .collect(),
            rows: self.duties(principal, reference, &[]).map(Shown::from),
            columns,
        })
    }

    /// What reading just these columns obliges to.
    fn duties(
        &self,
        principal: &Principal,
        table: &TableRef,
        columns: &[&str],
    ) -> Option<Obligations> {
        let access = TableAccess {
            table: table.clone(),
            columns: columns.iter().map(|column| (*column).to_owned()).collect(),
        };
        match self.decide(principal, &access) {
            Decision::Allow(duties) => Some(duties),
            Decision::Deny(_) => None,
        }
    }
}

/// `field` as a grant shows it: what the contract requires, a mask may replace with NULL.
fn shown_as(field: &FieldRef, masked: bool) -> FieldRef {
    match masked {
        true => Arc::new(field.as_ref().clone().with_nullable(true)),
        false => Arc::clone(field),
    }
}
