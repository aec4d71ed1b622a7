//! Who may do what with the domain's products, and how that changes.
//!
//! Owns the grants: those of the configuration, and those that owners give and take in SQL. The latter
//! are events of the log, and what is in force is a fold of it. A change is durable before it is in
//! force, and in force before it is acknowledged. Does not enforce anything: that is the gate's, by
//! the newest [`Policy`].

mod check;
mod configured;
mod show;
mod signed;
mod state;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use arrow::datatypes::SchemaRef;
use serde::Serialize;
use tokio::sync::{Mutex, MutexGuard, watch};
use tracing::{error, info};
use uuid::Uuid;
use weft_governance::{
    Asker, Error, ErrorKind, Grant, Grantee, Principal, QueryId, ServerId, TableRef, code, hex,
};
use weft_ledger::{Event, EventKind, Ledger, Which};
use weft_plan::EventLog;
use weft_sql::ast;
use weft_sql::govern::{AccessRequest, Approval, Govern, NewGrant, Object};
use weft_wire::identity::Identity;
use weft_wire::rpc::node::ColumnAccess;
use weft_wire::token::sha256;

use crate::enforce::{Federation, Policy, explain_each};
use signed::{Chain, Signer};
use state::{Approved, Given, Named, Rejected, State};

pub(crate) use configured::grants;
pub(crate) use show::{grant_schema, grants_schema, one_id, request_schema, requests_schema};

/// Bytes of a statement that the log keeps, if it changes nothing.
const LONGEST_STATEMENT: usize = 4_096;

/// Requests of one principal that may wait for an answer.
const OPEN_REQUESTS: usize = 100;

/// The rights of one domain. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Rights(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    policy: watch::Sender<Arc<Policy>>,
    ledger: Ledger,
    signer: Signer,
    owners: Vec<Grantee>,
    /// Those that only the configuration changes.
    configured: Vec<Grant>,
    /// Held while a change is on its way, so that changes come one after the other.
    state: Mutex<State>,
}

/// The grants that owners gave by the event log at `file`, as they gave them.
///
/// # Errors
/// `WEFT-NOT-AUDITED` if it cannot be read, `WEFT-INTERNAL` if it holds a right that cannot be understood.
pub(crate) fn given_in(file: &Path) -> Result<Vec<Grant>, Error> {
    let state = State::of_file(file)?;
    Ok(state.given.into_values().flatten().collect())
}

impl Rights {
    /// The rights that `ledger` tells of beside those of `policy`, which are the configuration's, under
    /// `federation`. What owners gave is in force when this returns.
    ///
    /// `node` signs the changes.
    ///
    /// # Errors
    /// `WEFT-NOT-AUDITED` if the log cannot be read, `WEFT-INTERNAL` if it holds a right that cannot
    /// be understood.
    pub(crate) fn load(
        policy: watch::Sender<Arc<Policy>>,
        (ledger, node): (Ledger, Identity),
        owners: Vec<Grantee>,
        federation: Federation,
    ) -> Result<Self, Error> {
        let configured: Vec<Grant> = policy.borrow().grants().cloned().collect();
        let signer = Signer::new(node)?;
        let mut state = State::of(&ledger, &signer)?;
        let now = Arc::clone(&policy.borrow());
        state.given.retain(|id, grants| {
            let fits = now.with_grants(now.epoch(), grants.clone());
            if let Err(error) = &fits {
                error!(grant = id, %error, "a grant no longer fits its table and is not in force");
            }
            fits.is_ok()
        });
        let shared = Shared {
            policy,
            ledger,
            signer,
            owners,
            configured,
            state: Mutex::default(),
        };
        let newer = shared.compiled_under(federation, &state)?;
        shared.policy.send_replace(Arc::new(newer));
        let state = Mutex::new(state);
        Ok(Self(Arc::new(Shared { state, ..shared })))
    }

    /// Whether `principal` is an owner of the domain.
    pub(crate) fn is_owner(&self, principal: &Principal) -> bool {
        self.0.owners.iter().any(|owner| owner.includes(principal))
    }

    /// Gives what `statement` says, and returns the grant's id.
    ///
    /// # Errors
    /// `WEFT-NOT-GRANTED` unless `by` is an owner; if the right does not fit the tables or cannot be
    /// enforced; `WEFT-NOT-AUDITED` if it cannot be written down.
    pub(crate) async fn grant(&self, by: &Principal, grant: &NewGrant) -> Result<String, Error> {
        let statement = Govern::Grant(grant.clone()).to_string();
        self.admit(by, &statement).await?;
        let given = self.given(grant, statement)?;
        let id = given.id.clone();
        let state = self.0.state.lock().await;
        self.change(state, EventKind::Granted, by, &given).await?;
        info!(grant = id, by = %by, "a right was given");
        Ok(id)
    }

