//! The last messages of a fragment's stream.

use arrow_flight::FlightData;
use prost::Message;
use weft_door::encode::Encoder;
use weft_wire::rpc::fragment::FragmentTerminal;
use weft_wire::rpc::fragment::fragment_terminal::End;

/// The frame that says that all rows were `sent`, while the receipt for them is being made.
pub(super) fn last_row(sent: &Encoder) -> FlightData {
    frame(End::Rows, sent, String::new())
}

/// The frame that says how the stream ended and what was sent before it, with the `receipt` for it.
pub(super) fn frame(end: End, sent: &Encoder, receipt: String) -> FlightData {
    let terminal = FragmentTerminal {
        end: end.into(),
        rows: sent.rows(),
        batches: sent.batches(),
        bytes: sent.bytes(),
        receipt,
    };
    FlightData {
        app_metadata: terminal.encode_to_vec().into(),
        ..FlightData::default()
    }
}
