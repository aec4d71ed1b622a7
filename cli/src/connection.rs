//! A connection as a person uses it: to one server, and from there straight to the owners' nodes
//! wherever a statement is about rights. No coordinator takes part in that.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use arrow::array::AsArray;
use arrow::record_batch::RecordBatch;
use futures::{StreamExt, TryStreamExt};
use weft_governance::{Error, ErrorKind, ServerId, code};
use weft_sql::{Caps, Govern, Statement};
use weft_wire::person::{Desk, Proof};
use zeroize::Zeroizing;

use crate::client::{Client, Rows, SignIn, Target};

/// How long a token for a node lives.
const VISIT: Duration = Duration::from_secs(600);
/// One is not used in the last moments of its life.
const MARGIN: Duration = Duration::from_secs(30);

/// The nodes that can be reached. A node itself does not know.
const NODES: &str = "SELECT domain, node, endpoint FROM system.runtime.nodes WHERE status = 'up' ORDER BY domain, node";

/// A signed-in connection.
pub(crate) struct Connection {
    client: Client,
    person: Option<Person>,
    /// By node.
    owners: BTreeMap<ServerId, Visit>,
}

/// Who signs in at owners' nodes.
pub(crate) struct Person {
    pub(crate) who: Who,
    /// The mesh's CA, PEM.
    pub(crate) ca_pem: Option<String>,
}

/// How they sign in there.
pub(crate) enum Who {
    /// With a password, which only the node named by its certificate is told.
    Password {
        user: String,
        password: Zeroizing<String>,
    },
    /// With tokens for each node that the authority gives for a login.
    Login { desk: Desk, proof: Proof },
}

/// A connection to an owner's node.
struct Visit {
    client: Client,
    /// When it has to be made anew.
    until: Option<SystemTime>,
}

/// A node that is up.
struct Owner {
    domain: String,
    id: ServerId,
    endpoint: String,
}

impl Connection {
    /// Over `client`; `person` can sign in elsewhere too.
    pub(crate) fn new(client: Client, person: Option<Person>) -> Self {
        Self {
            client,
            person,
            owners: BTreeMap::new(),
        }
    }

    /// Runs `sql` where it belongs.
    ///
    /// # Errors
    /// What the server says before the first row; the rest comes with the rows.
    pub(crate) async fn query(&mut self, sql: &str) -> Result<Rows, Error> {
        let statement = match weft_sql::parse(sql, &Caps::default()) {
            // Each receipt is signed by its node, wherever it is kept.
            Ok(Statement::Govern(statement))
                if !matches!(*statement, Govern::ShowReceipts { .. }) =>
            {
                statement
            }
            _ => return self.client.query(sql).await,
        };
        match self.nodes().await {
            Some(nodes) => self.at_owners(&statement, sql, nodes).await,
            None => self.client.query(sql).await,
        }
    }

    /// The nodes of the mesh, if the server knows them.
    async fn nodes(&mut self) -> Option<Vec<Owner>> {
        let rows = self.client.query(NODES).await.ok()?;
        let batches: Vec<RecordBatch> = rows.batches.try_collect().await.ok()?;
        let mut owners = Vec::new();
        for batch in &batches {
            let domains = batch.column_by_name("domain")?.as_string_opt::<i32>()?;
            let ids = batch.column_by_name("node")?.as_string_opt::<i32>()?;
            let endpoints = batch.column_by_name("endpoint")?.as_string_opt::<i32>()?;
            for ((domain, id), endpoint) in domains.iter().zip(ids).zip(endpoints) {
                owners.push(Owner {
                    domain: domain?.to_owned(),
                    id: id?.parse().ok()?,
                    endpoint: endpoint?.to_owned(),
                });
            }
        }
        Some(owners)
    }

    async fn at_owners(
        &mut self,
        statement: &Govern,
        sql: &str,
        mut nodes: Vec<Owner>,
    ) -> Result<Rows, Error> {
        if let Some(object) = statement.object() {
            let domain = object.domain().as_str();
            nodes.retain(|node| node.domain == domain);
            if nodes.is_empty() {
                return Err(nobody(&format!("domain `{domain}` has no node that is up")));
            }
        }
        if let Some(named) = Named::by(statement) {
            nodes = vec![self.holder(&named, nodes).await?];
        }
        self.all(sql, &nodes).await
    }

