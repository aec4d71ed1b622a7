//! Tickets, and what is sealed in them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    weft_door::properties::ticket(bytes);
});
