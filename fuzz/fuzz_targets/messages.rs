//! Streams of Arrow messages.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    weft_door::properties::messages(bytes);
});
