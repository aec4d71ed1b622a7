//! A coordinator that has been taken over: it holds a coordinator's certificate and what people who
//! trust it gave it, and says what it likes.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::utils::flight_data_to_batches;
use arrow_flight::{FlightData, FlightDescriptor};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion_proto::logical_plan::AsLogicalPlan;
use datafusion_proto::protobuf::LogicalPlanNode;
use futures::StreamExt;
use prost::Message;
use tokio::time::timeout;
use tonic::Request;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use weft_governance::{DomainId, Error, ProductRef, QueryId, ServerId};
use weft_plan::{LeafCodec, ProductTable, fingerprint};
use weft_wire::authority::{Authority, Lease};
use weft_wire::identity::{Identity, tls_name};
use weft_wire::protocol::{DELEGATION_HEADER, FRAGMENT_COMMAND, FRAGMENT_ENCODING};
use weft_wire::rpc::fragment::reservations_client::ReservationsClient;
use weft_wire::rpc::fragment::{
    Fetch, FragmentControl, FragmentRequest, KeyFilter, KeyFilters, Semantics, TableExpectation,
    WatchRequest, WithdrawRequest,
};
use weft_wire::rpc::node::node_client::NodeClient;
use weft_wire::rpc::node::{DescribeRequest, VisibleTable};
use weft_wire::status::from_status;
use weft_wire::token::{Delegation, sha256};

use crate::client::Failure;
use crate::compare::Rows;
use crate::mesh::{Mesh, node_id};

/// Who sends fragments to one node, as whom, and with whose token.
#[derive(Clone)]
pub struct HostileCoordinator {
    /// The certificate that it shows.
    pub identity: Identity,
    /// The certificate whose key it signs with.
    pub signer: Identity,
    /// The user token that it brings.
    pub token: String,
    /// What it says that its fragments are for.
    pub purpose: Option<String>,
    /// When its delegations say that they were signed.
    pub signed_at: SystemTime,
    /// The node that its delegations are for.
    pub audience: ServerId,
    domain: DomainId,
    node: ServerId,
    url: String,
    ca: String,
}

impl HostileCoordinator {
    /// The coordinator `main` before the node of `domain`, with a lease of `user`, who trusted it.
    pub async fn of(mesh: &Mesh, user: &str, domain: &str) -> Self {
        let identity = mesh.identity(&ServerId::coordinator("main").expect("name"));
        let lease = Self::lease(mesh, &identity, user).await;
        let node = node_id(domain);
        let token = Self::exchanged(mesh, &identity, &lease, &node).await;
        Self {
            signer: identity.clone(),
            identity,
            token: token.expect("exchanged"),
            purpose: None,
            signed_at: SystemTime::now(),
            audience: node.clone(),
            domain: domain.parse().expect("domain"),
            url: format!("https://{}", mesh.node(domain).address()),
            ca: mesh.authority.ca_pem().to_owned(),
            node,
        }
    }

    /// The lease that the holder of `identity` gets of `user`, whose password it was shown.
    pub async fn lease(mesh: &Mesh, identity: &Identity, user: &str) -> Lease {
        let authority = Authority::connect(&mesh.authority.url(), identity).expect("url");
        let lease = authority.sign_in(user, mesh.password()).await;
        lease.expect("sign-in")
    }

    /// A token for `audience` in exchange for `lease`, shown by the holder of `identity`.
    ///
    /// # Errors
    /// What the authority says.
    pub async fn exchanged(
        mesh: &Mesh,
        identity: &Identity,
        lease: &Lease,
        audience: &ServerId,
    ) -> Result<String, Failure> {
        let authority = Authority::connect(&mesh.authority.url(), identity).expect("url");
        let token = authority.exchange_lease(lease, audience).await?;
        Ok(token.text)
    }

