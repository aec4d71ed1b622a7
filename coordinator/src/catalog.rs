//! What a principal may see of the mesh, by each owner's own word.

mod access;
mod describe;
pub mod listing;
mod system;
mod tables;
mod view;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use futures::future::join_all;
use tracing::warn;
use weft_door::TableEntry;
use weft_governance::{Error, ErrorKind, ServerId, code};
use weft_plan::{
    Current, FullName, ProductTable, Tables, event_log_name, from_datafusion, resolve,
    table_references,
};
use weft_sql::ast;

use crate::channels::Channels;
use crate::journal::Journal;
use crate::plan::Sites;
use crate::query::RunningQueries;
use crate::registry::{Mesh, NodeEntry, Registry};
use crate::session::{Roster, Session};
use crate::settings::ShownSetting;

pub use describe::Described;
pub use view::{Entry, View};

/// Sessions whose descriptions are remembered.
const REMEMBERED_SESSIONS: usize = 10_000;

/// The catalogs of all sessions. Cheap to clone.
#[derive(Clone)]
pub struct Catalogs {
    registry: Registry,
    channels: Channels,
    journal: Journal,
    roster: Roster,
    settings: Arc<[ShownSetting]>,
    sessions: Arc<Mutex<HashMap<String, Known>>>,
}

/// What one session knows.
#[derive(Default)]
struct Known {
    described: HashMap<ServerId, Arc<Described>>,
    /// The last view that was made of it.
    view: Option<Arc<View>>,
}

impl Known {
    fn view(&mut self, mesh: &Mesh) -> Arc<View> {
        let current = self.view.take();
        let current = current.filter(|view| view.is_current(mesh, &self.described));
        let view = current.unwrap_or_else(|| Arc::new(View::assemble(mesh, &self.described)));
        self.view = Some(Arc::clone(&view));
        view
    }
}

/// The tables of one query.
pub struct Resolved {
    /// By the name that the query writes.
    pub tables: Tables,
    /// Where they are served.
    pub sites: Sites,
    /// Whether rows of one of them may be shown in groups alone.
    pub grouped: bool,
    /// Those of the coordinator itself.
    pub system: Vec<FullName>,
}

impl Catalogs {
    /// Catalogs over the nodes of `registry`, of a coordinator with this `journal`.
    pub fn new(registry: Registry, channels: Channels, journal: Journal) -> Self {
        Self {
            registry,
            channels,
            journal,
            roster: Roster::default(),
            settings: Arc::from([]),
            sessions: Arc::default(),
        }
    }

    /// The same, whose system tables show the sessions of `roster`, and `settings`.
    #[must_use]
    pub fn showing(self, roster: Roster, settings: Vec<ShownSetting>) -> Self {
        Self {
            roster,
            settings: settings.into(),
            ..self
        }
    }

    /// Finds the tables that `query` names, as the session may see them now.
    ///
    /// # Errors
    /// `WEFT-NOT-FOUND`, `WEFT-NOT-GRANTED`, `WEFT-AMBIGUOUS`, or `WEFT-DOMAIN-UNAVAILABLE` for a
    /// table of a domain that has not answered yet.
    pub async fn resolve(
        &self,
        session: &Session,
        queries: &RunningQueries,
        query: &ast::Query,
    ) -> Result<Resolved, Error> {
        let mut resolved = Resolved {
            tables: Tables::new(),
            sites: Sites::new(),
            grouped: false,
            system: Vec::new(),
        };
        let references = table_references(query)?;
        if references.is_empty() {
            return Ok(resolved);
        }
        let view = self.view(session).await?;
        let current = session.names();
        for reference in references {
            let name = resolve(&reference, &current, view.as_ref())
                .map_err(|error| view.unavailable(&reference, &current).unwrap_or(error))?;
            let provider: Arc<dyn TableProvider> = match view.entry(&name) {
                Some(Entry::Visible { table, site, .. }) => {
                    resolved.grouped |= table.is_grouped();
                    resolved
                        .sites
                        .insert(table.table().clone(), Arc::clone(site));
                    Arc::<ProductTable>::clone(table)
                }
                Some(Entry::Closed { .. }) => return Err(not_granted(&name, session)),
                Some(Entry::System) => {
                    let table = self.system_table(&name, session, queries, &view)?;
                    resolved.system.push(name);
                    table
                }
                None => return Err(vanished(&name)),
            };
            resolved.tables.insert(reference, provider);
        }
        Ok(resolved)
    }

