//! A Flight SQL client.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{
    ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult, Any,
    CommandGetDbSchemas, CommandGetImportedKeys, CommandGetPrimaryKeys, CommandGetTables,
    CommandPreparedStatementQuery, ProstMessageExt,
};
use arrow_flight::{
    Action, CancelFlightInfoRequest, FlightData, FlightDescriptor, FlightEndpoint, FlightInfo,
    HandshakeRequest, Ticket,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use prost::Message;
use prost::bytes::Bytes;
use tonic::Request;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use weft_governance::{Error, ServerId};
use weft_wire::identity::tls_name;
use weft_wire::status::from_status;

use crate::compare::Rows;

/// A signed-in client.
pub struct Client {
    inner: FlightSqlServiceClient<Channel>,
}

/// What went wrong, as the client was told.
pub type Failure = Error;

impl Client {
    /// Connects and signs in.
    ///
    /// # Errors
    /// What the server says.
    pub async fn sign_in(
        url: &str,
        tls: Option<(String, ServerId)>,
        user: &str,
        password: &str,
    ) -> Result<Self, Failure> {
        let mut client = Self::connect(url, tls).await;
        let token = handshake(client.inner.inner().clone(), user, password).await?;
        client.inner.set_token(token);
        Ok(client)
    }

    /// Connects with a token in place of a sign-in.
    pub async fn with_token(url: &str, tls: Option<(String, ServerId)>, token: &str) -> Self {
        let mut client = Self::connect(url, tls).await;
        client.inner.set_token(token.to_owned());
        client
    }

    /// Connects from `address` of this machine, with a token in place of a sign-in.
    pub async fn with_token_from(address: IpAddr, url: &str, token: &str) -> Self {
        let endpoint = endpoint(url).local_address(Some(address));
        let mut client = Self::over(endpoint).await;
        client.inner.set_token(token.to_owned());
        client
    }

    async fn connect(url: &str, tls: Option<(String, ServerId)>) -> Self {
        let mut endpoint = endpoint(url);
        if let Some((ca, server)) = tls {
            let config = ClientTlsConfig::new()
                .ca_certificate(Certificate::from_pem(ca))
                .domain_name(tls_name(&server));
            endpoint = endpoint.tls_config(config).expect("tls");
        }
        Self::over(endpoint).await
    }

    async fn over(endpoint: Endpoint) -> Self {
        let channel = endpoint.connect().await.expect("the server can be reached");
        let inner = FlightServiceClient::new(channel).max_decoding_message_size(64 << 20);
        Self {
            inner: FlightSqlServiceClient::new_from_inner(inner),
        }
    }

    /// All rows of a query.
    ///
    /// # Errors
    /// What the server says.
    pub async fn query(&mut self, sql: &str) -> Result<Rows, Failure> {
        let stream = self.stream(sql).await?;
        let batches: Vec<RecordBatch> = stream.try_collect().await?;
        Ok(Rows::of(&batches))
    }

    /// The rows of a query as they come.
    ///
    /// # Errors
    /// What the server says before the first row.
    pub async fn stream(
        &mut self,
        sql: &str,
    ) -> Result<BoxStream<'static, Result<RecordBatch, Failure>>, Failure> {
        let ticket = self.announce(sql).await?;
        self.fetch(ticket).await
    }

    /// Has a query planned; its rows are behind the ticket.
    ///
    /// # Errors
    /// What the server says.
    pub async fn announce(&mut self, sql: &str) -> Result<Ticket, Failure> {
        let info = self.inner.execute(sql.to_owned(), None).await;
        Ok(ticket(info.map_err(failure)?))
    }

    /// Where the rows of a query are fetched.
    ///
    /// # Errors
    /// What the server says.
    pub async fn announce_endpoint(&mut self, sql: &str) -> Result<FlightEndpoint, Failure> {
        let info = self.inner.execute(sql.to_owned(), None).await;
        let [endpoint] = <[_; 1]>::try_from(info.map_err(failure)?.endpoint).expect("one");
        Ok(endpoint)
    }

    /// Where the rows of a query are fetched, which may be where they are made.
    ///
    /// # Errors
    /// What the server says.
    pub async fn announce_directly(&mut self, sql: &str) -> Result<FlightEndpoint, Failure> {
        self.inner.set_header("x-weft-direct", "1");
        let endpoint = self.announce_endpoint(sql).await;
        self.inner.set_header("x-weft-direct", "0");
        endpoint
    }

    /// The rows behind a ticket as they come.
    ///
    /// # Errors
    /// What the server says before the first row.
    pub async fn fetch(
        &mut self,
        ticket: Ticket,
    ) -> Result<BoxStream<'static, Result<RecordBatch, Failure>>, Failure> {
        let rows = self.inner.do_get(ticket).await.map_err(failure)?;
        Ok(rows.map_err(failure).boxed())
    }

    /// Has the result behind `endpoint` cancelled.
    ///
    /// # Errors
    /// What the server says.
    pub async fn cancel(&mut self, endpoint: FlightEndpoint) -> Result<(), Failure> {
        let info = FlightInfo::new().with_endpoint(endpoint);
        let body = CancelFlightInfoRequest::new(info).encode_to_vec();
        self.act("CancelFlightInfo", body).await
    }

    /// Ends the session.
    ///
    /// # Errors
    /// What the server says.
    pub async fn close(&mut self) -> Result<(), Failure> {
        self.act("CloseSession", Vec::new()).await
    }

    async fn act(&mut self, kind: &str, body: Vec<u8>) -> Result<(), Failure> {
        let request = self.request(Action::new(kind, body));
        let answer = self.inner.do_action(request).await.map_err(failure)?;
        let answer: Result<Vec<_>, _> = answer.try_collect().await;
        answer.map(drop).map_err(|status| from_status(&status))
    }

    /// The messages of a query's answer as they come over the wire, that with the schema first.
    ///
    /// # Errors
    /// What the server says.
    pub async fn messages(&mut self, sql: &str) -> Result<Vec<FlightData>, Failure> {
        let ticket = self.announce(sql).await?;
        let request = self.request(ticket);
        let messages = self.inner.inner_mut().do_get(request).await;
        let messages = messages.map_err(|status| from_status(&status))?;
        let messages: Result<_, _> = messages.into_inner().try_collect().await;
        messages.map_err(|status| from_status(&status))
    }

    /// Has a query prepared, for [`Client::run_prepared`] of any client.
    ///
    /// # Errors
    /// What the server says.
    pub async fn prepare(&mut self, sql: &str) -> Result<Bytes, Failure> {
        let request = ActionCreatePreparedStatementRequest {
            query: sql.to_owned(),
            transaction_id: None,
        };
        let action = Action {
            r#type: "CreatePreparedStatement".to_owned(),
            body: request.as_any().encode_to_vec().into(),
        };
        let mut results = self
            .inner
            .do_action(self.request(action))
            .await
            .map_err(failure)?;
        let result = results
            .message()
            .await
            .map_err(|status| from_status(&status))?;
        let result = Any::decode(result.expect("a result").body).expect("a message");
        let result: ActionCreatePreparedStatementResult =
            result.unpack().expect("a message").expect("a statement");
        Ok(result.prepared_statement_handle)
    }

    /// All rows of a prepared query.
    ///
    /// # Errors
    /// What the server says.
    pub async fn run_prepared(&mut self, handle: &Bytes) -> Result<Rows, Failure> {
        let query = CommandPreparedStatementQuery {
            prepared_statement_handle: handle.clone(),
        };
        let descriptor = FlightDescriptor::new_cmd(query.as_any().encode_to_vec());
        let request = self.request(descriptor);
        let info = self.inner.inner_mut().get_flight_info(request).await;
        let info = info.map_err(|status| from_status(&status))?;
        let stream = self.fetch(ticket(info.into_inner())).await?;
        let batches: Vec<RecordBatch> = stream.try_collect().await?;
        Ok(Rows::of(&batches))
    }

    /// The session's bearer.
    pub fn bearer(&self) -> &str {
        self.inner.token().expect("signed in")
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let bearer = format!("Bearer {}", self.bearer());
        let metadata = request.metadata_mut();
        metadata.insert("authorization", bearer.parse().expect("header"));
        request
    }

    /// All rows of a query with parameters, and the names of the parameters.
    ///
    /// # Errors
    /// What the server says.
    pub async fn query_with(
        &mut self,
        sql: &str,
        values: RecordBatch,
    ) -> Result<(Vec<String>, Rows), Failure> {
        let prepared = self.inner.prepare(sql.to_owned(), None).await;
        let mut prepared = prepared.map_err(failure)?;
        let parameters = prepared
            .parameter_schema()
            .map_err(failure)?
            .fields()
            .iter();
        let parameters = parameters.map(|field| field.name().clone()).collect();
        prepared.set_parameters(values).map_err(failure)?;
        let info = prepared.execute().await.map_err(failure)?;
        let batches: Vec<RecordBatch> = self.fetch(ticket(info)).await?.try_collect().await?;
        Ok((parameters, Rows::of(&batches)))
    }

    /// What is told of a query before it runs: the schema of its answer, and how much is announced.
    ///
    /// # Errors
    /// What the server says.
    pub async fn announced(&mut self, sql: &str) -> Result<String, Failure> {
        let info = self.inner.execute(sql.to_owned(), None).await;
        let info = info.map_err(failure)?;
        let (rows, bytes) = (info.total_records, info.total_bytes);
        let schema = info.try_decode_schema().expect("a schema");
        let fields = schema.fields().iter().map(|field| {
            // In an order of its own each time it is decoded.
            let metadata: BTreeMap<_, _> = field.metadata().iter().collect();
            let (name, data_type, nullable) =
                (field.name(), field.data_type(), field.is_nullable());
            format!("{name} {data_type} {nullable} {metadata:?}")
        });
        let fields: Vec<String> = fields.collect();
        Ok(format!("{} {rows} {bytes}", fields.join("\n")))
    }

    /// The answers to the calls by which drivers find out what there is: catalogs, schemas, tables
    /// with their columns.
    ///
    /// # Errors
    /// What the server says.
    pub async fn metadata(&mut self) -> Result<Vec<Rows>, Failure> {
        let catalogs = self.inner.get_catalogs().await;
        let schemas = CommandGetDbSchemas::default();
        let schemas = self.inner.get_db_schemas(schemas).await;
        let tables = CommandGetTables {
            include_schema: true,
            ..CommandGetTables::default()
        };
        let tables = self.inner.get_tables(tables).await;
        let mut answers = Vec::new();
        for info in [catalogs, schemas, tables] {
            answers.push(self.rows_behind(info).await?);
        }
        Ok(answers)
    }

    /// The declared primary key of `catalog.schema.table`.
    ///
    /// # Errors
    /// What the server says.
    pub async fn keys(&mut self, [catalog, schema, table]: [&str; 3]) -> Result<Rows, Failure> {
        let keys = CommandGetPrimaryKeys {
            catalog: Some(catalog.to_owned()),
            db_schema: Some(schema.to_owned()),
            table: table.to_owned(),
        };
        let keys = self.inner.get_primary_keys(keys).await;
        self.rows_behind(keys).await
    }

    /// What columns of `catalog.schema.table` are declared to refer to.
    ///
    /// # Errors
    /// What the server says.
    pub async fn references(
        &mut self,
        [catalog, schema, table]: [&str; 3],
    ) -> Result<Rows, Failure> {
        let keys = CommandGetImportedKeys {
            catalog: Some(catalog.to_owned()),
            db_schema: Some(schema.to_owned()),
            table: table.to_owned(),
        };
        let keys = self.inner.get_imported_keys(keys).await;
        self.rows_behind(keys).await
    }

    /// The columns of a query's answer, each with all that is told of it.
    ///
    /// # Errors
    /// What the server says.
    pub async fn columns(&mut self, sql: &str) -> Result<Schema, Failure> {
        let info = self.inner.execute(sql.to_owned(), None).await;
        Ok(info
            .map_err(failure)?
            .try_decode_schema()
            .expect("a schema"))
    }

    async fn rows_behind(
        &mut self,
        info: Result<FlightInfo, FlightError>,
    ) -> Result<Rows, Failure> {
        let ticket = ticket(info.map_err(failure)?);
        let batches: Vec<RecordBatch> = self.fetch(ticket).await?.try_collect().await?;
        Ok(Rows::of(&batches))
    }

    /// The one value of a query.
    pub async fn value(&mut self, sql: &str) -> String {
        let rows = self
            .query(sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
        rows.only()
    }

    /// The error of a query that must not succeed.
    pub async fn error(&mut self, sql: &str) -> Failure {
        match self.query(sql).await {
            Ok(rows) => panic!("{sql} succeeded:\n{rows}"),
            Err(error) => error,
        }
    }
}

