//! The door itself: a listener, its connections, and their orderly end.

mod connection;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use arrow_flight::flight_service_server::FlightServiceServer;
use futures::stream::{self, Stream};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::Connected;
use weft_governance::{Error, ErrorKind, code};
use weft_wire::identity::secured;

use crate::backend::Backend;
use crate::flight::{Desk, Flight};
use crate::limits::Limits;
use crate::session::SWEEP;
use connection::Connection;

/// How long a connection may take to answer whether it is still there.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// Where a door listens.
#[derive(Debug, Clone)]
pub struct Listen {
    /// Address and port; port 0 takes a free one.
    pub address: SocketAddr,
    /// How connections are secured. Without it only loopback addresses are served.
    pub tls: Option<Arc<ServerConfig>>,
}

/// A server that listens. Dropping it cuts all connections; [`stop`](Self::stop) drains them.
#[derive(Debug)]
pub struct Door {
    address: SocketAddr,
    drain: Duration,
    connections: usize,
    free: Arc<Semaphore>,
    leave: CancellationToken,
    cut: CancellationToken,
    tasks: JoinSet<()>,
}

impl Door {
    /// Starts to serve `backend` and the services in `routes`, which authenticate their callers
    /// themselves. Must be called within a runtime.
    ///
    /// # Errors
    /// If the address cannot be listened on, the TLS settings do not fit together, or other
    /// machines could reach a door without TLS.
    pub fn open<B: Backend>(
        listen: Listen,
        limits: Limits,
        backend: Arc<B>,
        routes: Routes,
    ) -> Result<Self, Error> {
        let Listen { address, tls } = listen;
        if tls.is_none() && !address.ip().is_loopback() {
            return Err(plain(address));
        }
        let listener = bind(address).map_err(|error| unusable(address).caused_by(error))?;
        let address = listener
            .local_addr()
            .map_err(|error| unusable(address).caused_by(error))?;
        let server = server(&limits);
        let desk = Arc::new(Desk::new(backend, limits.clone())?);
        let flight = FlightServiceServer::new(Flight::new(Arc::clone(&desk)))
            .max_decoding_message_size(limits.message);
        let routes = routes.add_service(flight).prepare();

        let (leave, cut) = (CancellationToken::new(), CancellationToken::new());
        let free = Arc::new(Semaphore::new(limits.connections));
        let incoming = accept(listener, Arc::clone(&free), limits.handshake, cut.clone());
        let mut tasks = JoinSet::new();
        let left = leave.clone().cancelled_owned();
        match tls {
            Some(tls) => {
                let incoming = secured(incoming, tls, limits.connections);
                tasks.spawn(serve(server, routes, incoming, left));
            }
            None => {
                tasks.spawn(serve(server, routes, incoming, left));
            }
        }
        tasks.spawn(sweep(desk, leave.clone()));
        let Limits {
            connections, drain, ..
        } = limits;
        Ok(Self {
            address,
            drain,
            connections,
            free,
            leave,
            cut,
            tasks,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no new calls, lets running ones end for as long as the limits say, then cuts them.
    pub async fn stop(mut self) {
        self.leave.cancel();
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(self.drain, ended).await.is_err() {
            tracing::warn!("calls were cut because they did not end in time");
        }
        self.cut.cancel();
        let all = u32::try_from(self.connections).unwrap_or(u32::MAX);
        // The tasks of cut connections end at their next step; nothing is lost if one does not.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.free.acquire_many(all)).await;
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.cut.cancel();
    }
}

/// Serves until `left`, and what runs then to its end.
async fn serve<C>(
    mut server: Server,
    routes: Routes,
    incoming: impl Stream<Item = std::io::Result<C>> + Send + 'static,
    left: impl Future<Output = ()> + Send + 'static,
) where
    C: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
{
    let served = server
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, left);
    if served.await.is_err() {
        tracing::error!("the server ended");
    }
}

fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

fn server(limits: &Limits) -> Server {
    let headers = u32::try_from(limits.headers).unwrap_or(u32::MAX);
    Server::builder()
        .max_concurrent_streams(limits.streams)
        .http2_keepalive_interval(Some(limits.keepalive))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .http2_max_header_list_size(headers)
}

/// Connections as they come, as many at a time as `free` allows.
fn accept(
    listener: TcpListener,
    free: Arc<Semaphore>,
    patience: Duration,
    cut: CancellationToken,
) -> impl Stream<Item = std::io::Result<Connection>> {
    stream::unfold(
        (listener, free, cut),
        move |(listener, free, cut)| async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    // Out of file descriptors: wait until some are given back.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                };
                let Ok(permit) = Arc::clone(&free).try_acquire_owned() else {
                    tracing::warn!("a connection was refused because there are too many");
                    continue;
                };
                let connection = Connection::new(stream, patience, cut.clone(), permit);
                return Some((Ok(connection), (listener, free, cut)));
            }
        },
    )
}

async fn sweep<B: Backend>(desk: Arc<Desk<B>>, leave: CancellationToken) {
    loop {
        tokio::select! {
            () = leave.cancelled() => return,
            () = tokio::time::sleep(SWEEP) => {
                desk.sessions().sweep(SystemTime::now(), Instant::now()).await;
            }
        }
    }
}

fn plain(address: SocketAddr) -> Error {
    settings(&format!(
        "`{address}` would be open to other machines without TLS"
    ))
    .with_hint("Set a certificate in `tls`, or a loopback address in `listen`.")
}

fn unusable(address: SocketAddr) -> Error {
    settings(&format!("`{address}` cannot be listened on"))
        .with_hint("Choose another address or port in `listen`.")
}

fn settings(message: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, code::SETTINGS, message)
}

#[cfg(test)]
mod tests;
