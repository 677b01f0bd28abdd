//! One workspace's runs.

use std::path::Path;

use botpipe_engine::Engine;
use botpipe_engine::config::{Config, Layer};
use botpipe_kernel::ids::{RunId, TaskId, WorkflowName};
use botpipe_kernel::run::Event;

use crate::{
    CancelResult, Error, Progress, Resume, RunEnd, RunRef, RunSummary, RunView, Silent, Start,
    StopSwitch, Workflow,
};

/// One workspace's runs. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    engine: Engine,
}

impl Client {
    /// Opens a workspace, and makes its `.botpipe` folder where there is none.
    ///
    /// # Errors
    /// A workspace that does not exist, a folder that cannot be written, a damaged or newer journal.
    pub fn open(workspace: impl AsRef<Path>) -> Result<Self, Error> {
        Ok(Self { engine: Engine::open(workspace.as_ref())? })
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
        self.engine.start(workflow.compiled(), start, progress, stop)
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

    /// The events of a run after a sequence number, with theirs: to follow a run, ask again with the
    /// last one. Cheap when there are none.
    ///
    /// # Errors
    /// A journal that cannot be read.
    pub fn events_after(&self, run: &RunId, seq: u64) -> Result<Vec<(u64, Event)>, Error> {
        let stored = self.engine.events_after(run, seq)?;
        Ok(stored.into_iter().map(|stored| (stored.seq, stored.event)).collect())
    }
}
