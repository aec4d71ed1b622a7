//! What a federated policy would change of the grants on a domain, before it is published.
//!
//! Reads what a node reads at its start, and nothing else: contracts, data as far as its types need, the
//! grants of the settings, and the event log for grants of owners and for the policy in force. Nothing is
//! written, and no server and no secret is needed; the node may be running.

use weft_governance::federated::{Change, Narrowing, changes};
use weft_governance::{
    Error, ErrorKind, FederatedPolicy, Grant, Grantee, TableRef, Timestamp, code,
};

use std::sync::Arc;

use crate::enforce::{Federation, InForce, labelled};
use crate::federated::Kept;
use crate::product::{self, Problem};
use crate::rights;
use crate::settings::Settings;

/// What would change at one domain.
#[derive(Debug)]
pub struct Simulation {
    /// The version of the policy that is in force there.
    pub in_force: Option<u64>,
    /// Grants, one for each table, that were looked at.
    pub grants: usize,
    /// In the order of tables and grants.
    pub differences: Vec<Difference>,
    /// Products that the node would not serve. Grants on them were not looked at.
    pub problems: Vec<Problem>,
}

/// One change of one grant on one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The table.
    pub table: TableRef,
    /// The id of the grant.
    pub grant: String,
    /// Who holds it.
    pub grantee: Grantee,
    /// What changes.
    pub change: Change,
    /// The rules that make the difference, by name: of the new policy where it takes more away, of the
    /// one in force where it takes less.
    pub rules: Vec<String>,
}

/// What `policy` would change where `settings` are those of the node, if it came into force at `now`.
///
/// # Errors
/// `WEFT-SETTINGS` if a grant of the settings does not fit, `WEFT-NOT-AUDITED` if the event log cannot
/// be read.
pub async fn simulate(
    settings: &Settings,
    policy: &FederatedPolicy,
    now: Timestamp,
) -> Result<Simulation, Error> {
    let loaded = product::load(&settings.domain, &settings.data).await;
    let log = settings.state.join("events.db");
    let (kept, given) = match log.exists() {
        true => (Kept::newest_in(&log)?, rights::given_in(&log)?),
        false => (None, Vec::new()),
    };
    let configured = rights::grants(&settings.grants, &loaded.products);
    let mut grants = configured.map_err(|problems| {
        let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Error::new(ErrorKind::InvalidInput, code::SETTINGS, texts.join("; "))
    })?;
    grants.extend(given);
    let before = kept.as_ref().map_or(Federation::Free, Kept::federation);
    let after = Federation::InForce(Arc::new(InForce {
        policy: policy.clone(),
        since: kept.as_ref().map_or(now, |kept| kept.since),
    }));
    let mut simulation = Simulation {
        in_force: before.version(),
        grants: 0,
        differences: Vec::new(),
        problems: loaded.problems,
    };
    for product in &loaded.products {
        for table in &product.tables {
            let labelled = labelled(product, table);
            for grant in grants.iter().filter(|it| it.table == table.reference) {
                // A policy that cannot be followed leaves nothing; what an owner gave is compared then.
                let narrowing = |federation: &Federation| {
                    let found = federation.narrowing(grant, &labelled);
                    found.unwrap_or_default()
                };
                simulation.grants += 1;
                simulation.compare(grant, &narrowing(&before), &narrowing(&after));
            }
        }
    }
    Ok(simulation)
}

impl Simulation {
    fn compare(&mut self, grant: &Grant, before: &Narrowing, after: &Narrowing) {
        for change in changes(&before.of(grant), &after.of(grant)) {
            let rules = match rules(after, &change) {
                none if none.is_empty() => rules(before, &change),
                some => some,
            };
            self.differences.push(Difference {
                table: grant.table.clone(),
                grant: grant.id.clone(),
                grantee: grant.grantee.clone(),
                change,
                rules,
            });
        }
    }
}

/// The rules of `narrowing` behind `change`.
fn rules(narrowing: &Narrowing, change: &Change) -> Vec<String> {
    match change {
        Change::Mask { column, .. } => {
            let masked = narrowing.masks.get(column);
            masked.map(|(_, rules)| rules.clone()).unwrap_or_default()
        }
        Change::End { .. } => narrowing.until.iter().map(|it| it.rule.clone()).collect(),
        Change::Purpose { .. } => narrowing.purpose.clone(),
    }
}
