//! The service over real connections, with the clients that the Flight library has.

mod calls;
mod fetching;
mod metadata;
mod prepared;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_flight::error::FlightError;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::{Action, FlightInfo, Ticket};
use futures::TryStreamExt;
use tonic::Status;
use tonic::service::Routes;
use tonic::transport::Channel;

use crate::limits::Limits;
use crate::memory::Memory;
use crate::serve::{Door, Listen};

type Client = FlightSqlServiceClient<Channel>;

/// An open door with its backend.
struct House {
    memory: Arc<Memory>,
    door: Door,
}

impl House {
    fn open() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        let memory = Arc::new(Memory::default());
        let listen = Listen {
            address: ([127, 0, 0, 1], 0).into(),
            tls: None,
        };
        let door = Door::open(listen, limits, Arc::clone(&memory), Routes::default());
        Self {
            memory,
            door: door.expect("opens"),
        }
    }

    async fn channel(&self) -> Channel {
        let url = format!("http://{}", self.door.address());
        Channel::from_shared(url)
            .expect("valid")
            .connect()
            .await
            .expect("connects")
    }

    async fn stranger(&self) -> Client {
        Client::new(self.channel().await)
    }

    async fn guest(&self, name: &str) -> Client {
        let mut client = self.stranger().await;
        client.handshake(name, "secret").await.expect("signs in");
        client
    }
}

fn ticket_of(info: &FlightInfo) -> Ticket {
    assert_eq!(info.endpoint.len(), 1);
    assert!(info.endpoint[0].location.is_empty());
    info.endpoint[0].ticket.clone().expect("a ticket")
}

/// Everything behind the ticket, with the schema that came first.
async fn fetch(client: &mut Client, info: &FlightInfo) -> (SchemaRef, Vec<RecordBatch>) {
    let mut stream = client.do_get(ticket_of(info)).await.expect("a stream");
    let mut batches = Vec::new();
    while let Some(batch) = stream.try_next().await.expect("a batch") {
        batches.push(batch);
    }
    (Arc::clone(stream.schema().expect("a schema")), batches)
}

async fn query(client: &mut Client, words: &str) -> (SchemaRef, Vec<RecordBatch>) {
    let info = client
        .execute(words.to_owned(), None)
        .await
        .expect("announced");
    fetch(client, &info).await
}

async fn act(client: &mut Client, name: &str, body: Vec<u8>) -> Result<Vec<u8>, Status> {
    let reply = client
        .do_action(Action::new(name, body))
        .await
        .map_err(status_of)?;
    let replies: Vec<_> = reply.try_collect().await?;
    Ok(replies
        .into_iter()
        .next()
        .map(|reply| reply.body.to_vec())
        .unwrap_or_default())
}

fn status_of(error: FlightError) -> Status {
    match error {
        FlightError::Tonic(status) => *status,
        error => panic!("{error}"),
    }
}

fn code_of(status: &Status) -> &str {
    status
        .metadata()
        .get("weft-code")
        .expect("a code")
        .to_str()
        .expect("ascii")
}
