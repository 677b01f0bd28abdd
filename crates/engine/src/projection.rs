//! A run's files for people: rewritten from the database whenever an owner lets go of it.

use std::fmt::Write as _;

use botpipe_kernel::ids::{RunId, TaskId};
use botpipe_kernel::run::{ChildPhase, Children, Lifecycle, Phase, Run, Verdict};
use serde_json::json;

use crate::error::Error;
use crate::graph::Graph;
use crate::merges::merges;
use crate::parts::Parts;
use crate::plain;
use crate::request::{Notice, Progress};
use crate::workspace;

/// A run's state in the few words a list shows, as JSON: `{"state":"running","detail":"…"}`, and
/// `until` where it waits for a time, in milliseconds since the epoch.
pub(crate) fn summary(run: &Run) -> String {
    let mut summary = json!({ "state": word(&run.lifecycle), "detail": detail(run) });
    let until = match &run.lifecycle {
        Lifecycle::Held(hold) => Some(hold.until),
        _ => run.due().map(|(_, until)| until),
    };
    if let Some(until) = until {
        summary["until"] = json!(until);
    }
    summary.to_string()
}

/// The lifecycle as one word.
pub(crate) fn word(lifecycle: &Lifecycle) -> &'static str {
    match lifecycle {
        Lifecycle::Unstarted | Lifecycle::Running => "running",
        Lifecycle::Waiting(_) | Lifecycle::Held(_) | Lifecycle::Awaiting(_) => "waiting",
        Lifecycle::Stopped(_) => "stopped",
        Lifecycle::Finished(Verdict::Accepted) => "accepted",
        Lifecycle::Finished(Verdict::Rejected) => "rejected",
        Lifecycle::Finished(Verdict::None) => "finished",
        Lifecycle::Cancelled => "cancelled",
    }
}

/// What the run is at.
pub(crate) fn detail(run: &Run) -> String {
    match &run.lifecycle {
        Lifecycle::Stopped(stop) => stop.to_string(),
        Lifecycle::Waiting(question) => question.text.clone(),
        Lifecycle::Held(hold) => hold.to_string(),
        Lifecycle::Awaiting(wait) => wait.to_string(),
        Lifecycle::Finished(_) | Lifecycle::Cancelled => String::new(),
        Lifecycle::Unstarted | Lifecycle::Running => match &run.visit {
            Some(visit) => match &visit.phase {
                Phase::Preparing { turn, .. }
                | Phase::Turning { turn, .. }
                | Phase::Judging { turn, .. }
                | Phase::Restoring { turn, .. }
                | Phase::Asking { turn, .. } => turn.to_string(),
                Phase::Checking => format!("{} checks", visit.id),
                Phase::Entering
                | Phase::Sealing
                | Phase::Handing { .. }
                | Phase::Posing { .. }
                | Phase::Planning
                | Phase::Answering
                | Phase::Merging
                | Phase::Applying
                | Phase::Arming => visit.id.to_string(),
                Phase::Children => match visit.moving_children() {
                    Some(children) => format!("{}: {}", visit.id, of_children(children)),
                    None => visit.id.to_string(),
                },
            },
            None => String::new(),
        },
    }
}

/// How far the children of a visit are.
pub(crate) fn of_children(children: &Children) -> String {
    let count =
        |is: fn(&ChildPhase) -> bool| children.iter().filter(|(_, it)| is(&it.phase)).count();
    let over = count(|it| matches!(it, ChildPhase::Ended(_) | ChildPhase::Skipped));
    let running = count(|it| matches!(it, ChildPhase::Owed { .. }));
    format!("{over} of {} branches over, {running} at work", children.plans.len())
}

/// What is projected.
pub(crate) struct View<'a> {
    pub(crate) id: &'a RunId,
    pub(crate) task: &'a TaskId,
    /// What the run was started with.
    pub(crate) message: &'a str,
    pub(crate) run: &'a Run,
    /// Sequence number of the last event.
    pub(crate) seq: u64,
}

/// Rewrites a run's projections, or says why not; only for who holds its lease.
pub(crate) fn write_or_note(parts: &Parts, view: &View<'_>, progress: &dyn Progress) {
    if let Err(error) = write(parts, view) {
        let text = format!("the run's files could not be rewritten: {error}");
        progress.notice(&Notice::Note { text: &text });
    }
}

fn write(parts: &Parts, view: &View<'_>) -> Result<(), Error> {
    let run = view.run;
    let folder = &parts.layout.make_run_folder(view.task, &run.plan.name, view.id)?.absolute;
    let mut shown = json!({
        "format": 1,
        "run": view.id,
        "task": view.task,
        "workflow": run.plan.name,
        "plan": run.plan_digest,
        "state": word(&run.lifecycle),
        "detail": detail(run),
        "events": view.seq,
        "steps_taken": run.steps_taken,
        "provider": run.provider,
        "providers": run.providers,
        "visits": run.visits,
    });
    let stored = parts.journal.read_after(view.id, 0)?;
    let merges = merges(&stored);
    if !merges.is_empty() {
        shown["merges"] = json!(merges);
    }
    let mut pretty = serde_json::to_string_pretty(&shown).unwrap_or_default();
    pretty.push('\n');
    let message = view.message.to_owned() + "\n";
    let mut events = String::new();
    for row in stored {
        let line = json!({ "seq": row.seq, "at": row.at, "event": row.event });
        let _ = writeln!(events, "{line}");
    }
    // What the task is about is said by its own run; those below may be told something else.
    let of_task = run.parent.is_none().then(|| (parts.layout.request(view.task), message.clone()));
    let files = [
        (folder.join("run.json"), pretty),
        (folder.join("events.jsonl"), events),
        (folder.join("request.md"), message),
        (folder.join("graph.mmd"), Graph::of(&run.plan).mermaid()),
    ];
    let files = files.into_iter().chain(of_task);
    for (path, text) in files {
        // Most of them never change: no kill leaves half of what is not written.
        if plain::read(&path, text.len() as u64).is_ok_and(|there| there == text.as_bytes()) {
            continue;
        }
        plain::show(&path, text.as_bytes()).map_err(workspace::Error::io("write", path))?;
    }
    Ok(())
}
