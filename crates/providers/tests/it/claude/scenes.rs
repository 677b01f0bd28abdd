//! The scenes that are recorded: what the model is scripted to do, and how the turn is asked.

use serde_json::{Value, json};

/// One recording.
pub(super) struct Scene {
    /// Of its files in `tests/claude/`.
    pub(super) name: &'static str,
    pub(super) rules: Value,
    /// Asked for beside what every turn is asked with.
    pub(super) way: Way,
}

/// What is special about a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Plain,
    /// In a conversation that had a turn before, which cost something.
    Continued,
    /// In a conversation that is not there.
    Lost,
    /// Left off once the model hangs.
    LeftOff,
    /// Killed once the model hangs.
    Killed,
    /// Nothing may be written.
    ReadOnly,
    /// With a subscription's login in place of a key.
    Login,
    /// Nobody listens where the model should be.
    NoModel,
}

/// The prompt of every turn.
pub(super) const PROMPT: &str = "Do your part.";

pub(super) fn all() -> Vec<Scene> {
    let scene = |name, way, rules| Scene { name, rules, way };
    let fault = |name, fault: Value| {
        scene(name, Way::Plain, json!([{ "name": "r", "when": [], "fault": fault }]))
    };
    let error = |status: u16, kind: &str, message: &str| {
        let error = json!({ "type": kind, "message": message });
        json!({ "status": status, "body": { "type": "error", "error": error } })
    };
    let write = json!([{
        "name": "write", "when": [], "run": ["echo hello > out.txt && cat out.txt"],
        "say": ["It says {{output}}.", r#"{"outcome": {"tag": "done"}}"#],
    }]);
    let hang = json!([{ "name": "hang", "when": [], "fault": "hang" }]);
    let once = |fault: Value| {
        json!([
            { "name": "first", "when": [], "times": 1, "fault": fault },
            { "name": "then", "when": [], "say": "Here I am." },
        ])
    };
    let limit = json!({
        "anthropic-ratelimit-unified-status": "rejected",
        "anthropic-ratelimit-unified-reset": "1795360000",
        "anthropic-ratelimit-unified-representative-claim": "five_hour",
        "x-should-retry": "false",
    });
    let mut limited =
        error(429, "rate_limit_error", "This would exceed your account's rate limit.");
    limited["headers"] = limit;
    let mut busy =
        error(429, "rate_limit_error", "Number of requests has exceeded your rate limit.");
    busy["headers"] = json!({ "retry-after": "1" });
    vec![
        scene("writes", Way::Plain, write.clone()),
        scene("goes_on", Way::Continued, write.clone()),
        scene("session_lost", Way::Lost, write.clone()),
        scene("read_only", Way::ReadOnly, write),
        scene("left_off", Way::LeftOff, hang.clone()),
        scene("killed", Way::Killed, hang),
        scene("cut_once", Way::Plain, once(json!("cut"))),
        scene("busy_once", Way::Plain, once(error(529, "overloaded_error", "Overloaded"))),
        scene("out_of_reach", Way::NoModel, json!([])),
        fault("says_nothing", json!({ "status": 200, "body": {} })),
        fault("auth", error(401, "authentication_error", "invalid x-api-key")),
        fault("forbidden", error(403, "permission_error", "Your key may not do this.")),
        fault(
            "credit",
            error(
                400,
                "invalid_request_error",
                "Your credit balance is too low to access the API.",
            ),
        ),
        fault("no_model", error(404, "not_found_error", "model: no-such-model")),
        fault("rate_limit", busy),
        fault("rejected", limited.clone()),
        scene("usage_limit", Way::Login, json!([{ "name": "r", "when": [], "fault": limited }])),
        fault("server_error", error(500, "api_error", "Internal server error")),
        fault("overloaded", error(529, "overloaded_error", "Overloaded")),
        fault(
            "context",
            error(
                400,
                "invalid_request_error",
                "prompt is too long: 250000 tokens > 200000 maximum",
            ),
        ),
        fault("too_large", error(413, "request_too_large", "Request exceeds the maximum size")),
        fault("bad_request", error(400, "invalid_request_error", "tools.0: unknown field")),
        fault("cut", json!("cut")),
    ]
}
