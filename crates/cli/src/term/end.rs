//! Where a run stood when a command let go of it: as text, as JSON, and the next command to type.

use std::fmt::Write as _;
use std::path::Path;

use botpipe_engine::policy::unsandboxed;
use botpipe_engine::request::{RunEnd, RunRef, RunStatus};
use botpipe_engine::why::next;
use botpipe_kernel::ids::{RunId, TaskId, WorkflowName};
use botpipe_kernel::run::{FailureClass, Lifecycle, Question, QuestionKind, Run, Stop, Verdict};
use serde_json::{Value, json};

use super::clock;
use super::exit;
use super::next::Named;
use super::output::{Form, printable, result, tell};
use super::progress::Volume;
use super::words;

/// A run at rest, and how the person named its workspace.
pub(crate) struct End<'a> {
    pub(crate) run: &'a RunId,
    pub(crate) task: &'a TaskId,
    pub(crate) workflow: &'a WorkflowName,
    pub(crate) state: &'a Run,
    /// What it gave back.
    pub(crate) output: Option<Value>,
    /// The workflow's folder, relative to the workspace.
    pub(crate) folder: &'a Path,
    pub(crate) workspace: &'a Path,
    /// The run was named by its id, so the next command names it too.
    pub(crate) named: bool,
    /// Somebody moves it now.
    pub(crate) owned: bool,
}

impl<'a> End<'a> {
    pub(crate) fn of(end: &'a RunEnd, workspace: &'a Path, which: Option<&RunRef>) -> Self {
        Self {
            run: &end.run,
            task: &end.task,
            workflow: &end.workflow,
            state: &end.state,
            output: end.output.clone(),
            folder: &end.folder,
            workspace,
            named: which.is_some_and(|which| which.run.is_some()),
            owned: false,
        }
    }

    /// Prints it; the exit code it stands for.
    pub(crate) fn print(&self, form: Form, volume: Volume) -> u8 {
        let code = exit::of_lifecycle(&self.state.lifecycle);
        if form.is_json() && volume == Volume::Normal {
            tell(self.text().trim_end());
        }
        result(form, || self.text(), || self.to_json(code));
        code
    }

    /// # Shape
    /// `{"run", "task", "workflow", "state", "exit_code", "steps_taken", "folder", "question"?,
    /// "hold"?, "wait"?, "stop"?, "reason"?, "output"?, "unsandboxed"?, "next"?}`
    pub(crate) fn to_json(&self, code: u8) -> Value {
        let mut view = json!({
            "run": self.run,
            "task": self.task,
            "workflow": self.workflow,
            "state": self.word(),
            "steps_taken": self.state.steps_taken,
            "folder": self.folder,
            "exit_code": code,
        });
        match &self.state.lifecycle {
            Lifecycle::Waiting(question) => {
                view["question"] = json!({ "text": question.text, "choices": question.choices });
                if !question.shown.is_empty() {
                    view["question"]["shows"] = json!(question.shown);
                }
                if let QuestionKind::Permission { wanted, .. } = &question.kind {
                    view["question"]["wants"] = json!(wanted);
                }
                if let Some(until) = question.until {
                    view["question"]["until"] = json!(until);
                }
            }
            Lifecycle::Awaiting(wait) => {
                view["wait"] = json!(wait);
                view["reason"] = json!(wait.to_string());
            }
            Lifecycle::Held(hold) => {
                view["hold"] = json!(hold);
                view["reason"] = json!(hold.to_string());
            }
            Lifecycle::Stopped(stop) => {
                view["stop"] = json!(stop);
                view["reason"] = json!(stop.to_string());
            }
            _ => {}
        }
        if let (Lifecycle::Finished(_), Some(why)) = (&self.state.lifecycle, &self.state.last_why) {
            view["reason"] = json!(why);
        }
        if let Some(output) = &self.output {
            view["output"] = output.clone();
        }
        let unsandboxed = unsandboxed(self.state);
        if !unsandboxed.is_empty() {
            view["unsandboxed"] = json!(unsandboxed);
        }
        if let Some(next) = self.next() {
            view["next"] = json!(next);
        }
        view
    }

