//! What an owner has at hand for one run: its texts, its data, its agent, its places.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use botpipe_journal::RunRow;
use botpipe_kernel::ids::{ArtifactName, Digest, Role, RunId, TaskId, WorkflowName};
use botpipe_kernel::plan::Step;
use botpipe_kernel::run::{Harness, Provider, Ref, Run};
use botpipe_providers::Cassette;
use serde_json::{Map, Value};

use super::beside::Beside;
use crate::confine::left_out::LeftOut;
use crate::driver::Driver;
use crate::error::Error;
use crate::harness::Kind;
use crate::parts::{INLINE_BYTES, Parts};
use crate::plain;
use crate::prompt::{Templates, Validators};
use crate::recording::Recorder;
use crate::workspace::layout::{Layout, WorkspacePath};
use crate::workspace::redact::Redactor;
use crate::workspace::snapshots::Snapshots;

/// A run's fixed data: what it was created with.
pub(crate) struct About {
    pub(crate) run: RunId,
    pub(crate) task: TaskId,
    pub(crate) workflow: WorkflowName,
    pub(crate) message: String,
    pub(crate) input: Value,
    pub(crate) params: Value,
    pub(crate) provider: Option<Provider>,
    /// What its templates know of its parent; nothing for a root.
    pub(crate) context: Map<String, Value>,
    /// The way to it from its root; empty for a root.
    pub(crate) path: String,
    /// What no snapshot takes: paths and patterns that may not be read.
    pub(crate) denied: Vec<String>,
}

impl About {
    /// The data of a run that was folded from its events.
    pub(crate) fn of(parts: &Parts, row: &RunRow, run: &Run) -> Result<Self, Error> {
        let record = |what: &str| {
            let (run, what) = (row.run.clone(), what.to_owned());
            move |message: String| Error::Record { run, what, message }
        };
        let text = |text: &Option<_>| match text {
            Some(text) => parts.text(text),
            None => Ok(String::new()),
        };
        let json = |what: &str, text: String| {
            serde_json::from_str::<Value>(&text).map_err(|error| record(what)(error.to_string()))
        };
        Ok(Self {
            run: row.run.clone(),
            task: row.task.clone(),
            workflow: row.workflow.clone(),
            message: text(&run.message)?,
            input: json("its input", text(&run.input)?)?,
            params: json("its parameters", text(&run.params)?)?,
            provider: run.provider.clone(),
            context: match &run.context {
                Some(context) => json("its context", parts.text(context)?)?
                    .as_object()
                    .cloned()
                    .unwrap_or_default(),
                None => Map::new(),
            },
            path: run.parent.as_ref().map(|parent| parent.path.clone()).unwrap_or_default(),
            denied: {
                let ground = crate::policy::Ground::of_process(parts.layout.home());
                crate::policy::denied(&run.plan, &run.policies, &ground)
            },
        })
    }
}

/// The agent program of a run, ready to be asked.
#[derive(Clone)]
pub(crate) enum Agent {
    Command { program: String, args: Vec<String> },
    Replay { cassette: Arc<Cassette>, loose: bool },
    Harness { kind: Kind, harness: Arc<Harness> },
}

impl Agent {
    /// The agent program of a provider.
    pub(crate) fn of(parts: &Parts, provider: Option<&Provider>) -> Result<Option<Self>, Error> {
        Ok(match provider {
            Some(Provider::Command { program, args }) => {
                Some(Self::Command { program: program.clone(), args: args.clone() })
            }
            Some(Provider::Replay { cassette, loose }) => {
                let text = parts.text_of(cassette)?;
                let cassette = Cassette::parse(&text).map_err(|error| Error::Cassette {
                    origin: format!("object {}", cassette.short()),
                    message: error.to_string(),
                })?;
                Some(Self::Replay { cassette: Arc::new(cassette), loose: *loose })
            }
            Some(Provider::Codex(harness)) => {
                Some(Self::Harness { kind: Kind::Codex, harness: Arc::new((**harness).clone()) })
            }
            Some(Provider::Claude(harness)) => {
                Some(Self::Harness { kind: Kind::Claude, harness: Arc::new((**harness).clone()) })
            }
            Some(Provider::Acp(harness)) => {
                Some(Self::Harness { kind: Kind::Acp, harness: Arc::new((**harness).clone()) })
            }
            None => None,
        })
    }
}

impl Driver<'_> {
    /// Who does the turn of a role, ready to be asked; `None`: nobody.
    pub(crate) fn agent_of(&self, step: &Step, role: Role) -> Result<Option<Agent>, Error> {
        if self.run.cast().own(step, role).is_none() {
            return Ok(self.desk.agent.clone());
        }
        Agent::of(self.parts, self.run.provider_of(step, role).as_ref())
    }
}

