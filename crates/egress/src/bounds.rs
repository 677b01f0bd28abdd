//! How much a listener lets one sandbox take.

use std::time::Duration;

/// The bounds of one listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Connections at once; more are closed as they come.
    pub connections: usize,
    /// Bytes of a request's head, of a response's, or of a `ClientHello`.
    pub head: usize,
    /// How long a head, a SOCKS greeting or a `ClientHello` may take to arrive, whole.
    pub head_time: Duration,
    /// How long a connection to a host may take to come about, over all its addresses.
    pub dial_time: Duration,
    /// How long a connection may be silent in both directions.
    pub idle: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: 256,
            head: 32 * 1024,
            head_time: Duration::from_secs(15),
            dial_time: Duration::from_secs(20),
            idle: Duration::from_mins(10),
        }
    }
}
