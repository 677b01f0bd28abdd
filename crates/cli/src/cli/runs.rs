//! `botpipe runs list` and `botpipe runs show`: the runs of a workspace.

use std::fmt::Write as _;

use botpipe_engine::activity::Refused;
use botpipe_engine::catalog;
use botpipe_engine::enforcement::Enforced;
use botpipe_engine::merges::merges;
use botpipe_engine::request::{RunStatus, RunSummary};
use botpipe_engine::{Engine, engine::RunView};
use botpipe_kernel::ids::{TaskId, WorkflowName};
use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::options::{Json, Which, Workspace};
use crate::term::agent::agent;
use crate::term::clock::moment;
use crate::term::end::End;
use crate::term::failure::Failure;
use crate::term::output::{one_line, result};
use crate::term::table::table;
use crate::term::{enforced, exit, story};

/// List and show runs
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    List(List),
    Show(Show),
}

/// List the runs of a workspace, newest first
///
/// Examples:
///   botpipe runs list
///   botpipe runs list --workflow ralph_loop --status waiting --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct List {
    /// Only runs of this workflow
    #[arg(long, value_name = "REF")]
    workflow: Option<String>,
    /// Only runs of this task
    #[arg(long, value_name = "TASK")]
    task: Option<TaskId>,
    /// Only runs that stand so
    #[arg(long, value_name = "STATUS")]
    status: Option<Status>,
    #[command(flatten)]
    workspace: Workspace,
    #[command(flatten)]
    json: Json,
}

/// Show one run: where it stands, its steps, what to do next
///
/// Example:
///   botpipe runs show ralph_loop csv-export
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Show {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    json: Json,
}

/// Where a run stands, as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Status {
    Running,
    OwnerLost,
    Waiting,
    Stopped,
    Accepted,
    Rejected,
    Finished,
    Cancelled,
}

impl Command {
    pub(super) fn json(&self) -> bool {
        match self {
            Self::List(list) => list.json.json,
            Self::Show(show) => show.json.json,
        }
    }

    pub(super) fn run(self) -> Result<u8, Failure> {
        match self {
            Self::List(list) => list.run(),
            Self::Show(show) => show.run(),
        }
    }
}

impl List {
    fn run(self) -> Result<u8, Failure> {
        let workflow = self.workflow.as_deref().map(|name| self.named(name)).transpose()?;
        let engine = Engine::open_existing(self.workspace.path())?;
        let mut runs = match engine {
            Some(engine) => engine.runs(workflow.as_ref(), self.task.as_ref())?,
            None => Vec::new(),
        };
        if let Some(status) = self.status {
            runs.retain(|run| status.fits(run.state));
        }
        let json = || json!({ "runs": runs.iter().map(summary).collect::<Vec<_>>() });
        result(self.json.form(), || list(&runs), json);
        Ok(exit::OK)
    }

    fn named(&self, reference: &str) -> Result<WorkflowName, Failure> {
        let found = catalog::find(self.workspace.path(), reference);
        let name = found.map_or_else(|_| reference.to_owned(), |found| found.name);
        name.parse().map_err(|error| Failure::usage(format!("{error}")))
    }
}

impl Show {
    fn run(self) -> Result<u8, Failure> {
        let which = self.which.run()?;
        let engine = self.which.workspace.engine()?;
        let view = engine.show(&which)?;
        let enforced = engine.enforced(&view.events)?;
        let refused = engine.all_refused(&view);
        let end = End {
            run: &view.summary.run,
            task: &view.summary.task,
            workflow: &view.summary.workflow,
            state: &view.state,
            output: engine.output(&view.state),
            folder: &view.folder,
            workspace: self.which.workspace.path(),
            named: which.run.is_some(),
            owned: view.summary.owned,
        };
        let kept = (&enforced[..], &refused[..]);
        result(self.json.form(), || show(&view, &end, kept), || full(&view, &end, kept));
        Ok(exit::OK)
    }
}

impl Status {
    fn fits(self, state: RunStatus) -> bool {
        match state {
            RunStatus::Running => self == Self::Running,
            RunStatus::OwnerLost => self == Self::OwnerLost,
            RunStatus::Waiting => self == Self::Waiting,
            RunStatus::Stopped => self == Self::Stopped,
            RunStatus::Accepted => self == Self::Accepted || self == Self::Finished,
            RunStatus::Rejected => self == Self::Rejected || self == Self::Finished,
            RunStatus::Finished => self == Self::Finished,
            RunStatus::Cancelled => self == Self::Cancelled,
        }
    }
}

/// # Shape
/// `{"run", "task", "workflow", "state", "detail", "until", "created_at", "updated_at", "events"}`; times in
/// milliseconds since the epoch.
fn summary(run: &RunSummary) -> Value {
    json!({
        "run": run.run,
        "task": run.task,
        "workflow": run.workflow,
        "state": run.state.as_str(),
        "detail": run.detail,
        "until": run.until,
        "created_at": run.created_at,
        "updated_at": run.updated_at,
        "events": run.events,
    })
}

fn list(runs: &[RunSummary]) -> String {
    if runs.is_empty() {
        return "no runs\n".to_owned();
    }
    let rows: Vec<_> = runs
        .iter()
        .map(|run| {
            [
                run.task.to_string(),
                run.workflow.to_string(),
                run.run.to_string(),
                run.state.as_str().to_owned(),
                moment(run.updated_at),
                one_line(&at(run), 90),
            ]
        })
        .collect();
    table(["TASK", "WORKFLOW", "RUN", "STATE", "UPDATED (UTC)", "DETAIL"], &rows)
}

/// What a run is at, and until when where it waits for a time.
fn at(run: &RunSummary) -> String {
    match run.until {
        Some(until) => format!("until {} UTC: {}", moment(until), run.detail),
        None => run.detail.clone(),
    }
}

fn show(view: &RunView, end: &End<'_>, (enforced, refused): (&[Enforced], &[Refused])) -> String {
    let mut text = end.text();
    let run = &view.summary;
    let _ = writeln!(
        text,
        "  created {} UTC, updated {} UTC, {} events\n",
        moment(run.created_at),
        moment(run.updated_at),
        run.events
    );
    if let Some(provider) = &view.state.provider {
        let _ = writeln!(text, "  agent: {}\n", agent(provider));
    }
    text.push_str(&story::text(&story::chapters(&view.events), &view.state));
    text.push_str(&story::merged(&merges(&view.events)));
    text.push_str(&enforced::text(enforced));
    text.push_str(&enforced::refused(refused));
    text
}

/// A summary, where the run stands, its visits, what kept its policies, and what they refused.
///
/// # Shape
/// `{…, "sandbox": […], "refused"?: [{"turn", "sentences"}], "merges"?: […]}`
fn full(view: &RunView, end: &End<'_>, (enforced, refused): (&[Enforced], &[Refused])) -> Value {
    let mut all = summary(&view.summary);
    let standing = end.to_json(exit::of_lifecycle(&view.state.lifecycle));
    if let (Value::Object(all), Value::Object(standing)) = (&mut all, standing) {
        for (key, value) in standing {
            all.entry(key).or_insert(value);
        }
        all.insert("provider".to_owned(), json!(view.state.provider));
        all.insert("steps".to_owned(), story::to_json(&story::chapters(&view.events)));
        all.insert("sandbox".to_owned(), json!(enforced));
        if !refused.is_empty() {
            all.insert("refused".to_owned(), json!(refused));
        }
        let merges = merges(&view.events);
        if !merges.is_empty() {
            all.insert("merges".to_owned(), json!(merges));
        }
    }
    all
}
