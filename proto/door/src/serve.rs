//! The door itself: a listener, its connections, and their orderly end.

mod calls;
mod connection;
mod inflow;
mod lobby;
mod vitals;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use arrow_flight::flight_service_server::FlightServiceServer;
use futures::stream::{self, Stream};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::Connected;
use tower::layer::util::{Identity, Stack};
use weft_governance::{Error, ErrorKind, code};
use weft_wire::identity::secured;

use crate::backend::Backend;
use crate::flight::{Desk, Flight};
use crate::limits::Limits;
use crate::session::SWEEP;
use calls::Calls;
use connection::Connection;
use inflow::Budget;
use lobby::Lobby;
pub use vitals::DoorVitals;

/// How long a connection may take to answer whether it is still there.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// How long clients have to take their leave once nothing is under way.
const FAREWELL: Duration = Duration::from_millis(500);
/// How long a connection that makes room may take for it.
const ROOM: Duration = Duration::from_millis(100);

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
    calls: Calls,
    vitals: DoorVitals,
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
        let desk = Arc::new(Desk::new(backend, limits.clone())?);
        let flight = FlightServiceServer::new(Flight::new(Arc::clone(&desk)))
            .max_decoding_message_size(limits.message);
        let routes = routes.add_service(flight).prepare();

        let (leave, cut) = (CancellationToken::new(), CancellationToken::new());
        let free = Arc::new(Semaphore::new(limits.connections));
        let budget = Budget::new(limits.incoming);
        let lobby = Lobby::new(cut.clone(), Arc::clone(&budget));
        let calls = Calls::new(&limits, budget, lobby.clone());
        let server = server(&limits).layer(calls.clone());
        let counted = Arc::clone(&desk);
        let vitals = DoorVitals::new(
            calls.clone(),
            Arc::clone(&free),
            limits.connections,
            move || counted.sessions().count(),
        );
        let incoming = accept(listener, Arc::clone(&free), limits.handshake, lobby);
        let mut tasks = JoinSet::new();
        let left = leave.clone().cancelled_owned();
        match tls {
            Some(tls) => {
                // More than there are places: one that makes room is looked for while all of them are
                // in the middle of a handshake.
                let incoming = secured(incoming, tls, limits.connections.saturating_add(1));
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
            calls,
            vitals,
            leave,
            cut,
            tasks,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How it is doing.
    pub fn vitals(&self) -> DoorVitals {
        self.vitals.clone()
    }

    /// Takes no new work from now on: whoever brings some is told to come back later. Results that
    /// were announced can be fetched. Returns when nothing is under way any more, or after as long
    /// as the limits say.
    pub async fn drain(&self) {
        self.calls.stop();
        if tokio::time::timeout(self.drain, self.calls.quiet())
            .await
            .is_err()
        {
            tracing::warn!("calls are cut because they did not end in time");
        }
    }

    /// Takes no new calls, lets running ones end for as long as the limits say, then cuts them.
    pub async fn stop(mut self) {
        self.drain().await;
        self.leave.cancel();
        // What is under way by now, as the signs of life of nodes, does not end by itself.
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(FAREWELL, ended).await;
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
    mut server: Server<Stack<Calls, Identity>>,
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
    lobby: Lobby,
) -> impl Stream<Item = std::io::Result<Connection>> {
    stream::unfold(
        (listener, free, lobby),
        move |(listener, free, lobby)| async move {
            loop {
                let Ok((stream, from)) = listener.accept().await else {
                    // Out of file descriptors: wait until some are given back.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                };
                let Some(place) = place(&free, &lobby).await else {
                    tracing::warn!("a connection was refused because there are too many");
                    continue;
                };
                let waiting = lobby.enter(from);
                let connection = Connection::new(stream, patience, waiting, place);
                return Some((Ok(connection), (listener, free, lobby)));
            }
        },
    )
}

/// A free place, or that of the connection which has waited longest without a sign-in.
async fn place(free: &Arc<Semaphore>, lobby: &Lobby) -> Option<OwnedSemaphorePermit> {
    if let Ok(place) = Arc::clone(free).try_acquire_owned() {
        return Some(place);
    }
    if !lobby.send_the_oldest_away() {
        return None;
    }
    let freed = Arc::clone(free).acquire_owned();
    tokio::time::timeout(ROOM, freed).await.ok()?.ok()
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
