//! The one choke point between an asker and a product's rows.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use datafusion::logical_expr::LogicalPlan;
use serde_json::{Value, json};
use tokio::sync::watch;
use weft_governance::{
    Asker, Decision, Denial, Error, ErrorKind, GroupSize, Principal, ServerId, TableAccess,
    TableRef, code,
};
use weft_ledger::{Event, EventKind, Ledger};
use weft_wire::identity::Identity;

use super::account::{Account, Meter};
use super::budget::Budgets;
use super::grouped::{self, Ungrouped};
use super::permit::{Audit, Binding, Permit, not_audited};
use super::policy::Policy;
use super::standing::Standing;
use crate::fragment::Fragment;

/// Principals that are remembered.
const REMEMBERED: usize = 10_000;

/// Decides by the newest policy and writes each decision down before it takes effect.
#[derive(Debug, Clone)]
pub struct Gate {
    policy: watch::Receiver<Arc<Policy>>,
    ledger: Ledger,
    budgets: Budgets,
    node: Identity,
    met: Arc<Mutex<BTreeMap<String, Principal>>>,
}

impl Gate {
    /// The gate of `node` over the newest of `policy`, auditing to `ledger`.
    ///
    /// # Errors
    /// `WEFT-NOT-AUDITED` if the log cannot be read.
    pub(crate) fn new(
        policy: watch::Receiver<Arc<Policy>>,
        ledger: Ledger,
        node: Identity,
    ) -> Result<Self, Error> {
        let budgets = Budgets::load(ledger.clone())?;
        Ok(Self {
            policy,
            ledger,
            budgets,
            node,
            met: Arc::default(),
        })
    }

    /// Remembers who `principal` is, for those who ask what they may see.
    pub(crate) fn meet(&self, principal: &Principal) {
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        if met.get(&principal.subject) == Some(principal) {
            return;
        }
        if met.len() >= REMEMBERED {
            met.pop_first();
        }
        met.insert(principal.subject.clone(), principal.clone());
    }

    /// The principal `subject` as it was when it came here last; somebody without groups if it never did.
    pub(crate) fn met(&self, subject: &str) -> Principal {
        let met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        let stranger = || Principal {
            issuer: String::new(),
            subject: subject.to_owned(),
            groups: Default::default(),
            attributes: Default::default(),
        };
        met.get(subject).cloned().unwrap_or_else(stranger)
    }

    /// Who decides.
    pub(crate) fn node(&self) -> &ServerId {
        self.node.id()
    }

    /// The policy as it changes.
    pub(crate) fn policies(&self) -> watch::Receiver<Arc<Policy>> {
        self.policy.clone()
    }

    /// The policy that the next admission is decided by.
    pub fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.policy.borrow())
    }

    /// Evaluates `fragment` for `asker` and returns the permit to run it. The admission is on its
    /// way into the event log; a denial is durable when this returns.
    ///
    /// # Errors
    /// `WEFT-NOT-GRANTED` or `WEFT-NOT-FOUND` if a table may not be read, `WEFT-SCHEMA-DRIFT` if
    /// the asker saw another schema, `WEFT-LIMIT` if nothing may be read today any more,
    /// `WEFT-NOT-AUDITED` if the log refuses a denial.
    pub async fn admit(&self, asker: &Asker<'_>, fragment: Fragment) -> Result<Permit, Error> {
        self.meet(asker.principal);
        let policy = self.policy();
        let (bindings, plan, meter) = match self.decide(&policy, asker, &fragment).await {
            Ok(decided) => decided,
            Err(refusal) => {
                let details = details(asker, &fragment, &BTreeMap::new(), Some(&refusal), &policy);
                self.record(EventKind::Denied, asker, &fragment, details)
                    .await?;
                return Err(refusal);
            }
        };
        let fragment = match plan {
            Some(plan) => fragment.with_plan(plan),
            None => fragment,
        };
        let details = details(asker, &fragment, &bindings, None, &policy);
        let written = self.record(EventKind::Admitted, asker, &fragment, details);
        let audit = Audit::new(tokio::spawn(written));
        let duties = fragment.accesses().iter().filter_map(|access| {
            let binding = bindings.get(&access.table)?;
            Some((access.clone(), binding.obligations.clone()))
        });
        let standing = Standing::new(self.policy.clone(), asker, duties.collect());
        let held = (self.ledger.clone(), self.node.clone());
        let account = Account::new(meter, held, asker, &fragment, &bindings, &policy);
        let (epoch, held) = (policy.epoch(), (standing, account));
        Ok(Permit::new(fragment, bindings, epoch, audit, held))
    }

    /// What `fragment` may read, as what plan if not its own, and what counts it.
    async fn decide(
        &self,
        policy: &Policy,
        asker: &Asker<'_>,
        fragment: &Fragment,
    ) -> Result<(Bindings, Option<LogicalPlan>, Meter), Error> {
        let bindings = bind_all(policy, asker, fragment)?;
        let mut duties = bindings.values().map(|binding| &binding.obligations);
        let plan = match duties.any(|duties| duties.min_group_size.is_some()) {
            true => {
                let plan = grouped::withhold(fragment.plan(), &bindings);
                Some(plan.map_err(|why| ungrouped(why, &bindings, asker))?)
            }
            false => None,
        };
        let meter = Meter::new(self.budgets.clone(), fragment.via(), &bindings);
        meter.check().await?;
        Ok((bindings, plan, meter))
    }

    /// Writes a decision down; durable when the future ends.
    fn record(
        &self,
        kind: EventKind,
        asker: &Asker<'_>,
        fragment: &Fragment,
        details: Value,
    ) -> impl Future<Output = Result<(), Error>> + Send + 'static {
        let event = Event {
            at: SystemTime::now(),
            kind,
            principal: Some(asker.principal.subject.clone()),
            query: Some(fragment.id().query),
            fragment: Some(fragment.id().ordinal),
            details,
        };
        let ledger = self.ledger.clone();
        async move {
            let recorded = ledger.append(event).await;
            recorded.map(|_| ()).map_err(not_audited)
        }
    }
}

