//! A step: what all kinds, and several of them, have in common.

use std::marker::PhantomData;
use std::time::Duration;

use botpipe_kernel::plan::{OnInterrupt, OnLimit};
use serde_json::Value;

use super::artifact::{Write, writes};
use super::bounds::{Budget, Retry, TurnProvider};
use super::code::Code;
use super::kind::{Answers, Bound, Given, Picks, Runs, Says, Talks, Timed, Writes};
use super::policy::{Bounds, Policy};
use super::route::{Control, Helper, Route};
use super::schema::{Shape, WholeSchema};
use super::tree::{Map, Node, duration, texts, word};
use super::turn::Session;
use crate::Workflow;

/// A step. What it does is said by the function that makes it: [`Step::prompt`], [`Step::produce`],
/// [`Step::llm`], [`Step::classify`], [`Step::run`], [`Step::call`], [`Step::validate`], [`Step::ask`],
/// [`Step::wait_for`], [`Step::wait_until`], [`Step::wait_signal`], [`Step::workflow`],
/// [`Step::parallel`], [`Step::fan_out`].
///
/// ```
/// use botpipe::build::{Step, Target};
///
/// let plan = Step::prompt("plan", "prompts/plan.md")
///     .writes(["plan"])
///     .route("done", "implement")
///     .route("unclear", Target::AwaitInput)
///     .max_visits(3);
/// # let _ = plan;
/// ```
///
/// A key that its kind does not have is no method:
///
/// ```compile_fail
/// # use botpipe::build::Step;
/// Step::wait_for("pause", std::time::Duration::from_mins(1)).writes(["plan"]);
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Step<K> {
    pub(super) keys: Map,
    /// The workflows it starts that were given as such.
    pub(super) workflows: Vec<Workflow>,
    kind: PhantomData<K>,
}

impl<K> Step<K> {
    pub(super) fn of(id: impl Into<String>, key: &str, what: impl Into<Node>) -> Self {
        let mut keys = Map::of("id", id.into());
        keys.set(key, what);
        Self { keys, workflows: Vec::new(), kind: PhantomData }
    }

    pub(super) fn put(mut self, key: &str, value: impl Into<Node>) -> Self {
        self.keys.set(key, value);
        self
    }

    pub(super) fn more(mut self, key: &str, items: impl IntoIterator<Item: Into<Node>>) -> Self {
        self.keys.extend_below(key, items);
        self
    }

    /// Shown to people and to the agent.
    pub fn title(self, title: impl Into<String>) -> Self {
        self.put("title", title.into())
    }

    /// The worklist whose current item it works on.
    pub fn scope(self, worklist: impl Into<String>) -> Self {
        self.put("scope", worklist.into())
    }

    /// Artifacts that must be there and be valid before it starts.
    pub fn requires(self, artifacts: impl IntoIterator<Item: Into<String>>) -> Self {
        self.more("requires", texts(artifacts))
    }

    /// Artifacts named to the agent as optional context.
    pub fn reads(self, artifacts: impl IntoIterator<Item: Into<String>>) -> Self {
        self.more("reads", texts(artifacts))
    }

    /// A named exit, and where it leads. They are looked at in this order.
    pub fn route(mut self, tag: impl Into<String>, route: impl Into<Route>) -> Self {
        self.keys.push_below("routes", tag, route.into());
        self
    }

    /// Visits allowed, per item where there is a `scope`.
    pub fn max_visits(self, most: u32) -> Self {
        self.put("max_visits", most)
    }

    /// What is kept for this step, over its visits.
    pub fn step_state(self, fields: impl Into<Shape>) -> Self {
        self.put("step_state", fields.into())
    }

    /// Code before its work; it may pick a route itself.
    pub fn before(self, code: impl Into<Code>) -> Self {
        self.put("before", code.into())
    }

    /// Code after its outcome, which it may change.
    pub fn after(self, code: impl Into<Code>) -> Self {
        self.put("after", code.into())
    }

    /// What is kept for this step and each item.
    pub fn item_state(self, fields: impl Into<Shape>) -> Self {
        self.put("item_state", fields.into())
    }
}

impl<K: Runs> Step<K> {
    /// What it may spend in all its visits; with a scope, for each item.
    pub fn budget(self, budget: Budget) -> Self {
        self.put("budget", budget)
    }

    /// What is done about work that cannot be used.
    pub fn retry(self, retry: Retry) -> Self {
        self.put("retry", retry)
    }

    /// What is done with a turn that was cut off.
    pub fn on_interrupt(self, then: OnInterrupt) -> Self {
        self.put("on_interrupt", word(then))
    }

    /// What is done at a usage limit of the account.
    pub fn on_limit(self, then: OnLimit) -> Self {
        self.put("on_limit", word(then))
    }

    /// The longest a turn may be silent.
    pub fn idle_timeout(self, longest: Duration) -> Self {
        self.put("idle_timeout", duration(longest))
    }
}

impl<K: Bound> Step<K> {
    /// What its processes may do.
    pub fn policy(self, policy: Policy) -> Self {
        self.put("policy", policy)
    }

    /// What each of its processes may use.
    pub fn limits(self, bounds: Bounds) -> Self {
        self.put("limits", bounds)
    }
}

impl<K: Timed> Step<K> {
    /// The longest a turn may take; for a question, from when it was first asked.
    pub fn timeout(self, longest: Duration) -> Self {
        self.put("timeout", duration(longest))
    }
}

impl<K: Talks> Step<K> {
    /// Who does its turns, in the place of the run's provider.
    pub fn provider(self, provider: impl Into<TurnProvider>) -> Self {
        self.put("provider", provider.into())
    }

    /// The conversation of its turn (of the one that does the work, where two take turns).
    pub fn session(self, session: impl Into<Session>) -> Self {
        self.put("session", session.into())
    }
}

impl<K: Writes> Step<K> {
    /// Artifacts it writes: by name, or declared in place.
    ///
    /// ```
    /// use botpipe::build::{Artifact, Step};
    ///
    /// let step = Step::prompt("note", "Write the notes.")
    ///     .writes(["plan"])
    ///     .writes([("notes", Artifact::md("notes.md").required())]);
    /// # let _ = step;
    /// ```
    pub fn writes(self, artifacts: impl IntoIterator<Item: Into<Write>>) -> Self {
        self.more("writes", writes(artifacts))
    }
}

impl<K: Given> Step<K> {
    /// A value it is given: a field of the other workflow's input, or what the function is called with. Texts
    /// are templates; one that is an expression alone keeps its type.
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.keys.push_below("with", name, value.into());
        self
    }
}

impl<K: Answers> Step<K> {
    /// A place of the state that gets the answer: `state.KEY`.
    pub fn into(self, place: impl Into<String>) -> Self {
        self.put("into", place.into())
    }
}

impl<K: Says> Step<K> {
    /// What the payload has to fit on its routes that have no schema of their own.
    pub fn control_schema(self, schema: impl Into<WholeSchema>) -> Self {
        self.put("control_schema", schema.into())
    }

    /// Takes an inherited route away.
    pub fn disable(mut self, tag: impl Into<String>) -> Self {
        self.keys.push_below("routes", tag, "disabled");
        self
    }
}

impl<K: Picks> Step<K> {
    /// When it offers a helper route.
    pub fn control_route(mut self, helper: Helper, control: Control) -> Self {
        self.keys.push_below("control_routes", helper.tag(), control);
        self
    }
}
