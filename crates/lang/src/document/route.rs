//! Routes as authored, and those a step has when it names none.

use botpipe_kernel::ids::{ArtifactName, CheckName, RouteTag};
use botpipe_kernel::plan::{Target, Visibility};
use botpipe_kernel::run::Verdict;

use super::action::ActionDecl;
use super::code::CodeDecl;
use super::field::{Fields, choice, name, names, text_of, wrong_type};
use super::inherited::HELPERS;
use super::schema::SchemaDecl;
use super::state::AssignmentDecl;
use super::step::StepDecl;
use super::text::TextDecl;
use super::validate::makers;
use super::work::WorkDecl;
use super::{Document, Reader};
use crate::diagnostic::{Code, Problem};
use crate::source::{Span, Spanned};
use crate::yaml::{Entry, Node, Value};

/// A named exit of a step; what most have none of is boxed.
#[derive(Debug, Clone)]
pub(crate) struct RouteDecl {
    pub(crate) tag: Spanned<RouteTag>,
    pub(crate) action: ActionDecl,
    pub(crate) summary: Option<String>,
    pub(crate) required_writes: Option<Vec<Spanned<ArtifactName>>>,
    pub(crate) required_checks: Vec<Spanned<CheckName>>,
    pub(crate) payload: Option<Box<SchemaDecl>>,
    pub(crate) handoff: Option<Box<TextDecl>>,
    pub(crate) answer: Option<Box<(Span, SchemaDecl)>>,
    pub(crate) verdict: Option<(Span, Verdict)>,
    /// An expression.
    pub(crate) when: Option<Box<TextDecl>>,
    pub(crate) set: Vec<AssignmentDecl>,
    /// As written; filled in by `inherit`.
    pub(crate) visibility: Option<Visibility>,
    pub(crate) route_fields: Option<Box<SchemaDecl>>,
    /// Not the step's own.
    pub(crate) inherited: bool,
    pub(crate) on_taken: Option<Box<CodeDecl>>,
}

impl RouteDecl {
    pub(super) fn bare(tag: Spanned<RouteTag>, action: ActionDecl) -> Self {
        Self {
            tag,
            action,
            summary: None,
            required_writes: None,
            required_checks: Vec::new(),
            payload: None,
            handoff: None,
            answer: None,
            verdict: None,
            when: None,
            set: Vec::new(),
            visibility: None,
            route_fields: None,
            inherited: false,
            on_taken: None,
        }
    }
}

impl Reader<'_, '_> {
    pub(super) fn routes(&mut self, entry: &Entry, step: &mut StepDecl) {
        let Value::Map(entries) = &entry.value.value else {
            wrong_type(&entry.value, entry.key_span, "routes as a map", self.report);
            step.routes_known = false;
            return;
        };
        if entries.is_empty() {
            let message = "a step has at least one route";
            self.report.push(
                Problem::new(Code::NothingThere, entry.key_span, message)
                    .help("without `routes` a step has its default routes"),
            );
            step.routes_known = false;
        }
        // With room for what it inherits: a step has few routes.
        let helpers = if step.work.asks_agent() { HELPERS.len() } else { 0 };
        step.routes.reserve_exact(entries.len() + helpers);
        for route in entries {
            if route.value.as_text() == Some("disabled") {
                let tag = name(&route.key, route.key_span, self.report);
                step.inheritance.disabled.extend(tag);
                continue;
            }
            let decl = self.route(route);
            let known = decl.as_ref().is_some_and(|it| !matches!(it.action, ActionDecl::Unknown));
            step.routes_known &= known;
            step.routes.extend(decl);
        }
    }

    fn route(&mut self, entry: &Entry) -> Option<RouteDecl> {
        let tag = name(&entry.key, entry.key_span, self.report);
        let tag = tag.or_else(|| Some(Spanned::new("unnamed".parse().ok()?, entry.key_span)))?;
        match &entry.value.value {
            Value::Text(_) => {
                let target = self.target(&entry.value, entry.key_span);
                let action = target.map_or(ActionDecl::Unknown, ActionDecl::To);
                Some(RouteDecl::bare(tag, action))
            }
            Value::Map(_) => self.route_map(entry, tag),
            _ => {
                wrong_type(&entry.value, entry.key_span, "a target or a map", self.report);
                None
            }
        }
    }

