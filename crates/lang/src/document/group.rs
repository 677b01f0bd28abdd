//! Steps that start runs below their own: `workflow`, `parallel`, `fan_out`.

use botpipe_kernel::ids::{ArtifactName, RouteTag, StepId, WorklistName};
use botpipe_kernel::plan::{Group, Isolation, Join, Plan, Settle};
use serde_json::Value as Json;

use super::Reader;
use super::field::{Fields, choice, count, list, name, names, text, wrong_type};
use super::step::{InBranch, StepDecl};
use super::text::TextDecl;
use super::work::{TurnDecl, WorkDecl};
use crate::check::WorstCase;
use crate::compile::compile_below;
use crate::diagnostic::{Code, Problem, Severity};
use crate::lower::Texts;
use crate::source::{Span, Spanned};
use crate::yaml::{Entry, Value};

/// What a step starts below itself.
#[derive(Debug)]
pub(crate) struct GroupDecl {
    pub(crate) children: ChildrenDecl,
    pub(crate) concurrency: u32,
    pub(crate) settle: Settle,
    pub(crate) join: Join,
    pub(crate) isolation: Isolation,
    pub(crate) fan_in: Option<TurnDecl>,
}

/// Which runs.
#[derive(Debug)]
pub(crate) enum ChildrenDecl {
    Workflow(Box<ChildDecl>),
    Branches(Vec<BranchDecl>),
    Items {
        over: OverDecl,
        /// `None`: reported.
        branch: Option<Box<BranchDecl>>,
    },
}

/// Another workflow, and what it is given.
#[derive(Debug)]
pub(crate) struct ChildDecl {
    pub(crate) reference: Spanned<String>,
    /// Its plan, the texts it names, and its turns at worst; `None`: reported.
    pub(crate) plan: Option<(Plan, Texts, WorstCase)>,
    pub(crate) message: Option<TextDecl>,
    pub(crate) input: Option<(Span, Json)>,
    pub(crate) params: Option<(Span, Json)>,
    /// Every text in them that is a template, or an expression alone.
    pub(crate) templates: Vec<TextDecl>,
}

/// A step that is a run of its own.
#[derive(Debug)]
pub(crate) struct BranchDecl {
    pub(crate) step: StepDecl,
    pub(crate) success_routes: Vec<Spanned<RouteTag>>,
}

/// Where the items come from.
#[derive(Debug)]
pub(crate) enum OverDecl {
    Expression(TextDecl),
    Artifact {
        name: Spanned<ArtifactName>,
        collection: Option<String>,
    },
    /// Reported.
    Unknown,
}

impl GroupDecl {
    pub(crate) fn branches(&self) -> impl Iterator<Item = &BranchDecl> {
        let (many, one): (&[BranchDecl], Option<&BranchDecl>) = match &self.children {
            ChildrenDecl::Workflow(_) => (&[], None),
            ChildrenDecl::Branches(branches) => (branches, None),
            ChildrenDecl::Items { branch, .. } => (&[], branch.as_deref()),
        };
        many.iter().chain(one)
    }

    pub(super) fn branches_mut(&mut self) -> impl Iterator<Item = &mut BranchDecl> {
        let (many, one): (&mut [BranchDecl], Option<&mut BranchDecl>) = match &mut self.children {
            ChildrenDecl::Workflow(_) => (&mut [], None),
            ChildrenDecl::Branches(branches) => (branches, None),
            ChildrenDecl::Items { branch, .. } => (&mut [], branch.as_deref_mut()),
        };
        many.iter_mut().chain(one)
    }

    /// The tags that the ends of the children may come to.
    pub(crate) fn outcomes(&self) -> &'static [&'static str] {
        match (&self.children, self.join) {
            (_, Join::AllSettled) => &["done"],
            (ChildrenDecl::Workflow(_), _) | (_, Join::AnyDone) => &["done", "failed"],
            (_, Join::AllDone) => &["done", "partial", "failed"],
        }
    }
}