    /// The one of `nodes` that knows what is `named`.
    async fn holder(&mut self, named: &Named<'_>, nodes: Vec<Owner>) -> Result<Owner, Error> {
        let Named {
            what,
            id,
            list,
            column,
        } = named;
        for node in nodes {
            let rows = self.owner(&node).await?.query(list).await;
            let rows = rows.map_err(|error| at(error, &node))?;
            let batches: Vec<RecordBatch> = rows.batches.try_collect().await?;
            let mut ids = batches.iter().flat_map(|batch| {
                let ids = batch.column_by_name(column);
                ids.and_then(|ids| ids.as_string_opt::<i32>())
                    .into_iter()
                    .flatten()
                    .flatten()
            });
            if ids.any(|known| known == *id) {
                return Ok(node);
            }
        }
        let message = format!("there is no {what} `{id}`, or none that you may know of");
        Err(Error::new(ErrorKind::NotFound, code::NOT_FOUND, message)
            .with_hint(format!("{list} lists the ids.")))
    }

    /// What all `nodes` answer.
    async fn all(&mut self, sql: &str, nodes: &[Owner]) -> Result<Rows, Error> {
        let mut answer: Option<Rows> = None;
        for node in nodes {
            let rows = self.owner(node).await?.query(sql).await;
            let rows = rows.map_err(|error| at(error, node))?;
            answer = Some(match answer {
                None => rows,
                Some(Rows { schema, batches }) => Rows {
                    schema,
                    batches: batches.chain(rows.batches).boxed(),
                },
            });
        }
        answer.ok_or_else(|| nobody("no node is up"))
    }

    async fn owner(&mut self, node: &Owner) -> Result<&mut Client, Error> {
        let soon = SystemTime::now() + MARGIN;
        let open = self.owners.get(&node.id);
        if open.is_none_or(|visit| visit.until.is_some_and(|until| until <= soon)) {
            let visit = self.visit(node).await.map_err(|error| at(error, node))?;
            self.owners.insert(node.id.clone(), visit);
        }
        let visit = self.owners.get_mut(&node.id);
        visit
            .map(|visit| &mut visit.client)
            .ok_or_else(|| nobody("a connection was lost"))
    }

    /// Signs in at `node`. A coordinator said where it is, so its certificate has to say that it is the
    /// node: what is shown to it would be good there.
    async fn visit(&self, node: &Owner) -> Result<Visit, Error> {
        let Some(person) = &self.person else {
            return Err(Error::new(
                ErrorKind::Unauthenticated,
                code::UNAUTHENTICATED,
                "a session at a coordinator is no sign-in at the owner's node",
            )
            .with_hint(
                "Sign in with `weft login --authority`, or with --user and a password, and name the mesh's CA with --ca.",
            ));
        };
        let target = Target {
            url: node.endpoint.clone(),
            ca_pem: person.ca_pem.clone(),
            server: Some(node.id.clone()),
        };
        let (sign_in, until) = match &person.who {
            Who::Password { user, password } => {
                let sign_in = SignIn::Password {
                    user: user.clone(),
                    password: password.clone(),
                };
                (sign_in, None)
            }
            Who::Login { desk, proof } => {
                let token = desk.issue_token(proof, &node.id, Some(VISIT)).await?;
                (SignIn::Bearer(token.text.into()), Some(token.expires_at))
            }
        };
        let client = Client::connect(&target, sign_in).await?;
        Ok(Visit { client, until })
    }
}

/// Something that only its owner's node knows.
struct Named<'a> {
    what: &'static str,
    id: &'a str,
    /// The statement that lists all of its kind, and the column of their ids.
    list: &'static str,
    column: &'static str,
}

impl<'a> Named<'a> {
    /// What `statement` names by its id.
    fn by(statement: &'a Govern) -> Option<Self> {
        let request = |id| Self {
            what: "request",
            id,
            list: "SHOW REQUESTS",
            column: "request_id",
        };
        match statement {
            Govern::Revoke { grant } => Some(Self {
                what: "grant",
                id: grant,
                list: "SHOW GRANTS",
                column: "grant_id",
            }),
            Govern::Approve(approval) => Some(request(&approval.request)),
            Govern::Reject { request: id, .. } => Some(request(id)),
            _ => None,
        }
    }
}

fn at(error: Error, node: &Owner) -> Error {
    match node.domain.parse() {
        Ok(domain) if error.domain().is_none() => error.at(domain),
        _ => error,
    }
}

fn nobody(message: &str) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        code::DOMAIN_UNAVAILABLE,
        message.to_owned(),
    )
    .with_hint("`SELECT * FROM system.runtime.nodes` shows the state of each node.")
}
