//! One principal's catalog at one moment.

mod source;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use datafusion::common::TableReference;
use weft_governance::{Error, ErrorKind, ServerId, code};
use weft_plan::{Current, FullName, NameIndex, ProductTable};

use self::source::Source;
use super::describe::{Described, Notes};
use super::system;
use crate::plan::Site;
use crate::registry::Mesh;

/// All names that a principal may know of. Immutable.
#[derive(Debug, Default)]
pub struct View {
    entries: BTreeMap<FullName, Entry>,
    /// Domains that have a node, and whether one of them has described itself to the principal.
    domains: BTreeMap<String, bool>,
    /// What it was made of, in the order of the nodes' ids.
    sources: Vec<Source>,
}

/// What stands behind a name.
#[derive(Debug)]
pub enum Entry {
    /// A table that the principal may read.
    Visible {
        /// With the visible columns.
        table: Arc<ProductTable>,
        /// Where it is served.
        site: Arc<Site>,
        /// For people.
        description: String,
        /// What people are told of its columns.
        notes: Notes,
        /// Columns that are seen through a mask.
        masked: BTreeSet<String>,
        /// Whether rows may be hidden.
        filtered: bool,
    },
    /// A table that everyone may know of and this principal may not read.
    Closed {
        /// For people.
        description: String,
    },
    /// A table of Weft's own.
    System,
}

impl View {
    pub(super) fn assemble(mesh: &Mesh, described: &HashMap<ServerId, Arc<Described>>) -> Self {
        let mut view = Self {
            entries: BTreeMap::new(),
            domains: BTreeMap::new(),
            sources: Vec::new(),
        };
        for name in system::names() {
            view.entries.insert(name, Entry::System);
        }
        for node in mesh.nodes.values() {
            let answer = described.get(&node.id).cloned();
            *view.domains.entry(node.domain.to_string()).or_default() |= answer.is_some();
            let site = Arc::new(Site {
                node: node.id.clone(),
                domain: node.domain.clone(),
                functions: Arc::clone(&node.functions),
            });
            for described in answer.iter().flat_map(|answer| &answer.tables) {
                let table = described.table.table();
                let name = FullName {
                    catalog: table.domain().to_string(),
                    schema: table.product().product().to_owned(),
                    table: table.table().to_owned(),
                };
                // Of several nodes that serve a table, one that is up is asked.
                if node.is_up() || !matches!(view.entries.get(&name), Some(Entry::Visible { .. })) {
                    let entry = Entry::Visible {
                        table: Arc::new(described.table.clone()),
                        site: Arc::clone(&site),
                        description: described.description.clone(),
                        notes: described.notes.clone(),
                        masked: described.masked.clone(),
                        filtered: described.filtered,
                    };
                    view.entries.insert(name, entry);
                }
            }
            // Of a node that has not answered nobody knows what is granted; such names stay out.
            let known = answer.iter().flat_map(|_| node.products.iter());
            for product in known {
                for table in &product.tables {
                    let name = FullName {
                        catalog: node.domain.to_string(),
                        schema: product.name.clone(),
                        table: table.clone(),
                    };
                    view.entries.entry(name).or_insert_with(|| Entry::Closed {
                        description: product.description.clone(),
                    });
                }
            }
            view.sources.push(Source::of(node, answer));
        }
        view
    }

    /// Whether the same would be made of `mesh` and `described` now. Making a view of many products takes
    /// longer than planning a query.
    pub(super) fn is_current(
        &self,
        mesh: &Mesh,
        described: &HashMap<ServerId, Arc<Described>>,
    ) -> bool {
        let nodes = mesh.nodes.values();
        let mut pairs = self.sources.iter().zip(nodes);
        self.sources.len() == mesh.nodes.len()
            && pairs.all(|(source, node)| source.is_still(node, described.get(&node.id)))
    }

    /// What stands behind `name`.
    pub fn entry(&self, name: &FullName) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// All names, sorted.
    pub fn entries(&self) -> impl Iterator<Item = (&FullName, &Entry)> {
        self.entries.iter()
    }

