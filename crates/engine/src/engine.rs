//! Start, resume, answer, cancel, look: all a face needs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use botpipe_journal::{Journal, Lease, NewRun, Objects, Owner, RunFilter, RunRow, Stored};
use botpipe_kernel::ids::{Digest, FunctionName, RunId, TaskId, WorkflowName};
use botpipe_kernel::plan::{Code, Plan, Step};
use botpipe_kernel::run::{Input, Ref, Run, outstanding};
use botpipe_lang::Compiled;
use serde_json::Value;

use crate::driver::{Driver, now};
use crate::error::{Error, ErrorKind};
use crate::host::Host;
use crate::inbox::Inbox;
use crate::owner::{Ears, attend};
use crate::parts::Parts;
use crate::perform::{self, About, Agent, Desk};
use crate::process::StopSwitch;
use crate::projection::{self, View};
use crate::recording;
use crate::request::{
    Notice, Progress, ResumeRequest, RunEnd, RunRef, RunStatus, RunSummary, StartRequest,
};
use crate::start;
use crate::workspace::layout::Layout;

/// One workspace's runs.
#[derive(Clone)]
pub struct Engine {
    pub(crate) parts: Arc<Parts>,
}

/// A run in full.
#[derive(Debug)]
pub struct RunView {
    pub summary: RunSummary,
    pub state: Run,
    pub events: Vec<Stored>,
    /// The workflow's folder, relative to the workspace.
    pub folder: PathBuf,
}

impl Engine {
    /// Opens a workspace, and makes its `.botpipe` folder where there is none.
    ///
    /// # Errors
    /// A workspace that does not exist, a folder that cannot be written, a damaged or newer journal.
    pub fn open(workspace: &Path) -> Result<Self, Error> {
        let layout = Layout::open(workspace)?;
        layout.create()?;
        let journal = Journal::open(&layout.botpipe())?;
        Ok(Self::of(layout, journal))
    }

