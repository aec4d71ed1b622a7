//! Which columns a rule is about.

use std::collections::BTreeSet;

use crate::grant::Cells;
use crate::id::{DomainId, TableRef};

/// What a contract says of a column, folded to lower case: a label that differs in case alone
/// escapes no rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels {
    tags: BTreeSet<String>,
    classifications: BTreeSet<String>,
}

impl Labels {
    /// Adds a tag.
    pub fn tag(&mut self, tag: &str) {
        self.tags.insert(folded(tag));
    }

    /// Adds a classification. A column with parts has those of its parts too.
    pub fn classify(&mut self, classification: &str) {
        self.classifications.insert(folded(classification));
    }

    /// The tags.
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        self.tags.iter().map(String::as_str)
    }
}

/// A table as rules see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelledTable {
    /// The table.
    pub table: TableRef,
    /// The status of its contract, if that says one.
    pub status: Option<String>,
    /// The columns.
    pub columns: Vec<LabelledColumn>,
}

/// A column as rules see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelledColumn {
    /// Its name.
    pub name: String,
    /// What the contract says of it, of its table and of its product.
    pub labels: Labels,
    /// What masks fit it.
    pub cells: Cells,
}

/// Columns by what contracts say of them: those with at least one of the tags or classifications.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnSelector {
    /// Tags of the column, its table or its product.
    pub tags: BTreeSet<String>,
    /// Classifications of the column.
    pub classification: BTreeSet<String>,
}

impl ColumnSelector {
    fn selects(&self, labels: &Labels) -> bool {
        let meet = |wanted: &BTreeSet<String>, found: &BTreeSet<String>| {
            wanted.iter().any(|label| found.contains(&folded(label)))
        };
        meet(&self.tags, &labels.tags) || meet(&self.classification, &labels.classifications)
    }
}

/// Products that meet every condition; what is absent is no condition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProductSelector {
    /// Of one of these domains.
    pub domains: Option<BTreeSet<DomainId>>,
    /// With one of these names.
    pub names: Option<BTreeSet<String>>,
    /// Whose contract has one of these statuses, or none: what is not said is not ruled out.
    pub status: Option<BTreeSet<String>>,
}

impl ProductSelector {
    fn selects(&self, table: &LabelledTable) -> bool {
        let Self {
            domains,
            names,
            status,
        } = self;
        let product = table.table.product();
        let domain_fits = domains
            .as_ref()
            .is_none_or(|it| it.contains(product.domain()));
        let own_name = folded(product.product());
        let name_fits = names
            .as_ref()
            .is_none_or(|names| names.iter().any(|name| folded(name) == own_name));
        let status_fits = match (status, &table.status) {
            (None, _) | (Some(_), None) => true,
            (Some(wanted), Some(own)) => wanted.iter().any(|it| folded(it) == folded(own)),
        };
        domain_fits && name_fits && status_fits
    }
}

/// The columns of `table` that both select.
pub(super) fn selected<'a>(
    columns: Option<&ColumnSelector>,
    products: Option<&ProductSelector>,
    table: &'a LabelledTable,
) -> Vec<&'a LabelledColumn> {
    if products.is_some_and(|products| !products.selects(table)) {
        return Vec::new();
    }
    let chosen = |column: &&LabelledColumn| columns.is_none_or(|it| it.selects(&column.labels));
    table.columns.iter().filter(chosen).collect()
}

fn folded(label: &str) -> String {
    label.trim().to_lowercase()
}
