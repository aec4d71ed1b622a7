use std::collections::HashMap;

use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::{CommandStatementIngest, ProstMessageExt};
use arrow_flight::{
    Action, Criteria, Empty, FlightData, FlightDescriptor, HandshakeRequest, Ticket,
};
use futures::{StreamExt, TryStreamExt, stream};
use prost::Message;
use tonic::metadata::MetadataMap;
use tonic::{Code, IntoRequest, IntoStreamingRequest, Status};

use super::{Client, House, act, code_of, fetch, query, status_of};
use crate::flight::message::{
    CloseSessionResult, CloseSessionStatus, GetSessionOptionsResult, OptionValue,
    SessionOptionValue, SetSessionOptionErrorValue, SetSessionOptionsRequest,
    SetSessionOptionsResult, StringListValue,
};
use crate::limits::Limits;

#[tokio::test]
async fn a_right_password_lets_in_and_a_wrong_one_does_not() {
    let house = House::open();
    let mut client = house.stranger().await;
    client.handshake("analyst", "secret").await.expect("right");
    assert!(client.token().is_some_and(|bearer| bearer.len() >= 43));
    let mut client = house.stranger().await;
    let error = client
        .handshake("analyst", "guess")
        .await
        .expect_err("wrong");
    assert!(
        error.to_string().contains("wrong name or password"),
        "{error}"
    );
    assert!(client.handshake("brief", "secret").await.is_err());
}

#[tokio::test]
async fn a_handshake_with_a_bearer_keeps_it_and_with_a_token_gives_a_bearer() {
    let house = House::open();
    let bearer = house
        .guest("analyst")
        .await
        .token()
        .expect("signed in")
        .clone();
    for (value, kept) in [
        (bearer.as_str(), Some(true)),
        ("good.to.ken", Some(false)),
        ("None", None),
    ] {
        let mut request = stream::iter([HandshakeRequest::default()]).into_request();
        let header = format!("Bearer {value}");
        request
            .metadata_mut()
            .insert("authorization", header.parse().expect("ascii"));
        let reply = FlightServiceClient::new(house.channel().await)
            .handshake(request)
            .await;
        match reply {
            Ok(reply) => {
                let given = reply.metadata().get("authorization").expect("a bearer");
                assert_eq!(Some(given == header.as_str()), kept);
            }
            Err(status) => assert_eq!((status.code(), kept), (Code::Unauthenticated, None)),
        }
    }
}

/// Some drivers listen before they speak, others speak after they were answered.
#[tokio::test]
async fn a_handshake_is_answered_at_once_and_ends_with_the_client() {
    let house = House::open();
    let (speak, said) = tokio::sync::mpsc::channel(1);
    let said = stream::unfold(said, |mut said| async {
        said.recv().await.map(|message| (message, said))
    });
    let mut request = said.into_streaming_request();
    let header = "Basic YW5hbHlzdDpzZWNyZXQ=".parse().expect("ascii");
    request.metadata_mut().insert("authorization", header);
    let mut replies = FlightServiceClient::new(house.channel().await)
        .handshake(request)
        .await
        .expect("signed in")
        .into_inner();
    assert!(replies.message().await.expect("a reply").is_some());
    speak
        .send(HandshakeRequest::default())
        .await
        .expect("heard");
    drop(speak);
    assert!(replies.message().await.expect("an end").is_none());
}

#[tokio::test]
async fn every_call_without_a_sign_in_is_refused_in_the_same_words() {
    let house = House::open();
    for authorization in [
        None,
        Some("Bearer None"),
        Some("Basic"),
        Some("Bearer bad.to.ken"),
    ] {
        for (name, status) in calls(&house, authorization).await {
            let status = status.expect_err(name);
            assert_eq!(
                status.code(),
                Code::Unauthenticated,
                "{name} {authorization:?}"
            );
        }
    }
    let refusals: Vec<_> = calls(&house, None)
        .await
        .into_iter()
        .map(|(_, r)| r)
        .collect();
    let first = refusals[0]
        .as_ref()
        .expect_err("refused")
        .message()
        .to_owned();
    assert!(
        refusals
            .iter()
            .all(|r| r.as_ref().is_err_and(|status| status.message() == first))
    );
}

#[tokio::test]
async fn every_call_with_a_sign_in_is_let_in() {
    let house = House::open();
    let bearer = house
        .guest("analyst")
        .await
        .token()
        .expect("signed in")
        .clone();
    for (name, outcome) in calls(&house, Some(&format!("Bearer {bearer}"))).await {
        let code = outcome.map_or_else(|status| status.code(), |()| Code::Ok);
        assert_ne!(code, Code::Unauthenticated, "{name}");
    }
}

