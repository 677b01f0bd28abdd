//! `--detach`: a command that moves a run hands it to a Botpipe in the background.

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use botpipe_engine::process::StopSwitch;
use botpipe_engine::process::background::{self, Background, Begun, Word};
use botpipe_engine::request::{Progress, RunEnd, RunRef};
use botpipe_engine::{Engine, Error};
use clap::Args;
use serde_json::json;

use super::options::{Speech, switch};
use crate::term::end::End;
use crate::term::exit;
use crate::term::failure::Failure;
use crate::term::next::Named;
use crate::term::output::{Form, result};
use crate::term::progress::{in_background, watcher};

/// Where a run is moved.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Detach {
    /// Go on in the background: once the run is owned there, tell which it is and end. What is refused is
    /// refused here
    #[arg(long)]
    detach: bool,
    /// The process in the background
    #[arg(long, hide = true, requires = "detach")]
    background: bool,
}

/// Where a run is moved, once that is known.
pub(super) enum Ground {
    Here,
    /// In this process, which leaves the terminal.
    Background(Background),
    /// In another, which owns it by now, or has said why not; the exit code.
    Elsewhere(u8),
}

impl Detach {
    /// Starts the Botpipe in the background, or becomes it. Comes before anything else is done.
    pub(super) fn begin(
        self,
        speech: Speech,
        workspace: &Path,
        named: bool,
    ) -> Result<Ground, Failure> {
        if self.background {
            let here = Background::enter().map_err(|error| {
                Failure::usage(format!("`--background` is not for people: {error}"))
            })?;
            return Ok(Ground::Background(here));
        }
        if !self.detach {
            return Ok(Ground::Here);
        }
        let failed = |what: String| {
            Failure::error(format!("the run does not go on in the background: {what}"))
        };
        match background::start(again(env::args_os())).map_err(|error| failed(error.to_string()))? {
            Begun::Owns(word) => {
                owns(&word, speech.form(), workspace, named);
                Ok(Ground::Elsewhere(exit::OK))
            }
            Begun::Ended(code) => Ok(Ground::Elsewhere(code)),
            Begun::Killed(signal) => Err(failed(format!(
                "its process was ended by signal {signal} before it owned the run"
            ))),
        }
    }
}

impl Ground {
    /// Moves a run, and says how it ended; the exit code.
    pub(super) fn go(
        self,
        engine: &Engine,
        speech: Speech,
        workspace: &Path,
        which: Option<&RunRef>,
        work: impl FnOnce(&dyn Progress, &StopSwitch) -> Result<RunEnd, Error>,
    ) -> Result<u8, Failure> {
        let stop = switch()?;
        let away = Arc::new(AtomicBool::new(false));
        let progress = match self {
            Self::Elsewhere(code) => return Ok(code),
            Self::Here => watcher(speech.volume()),
            Self::Background(background) if background.is_awaited() => {
                in_background(speech.volume(), background, &stop, &away)
            }
            Self::Background(_) => return Ok(exit::CANCELLED),
        };
        let end = work(progress.as_ref(), &stop);
        drop(progress);
        // Last words in a file are for people, who read them from anywhere.
        let (form, workspace) = if away.load(Ordering::Relaxed) {
            (Form::Text, engine.workspace())
        } else {
            (speech.form(), workspace)
        };
        let end = end.map_err(|error| Failure::moving(error, workspace))?;
        Ok(End::of(&end, workspace, which).print(form, speech.volume()))
    }
}

/// The same command line for the process in the background.
fn again(args: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<OsString> = args.skip(1).collect();
    // After the command's name.
    args.insert(1.min(args.len()), "--background".into());
    args
}

fn owns(word: &Word, form: Form, workspace: &Path, named: bool) {
    let Word { run, task, workflow, pid, log, trouble } = word;
    let here = Named { workflow, task, run: named.then_some(run), workspace };
    let (follow, cancel) = (here.command("logs", " -f"), here.command("cancel", ""));
    let text = || {
        let log = match (log, trouble) {
            (Some(log), _) => format!("  log: {}\n", log.display()),
            (None, trouble) => {
                format!("  note: it keeps no log: {}\n", trouble.as_deref().unwrap_or_default())
            }
        };
        format!(
            "run {run} of task {task} ({workflow}) goes on in the background, as process {pid}\n\
             {log}  next: {follow}\n  or: {cancel}\n"
        )
    };
    let view = || {
        let mut view = json!({
            "run": run,
            "task": task,
            "workflow": workflow,
            "state": "running",
            "pid": pid,
            "log": log,
            "exit_code": exit::OK,
            "next": follow,
        });
        if let Some(trouble) = trouble {
            view["note"] = json!(trouble);
        }
        view
    };
    result(form, text, view);
}
