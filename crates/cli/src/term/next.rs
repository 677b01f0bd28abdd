//! The next command to type, as it is pasted.

use std::fmt::Write as _;
use std::path::Path;

use botpipe_engine::why::Next;
use botpipe_kernel::ids::{RunId, TaskId, WorkflowName};
use botpipe_kernel::run::Raise;

use super::budget;
use super::output::{printable, shell_word};

/// A run as a person names it on the command line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Named<'a> {
    pub(crate) workflow: &'a WorkflowName,
    pub(crate) task: &'a TaskId,
    /// Its id, when it was named by that.
    pub(crate) run: Option<&'a RunId>,
    pub(crate) workspace: &'a Path,
}

impl Named<'_> {
    /// The command that does it.
    pub(crate) fn next(&self, next: &Next) -> String {
        match next {
            Next::Answer { choices } => {
                let answer = match choices.first() {
                    Some(choice) => shell_word(&printable(choice)),
                    None => "'…'".to_owned(),
                };
                self.command("answer", &format!(" --answer {answer}"))
            }
            Next::Signal { name } => self.command("signal", &format!(" {name}")),
            Next::Resume { raise } => self.command("resume", &raised(raise)),
            Next::Follow => self.command("logs", " -f"),
        }
    }

    /// A command about the run.
    pub(crate) fn command(&self, verb: &str, rest: &str) -> String {
        let workspace = shell_word(&self.workspace.display().to_string());
        let mut text = format!("botpipe {verb} {} {}", self.workflow, self.task);
        if let Some(run) = self.run {
            let _ = write!(text, " --run-id {run}");
        }
        let _ = write!(text, " --workspace {workspace}{rest}");
        text
    }
}

/// The options that raise bounds so far.
fn raised(raise: &Raise) -> String {
    let mut text = String::new();
    if let Some(limit) = raise.max_steps {
        let _ = write!(text, " --max-steps {limit}");
    }
    for (step, limit) in &raise.max_visits {
        let _ = write!(text, " --max-visits {step}={limit}");
    }
    for (of, amount) in raise.budget.bounds() {
        let _ = write!(text, " --budget {}", budget::word(of, amount));
    }
    for (step, budget) in &raise.step_budgets {
        for (of, amount) in budget.bounds() {
            let _ = write!(text, " --budget {step}:{}", budget::word(of, amount));
        }
    }
    text
}
