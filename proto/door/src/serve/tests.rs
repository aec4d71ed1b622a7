use std::sync::Arc;
use std::time::Duration;

use arrow_flight::FlightData;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::client::FlightSqlServiceClient;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tonic::service::Routes;
use tonic::transport::Channel;
use weft_governance::{ServerId, code};
use weft_wire::identity::{Identity, install_crypto_provider, tls_name};

use super::{Door, Listen};
use crate::limits::Limits;
use crate::memory::Memory;

fn open(limits: Limits) -> Door {
    let listen = Listen {
        address: ([127, 0, 0, 1], 0).into(),
        tls: None,
    };
    Door::open(
        listen,
        limits,
        Arc::new(Memory::default()),
        Routes::default(),
    )
    .expect("opens")
}

async fn connect(door: &Door) -> FlightSqlServiceClient<Channel> {
    let url = format!("http://{}", door.address());
    let channel = Channel::from_shared(url)
        .expect("valid")
        .connect()
        .await
        .expect("connects");
    FlightSqlServiceClient::new(channel)
}

#[tokio::test]
async fn a_door_that_others_could_reach_needs_tls() {
    let listen = Listen {
        address: ([0, 0, 0, 0], 0).into(),
        tls: None,
    };
    let backend = Arc::new(Memory::default());
    let error = Door::open(listen, Limits::default(), backend, Routes::default());
    let error = error.expect_err("refused");
    assert_eq!(error.code(), code::SETTINGS);
    assert!(
        error
            .hint()
            .is_some_and(|hint| hint.contains("`tls`") && hint.contains("`listen`"))
    );
}