/// The outcome of every call that Flight has.
async fn calls(
    house: &House,
    authorization: Option<&str>,
) -> Vec<(&'static str, Result<(), Status>)> {
    fn ready<T>(body: T, authorization: Option<&str>) -> tonic::Request<T> {
        let mut request = tonic::Request::new(body);
        if let Some(header) = authorization {
            request
                .metadata_mut()
                .insert("authorization", header.parse().expect("ascii"));
        }
        request
    }
    let command = arrow_flight::sql::CommandGetCatalogs {}
        .as_any()
        .encode_to_vec();
    let descriptor = FlightDescriptor::new_cmd(command.clone());
    let first = FlightData::new().with_descriptor(descriptor.clone());
    let mut client = FlightServiceClient::new(house.channel().await);
    let mut outcomes = Vec::new();
    macro_rules! call {
        ($name:ident, $body:expr) => {
            let outcome = client.$name(ready($body, authorization)).await;
            outcomes.push((stringify!($name), outcome.map(|_| ())));
        };
    }
    call!(handshake, stream::iter([HandshakeRequest::default()]));
    call!(list_flights, Criteria::default());
    call!(get_flight_info, descriptor.clone());
    call!(poll_flight_info, descriptor.clone());
    call!(get_schema, descriptor);
    call!(do_get, Ticket::new(command));
    call!(do_put, stream::iter([first.clone()]));
    // The backend decides about exchanges that bring any authorization at all.
    if authorization.is_none_or(|header| header.contains("Bearer") && header.len() > 20) {
        call!(do_exchange, stream::iter([first]));
    }
    call!(do_action, Action::new("GetSessionOptions", ""));
    call!(list_actions, Empty::default());
    outcomes
}

#[tokio::test]
async fn a_refusal_of_the_backend_arrives_with_its_code_and_hint() {
    let house = House::open();
    let mut client = house.guest("outsider").await;
    let status = status_of(
        client
            .execute("numbers 1".to_owned(), None)
            .await
            .expect_err("denied"),
    );
    assert_eq!(status.code(), Code::PermissionDenied);
    assert_eq!(
        status.message(),
        "`sales.orders` is not granted\nhint: REQUEST ACCESS TO sales.orders"
    );
    assert_eq!(code_of(&status), "WEFT-NOT-GRANTED");
    assert!(status.metadata().get_bin("weft-hint-bin").is_some());
}

#[tokio::test]
async fn a_command_runs_once_when_it_is_asked_for_and_replays_its_result() {
    let house = House::open();
    let mut client = house.guest("analyst").await;
    client
        .execute("touch".to_owned(), None)
        .await
        .expect("ran without a fetch");
    assert_eq!(house.memory.commands(), 1);
    let info = client.execute("count".to_owned(), None).await.expect("ran");
    assert_eq!((house.memory.commands(), info.total_records), (2, 1));
    let first = fetch(&mut client, &info).await;
    assert_eq!(first, fetch(&mut client, &info).await);
    assert_eq!(house.memory.commands(), 2);
    let mut statement = client
        .prepare("touch".to_owned(), None)
        .await
        .expect("prepared");
    assert_eq!(house.memory.commands(), 2);
    statement.execute().await.expect("ran");
    assert_eq!(house.memory.commands(), 3);
}

#[tokio::test]
async fn updates_run_commands_and_nothing_else() {
    let house = House::open();
    let mut client = house.guest("analyst").await;
    assert_eq!(
        client
            .execute_update("touch".to_owned(), None)
            .await
            .expect("ran"),
        0
    );
    let mut statement = client
        .prepare("touch".to_owned(), None)
        .await
        .expect("prepared");
    assert_eq!(statement.execute_update().await.expect("ran"), 0);
    assert_eq!(house.memory.commands(), 2);
    let update = client.execute_update("numbers 1".to_owned(), None).await;
    assert_eq!(
        status_of(update.expect_err("a query")).code(),
        Code::InvalidArgument
    );
}

#[tokio::test]
async fn an_update_is_answered_before_its_stream_ends() {
    let house = House::open();
    let mut client = house.guest("analyst").await;
    let command = arrow_flight::sql::CommandStatementUpdate {
        query: "touch".to_owned(),
        transaction_id: None,
    };
    let first = FlightData::new()
        .with_descriptor(FlightDescriptor::new_cmd(command.as_any().encode_to_vec()));
    let open = stream::iter([first]).chain(stream::pending());
    let mut replies = client.do_put(open).await.expect("accepted");
    assert!(replies.message().await.expect("answered").is_some());
}