impl Reader<'_, '_> {
    pub(super) fn group(
        &mut self,
        fields: &mut Fields<'_>,
        id: &Spanned<StepId>,
        scope: Option<&Spanned<WorklistName>>,
    ) -> WorkDecl {
        let keys = ["workflow", "parallel", "fan_out"];
        let Some(entry) = keys.into_iter().find_map(|key| fields.get(key)) else {
            return WorkDecl::Unknown;
        };
        let inside = |of_items| InBranch { of_items, scope: scope.cloned() };
        let children = match entry.key.as_str() {
            "workflow" => match self.child(entry, fields) {
                Some(child) => ChildrenDecl::Workflow(Box::new(child)),
                None => return WorkDecl::Unknown,
            },
            "parallel" => ChildrenDecl::Branches(self.branches(entry, &inside(false))),
            _ => {
                let over = self.over(entry);
                let branch = fields.need("branch", self.report);
                let branch = branch.and_then(|it| self.branch_of_items(it, id, inside(true)));
                ChildrenDecl::Items { over, branch: branch.map(Box::new) }
            }
        };
        let mut group = GroupDecl {
            children,
            concurrency: Group::DEFAULT_CONCURRENCY,
            settle: Settle::All,
            join: Join::AllDone,
            isolation: Isolation::Shared,
            fan_in: None,
        };
        if let Some(entry) = fields.get("concurrency") {
            let most = Group::MOST_CONCURRENCY;
            group.concurrency = count(entry, most, self.report).unwrap_or(group.concurrency);
        }
        if let Some(entry) = fields.get("settle") {
            let words = [("all", Settle::All), ("fail_fast", Settle::FailFast)];
            group.settle = choice(entry, &words, self.report).unwrap_or_default();
        }
        if let Some(entry) = fields.get("join") {
            let words = [
                ("all_done", Join::AllDone),
                ("all_settled", Join::AllSettled),
                ("any_done", Join::AnyDone),
            ];
            group.join = choice(entry, &words, self.report).unwrap_or_default();
        }
        if let Some(entry) = fields.get("isolation") {
            let words = [("shared", Isolation::Shared), ("worktree", Isolation::Worktree)];
            group.isolation = choice(entry, &words, self.report).unwrap_or_default();
        }
        if let Some(entry) = fields.get("fan_in") {
            group.fan_in = Some(self.fan_in(entry, &id.value));
        }
        WorkDecl::Group(Box::new(group))
    }

    /// The turn after all: its prompt, or a map with what it writes.
    fn fan_in(&mut self, entry: &Entry, owner: &StepId) -> TurnDecl {
        let Value::Map(_) = &entry.value.value else {
            return self.turn(entry, None, None, owner);
        };
        let fields = Fields::of(&entry.value, "a turn", entry.key_span, self.report);
        let Some(mut fields) = fields else { return self.turn(entry, None, None, owner) };
        let (writes, requires) = (fields.get("writes"), fields.get("requires"));
        let (session, prompt) = (fields.get("session"), fields.need("prompt", self.report));
        let mut turn = self.turn(prompt.unwrap_or(entry), writes, session, owner);
        if let Some(entry) = requires {
            turn.requires = names(entry, "artifacts", self.report);
        }
        let policy = fields.get("policy").and_then(|policy| self.policy(policy));
        turn.policy = policy.map(Box::new);
        turn.provider = fields.get("provider").and_then(|it| self.turn_provider(it)).map(Box::new);
        fields.close(&[], self.report);
        turn
    }

    fn branches(&mut self, entry: &Entry, inside: &InBranch) -> Vec<BranchDecl> {
        let items = list(entry, "steps", self.report);
        if items.is_empty() && matches!(entry.value.value, Value::List(_)) {
            let message = "`parallel` has at least one branch";
            self.report.push(Problem::new(Code::NothingThere, entry.key_span, message));
        }
        let mut branches = Vec::new();
        for node in items {
            let Some(mut fields) = Fields::of(node, "a branch", node.span, self.report) else {
                continue;
            };
            let success = self.success_routes(&mut fields);
            let id = self.step_id(&mut fields);
            if let Some(id) = id.clone() {
                self.document.branch_ids.push(id);
            }
            match self.rest_of_step(node, fields, id, Some(inside.clone())) {
                Some(step) => branches.push(BranchDecl { step, success_routes: success }),
                None => self.document.steps_known = false,
            }
        }
        branches
    }

    /// The branch of a `fan_out`, which is called after its step where it has no id.
    fn branch_of_items(
        &mut self,
        entry: &Entry,
        step: &Spanned<StepId>,
        inside: InBranch,
    ) -> Option<BranchDecl> {
        let mut fields = Fields::of(&entry.value, "a branch", entry.key_span, self.report)?;
        let success_routes = self.success_routes(&mut fields);
        let id = match fields.peek("id") {
            Some(_) => self.step_id(&mut fields),
            None => Some(Spanned::new(step.value.clone(), entry.key_span)),
        };
        if let Some(id) = id.as_ref().filter(|id| id.value != step.value) {
            self.document.branch_ids.push(id.clone());
        }
        let step = self.rest_of_step(&entry.value, fields, id, Some(inside));
        if step.is_none() {
            self.document.steps_known = false;
        }
        Some(BranchDecl { step: step?, success_routes })
    }