    /// Takes the grant `id` back. Nobody reads under it from now on, and who does is stopped.
    ///
    /// # Errors
    /// `WEFT-NOT-GRANTED` unless `by` is an owner, `WEFT-NOT-FOUND` if there is no such grant,
    /// `WEFT-NOT-AUDITED` if it cannot be written down.
    pub(crate) async fn revoke(&self, by: &Principal, id: &str) -> Result<(), Error> {
        let taken = Named {
            id: id.to_owned(),
            statement: Govern::Revoke {
                grant: id.to_owned(),
            }
            .to_string(),
        };
        self.admit(by, &taken.statement).await?;
        let state = self.0.state.lock().await;
        if !state.given.contains_key(id) {
            return Err(check::no_grant(id, &self.0.configured));
        }
        self.change(state, EventKind::GrantRevoked, by, &taken)
            .await?;
        info!(grant = id, by = %by, "a right was taken back");
        Ok(())
    }

    /// Asks the owners for `request`, and returns its id.
    ///
    /// # Errors
    /// If `by` may not know of what is asked for, `WEFT-RESOURCES` if too many requests of theirs are
    /// open, `WEFT-NOT-AUDITED` if it cannot be written down.
    pub(crate) async fn request(
        &self,
        by: &Principal,
        request: &AccessRequest,
    ) -> Result<String, Error> {
        let asker = Asker::new(by, SystemTime::now().into());
        check::requestable(request, &asker, &self.policy())?;
        let id = Uuid::now_v7().to_string();
        let requested = Named {
            id: id.clone(),
            statement: Govern::Request(request.clone()).to_string(),
        };
        let state = self.0.state.lock().await;
        let open = state.requests.values();
        let open = open.filter(|it| it.by == by.subject && it.answer.is_none());
        if open.count() >= OPEN_REQUESTS {
            return Err(check::too_many_requests());
        }
        self.change(state, EventKind::Requested, by, &requested)
            .await?;
        Ok(id)
    }

    /// Gives what was asked for, or less, and returns the grant's id.
    ///
    /// # Errors
    /// `WEFT-NOT-GRANTED` unless `by` is an owner and somebody else asked, `WEFT-NOT-FOUND` if there
    /// is no such open request; as [`Rights::grant`].
    pub(crate) async fn approve(
        &self,
        by: &Principal,
        approval: &Approval,
    ) -> Result<String, Error> {
        let statement = Govern::Approve(approval.clone()).to_string();
        self.admit(by, &statement).await?;
        let state = self.0.state.lock().await;
        let request = check::open(&state, &approval.request)?;
        if request.by == by.subject {
            return Err(check::own_request());
        }
        let grant = approval.grant(&request.asked, Grantee::User(request.by.clone()))?;
        let approved = Approved {
            request: approval.request.clone(),
            given: self.given(&grant, statement)?,
        };
        let id = approved.given.id.clone();
        self.change(state, EventKind::Approved, by, &approved)
            .await?;
        info!(grant = id, by = %by, "a request was approved");
        Ok(id)
    }

    /// Gives nothing of what was asked for.
    ///
    /// # Errors
    /// As [`Rights::approve`], but owners may turn their own requests down.
    pub(crate) async fn reject(
        &self,
        by: &Principal,
        request: &str,
        reason: &str,
    ) -> Result<(), Error> {
        let (request, reason) = (request.to_owned(), reason.to_owned());
        let statement = Govern::Reject {
            request: request.clone(),
            reason: reason.clone(),
        };
        let statement = statement.to_string();
        self.admit(by, &statement).await?;
        let state = self.0.state.lock().await;
        check::open(&state, &request)?;
        let rejected = Rejected {
            request,
            statement,
            reason,
        };
        self.change(state, EventKind::Rejected, by, &rejected).await
    }

