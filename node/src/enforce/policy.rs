//! One immutable version of what the node serves and to whom.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::Result as Planned;
use datafusion::logical_expr::Expr;
use tokio::time::sleep;
use weft_governance::contract::{Referred, ReferredBy};
use weft_governance::evaluate::{
    evaluate, evaluate_aggregate, flow_to, held, key_disclosure, visible_columns,
};
use weft_governance::federated::Narrowing;
use weft_governance::{
    Asker, Decision, Denial, DomainId, Error, ErrorKind, FlowTo, Grant, GroupSize, KeyDisclosure,
    Obligations, Principal, TableAccess, TableRef, Timestamp, code,
};

use super::federation::{Federation, labelled};
use super::mask;
use super::permit::Binding;
use super::protected::ProtectedTable;
use super::row_filter::RowFilter;
use crate::product::{ForeignKey, Product, Remark, Table};

/// What is far away is looked at again after that.
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// The products and grants of one epoch, checked: every row filter compiles, every mask fits.
#[derive(Debug)]
pub struct Policy {
    domain: DomainId,
    epoch: u64,
    products: Vec<Product>,
    tables: BTreeMap<TableRef, Arc<Guarded>>,
    /// By their table: a question about one does not look at the grants on all. As they are in force,
    /// not as they were given.
    grants: BTreeMap<TableRef, Vec<Grant>>,
    federation: Federation,
    /// What the federation took away, by table and grant.
    narrowings: BTreeMap<(TableRef, String), Narrowing>,
}

/// A table with the compiled row filters of its grants.
#[derive(Debug)]
pub(crate) struct Guarded {
    pub(crate) table: Table,
    pub(crate) row_filters: BTreeMap<String, RowFilter>,
}

impl Guarded {
    /// The row filter of `grant` as it reads for `principal`.
    ///
    /// # Errors
    /// `WEFT-INTERNAL` if it was not compiled.
    pub(super) fn row_filter(&self, grant: &str, principal: &Principal) -> Result<Expr, Error> {
        let missing = || {
            let message = "a row filter was not compiled, so nothing is served";
            Error::new(ErrorKind::Internal, code::INTERNAL, message)
        };
        let filter = self.row_filters.get(grant).ok_or_else(missing)?;
        filter.condition(principal).map_err(|_| missing())
    }
}

/// What a principal may know of a table.
#[derive(Debug, Clone)]
pub struct VisibleTable {
    /// The table.
    pub table: TableRef,
    /// By what other contracts may refer to it, beside its name.
    pub id: Option<String>,
    /// For people.
    pub description: String,
    /// The visible columns in contract order.
    pub schema: SchemaRef,
    /// The columns of the declared primary key, if all of them are seen as they are.
    pub key: Vec<String>,
    /// The declared foreign keys of which all columns are seen as they are: those that refer, and
    /// those that are referred to if they are this domain's, which are then called by their names.
    pub foreign_keys: Vec<ForeignKey>,
    /// What people are told of each visible column.
    pub remarks: Vec<Remark>,
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
    /// The least group of rows that may be shown, if there is a visible column of which single rows
    /// may not be.
    pub min_group_size: Option<GroupSize>,
    /// The version of the federated policy under which it is seen so.
    pub federated: Option<u64>,
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
    /// Checks and compiles `grants`, as their owner gives them, over `products`.
    ///
    /// # Errors
    /// `WEFT-SETTINGS`, naming the grant whose filter or mask cannot be enforced.
    pub fn compile(
        domain: DomainId,
        epoch: u64,
        products: Vec<Product>,
        grants: Vec<Grant>,
    ) -> Result<Self, Error> {
        Self::compile_under(Federation::Free, domain, epoch, products, grants)
    }

