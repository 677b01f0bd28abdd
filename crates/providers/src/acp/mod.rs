//! Any agent that speaks the Agent Client Protocol, version 1, on its standard streams.
//!
//! # Source
//! The protocol's schema; measured with `@agentclientprotocol/codex-acp` 2.6.0.

mod protocol;

use crate::harness::{Asked, CommandLine};

pub use protocol::Protocol;

/// How the agent is started: with the arguments it was given, and what reaches the network.
///
/// Its login is its own affair: variables of it pass when the run names them.
pub fn command_line(asked: &Asked<'_>) -> CommandLine {
    let pass = PASSED.map(str::to_owned).into();
    CommandLine { args: asked.harness.args.clone(), env: Vec::new(), pass }
}

/// Variables by which the network is reached.
const PASSED: [&str; 10] = [
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "https_proxy",
    "http_proxy",
    "all_proxy",
    "no_proxy",
    "NODE_EXTRA_CA_CERTS",
    "SSL_CERT_FILE",
];
