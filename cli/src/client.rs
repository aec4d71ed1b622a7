//! A Flight SQL connection to a coordinator or a node.

use std::time::Duration;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::{HandshakeRequest, Ticket};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use tonic::Request;
use tonic::metadata::MetadataValue;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use weft_governance::{Error, ErrorKind, ServerId, code};
use weft_wire::identity::tls_name;
use weft_wire::status::from_status;
use zeroize::Zeroizing;

/// The largest message that a server sends.
const MESSAGE: usize = 64 << 20;

/// How to reach a server.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// `grpc://HOST:PORT` in plain text, `grpc+tls://HOST:PORT` with TLS.
    pub(crate) url: String,
    /// The CA to trust, PEM.
    pub(crate) ca_pem: Option<String>,
    /// The server of the mesh that it has to be, by its certificate. Without it, whichever has the
    /// host name of the URL.
    pub(crate) server: Option<ServerId>,
}

/// Who signs in.
pub(crate) enum SignIn {
    /// With a password.
    Password {
        user: String,
        password: Zeroizing<String>,
    },
    /// With a session's bearer or a user token.
    Bearer(Zeroizing<String>),
}

/// A signed-in connection.
pub(crate) struct Client {
    inner: FlightSqlServiceClient<Channel>,
}

/// The rows of a query. Dropping them cancels it everywhere.
pub(crate) struct Rows {
    pub(crate) schema: SchemaRef,
    pub(crate) batches: BoxStream<'static, Result<RecordBatch, Error>>,
}

impl Client {
    /// Connects and signs in.
    ///
    /// # Errors
    /// `WEFT-CONNECT` if nobody answers, `WEFT-UNAUTHENTICATED` if the sign-in is refused.
    pub(crate) async fn connect(target: &Target, sign_in: SignIn) -> Result<Self, Error> {
        let channel = reach(target).await?;
        let inner = FlightServiceClient::new(channel)
            .max_decoding_message_size(MESSAGE)
            .max_encoding_message_size(MESSAGE);
        let mut inner = FlightSqlServiceClient::new_from_inner(inner);
        match sign_in {
            SignIn::Password { user, password } => {
                let token = handshake(inner.inner().clone(), &user, &password, false).await?;
                inner.set_token(token);
            }
            SignIn::Bearer(token) => inner.set_token(token.to_string()),
        }
        inner.set_header("x-weft-max-message", MESSAGE.to_string());
        Ok(Self { inner })
    }

    /// The session's bearer.
    pub(crate) fn bearer(&self) -> Option<&String> {
        self.inner.token()
    }

    /// A bearer that several clients can use at a time, each in a session of its own.
    ///
    /// # Errors
    /// As those of [`Client::connect`].
    pub(crate) async fn shared_bearer(
        target: &Target,
        user: &str,
        password: &str,
    ) -> Result<String, Error> {
        let client = FlightServiceClient::new(reach(target).await?);
        handshake(client, user, password, true).await
    }

    /// Has `sql` planned, and returns the ticket for its rows.
    ///
    /// # Errors
    /// What the server says.
    pub(crate) async fn announce(&mut self, sql: &str) -> Result<Ticket, Error> {
        let info = self.inner.execute(sql.to_owned(), None).await;
        let mut endpoints = info.map_err(failure)?.endpoint.into_iter();
        let ticket = endpoints.next().and_then(|endpoint| endpoint.ticket);
        ticket.ok_or_else(without_ticket)
    }

    /// Runs `sql`.
    ///
    /// # Errors
    /// What the server says before the first row; the rest comes with the rows.
    pub(crate) async fn query(&mut self, sql: &str) -> Result<Rows, Error> {
        let info = self
            .inner
            .execute(sql.to_owned(), None)
            .await
            .map_err(failure)?;
        let schema = info
            .clone()
            .try_decode_schema()
            .map_err(|error| failure(error.into()))?;
        let ticket = info
            .endpoint
            .into_iter()
            .next()
            .and_then(|endpoint| endpoint.ticket);
        let ticket = ticket.ok_or_else(without_ticket)?;
        let rows = self.inner.do_get(ticket).await.map_err(failure)?;
        let batches = rows.map_err(failure).boxed();
        Ok(Rows {
            schema: schema.into(),
            batches,
        })
    }
}

async fn reach(target: &Target) -> Result<Channel, Error> {
    endpoint(target)?.connect().await.map_err(|error| {
        Error::new(
            ErrorKind::Unavailable,
            code::CONNECT,
            format!("no server answers at `{}`", target.url),
        )
        .with_hint("Check the address, and whether the server speaks TLS (grpc+tls://, --ca) or not (grpc://).")
        .caused_by(error)
    })
}

/// The session's bearer in exchange for a password; for several clients if it is `shared`.
async fn handshake(
    mut client: FlightServiceClient<Channel>,
    user: &str,
    password: &str,
    shared: bool,
) -> Result<String, Error> {
    let strange = || {
        Error::new(
            ErrorKind::Internal,
            code::PROTOCOL,
            "the server's answer to the sign-in is malformed",
        )
    };
    let basic = Zeroizing::new(STANDARD.encode(Zeroizing::new(format!("{user}:{password}"))));
    let mut request = Request::new(futures::stream::iter([HandshakeRequest::default()]));
    let header = format!("Basic {}", *basic).parse().map_err(|_| strange())?;
    request.metadata_mut().insert("authorization", header);
    if shared {
        let yes = MetadataValue::from_static("1");
        request.metadata_mut().insert("x-weft-shared-session", yes);
    }
    let answer = client
        .handshake(request)
        .await
        .map_err(|status| from_status(&status))?;
    let bearer = answer
        .metadata()
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    bearer
        .and_then(|value| value.strip_prefix("Bearer "))
        .map(str::to_owned)
        .ok_or_else(strange)
}

fn endpoint(target: &Target) -> Result<Endpoint, Error> {
    let wrong = || {
        Error::new(
            ErrorKind::InvalidInput,
            code::SETTINGS,
            format!("`{}` is not the URL of a server", target.url),
        )
        .with_hint("Write `grpc://HOST:PORT`, or `grpc+tls://HOST:PORT` for TLS.")
    };
    let (scheme, rest) = target.url.split_once("://").ok_or_else(wrong)?;
    let tls = match scheme {
        "grpc" | "grpc+tcp" | "http" => false,
        "grpc+tls" | "https" => true,
        _ => return Err(wrong()),
    };
    let scheme = if tls { "https" } else { "http" };
    let mut endpoint = Endpoint::from_shared(format!("{scheme}://{rest}")).map_err(|_| wrong())?;
    if tls {
        let mut config = ClientTlsConfig::new();
        if let Some(ca) = &target.ca_pem {
            config = config.ca_certificate(Certificate::from_pem(ca));
        }
        if let Some(server) = &target.server {
            config = config.domain_name(tls_name(server));
        }
        endpoint = endpoint
            .tls_config(config)
            .map_err(|error| wrong().caused_by(error))?;
    }
    Ok(endpoint
        .connect_timeout(Duration::from_secs(5))
        .tcp_nodelay(true)
        .initial_stream_window_size(16 << 20)
        .initial_connection_window_size(64 << 20))
}

fn without_ticket() -> Error {
    let message = "the server gave no ticket for the rows";
    Error::new(ErrorKind::Internal, code::PROTOCOL, message)
}

fn failure(error: FlightError) -> Error {
    match error {
        FlightError::Tonic(status) => from_status(&status),
        other => Error::new(
            ErrorKind::Internal,
            code::PROTOCOL,
            format!("the server's answer cannot be read: {other}"),
        ),
    }
}
