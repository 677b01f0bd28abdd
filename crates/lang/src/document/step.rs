//! A step: what all kinds have in common.

use botpipe_kernel::ids::{ArtifactName, StepId, WorklistName};
use botpipe_kernel::plan::{Budget, Clocks, OnInterrupt, OnLimit, Policy, Step, TurnProvider};

use super::Reader;
use super::code::{CodeDecl, HooksDecl};
use super::field::{Fields, budget, choice, count, duration, list, name, names, text, wrong_type};
use super::inherited::Inheritance;
use super::policy::LimitsEntry;
use super::route::RouteDecl;
use super::schema::SchemaDecl;
use super::state::{AssignmentDecl, StateDecl};
use super::work::WorkDecl;
use crate::diagnostic::{Code, Problem};
use crate::source::Spanned;
use crate::yaml::{Entry, Node, Value};

/// A step as authored, defaults filled in.
#[derive(Debug)]
pub(crate) struct StepDecl {
    pub(crate) id: Spanned<StepId>,
    pub(crate) title: Option<String>,
    pub(crate) work: WorkDecl,
    pub(crate) scope: Option<Spanned<WorklistName>>,
    pub(crate) requires: Vec<Spanned<ArtifactName>>,
    pub(crate) reads: Vec<Spanned<ArtifactName>>,
    pub(crate) routes: Vec<RouteDecl>,
    /// Whether `routes` (or the key itself) were read whole.
    pub(crate) routes_known: bool,
    pub(crate) max_visits: u32,
    pub(crate) max_attempts: u32,
    pub(crate) on_interrupt: OnInterrupt,
    pub(crate) on_limit: Option<OnLimit>,
    pub(crate) clocks: Clocks,
    pub(crate) policy: Option<Box<Policy>>,
    pub(crate) budget: Budget,
    pub(crate) provider: Option<Box<TurnProvider>>,
    pub(crate) step_state: StateDecl,
    pub(crate) item_state: StateDecl,
    pub(super) inheritance: Inheritance,
    /// Schema of the payload on routes that have none of their own.
    pub(crate) control_schema: Option<Box<SchemaDecl>>,
    pub(crate) protect: Vec<String>,
    /// Where the payload of its outcome is put.
    pub(crate) into: Option<Box<AssignmentDecl>>,
    pub(crate) hooks: HooksDecl,
    /// For a branch: what its templates know beside what those of other steps do.
    pub(crate) branch: Option<Box<InBranch>>,
}

/// What a branch knows of the step that starts it.
#[derive(Debug, Clone)]
pub(crate) struct InBranch {
    /// Whether there is one branch for each item of a list.
    pub(crate) of_items: bool,
    /// The worklist whose current item the starting step works on.
    pub(crate) scope: Option<Spanned<WorklistName>>,
}

/// Words that are a target, or a folder of the workflow, and so no step's id.
const RESERVED: [&str; 5] = ["SELF", "FINISH", "FAIL", "AWAIT_INPUT", "runs"];

impl StepDecl {
    /// Whether its work, a hook or a route calls a function, which may ask agents.
    pub(crate) fn calls(&self) -> bool {
        let hooks = self.hooks.early().chain(self.hooks.late());
        let of_routes = self.routes.iter().filter_map(|route| route.on_taken.as_deref());
        self.work.code().into_iter().chain(hooks).chain(of_routes).any(CodeDecl::calls)
    }
}

impl Reader<'_, '_> {
    /// `steps:` at the top.
    pub(super) fn steps(&mut self, entry: &Entry) {
        let Value::List(items) = &entry.value.value else {
            wrong_type(&entry.value, entry.key_span, "a list of steps", self.report);
            self.document.steps_known = false;
            return;
        };
        if items.is_empty() {
            let message = "a workflow has at least one step";
            self.report.push(Problem::new(Code::NothingThere, entry.key_span, message));
        }
        self.document.steps.reserve(items.len());
        for item in items {
            match self.step(item) {
                Some(step) => self.document.steps.push(step),
                None => self.document.steps_known = false,
            }
        }
    }

    fn step(&mut self, node: &Node) -> Option<StepDecl> {
        let mut fields = Fields::of(node, "a step", node.span, self.report)?;
        let id = self.step_id(&mut fields);
        self.rest_of_step(node, fields, id, None)
    }