type Bindings = BTreeMap<TableRef, Binding>;

fn bind_all(policy: &Policy, asker: &Asker<'_>, fragment: &Fragment) -> Result<Bindings, Error> {
    fragment
        .accesses()
        .iter()
        .map(|access| bind(policy, asker, access).map(|binding| (access.table.clone(), binding)))
        .collect()
}

fn bind(policy: &Policy, asker: &Asker<'_>, access: &TableAccess) -> Result<Binding, Error> {
    match policy.decide_rows_or_groups(asker, access) {
        Decision::Allow(obligations) => {
            let guarded = policy
                .guarded(&access.table)
                .ok_or_else(|| not_found(access))?;
            if let Some(gone) = access
                .columns
                .iter()
                .find(|column| guarded.table.schema.field_with_name(column).is_err())
            {
                return Err(Error::new(
                    ErrorKind::SchemaDrift,
                    code::SCHEMA_DRIFT,
                    format!("`{}` has no column `{gone}` now", access.table),
                ));
            }
            let guarded = Arc::clone(guarded);
            let row_filter = match &obligations.row_filter {
                Some(_) => Some(guarded.row_filter(&obligations.grant, asker.principal)?),
                None => None,
            };
            Ok(Binding {
                guarded,
                obligations,
                row_filter,
                columns: access.columns.clone(),
            })
        }
        Decision::Deny(denial) => Err(refusal(policy, asker, access, denial)),
    }
}

