//! Claims that the authority signed.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    weft_wire::properties::claims(bytes);
});
