//! Texts where a token is expected.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    weft_wire::properties::token(bytes);
});