    fn compile_under(
        federation: Federation,
        domain: DomainId,
        epoch: u64,
        products: Vec<Product>,
        grants: Vec<Grant>,
    ) -> Result<Self, Error> {
        let mut granted: BTreeMap<TableRef, Vec<Grant>> = BTreeMap::new();
        for grant in grants {
            granted.entry(grant.table.clone()).or_default().push(grant);
        }
        // As they were given too: a policy that comes later may let more of a grant stand.
        for table in products.iter().flat_map(|product| &product.tables) {
            for grant in granted.get(&table.reference).into_iter().flatten() {
                mask::check(grant, &table.schema)?;
            }
        }
        let narrowings = narrow(&federation, &products, &mut granted);
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
            federation,
            narrowings,
        })
    }

    /// The same products under other grants.
    ///
    /// # Errors
    /// As [`Policy::compile`].
    pub(crate) fn with_grants(&self, epoch: u64, grants: Vec<Grant>) -> Result<Self, Error> {
        self.under(self.federation().clone(), epoch, grants)
    }

    /// The same products under `grants`, as their owner gives them, and another federation.
    ///
    /// # Errors
    /// As [`Policy::compile`].
    pub(crate) fn under(
        &self,
        federation: Federation,
        epoch: u64,
        grants: Vec<Grant>,
    ) -> Result<Self, Error> {
        let (domain, products) = (self.domain.clone(), self.products.clone());
        Self::compile_under(federation, domain, epoch, products, grants)
    }

    /// What the mesh demands.
    pub(crate) fn federation(&self) -> &Federation {
        &self.federation
    }

    /// The version of the federated policy that is in force.
    pub fn federated_version(&self) -> Option<u64> {
        self.federation.version()
    }

    /// What the federated policy takes away from `grant`, if it takes anything.
    pub(crate) fn narrowing(&self, grant: &Grant) -> Option<&Narrowing> {
        let key = (grant.table.clone(), grant.id.clone());
        self.narrowings.get(&key)
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

    /// The tables that `asker` may see any column of.
    pub fn visible_tables(&self, asker: &Asker<'_>) -> Vec<VisibleTable> {
        self.tables
            .values()
            .filter_map(|guarded| self.visible(asker, guarded))
            .collect()
    }

    /// All grants, in the order of their tables.
    pub(crate) fn grants(&self) -> impl Iterator<Item = &Grant> {
        self.grants.values().flatten()
    }

    /// Returns when a grant begins or ends by itself, or a day has gone by.
    pub(crate) async fn turned(&self) {
        let now = Timestamp::from(SystemTime::now());
        let turns = self.grants().flat_map(|it| [it.valid_from, it.valid_until]);
        let next = turns.flatten().filter(|turn| *turn > now).min();
        let micros = next.map_or(i64::MAX, |turn| turn.micros().saturating_sub(now.micros()));
        let wait = Duration::from_micros(u64::try_from(micros).unwrap_or(0));
        // Clocks do not agree to the microsecond.
        sleep((wait + Duration::from_millis(1)).min(DAY)).await;
    }

    pub(crate) fn decide(&self, asker: &Asker<'_>, access: &TableAccess) -> Decision {
        evaluate(self.grants_on(&access.table), asker, access)
    }

    /// What the gate goes by: rows, or groups of them where rows may not be shown.
    pub(crate) fn decide_rows_or_groups(
        &self,
        asker: &Asker<'_>,
        access: &TableAccess,
    ) -> Decision {
        match self.decide(asker, access) {
            Decision::Deny(Denial::AggregateOnly) => self.decide_grouped(asker, access),
            decided => decided,
        }
    }

    /// The same as [`Policy::decide`] where nothing is shown but what is computed over groups of rows.
    pub(crate) fn decide_grouped(&self, asker: &Asker<'_>, access: &TableAccess) -> Decision {
        evaluate_aggregate(self.grants_on(&access.table), asker, access)
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
        let row_filter = match guarded.row_filters.get(&grant.id) {
            // What one holder sees is not what another does.
            Some(filter) => match filter.condition_for_all()? {
                Some(condition) => Some(condition),
                None => return Ok(None),
            },
            None => None,
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
            row_filter,
            obligations: Obligations {
                grant: grant.id.clone(),
                row_filter: grant.row_filter.clone(),
                min_group_size: grant.action.min_group_size(),
                limits: grant.limits,
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

    fn visible(&self, asker: &Asker<'_>, guarded: &Guarded) -> Option<VisibleTable> {
        let Table {
            reference,
            description,
            schema,
            key,
            disclosure,
            flow_to: flows,
            foreign_keys,
            remarks,
            id,
            ..
        } = &guarded.table;
        let names = schema.fields().iter().map(|field| field.name().as_str());
        let grants = self.grants_on(reference);
        let seen = visible_columns(grants, asker, reference, names);
        if seen.is_empty() {
            return None;
        }
        let fields: Vec<_> = schema
            .fields()
            .iter()
            .filter(|field| seen.contains(field.name().as_str()))
            .map(|field| {
                let mut held = held(grants, asker, reference);
                let masked = held.any(|grant| grant.masks.contains_key(field.name()));
                shown_as(field, masked)
            })
            .collect();
        let disclosure = schema
            .fields()
            .iter()
            .zip(disclosure)
            .filter(|(field, _)| seen.contains(field.name().as_str()))
            .map(|(field, owner)| key_disclosure(grants, asker, reference, field.name(), *owner))
            .collect();
        let alone: BTreeMap<&str, Obligations> = seen
            .iter()
            .filter_map(|column| Some((*column, self.duties(asker, reference, &[column])?)))
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
        let rows_hidden = seen.iter().any(|column| !alone.contains_key(column));
        let sizes = held(grants, asker, reference).filter_map(|it| it.action.min_group_size());
        let whole = key
            .iter()
            .all(|column| seen.contains(column.as_str()) && !masked.contains(column));
        let foreign_keys = foreign_keys.iter().filter_map(|it| {
            let own = |column: &String| seen.contains(column.as_str()) && !masked.contains(column);
            let whole = it.columns.iter().all(own);
            whole.then(|| self.told(asker, it)).flatten()
        });
        let remarks = schema.fields().iter().zip(remarks);
        let remarks = remarks.filter(|(field, _)| seen.contains(field.name().as_str()));
        Some(VisibleTable {
            foreign_keys: foreign_keys.collect(),
            id: id.clone(),
            remarks: remarks.map(|(_, remark)| remark.clone()).collect(),
            table: reference.clone(),
            description: description.clone(),
            schema: Arc::new(Schema::new(fields)),
            key: if whole { key.clone() } else { Vec::new() },
            masked,
            filtered,
            disclosure,
            flow_to: flow_to(grants, asker, reference, flows),
            grants: held(grants, asker, reference)
                .map(|grant| grant.id.clone())
                .collect(),
            min_group_size: sizes.min().filter(|_| rows_hidden),
            federated: self.federated_version(),
            rows: self.duties(asker, reference, &[]).map(Shown::from),
            columns,
        })
    }

    /// `key` as `asker` is told of it, whose own columns it sees: what it refers to is another
    /// domain's, or seen as it is.
    fn told(&self, asker: &Asker<'_>, key: &ForeignKey) -> Option<ForeignKey> {
        if *key.product.domain() != self.domain {
            return Some(key.clone());
        }
        let tables = self.tables.values().map(|guarded| &guarded.table);
        let mut tables = tables.filter(|table| *table.reference.product() == key.product);
        let (table, columns) = tables.find_map(|it| Some((it, it.referred(&key.to)?)))?;
        let as_it_is = |column: &&str| {
            let duties = self.duties(asker, &table.reference, &[column]);
            duties.is_some_and(|duties| duties.masks.is_empty())
        };
        columns.iter().all(as_it_is).then(|| ForeignKey {
            to: Referred {
                by: ReferredBy::Name,
                table: table.reference.table().to_owned(),
                columns: columns.into_iter().map(str::to_owned).collect(),
            },
            ..key.clone()
        })
    }

    /// What reading just these columns obliges to.
    fn duties(&self, asker: &Asker<'_>, table: &TableRef, columns: &[&str]) -> Option<Obligations> {
        let access = TableAccess {
            table: table.clone(),
            columns: columns.iter().map(|column| (*column).to_owned()).collect(),
        };
        match self.decide(asker, &access) {
            Decision::Allow(duties) => Some(duties),
            Decision::Deny(_) => None,
        }
    }
}

/// Leaves of `grants` what `federation` leaves of them, and says what it took. A grant on a table that
/// is not served shows nothing and stays as it is.
fn narrow(
    federation: &Federation,
    products: &[Product],
    grants: &mut BTreeMap<TableRef, Vec<Grant>>,
) -> BTreeMap<(TableRef, String), Narrowing> {
    let mut narrowings = BTreeMap::new();
    for product in products {
        for table in &product.tables {
            let Some(granted) = grants.get_mut(&table.reference) else {
                continue;
            };
            let labelled = labelled(product, table);
            granted.retain_mut(|grant| {
                let Some(narrowing) = federation.narrowing(grant, &labelled) else {
                    return false;
                };
                if !narrowing.is_empty() {
                    *grant = narrowing.of(grant);
                    narrowings.insert((grant.table.clone(), grant.id.clone()), narrowing);
                }
                true
            });
        }
    }
    narrowings
}

/// `field` as a grant shows it: what the contract requires, a mask may replace with NULL.
fn shown_as(field: &FieldRef, masked: bool) -> FieldRef {
    match masked {
        true => Arc::new(field.as_ref().clone().with_nullable(true)),
        false => Arc::clone(field),
    }
}
