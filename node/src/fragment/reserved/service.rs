//! What coordinators learn of their reservations, and how they end them.

use futures::StreamExt;
use futures::stream::BoxStream;
use tonic::{Request, Response, Status};
use weft_governance::{Error, ErrorKind, ServerId, code};
use weft_wire::identity::peer_of;
use weft_wire::rpc::fragment::reservations_server::Reservations as Calls;
use weft_wire::rpc::fragment::{Fetch, WatchRequest, WithdrawRequest, WithdrawResponse};
use weft_wire::status::to_status;

use super::Reservations;
use crate::fragment::engine::malformed;

/// The service behind [`Reservations`].
pub(crate) struct ReservationService(Reservations);

impl ReservationService {
    pub(crate) fn new(reservations: Reservations) -> Self {
        Self(reservations)
    }
}

#[tonic::async_trait]
impl Calls for ReservationService {
    type WatchStream = BoxStream<'static, Result<Fetch, Status>>;

    async fn watch(
        &self,
        request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let coordinator = coordinator(&request).map_err(|error| to_status(&error))?;
        let fetches = self.0.watch(coordinator).map(Ok).boxed();
        Ok(Response::new(fetches))
    }

    async fn withdraw(
        &self,
        request: Request<WithdrawRequest>,
    ) -> Result<Response<WithdrawResponse>, Status> {
        let coordinator = coordinator(&request).map_err(|error| to_status(&error))?;
        let query = request.into_inner().query_id.parse();
        let query = query.map_err(|_| to_status(&malformed("query id")))?;
        self.0.withdraw(&coordinator, query);
        Ok(Response::new(WithdrawResponse {}))
    }
}

/// Who calls, by their certificate.
fn coordinator<T>(request: &Request<T>) -> Result<ServerId, Error> {
    let peer = peer_of(request).map(|peer| peer.server);
    let coordinator = peer.filter(|server| matches!(server, ServerId::Coordinator { .. }));
    coordinator.ok_or_else(|| {
        let message = "only a coordinator of the mesh has reservations";
        Error::new(ErrorKind::Unauthenticated, code::UNAUTHENTICATED, message)
    })
}