    /// Those of the product `schema` of the domain `catalog`.
    pub(super) fn tables<'a>(
        &'a self,
        catalog: &'a str,
        schema: &'a str,
    ) -> impl Iterator<Item = (&'a FullName, &'a Entry)> {
        let start = FullName {
            catalog: catalog.to_owned(),
            schema: schema.to_owned(),
            table: String::new(),
        };
        let from = self.entries.range(start..);
        from.take_while(move |(name, _)| name.catalog == catalog && name.schema == schema)
    }

    /// Refuses a start of short names that leads nowhere.
    ///
    /// # Errors
    /// `WEFT-NOT-FOUND`.
    pub fn check(&self, current: &Current) -> Result<(), Error> {
        let Some(catalog) = &current.catalog else {
            return Ok(());
        };
        let known = catalog == "system" || self.domains.contains_key(catalog);
        let fits = |name: &FullName| {
            name.catalog == *catalog
                && current
                    .schema
                    .as_ref()
                    .is_none_or(|schema| name.schema == *schema)
        };
        if known && (current.schema.is_none() || self.entries.keys().any(fits)) {
            return Ok(());
        }
        let wanted = match &current.schema {
            Some(schema) => format!("there is no data product `{catalog}.{schema}`"),
            None => format!("there is no domain `{catalog}`"),
        };
        Err(Error::new(ErrorKind::NotFound, code::NOT_FOUND, wanted)
            .with_hint("`SHOW CATALOGS` lists the domains, `SHOW SCHEMAS` their products."))
    }

    /// The error for a table of a domain that has not been heard of yet in this session.
    pub(super) fn unavailable(
        &self,
        reference: &TableReference,
        current: &Current,
    ) -> Option<Error> {
        let candidates = [
            reference.catalog(),
            reference.schema(),
            current.catalog.as_deref(),
        ];
        let silent = candidates
            .into_iter()
            .flatten()
            .find(|name| self.domains.get(*name).is_some_and(|described| !described))?;
        let error = Error::new(
            ErrorKind::Unavailable,
            code::DOMAIN_UNAVAILABLE,
            "the domain's node cannot be reached",
        )
        .with_hint("`SELECT * FROM system.runtime.nodes` shows the state of each node.");
        Some(match silent.parse() {
            Ok(domain) => error.at(domain),
            Err(_) => error,
        })
    }
}

impl NameIndex for View {
    fn contains(&self, name: &FullName) -> bool {
        self.entries.contains_key(name)
    }

    fn tables_of(&self, catalog: &str, schema: &str) -> Vec<String> {
        let tables = self.tables(catalog, schema);
        tables.map(|(name, _)| name.table.clone()).collect()
    }

    fn all(&self) -> Vec<FullName> {
        self.entries.keys().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::registry::{NodeEntry, NodeStatus, ProductSummary};

    fn mesh() -> Mesh {
        let id = ServerId::node("sales".parse().expect("valid"), "n1").expect("valid");
        let now = SystemTime::now();
        let node = NodeEntry {
            id: id.clone(),
            domain: "sales".parse().expect("valid"),
            endpoint: "https://127.0.0.1:1".to_owned(),
            client_endpoint: "https://127.0.0.1:1".to_owned(),
            status: NodeStatus::Up,
            since: now,
            epoch: 1,
            functions: Arc::default(),
            products: Arc::from([]),
            software_version: "0".to_owned(),
            last_heartbeat: now,
            connection: 1,
        };
        Mesh {
            nodes: BTreeMap::from([(id, node)]),
        }
    }

    fn described(mesh: &Mesh) -> HashMap<ServerId, Arc<Described>> {
        let said = |id: &ServerId| {
            let tables = Vec::new();
            (id.clone(), Arc::new(Described { epoch: 1, tables }))
        };
        mesh.nodes.keys().map(said).collect()
    }

    #[test]
    fn a_view_is_made_anew_only_if_something_in_it_would_change() {
        let mesh = mesh();
        let known = described(&mesh);
        let view = View::assemble(&mesh, &known);
        let current = |change: &dyn Fn(&mut NodeEntry)| {
            let mut mesh = mesh.clone();
            mesh.nodes.values_mut().for_each(change);
            view.is_current(&mesh, &known)
        };
        assert!(current(&|_| {}));
        assert!(current(&|node| node.last_heartbeat = SystemTime::now()));
        assert!(!current(&|node| node.status = NodeStatus::Unreachable));
        assert!(!current(&|node| {
            let returns = ProductSummary {
                name: "returns".to_owned(),
                version: "1.0.0".to_owned(),
                description: String::new(),
                tables: Vec::new(),
            };
            node.products = Arc::from([returns]);
        }));
        assert!(!view.is_current(&Mesh::default(), &known), "a node is gone");
        assert!(!view.is_current(&mesh, &described(&mesh)), "a new answer");
        assert!(
            !view.is_current(&mesh, &HashMap::new()),
            "an answer is gone"
        );
    }
}
