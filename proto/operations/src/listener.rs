//! The listener for whoever operates a server.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::registry::Registry;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};
use weft_governance::{Error, ErrorKind, code};

use crate::reading::{Reading, registry, text};

/// Connections at a time; further ones are closed at once.
const CONNECTIONS: usize = 64;
/// For so long one may last: one question, one answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of a question. The least that hyper takes.
const QUESTION: usize = 8 << 10;
/// Pause after an accept failed, as when the process has no file descriptors left.
const PAUSE: Duration = Duration::from_millis(50);

const METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What a server says of itself. Asked on a thread of its own; must not wait.
pub trait Vitals: Send + Sync + 'static {
    /// What it needs in order to serve, and whether it has it. It is ready when it has all.
    fn checks(&self) -> Vec<(&'static str, bool)>;

    /// Its numbers.
    fn readings(&self) -> Vec<Reading>;
}

/// A listener that answers `/healthz`, `/readyz` and `/metrics`. Dropping it closes it.
#[derive(Debug)]
pub struct Operations {
    address: SocketAddr,
    _open: DropGuard,
}

impl Operations {
    /// Listens at `address`, where everybody who reaches it may ask, and answers from `vitals` for a
    /// server of `version`.
    ///
    /// # Errors
    /// `WEFT-SETTINGS` if the address cannot be listened on, `WEFT-INTERNAL` if there is no thread.
    pub fn open(
        address: SocketAddr,
        version: &'static str,
        vitals: Arc<dyn Vitals>,
    ) -> Result<Self, Error> {
        let bound = std::net::TcpListener::bind(address).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok((listener.local_addr()?, listener))
        });
        let (address, listener) = bound.map_err(|error| taken(address).caused_by(error))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| no_thread().caused_by(error))?;
        let closed = CancellationToken::new();
        let desk = Arc::new(Desk {
            registry: registry(Arc::clone(&vitals), version),
            vitals,
        });
        let until = closed.clone();
        std::thread::Builder::new()
            .name("weft-operations".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = until.cancelled() => {}
                        () = serve(listener, desk) => {}
                    }
                });
            })
            .map_err(|error| no_thread().caused_by(error))?;
        Ok(Self {
            address,
            _open: closed.drop_guard(),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn serve(listener: std::net::TcpListener, desk: Arc<Desk>) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "operations are not served");
            return;
        }
    };
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            continue;
        };
        let desk = Arc::clone(&desk);
        // At most as many as there are places, and none for longer than its time.
        drop(tokio::spawn(async move {
            let _place = place;
            // Whoever asked and went away misses nothing.
            let _ = tokio::time::timeout(PATIENCE, answer(stream, desk)).await;
        }));
    }
}

async fn answer(stream: TcpStream, desk: Arc<Desk>) {
    let service = service_fn(|request: Request<Incoming>| {
        let answer = desk.answer(request.method(), request.uri().path());
        async move { Ok::<_, Infallible>(answer) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(false)
        .max_buf_size(QUESTION)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = served.await {
        tracing::debug!(%error, "a question about operations was not answered");
    }
}

struct Desk {
    vitals: Arc<dyn Vitals>,
    registry: Registry,
}

impl Desk {
    fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        if method != Method::GET && method != Method::HEAD {
            return plain(StatusCode::METHOD_NOT_ALLOWED, "ask with GET\n".to_owned());
        }
        match path {
            "/healthz" => plain(StatusCode::OK, "alive\n".to_owned()),
            "/readyz" => self.ready(),
            "/metrics" => match text(&self.registry) {
                Ok(text) => response(StatusCode::OK, METRICS, text),
                Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "no text\n".to_owned()),
            },
            _ => plain(
                StatusCode::NOT_FOUND,
                "there are /healthz, /readyz and /metrics\n".to_owned(),
            ),
        }
    }

    fn ready(&self) -> Response<Full<Bytes>> {
        let checks = self.vitals.checks();
        let ready = checks.iter().all(|(_, holds)| *holds);
        let status = match ready {
            true => StatusCode::OK,
            false => StatusCode::SERVICE_UNAVAILABLE,
        };
        let checks: serde_json::Map<String, serde_json::Value> = checks
            .into_iter()
            .map(|(name, holds)| (name.to_owned(), holds.into()))
            .collect();
        let body = json!({"ready": ready, "checks": checks}).to_string();
        response(status, "application/json", body + "\n")
    }
}

fn plain(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    response(status, "text/plain; charset=utf-8", text)
}

fn response(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    headers.insert(
        header::CACHE_CONTROL,
        header::HeaderValue::from_static("no-store"),
    );
    response
}

fn taken(address: SocketAddr) -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        code::SETTINGS,
        format!("`{address}` cannot be listened on"),
    )
    .with_hint("Choose another address or port in `operations.listen`.")
}

fn no_thread() -> Error {
    Error::new(
        ErrorKind::Internal,
        code::INTERNAL,
        "operations cannot be served",
    )
}

#[cfg(test)]
mod tests;
