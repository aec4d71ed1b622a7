//! Prepared statements, and what their handles are good for.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use arrow_flight::sql::{
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest,
    ActionCreatePreparedStatementResult, Any, CommandPreparedStatementQuery,
    CommandPreparedStatementUpdate, DoPutPreparedStatementResult, ProstMessageExt,
};
use arrow_flight::utils::batches_to_flight_data;
use arrow_flight::{FlightDescriptor, FlightInfo};
use bytes::Bytes;
use futures::{TryStreamExt, stream};
use prost::Message;
use tonic::{Code, IntoStreamingRequest, Request, Status};

use super::{Client, House, act, fetch, status_of};
use crate::flight::message::{
    OptionValue, SessionOptionValue, SetSessionOptionsRequest, SetSessionOptionsResult,
};
use crate::limits::Limits;
use crate::memory::pair;

const ECHO: &str = "echo ? ?";

async fn prepare(client: &mut Client, words: &str) -> ActionCreatePreparedStatementResult {
    let request = ActionCreatePreparedStatementRequest {
        query: words.to_owned(),
        transaction_id: None,
    };
    let body = request.as_any().encode_to_vec();
    let reply = act(client, "CreatePreparedStatement", body).await;
    let any = Any::decode(reply.expect("prepared").as_slice()).expect("wrapped");
    any.unpack().expect("decodes").expect("of this type")
}

async fn handle(client: &mut Client, words: &str) -> Bytes {
    prepare(client, words).await.prepared_statement_handle
}

fn signed<T>(client: &Client, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let bearer = format!("Bearer {}", client.token().expect("signed in"));
    let metadata = request.metadata_mut();
    metadata.insert("authorization", bearer.parse().expect("ascii"));
    request
}

async fn put(client: &Client, command: Any, rows: RecordBatch) -> Result<Bytes, Status> {
    let mut frames = batches_to_flight_data(&rows.schema(), vec![rows]).expect("encodes");
    frames[0].flight_descriptor = Some(FlightDescriptor::new_cmd(command.encode_to_vec()));
    let frames = signed(client, stream::iter(frames)).into_streaming_request();
    let mut replies = client.inner().clone().do_put(frames).await?.into_inner();
    let reply = replies.try_next().await?.expect("a reply");
    Ok(reply.app_metadata)
}

/// The handle that the server gives for `handle` with `rows` bound.
async fn bind(client: &Client, handle: &Bytes, rows: RecordBatch) -> Result<Bytes, Status> {
    let command = CommandPreparedStatementQuery {
        prepared_statement_handle: handle.clone(),
    };
    let reply = put(client, command.as_any(), rows).await?;
    let reply = DoPutPreparedStatementResult::decode(reply).expect("of this type");
    Ok(reply.prepared_statement_handle.expect("a handle"))
}

async fn announced(client: &Client, handle: &Bytes) -> Result<FlightInfo, Status> {
    let query = CommandPreparedStatementQuery {
        prepared_statement_handle: handle.clone(),
    };
    let descriptor = FlightDescriptor::new_cmd(query.as_any().encode_to_vec());
    let info = client.inner().clone();
    let info = { info }.get_flight_info(signed(client, descriptor)).await?;
    Ok(info.into_inner())
}

/// The numbers that `echo` answers with.
async fn echoed(client: &mut Client, handle: &Bytes) -> Result<Vec<i64>, Status> {
    let info = announced(client, handle).await?;
    let (_, batches) = fetch(client, &info).await;
    let numbers = batches.iter().flat_map(|batch| {
        batch
            .column(0)
            .as_primitive::<Int64Type>()
            .values()
            .to_vec()
    });
    Ok(numbers.collect())
}

async fn close(client: &mut Client, handle: &Bytes) {
    let request = ActionClosePreparedStatementRequest {
        prepared_statement_handle: handle.clone(),
    };
    let body = request.as_any().encode_to_vec();
    act(client, "ClosePreparedStatement", body)
        .await
        .expect("closed");
}

