//! What leaves under a permit, and what is written down about it at the end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use arrow::record_batch::RecordBatch;
use serde_json::{Value, json};
use weft_door::encode::logical_size;
use weft_governance::{Asker, Error, FragmentId, Limits, TableRef};
use weft_ledger::{Event, EventKind, Ledger};
use weft_wire::identity::Identity;
use weft_wire::receipt::{ReadTable, Receipt, Sent};

use super::budget::Budgets;
use super::permit::Binding;
use super::policy::Policy;
use crate::fragment::{Fragment, Via};

/// Counts what is about to leave, against the limits of the grants that it leaves under. Cheap to
/// clone.
#[derive(Debug, Clone)]
pub(crate) struct Meter(Arc<Metered>);

#[derive(Debug)]
struct Metered {
    budgets: Budgets,
    /// Grants with limits.
    limits: BTreeMap<String, Limits>,
    /// Whether bytes are counted too: a fragment's are those of its encoder.
    weighs: bool,
    rows: AtomicU64,
    bytes: AtomicU64,
}

impl Meter {
    pub(super) fn new(budgets: Budgets, via: &Via, bindings: &BTreeMap<TableRef, Binding>) -> Self {
        let duties = bindings.values().map(|binding| &binding.obligations);
        let limited = duties.filter(|duties| !duties.limits.is_unlimited());
        let limits: BTreeMap<_, _> = limited
            .map(|duties| (duties.grant.clone(), duties.limits))
            .collect();
        Self(Arc::new(Metered {
            budgets,
            weighs: !limits.is_empty() || via.is_read_directly(),
            limits,
            rows: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }))
    }

    /// # Errors
    /// `WEFT-LIMIT` if nothing may leave any more.
    pub(super) async fn check(&self) -> Result<(), Error> {
        for (grant, limits) in &self.0.limits {
            self.0.budgets.check(grant, *limits).await?;
        }
        Ok(())
    }

    /// Lets `batch` pass.
    ///
    /// # Errors
    /// `WEFT-LIMIT` if it would be too much, `WEFT-NOT-AUDITED` if it cannot be counted.
    pub(crate) async fn pass(&self, batch: RecordBatch) -> Result<RecordBatch, Error> {
        let rows = batch.num_rows() as u64;
        let columns = batch.columns().iter().filter(|_| self.0.weighs);
        let bytes = columns.map(|column| logical_size(column) as u64).sum();
        for (grant, limits) in &self.0.limits {
            let charged = self.0.budgets.charge(grant, *limits, rows, bytes);
            charged.await?;
        }
        self.0.rows.fetch_add(rows, Ordering::Relaxed);
        self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(batch)
    }

    fn rows(&self) -> u64 {
        self.0.rows.load(Ordering::Relaxed)
    }

    fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }
}

/// The story of one permit. It ends once: what is dropped before was given up by its reader.
#[derive(Debug)]
pub(crate) struct Account {
    meter: Meter,
    ledger: Ledger,
    node: Identity,
    id: FragmentId,
    /// All but what was sent.
    receipt: Receipt,
    ended: bool,
}

impl Account {
    pub(super) fn new(
        meter: Meter,
        (ledger, node): (Ledger, Identity),
        asker: &Asker<'_>,
        fragment: &Fragment,
        bindings: &BTreeMap<TableRef, Binding>,
        policy: &Policy,
    ) -> Self {
        let id = fragment.id();
        let receipt = Receipt {
            node: node.id().to_string(),
            query: id.query.to_string(),
            fragment: id.ordinal,
            principal: asker.principal.subject.clone(),
            purpose: asker.purpose.map(str::to_owned),
            request: fragment.digest_hex(),
            tables: bindings
                .iter()
                .map(|(table, binding)| read(table, binding, policy))
                .collect(),
            epoch: policy.epoch(),
            policy: policy.federated_version(),
            complete: false,
            rows: 0,
            bytes: 0,
            digest: String::new(),
            at: asker.at,
        };
        Self {
            meter,
            ledger,
            node,
            id,
            receipt,
            ended: false,
        }
    }

    /// What counts the rows of this account.
    pub(crate) fn meter(&self) -> &Meter {
        &self.meter
    }

    /// `sent` has left: all rows, if it is `complete`. Returns the receipt for it.
    ///
    /// # Errors
    /// If the node's key cannot be used.
    pub(crate) fn finished(mut self, complete: bool, sent: Sent) -> Result<String, Error> {
        let Sent {
            rows,
            bytes,
            digest,
        } = sent;
        let receipt = Receipt {
            complete,
            rows,
            bytes,
            digest,
            at: SystemTime::now().into(),
            ..self.receipt.clone()
        };
        let signed = receipt.sign(&self.node)?;
        let details = json!({
            "complete": complete,
            "rows": receipt.rows,
            "bytes": receipt.bytes,
            "digest": receipt.digest,
            "receipt": signed,
        });
        self.end(EventKind::Finished, details);
        Ok(signed)
    }

    /// All rows have left to somebody who is not given a receipt, on a connection of their own. Returns it
    /// for others.
    pub(crate) fn read_directly(self) -> Option<String> {
        let sent = Sent {
            rows: self.meter.rows(),
            bytes: self.meter.bytes(),
            digest: String::new(),
        };
        self.finished(true, sent)
            .inspect_err(|error| tracing::error!(%error, "a receipt could not be signed"))
            .ok()
    }

    /// `error` was the end of it.
    pub(crate) fn failed(mut self, error: &Error) {
        let details = json!({"rows": self.meter.rows(), "error": error.code()});
        self.end(EventKind::Failed, details);
    }

    fn end(&mut self, kind: EventKind, details: Value) {
        self.ended = true;
        self.ledger.append_later(Event {
            at: SystemTime::now(),
            kind,
            principal: Some(self.receipt.principal.clone()),
            query: Some(self.id.query),
            fragment: Some(self.id.ordinal),
            details,
        });
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if !self.ended {
            let details = json!({"rows": self.meter.rows()});
            self.end(EventKind::Cancelled, details);
        }
    }
}

fn read(table: &TableRef, binding: &Binding, policy: &Policy) -> ReadTable {
    let products = policy.products().iter();
    let version = products
        .filter(|product| product.reference == *table.product())
        .map(|product| product.version.clone())
        .next();
    let duties = &binding.obligations;
    ReadTable {
        table: table.clone(),
        version: version.unwrap_or_default(),
        grant: duties.grant.clone(),
        columns: binding.columns.clone(),
        filtered: duties.row_filter.is_some(),
        masked: duties.masks.keys().cloned().collect(),
    }
}
