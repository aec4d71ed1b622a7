//! The `authorization` of a call.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    weft_door::properties::handshake(bytes);
});
