//! Compiles the protobuf files in Rust, so that no `protoc` is needed.

use std::error::Error;

const FILES: [&str; 4] = [
    "weft/authority/v1/authority.proto",
    "weft/fragment/v1/fragment.proto",
    "weft/node/v1/node.proto",
    "weft/registry/v1/registry.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
