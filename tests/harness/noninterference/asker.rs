//! A person at one of two meshes, and all that the mesh says.

use std::time::Duration;

use tokio::time::sleep;

use super::DOMAINS;
use super::outcome::{Told, answer, failed, numbered, shown};
use super::queries::Attempt;
use super::rights::Rights;
use crate::client::Client;
use crate::mesh::Mesh;
use crate::random::world::World;

/// What explains a query, as it is expected to run and as it ran.
const EXPLANATIONS: [(&str, &str); 4] = [
    ("explain", "EXPLAIN"),
    ("flow", "EXPLAIN FLOW"),
    ("analyze", "EXPLAIN ANALYZE"),
    ("analyze flow", "EXPLAIN ANALYZE FLOW"),
];
/// The last query that somebody asked. Which of its fragments end before it does is a matter of time, so no
/// log is compared that tells of the queries before.
const LAST: &str = "SELECT coalesce(max(query_id), '') FROM system.events.log";
/// How the queries that somebody has asked since were decided, and how they ended.
const SINCE: &str = "SELECT kind, principal, purpose, tables, columns, grants, policy, rows, bytes, code, \
    statement, details FROM system.events.log WHERE kind IN ('admitted', 'denied', 'finished', 'failed') \
    AND query_id IN (SELECT query_id FROM system.events.log WHERE digest <> '' AND query_id > ";

/// A person at one of the meshes.
pub(super) struct Asker {
    far: Client,
    /// Straight at the node of a domain.
    near: Client,
    domain: &'static str,
    /// Whether every query is explained in every way.
    thorough: bool,
}

impl Asker {
    pub(super) async fn new(
        mesh: &Mesh,
        rights: &Rights,
        domain: &'static str,
        thorough: bool,
    ) -> Self {
        Self {
            thorough,
            far: mesh.sign_in(&rights.user).await,
            near: mesh.sign_in_at(domain, &rights.user).await,
            domain,
        }
    }

    pub(super) async fn set(&mut self, setting: &str) {
        let set = self.far.query(&format!("SET {setting}")).await;
        set.expect("a setting");
    }

    /// All that the mesh says of a query, and what its log says after `patience`: ends that nobody waits for are
    /// written a little later.
    pub(super) async fn told(&mut self, attempt: &Attempt, patience: Duration) -> Told {
        let Attempt { sql, ordered, .. } = attempt;
        let mut told = Told::new();
        told.insert("answer", answer(&mut self.far, sql, *ordered).await);
        // Each of them plans the query anew; together they would take most of the time.
        let which = sql.len() % EXPLANATIONS.len();
        let explanations = EXPLANATIONS.iter().enumerate();
        let explanations = explanations.filter(|(at, _)| *at == which || self.thorough);
        for (_, (aspect, prefix)) in explanations {
            let sql = format!("{prefix} {sql}");
            told.insert(aspect, answer(&mut self.far, &sql, true).await);
        }
        if sql.len().is_multiple_of(5) || self.thorough {
            told.insert("announced", announced(&mut self.far, sql).await);
        }
        let mut elsewhere = DOMAINS.iter().filter(|domain| **domain != self.domain);
        if elsewhere.all(|domain| !sql.contains(&format!("{domain}."))) {
            let last = self.near.value(LAST).await;
            told.insert("near", answer(&mut self.near, sql, *ordered).await);
            sleep(patience).await;
            // What reads a table twice is admitted twice, in whatever order.
            let since = format!("{SINCE}'{last}')");
            told.insert("near log", answer(&mut self.near, &since, false).await);
        }
        told
    }

    /// What the mesh says beside queries.
    pub(super) async fn surroundings(&mut self, seen: &World) -> Told {
        let mut told = Told::new();
        let mut per_table = String::new();
        for table in &seen.tables {
            let name = table.full_name();
            for sql in [format!("SHOW STATS FOR {name}"), format!("DESCRIBE {name}")] {
                per_table.push_str(&answer(&mut self.far, &sql, true).await);
            }
            let path = [table.domain, table.product, table.name.as_str()];
            per_table.push_str(&keys(&mut self.far, path).await);
            if table.domain == self.domain {
                per_table.push_str(&keys(&mut self.near, path).await);
            }
        }
        told.insert("metadata", metadata(&mut self.far).await);
        told.insert("metadata near", metadata(&mut self.near).await);
        told.insert("tables", per_table);
        for (aspect, sql) in [
            ("lists", "SHOW TABLES"),
            ("products", "SELECT * FROM system.catalog.products"),
            ("all tables", "SELECT * FROM system.catalog.tables"),
            ("columns", "SELECT * FROM system.catalog.columns"),
            (
                "nodes",
                "SELECT domain, node, status, version FROM system.runtime.nodes",
            ),
        ] {
            told.insert(aspect, answer(&mut self.far, sql, false).await);
        }
        told.insert("grants", answer(&mut self.near, "SHOW GRANTS", true).await);
        told.insert(
            "requests",
            answer(&mut self.near, "SHOW REQUESTS", true).await,
        );
        told
    }
}

async fn announced(client: &mut Client, sql: &str) -> String {
    match client.announced(sql).await {
        Ok(announced) => numbered(&announced),
        Err(error) => failed(&error),
    }
}

async fn metadata(client: &mut Client) -> String {
    match client.metadata().await {
        Ok(answers) => answers.into_iter().map(shown).collect(),
        Err(error) => failed(&error),
    }
}

async fn keys(client: &mut Client, path: [&str; 3]) -> String {
    match client.keys(path).await {
        Ok(rows) => shown(rows),
        Err(error) => failed(&error),
    }
}
