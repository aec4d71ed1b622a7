//! Asks a node what a principal may see there.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

use tonic::Request;
use weft_governance::contract::{Referred, ReferredBy, Remark};
use weft_governance::{Error, ErrorKind, ProductRef, code};
use weft_plan::{ProductTable, TableStatistics, fingerprint};
use weft_wire::convert;
use weft_wire::rpc::node::node_client::NodeClient;
use weft_wire::rpc::node::{self as rpc, DescribeRequest, DescribeResponse, VisibleTable};
use weft_wire::status::from_status;

use crate::channels::Channels;
use crate::registry::NodeEntry;
use crate::session::Session;

/// A node's answer for one principal at one epoch.
#[derive(Debug)]
pub struct Described {
    /// The node's epoch when it answered.
    pub epoch: u64,
    /// What the principal may see.
    pub tables: Vec<DescribedTable>,
}

/// A table as one principal may see it.
#[derive(Debug, Clone)]
pub struct DescribedTable {
    /// The table with its visible columns.
    pub table: ProductTable,
    /// For people.
    pub description: String,
    /// What people are told of its columns and of how it refers to others.
    pub notes: Notes,
    /// Columns that are seen through a mask.
    pub masked: BTreeSet<String>,
    /// Whether rows may be hidden.
    pub filtered: bool,
}

/// What the owner tells of a table that decides nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    /// By what other contracts may refer to the table, beside its name.
    pub id: Option<String>,
    /// Of each visible column.
    pub remarks: Vec<Remark>,
    /// What columns that are seen as they are refer to.
    pub references: Vec<Reference>,
}

/// Columns that refer to those of a table of the same domain or another. Of the same domain, the
/// principal sees those, too, as they are; another's node says what may be seen there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The columns that refer.
    pub columns: Vec<String>,
    /// The product of the table that is referred to.
    pub product: ProductRef,
    /// The table and its columns.
    pub to: Referred,
}

/// Asks `node` on behalf of `session`.
pub(super) async fn ask(
    channels: &Channels,
    session: &Session,
    node: &NodeEntry,
) -> Result<Described, Error> {
    let question = DescribeRequest {
        purpose: session.purpose(),
    };
    let request = on_behalf(session, node, question).await?;
    let channel = channels.control(node).await?;
    let answer = NodeClient::new(channel)
        .max_decoding_message_size(64 << 20)
        .describe(request)
        .await
        .map_err(|status| from_status(&status))?;
    let DescribeResponse { epoch, tables } = answer.into_inner();
    let tables = tables
        .into_iter()
        .map(|table| convert(node, table))
        .collect::<Result<_, _>>()?;
    Ok(Described { epoch, tables })
}

/// `question` to `node`, asked for `session`.
pub(super) async fn on_behalf<T>(
    session: &Session,
    node: &NodeEntry,
    question: T,
) -> Result<Request<T>, Error> {
    let token = session.token_for(&node.id, SystemTime::now()).await?;
    let bearer = format!("Bearer {token}")
        .parse()
        .map_err(|_| malformed(node, "token"))?;
    let mut request = Request::new(question);
    request.metadata_mut().insert("authorization", bearer);
    Ok(request)
}

fn convert(node: &NodeEntry, visible: VisibleTable) -> Result<DescribedTable, Error> {
    let VisibleTable {
        product,
        table,
        description,
        schema,
        schema_fingerprint,
        masked,
        filtered,
        key,
        key_disclosure,
        grants,
        flow_to,
        min_group_size,
        statistics,
        remarks,
        foreign_keys,
        id,
    } = visible;
    let reference = ProductRef::new(node.domain.clone(), &product)
        .and_then(|product| product.table(&table))
        .map_err(|_| malformed(node, "name of a table"))?;
    let schema = weft_door::schema::from_bytes(&schema)?;
    if fingerprint(&schema).as_slice() != schema_fingerprint {
        return Err(malformed(node, "schema of a table"));
    }
    let statistics =
        statistics.and_then(|statistics| TableStatistics::from_message(statistics, &schema));
    let remarks: Vec<Remark> = remarks.into_iter().map(convert_remark).collect();
    Ok(DescribedTable {
        table: ProductTable::new(reference, schema.into())
            .with_remarks(remarks.as_slice())
            .with_key(key)
            .with_grants(grants)
            .with_disclosure(
                key_disclosure
                    .into_iter()
                    .map(convert::key_disclosure)
                    .collect(),
            )
            .with_flow(flow_to.map(convert::flow_to).unwrap_or_default())
            .with_statistics(statistics.map(Arc::new))
            .with_groups(min_group_size),
        description,
        notes: Notes {
            id: said(id),
            remarks,
            references: foreign_keys.into_iter().filter_map(convert_key).collect(),
        },
        masked: masked.into_iter().collect(),
        filtered,
    })
}

fn convert_remark(remark: rpc::Remark) -> Remark {
    let rpc::Remark {
        description,
        classification,
        id,
    } = remark;
    Remark {
        description: said(description),
        classification: said(classification),
        id: said(id),
    }
}

fn said(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// Nothing for a name that nothing has.
fn convert_key(key: rpc::ForeignKey) -> Option<Reference> {
    let rpc::ForeignKey {
        columns,
        table,
        to,
        domain,
        product,
        by_id,
    } = key;
    Some(Reference {
        columns,
        product: ProductRef::new(domain.parse().ok()?, &product).ok()?,
        to: Referred {
            by: match by_id {
                true => ReferredBy::Id,
                false => ReferredBy::Name,
            },
            table,
            columns: to,
        },
    })
}

fn malformed(node: &NodeEntry, what: &str) -> Error {
    Error::new(
        ErrorKind::Internal,
        code::PROTOCOL,
        format!("the {what} is malformed"),
    )
    .at(node.domain.clone())
}