    /// Everything that the session may know of.
    ///
    /// # Errors
    /// If the session's lease has ended. Nodes that do not answer are left out or shown as last
    /// known.
    pub async fn view(&self, session: &Session) -> Result<Arc<View>, Error> {
        let mesh = self.registry.mesh();
        let stale: Vec<&NodeEntry> = mesh
            .nodes
            .values()
            .filter(|node| node.is_up() && self.known(session, node).is_none())
            .collect();
        let asked = stale.iter().map(|node| self.ask(session, node));
        for (node, answer) in stale.iter().zip(join_all(asked).await) {
            match answer {
                Ok(described) => self.remember(session, &node.id, described),
                Err(error) if error.code() == code::LEASE_EXPIRED => return Err(error),
                Err(error) => {
                    warn!(node = %node.id, %error, "node could not be asked for its tables")
                }
            }
        }
        Ok(self.assemble(session, &mesh))
    }

    /// Every table that the session may query, for clients that list them.
    ///
    /// # Errors
    /// As [`Catalogs::view`].
    pub async fn tables(&self, session: &Session) -> Result<Vec<TableEntry>, Error> {
        let view = self.view(session).await?;
        tables::listed(&view, session.principal())
    }

    /// What `session` may see at `node`, unless the node goes away before it says so: one that
    /// hangs holds nobody up for longer than its signs of life do.
    async fn ask(&self, session: &Session, node: &NodeEntry) -> Result<Described, Error> {
        let mut lost = self.registry.watch(&node.id)?;
        tokio::select! {
            answer = describe::ask(&self.channels, session, node) => answer,
            () = lost.lost() => Err(vanished_node(node)),
        }
    }

    /// Sets where the session's short names start.
    ///
    /// # Errors
    /// If there is no such domain or product that the session may see.
    pub async fn use_names(&self, session: &Session, parts: &[String]) -> Result<(), Error> {
        let current = match parts {
            [] => Current::default(),
            [catalog] => Current {
                catalog: Some(catalog.clone()),
                schema: None,
            },
            [catalog, schema, ..] => Current {
                catalog: Some(catalog.clone()),
                schema: Some(schema.clone()),
            },
        };
        self.start_names_at(session, current).await
    }

    /// The same, of names that are read already.
    ///
    /// # Errors
    /// If there is no such domain or product that the session may see.
    pub async fn start_names_at(&self, session: &Session, current: Current) -> Result<(), Error> {
        self.view(session).await?.check(&current)?;
        session.set_names(current);
        Ok(())
    }

    /// Asks the nodes anew at the next use.
    pub fn forget(&self, session: &Session) {
        self.lock().remove(session.id());
    }

    fn known(&self, session: &Session, node: &NodeEntry) -> Option<Arc<Described>> {
        let sessions = self.lock();
        let known = sessions.get(session.id())?;
        known
            .described
            .get(&node.id)
            .filter(|d| d.epoch == node.epoch)
            .cloned()
    }

    fn remember(&self, session: &Session, node: &ServerId, answer: Described) {
        let mut sessions = self.lock();
        if sessions.len() >= REMEMBERED_SESSIONS && !sessions.contains_key(session.id()) {
            sessions.clear();
        }
        let known = sessions.entry(session.id().to_owned()).or_default();
        known.described.insert(node.clone(), Arc::new(answer));
    }

    fn assemble(&self, session: &Session, mesh: &Mesh) -> Arc<View> {
        match self.lock().get_mut(session.id()) {
            Some(known) => known.view(mesh),
            None => Known::default().view(mesh),
        }
    }

    fn system_table(
        &self,
        name: &FullName,
        session: &Session,
        queries: &RunningQueries,
        view: &View,
    ) -> Result<Arc<dyn TableProvider>, Error> {
        if *name == event_log_name() {
            return Ok(Arc::new(self.journal.read_by(session.principal())));
        }
        let mesh = self.registry.mesh();
        let shown = system::Shown {
            mesh: &mesh,
            view,
            queries: queries.shown_to(session.principal()),
            sessions: self.roster.shown_to(session.principal()),
            settings: &self.settings,
            asker: session.principal(),
        };
        let rows = system::rows(name, &shown)?;
        let table = MemTable::try_new(rows.schema(), vec![vec![rows]]).map_err(from_datafusion)?;
        Ok(Arc::new(table))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Known>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn vanished_node(node: &NodeEntry) -> Error {
    let message = "the domain's node cannot be reached";
    Error::new(ErrorKind::Unavailable, code::DOMAIN_UNAVAILABLE, message).at(node.domain.clone())
}

fn not_granted(name: &FullName, session: &Session) -> Error {
    Error::new(
        ErrorKind::PermissionDenied,
        code::NOT_GRANTED,
        format!("`{name}` is not granted to `{}`", session.principal()),
    )
    .with_hint(format!(
        "Ask its owner: REQUEST ACCESS TO {}.{} FOR PURPOSE '…' UNTIL 'YYYY-MM-DD' BECAUSE '…'.",
        name.catalog, name.schema
    ))
}

fn vanished(name: &FullName) -> Error {
    Error::new(
        ErrorKind::NotFound,
        code::NOT_FOUND,
        format!("there is no table `{name}`"),
    )
}
