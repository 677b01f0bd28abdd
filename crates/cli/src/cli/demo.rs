//! `botpipe demo`: a whole run in a scratch repository, with a recording in the place of the agent.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use botpipe_engine::Engine;
use botpipe_engine::catalog::{self, Origin, shipped};
use botpipe_engine::engine::RunView;
use botpipe_engine::environment;
use botpipe_engine::process::{self, How, Reply, Spec, StopSwitch, Stream, Watch};
use botpipe_engine::request::{
    Notice, Progress, ProviderChoice, ResumeRequest, RunEnd, RunRef, StartRequest,
};
use botpipe_engine::scratch::{self, NewFile};
use botpipe_kernel::ids::{IdError, TaskId, WorkflowName};
use botpipe_lang::compile;
use botpipe_sandbox::{Containment, Identity, Launch};
use serde_json::json;

use super::options::{Speech, switch};
use crate::term::end::End;
use crate::term::failure::Failure;
use crate::term::output::{result, shell_word, tell};
use crate::term::progress::{Volume, watcher};
use crate::term::{exit, story};

/// Run the shipped workflow `ralph_loop` in a scratch repository, without a model
///
/// The agent is a recording, so nothing is installed, nothing is sent anywhere and no token is spent.
/// With `--kill-at` the process that moves the run kills itself (SIGKILL) as soon as that event is
/// recorded, and the run is resumed: the result is the same.
///
/// Examples:
///   botpipe demo
///   botpipe demo --kill-at 12 --dir /tmp/demo
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Kill the run at this event, counted from 1, then resume it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    kill_at: Option<u64>,
    /// Where to make the repository: an empty folder, or one that is not there yet
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The process that is to die: moves the run in the repository that was made for it
    #[arg(long, hide = true, requires = "kill_at", requires = "dir")]
    victim: bool,
    #[command(flatten)]
    speech: Speech,
}

impl Args {
    pub(super) fn json(&self) -> bool {
        self.speech.json.json
    }

    pub(super) fn run(self) -> Result<u8, Failure> {
        if let (true, Some(at), Some(dir)) = (self.victim, self.kill_at, &self.dir) {
            let mortal = Mortal { at, lines: watcher(self.speech.volume()) };
            let end = start(dir, &mortal, &switch()?)?;
            return Ok(exit::of_lifecycle(end.lifecycle()));
        }
        let dir = make_folder(self.dir.as_deref())?;
        let files = shipped(TEMPLATE).map(|file| NewFile {
            path: file.path,
            text: file.text,
            executable: file.executable,
        });
        scratch::create(&dir, files, "A small project").map_err(botpipe_engine::Error::from)?;
        self.tell(&format!("demo: ralph_loop in {}", dir.display()));
        self.tell(
            "the agent is a recording (the replay provider): no model is asked, no token spent",
        );
        let stop = switch()?;
        let (end, reached) = match self.kill_at {
            None => {
                let progress = watcher(self.speech.volume());
                (start(&dir, progress.as_ref(), &stop)?, true)
            }
            Some(at) => self.killed(&dir, at, &stop)?,
        };
        let code = self.print(&dir, &end)?;
        if let (Some(at), false) = (self.kill_at, reached) {
            // The run's result stands on standard output already.
            tell(&Failure::usage(format!("no event {at} came, so nothing was killed")).to_string());
            return Ok(exit::USAGE);
        }
        Ok(code)
    }

    /// Moves the run in a process that dies at an event, then takes it up. False: it lived on.
    fn killed(&self, dir: &Path, at: u64, stop: &StopSwitch) -> Result<(RunEnd, bool), Failure> {
        let quiet = self.speech.volume() == Volume::Quiet;
        let ended = process::run(victim(dir, at, quiet)?, &mut Relay { quiet }, stop);
        let reached = match ended.how {
            How::Signalled(SIGKILL) => true,
            How::Exited(_) => false,
            How::Stopped { signal } => {
                return Err(Failure::error("stopped").code(exit::by_signal(signal)));
            }
            how => return Err(Failure::error(format!("the run's process failed: {how:?}"))),
        };
        if reached {
            self.tell(&format!(
                "killed with SIGKILL at event {at}; now the same as `botpipe resume`"
            ));
        }
        let engine = Engine::open(dir)?;
        let progress = watcher(self.speech.volume());
        let which = which()?;
        let end = engine.resume(&which, &ResumeRequest::default(), progress.as_ref(), stop)?;
        Ok((end, reached))
    }

    fn tell(&self, line: &str) {
        if self.speech.volume() == Volume::Normal {
            tell(line);
        }
    }

    fn print(&self, dir: &Path, end: &RunEnd) -> Result<u8, Failure> {
        let view = Engine::open(dir)?.show(&which()?)?;
        let changed = scratch::changed(dir).map_err(botpipe_engine::Error::from)?;
        let shown = End::of(end, dir, None);
        let code = exit::of_lifecycle(end.lifecycle());
        let text = || summary(dir, &shown, &view, &changed);
        if self.speech.form().is_json() && self.speech.volume() == Volume::Normal {
            tell(text().trim_end());
        }
        result(self.speech.form(), text, || {
            let mut all = shown.to_json(code);
            all["workspace"] = json!(dir);
            all["steps"] = story::to_json(&story::chapters(&view.events));
            all["events"] = json!(view.events.len());
            all["changed"] = changed.iter().map(|(mark, path)| json!([mark, path])).collect();
            all
        });
        Ok(code)
    }
}