async fn use_catalog(client: &mut Client, name: &str) {
    let value = SessionOptionValue {
        option_value: Some(OptionValue::String(name.to_owned())),
    };
    let request = SetSessionOptionsRequest {
        session_options: [("catalog".to_owned(), value)].into(),
    };
    let reply = act(client, "SetSessionOptions", request.encode_to_vec()).await;
    let result = SetSessionOptionsResult::decode(reply.expect("set").as_slice());
    assert!(result.expect("of this type").errors.is_empty());
}

/// A row whose text is of `bytes`.
fn long(number: i64, bytes: usize) -> RecordBatch {
    pair(number, Some(&"x".repeat(bytes)))
}

#[tokio::test]
async fn a_prepared_statement_runs_with_the_values_bound_by_position() {
    let house = House::open();
    let mut client = house.guest("analyst").await;
    let mut statement = client
        .prepare("echo ? ?".to_owned(), None)
        .await
        .expect("prepared");
    let names = |schema: &arrow::datatypes::Schema| -> Vec<String> {
        schema
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect()
    };
    assert_eq!(
        names(statement.parameter_schema().expect("given")),
        ["$1", "$2"]
    );
    let status = status_of(statement.execute().await.expect_err("nothing bound"));
    assert_eq!(status.code(), Code::InvalidArgument);

    for (number, text) in [(7, Some("seven")), (8, None)] {
        statement
            .set_parameters(crate::memory::pair(number, text))
            .expect("set");
        let info = statement.execute().await.expect("announced");
        let (_, batches) = fetch(&mut client, &info).await;
        let echoed = arrow::compute::concat_batches(&batches[0].schema(), &batches).expect("same");
        assert_eq!(names(&echoed.schema()), ["$1", "$2"]);
        assert_eq!(
            echoed.columns(),
            crate::memory::pair(number, text).columns()
        );
    }
    statement.close().await.expect("closed");
}

#[tokio::test]
async fn parameters_that_do_not_fit_are_refused() {
    let house = House::open();
    let mut client = house.guest("analyst").await;
    let mut statement = client
        .prepare("echo ? ?".to_owned(), None)
        .await
        .expect("prepared");
    let one: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let many: ArrayRef = Arc::new(Int64Array::from(vec![1; 1025]));
    let text: ArrayRef = Arc::new(StringArray::from(vec!["a"; 1025]));
    let too_few = RecordBatch::try_from_iter([("0", one)]).expect("valid");
    let too_long = RecordBatch::try_from_iter([("0", many), ("1", text)]).expect("valid");
    for (batch, code, message) in [
        (
            too_few,
            Code::InvalidArgument,
            "the statement has 2 parameters and 1 values are bound",
        ),
        (
            too_long,
            Code::ResourceExhausted,
            "more than 1024 rows or 16777216 bytes of parameters were bound at once\nhint: Bind \
             fewer rows at a time.",
        ),
    ] {
        statement.set_parameters(batch).expect("set");
        let status = status_of(statement.execute().await.expect_err("refused"));
        assert_eq!((status.code(), status.message()), (code, message));
    }
}

#[tokio::test]
async fn a_statement_runs_once_for_each_row_of_values() {
    let house = House::open();
    let mut client = house.guest("analyst").await;
    let mut statement = client
        .prepare("echo ? ?".to_owned(), None)
        .await
        .expect("prepared");
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("c")]));
    let rows = RecordBatch::try_from_iter([("0", numbers), ("1", texts)]).expect("valid");
    statement.set_parameters(rows).expect("set");
    let info = statement.execute().await.expect("announced");
    let (_, batches) = fetch(&mut client, &info).await;
    // Each run answers with one row.
    let texts = batches
        .iter()
        .flat_map(|batch| batch.column(1).as_string::<i32>());
    assert_eq!(texts.collect::<Vec<_>>(), [Some("a"), None, Some("c")]);
}

