//! `botpipe policy explain`: what binds each process of a workflow, and who says so.

use std::fmt::Write as _;
use std::path::PathBuf;

use botpipe_engine::config::{Agent, HarnessLayer, Layer, Setting};
use botpipe_engine::policy::{Bound, By, Origin, explain};
use botpipe_kernel::ids::StepId;
use clap::Subcommand;
use serde_json::json;

use super::options::{Json, Workspace, checked};
use super::run::{Provider, policy_option, provider};
use crate::term::exit;
use crate::term::failure::Failure;
use crate::term::output::{one_line, result};
use crate::term::table::table;

/// Show what a workflow's processes may do
///
/// Policies stand in the repository's `botpipe.yaml`, in the workflow, in its steps and in their turns:
/// control by control the inner one wins. What your own `botpipe.yaml` and `--policy-file` say narrows
/// what comes of that, whatever a workflow says.
#[derive(Debug, Subcommand)]
#[command(verbatim_doc_comment)]
pub(super) enum Command {
    Explain(Explain),
}

/// Show what binds each step and turn: every control, its value, who says so, who enforces it and how far
///
/// A control of which nobody says anything, and which bounds nothing, is shown with `--all`. `script` is a
/// command or a function of the step, its checks and hooks. What nobody enforces here is told as
/// `run` would refuse it, and the exit code is 7 then. What depends on the agent is judged by the one that
/// `--provider`, the settings or the workflow name; without any, only what no agent keeps is. Nothing is run.
///
/// Examples:
///   botpipe policy explain ralph_loop
///   botpipe policy explain ralph_loop implement --policy-file ci.yaml
///   botpipe policy explain ralph_loop --provider codex
///   botpipe policy explain ./release.sop.yaml --all --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Explain {
    /// The workflow: a name, an alias, or a path to its file or folder
    #[arg(value_name = "REF")]
    reference: String,
    /// Only this step
    #[arg(value_name = "STEP")]
    step: Option<StepId>,
    /// As if the run was given this file
    #[arg(long, value_name = "FILE")]
    policy_file: Option<PathBuf>,
    /// As if the run was given this agent: `codex`, `claude`, `acp`, `command` or `replay`
    #[arg(long, value_name = "PROVIDER")]
    provider: Option<String>,
    /// All controls
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    workspace: Workspace,
    #[command(flatten)]
    json: Json,
    /// The agent's program and its arguments, or further arguments for a harness
    #[arg(last = true, value_name = "PROGRAM", requires = "provider")]
    program: Vec<String>,
}

impl Command {
    pub(super) fn json(&self) -> bool {
        let Self::Explain(explain) = self;
        explain.json.json
    }

    pub(super) fn run(self) -> Result<u8, Failure> {
        let Self::Explain(explain) = self;
        explain.run()
    }
}

impl Explain {
    fn run(self) -> Result<u8, Failure> {
        let workspace = self.workspace.path();
        let compiled = checked(workspace, &self.reference)?;
        let policy = self.policy_file.as_deref().map(policy_option).transpose()?;
        let named = self.provider.as_deref().map(provider).transpose()?;
        let by = if named == Some(Provider::Replay) { By::Recording } else { By::Settings };
        let settings = self.workspace.config()?.with(Layer { policy, ..self.agent(named) });
        let mut bound = explain(&compiled, &settings, workspace, by);
        if let Some(step) = &self.step {
            bound.retain(|it| it.step == *step);
            if bound.is_empty() {
                let message = format!("no step `{step}` of this workflow starts a process");
                return Err(Failure::not_found(message)
                    .hint(format!("`botpipe policy explain {}`", self.reference)));
            }
        }
        if !self.all {
            for it in &mut bound {
                it.controls.retain(|line| line.origin != Origin::Default || line.enforcer != "-");
            }
        }
        result(self.json.form(), || text(&bound), || json!({ "bound": bound }));
        let refused = bound.iter().any(|it| it.refusal.is_some());
        Ok(if refused { exit::POLICY } else { exit::OK })
    }
}

impl Explain {
    /// What the options say of the agent.
    fn agent(&self, named: Option<Provider>) -> Layer {
        let Some(Provider::Agent(agent)) = named else { return Layer::default() };
        let words = (!self.program.is_empty()).then(|| Setting::option("--", self.program.clone()));
        let is_command = agent == Agent::Command;
        let (command, args) = if is_command { (words, None) } else { (None, words) };
        Layer {
            agent: Some(Setting::option("--provider", agent)),
            command,
            any: HarnessLayer { args, ..HarnessLayer::default() },
            ..Layer::default()
        }
    }
}

fn text(bound: &[Bound]) -> String {
    let mut text = String::new();
    for it in bound {
        let _ = writeln!(text, "{} {} ({})", it.workflow, it.step, it.role);
        let rows: Vec<_> = it
            .controls
            .iter()
            .map(|line| {
                let value = one_line(&line.words, 60);
                let coverage = line.coverage.unwrap_or("-").replace('_', " ");
                let (control, origin) = (line.control.to_string(), line.origin.to_string());
                [control, value, origin, line.enforcer.to_owned(), coverage]
            })
            .collect();
        text.push_str(&table(["CONTROL", "VALUE", "FROM", "ENFORCED BY", "COVERAGE"], &rows));
        if let Some(key) = &it.key {
            let _ = writeln!(text, "key: {}", key.words());
        }
        if let Some(refusal) = &it.refusal {
            let _ = writeln!(text, "refused: {refusal}");
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}