    /// # Shape
    /// `run R of task T (workflow W) finished: accepted`, then what it waits for or why it stopped,
    /// its folder and the next command.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("run {} of task {} ({}) ", self.run, self.task, self.workflow);
        let _ = match &self.state.lifecycle {
            Lifecycle::Finished(verdict) => {
                let steps = match self.state.steps_taken {
                    1 => "1 step".to_owned(),
                    n => format!("{n} steps"),
                };
                writeln!(text, "{} after {steps}", words::finished(*verdict))
            }
            Lifecycle::Cancelled => writeln!(text, "was cancelled"),
            Lifecycle::Waiting(question) => {
                text.push_str("waits for an answer\n");
                text.push_str(&question_text(question));
                Ok(())
            }
            Lifecycle::Held(hold) => writeln!(
                text,
                "waits until {} UTC\n  reason: {}",
                clock::moment(hold.until),
                printable(&hold.to_string())
            ),
            Lifecycle::Awaiting(wait) => {
                let until = wait.until.map(|until| format!(" until {} UTC", clock::moment(until)));
                writeln!(text, "waits{}\n  reason: {wait}", until.unwrap_or_default())
            }
            Lifecycle::Stopped(stop) => {
                writeln!(text, "stopped\n  reason: {}", printable(&stop.to_string()))
            }
            Lifecycle::Unstarted | Lifecycle::Running => writeln!(text, "is {}", self.word()),
        };
        if let (Lifecycle::Finished(_), Some(why)) = (&self.state.lifecycle, &self.state.last_why) {
            let _ = writeln!(text, "  reason: {}", printable(why));
        }
        if let Some(output) = &self.output {
            let shown = serde_json::to_string_pretty(output).unwrap_or_default();
            let _ = writeln!(text, "  output: {}", shown.replace('\n', "\n  "));
        }
        for it in unsandboxed(self.state) {
            let (around, place) = (it.steps(), printable(&it.place()));
            let _ = writeln!(
                text,
                "  no sandbox around {around}: `{}: danger_full_access` in {place}",
                it.control
            );
        }
        let _ = writeln!(text, "  folder: {}", self.workspace.join(self.folder).display());
        if let Some(next) = self.next() {
            let _ = writeln!(text, "  next: {next}");
        }
        if is_mismatch(&self.state.lifecycle) {
            text.push_str(
                "  hint: the workflow or its input is not what was recorded; run it anew with \
                 `--loose` to play the recording all the same, or record it again\n",
            );
        }
        text
    }

    /// The same word that a list of runs shows.
    fn word(&self) -> &'static str {
        let status = match &self.state.lifecycle {
            Lifecycle::Finished(Verdict::Accepted) => RunStatus::Accepted,
            Lifecycle::Finished(Verdict::Rejected) => RunStatus::Rejected,
            Lifecycle::Finished(Verdict::None) => RunStatus::Finished,
            Lifecycle::Cancelled => RunStatus::Cancelled,
            Lifecycle::Waiting(_) | Lifecycle::Held(_) | Lifecycle::Awaiting(_) => {
                RunStatus::Waiting
            }
            Lifecycle::Stopped(_) => RunStatus::Stopped,
            Lifecycle::Unstarted | Lifecycle::Running if self.owned => RunStatus::Running,
            Lifecycle::Unstarted | Lifecycle::Running => RunStatus::OwnerLost,
        };
        status.as_str()
    }

    /// The command that moves the run on.
    pub(crate) fn next(&self) -> Option<String> {
        let run = self.named.then_some(self.run);
        let (workflow, task, workspace) = (self.workflow, self.task, self.workspace);
        let named = Named { workflow, task, run, workspace };
        next(self.state, self.owned).map(|next| named.next(&next))
    }
}

pub(crate) fn question_text(question: &Question) -> String {
    let mut text = String::new();
    for line in printable(&question.text).lines() {
        let _ = writeln!(text, "  question: {line}");
    }
    if !question.choices.is_empty() {
        let choices: Vec<String> = question.choices.iter().map(|it| printable(it)).collect();
        let _ = writeln!(text, "  choices: {}", choices.join(" · "));
    }
    for shown in &question.shown {
        let _ = writeln!(text, "  shows: {} ({})", printable(&shown.path), shown.digest.short());
    }
    if let Some(until) = question.until {
        let _ = writeln!(text, "  until: {} UTC", clock::moment(until));
    }
    text
}

fn is_mismatch(lifecycle: &Lifecycle) -> bool {
    matches!(
        lifecycle,
        Lifecycle::Stopped(Stop::Provider { class: FailureClass::ReplayMismatch, .. })
    )
}
