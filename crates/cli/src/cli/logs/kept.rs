//! All that is kept of a turn, as text and as JSON.

use std::fmt::Write as _;
use std::time::Duration;

use botpipe_engine::engine::RunView;
use botpipe_engine::trace::Trace;
use botpipe_kernel::run::{TurnResult, Usage};
use serde_json::{Value, json};

use crate::term::agent::agent;
use crate::term::clock::{moment, span};
use crate::term::output::printable;

/// # Shape
/// A heading, a line for each fact, and the texts, indented behind `|`.
pub(super) fn text(trace: &Trace, view: &RunView) -> String {
    let mut text = format!("turn {}\n", trace.turn);
    let mut fact = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = writeln!(text, "  {name}: {}", printable(&value));
        }
    };
    let asked = trace.events.first();
    fact("asked", asked.map(|stored| format!("{} UTC", moment(stored.at))));
    fact("agent", trace.agent.as_ref().map(agent));
    fact("request", trace.request.as_ref().map(|it| it.as_str().to_owned()));
    fact("policy", trace.policy.clone());
    fact(
        "session",
        trace.session.as_ref().map(|it| {
            let token = it.token.as_ref().or(trace.named.as_ref());
            let token = token.map_or_else(String::new, |token| format!(" ({token})"));
            let word = if it.token.is_some() { "goes on" } else { "begins" };
            format!("{} {word}{token}", it.key.0)
        }),
    );
    fact("process", trace.process.as_ref().map(|it| it.pid.to_string()));
    fact("output", output(trace));
    fact(
        "transcript",
        trace.transcript.as_ref().map(|it| {
            format!(
                "object {it}, see `botpipe logs {} {} --object {}`",
                view.summary.workflow,
                view.summary.task,
                it.short()
            )
        }),
    );
    fact("usage", trace.usage.as_ref().map(usage));
    fact("took", trace.took_ms.map(|ms| span(Duration::from_millis(ms))));
    fact("left behind", (trace.leftover > 0).then(|| format!("{} processes", trace.leftover)));
    fact("result", Some(result(trace)));
    block(&mut text, "prompt", Some(&trace.prompt));
    block(&mut text, "contract", trace.contract.as_deref());
    block(&mut text, "answer", trace.answer.as_deref().filter(|it| !it.is_empty()));
    let events = trace
        .events
        .iter()
        .map(|stored| format!("{} {} {}", stored.seq, moment(stored.at), stored.event.kind()));
    block(&mut text, "events", Some(&events.collect::<Vec<_>>().join("\n")));
    text.push('\n');
    text
}

fn block(text: &mut String, name: &str, lines: Option<&str>) {
    let Some(lines) = lines else { return };
    let _ = writeln!(text, "  {name}:");
    for line in printable(lines).lines() {
        let _ = writeln!(text, "{}", format!("    | {line}").trim_end());
    }
}

fn output(trace: &Trace) -> Option<String> {
    let (path, digest) = &trace.activity;
    let changed =
        if trace.intact || trace.result.is_none() { "" } else { " (not what was recorded)" };
    match (path, digest) {
        (Some(path), _) => Some(format!("{}{changed}", path.display())),
        (None, Some(digest)) => Some(format!("gone; its digest was {digest}")),
        (None, None) => None,
    }
}

fn usage(usage: &Usage) -> String {
    let mut text = format!("{} tokens in, {} out", usage.input, usage.output);
    if usage.at_least {
        text.insert_str(0, "at least ");
    }
    if let Some(cost) = usage.cost {
        let _ = write!(text, ", {}", botpipe_kernel::plan::Spending::Cost.amount(cost));
    }
    text
}

fn result(trace: &Trace) -> String {
    match &trace.result {
        Some(TurnResult::Completed { exit: Some(code), .. }) => format!("exit code {code}"),
        Some(TurnResult::Completed { exit: None, .. }) => "completed".to_owned(),
        Some(TurnResult::Failed { class, message }) => format!("{}: {message}", class.as_str()),
        None => "none yet".to_owned(),
    }
}

/// # Shape
/// `{"turn", "agent", "prompt", "contract", "request", "policy", "session", "named", "process",
/// "output": {"path", "digest", "intact"}, "transcript", "usage", "took_ms", "leftover", "result",
/// "answer", "events": [{"seq", "at", "event"}]}`
pub(super) fn view(trace: &Trace) -> Value {
    let events = trace.events.iter();
    let events = events.map(|it| json!({ "seq": it.seq, "at": it.at, "event": it.event }));
    let policy = trace.policy.as_ref();
    json!({
        "turn": trace.turn,
        "agent": trace.agent,
        "prompt": trace.prompt,
        "contract": trace.contract,
        "request": trace.request,
        "policy": policy.and_then(|it| serde_json::from_str::<Value>(it).ok()),
        "session": trace.session,
        "named": trace.named,
        "process": trace.process,
        "output": {
            "path": trace.activity.0,
            "digest": trace.activity.1,
            "intact": trace.result.as_ref().map(|_| trace.intact),
        },
        "transcript": trace.transcript,
        "usage": trace.usage,
        "took_ms": trace.took_ms,
        "leftover": trace.leftover,
        "result": trace.result,
        "answer": trace.answer,
        "events": events.collect::<Vec<_>>(),
    })
}