    fn success_routes(&mut self, fields: &mut Fields<'_>) -> Vec<Spanned<RouteTag>> {
        let entry = fields.get("success_routes");
        entry.map(|entry| names(entry, "routes", self.report)).unwrap_or_default()
    }

    fn over(&mut self, entry: &Entry) -> OverDecl {
        match &entry.value.value {
            Value::Text(_) => {
                let Some(written) = self.inline_text(&entry.value, entry.key_span) else {
                    return OverDecl::Unknown;
                };
                let expression = crate::template::sole_expression(&written.text);
                let text = expression.unwrap_or(&written.text).to_owned();
                OverDecl::Expression(TextDecl { text, ..written })
            }
            Value::Map(_) => {
                let fields = Fields::of(&entry.value, "`fan_out`", entry.key_span, self.report);
                let Some(mut fields) = fields else { return OverDecl::Unknown };
                let from = fields.need("from", self.report).and_then(|from| {
                    let from = text(from, self.report)?;
                    name(from.value, from.span, self.report)
                });
                let collection = fields.get("collection").and_then(|it| text(it, self.report));
                let collection = collection.map(|it| it.value.to_owned());
                fields.close(&[], self.report);
                from.map_or(OverDecl::Unknown, |name| OverDecl::Artifact { name, collection })
            }
            _ => {
                let expected = "text: an expression that gives a list, or a map with `from`";
                wrong_type(&entry.value, entry.key_span, expected, self.report);
                OverDecl::Unknown
            }
        }
    }

    fn child(&mut self, entry: &Entry, fields: &mut Fields<'_>) -> Option<ChildDecl> {
        let reference = text(entry, self.report)?;
        let reference = Spanned::new(reference.value.to_owned(), reference.span);
        let message = fields.get("message").map(|it| self.prompt_text(&it.value, it.key_span));
        let mut templates = Vec::new();
        let mut given = |key, reader: &mut Self| {
            let entry: &Entry = fields.get(key)?;
            if !matches!(entry.value.value, Value::Map(_)) {
                wrong_type(&entry.value, entry.key_span, "a map of values", reader.report);
                return None;
            }
            let json = entry.value.to_json();
            texts_of(&json, entry.value.span, &mut templates);
            Some((entry.key_span, json))
        };
        let (input, params) = (given("with", self), given("params", self));
        let plan = self.compile_child(&reference);
        Some(ChildDecl { reference, plan, message, input, params, templates })
    }

    fn compile_child(&mut self, reference: &Spanned<String>) -> Option<(Plan, Texts, WorstCase)> {
        let (source, files) = match self.files.workflow(&reference.value) {
            Ok(found) => found,
            Err(why) => {
                self.report.push(Problem::new(Code::UnknownWorkflow, reference.span, why));
                return None;
            }
        };
        let own = self.report.name().to_owned();
        if source.name == own || self.above.contains(&source.name) {
            let message = format!("workflow `{}` would start itself without end", reference.value);
            self.report.push(
                Problem::new(Code::StartsItself, reference.span, message)
                    .help("a loop is a route of one workflow; its bound is `max_visits`"),
            );
            return None;
        }
        let above: Vec<String> = self.above.iter().cloned().chain([own]).collect();
        let compiled = compile_below(&source, files.as_ref(), &above);
        if let (Some(plan), Some(turns)) = (compiled.plan, compiled.turns) {
            return Some((plan, compiled.texts, turns));
        }
        let errors =
            compiled.diagnostics.iter().filter(|it| it.severity == Severity::Error).count();
        let s = if errors == 1 { "" } else { "s" };
        let message = format!("workflow `{}` does not check: {errors} error{s}", reference.value);
        self.report.push(
            Problem::new(Code::ChildDoesNotCheck, reference.span, message)
                .help(format!("see `botpipe check {}`", reference.value)),
        );
        None
    }
}

/// Every text in a JSON value, as a template at the value's place.
pub(super) fn texts_of(json: &Json, span: Span, found: &mut Vec<TextDecl>) {
    match json {
        Json::String(text) => found.push(TextDecl { text: text.clone(), span, file: None }),
        Json::Array(items) => items.iter().for_each(|item| texts_of(item, span, found)),
        Json::Object(fields) => fields.values().for_each(|field| texts_of(field, span, found)),
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}