/// What one owner works with.
pub(crate) struct Desk {
    pub(crate) run_id: RunId,
    pub(crate) task: TaskId,
    pub(crate) layout: Layout,
    /// The workflow's folder, relative to the workspace.
    pub(crate) folder: String,
    pub(crate) run_folder: WorkspacePath,
    pub(crate) message: String,
    pub(crate) input: Value,
    pub(crate) params: Value,
    pub(crate) context: Map<String, Value>,
    pub(crate) path: String,
    pub(crate) agent: Option<Agent>,
    pub(crate) snapshots: Snapshots,
    pub(crate) redactor: Redactor,
    pub(crate) templates: Templates,
    pub(crate) schemas: Validators,
    /// By artifact, the content that was last found valid: what is the same needs no second look.
    pub(crate) good: BTreeMap<ArtifactName, Digest>,
    /// Whether what the run recorded of its harness is known to hold.
    pub(crate) has_looked: bool,
    /// The same for those that steps and turns name.
    pub(crate) looked_at: BTreeSet<String>,
    /// The policies of this owner's turns that are kept.
    pub(crate) policies: Vec<(String, Ref)>,
    /// What canaries saw of each policy, by its text and its view of the workspace.
    pub(crate) proven: Vec<((String, crate::confine::View), Value)>,
    /// What was told of a person's settings that programs do not see.
    pub(crate) unshown: BTreeSet<String>,
    /// The function that runs while what it asked for is done.
    pub(crate) parked: Option<super::Parked>,
    /// Records the turns, when the run is recorded.
    pub(crate) recorder: Option<Recorder>,
    /// An object on its way to the disk beside the event that cites it.
    object: Beside,
    /// A file of the workspace on its way to the disk beside what only looks.
    file: Beside,
    texts: BTreeMap<Digest, Arc<str>>,
}

impl Desk {
    /// Lays everything out for a run.
    pub(crate) fn set_up(parts: &Parts, about: About) -> Result<Self, Error> {
        Self::set_up_in(parts, about, parts.layout.clone())
    }

    /// The same for one that works on other files than the workspace's own.
    pub(crate) fn set_up_in(parts: &Parts, about: About, layout: Layout) -> Result<Self, Error> {
        let agent = Agent::of(parts, about.provider.as_ref())?;
        let folder = layout.workflow_folder(&about.task, &about.workflow);
        // Before any program of the run is there, which could put a link in its place.
        let runs = layout.runs_folder(&about.task, &about.workflow);
        plain::make(&runs).map_err(crate::workspace::Error::io("create", &runs))?;
        let child = about.run.is_child();
        let open = if child { Snapshots::open_beside } else { Snapshots::open };
        let mut snapshots = open(&layout)?;
        snapshots.leave_out(LeftOut::of(&about.denied, layout.home()));
        let run_folder = layout.run_folder(&about.task, &about.workflow, &about.run);
        Ok(Self {
            recorder: Recorder::open(&run_folder),
            run_folder,
            folder: folder.relative,
            snapshots,
            redactor: Redactor::of_process(),
            layout,
            run_id: about.run,
            task: about.task,
            message: about.message,
            input: about.input,
            params: about.params,
            context: about.context,
            path: about.path,
            agent,
            templates: Templates::default(),
            schemas: Validators::default(),
            good: BTreeMap::new(),
            has_looked: false,
            looked_at: BTreeSet::new(),
            policies: Vec::new(),
            proven: Vec::new(),
            unshown: BTreeSet::new(),
            parked: None,
            object: Beside::default(),
            file: Beside::default(),
            texts: BTreeMap::new(),
        })
    }

    /// A turn as everybody outside this run knows it: with the way to its run.
    pub(crate) fn way_to(&self, turn: impl std::fmt::Display) -> String {
        way(&self.path, turn)
    }

    /// Keeps a text as an object while the event that cites it is appended.
    ///
    /// # Order
    /// [`Desk::settle`] before anything is done for that event.
    pub(crate) fn keep_beside(&mut self, parts: &Parts, text: String) -> Result<Ref, Error> {
        self.settle()?;
        if text.len() <= INLINE_BYTES {
            return Ok(Ref::Inline(text));
        }
        let digest = botpipe_journal::digest_of(text.as_bytes());
        let objects = parts.objects.clone();
        let put = move || objects.put(text.as_bytes()).map(drop).map_err(Error::Journal);
        self.object.start(put)?;
        Ok(Ref::Object(digest))
    }

    /// Waits until the object that is being kept is on the disk.
    pub(crate) fn settle(&mut self) -> Result<(), Error> {
        self.object.settle()
    }

    /// Finishes a change of a file while looking goes on.
    ///
    /// # Order
    /// [`Desk::settle_files`] before the event that tells of it is appended.
    pub(crate) fn finish_beside(
        &mut self,
        work: impl FnOnce() -> Result<(), Error> + Send + 'static,
    ) -> Result<(), Error> {
        self.file.settle()?;
        self.file.start(work)
    }

    /// Waits until the file that is being changed is on the disk.
    pub(crate) fn settle_files(&mut self) -> Result<(), Error> {
        self.file.settle()
    }

    /// A text of the plan, read once.
    pub(crate) fn plan_text(&mut self, parts: &Parts, digest: &Digest) -> Result<Arc<str>, Error> {
        if let Some(text) = self.texts.get(digest) {
            return Ok(text.clone());
        }
        let text: Arc<str> = parts.text_of(digest)?.into();
        self.texts.insert(digest.clone(), text.clone());
        Ok(text)
    }
}

/// The way to a turn, or to a run: below the run that is at `path`.
pub(crate) fn way(path: &str, to: impl std::fmt::Display) -> String {
    if path.is_empty() { to.to_string() } else { format!("{path}:{to}") }
}
