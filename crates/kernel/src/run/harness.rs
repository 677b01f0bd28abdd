//! The harness of a run as it was chosen, what its turns spend, and the classes of their failures.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// An agent program with a protocol of its own, and every setting its turns are started with: a
/// conversation is continued with all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Harness {
    /// Absolute path of the program that is started.
    pub program: String,
    /// What it said its version was.
    pub version: String,
    /// SHA-256 of the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<crate::ids::Digest>,
    /// The folder it keeps logins and conversations in; outside the workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effort: Option<String>,
    /// The model's address, when it is not the harness's own choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// Further arguments, given to the program as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Whether instruction files of the workspace (AGENTS.md, CLAUDE.md) are read.
    #[serde(default, skip_serializing_if = "is_false")]
    pub instructions: bool,
    /// Whether the project's own hooks and settings of the harness are in force.
    #[serde(default, skip_serializing_if = "is_false")]
    pub hooks: bool,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub mcp_servers: BTreeMap<String, McpServer>,
    /// Which of its interfaces it is driven through, where it has more than one; absent: the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<Interface>,
    /// Why it is that one, although nobody asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface_because: Option<String>,
}

/// The interfaces of Codex.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interface {
    /// `codex app-server`: a conversation in JSON-RPC.
    AppServer,
    /// `codex exec --json`: a prompt in, events out.
    Exec,
}

impl Interface {
    /// The interface as it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AppServer => "app_server",
            Self::Exec => "exec",
        }
    }
}

/// A server of tools that the harness starts or calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum McpServer {
    /// Started by the harness; talks on its standard streams.
    Program {
        command: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        args: Vec<String>,
        /// Names of variables it is passed.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        env: Vec<String>,
    },
    /// Already running.
    Remote { url: String },
}

/// Tokens and money of a turn.
///
/// # Source
/// What the harness reports; nothing here is counted by us. A harness that reports nothing has no
/// usage, which is not the same as none used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// Tokens of the input, those read from and written to a cache included.
    pub input: u64,
    /// The part of the input that was read from a cache.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cached: u64,
    /// The part of the input that was written to a cache.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cache_write: u64,
    /// Tokens of the output, reasoning included.
    pub output: u64,
    /// The part of the output that was reasoning.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reasoning: u64,
    /// The harness's own estimate, in millionths of a US dollar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<u64>,
    /// More may have been spent than was reported: the turn was cut off.
    #[serde(default, skip_serializing_if = "is_false")]
    pub at_least: bool,
}

impl Usage {
    /// What was counted after `before`.
    pub(super) fn since(&self, before: &Self) -> Self {
        let costs = (self.cost, before.cost.unwrap_or(0));
        Self {
            input: self.input.saturating_sub(before.input),
            cached: self.cached.saturating_sub(before.cached),
            cache_write: self.cache_write.saturating_sub(before.cache_write),
            output: self.output.saturating_sub(before.output),
            reasoning: self.reasoning.saturating_sub(before.reasoning),
            cost: costs.0.map(|now| now.saturating_sub(costs.1)),
            at_least: self.at_least,
        }
    }

    /// Adds what another turn spent; the cost is the sum of the costs that are known.
    pub(super) fn add(&mut self, other: &Self) {
        self.input = self.input.saturating_add(other.input);
        self.cached = self.cached.saturating_add(other.cached);
        self.cache_write = self.cache_write.saturating_add(other.cache_write);
        self.output = self.output.saturating_add(other.output);
        self.reasoning = self.reasoning.saturating_add(other.reasoning);
        self.at_least |= other.at_least;
        if let Some(cost) = other.cost {
            self.cost = Some(self.cost.unwrap_or(0).saturating_add(cost));
        }
    }
}

/// What kind of failure ended a turn; each has its own policy ([`FailureClass::remedy`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// The program could not be started at all.
    Spawn,
    /// It ended with a failure, was killed by somebody, or ended before its answer.
    Crashed,
    /// It overran its wall clock.
    WallTimeout,
    /// It was silent for too long.
    IdleTimeout,
    /// It said nothing for too long but that it tries again.
    StallTimeout,
    /// A cassette's recording does not fit the request.
    ReplayMismatch,
    /// No login, or one that is not accepted.
    Auth,
    /// Too many requests for now.
    RateLimited,
    /// What the login may use in a period is used up.
    UsageLimit,
    /// What was paid for is used up: no time brings it back.
    Quota,
    /// The service has no room for now.
    Overloaded,
    /// The service failed.
    ServerError,
    /// The service could not be reached, or the connection broke.
    Network,
    /// The conversation no longer fits into the model.
    ContextOverflow,
    /// The model is not known to the service, or not to this login.
    ModelNotFound,
    /// The service refused the request's form.
    BadRequest,
    /// The model or the service declined the work.
    Refused,
    /// The answer was longer than the model may give.
    OutputLimit,
    /// The harness's own sandbox does not work here.
    Sandbox,
    /// The conversation to be continued is not there any more.
    SessionLost,
    /// The program did not keep to its protocol.
    Protocol,
    /// It ended without an answer that could be used, again and again.
    MalformedOutcome,
    /// It failed in a way that is not known; the message has its words.
    Unknown,
}

/// What is done about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Asked again at once, as often as the step has attempts.
    Again,
    /// Asked again after a pause that grows, as often as the step has attempts.
    Later,
    /// Nothing is asked on that login until the limit is over; the attempt does not count.
    Wait,
    /// Asked again in a new conversation; where it was new already, the run stops.
    Afresh,
    /// The run stops: somebody must mend something.
    Stop,
}

impl FailureClass {
    /// What is done about it.
    pub fn remedy(self) -> Remedy {
        match self {
            Self::Crashed
            | Self::WallTimeout
            | Self::IdleTimeout
            | Self::OutputLimit
            | Self::Protocol
            | Self::Unknown => Remedy::Again,
            Self::RateLimited
            | Self::Overloaded
            | Self::ServerError
            | Self::Network
            | Self::StallTimeout => Remedy::Later,
            Self::UsageLimit => Remedy::Wait,
            Self::ContextOverflow | Self::SessionLost => Remedy::Afresh,
            Self::Spawn
            | Self::ReplayMismatch
            | Self::Auth
            | Self::Quota
            | Self::ModelNotFound
            | Self::BadRequest
            | Self::Refused
            | Self::Sandbox
            | Self::MalformedOutcome => Remedy::Stop,
        }
    }

    /// The class as it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Spawn => "spawn",
            Self::Crashed => "crashed",
            Self::WallTimeout => "wall_timeout",
            Self::IdleTimeout => "idle_timeout",
            Self::StallTimeout => "stall_timeout",
            Self::ReplayMismatch => "replay_mismatch",
            Self::Auth => "auth",
            Self::RateLimited => "rate_limited",
            Self::UsageLimit => "usage_limit",
            Self::Quota => "quota",
            Self::Overloaded => "overloaded",
            Self::ServerError => "server_error",
            Self::Network => "network",
            Self::ContextOverflow => "context_overflow",
            Self::ModelNotFound => "model_not_found",
            Self::BadRequest => "bad_request",
            Self::Refused => "refused",
            Self::OutputLimit => "output_limit",
            Self::Sandbox => "sandbox",
            Self::SessionLost => "session_lost",
            Self::Protocol => "protocol",
            Self::MalformedOutcome => "malformed_outcome",
            Self::Unknown => "unknown",
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}
