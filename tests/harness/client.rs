//! A Flight SQL client.

use std::time::Duration;

use arrow::record_batch::RecordBatch;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::{FlightInfo, HandshakeRequest, Ticket};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
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

    async fn connect(url: &str, tls: Option<(String, ServerId)>) -> Self {
        let mut endpoint = Endpoint::from_shared(url.to_owned())
            .expect("url")
            .timeout(Duration::from_secs(120));
        if let Some((ca, server)) = tls {
            let config = ClientTlsConfig::new()
                .ca_certificate(Certificate::from_pem(ca))
                .domain_name(tls_name(&server));
            endpoint = endpoint.tls_config(config).expect("tls");
        }
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
