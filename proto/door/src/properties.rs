//! What holds for everything that somebody may send, however it was made. A property panics where it
//! does not hold. Tests try them with what chance makes, fuzzers with what they have learned (`fuzz`).

#[cfg(test)]
mod tests;

use std::sync::OnceLock;
use std::time::UNIX_EPOCH;

use arrow_flight::FlightData;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use tonic::metadata::{MetadataMap, MetadataValue};
use weft_governance::{Error, ErrorKind, code};

use crate::encode::{Compression, logical_size};
use crate::flight::properties::sealed_in;
use crate::guard::{BROKE_THE_DECODER, DecodeLimits, Decoded, Decoder};
use crate::session::Presented;
use crate::ticket::Seal;

/// Limits under which a message can be too large without being large.
const SMALL: DecodeLimits = DecodeLimits {
    message: 1 << 16,
    rows: 1 << 10,
    fields: 100,
    expanded: 1 << 18,
};

/// The `authorization` of a call is read or refused in one way, and what is read as a name and a password
/// is what would be sent for them.
pub fn handshake(header: &[u8]) {
    match presented(header) {
        None => {}
        Some(Err(error)) => assert_eq!(error.code(), code::UNAUTHENTICATED),
        Some(Ok(parts)) => {
            let [kind, user, password] = &parts;
            if kind == "basic" {
                let sent = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
                let again = presented(sent.as_bytes()).and_then(Result::ok);
                assert_eq!(again.as_ref(), Some(&parts));
            }
        }
    }
}

/// Nothing is a ticket, a handle or a bearer that this server did not make; a ticket is a command, or refused
/// as no command.
pub fn ticket(bytes: &[u8]) {
    static SEAL: OnceLock<Option<Seal>> = OnceLock::new();
    let seal = SEAL.get_or_init(|| Seal::generate().ok());
    assert!(seal.is_some(), "this machine has no randomness");
    let Some(seal) = seal else { return };
    assert_eq!(seal.open(bytes, UNIX_EPOCH), None);
    assert_eq!(seal.open_statement(b"", bytes), None);
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert_eq!(seal.promised(text), None);
    }
    match sealed_in(bytes) {
        Ok(Some(sealed)) => assert_eq!(seal.open(&sealed, UNIX_EPOCH), None),
        Ok(None) => {}
        Err(error) => assert_eq!(error.code(), code::PROTOCOL),
    }
}

/// A stream of Arrow messages is decoded or refused, nothing that Arrow finds wrong with it was let
/// through to where Arrow breaks, and nothing in it is larger than the limits. Whether a batch was among
/// the messages.
///
/// The first byte says whether the reader asked for compression. Then come messages, each with the
/// lengths of its header and its body before them, as two bytes each, the lower one first.
pub fn messages(bytes: &[u8]) -> bool {
    let Some((first, mut rest)) = bytes.split_first() else {
        return false;
    };
    let asked = match first % 2 {
        0 => Compression::None,
        _ => Compression::Lz4,
    };
    let mut decoder = Decoder::new(SMALL).having_asked_for(asked);
    let mut found = false;
    while let Some((frame, behind)) = next_message(rest) {
        rest = behind;
        match decoder.decode(frame) {
            Ok(Decoded::Batch(batch)) => {
                let size: usize = batch.columns().iter().map(|it| logical_size(it)).sum();
                assert!(size <= SMALL.expanded && batch.num_rows() <= SMALL.rows);
                found = true;
            }
            Ok(Decoded::Schema(schema)) => assert!(schema.fields().len() <= SMALL.fields),
            Ok(Decoded::Metadata(_)) => {}
            Err(error) => {
                let kinds = [ErrorKind::InvalidInput, ErrorKind::ResourceExhausted];
                assert!(kinds.contains(&error.kind()), "{error:?}");
                assert!(!error.message().ends_with(BROKE_THE_DECODER), "{error:?}");
            }
        }
    }
    found
}

fn presented(header: &[u8]) -> Option<Result<[String; 3], Error>> {
    let mut metadata = MetadataMap::new();
    let value = MetadataValue::try_from(header).ok()?;
    metadata.insert("authorization", value);
    let read = Presented::read(&metadata);
    Some(read.map(|presented| presented.parts().map(str::to_owned)))
}

fn next_message(bytes: &[u8]) -> Option<(FlightData, &[u8])> {
    let (header, bytes) = bytes.split_first_chunk()?;
    let (body, bytes) = bytes.split_first_chunk()?;
    let [header, body] = [header, body].map(|length| usize::from(u16::from_le_bytes(*length)));
    let (header, bytes) = bytes.split_at_checked(header)?;
    let (body, bytes) = bytes.split_at_checked(body)?;
    let message = FlightData {
        data_header: Bytes::copy_from_slice(header),
        data_body: Bytes::copy_from_slice(body),
        ..FlightData::default()
    };
    Some((message, bytes))
}