    /// Opens a workspace whose runs may call the functions of a host.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub fn open_hosted(workspace: &Path, host: Arc<dyn Host>) -> Result<Self, Error> {
        let layout = Layout::open(workspace)?;
        layout.create()?;
        let journal = Journal::open(&layout.botpipe())?;
        Ok(Self::with(layout, journal, Some(host)))
    }

    /// Opens a workspace that has runs; `None`, and nothing made, when it has none.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub fn open_existing(workspace: &Path) -> Result<Option<Self>, Error> {
        let layout = Layout::open(workspace)?;
        let journal = Journal::open_existing(&layout.botpipe())?;
        Ok(journal.map(|journal| Self::of(layout, journal)))
    }

    fn of(layout: Layout, journal: Journal) -> Self {
        Self::with(layout, journal, None)
    }

    fn with(layout: Layout, journal: Journal, host: Option<Arc<dyn Host>>) -> Self {
        let objects = Objects::open(&layout.botpipe());
        let held = layout.hold();
        let parts = Parts { layout, journal, objects, stage1: None, host, _held: held };
        Self { parts: Arc::new(parts) }
    }

    /// Whether every function that a run may call is there.
    fn can_call(&self, plan: &Plan) -> Result<(), Error> {
        let text = |digest: &Digest| self.parts.text_of(digest).ok();
        self.can_call_all(&start::family_by(plan, text))
    }

    fn can_call_all(&self, plans: &[Plan]) -> Result<(), Error> {
        let host = self.parts.host.as_ref();
        let codes = plans.iter().flat_map(|plan| &plan.steps).flat_map(Step::codes);
        let mut functions = codes.filter_map(Code::function);
        let lacks = |name: &&FunctionName| host.is_none_or(|host| !host.has(name));
        match functions.find(lacks) {
            Some(name) => Err(Error::Host { message: perform::no_host(host.is_some(), name) }),
            None => Ok(()),
        }
    }

    /// The workspace's absolute path.
    pub fn workspace(&self) -> &Path {
        self.parts.layout.root()
    }

    /// Creates a run and moves it until it ends, stops or waits.
    ///
    /// # Errors
    /// Bad input, no provider, a task or tree that another run holds; or what kept the owner from
    /// recording anything more.
    pub fn start(
        &self,
        compiled: &Compiled,
        request: StartRequest,
        progress: &dyn Progress,
        stop: &StopSwitch,
    ) -> Result<RunEnd, Error> {
        if let Some(plan) = &compiled.plan {
            self.can_call_all(&start::family(compiled, plan))?;
        }
        let record = request.record.clone();
        let new = start::prepare(&self.parts, compiled, request)?;
        if let Some(message) = new.refused(self.parts.layout.home()) {
            return Err(Error::Policy { message });
        }
        for text in &new.notes {
            progress.notice(&Notice::Note { text });
        }
        let run = Run::new(new.plan.clone());
        let lease = self.parts.journal.create_run(
            NewRun {
                run: new.run.clone(),
                task: new.task.clone(),
                workflow: new.plan.name.clone(),
                at: now(),
            },
            &owner("run"),
        )?;
        if let Some(to) = record {
            recording::begin(&self.parts, (&new.task, &new.plan.name, &new.run), &to)?;
        }
        let mut desk = Desk::set_up(&self.parts, new.about)?;
        // It was looked at when it was chosen.
        desk.has_looked = true;
        if let Input::Start { providers, .. } = &new.input {
            desk.looked_at.extend(providers.keys().cloned());
        }
        self.own(&lease, run, 0, desk, progress, stop, |driver| driver.tell(new.input).map(drop))
    }

    /// Takes a run up where it stands and moves it on.
    ///
    /// A run that is over or waits for a person is returned as it is.
    ///
    /// # Errors
    /// No such run, a living owner, a damaged journal, a limit that was not raised.
    pub fn resume(
        &self,
        which: &RunRef,
        request: &ResumeRequest,
        progress: &dyn Progress,
        stop: &StopSwitch,
    ) -> Result<RunEnd, Error> {
        let row = self.find_root(which)?;
        let (run, seq) = self.parts.fold(&row.run)?;
        if run.lifecycle.is_ended() {
            self.project(&row, &run, seq, progress)?;
            return Ok(self.end_of(&row, run));
        }
        self.can_call(&run.plan)?;
        let lease = self.parts.journal.acquire(&row.run, &owner("resume"))?;
        // Folded again under the lease: the last owner may have written until just now.
        let (run, seq) = self.parts.fold(&row.run)?;
        let desk = Desk::set_up(&self.parts, About::of(&self.parts, &row, &run)?)?;
        self.own(&lease, run, seq, desk, progress, stop, |driver| {
            driver.take_up(request.raise.clone(), row.gone_by)
        })
    }

    /// Answers what a run asks, and moves it on.
    ///
    /// # Errors
    /// [`Error::Answer`] when the answer is none the question allows: the run still waits.
    pub fn answer(
        &self,
        which: &RunRef,
        text: &str,
        progress: &dyn Progress,
        stop: &StopSwitch,
    ) -> Result<RunEnd, Error> {
        let row = self.find_root(which)?;
        let (run, _) = self.parts.fold(&row.run)?;
        self.can_call(&run.plan)?;
        let lease = self.parts.journal.acquire(&row.run, &owner("answer"))?;
        let (run, seq) = self.parts.fold(&row.run)?;
        let desk = Desk::set_up(&self.parts, About::of(&self.parts, &row, &run)?)?;
        self.own(&lease, run, seq, desk, progress, stop, |driver| driver.take_answer(text))
    }

    /// The workspace's runs, newest first.
    ///
    /// # Errors
    /// A journal that cannot be read.
    pub fn runs(
        &self,
        workflow: Option<&WorkflowName>,
        task: Option<&TaskId>,
    ) -> Result<Vec<RunSummary>, Error> {
        let filter =
            RunFilter { workflow: workflow.cloned(), task: task.cloned(), children: false };
        Ok(self.parts.journal.runs(&filter)?.iter().map(summary_of).collect())
    }

    /// A run with its state and its events.
    ///
    /// # Errors
    /// No such run; a damaged or newer journal.
    pub fn show(&self, which: &RunRef) -> Result<RunView, Error> {
        let row = self.find(which)?;
        let events = self.parts.journal.read(&row.run)?;
        let state = self.parts.fold_events(&row.run, &events)?;
        let folder = self.parts.layout.workflow_folder(&row.task, &row.workflow).relative.into();
        Ok(RunView { summary: summary_of(&row), state, events, folder })
    }

    /// What a run gave back, as far as it can still be read.
    pub fn output(&self, run: &Run) -> Option<Value> {
        let text = self.parts.text(run.output.as_ref()?).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// The events of a run after a sequence number: for followers.
    ///
    /// # Errors
    /// A journal that cannot be read.
    pub fn events_after(&self, run: &RunId, seq: u64) -> Result<Vec<Stored>, Error> {
        Ok(self.parts.journal.read_after(run, seq)?)
    }

    /// The text a reference stands for.
    ///
    /// # Errors
    /// An object that is missing or damaged.
    pub fn text(&self, text: &Ref) -> Result<String, Error> {
        self.parts.text(text)
    }

    /// An object, by the first digits of its digest.
    ///
    /// # Errors
    /// [`Error::NoObject`]; [`Error::ObjectName`] for what is no such name, or one of several objects.
    pub fn object(&self, prefix: &str) -> Result<(Digest, Vec<u8>), Error> {
        let bad = |why: String| Error::ObjectName { prefix: prefix.to_owned(), why };
        let digits = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        if prefix.len() < 4 || prefix.len() > 64 || !prefix.chars().all(digits) {
            return Err(bad("write 4 to 64 of its hex digits".to_owned()));
        }
        match self.parts.objects.named(prefix)?.as_slice() {
            [] => Err(Error::NoObject { prefix: prefix.to_owned() }),
            [digest] => Ok((digest.clone(), self.parts.objects.get(digest)?)),
            many => {
                let names = many.iter().map(Digest::as_str).collect::<Vec<_>>().join(", ");
                Err(bad(format!("it begins several: {names}")))
            }
        }
    }

    /// The side file with everything a turn said, when there is one.
    pub fn activity_file(
        &self,
        run: &RunSummary,
        turn: &botpipe_kernel::ids::TurnId,
    ) -> Option<PathBuf> {
        let folder = self.parts.layout.run_folder(&run.task, &run.workflow, &run.run);
        let path = folder.absolute.join(crate::driver::activity_name(turn));
        path.is_file().then_some(path)
    }

    /// The run that is meant to be moved: a run below another is moved with it.
    ///
    /// # Errors
    /// [`Error::BelowAnother`] besides those of [`Engine::find`].
    pub(crate) fn find_root(&self, which: &RunRef) -> Result<RunRow, Error> {
        let row = self.find(which)?;
        if !row.run.is_child() {
            return Ok(row);
        }
        let root = self.parts.journal.run(&row.run.root())?;
        let (task, workflow) = root.map_or((row.task, row.workflow), |it| (it.task, it.workflow));
        Err(Error::BelowAnother { root: row.run.root(), run: row.run, task, workflow })
    }

    /// The run that is meant.
    pub(crate) fn find(&self, which: &RunRef) -> Result<RunRow, Error> {
        let RunRef { workflow, task, run } = which;
        let Some(run) = run else {
            return self.parts.journal.latest_run(workflow, Some(task))?.ok_or_else(|| {
                Error::NoRun {
                    workflow: workflow.clone(),
                    task: task.clone(),
                    workspace: self.workspace().to_owned(),
                }
            });
        };
        let filter = RunFilter {
            workflow: Some(workflow.clone()),
            task: Some(task.clone()),
            children: true,
        };
        let rows = self.parts.journal.runs(&filter)?;
        rows.into_iter().find(|row| row.run == *run).ok_or_else(|| Error::NoSuchRun {
            workflow: workflow.clone(),
            task: task.clone(),
            run: run.clone(),
        })
    }

    /// Owns a run: does `first`, then drives it until it rests, under a heartbeat.
    #[expect(clippy::too_many_arguments, reason = "the one place where a run's parts meet")]
    pub(crate) fn own(
        &self,
        lease: &Lease,
        run: Run,
        seq: u64,
        desk: Desk,
        progress: &dyn Progress,
        stop: &StopSwitch,
        first: impl FnOnce(&mut Driver<'_>) -> Result<(), Error>,
    ) -> Result<RunEnd, Error> {
        if let Some(Agent::Replay { loose: true, .. }) = desk.agent {
            let text =
                "the recording is played loosely: prompts need not be those it was made with";
            progress.notice(&Notice::Note { text });
        }
        let cancelled = AtomicBool::new(false);
        let inbox = Inbox::default();
        let done = StopSwitch::new();
        let journal = &self.parts.journal;
        thread::scope(|scope| {
            let ears = Ears { journal, lease, stop, cancelled: &cancelled, inbox: &inbox };
            // What was said to an earlier owner comes first.
            ears.listen();
            let done_here = &done;
            scope.spawn(move || attend(done_here, &ears));
            let mut driver = Driver {
                parts: &self.parts,
                lease,
                run,
                seq,
                pending: Vec::new(),
                desk,
                progress,
                stop,
                inbox: &inbox,
                cancelled: &cancelled,
            };
            let result = first(&mut driver).and_then(|()| {
                driver.tell_owned();
                driver.drive()
            });
            done.request(0);
            let result = result.map_err(|error| driver.cut_off(error));
            let end = RunEnd {
                run: driver.desk.run_id.clone(),
                task: driver.desk.task.clone(),
                workflow: driver.run.plan.name.clone(),
                folder: driver.desk.folder.clone().into(),
                output: self.output(&driver.run),
                state: driver.run,
            };
            result.map(|()| end)
        })
    }

    /// Rewrites the files of a run that is over: its owner may have died before it got to them.
    ///
    /// Left to the owner where there is one.
    fn project(
        &self,
        row: &RunRow,
        run: &Run,
        seq: u64,
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        let lease = match self.parts.journal.acquire(&row.run, &owner("resume")) {
            Err(botpipe_journal::Error::Busy { .. }) => return Ok(()),
            lease => lease?,
        };
        let About { message, .. } = About::of(&self.parts, row, run)?;
        let view = View { id: &row.run, task: &row.task, message: &message, run, seq };
        projection::write_or_note(&self.parts, &view, progress);
        drop(lease);
        Ok(())
    }

    fn end_of(&self, row: &RunRow, state: Run) -> RunEnd {
        RunEnd {
            run: row.run.clone(),
            task: row.task.clone(),
            workflow: row.workflow.clone(),
            folder: self.parts.layout.workflow_folder(&row.task, &row.workflow).relative.into(),
            output: self.output(&state),
            state,
        }
    }
}

impl Driver<'_> {
    /// Tells who watches that the run is owned, if there is anything to do.
    fn tell_owned(&self) {
        if outstanding(&self.run).is_empty() {
            return;
        }
        let desk = &self.desk;
        self.progress.notice(&Notice::Owned {
            run: &desk.run_id,
            task: &desk.task,
            workflow: &self.run.plan.name,
            folder: &desk.run_folder.absolute,
        });
    }

    /// Names the run in an error that left it where it stands.
    fn cut_off(&self, error: Error) -> Error {
        match error.kind() {
            ErrorKind::Usage | ErrorKind::Refused | ErrorKind::NotFound => error,
            // Nothing was recorded: there is no run.
            _ if self.seq == 0 => error,
            _ => Error::CutOff {
                run: self.desk.run_id.clone(),
                task: self.desk.task.clone(),
                workflow: self.run.plan.name.clone(),
                source: Box::new(error),
            },
        }
    }
}

