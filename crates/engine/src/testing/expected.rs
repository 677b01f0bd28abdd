//! What a case expects, read strictly.

use botpipe_kernel::ids::ArtifactName;
use botpipe_kernel::plan::Plan;
use botpipe_lang::Code;
use botpipe_lang::reading::{
    Entry, Fields, MOST_STEPS, Problem, Report, Value, boolean, choice, count, list, text,
    wrong_type,
};

use super::functions::is_known;
use super::read::{content, entries, texts};
use super::{Content, Expect};

const STATES: [(&str, &str); 6] = [
    ("accepted", "accepted"),
    ("rejected", "rejected"),
    ("finished", "finished"),
    ("waiting", "waiting"),
    ("stopped", "stopped"),
    ("cancelled", "cancelled"),
];

pub(super) fn expect(entry: &Entry, family: &[Plan], report: &mut Report<'_>) -> Expect {
    let Some(plan) = family.first() else { return Expect::default() };
    let Some(mut fields) = Fields::of(&entry.value, "`expect`", entry.key_span, report) else {
        return Expect::default();
    };
    let words =
        |it: &Entry, report: &mut Report<'_>| text(it, report).map(|it| it.value.to_owned());
    let expect = Expect {
        state: fields.get("state").and_then(|it| choice(it, &STATES, report)),
        exit: fields.get("exit").and_then(|it| exit_code(it, report)),
        routes: fields.get("routes").map(|it| routes(it, plan, report)),
        turns: fields.get("turns").and_then(|it| count(it, MOST_STEPS, report)),
        calls: fields.get("calls").map(|it| calls(it, family, report)).unwrap_or_default(),
        question: fields.get("question").and_then(|it| words(it, report)),
        reason: fields.get("reason").and_then(|it| words(it, report)),
        artifacts: fields
            .get("artifacts")
            .map(|it| artifacts(it, plan, report))
            .unwrap_or_default(),
        files: fields.get("files").map(|it| contents(it, report)).unwrap_or_default(),
        changed: fields.get("changed").map(|it| texts(it, report)),
    };
    fields.close(&[], report);
    expect
}

fn exit_code(entry: &Entry, report: &mut Report<'_>) -> Option<u8> {
    let Value::Int(value) = entry.value.value else {
        wrong_type(&entry.value, entry.key_span, "a whole number", report);
        return None;
    };
    let code = u8::try_from(value).ok();
    if code.is_none() {
        let message = "an exit code is a number from 0 to 255";
        report.push(Problem::new(Code::Range, entry.value.span, message));
    }
    code
}

/// How often each function was called; none is a number too.
fn calls(entry: &Entry, family: &[Plan], report: &mut Report<'_>) -> Vec<(String, u32)> {
    let mut found = Vec::new();
    for entry in entries(entry, "functions as a map: a name and how often it was called", report) {
        is_known(entry, family, report);
        match entry.value.value {
            Value::Int(0) => found.push((entry.key.clone(), 0)),
            _ => found.extend(count(entry, MOST_STEPS, report).map(|n| (entry.key.clone(), n))),
        }
    }
    found
}

fn routes(entry: &Entry, plan: &Plan, report: &mut Report<'_>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for node in list(entry, "routes: each a step and the tag it took", report) {
        let Value::Map(entries) = &node.value else {
            wrong_type(node, node.span, "`STEP: TAG`, or `STEP[ITEM]: TAG`", report);
            continue;
        };
        for entry in entries {
            let Some(tag) = text(entry, report) else { continue };
            let id = entry.key.split('[').next().unwrap_or_default();
            let Some(step) = plan.steps.iter().find(|step| step.id.as_str() == id) else {
                let message = format!("the workflow has no step `{id}`");
                let steps = plan.steps.iter().map(|step| step.id.as_str());
                report.push(
                    Problem::new(Code::UnknownTarget, entry.key_span, message).suggest(id, steps),
                );
                continue;
            };
            let tags = || step.routes.iter().map(|route| route.tag.as_str());
            if !tags().any(|known| known == tag.value) {
                let message = format!("step `{id}` has no route `{}`", tag.value);
                report.push(
                    Problem::new(Code::UnknownTarget, tag.span, message).suggest(tag.value, tags()),
                );
            }
            found.push((entry.key.clone(), tag.value.to_owned()));
        }
    }
    found
}

fn artifacts(entry: &Entry, plan: &Plan, report: &mut Report<'_>) -> Vec<(String, Content)> {
    let found = contents(entry, report);
    for entry in entries(entry, "artifacts as a map", report) {
        let name = entry.key.split('[').next().unwrap_or_default();
        let names = || plan.artifacts.keys().map(ArtifactName::as_str);
        if !names().any(|known| known == name) {
            let message = format!("the workflow has no artifact `{name}`");
            report.push(
                Problem::new(Code::UnknownArtifact, entry.key_span, message).suggest(name, names()),
            );
        }
    }
    found
}

fn contents(entry: &Entry, report: &mut Report<'_>) -> Vec<(String, Content)> {
    let all = entries(entry, "a map: a name and what holds of it", report).iter();
    all.filter_map(|entry| Some((entry.key.clone(), holds(entry, report)?))).collect()
}

fn holds(entry: &Entry, report: &mut Report<'_>) -> Option<Content> {
    let mut fields = Fields::of(&entry.value, "what holds of a file", entry.key_span, report)?;
    let content = Content {
        exists: fields.get("exists").and_then(|it| boolean(it, report)).unwrap_or(true),
        equals: fields.get("equals").and_then(|it| content(it, report)),
        contains: fields.get("contains").map(|it| texts(it, report)).unwrap_or_default(),
        lacks: fields.get("lacks").map(|it| texts(it, report)).unwrap_or_default(),
        json: fields.get("json").map(|it| it.value.to_json()),
    };
    fields.close(&[], report);
    Some(content)
}
