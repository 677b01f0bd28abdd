//! Options that several commands share, and what they lead to.

use std::fs;
use std::path::{Path, PathBuf};

use botpipe_engine::Engine;
use botpipe_engine::catalog;
use botpipe_engine::config::{Config, ConfigError};
use botpipe_engine::process::StopSwitch;
use botpipe_engine::request::RunRef;
use botpipe_kernel::ids::{RunId, TaskId, WorkflowName};
use botpipe_lang::{Compiled, SourceFile, compile};
use clap::Args;
use serde_json::Value;

use crate::signals;
use crate::term::diagnostic;
use crate::term::failure::Failure;
use crate::term::output::{Form, tell};
use crate::term::progress::Volume;

/// Where to work.
#[derive(Debug, Clone, Args)]
pub(super) struct Workspace {
    /// The folder to work in; it must exist
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(super) workspace: PathBuf,
}

impl Workspace {
    pub(super) fn path(&self) -> &Path {
        &self.workspace
    }

    /// The settings of the environment and the files; what is wrong with these is shown.
    pub(super) fn config(&self) -> Result<Config, Failure> {
        Config::load(&self.workspace)
            .map_err(|error| unusable(error, "the settings cannot be used"))
    }

    /// The engine of a workspace that has runs.
    pub(super) fn engine(&self) -> Result<Engine, Failure> {
        Engine::open_existing(&self.workspace)?.ok_or_else(|| {
            Failure::not_found(format!("no runs yet in `{}`", self.workspace.display()))
                .hint("start one with `botpipe run WORKFLOW \"what to do\"`")
        })
    }
}

/// Shows what is wrong with files of settings; `what` is it in a few words.
pub(super) fn unusable(error: ConfigError, what: &str) -> Failure {
    cannot_be_used(error, what, "`botpipe config --help` has the keys")
}

/// The same for a file that is one policy.
pub(super) fn unusable_policy(error: ConfigError) -> Failure {
    let hint = "`docs/policy.md` has the keys, and `botpipe schema config` below its `policy`";
    cannot_be_used(error, "the policy cannot be used", hint)
}

fn cannot_be_used(error: ConfigError, what: &str, hint: &str) -> Failure {
    let ConfigError::Wrong { files } = error else {
        return Failure::usage(error.to_string());
    };
    let mut names = Vec::new();
    for (source, found) in &files {
        tell(diagnostic::render(source, found).trim_end());
        names.push(format!("`{}`: {}", source.name, diagnostic::count(found)));
    }
    Failure::usage(format!("{what}: {}", names.join("; "))).hint(hint)
}

/// Which run.
#[derive(Debug, Clone, Args)]
pub(super) struct Which {
    /// The workflow: its name or an alias
    #[arg(value_name = "REF")]
    pub(super) reference: String,
    /// The task
    #[arg(value_name = "TASK")]
    pub(super) task: TaskId,
    /// A run of that task; without it, the newest
    #[arg(long, value_name = "RUN")]
    pub(super) run_id: Option<RunId>,
    #[command(flatten)]
    pub(super) workspace: Workspace,
}

impl Which {
    /// The run that is meant. It is found although its workflow's file is gone: by its name.
    pub(super) fn run(&self) -> Result<RunRef, Failure> {
        run_of(&self.workspace, &self.reference, &self.task, self.run_id.as_ref())
    }
}

/// The run of a task that is meant.
pub(super) fn run_of(
    workspace: &Workspace,
    reference: &str,
    task: &TaskId,
    run: Option<&RunId>,
) -> Result<RunRef, Failure> {
    let name = match catalog::find(workspace.path(), reference) {
        Ok(found) => found.name,
        Err(catalog::Error::Workspace(error)) => {
            return Err(catalog::Error::Workspace(error).into());
        }
        Err(_) => reference.to_owned(),
    };
    let workflow: WorkflowName = name.parse().map_err(|error| {
        Failure::not_found(format!("{error}"))
            .hint("`botpipe runs list` shows the runs of a workspace")
    })?;
    Ok(RunRef { workflow, task: task.clone(), run: run.cloned() })
}

/// A workflow that checks; what is wrong with it is shown.
pub(super) fn checked(workspace: &Path, reference: &str) -> Result<Compiled, Failure> {
    let (source, files) = catalog::find(workspace, reference)?.load()?;
    let compiled = compile(&source, files.as_ref());
    report(&source, &compiled)?;
    Ok(compiled)
}

/// In which form the result is given.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Json {
    /// Print the result as one JSON document, also at a terminal
    #[arg(long)]
    pub(super) json: bool,
}

impl Json {
    pub(super) fn form(self) -> Form {
        Form::choose(self.json)
    }
}

/// How a command that moves a run speaks.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Speech {
    #[command(flatten)]
    pub(super) json: Json,
    /// No progress on standard error
    #[arg(long, short)]
    quiet: bool,
}

impl Speech {
    pub(super) fn form(self) -> Form {
        self.json.form()
    }

    pub(super) fn volume(self) -> Volume {
        if self.quiet { Volume::Quiet } else { Volume::Normal }
    }
}

/// A switch that signals throw.
pub(super) fn switch() -> Result<StopSwitch, Failure> {
    let stop = StopSwitch::new();
    signals::forward(&stop)
        .map_err(|error| Failure::error(format!("could not listen for signals: {error}")))?;
    Ok(stop)
}

/// Shows what is wrong with the file; a file with errors is not run.
fn report(source: &SourceFile, compiled: &Compiled) -> Result<(), Failure> {
    if !compiled.diagnostics.is_empty() {
        tell(diagnostic::render(source, &compiled.diagnostics).trim_end());
    }
    if compiled.plan.is_some() {
        return Ok(());
    }
    let message =
        format!("`{}` does not check: {}", source.name, diagnostic::count(&compiled.diagnostics));
    Err(Failure::usage(message).hint(format!("`botpipe check {}`", source.name)))
}

/// JSON as typed, or from a file.
pub(super) fn input(text: &str) -> Result<Value, Failure> {
    let is_file = Path::new(text).extension().is_some_and(|it| it.eq_ignore_ascii_case("json"));
    let (origin, json) = match text.strip_prefix('@') {
        Some(path) => (path, read(Path::new(path))?),
        None if is_file && !text.trim_start().starts_with(['{', '[', '"']) => {
            (text, read(Path::new(text))?)
        }
        None => ("--input", text.to_owned()),
    };
    serde_json::from_str(&json)
        .map_err(|error| Failure::usage(format!("`{origin}` is no JSON: {error}")))
}

pub(super) fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("could not read `{}`: {error}", path.display())))
}

/// What an option with a name and a value was given.
pub(super) fn pairs(words: &[String]) -> Vec<(String, String)> {
    words.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
}
