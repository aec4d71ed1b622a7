//! What a session may see of what a query reads, as the owners' nodes say.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::common::TableReference;
use weft_governance::{Error, ErrorKind, ProductRef, TableAccess, TableRef, code};
use weft_plan::{FullName, resolve, table_references};
use weft_sql::{Mentioned, ast};
use weft_wire::rpc::node::node_client::NodeClient;
use weft_wire::rpc::node::{Access, ColumnAccess, ExplainRequest};
use weft_wire::status::from_status;

use super::Catalogs;
use super::describe;
use super::view::{Entry, View};
use crate::registry::NodeEntry;
use crate::session::Session;

/// Columns by table.
type Read = BTreeMap<FullName, BTreeSet<String>>;

impl Catalogs {
    /// What the owners' nodes would show `session` of `accesses`, or hide or deny.
    ///
    /// # Errors
    /// `WEFT-DOMAIN-UNAVAILABLE` if one of them cannot be asked.
    pub async fn explain(
        &self,
        session: &Session,
        accesses: Vec<TableAccess>,
    ) -> Result<Vec<ColumnAccess>, Error> {
        let mut by_domain: BTreeMap<String, Vec<Access>> = BTreeMap::new();
        for TableAccess { table, columns } in accesses {
            let asked = by_domain.entry(table.domain().to_string()).or_default();
            asked.push(Access {
                product: table.product().product().to_owned(),
                table: table.table().to_owned(),
                columns: columns.into_iter().collect(),
            });
        }
        let mut rows = Vec::new();
        for (domain, accesses) in by_domain {
            let node = self.node_of(&domain)?;
            let at = |error: Error| match domain.parse() {
                Ok(domain) => error.at(domain),
                Err(_) => error,
            };
            let asked = self.ask_access(session, &node, accesses);
            rows.extend(asked.await.map_err(at)?);
        }
        Ok(rows)
    }

    /// A node of `domain` that is up.
    fn node_of(&self, domain: &str) -> Result<NodeEntry, Error> {
        let mesh = self.registry.mesh();
        let mut nodes = mesh.nodes.values();
        let node = nodes.find(|node| node.domain.as_str() == domain && node.is_up());
        node.cloned().ok_or_else(|| {
            let message = format!("no node of domain `{domain}` can be reached");
            Error::new(ErrorKind::Unavailable, code::DOMAIN_UNAVAILABLE, message)
                .with_hint("`SELECT * FROM system.runtime.nodes` shows the state of each node.")
        })
    }

    async fn ask_access(
        &self,
        session: &Session,
        node: &NodeEntry,
        accesses: Vec<Access>,
    ) -> Result<Vec<ColumnAccess>, Error> {
        let question = ExplainRequest {
            purpose: session.purpose(),
            accesses,
        };
        let request = describe::on_behalf(session, node, question).await?;
        let channel = self.channels.control(node).await?;
        let answer = NodeClient::new(channel).explain(request).await;
        let answer = answer.map_err(|status| from_status(&status))?;
        Ok(answer.into_inner().columns)
    }

    /// The tables and columns that `query` names, as far as `session` may know of the tables. Of columns
    /// that it may not see, by their names alone.
    ///
    /// # Errors
    /// As [`Catalogs::resolve`], but for tables that are not granted.
    pub async fn mentioned(
        &self,
        session: &Session,
        query: &ast::Query,
    ) -> Result<Vec<TableAccess>, Error> {
        let view = self.view(session).await?;
        let current = session.names();
        let mut found: BTreeMap<TableReference, FullName> = BTreeMap::new();
        for reference in table_references(query)? {
            let name = resolve(&reference, &current, view.as_ref())
                .map_err(|error| view.unavailable(&reference, &current).unwrap_or(error))?;
            found.insert(reference, name);
        }
        let read = attributed(&Mentioned::of(query), &found, &view);
        let accesses = read.into_iter().filter_map(|(name, columns)| {
            let table = table_of(&name, &view)?;
            Some(TableAccess { table, columns })
        });
        Ok(accesses.collect())
    }
}

/// Which of the tables in `found` each mentioned column could be of.
fn attributed(
    mentioned: &Mentioned,
    found: &BTreeMap<TableReference, FullName>,
    view: &Arc<View>,
) -> Read {
    let mut read: Read = found
        .values()
        .map(|name| (name.clone(), BTreeSet::new()))
        .collect();
    let called = |parts: &[String]| {
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let reference = match parts.as_slice() {
            [table] => TableReference::bare(*table),
            [schema, table] => TableReference::partial(*schema, *table),
            [catalog, schema, table] => TableReference::full(*catalog, *schema, *table),
            _ => return None,
        };
        found.get(&reference)
    };
    for (before, column) in &mentioned.columns {
        let tables: Vec<&FullName> = match before {
            Some(before) => {
                let tables = mentioned.tables.iter();
                let meant = tables.filter(|(_, name)| name == before);
                meant.filter_map(|(parts, _)| called(parts)).collect()
            }
            None if read.len() == 1 => found.values().take(1).collect(),
            None => {
                let tables = found.values();
                let shows = |name: &&FullName| shows(view, name, column);
                tables.filter(shows).collect()
            }
        };
        for table in tables {
            if let Some(columns) = read.get_mut(table) {
                columns.insert(column.clone());
            }
        }
    }
    read
}

fn shows(view: &View, name: &FullName, column: &str) -> bool {
    match view.entry(name) {
        Some(Entry::Visible { table, .. }) => table.visible().field_with_name(column).is_ok(),
        Some(Entry::Closed { .. } | Entry::System) | None => false,
    }
}

fn table_of(name: &FullName, view: &View) -> Option<TableRef> {
    match view.entry(name)? {
        Entry::Visible { table, .. } => Some(table.table().clone()),
        Entry::Closed { .. } => {
            let domain = name.catalog.parse().ok()?;
            let product = ProductRef::new(domain, &name.schema).ok()?;
            product.table(&name.table).ok()
        }
        Entry::System => None,
    }
}
