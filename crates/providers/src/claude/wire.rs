//! The lines of Claude Code that are read, and only the fields of them that are.

use serde::Deserialize;
use serde_json::Value;

/// A line. What is not listed here is passed over.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Line {
    System(System),
    Assistant(Assistant),
    User(User),
    RateLimitEvent {
        rate_limit_info: RateLimit,
    },
    ControlRequest {
        request_id: String,
        request: Request,
    },
    ControlResponse {
        response: Response,
    },
    Result(Box<End>),
    #[serde(other)]
    Other,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "subtype", rename_all = "snake_case")]
pub(super) enum System {
    Init {
        session_id: String,
        #[serde(default)]
        mcp_servers: Vec<McpStatus>,
    },
    ApiRetry {
        #[serde(default)]
        attempt: u64,
        #[serde(default)]
        max_retries: u64,
        error_status: Option<u16>,
        error: Option<String>,
    },
    PermissionDenied {
        #[serde(default)]
        tool_name: String,
        #[serde(default)]
        message: String,
    },
    ModelFallback {
        original_model: Option<String>,
        fallback_model: Option<String>,
    },
    #[serde(other)]
    Other,
}

#[derive(Debug, Deserialize)]
pub(super) struct McpStatus {
    pub(super) name: String,
    pub(super) status: String,
}

/// A block of the model's answer, or of an error put in its place.
#[derive(Debug, Deserialize)]
pub(super) struct Assistant {
    /// Names it in the conversation.
    pub(super) uuid: Option<String>,
    pub(super) message: Message,
    /// The typed class of a failure.
    pub(super) error: Option<String>,
    /// Set where a subagent speaks.
    pub(super) parent_tool_use_id: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct User {
    pub(super) message: Message,
}

#[derive(Debug, Deserialize)]
pub(super) struct Message {
    #[serde(default)]
    pub(super) id: String,
    /// Text, or blocks.
    #[serde(default)]
    pub(super) content: Value,
    pub(super) usage: Option<Tokens>,
}

/// Tokens, the parts of the input apart from each other.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
pub(super) struct Tokens {
    #[serde(default, rename = "input_tokens")]
    pub(super) input: u64,
    #[serde(default, rename = "cache_creation_input_tokens")]
    pub(super) cache_write: u64,
    #[serde(default, rename = "cache_read_input_tokens")]
    pub(super) cache_read: u64,
    #[serde(default, rename = "output_tokens")]
    pub(super) output: u64,
    #[serde(rename = "output_tokens_details")]
    pub(super) details: Option<OutputTokens>,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
pub(super) struct OutputTokens {
    #[serde(default, rename = "thinking_tokens")]
    pub(super) thinking: u64,
}

/// The limits of a login; seconds since the epoch.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RateLimit {
    #[serde(default)]
    pub(super) status: String,
    pub(super) resets_at: Option<u64>,
    #[serde(rename = "rateLimitType")]
    pub(super) kind: Option<String>,
}

/// What Claude Code asks of us.
#[derive(Debug, Deserialize)]
#[serde(tag = "subtype", rename_all = "snake_case")]
pub(super) enum Request {
    CanUseTool {
        #[serde(default)]
        tool_name: String,
        #[serde(default)]
        input: Value,
    },
    #[serde(other)]
    Other,
}

/// What it answers.
#[derive(Debug, Deserialize)]
pub(super) struct Response {
    pub(super) subtype: String,
    #[serde(default)]
    pub(super) request_id: String,
    pub(super) error: Option<String>,
}

/// The end of a turn. `subtype` is no verdict: a failed request ends as `success` too.
#[derive(Debug, Deserialize)]
pub(super) struct End {
    #[serde(default)]
    pub(super) subtype: String,
    #[serde(default)]
    pub(super) is_error: bool,
    pub(super) result: Option<String>,
    #[serde(default)]
    pub(super) errors: Vec<String>,
    pub(super) terminal_reason: Option<String>,
    pub(super) stop_reason: Option<String>,
    pub(super) api_error_status: Option<u16>,
    /// What kind of failure of the service it was, where that is known.
    pub(super) api_error: Option<String>,
    pub(super) usage: Option<Tokens>,
    /// US dollars, counted on from the beginning of the conversation.
    pub(super) total_cost_usd: Option<f64>,
    #[serde(default)]
    pub(super) permission_denials: Vec<Denial>,
    /// Messages that wait for a turn of their own.
    #[serde(default)]
    pub(super) queued_turn_count: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Denial {
    #[serde(default)]
    pub(super) tool_name: String,
}

impl End {
    /// Whether there is an answer.
    pub(super) fn is_good(&self) -> bool {
        !self.is_error && self.terminal_reason.as_deref().is_none_or(|reason| reason == "completed")
    }

    /// Whether it was interrupted.
    pub(super) fn is_left_off(&self) -> bool {
        self.terminal_reason.as_deref().is_some_and(|reason| reason.starts_with("aborted"))
    }
}