fn endpoint(url: &str) -> Endpoint {
    let endpoint = Endpoint::from_shared(url.to_owned()).expect("url");
    endpoint.timeout(Duration::from_secs(120))
}

fn ticket(info: FlightInfo) -> Ticket {
    let endpoint = info.endpoint.into_iter().next();
    endpoint.and_then(|it| it.ticket).expect("a ticket")
}

/// The session's bearer. The stock client loses what the server says of a failed sign-in.
async fn handshake(
    mut client: FlightServiceClient<Channel>,
    user: &str,
    password: &str,
) -> Result<String, Failure> {
    let basic = STANDARD.encode(format!("{user}:{password}"));
    let request = HandshakeRequest {
        protocol_version: 0,
        payload: Default::default(),
    };
    let mut request = Request::new(futures::stream::iter([request]));
    let basic = format!("Basic {basic}").parse().expect("header");
    request.metadata_mut().insert("authorization", basic);
    let answer = client
        .handshake(request)
        .await
        .map_err(|status| from_status(&status))?;
    let bearer = answer
        .metadata()
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    Ok(bearer
        .and_then(|value| value.strip_prefix("Bearer "))
        .expect("a bearer")
        .to_owned())
}

fn failure(error: FlightError) -> Failure {
    match error {
        FlightError::Tonic(status) => from_status(&status),
        other => panic!("no status: {other}"),
    }
}