    /// A plan that reads `columns` of a table of the node's domain, as if they were like that.
    pub fn scan(&self, product: &str, table: &str, columns: &Schema) -> LogicalPlanBuilder {
        let product = ProductRef::new(self.domain.clone(), product);
        let reference = product.and_then(|product| product.table(table));
        let leaf = ProductTable::new(reference.expect("names"), Arc::new(columns.clone()));
        let source = provider_as_source(Arc::new(leaf));
        LogicalPlanBuilder::scan("t", source, None).expect("a scan")
    }

    /// The fragment of `plan` over these tables: product, table, columns as in its scans.
    pub fn fragment(
        &self,
        plan: &LogicalPlan,
        tables: &[(&str, &str, &Schema)],
    ) -> FragmentRequest {
        let codec = LeafCodec::new(self.domain.clone());
        let encoded = LogicalPlanNode::try_from_logical_plan(plan, &codec).expect("encoded");
        let tables = tables
            .iter()
            .map(|(product, table, columns)| TableExpectation {
                product: (*product).to_owned(),
                table: (*table).to_owned(),
                schema_fingerprint: fingerprint(columns).to_vec(),
            });
        FragmentRequest {
            query_id: QueryId::generate().to_string(),
            encoding: FRAGMENT_ENCODING.to_owned(),
            plan: encoded.encode_to_vec(),
            timeout_ms: 10_000,
            semantics: Some(Semantics {
                time_zone: "+00:00".to_owned(),
                query_start_ns: 0,
            }),
            tables: tables.collect(),
            output_schema: weft_door::schema::to_bytes(plan.schema().as_arrow()),
            keys_follow: false,
            shipped: Vec::new(),
            ordinal: 0,
            compression: 0,
            purpose: self.purpose.clone(),
            reservation: None,
            tell_last_row: false,
        }
    }

    /// A signature for exactly `fragment`.
    pub fn delegation(&self, fragment: &FragmentRequest) -> String {
        let delegation = Delegation {
            fragment: sha256(&fragment.encode_to_vec()),
            user_token: sha256(self.token.as_bytes()),
            audience: self.audience.clone(),
            query: fragment.query_id.parse().expect("an id"),
        };
        let lifetime = Duration::from_secs(30);
        let signed = delegation.sign(&self.signer, self.signed_at, lifetime);
        signed.expect("signed")
    }

    /// The rows of one table.
    ///
    /// # Errors
    /// What the node says.
    pub async fn read(
        &self,
        product: &str,
        table: &str,
        columns: &Schema,
    ) -> Result<Rows, Failure> {
        let plan = self.scan(product, table, columns).build().expect("a plan");
        self.run(&self.fragment(&plan, &[(product, table, columns)]))
            .await
    }

    /// The rows of `fragment`.
    ///
    /// # Errors
    /// What the node says.
    pub async fn run(&self, fragment: &FragmentRequest) -> Result<Rows, Failure> {
        let delegation = self.delegation(fragment);
        self.send(fragment, Some(&delegation), None).await
    }

    /// The rows of `fragment` that have the keys in `filters`.
    ///
    /// # Errors
    /// What the node says.
    pub async fn run_reduced(
        &self,
        mut fragment: FragmentRequest,
        filters: Vec<KeyFilter>,
    ) -> Result<Rows, Failure> {
        fragment.keys_follow = true;
        let delegation = self.delegation(&fragment);
        let keys = FragmentControl {
            keys: Some(KeyFilters { filters }),
            ..FragmentControl::default()
        };
        self.send(&fragment, Some(&delegation), Some(keys)).await
    }

    /// Sends `fragment` with any delegation, or none.
    ///
    /// # Errors
    /// What the node says.
    pub async fn send(
        &self,
        fragment: &FragmentRequest,
        delegation: Option<&str>,
        control: Option<FragmentControl>,
    ) -> Result<Rows, Failure> {
        let channel = self.channel(self.identity.client_tls(&self.node)).await;
        self.send_over(channel, fragment, delegation, control).await
    }