#[tokio::test]
async fn data_cannot_be_written_and_is_refused_before_it_is_read() {
    let house = House::open();
    let mut client = house.guest("analyst").await;
    let command = CommandStatementIngest {
        table: "t".to_owned(),
        ..Default::default()
    };
    let first = FlightData::new()
        .with_descriptor(FlightDescriptor::new_cmd(command.as_any().encode_to_vec()));
    let open = stream::iter([first]).chain(stream::pending());
    let status = status_of(client.do_put(open).await.expect_err("refused"));
    assert_eq!(status.code(), Code::Unimplemented);
    assert!(
        status
            .message()
            .starts_with("data cannot be written here\n")
    );
}

#[tokio::test]
async fn transactions_are_refused_with_a_hint() {
    let house = House::open();
    let mut client = house.guest("analyst").await;
    let status = status_of(client.begin_transaction().await.expect_err("refused"));
    assert_eq!(status.code(), Code::Unimplemented);
    assert!(status.metadata().get_bin("weft-hint-bin").is_some());
}

#[tokio::test]
async fn a_statement_longer_than_allowed_never_reaches_the_backend() {
    let house = House::with(Limits {
        statement: 100,
        ..Limits::default()
    });
    let mut client = house.guest("analyst").await;
    let status = status_of(
        client
            .execute("x".repeat(101), None)
            .await
            .expect_err("long"),
    );
    assert_eq!(code_of(&status), "WEFT-TOO-COMPLEX");
    assert_eq!(
        house
            .memory
            .prepared
            .load(std::sync::atomic::Ordering::SeqCst),
        0
    );
}

#[tokio::test]
async fn session_options_are_set_told_and_set_back() {
    let house = House::open();
    let mut client = house.guest("analyst").await;
    let text = |text: &str| Some(OptionValue::String(text.to_owned()));
    let list = Some(OptionValue::StringList(StringListValue { values: vec![] }));
    let set = |name: &str, option_value| {
        let value = SessionOptionValue { option_value };
        let session_options = HashMap::from([(name.to_owned(), value)]);
        SetSessionOptionsRequest { session_options }.encode_to_vec()
    };
    for (name, value, expected) in [
        ("catalog", text("crm"), None),
        (
            "colour",
            text("red"),
            Some(SetSessionOptionErrorValue::InvalidName),
        ),
        (
            "catalog",
            text("nowhere"),
            Some(SetSessionOptionErrorValue::InvalidValue),
        ),
        (
            "catalog",
            list,
            Some(SetSessionOptionErrorValue::InvalidValue),
        ),
    ] {
        let reply = act(&mut client, "SetSessionOptions", set(name, value))
            .await
            .expect("reply");
        let errors = SetSessionOptionsResult::decode(reply.as_slice())
            .expect("decodes")
            .errors;
        assert_eq!(
            errors.get(name).map(|error| error.value),
            expected.map(i32::from),
            "{name}"
        );
    }
    let reply = act(&mut client, "GetSessionOptions", vec![])
        .await
        .expect("reply");
    let options = GetSessionOptionsResult::decode(reply.as_slice()).expect("decodes");
    assert_eq!(options.session_options["catalog"].option_value, text("crm"));
    act(&mut client, "SetSessionOptions", set("catalog", None))
        .await
        .expect("set back");
    let reply = act(&mut client, "GetSessionOptions", vec![])
        .await
        .expect("reply");
    let options = GetSessionOptionsResult::decode(reply.as_slice()).expect("decodes");
    assert_eq!(options.session_options["catalog"].option_value, text(""));
}

#[tokio::test]
async fn a_closed_session_is_over() {
    let house = House::open();
    let mut client = house.guest("analyst").await;
    query(&mut client, "numbers 1").await;
    let reply = act(&mut client, "CloseSession", vec![])
        .await
        .expect("reply");
    let result = CloseSessionResult::decode(reply.as_slice()).expect("decodes");
    assert_eq!(result.status(), CloseSessionStatus::Closed);
    assert_eq!(house.memory.sign_outs(), 1);
    let status = status_of(
        client
            .execute("numbers 1".to_owned(), None)
            .await
            .expect_err("over"),
    );
    assert_eq!(status.code(), Code::Unauthenticated);
}

/// What a call answered beside its message.
async fn headers_of(house: &House, bearer: &str, cookie: Option<&str>) -> MetadataMap {
    let mut request = Action::new("GetSessionOptions", "").into_request();
    let header = format!("Bearer {bearer}").parse().expect("ascii");
    request.metadata_mut().insert("authorization", header);
    if let Some(cookie) = cookie {
        let header = cookie.parse().expect("ascii");
        request.metadata_mut().insert("cookie", header);
    }
    let reply = FlightServiceClient::new(house.channel().await)
        .do_action(request)
        .await
        .expect("let in");
    reply.metadata().clone()
}