#[tokio::test]
async fn a_created_statement_says_whether_it_is_an_update() {
    let house = House::open();
    let mut client = house.guest("analyst").await;
    for (words, flag, has_rows) in [
        ("numbers 1", 0, true),
        ("touch", 1, false),
        ("count", 0, true),
    ] {
        let request = ActionCreatePreparedStatementRequest {
            query: words.to_owned(),
            transaction_id: None,
        };
        let body = request.as_any().encode_to_vec();
        let reply = act(&mut client, "CreatePreparedStatement", body)
            .await
            .expect("prepared");
        let any = Any::decode(reply.as_slice()).expect("wrapped");
        assert_eq!(any.value[any.value.len() - 2..], [0x20, flag], "{words}");
        let created: arrow_flight::sql::ActionCreatePreparedStatementResult =
            any.unpack().expect("decodes").expect("of this type");
        assert_eq!(created.dataset_schema.is_empty(), !has_rows, "{words}");
        assert!(!created.parameter_schema.is_empty());
    }
}

#[tokio::test]
async fn a_handle_holds_the_values_that_are_bound() {
    let house = House::open();
    let mut client = house.guest("analyst").await;
    let bare = handle(&mut client, ECHO).await;
    let first = bind(&client, &bare, pair(1, None)).await.expect("bound");
    let second = bind(&client, &bare, pair(2, None)).await.expect("bound");
    let third = bind(&client, &first, pair(3, None)).await.expect("bound");
    for (handle, value) in [(&first, 1), (&second, 2), (&third, 3), (&first, 1)] {
        assert_eq!(echoed(&mut client, handle).await.expect("bound"), [value]);
    }
    // Clients that go on with the handle that they had get what was bound last.
    assert_eq!(echoed(&mut client, &bare).await.expect("bound"), [3]);
    assert_eq!(house.memory.prepared(), 1);
}

#[tokio::test]
async fn a_statement_that_made_room_is_prepared_anew() {
    let limits = Limits {
        prepared: 2,
        ..Limits::default()
    };
    let house = House::with(limits);
    let mut client = house.guest("analyst").await;
    let bare = handle(&mut client, ECHO).await;
    let bound = bind(&client, &bare, pair(7, None)).await.expect("bound");
    for _ in 0..3 {
        handle(&mut client, "numbers 1").await;
    }
    assert_eq!(house.memory.prepared(), 4);
    assert_eq!(echoed(&mut client, &bound).await.expect("good"), [7]);
    assert_eq!(echoed(&mut client, &bound).await.expect("good"), [7]);
    assert_eq!(house.memory.prepared(), 5);
    // What was bound to the handle of before went with the statement.
    let status = echoed(&mut client, &bare).await.expect_err("nothing bound");
    assert_eq!(status.code(), Code::InvalidArgument);
    // Closed is forgotten, and no more than that.
    close(&mut client, &bound).await;
    assert_eq!(echoed(&mut client, &bound).await.expect("good"), [7]);
    assert_eq!(house.memory.prepared(), 6);
}

#[tokio::test]
async fn a_handle_is_good_in_every_session_of_the_person_and_nobody_elses() {
    let house = House::open();
    let mut client = house.guest("analyst").await;
    let bare = handle(&mut client, ECHO).await;
    let bound = bind(&client, &bare, pair(7, None)).await.expect("bound");
    let mut elsewhere = house.guest("analyst").await;
    assert_eq!(echoed(&mut elsewhere, &bound).await.expect("good"), [7]);
    let twice = bind(&elsewhere, &bound, pair(8, None)).await.expect("good");
    assert_eq!(echoed(&mut client, &twice).await.expect("good"), [8]);

    let mut thief = house.guest("thief").await;
    let mut changed = bound.to_vec();
    changed[20] ^= 1;
    let strange = [Bytes::from(changed), bound.slice(1..), Bytes::new()];
    let theirs = strange.iter().map(|handle| (false, handle));
    for (is_thief, handle) in theirs.chain([(true, &bound)]) {
        let client = if is_thief { &mut thief } else { &mut client };
        let status = echoed(client, handle).await.expect_err("not theirs");
        assert_eq!(status.code(), Code::NotFound);
        assert_eq!(
            status.message(),
            "no such prepared statement\nhint: Prepare the statement again."
        );
    }
}

