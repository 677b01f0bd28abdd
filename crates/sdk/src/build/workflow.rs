//! A workflow as it is put together.

use std::path::PathBuf;

use botpipe_lang::SourceFile;

use super::artifact::Artifact;
use super::beside::Beside;
use super::bounds::{Budget, Limits, Provider};
use super::output::Output;
use super::policy::Policy;
use super::route::{GlobalRoute, Helper};
use super::schema::Shape;
use super::step::Step;
use super::tree::{Map, Node, texts};
use super::turn::Continuity;
use super::worklist::Worklist;
use super::yaml::text_of;
use crate::{NotRunnable, Workflow};

/// A workflow as it is put together; [`WorkflowBuilder::build`] checks it.
#[derive(Debug, Clone)]
#[must_use]
pub struct WorkflowBuilder {
    name: String,
    keys: Map,
    beside: Beside,
}

impl WorkflowBuilder {
    pub(crate) fn new(name: String) -> Self {
        let mut keys = Map::of("sop", 1_u32);
        keys.set("name", name.as_str());
        Self { name, keys, beside: Beside::default() }
    }

    /// One line about it.
    pub fn title(self, title: impl Into<String>) -> Self {
        self.with("title", title.into())
    }

    /// More about it.
    pub fn description(self, words: impl Into<String>) -> Self {
        self.with("description", words.into())
    }

    /// Other names it is found by, once its text is a file.
    pub fn aliases(mut self, names: impl IntoIterator<Item: Into<String>>) -> Self {
        self.keys.extend_below("aliases", texts(names));
        self
    }

    /// What a run is started with.
    pub fn input(self, fields: impl Into<Shape>) -> Self {
        self.with("input", fields.into())
    }

    /// What a person may set.
    pub fn params(self, fields: impl Into<Shape>) -> Self {
        self.with("params", fields.into())
    }

    /// What is kept for the run, and set by routes.
    pub fn state(self, fields: impl Into<Shape>) -> Self {
        self.with("state", fields.into())
    }

    /// A file that steps write.
    pub fn artifact<F>(mut self, name: impl Into<String>, artifact: Artifact<F>) -> Self {
        self.keys.push_below("artifacts", name, artifact);
        self
    }

    /// A list whose items scoped steps work on.
    pub fn worklist<S>(mut self, name: impl Into<String>, worklist: Worklist<S>) -> Self {
        self.keys.push_below("worklists", name, worklist);
        self
    }

    /// A conversation that steps name.
    pub fn session(mut self, name: impl Into<String>, continuity: Continuity) -> Self {
        self.keys.push_below("sessions", name, continuity);
        self
    }

    /// Bounds of a run that are no budget.
    pub fn limits(self, limits: Limits) -> Self {
        self.with("limits", limits)
    }

    /// What a run may spend.
    pub fn budget(self, budget: Budget) -> Self {
        self.with("budget", budget)
    }

    /// What an agent's commands may do.
    pub fn policy(self, policy: Policy) -> Self {
        self.with("policy", policy)
    }

    /// Who does the turns when a run is started without a provider.
    pub fn provider(self, provider: Provider) -> Self {
        self.with("provider", provider)
    }

    /// The step a run begins with; without, the first.
    pub fn entry(self, step: impl Into<String>) -> Self {
        self.with("entry", step.into())
    }

    /// What a run that reaches FINISH gives back.
    pub fn output(self, output: Output) -> Self {
        self.with("output", output)
    }

    /// A route that every step inherits.
    pub fn global_route(mut self, tag: impl Into<String>, route: impl Into<GlobalRoute>) -> Self {
        self.keys.push_below("global_routes", tag, route.into());
        self
    }

    /// Takes a helper route away from every step.
    pub fn disable(mut self, helper: Helper) -> Self {
        self.keys.push_below("global_routes", helper.tag(), "disabled");
        self
    }

    /// One more step.
    pub fn step<K>(mut self, step: Step<K>) -> Self {
        self.keys.extend_below("steps", [step.keys]);
        self.beside.workflows.extend(step.workflows);
        self
    }

    /// The folder of the files it names: prompts, schemas, recordings.
    pub fn folder(mut self, path: impl Into<PathBuf>) -> Self {
        self.beside.folder = Some(path.into());
        self
    }

    /// The text of a file it names, instead of one on the disk; `include_str!` brings one along.
    pub fn file(mut self, path: impl Into<String>, text: impl Into<String>) -> Self {
        let path: String = path.into();
        let plain = path.strip_prefix("./").unwrap_or(&path);
        self.beside.texts.insert(plain.to_owned(), text.into());
        self
    }

    /// The workspace in which the workflows that it starts by name are looked for, as `botpipe run` does.
    pub fn workspace(mut self, path: impl Into<PathBuf>) -> Self {
        self.beside.workspace = Some(path.into());
        self
    }

    /// The workflow as a file says it: what [`WorkflowBuilder::build`] checks, and diagnostics point into.
    pub fn to_text(&self) -> String {
        text_of(&self.keys)
    }

    /// Checks it, as `botpipe check` would check its text.
    ///
    /// # Errors
    /// [`NotRunnable::Wrong`] with all that is wrong.
    pub fn build(self) -> Result<Workflow, NotRunnable> {
        let source =
            SourceFile { name: format!("{}.sop.yaml (built)", self.name), text: self.to_text() };
        Workflow::built(source, self.beside)
    }

    fn with(mut self, key: &str, value: impl Into<Node>) -> Self {
        self.keys.set(key, value);
        self
    }
}