#[tokio::test]
async fn a_token_is_offered_a_session_for_each_of_its_clients() {
    let house = House::open();
    let with = async |token: &str| {
        let mut client = house.stranger().await;
        client.set_token(token.to_owned());
        client
    };
    let offered = async || {
        let headers = headers_of(&house, "good.to.ken", None).await;
        let header = headers.get("authorization").expect("an offer");
        let bearer = header.to_str().expect("ascii").strip_prefix("Bearer ");
        bearer.expect("a bearer").to_owned()
    };
    let (one, other) = (offered().await, offered().await);
    assert_ne!(one, other);
    assert_eq!(house.memory.sign_ins(), 1);
    let own = headers_of(&house, &one, None).await;
    assert!(own.get("authorization").is_none() && own.get("set-cookie").is_none());

    let mut shared = with("good.to.ken").await;
    let (mut one, mut other) = (with(&one).await, with(&other).await);
    for (client, words) in [(&mut one, "numbers 1"), (&mut other, "numbers 2")] {
        query(client, words).await;
    }
    let close = async |client: &mut Client| {
        let reply = act(client, "CloseSession", vec![]).await.expect("reply");
        CloseSessionResult::decode(reply.as_slice())
            .expect("decodes")
            .status()
    };
    assert_eq!(close(&mut one).await, CloseSessionStatus::Closed);
    assert_eq!(house.memory.sign_outs(), 1);
    assert_eq!(close(&mut shared).await, CloseSessionStatus::NotCloseable);
    query(&mut other, "numbers 1").await;
    query(&mut shared, "numbers 1").await;
    assert_eq!((house.memory.sign_ins(), house.memory.sign_outs()), (1, 1));
}

#[tokio::test]
async fn a_cookie_leads_to_ones_own_session_and_lets_nobody_in() {
    let house = House::open();
    let headers = headers_of(&house, "good.to.ken", None).await;
    let cookie = headers.get("set-cookie").expect("a cookie");
    let cookie = cookie.to_str().expect("ascii").split(';').next();
    let cookie = cookie.expect("a pair");
    let own = headers_of(&house, "good.to.ken", Some(cookie)).await;
    assert!(own.get("authorization").is_none(), "a session of its own");
    // Of another token it is of no use.
    let other = headers_of(&house, "good.to.day", Some(cookie)).await;
    assert!(other.get("authorization").is_some());
    let mut request = Action::new("GetSessionOptions", "").into_request();
    let header = cookie.parse().expect("ascii");
    request.metadata_mut().insert("cookie", header);
    let refused = FlightServiceClient::new(house.channel().await)
        .do_action(request)
        .await
        .expect_err("nobody is let in");
    assert_eq!(refused.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn the_actions_that_are_listed_are_served() {
    let house = House::open();
    let mut client = house.guest("analyst").await;
    let bearer = format!("Bearer {}", client.token().expect("signed in"));
    let mut request = Empty::default().into_request();
    request
        .metadata_mut()
        .insert("authorization", bearer.parse().expect("ascii"));
    let listed = client
        .inner_mut()
        .list_actions(request)
        .await
        .expect("listed")
        .into_inner();
    let listed: Vec<_> = listed.try_collect().await.expect("listed");
    assert_eq!(listed.len(), 8);
    for action in listed {
        let outcome = act(&mut client, &action.r#type, vec![0xff]).await;
        let code = outcome.map_or_else(|status| status.code(), |_| Code::Ok);
        assert_ne!(code, Code::Unimplemented, "{}", action.r#type);
    }
    let status = act(&mut client, "Dance", vec![])
        .await
        .expect_err("the session was closed");
    assert_eq!(status.code(), Code::Unauthenticated);
    let mut client = house.guest("analyst").await;
    let status = act(&mut client, "Dance", vec![])
        .await
        .expect_err("unknown");
    assert_eq!(status.code(), Code::Unimplemented);
}

#[tokio::test]
async fn an_exchange_goes_to_the_backend_with_everything_it_brought() {
    let house = House::open();
    let mut client = FlightServiceClient::new(house.channel().await);
    let frame = |text: &'static str| FlightData::new().with_app_metadata(text);
    let mut request = stream::iter([frame("first"), frame("second")]).into_request();
    request
        .metadata_mut()
        .insert("authorization", "Bearer x.y.z".parse().expect("ascii"));
    let replies = client
        .do_exchange(request)
        .await
        .expect("accepted")
        .into_inner();
    let replies: Vec<_> = replies
        .map_ok(|reply| reply.app_metadata)
        .try_collect()
        .await
        .expect("ok");
    assert_eq!(replies, ["first", "second", "last"]);
}
