//! Asks a node what a principal may see there.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

use tonic::Request;
use weft_door::{ForeignKey, Remark};
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
    /// Of each visible column.
    pub remarks: Vec<Remark>,
    /// Within the product.
    pub foreign_keys: Vec<ForeignKey>,
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
    Ok(DescribedTable {
        table: ProductTable::new(reference, schema.into())
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
            remarks: remarks.into_iter().map(convert_remark).collect(),
            foreign_keys: foreign_keys.into_iter().map(convert_foreign_key).collect(),
        },
        masked: masked.into_iter().collect(),
        filtered,
    })
}

fn convert_remark(remark: rpc::Remark) -> Remark {
    let rpc::Remark {
        description,
        classification,
    } = remark;
    let said = |text: String| (!text.is_empty()).then_some(text);
    Remark {
        description: said(description),
        classification: said(classification),
    }
}

fn convert_foreign_key(key: rpc::ForeignKey) -> ForeignKey {
    let rpc::ForeignKey { columns, table, to } = key;
    ForeignKey { columns, table, to }
}

fn malformed(node: &NodeEntry, what: &str) -> Error {
    Error::new(
        ErrorKind::Internal,
        code::PROTOCOL,
        format!("the {what} is malformed"),
    )
    .at(node.domain.clone())
}
