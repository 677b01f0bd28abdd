//! The functions of a case, read strictly: what each does, call by call.

use std::collections::BTreeMap;

use botpipe_kernel::ids::{ArtifactName, FunctionName};
use botpipe_kernel::plan::{Code as StepCode, Plan, Step};
use botpipe_lang::Code;
use botpipe_lang::reading::{Entry, Fields, Node, Problem, Report, Value, list, text, wrong_type};
use serde_json::json;

use super::read::{content, entries};
use crate::perform::METHODS;
use crate::prompt::read_return;

/// What a function does.
#[derive(Debug, Clone)]
pub(super) enum Scripted {
    /// One thing a call, in order.
    Each(Vec<Doing>),
    /// The same in every call.
    Every(Doing),
}

/// What it does in a call.
#[derive(Debug, Clone)]
pub(super) struct Doing {
    /// What it must be called with: maps may leave keys out.
    pub(super) with: Option<serde_json::Value>,
    /// What it asks for first, in order, its writes among it: a method and its parameters.
    pub(super) asks: Vec<(String, serde_json::Value)>,
    /// What it returns, or the words of its error.
    pub(super) end: Result<serde_json::Value, String>,
}

/// The keys that tell a call from what is returned in it.
const KEYS: [&str; 5] = ["with", "writes", "asks", "returns", "raises"];

/// The functions that a workflow, and those below it, name.
pub(super) fn known(family: &[Plan]) -> Vec<&FunctionName> {
    let codes = family.iter().flat_map(|plan| &plan.steps).flat_map(Step::codes);
    codes.filter_map(StepCode::function).collect()
}

/// Whether a function is one of the workflow's; told when it is not.
pub(super) fn is_known(entry: &Entry, family: &[Plan], report: &mut Report<'_>) -> bool {
    let known = known(family);
    let is_known = known.iter().any(|name| name.as_str() == entry.key);
    if !is_known {
        let message = format!("the workflow calls no function `{}`", entry.key);
        let names = known.iter().map(|name| name.as_str());
        report.push(
            Problem::new(Code::UnknownTarget, entry.key_span, message).suggest(&entry.key, names),
        );
    }
    is_known
}

pub(super) fn functions(
    entry: &Entry,
    family: &[Plan],
    report: &mut Report<'_>,
) -> BTreeMap<String, Scripted> {
    let mut found = BTreeMap::new();
    for entry in entries(entry, "functions as a map: a name and what it returns", report) {
        if !is_known(entry, family, report) {
            continue;
        }
        let scripted = if let Value::List(calls) = &entry.value.value {
            let calls = calls.iter().map(|call| doing(call, entry, family, report));
            calls.collect::<Option<_>>().map(Scripted::Each)
        } else {
            doing(&entry.value, entry, family, report).map(Scripted::Every)
        };
        found.extend(scripted.map(|scripted| (entry.key.clone(), scripted)));
    }
    found
}

/// A return as it is; or a map that says more of the call.
fn doing(node: &Node, of: &Entry, family: &[Plan], report: &mut Report<'_>) -> Option<Doing> {
    let is_long = match &node.value {
        Value::Map(entries) => entries.iter().any(|entry| KEYS.contains(&entry.key.as_str())),
        _ => false,
    };
    if !is_long {
        let end = Ok(returned(node, report)?);
        return Some(Doing { with: None, asks: Vec::new(), end });
    }
    let mut fields = Fields::of(node, "a call", of.key_span, report)?;
    let with = fields.get("with").map(|entry| entry.value.to_json());
    let mut asks = Vec::new();
    if let Some(entry) = fields.get("asks") {
        for node in list(entry, "asks: each a method and its parameters", report) {
            asks.extend(asked(node, report));
        }
    }
    if let Some(entry) = fields.get("writes") {
        for entry in entries(entry, "what it writes, by artifact", report) {
            let names = || family.iter().flat_map(|plan| plan.artifacts.keys());
            if !names().any(|name| name.as_str() == entry.key) {
                let message = format!("the workflow has no artifact `{}`", entry.key);
                report.push(
                    Problem::new(Code::UnknownArtifact, entry.key_span, message)
                        .suggest(&entry.key, names().map(ArtifactName::as_str)),
                );
            }
            if let Some(text) = content(entry, report) {
                let params = json!({ "artifact": entry.key, "text": text });
                asks.push(("artifact/write".to_owned(), params));
            }
        }
    }
    let (returns, raises) = (fields.get("returns"), fields.get("raises"));
    let end = match (returns, raises) {
        (Some(_), Some(entry)) => {
            let message = "a call either `returns` or `raises`";
            report.push(Problem::new(Code::WrongKind, entry.key_span, message));
            None
        }
        (_, Some(entry)) => text(entry, report).map(|it| Err(it.value.to_owned())),
        (Some(entry), None) => returned(&entry.value, report).map(Ok),
        (None, None) => Some(Ok(serde_json::Value::Null)),
    };
    fields.close(&[], report);
    Some(Doing { with, asks, end: end? })
}

/// What is returned, if it can be.
fn returned(node: &Node, report: &mut Report<'_>) -> Option<serde_json::Value> {
    let value = node.to_json();
    match read_return(&value) {
        Ok(_) => Some(value),
        Err(why) => {
            report.push(Problem::new(Code::WrongKind, node.span, why));
            None
        }
    }
}

/// `METHOD: PARAMETERS`.
fn asked(node: &Node, report: &mut Report<'_>) -> Option<(String, serde_json::Value)> {
    let Value::Map(entries) = &node.value else {
        wrong_type(node, node.span, "`METHOD: PARAMETERS`", report);
        return None;
    };
    let [entry] = entries.as_slice() else {
        let message = "a function asks for one thing at a time";
        report.push(Problem::new(Code::WrongKind, node.span, message));
        return None;
    };
    if !METHODS.contains(&entry.key.as_str()) {
        let message = format!("a function cannot ask for `{}`", entry.key);
        report.push(
            Problem::new(Code::UnknownChoice, entry.key_span, message).suggest(&entry.key, METHODS),
        );
        return None;
    }
    Some((entry.key.clone(), entry.value.to_json()))
}
