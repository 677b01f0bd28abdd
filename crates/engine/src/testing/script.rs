//! What stands in the agent's place in a case: a recording, or turns written down.

use std::collections::BTreeMap;

use botpipe_kernel::ids::ArtifactName;
use botpipe_kernel::plan::Plan;
use botpipe_kernel::run::FailureClass;
use botpipe_lang::reading::{Entry, Fields, Problem, Report, text};
use botpipe_lang::{Code, Compiled};
use botpipe_providers::{Cassette, FilePatch, RecordedEnd, Recording};

use super::read::{content, entries, inside, texts};
use super::ways::named;
use super::{Beside, Recorded};

pub(super) fn cassette(
    entry: &Entry,
    beside: &Beside,
    report: &mut Report<'_>,
) -> Option<Recorded> {
    let written = text(entry, report)?;
    let path = written.value.to_owned();
    let Ok(text) = beside.files().read(&path) else {
        let message = format!("there is no recording `{path}` beside this test");
        report.push(
            Problem::new(Code::NoCassette, written.span, message)
                .help(format!("`botpipe run … --record {path}` makes one")),
        );
        return None;
    };
    match Cassette::parse(&text) {
        Ok(cassette) => Some(Recorded::Cassette { path, text, events: cassette.events }),
        Err(error) => {
            let message = format!("the recording `{path}` cannot be read: {error}");
            report.push(Problem::new(Code::NoCassette, written.span, message));
            None
        }
    }
}

pub(super) fn script(entry: &Entry, compiled: &Compiled, report: &mut Report<'_>) -> Recorded {
    let workflow = compiled.plan.as_ref().map(|plan| plan.name.to_string()).unwrap_or_default();
    let mut cassette = Cassette { workflow, ..Cassette::default() };
    for entry in entries(entry, "turns as a map: a turn's path and what it does", report) {
        let named = named(entry, compiled, report);
        let plan = named.as_ref().and_then(|named| named.plan.as_ref());
        let recording = scripted(entry, plan, report);
        if let (Some(named), Some(recording)) = (named, recording) {
            cassette.turns.push((named.way, recording));
        }
    }
    Recorded::Script(Box::new(cassette))
}

fn scripted(entry: &Entry, plan: Option<&Plan>, report: &mut Report<'_>) -> Option<Recording> {
    let mut fields = Fields::of(&entry.value, "a turn", entry.key_span, report)?;
    let (mut artifacts, mut patch) = (BTreeMap::new(), BTreeMap::new());
    if let Some(entry) = fields.get("writes") {
        for entry in entries(entry, "what the turn writes, by artifact or path", report) {
            let Some(text) = content(entry, report) else { continue };
            let write = FilePatch::Write { bytes: text.into_bytes(), executable: false };
            let names = || plan.into_iter().flat_map(|it| it.artifacts.keys());
            let names = || names().map(ArtifactName::as_str);
            let is_path = entry.key.contains(['/', '.']);
            if names().any(|name| name == entry.key) || (plan.is_none() && !is_path) {
                artifacts.insert(entry.key.clone(), write);
            } else if !is_path {
                let message = format!("`{}` is no artifact, and no path of a file", entry.key);
                report.push(
                    Problem::new(Code::UnknownArtifact, entry.key_span, message)
                        .suggest(&entry.key, names())
                        .help("a file at the top of the workspace without a dot: `./NAME`"),
                );
            } else if inside(entry.key.trim_start_matches("./"), entry.key_span, report) {
                patch.insert(entry.key.trim_start_matches("./").to_owned(), write);
            }
        }
    }
    for path in fields.get("deletes").map(|it| texts(it, report)).unwrap_or_default() {
        if inside(&path, entry.key_span, report) {
            patch.insert(path, FilePatch::Delete);
        }
    }
    let answer = fields.get("answer").and_then(|it| text(it, report)).map(|it| it.value.to_owned());
    let outcome = fields.get("outcome").and_then(|it| outcome(it, report));
    let fails = fields.get("fails").and_then(|it| failure(it, report));
    fields.close(&[], report);
    let end = match fails {
        Some(class) => RecordedEnd::Failed {
            class,
            message: answer.unwrap_or_else(|| format!("a scripted {}", class.as_str())),
        },
        None => RecordedEnd::Answer(match (answer, outcome) {
            (answer, Some(outcome)) => {
                let words = answer.unwrap_or_else(|| "Done.".to_owned());
                format!("{}\n\n```json\n{outcome}\n```\n", words.trim_end())
            }
            (answer, None) => answer.unwrap_or_else(|| "Done.\n".to_owned()),
        }),
    };
    Some(Recording { request: None, asked: None, activity: Vec::new(), artifacts, patch, end })
}

/// A tag, or the outcome in full.
fn outcome(entry: &Entry, report: &mut Report<'_>) -> Option<serde_json::Value> {
    if let Some(tag) = entry.value.as_text() {
        return Some(serde_json::json!({ "outcome": { "tag": tag } }));
    }
    let mut fields = Fields::of(&entry.value, "an outcome", entry.key_span, report)?;
    let tag = fields.get("tag").and_then(|it| text(it, report)).map(|it| it.value.to_owned());
    let mut written = serde_json::json!({ "tag": tag });
    for key in ["payload", "route_fields"] {
        if let Some(entry) = fields.get(key) {
            written[key] = entry.value.to_json();
        }
    }
    if tag.is_none() {
        report.push(Problem::new(Code::MissingKey, entry.value.span, "an outcome needs a `tag`"));
    }
    fields.close(&[], report);
    Some(serde_json::json!({ "outcome": written }))
}

fn failure(entry: &Entry, report: &mut Report<'_>) -> Option<FailureClass> {
    let written = text(entry, report)?;
    let class = serde_json::from_value(written.value.into());
    if class.is_err() {
        let message = format!("`{}` is no class of failure", written.value);
        report.push(
            Problem::new(Code::UnknownChoice, written.span, message)
                .help("such as `crashed`, `rate_limited`, `usage_limit`, `auth`, `network`"),
        );
    }
    class.ok()
}
