//! Steps with runs below them: `workflow`, `parallel`, `fan_out`.

use botpipe_kernel::plan::{Isolation, Join, Settle};
use serde_json::Value;

use super::kind::{Branches, Child, FanOut, Parallel};
use super::step::Step;
use super::tree::{Map, Node, texts, word};
use super::turn::FanIn;
use crate::Workflow;

/// A workflow that a step starts: found by name, alias or path; or at hand.
#[derive(Debug, Clone)]
pub struct Reference {
    name: String,
    at_hand: Option<Workflow>,
}

impl From<&str> for Reference {
    fn from(name: &str) -> Self {
        Self { name: name.to_owned(), at_hand: None }
    }
}

impl From<String> for Reference {
    fn from(name: String) -> Self {
        Self { name, at_hand: None }
    }
}

impl From<&Workflow> for Reference {
    fn from(workflow: &Workflow) -> Self {
        Self { name: workflow.name().to_owned(), at_hand: Some(workflow.clone()) }
    }
}

impl Step<Child> {
    /// Another workflow, run below this one.
    pub fn workflow(id: impl Into<String>, workflow: impl Into<Reference>) -> Self {
        let Reference { name, at_hand } = workflow.into();
        let mut step = Self::of(id, "workflow", name);
        step.workflows.extend(at_hand);
        step
    }

    /// A parameter of it, as [`Step::with`].
    pub fn param(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.keys.push_below("params", name, value.into());
        self
    }

    /// A template of its message; without, it is this run's own.
    pub fn message(self, template: impl Into<String>) -> Self {
        self.put("message", template.into())
    }
}

/// A step as a branch: a run of its own, whose routes lead to `SELF`, `FINISH`, `FAIL` or
/// `AWAIT_INPUT`.
#[derive(Debug, Clone)]
#[must_use]
pub struct Branch {
    keys: Map,
    workflows: Vec<Workflow>,
}

impl Branch {
    /// The step that it is.
    pub fn new<K>(step: Step<K>) -> Self {
        Self { keys: step.keys, workflows: step.workflows }
    }

    /// The routes that count as success; without, all but those to FAIL.
    pub fn success_routes(mut self, tags: impl IntoIterator<Item: Into<String>>) -> Self {
        self.keys.extend_below("success_routes", texts(tags));
        self
    }
}

impl<K> From<Step<K>> for Branch {
    fn from(step: Step<K>) -> Self {
        Self::new(step)
    }
}

/// The items of a `fan_out`: an expression that gives a list, or the list of an artifact.
#[derive(Debug, Clone)]
pub struct Over {
    node: Node,
}

impl Over {
    /// A JSON artifact: the whole file is the list.
    pub fn artifact(name: impl Into<String>) -> Self {
        Self { node: Map::of("from", name.into()).into() }
    }

    /// A JSON artifact with the list under that key.
    pub fn collection(name: impl Into<String>, key: impl Into<String>) -> Self {
        let mut map = Map::of("from", name.into());
        map.set("collection", key.into());
        Self { node: map.into() }
    }
}

impl From<&str> for Over {
    fn from(expression: &str) -> Self {
        Self { node: expression.into() }
    }
}

impl From<String> for Over {
    fn from(expression: String) -> Self {
        Self { node: expression.into() }
    }
}

impl Step<Parallel> {
    /// Branches side by side; [`Step::branch`] adds each.
    ///
    /// ```
    /// use botpipe::build::{Branch, Step};
    ///
    /// let reviews = Step::parallel("reviews")
    ///     .branch(Branch::new(Step::prompt("style", "Review the style.")).success_routes(["done"]))
    ///     .branch(Step::run("tests", "make test").route("done", "FINISH").route("failed", "FAIL"))
    ///     .concurrency(2);
    /// # let _ = reviews;
    /// ```
    pub fn parallel(id: impl Into<String>) -> Self {
        Self::of(id, "parallel", Node::List(Vec::new()))
    }

    /// One more branch.
    pub fn branch(mut self, branch: impl Into<Branch>) -> Self {
        let Branch { keys, workflows } = branch.into();
        self.workflows.extend(workflows);
        self.more("parallel", [keys])
    }
}

impl Step<FanOut> {
    /// A branch for each item.
    ///
    /// ```
    /// use botpipe::build::Step;
    ///
    /// let look = Step::prompt("look", "Look at {{ branch.item }}.").writes(["report"]);
    /// let each = Step::fan_out("each", "{{ input.files }}", look);
    /// # let _ = each;
    /// ```
    pub fn fan_out(
        id: impl Into<String>,
        items: impl Into<Over>,
        branch: impl Into<Branch>,
    ) -> Self {
        let Branch { keys, workflows } = branch.into();
        let mut step = Self::of(id, "fan_out", items.into().node).put("branch", keys);
        step.workflows = workflows;
        step
    }
}

impl<K: Branches> Step<K> {
    /// Branches at the same time, at most.
    pub fn concurrency(self, most: u32) -> Self {
        self.put("concurrency", most)
    }

    /// What a branch that failed means for the others.
    pub fn settle(self, settle: Settle) -> Self {
        self.put("settle", word(settle))
    }

    /// Which ends of the branches are `done`.
    pub fn join(self, join: Join) -> Self {
        self.put("join", word(join))
    }

    /// The files that the branches work on: those of the run, or a copy for each.
    pub fn isolation(self, isolation: Isolation) -> Self {
        self.put("isolation", word(isolation))
    }

    /// The turn that is told what the branches came to, and picks the route.
    pub fn fan_in(self, turn: impl Into<FanIn>) -> Self {
        self.put("fan_in", turn.into())
    }
}
