//! The scenes that are recorded, through each interface: what the model is scripted to do, and how the
//! turn is asked.

use botpipe_kernel::run::{Interface, Usage};
use botpipe_providers::codex::{Exec, Protocol};
use serde_json::{Value, json};

use crate::asked::{Ask, Talk};

/// The prompt of every turn.
pub(super) const PROMPT: &str = "Do your part.";
/// A conversation that nobody began.
pub(super) const NOBODYS: &str = "01a202ca-615b-7e93-b12c-2c6134b53ab7";
/// The first conversation of a recording, whose names are counted.
pub(super) const FIRST: &str = "00000000-0000-7000-8000-000000000001";

pub(super) const INTERFACES: [Interface; 2] = [Interface::AppServer, Interface::Exec];

/// One recording.
pub(super) struct Scene {
    /// Of its files in `tests/codex/<interface>/`.
    pub(super) name: &'static str,
    pub(super) rules: Value,
    pub(super) way: Way,
}

/// What is special about a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Plain,
    /// In a conversation that had a turn before.
    Continued,
    /// In a conversation that is not there.
    Lost,
    /// Left off in words, or by SIGINT, once a command runs.
    LeftOff,
    /// Killed once a command runs.
    Killed,
    /// Nobody listens where the model should be.
    NoModel,
}

impl Way {
    /// What the recorded turn is asked with, when `before` is the conversation that went before it.
    pub(super) fn set(self, ask: &mut Ask, before: &str) {
        match self {
            Self::Continued => {
                ask.session = Some(before.to_owned());
                ask.usage = Usage { input: 100, output: 20, ..Usage::default() };
            }
            Self::Lost => ask.session = Some(NOBODYS.to_owned()),
            Self::Plain | Self::LeftOff | Self::Killed | Self::NoModel => {}
        }
    }
}

/// The codec of an interface, and the flags in the harness.
pub(super) fn talk(ask: &Ask) -> Talk {
    let talk = match ask.harness.interface {
        Some(Interface::Exec) => Talk::new(ask.with(Exec::new)),
        _ => Talk::new(ask.with(Protocol::new)),
    };
    Talk { quiet: true, ..talk }
}

/// A turn through an interface.
pub(super) fn ask(interface: Interface) -> Ask {
    let mut ask = Ask::new(PROMPT);
    ask.harness.interface = Some(interface);
    ask.harness.model = Some("gpt-5.5".to_owned());
    ask
}

pub(super) fn all() -> Vec<Scene> {
    let scene = |name, way, rules| Scene { name, rules, way };
    let fault = |name, fault: Value| {
        scene(name, Way::Plain, json!([{ "name": "r", "when": [], "fault": fault }]))
    };
    let error = |status: u16, kind: &str, code: &str, message: &str| {
        let error = json!({ "type": kind, "code": code, "message": message });
        json!({ "status": status, "body": { "error": error } })
    };
    let writes = json!([{
        "name": "write", "when": [], "run": ["echo hello > out.txt && cat out.txt"],
        "say": ["It says {{output}}.", r#"{"outcome": {"tag": "done"}}"#],
    }]);
    let works = json!([{
        "name": "works", "when": [], "run": ["sleep 600"], "say": "never",
    }]);
    let once = |fault: Value| {
        json!([
            { "name": "first", "when": [], "times": 1, "fault": fault },
            { "name": "then", "when": [], "say": "Here I am." },
        ])
    };
    let mut limit = error(429, "usage_limit_reached", "usage_limit_reached", "The usage limit.");
    limit["body"]["error"]["resets_at"] = 4_102_444_800_u64.into();
    limit["headers"] = json!({
        "x-codex-primary-used-percent": "100",
        "x-codex-primary-window-minutes": "300",
        "x-codex-primary-reset-at": "4102444800",
    });
    vec![
        scene("writes", Way::Plain, writes.clone()),
        scene("goes_on", Way::Continued, writes.clone()),
        scene("session_lost", Way::Lost, writes),
        scene("left_off", Way::LeftOff, works.clone()),
        scene("killed", Way::Killed, works),
        scene("out_of_reach", Way::NoModel, json!([])),
        scene("cut_once", Way::Plain, once(json!("cut"))),
        fault("cut", json!("cut")),
        fault("auth", error(401, "invalid_request_error", "invalid_api_key", "Incorrect API key.")),
        fault("usage_limit", limit),
        fault(
            "quota",
            error(429, "insufficient_quota", "insufficient_quota", "You exceeded your quota."),
        ),
        fault("rate_limit", error(429, "requests", "rate_limit_exceeded", "Slow down.")),
        fault("server_error", error(500, "server_error", "server_error", "Oh.")),
        fault("overloaded", error(503, "server_error", "server_is_overloaded", "Busy.")),
        fault(
            "context",
            error(400, "invalid_request_error", "context_length_exceeded", "Too many tokens."),
        ),
        fault(
            "no_model",
            error(
                404,
                "invalid_request_error",
                "model_not_found",
                "The model `gpt-5.5` does not exist or you do not have access to it.",
            ),
        ),
        fault(
            "bad_request",
            error(400, "invalid_request_error", "invalid_json_schema", "Invalid schema."),
        ),
    ]
}
