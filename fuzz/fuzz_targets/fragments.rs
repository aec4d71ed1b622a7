//! Fragments and their plans, before anything is converted.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    weft_node::properties::fragment(bytes);
});