    /// What `of` may see of each column of `on`, for `purpose`.
    ///
    /// # Errors
    /// `WEFT-NOT-GRANTED` if `asker` asks for somebody else and is no owner, `WEFT-NOT-FOUND` if there is
    /// no such product or table that `asker` may know of.
    pub(crate) fn effective(
        &self,
        asker: &Principal,
        purpose: Option<&str>,
        on: &Object,
        of: &Principal,
    ) -> Result<Vec<ColumnAccess>, Error> {
        let owns = self.is_owner(asker);
        let policy = self.policy();
        if !owns && of.subject != asker.subject {
            return Err(check::not_an_owner(asker, policy.domain()));
        }
        let at = SystemTime::now().into();
        let of = Asker {
            principal: of,
            purpose,
            at,
        };
        let seen: BTreeMap<TableRef, SchemaRef> = match owns {
            true => BTreeMap::new(),
            false => {
                let visible = policy.visible_tables(&of);
                visible
                    .into_iter()
                    .map(|it| (it.table, it.schema))
                    .collect()
            }
        };
        let tables = check::named(on, &policy, |product, table| {
            owns || product.is_discoverable() || seen.contains_key(&table.reference)
        })?;
        let mut rows = Vec::new();
        for table in tables {
            // Which columns there are besides those that somebody sees is the owner's to say.
            let known = seen.get(&table.reference).or(owns.then_some(&table.schema));
            let fields = known.iter().flat_map(|schema| schema.fields().iter());
            let names: Vec<&str> = fields.map(|field| field.name().as_str()).collect();
            rows.extend(explain_each(&policy, &of, &table.reference, &names));
        }
        Ok(rows)
    }

    /// What this node signed for `query`, as far as `asker` may know: an owner of all, others of
    /// their own.
    ///
    /// # Errors
    /// `WEFT-NOT-AUDITED` if the log cannot be read.
    pub(crate) async fn receipts(
        &self,
        asker: &Principal,
        query: QueryId,
    ) -> Result<Vec<String>, Error> {
        let which = Which {
            query: Some(query),
            principal: (!self.is_owner(asker)).then(|| asker.subject.clone()),
        };
        let (mut receipts, mut place) = (Vec::new(), None);
        loop {
            let page = self.0.ledger.page(&which, place).await;
            let (records, next) = page.map_err(unread)?;
            let events = records.into_iter().map(|record| record.event);
            let ended = events.filter(|event| event.kind == EventKind::Finished);
            receipts.extend(
                ended.filter_map(|event| Some(event.details.get("receipt")?.as_str()?.to_owned())),
            );
            if next.is_none() {
                return Ok(receipts);
            }
            place = next;
        }
    }

    /// The event log of `node`, as far as `asker` may read it: an owner all of it, others what they did.
    pub(crate) fn event_log(&self, node: &ServerId, asker: &Principal) -> EventLog {
        let (ledger, node) = (self.0.ledger.clone(), node.clone());
        match self.is_owner(asker) {
            true => EventLog::whole(ledger, node),
            false => EventLog::of(ledger, node, &asker.subject),
        }
    }

    /// Writes down that `by` reads the event log with `query`.
    ///
    /// # Errors
    /// `WEFT-NOT-AUDITED` if it cannot be written down.
    pub(crate) async fn read_by(&self, by: &Principal, query: &ast::Query) -> Result<(), Error> {
        let details = excerpt(&query.to_string(), None);
        self.record(EventKind::Statement, Some(by), details).await
    }

    /// Has everybody who keeps answers of this node ask anew: a grant has begun or ended by itself.
    ///
    /// # Errors
    /// None that a policy in force can have.
    pub(crate) async fn turn(&self) -> Result<(), Error> {
        let state = self.0.state.lock().await;
        let newer = self.0.compiled(&state)?;
        self.0.policy.send_replace(Arc::new(newer));
        Ok(())
    }

    /// Writes down that `federation` is what the mesh demands from now on, and puts it in force. What it
    /// does not let be shown is no longer shown when this returns.
    ///
    /// # Errors
    /// `WEFT-NOT-AUDITED` if it cannot be written down; then nothing changes.
    pub(crate) async fn federate(
        &self,
        federation: Federation,
        details: serde_json::Value,
    ) -> Result<(), Error> {
        let mut state = self.0.state.lock().await;
        let version = federation.version().unwrap_or_default();
        let newer = match self.0.compiled_under(federation, &state) {
            Ok(newer) => newer,
            Err(error) => {
                error!(version, %error, "the policy cannot be applied, so nothing is served");
                self.0.closed(version)?
            }
        };
        let chain = self.signed(&state, EventKind::PolicyChanged, None, details);
        state.chain = chain.await?;
        self.0.policy.send_replace(Arc::new(newer));
        Ok(())
    }

    /// Lets grants hold as owners gave them: there is no federated policy.
    ///
    /// # Errors
    /// If a grant does not fit, which the start has ruled out.
    pub(crate) async fn free(&self) -> Result<(), Error> {
        let state = self.0.state.lock().await;
        let newer = self.0.compiled_under(Federation::Free, &state)?;
        self.0.policy.send_replace(Arc::new(newer));
        Ok(())
    }

    fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.0.policy.borrow())
    }

    /// `grant` under a new id, as it fits the tables.
    fn given(&self, grant: &NewGrant, statement: String) -> Result<Given, Error> {
        let id = Uuid::now_v7().to_string();
        let grants = check::expand(&id, grant, &self.policy())?;
        Ok(Given {
            id,
            statement,
            grants,
        })
    }

    /// Lets owners pass. Who is none and tries is written down.
    async fn admit(&self, by: &Principal, statement: &str) -> Result<(), Error> {
        if self.is_owner(by) {
            return Ok(());
        }
        let refusal = check::not_an_owner(by, self.policy().domain());
        let details = excerpt(statement, Some(&refusal));
        self.record(EventKind::Denied, Some(by), details).await?;
        Err(refusal)
    }

    /// Writes a change down and puts it in force.
    async fn change(
        &self,
        mut state: MutexGuard<'_, State>,
        kind: EventKind,
        by: &Principal,
        details: &impl Serialize,
    ) -> Result<(), Error> {
        let details =
            serde_json::to_value(details).map_err(|error| state::malformed(&error.to_string()))?;
        let mut changed = state.clone();
        changed.enter(kind, &by.subject, details.clone())?;
        let newer = match changed.given == state.given {
            true => None,
            false => Some(self.0.compiled(&changed)?),
        };
        changed.chain = self.signed(&state, kind, Some(by), details).await?;
        *state = changed;
        if let Some(newer) = newer {
            self.0.policy.send_replace(Arc::new(newer));
        }
        Ok(())
    }

    /// Writes down what changes `state`, under the node's signature.
    async fn signed(
        &self,
        state: &State,
        kind: EventKind,
        by: Option<&Principal>,
        details: serde_json::Value,
    ) -> Result<Chain, Error> {
        let event = event(kind, by, details);
        let (event, chain) = self.0.signer.sign(&state.chain, event)?;
        self.append(event).await?;
        Ok(chain)
    }

    async fn record(
        &self,
        kind: EventKind,
        by: Option<&Principal>,
        details: serde_json::Value,
    ) -> Result<(), Error> {
        self.append(event(kind, by, details)).await
    }

    async fn append(&self, event: Event) -> Result<(), Error> {
        let recorded = self.0.ledger.append(event).await;
        recorded.map(|_| ()).map_err(|error| {
            let message =
                "the statement could not be written to the event log, so it has no effect";
            Error::new(ErrorKind::Unavailable, code::NOT_AUDITED, message).caused_by(error)
        })
    }
}

fn event(kind: EventKind, by: Option<&Principal>, details: serde_json::Value) -> Event {
    Event {
        at: SystemTime::now(),
        kind,
        principal: by.map(|by| by.subject.clone()),
        query: None,
        fragment: None,
        details,
    }
}

/// What the log keeps of a statement that changes nothing: the beginning of a long one, and the digest of
/// all of it.
fn excerpt(statement: &str, refused: Option<&Error>) -> serde_json::Value {
    let end = statement.floor_char_boundary(LONGEST_STATEMENT);
    let shown = statement.get(..end).unwrap_or(statement);
    let digest = hex(&sha256(statement.as_bytes()));
    serde_json::json!({
        "statement": shown,
        "length": statement.len(),
        "digest": digest,
        "refused": refused.map(Error::code),
    })
}

fn unread(cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    let message = "the event log cannot be read";
    Error::new(ErrorKind::Unavailable, code::NOT_AUDITED, message).caused_by(cause)
}

impl Shared {
    /// The policy with what `state` gives beside what is configured.
    fn compiled(&self, state: &State) -> Result<Policy, Error> {
        let policy = Arc::clone(&self.policy.borrow());
        policy.with_grants(policy.epoch() + 1, self.all(state))
    }

    /// The same under another federation.
    fn compiled_under(&self, federation: Federation, state: &State) -> Result<Policy, Error> {
        let policy = Arc::clone(&self.policy.borrow());
        policy.under(federation, policy.epoch() + 1, self.all(state))
    }

    /// A policy under which nobody reads anything.
    fn closed(&self, version: u64) -> Result<Policy, Error> {
        let policy = Arc::clone(&self.policy.borrow());
        let federation = Federation::Unreadable { version };
        policy.under(federation, policy.epoch() + 1, Vec::new())
    }

    /// All grants as their owner gave them.
    fn all(&self, state: &State) -> Vec<Grant> {
        let grants = self.configured.iter().chain(state.given.values().flatten());
        grants.cloned().collect()
    }
}
