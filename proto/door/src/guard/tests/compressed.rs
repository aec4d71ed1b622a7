//! Bodies that are compressed, and bombs.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_flight::FlightData;
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteOptions};
use lz4_flex::frame::FrameEncoder;
use weft_governance::ErrorKind;

use super::{Decoded, Decoder, Forged, buffer, decoder_after, refusal_after_asking_for, varied};
use crate::encode::Compression;
use crate::guard::DecodeLimits;

const NOT_ASKED_FOR: &str = "an Arrow message is malformed: its body is compressed";

/// A schema and a batch as Arrow's own writer makes them, compressed even where that does not pay.
pub(super) fn frames(batch: &RecordBatch, compression: Compression) -> (FlightData, FlightData) {
    let codec = match compression {
        Compression::None => None,
        Compression::Lz4 => Some(CompressionType::LZ4_FRAME),
    };
    let options = IpcWriteOptions::default().try_with_compression(codec);
    let options = options.expect("LZ4");
    let schema = FlightData::from(arrow_flight::SchemaAsIpc::new(&batch.schema(), &options));
    let mut tracker = DictionaryTracker::new(true);
    let (_, encoded) = IpcDataGenerator::default()
        .encode(batch, &mut tracker, &options, &mut Default::default())
        .expect("encodes");
    (schema, encoded.into())
}

/// Rows of which most buffers shrink.
fn repetitive() -> RecordBatch {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter((0..5_000).map(|n| match n % 7 {
        0 => None,
        n => Some(n),
    })));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(
        (0..5_000).map(|n| ["in transit", "delivered", ""][n % 3]),
    ));
    RecordBatch::try_from_iter([("n", numbers), ("t", texts)]).expect("valid")
}

fn lz4(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = FrameEncoder::new(Vec::new());
    encoder.write_all(bytes).expect("written");
    encoder.finish().expect("finished")
}

/// One row whose only buffer with data is `claimed`, then `frame`.
fn forged(claimed: i64, frame: &[u8]) -> Forged {
    let mut body = claimed.to_le_bytes().to_vec();
    body.extend(frame);
    Forged {
        rows: 1,
        nulls: 0,
        buffers: vec![buffer(0, 0), buffer(0, body.len() as i64)],
        compressed: true,
        body,
    }
}

fn refusal_of(forged: Forged) -> String {
    refusal_after_asking_for(Compression::Lz4, forged)
}

#[test]
fn rows_that_came_compressed_are_those_that_were_sent() {
    for batch in [repetitive(), varied()] {
        let (schema, frame) = frames(&batch, Compression::Lz4);
        let size = frame.data_header.len() + frame.data_body.len();
        let mut decoder = decoder_after(schema).having_asked_for(Compression::Lz4);
        let before = decoder.bytes();
        let decoded = decoder.decode(frame).expect("decodes");
        assert_eq!(decoded, Decoded::Batch(batch));
        assert_eq!(decoder.bytes() - before, size as u64);
    }
}

#[test]
fn rows_that_came_as_they_are_need_not_be_compressed() {
    let (schema, frame) = frames(&repetitive(), Compression::None);
    let mut decoder = decoder_after(schema).having_asked_for(Compression::Lz4);
    let decoded = decoder.decode(frame).expect("decodes");
    assert_eq!(decoded, Decoded::Batch(repetitive()));
}

#[test]
fn a_compressed_body_that_was_not_asked_for_is_refused() {
    let (schema, frame) = frames(&repetitive(), Compression::Lz4);
    let error = decoder_after(schema).decode(frame).expect_err("refused");
    assert_eq!(error.message(), NOT_ASKED_FOR);
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_bomb_is_refused_whether_it_was_asked_for_or_not() {
    // The prefix promises eight bytes; the frame expands to 64 MiB.
    let bomb = lz4(&vec![0; 64 << 20]);
    let refusal = refusal_of(forged(8, &bomb));
    assert!(
        refusal.contains("expands further than it claims"),
        "{refusal}"
    );
    let unasked = refusal_after_asking_for(Compression::None, forged(8, &bomb));
    assert_eq!(unasked, NOT_ASKED_FOR);
}

#[test]
fn a_short_message_that_claims_a_huge_expanded_length_is_refused_before_it_expands() {
    for claimed in [1 << 40, 1 << 46, i64::MAX] {
        let refusal = refusal_of(forged(claimed, &lz4(&[0; 8])));
        assert!(refusal.contains("expand further than it can"), "{refusal}");
    }
}

#[test]
fn what_expands_to_more_than_a_message_may_hold_is_refused_before_it_expands() {
    // Honest, and as dense as LZ4 gets: 300 KiB for 65 MiB.
    let bomb = lz4(&vec![0; 65 << 20]);
    assert!(bomb.len() < 300 << 10);
    let forged = forged(65 << 20, &bomb);
    assert_eq!(
        refusal_of(forged),
        "an Arrow message has more than 67108864 bytes"
    );
}

#[test]
fn buffers_that_share_one_bomb_are_refused() {
    let bomb = forged(1 << 20, &lz4(&vec![0; 1 << 20]));
    let length = bomb.body.len() as i64;
    let shared = Forged {
        buffers: vec![buffer(0, length), buffer(0, length)],
        ..bomb
    };
    assert!(refusal_of(shared).contains("its buffers overlap"));
}

#[test]
fn expanded_lengths_that_cannot_be_are_refused() {
    let eight = lz4(&[0; 8]);
    let truncated = &eight[..eight.len() / 2];
    for (forged, reason) in [
        (forged(-2, &eight), "an expanded length is negative"),
        (forged(i64::MIN, &eight), "an expanded length is negative"),
        (forged(9, &eight), "does not expand to what it claims"),
        (forged(7, &eight), "expands further than it claims"),
        (forged(8, truncated), "does not expand to what it claims"),
        (forged(8, b"no frame"), "does not expand to what it claims"),
        (forged(-1, &[0; 7]), "its data is inconsistent"),
    ] {
        let refusal = refusal_of(forged);
        assert!(refusal.contains(reason), "{refusal}");
    }
    let short = Forged {
        rows: 1,
        nulls: 0,
        buffers: vec![buffer(0, 0), buffer(0, 7)],
        compressed: true,
        body: vec![0; 7],
    };
    assert!(refusal_of(short).contains("shorter than its prefix"));
    let outside = Forged {
        buffers: vec![buffer(0, 0), buffer(8, 64)],
        ..forged(8, &eight)
    };
    assert!(refusal_of(outside).contains("lies outside its body"));
}

#[test]
fn an_expanded_body_passes_the_checks_of_any_other() {
    // A million rows in a buffer of one value.
    let forged = Forged {
        rows: 1_000_000,
        ..forged(8, &lz4(&[0; 8]))
    };
    assert!(refusal_of(forged).contains("its data is inconsistent"));
}

#[test]
fn compressed_messages_are_no_larger_than_the_limit() {
    let (schema, frame) = frames(&repetitive(), Compression::Lz4);
    let limits = DecodeLimits {
        message: frame.data_header.len() + frame.data_body.len(),
        ..DecodeLimits::default()
    };
    let mut decoder = Decoder::new(limits).having_asked_for(Compression::Lz4);
    decoder.decode(schema).expect("schema");
    let error = decoder.decode(frame).expect_err("expands too far");
    assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
}