/// A table that may not be known to exist is refused exactly like one that does not exist.
pub(super) fn refusal(
    policy: &Policy,
    asker: &Asker<'_>,
    access: &TableAccess,
    denial: Denial,
) -> Error {
    let discoverable = policy.products().iter().any(|product| {
        product.is_discoverable()
            && product
                .tables
                .iter()
                .any(|table| table.reference == access.table)
    });
    let (table, who) = (&access.table, asker.principal);
    match denial {
        Denial::NotGranted if !discoverable => not_found(access),
        Denial::NotGranted => Error::new(
            ErrorKind::PermissionDenied,
            code::NOT_GRANTED,
            format!("`{table}` is not granted to `{who}`"),
        )
        .with_hint(format!(
            "Ask its owner: REQUEST ACCESS TO {} FOR PURPOSE '…' UNTIL 'YYYY-MM-DD' BECAUSE '…'.",
            table.product()
        )),
        Denial::ColumnsNotGranted(_) => Error::new(
            ErrorKind::PermissionDenied,
            code::NOT_GRANTED,
            format!("columns of `{table}` that the query reads are not granted to `{who}`"),
        )
        .with_hint(format!(
            "`DESCRIBE {table}` lists the columns that you may read."
        )),
        Denial::NoSingleGrant => Error::new(
            ErrorKind::PermissionDenied,
            code::NOT_GRANTED,
            format!("no single grant to `{who}` covers the columns of `{table}` together"),
        )
        .with_hint(
            "Read the columns in separate queries, or ask the owner for one grant over all.",
        ),
        Denial::AggregateOnly => Error::new(
            ErrorKind::PermissionDenied,
            code::NOT_GRANTED,
            format!("`{table}` is granted to `{who}` for aggregates over groups alone"),
        )
        .with_hint(format!(
            "Ask for rows: REQUEST ACCESS TO {table} FOR PURPOSE '…' UNTIL 'YYYY-MM-DD' BECAUSE '…'."
        )),
        Denial::Purpose => Error::new(
            ErrorKind::PermissionDenied,
            code::NOT_GRANTED,
            match asker.purpose {
                Some(purpose) => format!("`{table}` is not granted to `{who}` for `{purpose}`"),
                None => format!("`{table}` is granted to `{who}` for certain purposes alone"),
            },
        )
        .with_hint(
            "SHOW GRANTS at the owner's node lists the purposes; `SET weft.purpose = '…'` names yours.",
        ),
        Denial::NotYet => Error::new(
            ErrorKind::PermissionDenied,
            code::NOT_GRANTED,
            format!("the grant of `{table}` to `{who}` has not begun"),
        )
        .with_hint("SHOW GRANTS at the owner's node tells when it does."),
        Denial::Expired => Error::new(
            ErrorKind::PermissionDenied,
            code::NOT_GRANTED,
            format!("the grant of `{table}` to `{who}` has ended"),
        )
        .with_hint("Ask the owner to grant it anew."),
    }
}

/// The refusal of a query that would show single rows of a table of which groups may be shown.
fn ungrouped(why: Ungrouped, bindings: &Bindings, asker: &Asker<'_>) -> Error {
    let (table, reason) = match why {
        Ungrouped::Rows(table, reason) => (table, reason),
        Ungrouped::Plan(error) => {
            return Error::new(
                ErrorKind::Unsupported,
                code::UNSUPPORTED,
                "this query cannot be answered over groups of rows",
            )
            .caused_by(error);
        }
        Ungrouped::Misfit(error) => return error,
    };
    let size = bindings
        .get(&table)
        .and_then(|it| it.obligations.min_group_size);
    let least = size.map_or(0, GroupSize::get);
    let who = asker.principal;
    Error::new(
        ErrorKind::PermissionDenied,
        code::NOT_GRANTED,
        format!(
            "`{table}` is granted to `{who}` for aggregates over groups of {least} rows or more, and {reason}"
        ),
    )
    .with_hint(format!(
        "Group its rows before anything else is done with them: SELECT column, count(*), avg(number) FROM \
         {table} WHERE … GROUP BY column. For rows: REQUEST ACCESS TO {table} FOR PURPOSE '…' UNTIL \
         'YYYY-MM-DD' BECAUSE '…'."
    ))
}

fn not_found(access: &TableAccess) -> Error {
    Error::new(
        ErrorKind::NotFound,
        code::NOT_FOUND,
        format!("there is no table `{}`", access.table),
    )
}

fn details(
    asker: &Asker<'_>,
    fragment: &Fragment,
    bindings: &Bindings,
    refusal: Option<&Error>,
    policy: &Policy,
) -> Value {
    let tables: Vec<Value> = fragment
        .accesses()
        .iter()
        .map(|access| {
            let duties = bindings
                .get(&access.table)
                .map(|binding| &binding.obligations);
            json!({
                "table": access.table.to_string(),
                "columns": access.columns,
                "grant": duties.map(|duties| duties.grant.as_str()),
                "row_filter": duties.is_some_and(|duties| duties.row_filter.is_some()),
                "min_group_size": duties.and_then(|duties| duties.min_group_size),
                "masked": duties.map(|duties| duties.masks.keys().collect::<Vec<_>>()),
            })
        })
        .collect();
    let keys: Vec<Value> = fragment
        .keys()
        .iter()
        .map(|keys| json!({"columns": keys.columns, "form": keys.form, "keys": keys.keys}))
        .collect();
    let shipments: Vec<Value> = fragment
        .shipments()
        .iter()
        .map(|rows| json!({"columns": rows.columns, "rows": rows.rows}))
        .collect();
    json!({
        "via": fragment.via().to_string(),
        "digest": fragment.digest_hex(),
        "epoch": policy.epoch(),
        "policy": policy.federated_version(),
        "purpose": asker.purpose,
        "tables": tables,
        "keys": keys,
        "shipped": shipments,
        "refused": refusal.map(Error::code),
    })
}
