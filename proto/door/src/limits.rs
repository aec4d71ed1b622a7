//! What a door admits at most. Every limit is on from the start.

pub mod units;

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Limits of a door, as settings. Sizes are written `64MiB`, durations `10s`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Connections at a time. A further one takes the place of the oldest on which nobody has signed
    /// in yet, or is closed at once.
    pub connections: usize,
    /// Calls at a time on one connection.
    pub streams: u32,
    /// Time for a connection to say its first words, and for a stream to send its first message.
    #[serde(with = "units::duration")]
    pub handshake: Duration,
    /// Bytes of one message from a client.
    #[serde(with = "units::size")]
    pub message: usize,
    /// Bytes of one call that brings no rows: a statement, a ticket, an action.
    #[serde(with = "units::size")]
    pub control: usize,
    /// Bytes that all calls together may have sent before they are answered.
    #[serde(with = "units::size")]
    pub incoming: usize,
    /// Bytes of the headers of one call.
    #[serde(with = "units::size")]
    pub headers: usize,
    /// Silence after which a connection is asked whether it is still there.
    #[serde(with = "units::duration")]
    pub keepalive: Duration,
    /// Sessions at a time.
    pub sessions: usize,
    /// Sessions of one principal; the one that was idle longest makes room.
    pub sessions_per_principal: usize,
    /// Prepared statements of one session that are kept at hand; the one that was idle longest makes room,
    /// and is prepared anew when it is used.
    pub prepared: usize,
    /// How long a prepared statement is kept at hand without use.
    #[serde(with = "units::duration")]
    pub prepared_lifetime: Duration,
    /// Results of one session that may be fetched; the oldest makes room.
    pub results: usize,
    /// How long a result may be fetched.
    #[serde(with = "units::duration")]
    pub result_lifetime: Duration,
    /// Bytes of a statement.
    #[serde(with = "units::size")]
    pub statement: usize,
    /// Bytes of the result of a command, which is kept until it is fetched.
    #[serde(with = "units::size")]
    pub command_result: usize,
    /// Bytes that statements, the values bound to them and the results of commands take while they are kept,
    /// about; one person's take half at most. What was idle longest makes room.
    #[serde(with = "units::size")]
    pub kept: usize,
    /// Time that running calls have when the door closes.
    #[serde(with = "units::duration")]
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            streams: 100,
            handshake: Duration::from_secs(10),
            message: 64 << 20,
            control: 4 << 20,
            incoming: 256 << 20,
            headers: 64 << 10,
            keepalive: Duration::from_secs(30),
            sessions: 10_000,
            sessions_per_principal: 256,
            prepared: 256,
            prepared_lifetime: Duration::from_secs(3600),
            results: 256,
            result_lifetime: Duration::from_secs(600),
            statement: 1 << 20,
            command_result: 16 << 20,
            kept: 256 << 20,
            drain: Duration::from_secs(5),
        }
    }
}
