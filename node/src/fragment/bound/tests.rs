use arrow::array::{ArrayRef, Int64Array, StringArray, StringViewArray};
use arrow::datatypes::{DataType, Field, Schema};
use weft_door::encode::Encoder;
use weft_governance::code;
use weft_wire::rpc::fragment::ArrowMessage;

use super::*;

fn output() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("name", DataType::Utf8View, true),
        Field::new("v", DataType::Int64, true),
    ]))
}

fn encoded(value: ArrayRef) -> Vec<ArrowMessage> {
    let batch = RecordBatch::try_from_iter([("bound", value)]).expect("batch");
    let mut encoder = Encoder::new(batch.schema());
    let schema = encoder.schema_frame();
    let frames = std::iter::once(schema).chain(encoder.encode(&batch).expect("encoded"));
    frames
        .map(|frame| ArrowMessage {
            header: frame.data_header.into(),
            body: frame.data_body.into(),
        })
        .collect()
}

fn by_number(value: Option<i64>, descending: bool, nulls_first: bool) -> rpc::Bound {
    rpc::Bound {
        column: 1,
        value: encoded(Arc::new(Int64Array::from(vec![value]))),
        descending,
        nulls_first,
    }
}

fn kept(message: rpc::Bound) -> Vec<Option<i64>> {
    let names: StringViewArray = ["b", "a", "d", "c"].into_iter().map(Some).collect();
    let numbers = Int64Array::from(vec![Some(2), None, Some(1), Some(3)]);
    let columns: Vec<ArrayRef> = vec![Arc::new(names), Arc::new(numbers)];
    let batch = RecordBatch::try_new(output(), columns).expect("batch");
    let bound = Bound::decode(message, &output()).expect("a bound");
    let rows = bound.apply(batch).expect("rows");
    let numbers = rows.column(1).as_any().downcast_ref::<Int64Array>();
    numbers.expect("numbers").iter().collect()
}

#[test]
fn rows_that_come_after_the_bound_are_left_out_and_its_equals_are_not() {
    let (one, two, three) = (Some(1), Some(2), Some(3));
    assert_eq!(kept(by_number(two, false, false)), [two, one]);
    assert_eq!(kept(by_number(two, false, true)), [two, None, one]);
    assert_eq!(kept(by_number(two, true, false)), [two, three]);
    assert_eq!(kept(by_number(two, true, true)), [two, None, three]);
    assert_eq!(kept(by_number(None, true, true)), [None]);
    assert_eq!(kept(by_number(None, false, false)), [two, None, one, three]);
}

#[test]
fn text_is_compared_in_the_layout_that_it_is_sent_in() {
    let bound = rpc::Bound {
        column: 0,
        value: encoded(Arc::new(StringArray::from(vec!["b"]))),
        ..rpc::Bound::default()
    };
    assert_eq!(kept(bound), [Some(2), None]);
}

#[test]
fn a_bound_that_does_not_fit_the_answer_is_refused() {
    let good = by_number(Some(2), false, false);
    let large = "x".repeat(2 * MOST_BYTES);
    let text = |text: &str| encoded(Arc::new(StringArray::from(vec![text])));
    let wrong = [
        rpc::Bound::default(),
        rpc::Bound {
            column: 2,
            ..good.clone()
        },
        rpc::Bound {
            column: u32::MAX,
            ..good.clone()
        },
        rpc::Bound {
            column: 0,
            ..good.clone()
        },
        rpc::Bound {
            value: Vec::new(),
            ..good.clone()
        },
        rpc::Bound {
            value: encoded(Arc::new(Int64Array::from(vec![1, 2]))),
            ..good.clone()
        },
        rpc::Bound {
            value: text("2"),
            ..good.clone()
        },
        rpc::Bound {
            column: 0,
            value: text(&large),
            ..good.clone()
        },
        rpc::Bound {
            value: vec![ArrowMessage {
                header: vec![0xff; 40],
                body: vec![0; 8],
            }],
            ..good.clone()
        },
    ];
    assert!(Bound::decode(good, &output()).is_ok());
    for bound in wrong {
        let error = Bound::decode(bound, &output()).expect_err("refused");
        assert_eq!(error.code(), code::PROTOCOL, "{error}");
    }
}
