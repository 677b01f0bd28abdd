//! What a run did, one fact a line: the events without what differs from one playing to the next.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::mem;

use botpipe_kernel::ids::{BranchId, TurnId, VisitId};
use botpipe_kernel::run::{Event, QuestionKind};
use serde_json::Value;

use super::family::Family;
use crate::perform::way;

/// The events of a run, and of all below it, as lines that are the same whenever the same is played.
///
/// Left out are times, ids, digests and processes, and the kinds of event that tell how a turn was
/// carried out and not what came of it. Children end in any order: what is told of them stands in the
/// order in which they were planned, where the last of them ended.
///
/// # Shape
/// `route_taken visit=plan/1 tag=accepted to=implement`, and of the run of a branch
/// `review/1/lint: route_taken visit=lint/1 tag=done to=finish`
pub(crate) fn facts(family: &Family) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut planned: Vec<(&VisitId, &BranchId)> = Vec::new();
    let mut ended: BTreeMap<Option<usize>, Vec<String>> = BTreeMap::new();
    let is_resumed = |event: &Event| matches!(event, Event::RunResumed { .. });
    let taken_up = family.events.iter().rposition(|stored| is_resumed(&stored.event));
    // What is played asks no leave: a question of that kind is left out with its answer.
    let mut leave_asked = false;
    for (at, stored) in family.events.iter().enumerate() {
        let (kind, event) = (stored.event.kind(), &stored.event);
        match event {
            Event::QuestionAsked { question } => {
                leave_asked = matches!(question.kind, QuestionKind::Permission { .. });
                if leave_asked {
                    continue;
                }
            }
            Event::AnswerAccepted { .. } if mem::take(&mut leave_asked) => continue,
            _ => {}
        }
        let went_on = matches!(event, Event::RunStopped { .. }) && taken_up > Some(at);
        if LEFT_OUT.contains(&kind) || went_on {
            continue;
        }
        let Ok(value) = serde_json::to_value(event) else { continue };
        let line = line(kind, &value);
        let line = if family.way.is_empty() { line } else { format!("{}: {line}", family.way) };
        match event {
            Event::ChildEnded { visit, branch, .. } | Event::ChildSkipped { visit, branch } => {
                let place = planned.iter().position(|it| *it == (visit, branch));
                let own = way(&family.way, format_args!("{visit}/{branch}"));
                let child = family.below.iter().find(|child| child.way == own);
                let mut told = child.map(facts).unwrap_or_default();
                told.push(line);
                ended.insert(place, told);
                continue;
            }
            Event::ChildrenPlanned { visit, children } => {
                planned.extend(children.iter().map(|child| (visit, &child.branch)));
            }
            Event::CallbackOwed { turn, child: Some(child), .. } => {
                planned.push((&turn.visit, &child.branch));
            }
            _ => {}
        }
        lines.extend(mem::take(&mut ended).into_values().flatten());
        // A turn that was cut off is owed again.
        if lines.last() != Some(&line) {
            lines.push(line);
        }
    }
    lines.extend(ended.into_values().flatten());
    lines
}

/// Kinds of event that say how, not what.
const LEFT_OUT: [&str; 19] = [
    "permission_answered",
    "child_owed",
    "child_rested",
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
    if let Some(children) = event["children"].as_array() {
        let names: Vec<String> = children.iter().map(|child| plain(&child["branch"])).collect();
        let _ = write!(line, " branches={}", names.join(","));
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
        let turn = text.parse::<TurnId>().ok().filter(|_| key == "turn");
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
