use arrow::datatypes::{DataType, Field, Schema};
use weft_governance::code;
use weft_wire::rpc::fragment::KeyFilters;

use super::*;

fn frame(app_metadata: Vec<u8>) -> Result<FlightData, Error> {
    Ok(FlightData {
        app_metadata: app_metadata.into(),
        ..FlightData::default()
    })
}

fn control(frames: Vec<Vec<u8>>) -> Control {
    let output = Schema::new(vec![Field::new("v", DataType::Int64, true)]);
    let frames = futures::stream::iter(frames.into_iter().map(frame));
    Control::new(frames.boxed(), Arc::new(output)).0
}

fn cancel() -> Vec<u8> {
    let control = FragmentControl {
        cancel: true,
        ..FragmentControl::default()
    };
    control.encode_to_vec()
}

fn keys() -> Vec<u8> {
    let control = FragmentControl {
        keys: Some(KeyFilters {
            filters: vec![KeyFilter::default()],
        }),
        ..FragmentControl::default()
    };
    control.encode_to_vec()
}

#[tokio::test]
async fn a_wish_to_end_is_heeded_and_silence_is_none() {
    let frames = vec![Vec::new(), cancel()];
    assert!(control(frames).stopped().await.is_ok());
    let mut silent = control(vec![Vec::new()]);
    assert!(futures::poll!(std::pin::pin!(silent.stopped())).is_pending());
}

#[tokio::test]
async fn what_cannot_be_heeded_ends_the_fragment() {
    let misfit = FragmentControl {
        bound: Some(Default::default()),
        ..FragmentControl::default()
    };
    for wrong in [misfit.encode_to_vec(), vec![0xff; 9], keys()] {
        let error = control(vec![wrong]).stopped().await.expect_err("refused");
        assert_eq!(error.code(), code::PROTOCOL, "{error}");
    }
}

#[tokio::test]
async fn keys_are_waited_for_unless_the_fragment_is_withdrawn() {
    let told = control(vec![Vec::new(), keys(), cancel()]).keys().await;
    assert_eq!(told.expect("keys").map(|filters| filters.len()), Some(1));
    let withdrawn = control(vec![cancel(), keys()]).keys().await;
    assert_eq!(withdrawn.expect("a wish"), None);
    let error = control(vec![Vec::new()]).keys().await.expect_err("silence");
    assert_eq!(error.code(), code::PROTOCOL, "{error}");
}