#[tokio::test]
async fn short_names_never_stand_for_something_else() {
    let house = House::open();
    let mut client = house.guest("analyst").await;
    let statement = handle(&mut client, "numbers 1").await;
    use_catalog(&mut client, "crm").await;
    // Where it is kept at hand, it is what was prepared.
    announced(&client, &statement).await.expect("at hand");
    close(&mut client, &statement).await;
    let status = announced(&client, &statement).await.expect_err("other");
    assert_eq!(status.code(), Code::NotFound);
    assert!(status.message().contains("another catalog or schema"));
    use_catalog(&mut client, "sales").await;
    announced(&client, &statement).await.expect("as it was");
}

#[tokio::test]
async fn columns_that_have_changed_are_told() {
    let house = House::open();
    let mut client = house.guest("analyst").await;
    let statement = handle(&mut client, "shifting").await;
    announced(&client, &statement).await.expect("at hand");
    close(&mut client, &statement).await;
    let status = announced(&client, &statement).await.expect_err("changed");
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("have changed since"));
}

#[tokio::test]
async fn large_values_stay_here_while_there_is_room() {
    let limits = Limits {
        kept: 8 << 20,
        ..Limits::default()
    };
    let house = House::with(limits);
    let mut client = house.guest("analyst").await;
    let bare = handle(&mut client, ECHO).await;
    let other = handle(&mut client, ECHO).await;
    let large = bind(&client, &bare, long(1, 1 << 20)).await.expect("bound");
    assert!(large.len() < 1_000, "{}", large.len());
    assert_eq!(echoed(&mut client, &large).await.expect("kept"), [1]);
    // The handle of values that others have replaced does not stand for the others.
    let newer = bind(&client, &bare, long(2, 1 << 20)).await.expect("bound");
    let status = echoed(&mut client, &large).await.expect_err("replaced");
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(
        status.message(),
        "the values that were bound are no longer kept\nhint: Bind them again."
    );
    assert_eq!(echoed(&mut client, &newer).await.expect("kept"), [2]);
    // One person has half of the room.
    let small = bind(&client, &other, pair(3, None)).await.expect("bound");
    for _ in 0..3 {
        let third = handle(&mut client, ECHO).await;
        bind(&client, &third, long(4, 1 << 20))
            .await
            .expect("bound");
    }
    let status = echoed(&mut client, &newer).await.expect_err("made room");
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(echoed(&mut client, &small).await.expect("travels"), [3]);
}

#[tokio::test]
async fn long_statements_make_room_and_are_prepared_anew() {
    let limits = Limits {
        kept: 16 << 20,
        ..Limits::default()
    };
    let house = House::with(limits);
    let mut client = house.guest("analyst").await;
    let words = format!("numbers 1 {}", "x".repeat(100_000));
    let first = handle(&mut client, &words).await;
    let second = handle(&mut client, &words).await;
    announced(&client, &second).await.expect("at hand");
    assert_eq!(house.memory.prepared(), 2);
    announced(&client, &first).await.expect("good");
    assert_eq!(house.memory.prepared(), 3);
}

#[tokio::test]
async fn results_that_nobody_fetches_make_room() {
    let limits = Limits {
        kept: 32 << 10,
        ..Limits::default()
    };
    let house = House::with(limits);
    let mut client = house.guest("analyst").await;
    let mut infos = Vec::new();
    for _ in 0..5 {
        infos.push(client.execute("count".to_owned(), None).await.expect("ran"));
    }
    let ticket = super::ticket_of(&infos[0]);
    let status = status_of(client.do_get(ticket).await.expect_err("made room"));
    assert_eq!(status.code(), Code::NotFound);
    let (_, batches) = fetch(&mut client, &infos[4]).await;
    assert_eq!(batches[0].column(0).as_primitive::<Int64Type>().value(0), 5);
    assert_eq!(house.memory.commands(), 5);
}

#[tokio::test]
async fn an_update_may_bring_its_values() {
    let house = House::open();
    let mut client = house.guest("analyst").await;
    let statement = handle(&mut client, "touch").await;
    let command = CommandPreparedStatementUpdate {
        prepared_statement_handle: statement,
    };
    put(&client, command.as_any(), pair(1, None))
        .await
        .expect("ran");
    assert_eq!(house.memory.commands(), 1);
}