    /// A step whose id is known, or was reported.
    pub(super) fn rest_of_step(
        &mut self,
        node: &Node,
        mut fields: Fields<'_>,
        id: Option<Spanned<StepId>>,
        branch: Option<InBranch>,
    ) -> Option<StepDecl> {
        // Without an id the rest is read all the same: its problems are worth telling.
        let known = id.is_some();
        let id = id.or_else(|| Some(Spanned::new("unnamed".parse().ok()?, node.span)))?;
        let title = fields
            .get("title")
            .and_then(|title| text(title, self.report))
            .map(|title| title.value.to_owned());
        let scope = fields.get("scope").and_then(|scope| {
            let scope = text(scope, self.report)?;
            name(scope.value, scope.span, self.report)
        });
        let work = self.work(&mut fields, &id, scope.as_ref());
        let mut artifacts = |key, report: &mut _| {
            fields.get(key).map(|entry| names(entry, "artifacts", report)).unwrap_or_default()
        };
        let mut requires = artifacts("requires", self.report);
        match &work {
            WorkDecl::Validate { validates, .. } => requires.push(validates.clone()),
            WorkDecl::Ask { shows, .. } => requires.extend(shows.iter().cloned()),
            _ => {}
        }
        let reads = artifacts("reads", self.report);
        let routes = fields.get("routes");
        let mut step = StepDecl {
            id,
            title,
            work,
            scope,
            requires,
            reads,
            routes: Vec::new(),
            routes_known: true,
            max_visits: Step::DEFAULT_MAX_VISITS,
            max_attempts: Step::DEFAULT_MAX_ATTEMPTS,
            on_interrupt: OnInterrupt::Resume,
            on_limit: None,
            clocks: Clocks::default(),
            policy: None,
            budget: Budget::default(),
            provider: None,
            branch: branch.map(Box::new),
            step_state: self.state(fields.get("step_state")),
            item_state: self.state(fields.get("item_state")),
            inheritance: Inheritance::default(),
            into: None,
            hooks: HooksDecl::default(),
            control_schema: None,
            protect: Vec::new(),
        };
        step.into = self.into(fields.get("into")).map(Box::new);
        let has_two = matches!(step.work, WorkDecl::ProduceVerify { .. } | WorkDecl::Unknown);
        step.hooks = self.hooks(&mut fields, has_two);
        if let Some(entry) = fields.get("control_schema") {
            step.control_schema = self.control_schema(entry, &step).map(Box::new);
        }
        if let Some(entry) = fields.get("protect") {
            step.protect = self.protect(entry);
        }
        if let Some(entry) = fields.get("control_routes") {
            self.control_routes(entry, &mut step);
        }
        let policy = fields.get("policy");
        let mut said = policy.and_then(|entry| self.policy(entry));
        if let Some(entry) = fields.get("limits") {
            let limits = LimitsEntry::read(entry, self.report);
            limits.into_policy(&mut said, policy, self.report);
        }
        step.policy = said.map(Box::new);
        if let Some(routes) = routes {
            self.routes(routes, &mut step);
        }
        self.bounds(&mut fields, &mut step);
        if let Some(entry) = fields.get("provider") {
            step.provider = self.turn_provider(entry).map(Box::new);
        }
        if let Some(entry) = fields.get("budget") {
            step.budget = self.budget_of(entry, &step);
        }
        fields.close(&[], self.report);
        known.then_some(step)
    }

    pub(super) fn step_id(&mut self, fields: &mut Fields<'_>) -> Option<Spanned<StepId>> {
        let written = text(fields.need("id", self.report)?, self.report)?;
        if RESERVED.contains(&written.value) {
            let message = format!("`{}` cannot be a step's id", written.value);
            let help = if written.value == "runs" {
                "a step's id is the name of its folder, and `runs` holds the runs"
            } else {
                "the word is a target of routes"
            };
            self.report.push(Problem::new(Code::ReservedName, written.span, message).help(help));
        }
        let id: Spanned<StepId> = name(written.value, written.span, self.report)?;
        let word = id.value.as_str();
        let of_step = self.document.steps.named(word).map(|step| &step.id);
        if let Some(first) = of_step.or_else(|| self.document.branch_ids.named(word)) {
            let first = first.span;
            self.report.push(
                Problem::new(
                    Code::DuplicateName,
                    id.span,
                    format!("step `{}` is there twice", id.value),
                )
                .also(first, "first here"),
            );
        }
        Some(id)
    }

    /// How often, how long, and what after an interruption.
    fn bounds(&mut self, fields: &mut Fields<'_>, step: &mut StepDecl) {
        if let Some(entry) = fields.get("max_visits") {
            step.max_visits = count(entry, 100_000, self.report).unwrap_or(step.max_visits);
        }
        if let Some(retry) = fields.get("retry")
            && let Some(mut fields) = Fields::of(&retry.value, "retry", retry.key_span, self.report)
        {
            if let Some(entry) = fields.get("max_attempts") {
                step.max_attempts = count(entry, 100, self.report).unwrap_or(step.max_attempts);
            }
            fields.close(&[], self.report);
        }
        if let Some(entry) = fields.get("on_interrupt") {
            let words = [
                ("resume", OnInterrupt::Resume),
                ("restart", OnInterrupt::Restart),
                ("ask", OnInterrupt::Ask),
            ];
            step.on_interrupt = choice(entry, &words, self.report).unwrap_or(OnInterrupt::Resume);
        }
        if let Some(entry) = fields.get("on_limit") {
            let words = [
                ("wait", OnLimit::Wait),
                ("pause", OnLimit::Pause),
                ("fail", OnLimit::Fail),
                ("fallback", OnLimit::Fallback),
            ];
            step.on_limit = choice(entry, &words, self.report);
        }
        let mut clock =
            |key, report: &mut _| fields.get(key).and_then(|entry| duration(entry, report));
        step.clocks.wall_ms = clock("timeout", self.report);
        step.clocks.idle_ms = clock("idle_timeout", self.report);
    }

    /// `budget:` of a step; one that asks no agent, nor can have one asked, spends nothing.
    fn budget_of(&mut self, entry: &Entry, step: &StepDecl) -> Budget {
        let is_code = matches!(step.work, WorkDecl::Run { .. } | WorkDecl::Validate { .. });
        if is_code && !step.calls() {
            let message = "a step that asks no agent has nothing to spend";
            self.report.push(
                Problem::new(Code::WrongKind, entry.key_span, message)
                    .help("remove it; `timeout` bounds how long a command may run"),
            );
        }
        budget(entry, self.report)
    }

    /// The items of a list of one-key maps; others are reported.
    pub(super) fn one_key_maps<'n>(&mut self, entry: &'n Entry, of: &str) -> Vec<&'n Entry> {
        let mut found = Vec::new();
        for item in list(entry, of, self.report) {
            match &item.value {
                Value::Map(entries) if entries.len() == 1 => found.push(&entries[0]),
                _ => {
                    let expected = format!("a map of one name, as in a list of {of}");
                    wrong_type(item, item.span, &expected, self.report);
                }
            }
        }
        found
    }
}