pub(crate) fn owner(command: &str) -> Owner {
    Owner::current(format!("botpipe {command}"))
}

pub(crate) fn summary_of(row: &RunRow) -> RunSummary {
    let value: Value = serde_json::from_str(&row.state).unwrap_or(Value::Null);
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    // One that cannot be seen from here lives as long as it was heard of a moment ago.
    let heard = || row.owner.is_some() && row.gone_by > now();
    let owned = row.owner_alive.unwrap_or_else(heard);
    let state = match text("state").as_str() {
        "waiting" => RunStatus::Waiting,
        "stopped" => RunStatus::Stopped,
        "accepted" => RunStatus::Accepted,
        "rejected" => RunStatus::Rejected,
        "finished" => RunStatus::Finished,
        "cancelled" => RunStatus::Cancelled,
        _ if owned => RunStatus::Running,
        _ => RunStatus::OwnerLost,
    };
    RunSummary {
        run: row.run.clone(),
        task: row.task.clone(),
        workflow: row.workflow.clone(),
        created_at: row.created_at,
        updated_at: row.updated_at,
        events: row.events,
        state,
        until: value.get("until").and_then(Value::as_u64),
        detail: text("detail"),
        owner: row.owner.clone(),
        owned,
        gone_by: row.gone_by,
    }
}
