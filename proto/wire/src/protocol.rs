//! Versions and names that both ends of a connection must agree on.

/// Version of the fragment and registry protocol: another major is refused.
pub const PROTOCOL_MAJOR: u32 = 1;
/// Minor version: additions that the other side may ignore.
pub const PROTOCOL_MINOR: u32 = 0;
/// How fragments are encoded.
pub const FRAGMENT_ENCODING: &str = "datafusion-proto/55";
/// The command in the descriptor of a fragment's `DoExchange`.
pub const FRAGMENT_COMMAND: &[u8] = b"weft.fragment.v1";
/// The call metadata that carries a fragment's delegation token.
pub const DELEGATION_HEADER: &str = "weft-delegation";
