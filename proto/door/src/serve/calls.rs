//! Every call of a door, whatever answers it: traced, counted, bounded in what it brings, and refused
//! once the door is about to close.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tonic::Status;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};
use tower::{Layer, Service};
use tracing::{Instrument, Span, info_span};
use weft_governance::{Error, ErrorKind, code};
use weft_wire::status::to_status;
use weft_wire::trace::{Step, StepKind, TRACEPARENT, TraceContext};

use super::inflow::{Budget, Held, Inflow};
use super::lobby::Lobby;
use crate::limits::Limits;

/// Sign-ins at a time; checking a password is meant to be slow.
const SIGN_INS: usize = 128;
/// A door on which nothing is under way for so long is quiet: what was announced is fetched at once.
const QUIET: Duration = Duration::from_millis(100);
/// Whoever is refused because the door closes finds another, or the same, after about this time.
const COMING_BACK: Duration = Duration::from_secs(5);

/// The calls of one door. Cheap to clone.
#[derive(Clone)]
pub(super) struct Calls(Arc<State>);

struct State {
    control: usize,
    budget: Arc<Budget>,
    lobby: Lobby,
    sign_ins: Arc<Semaphore>,
    under_way: TaskTracker,
    stopping: AtomicBool,
    sent: AtomicU64,
    failed: Mutex<BTreeMap<&'static str, u64>>,
}

/// What a call is for, by its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Proves who somebody is.
    SignIn,
    /// Asks for something new.
    Work,
    /// Asks for something new, and brings rows.
    Rows,
    /// Goes on with, or ends, what was asked before.
    GoingOn,
    /// Between servers.
    Other,
}

impl Kind {
    fn of(path: &str) -> Self {
        match path.strip_prefix("/arrow.flight.protocol.FlightService/") {
            Some("Handshake") => Self::SignIn,
            Some("DoGet" | "DoAction" | "PollFlightInfo") => Self::GoingOn,
            Some("DoPut" | "DoExchange") => Self::Rows,
            Some(_) => Self::Work,
            None => Self::Other,
        }
    }

    fn is_new(self) -> bool {
        match self {
            Self::SignIn | Self::Work | Self::Rows => true,
            Self::GoingOn | Self::Other => false,
        }
    }
}

impl Calls {
    /// Calls within `limits` and `budget`, on connections that wait in `lobby` until somebody signs in.
    pub(super) fn new(limits: &Limits, budget: Arc<Budget>, lobby: Lobby) -> Self {
        Self(Arc::new(State {
            control: limits.control,
            budget,
            lobby,
            sign_ins: Arc::new(Semaphore::new(SIGN_INS)),
            under_way: TaskTracker::new(),
            stopping: AtomicBool::new(false),
            sent: AtomicU64::new(0),
            failed: Mutex::default(),
        }))
    }

    /// Takes no new work from now on.
    pub(super) fn stop(&self) {
        self.0.stopping.store(true, Ordering::Release);
        self.0.under_way.close();
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.0.stopping.load(Ordering::Acquire)
    }

    /// Waits until nothing is under way, and nothing comes for a moment. Only after [`stop`](Self::stop).
    pub(super) async fn quiet(&self) {
        loop {
            self.0.under_way.wait().await;
            tokio::time::sleep(QUIET).await;
            if self.0.under_way.is_empty() {
                return;
            }
        }
    }

    /// Calls of clients that are under way.
    pub(super) fn under_way(&self) -> usize {
        self.0.under_way.len()
    }

    /// Bytes that came.
    pub(super) fn received(&self) -> u64 {
        self.0.budget.received()
    }

    /// Bytes that went out.
    pub(super) fn sent(&self) -> u64 {
        self.0.sent.load(Ordering::Relaxed)
    }

    /// How often calls ended with which code.
    pub(super) fn failed(&self) -> BTreeMap<&'static str, u64> {
        let failed = self.0.failed.lock();
        failed.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes how a call ended, if `headers` say so.
    fn note(&self, headers: &HeaderMap, step: &mut Step) {
        let Some(status) = headers.get(Status::GRPC_STATUS) else {
            return;
        };
        if status.as_bytes() == b"0" {
            return;
        }
        let own = headers.get("weft-code").and_then(|it| it.to_str().ok());
        // The transport's own errors have none of ours.
        let code = own.and_then(code::known).unwrap_or("none");
        step.fail(code);
        let mut failed = self.0.failed.lock().unwrap_or_else(PoisonError::into_inner);
        *failed.entry(code).or_insert(0) += 1;
    }

    fn refuse(&self, error: &Error, step: &mut Step) -> Response<Body> {
        let response = to_status(error).into_http();
        self.note(response.headers(), step);
        response
    }
}

impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calls")
            .field("under_way", &self.under_way())
            .finish_non_exhaustive()
    }
}

impl Layer<Routes> for Calls {
    type Service = Watched;

    fn layer(&self, routes: Routes) -> Watched {
        Watched {
            calls: self.clone(),
            routes,
        }
    }
}

/// The services of a door, with all their calls watched.
#[derive(Debug, Clone)]
pub(super) struct Watched {
    calls: Calls,
    routes: Routes,
}

