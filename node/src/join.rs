//! The node's side of its place in a coordinator's mesh.

use std::time::Duration;

use futures::StreamExt;
use tokio::sync::{mpsc, watch};
use tokio::time::{interval, sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::AbortOnDropHandle;
use tonic::transport::Channel;
use tracing::{info, warn};
use weft_governance::{Error, ErrorKind, ServerId, code};
use weft_wire::identity::Identity;
use weft_wire::rpc::registry::coordinator_message::Message as Answer;
use weft_wire::rpc::registry::node_message::Message;
use weft_wire::rpc::registry::registry_client::RegistryClient;
use weft_wire::rpc::registry::{Announcement, Heartbeat, NodeMessage, Welcome};
use weft_wire::status::from_status;

use crate::settings::CoordinatorAddress;

const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
const WELCOME: Duration = Duration::from_secs(10);
/// Messages that may wait for a slow coordinator.
const AHEAD: usize = 4;

/// Keeps the node joined. Dropping it leaves.
pub(crate) struct Join {
    joined: watch::Receiver<bool>,
    _task: AbortOnDropHandle<()>,
}

impl Join {
    /// Joins the coordinator at `address`, and again whenever the connection is lost.
    pub(crate) fn start(
        address: &CoordinatorAddress,
        identity: &Identity,
        announced: watch::Receiver<Announcement>,
    ) -> Result<Self, Error> {
        let peer = ServerId::coordinator(&address.name).map_err(|error| {
            Error::new(ErrorKind::InvalidInput, code::SETTINGS, error.to_string())
        })?;
        let channel = identity
            .channel(&address.url, &peer, |endpoint| {
                endpoint
                    .connect_timeout(Duration::from_secs(3))
                    .http2_keep_alive_interval(Duration::from_secs(10))
                    .keep_alive_timeout(Duration::from_secs(5))
            })
            .map_err(|error| {
                Error::new(
                    ErrorKind::InvalidInput,
                    code::SETTINGS,
                    format!("`{}` is not the URL of a coordinator", address.url),
                )
                .with_hint("Write `coordinator.url` as `https://HOST:PORT`.")
                .caused_by(error)
            })?;
        let (said, joined) = watch::channel(false);
        let task = tokio::spawn(stay(channel, announced, said));
        Ok(Self {
            joined,
            _task: AbortOnDropHandle::new(task),
        })
    }

    /// Whether the coordinator has welcomed the node, as it changes.
    pub(crate) fn joined(&self) -> watch::Receiver<bool> {
        self.joined.clone()
    }
}

async fn stay(
    channel: Channel,
    announced: watch::Receiver<Announcement>,
    joined: watch::Sender<bool>,
) {
    let mut wait = FIRST_WAIT;
    loop {
        let error = visit(&channel, announced.clone(), &joined).await;
        if joined.send_replace(false) {
            wait = FIRST_WAIT;
        }
        warn!(%error, code = error.code(), retry_ms = wait.as_millis(), "not joined");
        sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// One stay, from the announcement to the error that ends it.
async fn visit(
    channel: &Channel,
    mut announced: watch::Receiver<Announcement>,
    joined: &watch::Sender<bool>,
) -> Error {
    let (messages, outgoing) = mpsc::channel(AHEAD);
    let announcement = announced.borrow_and_update().clone();
    let mut said = announcement.clone();
    // The channel is new and empty, so there is room.
    let _ = messages.try_send(message(Message::Announcement(announcement)));
    let mut client = RegistryClient::new(channel.clone());
    let call = client.join(ReceiverStream::new(outgoing));
    let mut answers = match timeout(WELCOME, call).await {
        Ok(Ok(answers)) => answers.into_inner(),
        Ok(Err(status)) => return from_status(&status),
        Err(_) => return lost("it did not answer"),
    };
    let Welcome {
        coordinator,
        heartbeat_interval_ms,
        ..
    } = match timeout(WELCOME, answers.next()).await {
        Ok(Some(Ok(answer))) => match answer.message {
            Some(Answer::Welcome(welcome)) => welcome,
            None => return lost("its answer is empty"),
        },
        Ok(Some(Err(status))) => return from_status(&status),
        Ok(None) | Err(_) => return lost("it did not answer"),
    };
    joined.send_replace(true);
    info!(coordinator, "joined");
    let mut beat = interval(Duration::from_millis(
        heartbeat_interval_ms.clamp(50, 60_000),
    ));
    loop {
        let next = tokio::select! {
            _ = beat.tick() => Message::Heartbeat(Heartbeat { epoch: said.epoch }),
            changed = announced.changed() => match changed {
                Ok(()) => {
                    let before = said;
                    said = announced.borrow_and_update().clone();
                    news(before, &said)
                }
                // What is served does not change any more.
                Err(_) => {
                    beat.tick().await;
                    Message::Heartbeat(Heartbeat { epoch: said.epoch })
                }
            },
            answer = answers.next() => return match answer {
                Some(Err(status)) => from_status(&status),
                Some(Ok(_)) => lost("it answered out of turn"),
                None => lost("it went away"),
            },
        };
        if messages.send(message(next)).await.is_err() {
            return lost("it went away");
        }
    }
}

/// What to send when `before` was said last. An epoch alone needs no announcement.
fn news(before: Announcement, now: &Announcement) -> Message {
    let epoch = now.epoch;
    match (Announcement { epoch, ..before }) == *now {
        true => Message::Heartbeat(Heartbeat { epoch }),
        false => Message::Announcement(now.clone()),
    }
}

fn message(message: Message) -> NodeMessage {
    NodeMessage {
        message: Some(message),
    }
}

fn lost(how: &'static str) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        code::CONNECT,
        format!("the coordinator is lost: {how}"),
    )
}