#[tokio::test]
async fn an_address_in_use_is_refused() {
    let door = open(Limits::default());
    let listen = Listen {
        address: door.address(),
        tls: None,
    };
    let backend = Arc::new(Memory::default());
    let second = Door::open(listen, Limits::default(), backend, Routes::default());
    assert_eq!(second.expect_err("in use").code(), code::SETTINGS);
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_at_once() {
    let door = open(Limits {
        connections: 1,
        ..Limits::default()
    });
    let mut first = connect(&door).await;
    first
        .handshake("analyst", "secret")
        .await
        .expect("the only one");
    let mut second = TcpStream::connect(door.address())
        .await
        .expect("accepted by the system");
    assert_eq!(second.read(&mut [0; 1]).await.unwrap_or(0), 0);
    first
        .execute("numbers 1".to_owned(), None)
        .await
        .expect("not disturbed");
}

#[tokio::test]
async fn headers_of_a_call_are_bounded() {
    let door = open(Limits::default());
    let mut client = connect(&door).await;
    client
        .handshake("analyst", "secret")
        .await
        .expect("signs in");
    client.set_header("x-large", "x".repeat(40 << 10));
    client
        .execute("numbers 1".to_owned(), None)
        .await
        .expect("within the limit");
    client.set_header("x-large", "x".repeat(100 << 10));
    assert!(client.execute("numbers 1".to_owned(), None).await.is_err());
}

#[tokio::test]
async fn a_connection_that_does_not_speak_is_dropped() {
    let door = open(Limits {
        handshake: Duration::from_millis(20),
        ..Limits::default()
    });
    let mut silent = TcpStream::connect(door.address()).await.expect("accepted");
    let mut said = Vec::new();
    // Whatever the server says first, it hangs up by itself.
    let _ = silent.read_to_end(&mut said).await;
}

#[tokio::test]
async fn a_stopped_door_cuts_what_does_not_end() {
    let door = open(Limits {
        drain: Duration::from_millis(20),
        ..Limits::default()
    });
    let address = door.address();
    let mut client = connect(&door).await;
    client
        .handshake("analyst", "secret")
        .await
        .expect("signs in");
    let info = client
        .execute("endless".to_owned(), None)
        .await
        .expect("announced");
    let ticket = info.endpoint[0].ticket.clone().expect("a ticket");
    let stream = client.do_get(ticket).await.expect("a stream");
    door.stop().await;
    let outcome: Result<Vec<_>, _> = futures::TryStreamExt::try_collect(stream).await;
    assert!(outcome.is_err());
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_dropped_door_cuts_its_connections() {
    let door = open(Limits::default());
    let mut client = connect(&door).await;
    client
        .handshake("analyst", "secret")
        .await
        .expect("signs in");
    drop(door);
    assert!(client.execute("numbers 1".to_owned(), None).await.is_err());
}

/// Certificates of a mesh of one authority, for the servers named.
fn identities<const N: usize>(servers: [&str; N]) -> [Identity; N] {
    let ca_key = rcgen::KeyPair::generate().expect("key");
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = rcgen::CertifiedIssuer::self_signed(params, ca_key).expect("certificate");
    servers.map(|server| {
        let id: ServerId = server.parse().expect("valid");
        let key = rcgen::KeyPair::generate().expect("key");
        let params = rcgen::CertificateParams::new([tls_name(&id)]).expect("valid");
        let certificate = params.signed_by(&key, &ca).expect("certificate");
        Identity::new(id, certificate.pem(), key.serialize_pem(), ca.pem()).expect("fits")
    })
}

#[tokio::test]
async fn an_exchange_knows_the_server_that_made_it() {
    let [node, coordinator] = identities(["node/sales/one", "coordinator/main"]);
    install_crypto_provider();
    let listen = Listen {
        address: ([127, 0, 0, 1], 0).into(),
        tls: Some(node.server_config().expect("usable")),
    };
    let memory = Arc::new(Memory::default());
    let door = Door::open(
        listen,
        Limits::default(),
        Arc::clone(&memory),
        Routes::default(),
    );
    let url = format!("https://{}", door.as_ref().expect("opens").address());
    let channel = Channel::from_shared(url).expect("valid");
    let channel = channel
        .tls_config(coordinator.client_tls(node.id()))
        .expect("valid");
    let mut client = FlightServiceClient::new(channel.connect().await.expect("connects"));
    let first = FlightData::new().with_app_metadata("first");
    // No token: the certificate alone lets the call through to the backend.
    client
        .do_exchange(futures::stream::iter([first]))
        .await
        .expect("accepted");
    let peers = memory.peers.lock().expect("not poisoned").clone();
    assert_eq!(peers, [coordinator.id().clone()]);
}

#[test]
fn limits_are_read_as_people_write_them() {
    let limits: Limits =
        serde_json::from_str(r#"{"message": "8MiB", "handshake": "3s"}"#).expect("valid");
    assert_eq!(
        (limits.message, limits.handshake),
        (8 << 20, Duration::from_secs(3))
    );
    assert!(serde_json::from_str::<Limits>(r#"{"mesage": "8MiB"}"#).is_err());
    let text = serde_json::to_string(&Limits::default()).expect("written");
    assert_eq!(
        serde_json::from_str::<Limits>(&text).expect("read"),
        Limits::default()
    );
    assert!(text.contains(r#""message":"64MiB""#) && text.contains(r#""handshake":"10s""#));
}

#[tokio::test]
async fn silent_connections_make_room_for_one_that_speaks() {
    let door = open(Limits {
        connections: 8,
        ..Limits::default()
    });
    let mut settled = connect(&door).await;
    settled
        .handshake("analyst", "secret")
        .await
        .expect("signs in");
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(TcpStream::connect(door.address()).await.expect("accepted"));
    }
    let mut late = connect(&door).await;
    late.handshake("analyst", "secret").await.expect("let in");
    for client in [&mut settled, &mut late] {
        client
            .execute("numbers 1".to_owned(), None)
            .await
            .expect("not disturbed");
    }
}

#[tokio::test]
async fn a_wrong_password_does_not_settle_a_connection() {
    let door = open(Limits {
        connections: 2,
        ..Limits::default()
    });
    let mut guessing = Vec::new();
    for _ in 0..6 {
        let mut client = connect(&door).await;
        let wrong = client.handshake("analyst", "wrong").await;
        wrong.expect_err("refused");
        guessing.push(client);
    }
    let mut honest = connect(&door).await;
    honest.handshake("analyst", "secret").await.expect("let in");
    // Both places are taken now by those who have signed in.
    let mut other = connect(&door).await;
    other.handshake("analyst", "secret").await.expect("let in");
    let third = Channel::from_shared(format!("http://{}", door.address()));
    let refused = async {
        let channel = third.expect("valid").connect().await?;
        let mut client = FlightServiceClient::new(channel);
        let listed = client.list_actions(arrow_flight::Empty {}).await;
        Ok::<_, tonic::transport::Error>(listed.is_err())
    };
    assert!(refused.await.unwrap_or(true));
}

/// What is said to a call with a statement of so many bytes that says not who makes it.
async fn told(channel: &Channel, bytes: usize) -> weft_governance::Error {
    let descriptor = arrow_flight::FlightDescriptor::new_cmd(vec![0; bytes]);
    let mut client = FlightServiceClient::new(channel.clone());
    let answer = client.get_flight_info(descriptor).await;
    weft_wire::status::from_status(&answer.expect_err("nobody says who they are"))
}

async fn channel(door: &Door) -> Channel {
    let channel = Channel::from_shared(format!("http://{}", door.address())).expect("valid");
    channel.connect().await.expect("connects")
}

/// A connection on which somebody has signed in.
async fn settled(door: &Door) -> Channel {
    let channel = channel(door).await;
    let mut client = FlightSqlServiceClient::new(channel.clone());
    client.handshake("analyst", "secret").await.expect("let in");
    channel
}

#[tokio::test]
async fn a_call_without_rows_brings_little() {
    let door = open(Limits::default());
    let settled = settled(&door).await;
    let refused = told(&settled, 5 << 20).await;
    assert_eq!(refused.code(), code::RESOURCES, "{refused}");
    assert!(
        refused
            .hint()
            .is_some_and(|hint| hint.contains("door.control"))
    );
    let little = told(&settled, 1 << 20).await;
    assert_eq!(
        little.code(),
        code::UNAUTHENTICATED,
        "the control: {little}"
    );
}

#[tokio::test]
async fn a_stranger_brings_very_little_and_takes_nothing_from_others() {
    let door = open(Limits {
        incoming: 1 << 20,
        ..Limits::default()
    });
    let stranger = channel(&door).await;
    for _ in 0..8 {
        let refused = told(&stranger, 1 << 19).await;
        assert_eq!(refused.code(), code::RESOURCES, "{refused}");
        assert!(refused.hint().is_some_and(|hint| hint.contains("Sign in")));
        let little = told(&stranger, 1 << 17).await;
        assert_eq!(
            little.code(),
            code::UNAUTHENTICATED,
            "the control: {little}"
        );
    }
    let settled = settled(&door).await;
    let let_through = told(&settled, 1 << 19).await;
    assert_eq!(let_through.code(), code::UNAUTHENTICATED, "{let_through}");
}

#[tokio::test]
async fn all_calls_together_bring_no_more_than_is_allowed() {
    let door = open(Limits {
        incoming: 1 << 20,
        ..Limits::default()
    });
    let settled = settled(&door).await;
    let refused = told(&settled, 2 << 20).await;
    assert_eq!(refused.code(), code::RESOURCES, "{refused}");
    assert!(refused.retries_after().is_some() && refused.hint().is_some());
    for _ in 0..8 {
        let little = told(&settled, 1 << 19).await;
        assert_eq!(little.code(), code::UNAUTHENTICATED, "given back: {little}");
    }
}

#[tokio::test]
async fn a_door_that_drains_refuses_new_work_and_lets_results_be_fetched() {
    let door = open(Limits::default());
    let mut client = connect(&door).await;
    client
        .handshake("analyst", "secret")
        .await
        .expect("signs in");
    let info = client
        .execute("numbers 3".to_owned(), None)
        .await
        .expect("announced");
    assert!(door.vitals().accepting());
    door.drain().await;
    assert!(!door.vitals().accepting());
    let refused = client.execute("numbers 1".to_owned(), None).await;
    let refused = match refused.expect_err("refused") {
        arrow_flight::error::FlightError::Tonic(status) => *status,
        other => panic!("{other}"),
    };
    let refused = weft_wire::status::from_status(&refused);
    assert_eq!(refused.code(), code::STOPPING, "{refused}");
    assert!(refused.retries_after().is_some() && refused.hint().is_some());
    let ticket = info.endpoint[0].ticket.clone().expect("a ticket");
    let rows = client.do_get(ticket).await.expect("a stream");
    let rows: Vec<_> = futures::TryStreamExt::try_collect(rows)
        .await
        .expect("rows");
    assert_eq!(rows.iter().map(|batch| batch.num_rows()).sum::<usize>(), 3);
}

#[tokio::test]
async fn a_door_says_how_it_is_doing() {
    let door = open(Limits::default());
    let mut client = connect(&door).await;
    client
        .handshake("analyst", "wrong")
        .await
        .expect_err("refused");
    client
        .handshake("analyst", "secret")
        .await
        .expect("signs in");
    let readings = format!("{:?}", super::DoorVitals::readings(&[&door.vitals()]));
    for (name, value) in [
        ("connections", "[(None, 1)]"),
        ("sessions", "[(None, 1)]"),
        (
            "calls_failed",
            "[(Some((\"code\", \"WEFT-UNAUTHENTICATED\")), 1)]",
        ),
    ] {
        let reading = readings
            .split("Reading {")
            .find(|it| it.contains(&format!("\"{name}\"")));
        let reading = reading.expect("a reading");
        assert!(reading.contains(value), "{reading}");
    }
}
