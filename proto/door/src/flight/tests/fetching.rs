use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema};
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::{CommandStatementQuery, ProstMessageExt, TicketStatementQuery};
use arrow_flight::{
    Action, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, FlightDescriptor,
    FlightEndpoint, FlightInfo, RenewFlightEndpointRequest, Ticket,
};
use futures::TryStreamExt;
use proptest::prelude::*;
use prost::Message;
use tonic::Code;

use super::{House, act, code_of, fetch, query, status_of, ticket_of};

fn rows(batches: &[RecordBatch]) -> usize {
    batches.iter().map(RecordBatch::num_rows).sum()
}

fn authorized<T>(body: T, bearer: &str) -> tonic::Request<T> {
    let mut request = tonic::Request::new(body);
    let header = format!("Bearer {bearer}").parse().expect("ascii");
    request.metadata_mut().insert("authorization", header);
    request
}

#[tokio::test]
async fn every_announcement_of_a_result_has_the_schema_that_arrives() {
    let house = House::open();
    let mut client = house.guest("analyst").await;
    let bearer = client.token().expect("signed in").clone();
    for words in ["numbers 10", "numbers 0", "views 3"] {
        let info = client
            .execute(words.to_owned(), None)
            .await
            .expect("announced");
        let announced = info.clone().try_decode_schema().expect("a schema");
        let (arrived, _) = fetch(&mut client, &info).await;
        assert_eq!(*arrived, announced);
        let statement = client
            .prepare(words.to_owned(), None)
            .await
            .expect("prepared");
        assert_eq!(*statement.dataset_schema().expect("given"), announced);
        let command = CommandStatementQuery {
            query: words.to_owned(),
            transaction_id: None,
        };
        let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
        let mut raw = FlightServiceClient::new(house.channel().await);
        let schema = raw
            .get_schema(authorized(descriptor.clone(), &bearer))
            .await;
        let schema = Schema::try_from(schema.expect("a schema").into_inner());
        assert_eq!(schema.expect("decodes"), announced);
        let poll = raw
            .poll_flight_info(authorized(descriptor, &bearer))
            .await
            .expect("complete");
        assert!(poll.get_ref().flight_descriptor.is_none() && poll.get_ref().info.is_some());
    }
}

/// It runs when it is fetched: there is nothing to wait for before.
#[tokio::test]
async fn a_query_that_takes_long_is_complete_as_soon_as_it_is_polled() {
    let house = House::open();
    let client = house.guest("analyst").await;
    let bearer = client.token().expect("signed in").clone();
    let command = CommandStatementQuery {
        query: "silent".to_owned(),
        transaction_id: None,
    };
    let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
    let mut raw = FlightServiceClient::new(house.channel().await);
    let poll = raw.poll_flight_info(authorized(descriptor, &bearer)).await;
    let poll = poll.expect("complete").into_inner();
    assert_eq!(poll.flight_descriptor, None);
    assert_eq!(poll.progress, Some(1.0));
    let info = poll.info.expect("a result");
    let [endpoint] = info.endpoint.as_slice() else {
        panic!("one endpoint");
    };
    // Whether anybody fetches it or not, it ends.
    assert!(endpoint.expiration_time.is_some());
    assert_eq!(poll.expiration_time, endpoint.expiration_time);
    let ticket = endpoint.ticket.clone().expect("a ticket");
    let fetching = raw.do_get(authorized(ticket.clone(), &bearer)).await;
    let mut rows = fetching.expect("a stream").into_inner();
    assert!(rows.message().await.expect("the schema").is_some());
    let cancel = Action::new(
        "CancelFlightInfo",
        CancelFlightInfoRequest::new(info).encode_to_vec(),
    );
    raw.do_action(authorized(cancel, &bearer))
        .await
        .expect("cancelled");
    rows.message().await.expect_err("an end");
}

#[tokio::test]
async fn rows_arrive_under_the_announced_names_and_types() {
    let house = House::open();
    let mut client = house.guest("analyst").await;
    let (schema, batches) = query(&mut client, "numbers 100000").await;
    assert_eq!(rows(&batches), 100_000);
    assert_eq!(
        (
            schema.field(0).name().as_str(),
            schema.field(0).is_nullable()
        ),
        ("n", true)
    );
    let (schema, batches) = query(&mut client, "views 10").await;
    assert_eq!(
        (schema.field(0).data_type(), rows(&batches)),
        (&DataType::Utf8, 10)
    );
}