    fn route_map(&mut self, entry: &Entry, tag: Spanned<RouteTag>) -> Option<RouteDecl> {
        let mut fields = Fields::of(&entry.value, "a route", entry.key_span, self.report)?;
        let action = self.action(&mut fields, entry);
        let mut route = RouteDecl::bare(tag, action);
        self.outcome_fields(&mut fields, &mut route);
        if let Some(writes) = fields.get("required_writes") {
            route.required_writes = Some(names(writes, "artifacts", self.report));
        }
        if let Some(checks) = fields.get("required_checks") {
            route.required_checks = names(checks, "checks", self.report);
        }
        if let Some(handoff) = fields.get("handoff") {
            route.handoff = Some(Box::new(self.prompt_text(&handoff.value, handoff.key_span)));
        }
        if let Some(when) = fields.get("when") {
            if matches!(when.value.value, Value::Text(_)) {
                route.when = self.inline_text(&when.value, when.key_span).map(Box::new);
            } else {
                wrong_type(&when.value, when.key_span, "text: an expression", self.report);
            }
        }
        if let Some(set) = fields.get("set") {
            route.set = self.assignments(set);
        }
        if let Some(hook) = fields.get("on_taken") {
            route.on_taken = self.code(hook, "a hook").map(Box::new);
        }
        fields.close(&[], self.report);
        Some(route)
    }

    pub(super) fn verdict(&mut self, entry: &Entry) -> Option<Verdict> {
        let words = [
            ("accepted", Verdict::Accepted),
            ("rejected", Verdict::Rejected),
            ("none", Verdict::None),
        ];
        choice(entry, &words, self.report)
    }

    pub(super) fn target(&mut self, node: &Node, place: Span) -> Option<Spanned<Target>> {
        let written = text_of(node, place, self.report)?;
        let target = match written.value {
            "SELF" => Target::SelfStep,
            "FINISH" => Target::Finish,
            "FAIL" => Target::Fail,
            "AWAIT_INPUT" => Target::AwaitInput,
            id => Target::Step(name(id, written.span, self.report)?.value),
        };
        Some(Spanned::new(target, written.span))
    }
}

/// Gives every step without `routes` those of its kind; one that validates may lack either of its two.
pub(super) fn fill_routes(document: &mut Document) {
    let nexts: Vec<Target> = (0..document.steps.len())
        .map(|n| match document.steps.get(n + 1) {
            Some(step) => Target::Step(step.id.value.clone()),
            None => Target::Finish,
        })
        .collect();
    let makers = makers(document);
    for (step, next) in document.steps.iter_mut().zip(nexts) {
        let maker = match &step.work {
            WorkDecl::Validate { validates, .. } => makers.get(&validates.value).cloned(),
            _ => None,
        };
        if let WorkDecl::Group(group) = &mut step.work {
            for branch in group.branches_mut() {
                fill(&mut branch.step, Target::Finish, None);
            }
        }
        fill(step, next, maker);
    }
}

fn fill(step: &mut StepDecl, next: Target, maker: Option<Target>) {
    if !step.routes_known {
        return;
    }
    let routes = match step.work {
        WorkDecl::Unknown => {
            step.routes_known &= !step.routes.is_empty();
            return;
        }
        WorkDecl::Validate { .. } => {
            let repair = maker.map(|maker| ("invalid", maker));
            [Some(("valid", next)), repair].into_iter().flatten().collect()
        }
        _ if !step.routes.is_empty() => return,
        WorkDecl::ProduceVerify { .. } => {
            vec![("accepted", next), ("needs_rework", Target::SelfStep)]
        }
        WorkDecl::Group(ref group) if group.fan_in.is_none() => {
            let others = group.outcomes().iter().filter(|tag| **tag != "done");
            let mut routes = vec![("done", next)];
            routes.extend(others.map(|tag| (*tag, Target::Fail)));
            routes
        }
        _ => vec![("done", next)],
    };
    let place = step.id.span;
    for (tag, target) in routes {
        let written = |route: &RouteDecl| route.tag.value.as_str() == tag;
        let Ok(tag) = tag.parse() else { continue };
        if !step.routes.iter().any(written) {
            let action = ActionDecl::To(Spanned::new(target, place));
            step.routes.push(RouteDecl::bare(Spanned::new(tag, place), action));
        }
    }
    oblige(step);
}

/// The engine itself writes the feedback of a step that validates, and only when it is `invalid`.
fn oblige(step: &mut StepDecl) {
    let WorkDecl::Validate { feedback, .. } = &step.work else { return };
    for route in &mut step.routes {
        let writes =
            if route.tag.value.as_str() == "invalid" { feedback.to_vec() } else { Vec::new() };
        route.required_writes.get_or_insert(writes);
    }
}