    /// Sends `fragment` over a connection on which no certificate was shown.
    ///
    /// # Errors
    /// What the node says.
    pub async fn send_as_nobody(&self, fragment: &FragmentRequest) -> Result<Rows, Failure> {
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&self.ca))
            .domain_name(tls_name(&self.node));
        let channel = self.channel(tls).await;
        let delegation = self.delegation(fragment);
        self.send_over(channel, fragment, Some(&delegation), None)
            .await
    }

    async fn channel(&self, tls: ClientTlsConfig) -> Channel {
        let endpoint = Endpoint::from_shared(self.url.clone()).expect("url");
        let connected = endpoint.tls_config(tls).expect("tls").connect().await;
        connected.expect("connected")
    }

    async fn send_over(
        &self,
        channel: Channel,
        fragment: &FragmentRequest,
        delegation: Option<&str>,
        control: Option<FragmentControl>,
    ) -> Result<Rows, Failure> {
        let first = FlightData {
            flight_descriptor: Some(FlightDescriptor::new_cmd(FRAGMENT_COMMAND)),
            app_metadata: fragment.encode_to_vec().into(),
            ..FlightData::default()
        };
        let control = control.map(|control| FlightData {
            app_metadata: control.encode_to_vec().into(),
            ..FlightData::default()
        });
        let frames = futures::stream::iter(std::iter::once(first).chain(control));
        let mut request = Request::new(frames.chain(futures::stream::pending()));
        let metadata = request.metadata_mut();
        let bearer = format!("Bearer {}", self.token);
        metadata.insert("authorization", bearer.parse().expect("header"));
        if let Some(delegation) = delegation {
            metadata.insert(DELEGATION_HEADER, delegation.parse().expect("header"));
        }
        let told = |status: tonic::Status| -> Error { from_status(&status) };
        let answer = FlightServiceClient::new(channel).do_exchange(request).await;
        let mut frames = answer.map_err(told)?.into_inner();
        let mut data = Vec::new();
        while let Some(frame) = frames.next().await {
            let frame = frame.map_err(told)?;
            if !frame.data_header.is_empty() {
                data.push(frame);
            }
        }
        let batches: Vec<RecordBatch> = flight_data_to_batches(&data).expect("rows");
        Ok(Rows::of(&batches))
    }

    /// What the node says that the user may see.
    ///
    /// # Errors
    /// What the node says instead.
    pub async fn describe(&self) -> Result<Vec<VisibleTable>, Failure> {
        let channel = self.channel(self.identity.client_tls(&self.node)).await;
        let mut request = Request::new(DescribeRequest {
            purpose: self.purpose.clone(),
        });
        let bearer = format!("Bearer {}", self.token);
        let metadata = request.metadata_mut();
        metadata.insert("authorization", bearer.parse().expect("header"));
        let answer = NodeClient::new(channel).describe(request).await;
        let answer = answer.map_err(|status| from_status(&status))?;
        Ok(answer.into_inner().tables)
    }

    /// What the node tells of what clients fetch there of what this coordinator reserved, if it tells
    /// something in `patience`.
    ///
    /// # Errors
    /// What the node says instead.
    pub async fn watch(&self, patience: Duration) -> Result<Option<Fetch>, Failure> {
        let channel = self.channel(self.identity.client_tls(&self.node)).await;
        let told = ReservationsClient::new(channel)
            .watch(WatchRequest {})
            .await;
        let mut told = told.map_err(|status| from_status(&status))?.into_inner();
        match timeout(patience, told.message()).await {
            Ok(told) => told.map_err(|status| from_status(&status)),
            Err(_) => Ok(None),
        }
    }

    /// Takes back what this coordinator reserved for `query`.
    ///
    /// # Errors
    /// What the node says instead.
    pub async fn withdraw(&self, query: &str) -> Result<(), Failure> {
        let channel = self.channel(self.identity.client_tls(&self.node)).await;
        let request = WithdrawRequest {
            query_id: query.to_owned(),
        };
        let answer = ReservationsClient::new(channel).withdraw(request).await;
        answer.map(drop).map_err(|status| from_status(&status))
    }
}
