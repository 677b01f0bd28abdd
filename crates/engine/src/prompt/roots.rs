//! The names a template may use, and what stands behind each.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ObjectRepr, Serde, Value as Jinja};
use serde::Serialize;
use serde_json::{Map, Value};

/// Everything a template of one turn can name.
///
/// What is `None` is no root at all: a template that names it does not render.
#[derive(Debug, Clone, Default)]
pub struct Roots {
    /// What the person typed; empty when nothing was. Also the root `request`, which falls back to
    /// the input field of that name.
    pub message: String,
    /// JSON object.
    pub input: Value,
    /// JSON object.
    pub params: Value,
    /// Paths relative to the workspace, by the artifact's name.
    pub artifacts: BTreeMap<String, String>,
    /// The current item of a scoped step; also stands under the worklist's own name.
    pub item: Option<ItemRoot>,
    pub worklist: Option<WorklistRoot>,
    /// Run id, as `run.id`.
    pub run: String,
    /// Task id, as `task.id`.
    pub task: String,
    pub workflow: WorkflowRoot,
    pub step: Option<StepRoot>,
    /// The checks the engine ran in this visit, by name.
    pub checks: BTreeMap<String, CheckRoot>,
    /// What was answered: in a prompt what led to the step, in what a route renders the present one.
    pub outcome: Option<OutcomeRoot>,
    /// The route that was taken, when it is not the outcome's own.
    pub route: Option<String>,
    /// The state by the word of its scope; JSON objects.
    pub states: BTreeMap<&'static str, Value>,
    /// What a run below another knows of it: `branch`, and its parent's `item` and `worklist`.
    pub context: Map<String, Value>,
    /// What the branches of the visit came to.
    pub fan_in: Option<FanInRoot>,
}

/// The branches of a visit.
#[derive(Debug, Clone, Serialize)]
pub struct FanInRoot {
    /// In order.
    pub results: Vec<BranchResult>,
}

/// What a branch came to.
#[derive(Debug, Clone, Serialize)]
pub struct BranchResult {
    /// Its name, or what tells its item.
    pub branch: String,
    /// Its run.
    pub run: String,
    /// `done`, `failed`, `cancelled` or `skipped`.
    pub status: String,
    /// The route that led to its end.
    pub tag: Option<String>,
    /// The payload of its last outcome.
    pub output: Value,
}

/// The current item.
#[derive(Debug, Clone, Serialize)]
pub struct ItemRoot {
    pub id: String,
    /// The id, for an item without a title.
    pub title: String,
    pub status: String,
    /// The whole item as it stands in its file.
    pub payload: Value,
    /// Counts from 1.
    pub index: usize,
    /// How many items the worklist has.
    pub count: usize,
    /// The id, safe as a folder's name.
    pub dir_key: String,
}

/// The worklist of a scoped step.
#[derive(Debug, Clone, Serialize)]
pub struct WorklistRoot {
    pub name: String,
    pub total: usize,
    pub completed: usize,
    pub remaining: usize,
}

/// The workflow.
#[derive(Debug, Clone, Default, Serialize)]
pub struct WorkflowRoot {
    pub name: String,
    /// Relative to the workspace: `.botpipe/tasks/demo/wf_ralph_loop`.
    pub folder: String,
}

/// The step being visited.
#[derive(Debug, Clone, Serialize)]
pub struct StepRoot {
    pub id: String,
    /// Counts from 1.
    pub visit: u32,
}

/// A check's end.
#[derive(Debug, Clone, Serialize)]
pub struct CheckRoot {
    /// `passed`, `failed` or `skipped`.
    pub status: String,
    pub output: String,
}

/// An accepted answer.
#[derive(Debug, Clone, Serialize)]
pub struct OutcomeRoot {
    pub tag: String,
    pub payload: Value,
    pub route_fields: Value,
}

impl Roots {
    /// The roots as the template engine reads them.
    pub(super) fn context(&self) -> BTreeMap<String, Jinja> {
        let mut roots = BTreeMap::new();
        let mut put = |name: &str, value: Jinja| {
            roots.insert(name.to_owned(), value);
        };
        put("message", Jinja::from(&self.message));
        put("request", Jinja::from(self.request()));
        put("input", serialized(&self.input));
        put("params", serialized(&self.params));
        put("artifacts", self.artifact_places());
        put("run", Jinja::from_pairs([("id", Jinja::from(&self.run))]));
        put("task", Jinja::from_pairs([("id", Jinja::from(&self.task))]));
        put("workflow", serialized(&self.workflow));
        put("checks", serialized(&self.checks));
        if let Some(step) = &self.step {
            put("step", serialized(step));
        }
        if let Some(worklist) = &self.worklist {
            put("worklist", serialized(worklist));
            put("current_worklist", serialized(worklist));
        }
        if let Some(item) = &self.item {
            put("item", serialized(item));
        }
        if let Some(outcome) = &self.outcome {
            let tag = self.route.clone().unwrap_or_else(|| outcome.tag.clone());
            put("route", serialized(&OutcomeRoot { tag, ..outcome.clone() }));
            put("outcome", serialized(outcome));
        }
        for (word, state) in &self.states {
            put(word, serialized(state));
        }
        if let Some(fan_in) = &self.fan_in {
            put("fan_in", serialized(fan_in));
        }
        for (name, value) in &self.context {
            roots.entry(name.clone()).or_insert_with(|| serialized(value));
        }
        if let (Some(worklist), Some(item)) = (&self.worklist, &self.item) {
            roots.entry(worklist.name.clone()).or_insert_with(|| serialized(item));
        }
        roots
    }

    /// The roots as JSON, for code that runs elsewhere. An artifact is its path.
    pub fn as_json(&self) -> Value {
        serde_json::to_value(self.context()).unwrap_or(Value::Null)
    }

    fn request(&self) -> &str {
        if self.message.is_empty() {
            self.input.get("request").and_then(Value::as_str).unwrap_or_default()
        } else {
            &self.message
        }
    }

    fn artifact_places(&self) -> Jinja {
        Jinja::from_pairs(
            self.artifacts.iter().map(|(name, path)| {
                (name.as_str(), Jinja::from_object(Place { path: path.clone() }))
            }),
        )
    }
}

fn serialized(value: &impl Serialize) -> Jinja {
    Jinja::from(Serde(value))
}

/// An artifact in a template: prints as its path, which is also its one attribute.
#[derive(Debug)]
struct Place {
    path: String,
}

impl Object for Place {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Jinja) -> Option<Jinja> {
        (key.as_str() == Some("path")).then(|| Jinja::from(&self.path))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::NonEnumerable
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)
    }
}
