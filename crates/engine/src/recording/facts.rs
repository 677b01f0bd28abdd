//! What a run did, one fact a line: the events without what differs from one playing to the next.

use std::fmt::Write as _;

use botpipe_journal::Stored;
use botpipe_kernel::ids::TurnId;
use serde_json::Value;

/// The events of a run as lines that are the same whenever the same is played.
///
/// Left out are times, ids, digests and processes, and the kinds of event that tell how a turn was
/// carried out and not what came of it.
///
/// # Shape
/// `route_taken visit=plan/1 tag=accepted to=implement`
pub(crate) fn facts(events: &[Stored]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for stored in events {
        let Ok(event) = serde_json::to_value(&stored.event) else { continue };
        if LEFT_OUT.contains(&stored.event.kind()) {
            continue;
        }
        let line = line(stored.event.kind(), &event);
        // A turn that was cut off is owed again.
        if lines.last() != Some(&line) {
            lines.push(line);
        }
    }
    lines
}

/// Kinds of event that say how, not what.
const LEFT_OUT: [&str; 16] = [
    "baseline_taken",
    "turn_started",
    "session_known",
    "turn_interrupted",
    "tree_restored",
    "restore_refused",
    "sealed",
    "run_held",
    "hold_ended",
    "fell_back",
    "person_said",
    "said_delivered",
    "run_resumed",
    "person_attached",
    "workspace_moved",
    "harness_changed",
];

/// The keys that are shown, in this order.
const SHOWN: [&str; 14] = [
    "workflow",
    "visit",
    "turn",
    "worklist",
    "step",
    "item",
    "items",
    "status",
    "tag",
    "to",
    "completed",
    "verdict",
    "branch",
    "index",
];

fn line(kind: &str, event: &Value) -> String {
    let mut line = kind.to_owned();
    for key in SHOWN {
        if let Some(value) = event.get(key) {
            let _ = write!(line, " {key}={}", word(key, value));
        }
    }
    if let Some(result) = event.get("result").and_then(Value::as_object) {
        for (how, about) in result {
            let class = about["class"].as_str().map(|class| format!(" class={class}"));
            let exit = about["exit"].as_i64().map(|exit| format!(" exit={exit}"));
            let _ = write!(line, " {how}{}{}", class.unwrap_or_default(), exit.unwrap_or_default());
        }
    }
    for check in event["checks"].as_array().into_iter().flatten() {
        let _ = write!(line, " check {}={}", plain(&check["name"]), first_key(&check["status"]));
    }
    for finding in event["findings"].as_array().into_iter().flatten() {
        let _ = write!(line, " {}={}", plain(&finding["artifact"]), first_key(&finding["state"]));
    }
    if let Some(artifacts) = event["artifacts"].as_object() {
        let names: Vec<&str> = artifacts.keys().map(String::as_str).collect();
        let _ = write!(line, " artifacts={}", names.join(","));
    }
    if kind == "run_stopped" {
        let _ = write!(line, " {}", first_key(&event["stop"]));
    }
    line
}

fn word(key: &str, value: &Value) -> String {
    let Value::Array(items) = value else {
        let text = plain(value);
        let turn = text.parse::<TurnId>().ok().filter(|turn| key == "turn" && !turn.role.is_code());
        return turn.map_or(text, |turn| turn.path());
    };
    items.iter().map(|item| plain(&item["id"])).collect::<Vec<_>>().join(",")
}

/// A text as it is; of a map with one key, `step:implement`.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(map) => {
            let pairs = map.iter().map(|(key, value)| format!("{key}:{}", plain(value)));
            pairs.collect::<Vec<_>>().join(",")
        }
        other => other.to_string(),
    }
}

/// The word that says which of several things a value is.
fn first_key(value: &Value) -> String {
    let key = value.as_object().and_then(|map| map.keys().next().cloned());
    key.unwrap_or_else(|| plain(value))
}