impl Service<Request<Body>> for Watched {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request<Body>>::poll_ready(&mut self.routes, cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let ready = self.routes.clone();
        let mut routes = std::mem::replace(&mut self.routes, ready);
        let calls = self.calls.clone();
        let context = context(request.headers());
        let span = info_span!("request", trace = %context.id());
        let kind = Kind::of(request.uri().path());
        let mut step = Step::begin(context, StepKind::Served, method(request.uri().path()));
        let from = origin(&request);
        // A server of the mesh has said who it is before its first call.
        if let Some(from) = from.filter(|_| is_certified(&request)) {
            self.calls.0.lobby.admit(from);
        }
        let worked = async move {
            if kind.is_new() && calls.is_stopping() {
                return Ok(calls.refuse(&stopping(), &mut step));
            }
            let sign_in = match kind {
                Kind::SignIn => match Arc::clone(&calls.0.sign_ins).try_acquire_owned() {
                    Ok(place) => Some(place),
                    Err(_) => return Ok(calls.refuse(&too_many_sign_ins(), &mut step)),
                },
                _ => None,
            };
            let token = (kind != Kind::Other).then(|| calls.0.under_way.token());
            let held = Held::new(calls.0.lobby.budget(from));
            let most = match kind {
                Kind::SignIn | Kind::Work | Kind::GoingOn => calls.0.control,
                // Their messages are bounded one by one.
                Kind::Rows | Kind::Other => usize::MAX,
            };
            let request = request.map(|body| {
                let inflow = Inflow::new(body, most, Arc::clone(&held));
                Body::new(inflow)
            });
            let response = routes.call(request).await?;
            held.release();
            drop(sign_in);
            calls.note(response.headers(), &mut step);
            // An answer that begins with its end is an error, also one that strangers get.
            let begins = !response.headers().contains_key(Status::GRPC_STATUS);
            if let Some(from) = from.filter(|_| begins) {
                calls.0.lobby.admit(from);
            }
            let span = Span::current();
            Ok(response.map(|body| {
                Body::new(Outflow {
                    body,
                    calls,
                    context,
                    span,
                    step,
                    _token: token,
                })
            }))
        };
        Box::pin(context.scope(worked.instrument(span)))
    }
}

/// The trace that the caller is in, or a new one.
fn context(headers: &HeaderMap) -> TraceContext {
    let header = headers.get(TRACEPARENT).and_then(|it| it.to_str().ok());
    let came = header.and_then(TraceContext::read);
    came.map_or_else(TraceContext::begin, TraceContext::next)
}

/// The method that a call is of, as far as there is such a one.
fn method(path: &str) -> &'static str {
    const FLIGHT: [&str; 10] = [
        "Handshake",
        "ListFlights",
        "GetFlightInfo",
        "PollFlightInfo",
        "GetSchema",
        "DoGet",
        "DoPut",
        "DoExchange",
        "DoAction",
        "ListActions",
    ];
    let (service, called) = path.rsplit_once('/').unwrap_or_default();
    let of_flight = service == "/arrow.flight.protocol.FlightService";
    let known = FLIGHT.into_iter().find(|name| of_flight && *name == called);
    known.unwrap_or("call")
}

/// Where the connection of a call comes from.
fn origin(request: &Request<Body>) -> Option<SocketAddr> {
    let extensions = request.extensions();
    let plain = extensions.get::<TcpConnectInfo>();
    let secured = extensions.get::<TlsConnectInfo<TcpConnectInfo>>();
    plain
        .or(secured.map(TlsConnectInfo::get_ref))
        .and_then(TcpConnectInfo::remote_addr)
}

/// Whether the caller has shown a certificate of the mesh.
fn is_certified(request: &Request<Body>) -> bool {
    let secured = request.extensions().get::<TlsConnectInfo<TcpConnectInfo>>();
    secured.is_some_and(|secured| secured.peer_certs().is_some_and(|certs| !certs.is_empty()))
}

/// The answer to a call on its way: made in the call's trace, which is under way until it is dropped.
struct Outflow {
    body: Body,
    calls: Calls,
    context: TraceContext,
    span: Span,
    /// The call, for whoever collects traces.
    step: Step,
    _token: Option<TaskTrackerToken>,
}

impl http_body::Body for Outflow {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let (context, span) = (self.context, self.span.clone());
        let body = Pin::new(&mut self.body);
        let polled = context.within(|| span.in_scope(|| body.poll_frame(cx)));
        let frame = ready!(polled);
        if let Some(Ok(frame)) = &frame {
            if let Some(data) = frame.data_ref() {
                let sent = &self.calls.0.sent;
                sent.fetch_add(data.len() as u64, Ordering::Relaxed);
            }
            if let Some(trailers) = frame.trailers_ref() {
                let this = &mut *self;
                this.calls.note(trailers, &mut this.step);
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Outflow {
    fn drop(&mut self) {
        let (context, span) = (self.context, self.span.clone());
        let body = std::mem::take(&mut self.body);
        context.within(|| span.in_scope(|| drop(body)));
    }
}

fn stopping() -> Error {
    let message = "the server is about to stop and takes no new work";
    Error::new(ErrorKind::Unavailable, code::STOPPING, message)
        .with_hint("Try again in a few seconds, when it, or another one, is there.")
        .retry_after(COMING_BACK)
}

fn too_many_sign_ins() -> Error {
    let message = format!("{SIGN_INS} sign-ins are under way, as many as are checked at a time");
    Error::new(ErrorKind::ResourceExhausted, code::RESOURCES, message)
        .with_hint("Try again in a second.")
        .retry_after(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_new_is_refused_at_the_end() {
        for (method, is_new) in [
            ("Handshake", true),
            ("GetFlightInfo", true),
            ("GetSchema", true),
            ("DoPut", true),
            ("DoExchange", true),
            ("DoGet", false),
            ("DoAction", false),
        ] {
            let path = format!("/arrow.flight.protocol.FlightService/{method}");
            assert_eq!(Kind::of(&path).is_new(), is_new, "{method}");
        }
        assert_eq!(Kind::of("/weft.registry.v1.Registry/Join"), Kind::Other);
    }
}
