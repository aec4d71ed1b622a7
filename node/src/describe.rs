//! Tells a coordinator what a principal may see here.

use std::sync::Arc;
use std::time::SystemTime;

use tonic::{Request, Response, Status};
use weft_door::schema::to_bytes;
use weft_governance::contract::{Referred, ReferredBy};
use weft_governance::{
    Asker, DomainId, Error, ErrorKind, GroupSize, Principal, ProductRef, ServerId, TableAccess,
    code,
};
use weft_plan::{TableStatistics, fingerprint};
use weft_wire::authority::TokenKeys;
use weft_wire::identity::peer_of;
use weft_wire::rpc::node::node_server::Node;
use weft_wire::rpc::node::{
    self as rpc, Access, DescribeRequest, DescribeResponse, ExplainRequest, ExplainResponse,
    VisibleTable,
};
use weft_wire::status::to_status;

use crate::census::Census;
use crate::enforce::{self, Gate};
use crate::product::{ForeignKey, Remark};

/// The node's service for coordinators, beside fragments.
pub(crate) struct DescribeService {
    keys: Arc<TokenKeys>,
    gate: Gate,
    census: Census,
}

impl DescribeService {
    /// A service that answers by the newest policy of `gate` and by what `census` knows so far.
    pub(crate) fn new(keys: Arc<TokenKeys>, gate: Gate, census: Census) -> Self {
        Self { keys, gate, census }
    }

    async fn principal<T>(&self, request: &Request<T>) -> Result<Principal, Error> {
        let peer = peer_of(request)
            .filter(|peer| matches!(peer.server, ServerId::Coordinator { .. }))
            .ok_or_else(|| unauthenticated("only a coordinator of the mesh may ask"))?;
        let token = request
            .metadata()
            .get("authorization")
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "))
            .ok_or_else(|| unauthenticated("no user token came with the request"))?;
        let user = self
            .keys
            .verify(token, Some(&peer.thumbprint), SystemTime::now())
            .await?;
        Ok(user.principal)
    }
}

#[tonic::async_trait]
impl Node for DescribeService {
    async fn describe(
        &self,
        request: Request<DescribeRequest>,
    ) -> Result<Response<DescribeResponse>, Status> {
        let principal = self
            .principal(&request)
            .await
            .map_err(|error| to_status(&error))?;
        let DescribeRequest { purpose } = request.into_inner();
        let asker = Asker {
            principal: &principal,
            purpose: purpose.as_deref(),
            at: SystemTime::now().into(),
        };
        self.gate.meet(&principal);
        let policy = self.gate.policy();
        // Read before what is known: it may then be more than the epoch says, never less.
        let epoch = policy.epoch() + self.census.revision();
        let tables = policy
            .visible_tables(&asker)
            .into_iter()
            .map(|visible| convert(self.census.of(&visible), visible))
            .collect();
        Ok(Response::new(DescribeResponse { epoch, tables }))
    }

    async fn explain(
        &self,
        request: Request<ExplainRequest>,
    ) -> Result<Response<ExplainResponse>, Status> {
        let principal = self
            .principal(&request)
            .await
            .map_err(|error| to_status(&error))?;
        let ExplainRequest { purpose, accesses } = request.into_inner();
        let asker = Asker {
            principal: &principal,
            purpose: purpose.as_deref(),
            at: SystemTime::now().into(),
        };
        let policy = self.gate.policy();
        let mut columns = Vec::new();
        for access in accesses {
            let access = convert_access(policy.domain(), access);
            let access = access.map_err(|error| to_status(&error))?;
            columns.extend(enforce::explain(&policy, &asker, &access));
        }
        Ok(Response::new(ExplainResponse { columns }))
    }
}

fn convert_access(domain: &DomainId, access: Access) -> Result<TableAccess, Error> {
    let Access {
        product,
        table,
        columns,
    } = access;
    let table = ProductRef::new(domain.clone(), &product).and_then(|it| it.table(&table));
    let table = table
        .map_err(|error| Error::new(ErrorKind::InvalidInput, code::PROTOCOL, error.to_string()))?;
    Ok(TableAccess {
        table,
        columns: columns.into_iter().collect(),
    })
}

fn convert(known: Option<TableStatistics>, visible: enforce::VisibleTable) -> VisibleTable {
    let enforce::VisibleTable {
        table,
        description,
        schema,
        key,
        masked,
        filtered,
        foreign_keys,
        remarks,
        id,
        disclosure,
        flow_to,
        grants,
        min_group_size,
        federated: _,
        rows: _,
        columns: _,
    } = visible;
    VisibleTable {
        product: table.product().product().to_owned(),
        table: table.table().to_owned(),
        description,
        schema: to_bytes(&schema),
        schema_fingerprint: fingerprint(&schema).to_vec(),
        masked: masked.into_iter().collect(),
        filtered,
        key,
        grants,
        key_disclosure: disclosure
            .into_iter()
            .map(|disclosure| rpc::KeyDisclosure::from(disclosure).into())
            .collect(),
        flow_to: Some(flow_to.into()),
        min_group_size: min_group_size.map(GroupSize::get),
        statistics: known.map(|known| known.to_message()),
        remarks: remarks.into_iter().map(convert_remark).collect(),
        foreign_keys: foreign_keys.into_iter().map(convert_key).collect(),
        id: id.unwrap_or_default(),
    }
}

fn convert_remark(remark: Remark) -> rpc::Remark {
    let Remark {
        description,
        classification,
        id,
    } = remark;
    rpc::Remark {
        description: description.unwrap_or_default(),
        classification: classification.unwrap_or_default(),
        id: id.unwrap_or_default(),
    }
}

fn convert_key(key: ForeignKey) -> rpc::ForeignKey {
    let ForeignKey {
        columns,
        product,
        to,
    } = key;
    let Referred {
        by,
        table,
        columns: to,
    } = to;
    rpc::ForeignKey {
        columns,
        table,
        to,
        domain: product.domain().to_string(),
        product: product.product().to_owned(),
        by_id: by == ReferredBy::Id,
    }
}

fn unauthenticated(message: &'static str) -> Error {
    Error::new(ErrorKind::Unauthenticated, code::UNAUTHENTICATED, message)
}
