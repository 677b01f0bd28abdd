//! One workspace's runs.

use std::path::Path;
use std::sync::Arc;

use botpipe_engine::Engine;
use botpipe_engine::config::{Agent, Config, Layer, Setting};
use botpipe_kernel::ids::{RunId, TaskId, WorkflowName};
use botpipe_kernel::run::Event;

use crate::{
    CancelResult, Error, Events, Functions, Harness, Progress, Provider, Resume, RunEnd, RunRef,
    RunSummary, RunView, Running, Signal, SignalResult, Silent, Start, StopSwitch, Workflow,
};

/// One workspace's runs. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    pub(crate) engine: Engine,
    /// Whether every start is filled in.
    fills: bool,
}

impl Client {
    /// Opens a workspace, and makes its `.botpipe` folder where there is none.
    ///
    /// # Errors
    /// A workspace that does not exist, a folder that cannot be written, a damaged or newer journal.
    pub fn open(workspace: impl AsRef<Path>) -> Result<Self, Error> {
        Ok(Self { engine: Engine::open(workspace.as_ref())?, fills: false })
    }

    /// The same, for workflows that call functions of this program.
    ///
    /// # Errors
    /// As [`Client::open`].
    pub fn open_with(workspace: impl AsRef<Path>, functions: Functions) -> Result<Self, Error> {
        let engine = Engine::open_hosted(workspace.as_ref(), Arc::new(functions))?;
        Ok(Self { engine, fills: false })
    }

    /// The workspace's absolute path.
    pub fn workspace(&self) -> &Path {
        self.engine.workspace()
    }

    /// Fills in what a start leaves open as the `botpipe` command would: by the environment, the
    /// workspace's `botpipe.yaml` and the person's own. Without this nothing of them is read.
    ///
    /// # Errors
    /// Settings that cannot be used; a configured harness that is needed and is not there.
    pub fn configured(&self, workflow: &Workflow, start: Start) -> Result<Start, Error> {
        let settings = Config::load(self.workspace())?.with(Layer::default());
        settings.fill(workflow.compiled(), self.workspace(), start)
    }

    /// The same client, which fills in every start as [`Client::configured`] does.
    #[must_use]
    pub fn with_settings(self) -> Self {
        Self { fills: true, ..self }
    }

    /// A harness as the environment and the `botpipe.yaml` files have it, found on this machine: the
    /// provider of a start.
    ///
    /// # Errors
    /// Settings that cannot be used; a harness that is not there.
    pub fn provider(&self, harness: Harness) -> Result<Provider, Error> {
        let wish = Setting::option("provider", Agent::Harness(harness));
        let settings =
            Config::load(self.workspace())?.with(Layer { agent: Some(wish), ..Layer::default() });
        settings.choice(self.workspace(), None)?.ok_or_else(|| Error::Harness {
            name: harness.name(),
            message: "it is not the one that is set".to_owned(),
        })
    }

    /// Creates a run and moves it until it ends, stops or waits.
    ///
    /// # Errors
    /// Bad input, no provider, a task or tree that another run holds; or what kept the run from being
    /// recorded any further.
    pub fn run(&self, workflow: &Workflow, start: Start) -> Result<RunEnd, Error> {
        self.run_watched(workflow, start, &Silent, &StopSwitch::new())
    }

    /// The same, while somebody watches; `stop` ends it in order, to be resumed.
    ///
    /// # Errors
    /// As [`Client::run`].
    pub fn run_watched(
        &self,
        workflow: &Workflow,
        start: Start,
        progress: &dyn Progress,
        stop: &StopSwitch,
    ) -> Result<RunEnd, Error> {
        let mut start = if self.fills { self.configured(workflow, start)? } else { start };
        start.sources.extend(workflow.sources());
        self.engine.start(workflow.compiled(), start, progress, stop)
    }

    /// Creates a run and has it moved by a thread, until it ends, stops or waits.
    ///
    /// # Errors
    /// As [`Client::run`], where that is known before the run begins.
    pub fn begin(&self, workflow: &Workflow, start: Start) -> Result<Running, Error> {
        Running::begin(self, workflow, start)
    }

    /// Takes a run up where it stands and moves it on. One that is over, or waits for a person, comes
    /// back as it is.
    ///
    /// # Errors
    /// No such run, a living owner, a damaged journal, a limit that was not raised.
    pub fn resume(
        &self,
        which: &RunRef,
        resume: &Resume,
        progress: &dyn Progress,
        stop: &StopSwitch,
    ) -> Result<RunEnd, Error> {
        self.engine.resume(which, resume, progress, stop)
    }

    /// Answers what a run asks, and moves it on.
    ///
    /// # Errors
    /// [`Error::Answer`] when the answer is none the question allows: the run still waits.
    pub fn answer(
        &self,
        which: &RunRef,
        answer: &str,
        progress: &dyn Progress,
        stop: &StopSwitch,
    ) -> Result<RunEnd, Error> {
        self.engine.answer(which, answer, progress, stop)
    }

    /// Sends a signal to a run; where a step waits for it, the run is moved on.
    ///
    /// # Errors
    /// No such run, or one that is over; a name that no step of the workflow waits for.
    pub fn signal(
        &self,
        which: &RunRef,
        signal: &Signal,
        progress: &dyn Progress,
        stop: &StopSwitch,
    ) -> Result<SignalResult, Error> {
        self.engine.signal(which, signal, progress, stop)
    }

    /// Ends a run for good; a living owner is told to.
    ///
    /// # Errors
    /// No such run, or one that is over.
    pub fn cancel(&self, which: &RunRef) -> Result<CancelResult, Error> {
        self.engine.cancel(which)
    }

    /// The runs of a workflow, of a task, or all; newest first.
    ///
    /// # Errors
    /// A journal that cannot be read.
    pub fn runs(
        &self,
        workflow: Option<&WorkflowName>,
        task: Option<&TaskId>,
    ) -> Result<Vec<RunSummary>, Error> {
        self.engine.runs(workflow, task)
    }

    /// A run with its state and its events.
    ///
    /// # Errors
    /// No such run; a damaged or newer journal.
    pub fn show(&self, which: &RunRef) -> Result<RunView, Error> {
        self.engine.show(which)
    }

    /// The events of a run from the first on, whoever moves it: an iterator that waits for those to come,
    /// until nobody moves the run.
    ///
    /// # Errors
    /// No such run; a damaged or newer journal.
    pub fn follow(&self, which: &RunRef) -> Result<Events, Error> {
        Ok(Events::of(self.engine.clone(), self.engine.show(which)?))
    }

    /// The events of a run after a sequence number, with theirs, as far as they happened. Cheap when there
    /// are none.
    ///
    /// # Errors
    /// A journal that cannot be read.
    pub fn events_after(&self, run: &RunId, seq: u64) -> Result<Vec<(u64, Event)>, Error> {
        let stored = self.engine.events_after(run, seq)?;
        Ok(stored.into_iter().map(|stored| (stored.seq, stored.event)).collect())
    }
}
