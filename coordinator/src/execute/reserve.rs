//! A fragment whose rows the client fetches at the node by itself.

use std::time::{Duration, SystemTime};

use arrow_flight::flight_service_client::FlightServiceClient;
use prost::Message;
use tokio::time::timeout;
use tonic::Request;
use weft_door::{Compression, Elsewhere, Recipient, schema};
use weft_governance::{Error, ErrorKind, code};
use weft_wire::rpc::fragment::{FragmentRequest, Reservation, Reserved};
use weft_wire::status::from_status;

use super::fragment_stream::{introduced, message};
use crate::plan::FragmentPlan;
use crate::query::QueryRun;

/// How long a node may take to say that it keeps a fragment.
const PATIENCE: Duration = Duration::from_secs(5);

/// Has the node of `fragment` keep it for `recipient`, and returns where and with what they fetch it.
///
/// # Errors
/// Whatever keeps the node from it, or from being asked.
pub async fn reserve(
    fragment: &FragmentPlan,
    recipient: &Recipient<'_>,
    run: &QueryRun,
) -> Result<Elsewhere, Error> {
    let reserved = timeout(PATIENCE, ask(fragment, recipient, run)).await;
    reserved.unwrap_or_else(|_| {
        let message = "the node did not say in time whether it keeps the fragment";
        Err(Error::new(
            ErrorKind::Unavailable,
            code::DOMAIN_UNAVAILABLE,
            message,
        ))
    })
}

async fn ask(
    fragment: &FragmentPlan,
    recipient: &Recipient<'_>,
    run: &QueryRun,
) -> Result<Elsewhere, Error> {
    let entry = run.registry().up(&fragment.site.node)?;
    let request = FragmentRequest {
        reservation: Some(Reservation {
            bearer: recipient.bearer.to_vec(),
            announced: schema::to_bytes(recipient.announced),
        }),
        ..message(fragment, &[], Compression::None, run)?
    };
    let step = run.trace().next();
    let (first, metadata) = introduced(&request, &fragment.site.node, run, step).await?;
    let mut request = Request::new(futures::stream::iter([first]));
    *request.metadata_mut() = metadata;
    let channel = run.channels().data(&entry).await?;
    let mut client = FlightServiceClient::new(channel.channel());
    let answer = client.do_exchange(request).await;
    let mut frames = answer.map_err(|status| from_status(&status))?.into_inner();
    let frame = frames.message().await;
    let frame = frame.map_err(|status| from_status(&status))?;
    let reserved = frame
        .filter(|frame| frame.data_header.is_empty())
        .and_then(|frame| Reserved::decode(frame.app_metadata).ok())
        .filter(|reserved| !reserved.ticket.is_empty())
        .ok_or_else(|| {
            let message = "the node does not keep fragments";
            Error::new(ErrorKind::Unsupported, code::UNSUPPORTED, message)
        })?;
    let lifetime = Duration::from_millis(reserved.lifetime_ms);
    Ok(Elsewhere {
        location: entry.client_endpoint.replacen("https://", "grpc+tls://", 1),
        ticket: reserved.ticket.into(),
        expires_at: SystemTime::now() + lifetime.min(Duration::from_secs(3600)),
    })
}
