use arrow::datatypes::{DataType, Field, Schema};
use weft_governance::code;

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

#[tokio::test]
async fn a_wish_to_end_is_heeded_and_silence_is_none() {
    let cancel = FragmentControl {
        cancel: true,
        bound: None,
    };
    let frames = vec![Vec::new(), cancel.encode_to_vec()];
    assert!(control(frames).stopped().await.is_ok());
    let mut silent = control(vec![Vec::new()]);
    assert!(futures::poll!(std::pin::pin!(silent.stopped())).is_pending());
}

#[tokio::test]
async fn what_cannot_be_heeded_ends_the_fragment() {
    let misfit = FragmentControl {
        cancel: false,
        bound: Some(Default::default()),
    };
    for wrong in [misfit.encode_to_vec(), vec![0xff; 9]] {
        let error = control(vec![wrong]).stopped().await.expect_err("refused");
        assert_eq!(error.code(), code::PROTOCOL, "{error}");
    }
}