#[tokio::test]
async fn a_result_without_rows_has_a_schema() {
    let house = House::open();
    let mut client = house.guest("analyst").await;
    let (schema, batches) = query(&mut client, "numbers 0").await;
    assert_eq!((schema.fields().len(), rows(&batches)), (1, 0));
    let (schema, batches) = query(&mut client, "touch").await;
    assert_eq!((schema.fields().len(), rows(&batches)), (0, 0));
}

#[tokio::test]
async fn a_failure_between_batches_ends_the_stream_with_its_code() {
    let house = House::open();
    let mut client = house.guest("analyst").await;
    let info = client
        .execute("failing".to_owned(), None)
        .await
        .expect("announced");
    let mut stream = client.do_get(ticket_of(&info)).await.expect("a stream");
    assert!(stream.try_next().await.expect("the first batch").is_some());
    let status = status_of(stream.try_next().await.expect_err("the failure"));
    assert_eq!(
        (status.code(), code_of(&status)),
        (Code::Unavailable, "WEFT-DOMAIN-UNAVAILABLE")
    );
    assert_eq!(
        status.metadata().get("weft-domain").expect("named"),
        "sales"
    );
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_its_query() {
    let house = House::open();
    let mut client = house.guest("analyst").await;
    for words in ["endless", "silent"] {
        let info = client
            .execute(words.to_owned(), None)
            .await
            .expect("announced");
        let bearer = client.token().expect("signed in").clone();
        let mut raw = FlightServiceClient::new(house.channel().await);
        let request = authorized(ticket_of(&info), &bearer);
        let mut stream = raw.do_get(request).await.expect("headers").into_inner();
        stream
            .message()
            .await
            .expect("the schema")
            .expect("the schema");
        if words == "endless" {
            stream.message().await.expect("rows").expect("rows");
        }
        drop(stream);
        house.memory.dropped.notified().await;
    }
}

#[tokio::test]
async fn another_call_cancels_a_query() {
    let house = House::open();
    let mut client = house.guest("analyst").await;
    let info = client
        .execute("endless".to_owned(), None)
        .await
        .expect("announced");
    let mut stream = client.do_get(ticket_of(&info)).await.expect("a stream");
    stream.try_next().await.expect("the first batch");
    let body = CancelFlightInfoRequest::new(info.clone()).encode_to_vec();
    let reply = act(&mut client, "CancelFlightInfo", body.clone())
        .await
        .expect("cancelled");
    let result = CancelFlightInfoResult::decode(reply.as_slice()).expect("decodes");
    assert_eq!(result.status(), CancelStatus::Cancelled);
    let status = status_of(stream.try_next().await.expect_err("cancelled"));
    assert_eq!(
        (status.code(), code_of(&status)),
        (Code::Cancelled, "WEFT-CANCELLED")
    );
    house.memory.dropped.notified().await;

    let mut other = house.guest("owner").await;
    let status = act(&mut other, "CancelFlightInfo", body)
        .await
        .expect_err("not theirs");
    assert_eq!(status.code(), Code::NotFound);
}

#[tokio::test]
async fn a_query_ends_with_the_time_that_the_client_allows() {
    let house = House::open();
    let mut client = house.guest("analyst").await;
    client.set_header("grpc-timeout", "50m");
    let info = client
        .execute("endless".to_owned(), None)
        .await
        .expect("announced");
    let error = match client.do_get(ticket_of(&info)).await {
        Ok(stream) => stream.try_collect::<Vec<_>>().await.expect_err("too late"),
        Err(error) => error,
    };
    assert!(matches!(error, FlightError::Tonic(_)), "{error}");
    house.memory.dropped.notified().await;
}

#[tokio::test]
async fn a_closed_session_ends_its_streams() {
    let house = House::open();
    let mut client = house.guest("analyst").await;
    let info = client
        .execute("endless".to_owned(), None)
        .await
        .expect("announced");
    let mut stream = client.do_get(ticket_of(&info)).await.expect("a stream");
    stream.try_next().await.expect("the first batch");
    act(&mut client, "CloseSession", vec![])
        .await
        .expect("closed");
    assert_eq!(
        status_of(stream.try_next().await.expect_err("ended")).code(),
        Code::Cancelled
    );
}

#[tokio::test]
async fn a_ticket_is_redeemed_in_any_session_of_its_owner_and_of_no_other() {
    let house = House::open();
    let mut client = house.guest("analyst").await;
    let info = client
        .execute("numbers 10".to_owned(), None)
        .await
        .expect("announced");
    let mut second = house.stranger().await;
    second.set_token(client.token().expect("signed in").clone());
    assert_eq!(rows(&fetch(&mut second, &info).await.1), 10);

    let mut beside = house.guest("analyst").await;
    assert_eq!(rows(&fetch(&mut beside, &info).await.1), 10);

    let mut other = house.guest("someone").await;
    let foreign = status_of(
        other
            .do_get(ticket_of(&info))
            .await
            .expect_err("not theirs"),
    );
    assert_eq!(foreign.code(), Code::NotFound);
    let garbage = Ticket::new("no ticket at all");
    let garbage = status_of(client.do_get(garbage).await.expect_err("garbage"));
    assert_eq!(
        (garbage.code(), garbage.message()),
        (Code::NotFound, foreign.message())
    );
}

#[tokio::test]
async fn a_result_is_kept_for_longer_if_that_is_asked_for() {
    let house = House::open();
    let mut client = house.guest("analyst").await;
    let info = client
        .execute("numbers 10".to_owned(), None)
        .await
        .expect("announced");
    let endpoint = info.endpoint[0].clone();
    let until = endpoint.expiration_time.expect("an end");
    let renew = |endpoint: FlightEndpoint| {
        let request = RenewFlightEndpointRequest {
            endpoint: Some(endpoint),
        };
        request.encode_to_vec()
    };
    let renewed = act(&mut client, "RenewFlightEndpoint", renew(endpoint.clone()))
        .await
        .expect("renewed");
    let renewed = FlightEndpoint::decode(renewed.as_slice()).expect("decodes");
    assert!(renewed.expiration_time.expect("an end").seconds >= until.seconds);
    assert_ne!(renewed.ticket, endpoint.ticket);
    let info = FlightInfo::new().with_endpoint(renewed);
    assert_eq!(rows(&fetch(&mut client, &info).await.1), 10);

    let mut other = house.guest("someone").await;
    for foreign in [endpoint, FlightEndpoint::default()] {
        let refused = act(&mut other, "RenewFlightEndpoint", renew(foreign)).await;
        assert_eq!(refused.expect_err("not theirs").code(), Code::NotFound);
    }
}

#[tokio::test]
async fn a_call_ends_when_the_client_gives_up() {
    let house = House::open();
    let client = house.guest("analyst").await;
    let info = {
        let mut client = client.clone();
        client.execute("silent".to_owned(), None).await
    };
    let mut client = client;
    client.set_header("grpc-timeout", "50m");
    let mut stream = client
        .do_get(ticket_of(&info.expect("announced")))
        .await
        .expect("a stream");
    let status = status_of(stream.try_next().await.expect_err("too late"));
    assert_eq!(status.code(), Code::DeadlineExceeded);
}

#[test]
fn made_up_tickets_are_not_found() {
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    let (house, client) = runtime.block_on(async {
        let house = House::open();
        let client = house.guest("analyst").await;
        (house, client)
    });
    let outcome = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(200)).run(
        &(prop::collection::vec(any::<u8>(), 0..100), any::<bool>()),
        |(bytes, wrapped)| {
            let mut client = client.clone();
            let ticket = if wrapped {
                TicketStatementQuery {
                    statement_handle: bytes.into(),
                }
                .as_any()
                .encode_to_vec()
            } else {
                bytes
            };
            let outcome = runtime.block_on(client.do_get(Ticket::new(ticket)));
            let status = status_of(outcome.expect_err("refused"));
            prop_assert_eq!(status.code(), Code::NotFound);
            Ok(())
        },
    );
    outcome.expect("not found");
    drop(house);
}

#[tokio::test]
async fn many_cursors_share_a_connection() {
    let house = House::open();
    let client = house.guest("analyst").await;
    let cursors = (0..50).map(|cursor| {
        let mut client = client.clone();
        async move {
            let (_, batches) = query(&mut client, &format!("numbers {}", cursor * 100)).await;
            assert_eq!(rows(&batches), cursor * 100);
        }
    });
    futures::future::join_all(cursors).await;
    drop(Arc::clone(&house.memory));
}

#[tokio::test]
async fn rows_of_other_columns_than_were_announced_never_arrive() {
    let house = House::open();
    let mut client = house.guest("analyst").await;
    let info = client
        .execute("drifted".to_owned(), None)
        .await
        .expect("announced");
    let mut stream = client.do_get(ticket_of(&info)).await.expect("a stream");
    let status = status_of(stream.try_next().await.expect_err("other columns"));
    assert_eq!(
        (status.code(), code_of(&status)),
        (Code::FailedPrecondition, "WEFT-SCHEMA-DRIFT")
    );
}