/// Starts the run as `botpipe run ralph_loop --provider replay` would.
fn start(dir: &Path, progress: &dyn Progress, stop: &StopSwitch) -> Result<RunEnd, Failure> {
    // The shipped one, whatever lies in the folder.
    let found = catalog::list(dir)?;
    let found = found.into_iter().find(|it| it.origin == Origin::Shipped && it.name == WORKFLOW);
    let Some(found) = found else {
        return Err(Failure::error(format!("this botpipe was built without `{WORKFLOW}`")));
    };
    let (source, files) = found.load()?;
    let cassette = shipped(CASSETTE).next().map(|file| file.text.to_owned());
    let Some(cassette) = cassette else {
        return Err(Failure::error("this botpipe was built without the demo's recording"));
    };
    let request = StartRequest {
        task: Some(task()?),
        message: Some(MESSAGE.to_owned()),
        provider: Some(ProviderChoice::Replay {
            cassette,
            origin: format!("shipped:{CASSETTE}"),
            loose: false,
        }),
        ..StartRequest::default()
    };
    let engine = Engine::open(dir)?;
    Ok(engine.start(&compile(&source, files.as_ref()), request, progress, stop)?)
}

/// An empty folder of its own.
fn make_folder(wanted: Option<&Path>) -> Result<PathBuf, Failure> {
    let failed = |path: &Path, error: &io::Error| {
        Failure::usage(format!("could not make the folder `{}`: {error}", path.display()))
    };
    let path = match wanted {
        Some(path) => {
            fs::create_dir_all(path).map_err(|error| failed(path, &error))?;
            path.to_owned()
        }
        None => scratch::folder("botpipe-demo")
            .map_err(|error| failed(&std::env::temp_dir(), &error))?,
    };
    let mut entries = fs::read_dir(&path).map_err(|error| failed(&path, &error))?;
    if entries.next().is_some() {
        return Err(Failure::usage(format!("`{}` is not empty", path.display()))
            .hint("name an empty folder, or one that is not there yet"));
    }
    path.canonicalize().map_err(|error| failed(&path, &error))
}

/// This program again, to die at an event.
fn victim(dir: &Path, at: u64, quiet: bool) -> Result<Spec, Failure> {
    let failed = |error: io::Error| Failure::error(format!("could not start the demo: {error}"));
    let mut args: Vec<_> = ["demo", "--victim", "--kill-at"].map(Into::into).to_vec();
    args.extend([at.to_string().into(), "--dir".into(), dir.into()]);
    if quiet {
        args.push("--quiet".into());
    }
    let launch = Launch {
        program: std::env::current_exe().map_err(failed)?,
        args,
        cwd: dir.to_owned(),
        env: environment::build(std::env::vars_os(), &[], &[]),
        // Its pid must mean the same here: the run's owner is told dead or alive by it.
        containment: Containment::Subreaper,
        stage1: None,
        mark: None,
        confinement: None,
    };
    Ok(Spec { capture_limit: 0, grace: Duration::from_secs(10), ..Spec::of(launch) })
}

/// Dies at an event, as soon as that is recorded.
struct Mortal {
    at: u64,
    lines: Box<dyn Progress>,
}

impl Progress for Mortal {
    fn notice(&self, notice: &Notice<'_>) {
        self.lines.notice(notice);
        if matches!(notice, Notice::Durable { seq } if *seq >= self.at) {
            // Where even this is refused, the run lives on, and the parent says so.
            let myself = rustix::process::getpid();
            let _ = rustix::process::kill_process(myself, rustix::process::Signal::KILL);
        }
    }
}

/// Passes on what the process that dies says.
struct Relay {
    quiet: bool,
}

impl Watch for Relay {
    fn started(&mut self, _: &Identity) {}

    fn line(&mut self, stream: Stream, line: &str) -> Reply {
        if stream == Stream::Stderr && !self.quiet {
            tell(line);
        }
        Reply::default()
    }
}

fn summary(dir: &Path, end: &End<'_>, view: &RunView, changed: &[(char, String)]) -> String {
    let mut text = end.text();
    text.push('\n');
    text.push_str(&story::text(&story::chapters(&view.events), &view.state));
    text.push_str("\n  changed files:\n");
    for (mark, path) in changed {
        let _ = writeln!(text, "    {mark} {path}");
    }
    let place = shell_word(&dir.display().to_string());
    let _ = writeln!(text, "\n  look: botpipe runs show {WORKFLOW} {TASK} --workspace {place}");
    let _ = writeln!(text, "        botpipe logs {WORKFLOW} {TASK} --workspace {place}");
    let _ = writeln!(text, "        git -C {place} diff");
    text
}

fn task() -> Result<TaskId, Failure> {
    TASK.parse().map_err(|error: IdError| Failure::error(error.to_string()))
}

fn which() -> Result<RunRef, Failure> {
    let workflow: WorkflowName =
        WORKFLOW.parse().map_err(|error: IdError| Failure::error(error.to_string()))?;
    Ok(RunRef { workflow, task: task()?, run: None })
}

const WORKFLOW: &str = "ralph_loop";
const TASK: &str = "demo";
/// What the recording was made with.
const MESSAGE: &str = "Add CSV export to the report and cover it with tests.";
/// The repository as it is before the run.
const TEMPLATE: &str = "ralph_loop/demo/";
const CASSETTE: &str = "ralph_loop/demo.cassette.json";
const SIGKILL: i32 = 9;
