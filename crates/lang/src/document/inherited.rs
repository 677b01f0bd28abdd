//! Routes that a step has without saying so: the helpers, and the workflow's `global_routes`.

use botpipe_kernel::ids::RouteTag;
use botpipe_kernel::plan::{Target, Visibility};

use super::action::ActionDecl;
use super::field::{Fields, choice, name, text, wrong_type};
use super::route::RouteDecl;
use super::step::StepDecl;
use super::work::WorkDecl;
use super::{Document, Reader};
use crate::diagnostic::{Code, Problem, Report};
use crate::source::Spanned;
use crate::yaml::{Entry, Value};

/// The helpers: tag, where it leads, and when it is to be picked.
pub(super) const HELPERS: [(&str, Target, &str); 3] = [
    ("question", Target::AwaitInput, "only a person can say how to go on"),
    ("blocked", Target::Fail, "something outside keeps the work from being done"),
    ("failed", Target::Fail, "the work cannot be done"),
];

/// What a step says of the routes it inherits.
#[derive(Debug, Default)]
pub(crate) struct Inheritance {
    /// Tags it does without.
    pub(super) disabled: Vec<Spanned<RouteTag>>,
    /// Who is offered a helper.
    pub(super) control: Vec<(&'static str, Control)>,
}

/// When a helper is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Control {
    /// Unless the run goes on without people.
    Auto,
    Always,
    Never,
}

/// `global_routes:` at the top.
#[derive(Debug, Default)]
pub(crate) struct GlobalRoutes {
    pub(crate) routes: Vec<RouteDecl>,
    disabled: Vec<Spanned<RouteTag>>,
    /// Whether some of it was reported.
    broken: bool,
}

impl Reader<'_, '_> {
    /// `global_routes:` at the top.
    pub(super) fn global_routes(&mut self, entry: &Entry) {
        let Value::Map(entries) = &entry.value.value else {
            wrong_type(&entry.value, entry.key_span, "routes as a map", self.report);
            self.document.global.broken = true;
            return;
        };
        for entry in entries {
            let Some(tag) = name(&entry.key, entry.key_span, self.report) else {
                self.document.global.broken = true;
                continue;
            };
            if entry.value.as_text() == Some("disabled") {
                self.document.global.disabled.push(tag);
                continue;
            }
            let route = self.global_route(entry, tag);
            self.document.global.broken |= route.is_none();
            self.document.global.routes.extend(route);
        }
        let helper = |tag: &RouteTag| HELPERS.iter().any(|(name, ..)| *name == tag.as_str());
        let Document { global, .. } = &self.document;
        for tag in global.disabled.iter().filter(|tag| !helper(&tag.value)) {
            self.report.push(nothing_to_disable(tag, "no step has it without saying so"));
        }
    }

    fn global_route(&mut self, entry: &Entry, tag: Spanned<RouteTag>) -> Option<RouteDecl> {
        let mut route = match &entry.value.value {
            Value::Text(_) => {
                let target = self.target(&entry.value, entry.key_span)?;
                RouteDecl::bare(tag, ActionDecl::To(target))
            }
            Value::Map(_) => {
                let mut fields =
                    Fields::of(&entry.value, "a global route", entry.key_span, self.report)?;
                let to = fields.need("to", self.report);
                let target = to.and_then(|to| self.target(&to.value, to.key_span));
                let mut route =
                    RouteDecl::bare(tag, target.map_or(ActionDecl::Unknown, ActionDecl::To));
                self.outcome_fields(&mut fields, &mut route);
                fields.close(&[], self.report);
                route
            }
            _ => {
                wrong_type(&entry.value, entry.key_span, "a target or a map", self.report);
                return None;
            }
        };
        route.inherited = true;
        route.required_writes = Some(Vec::new());
        (!matches!(route.action, ActionDecl::Unknown)).then_some(route)
    }

    /// `control_routes:` of a step.
    pub(super) fn control_routes(&mut self, entry: &Entry, step: &mut StepDecl) {
        let fields = Fields::of(&entry.value, "`control_routes`", entry.key_span, self.report);
        let Some(mut fields) = fields else { return };
        if !step.work.asks_agent() && !matches!(step.work, WorkDecl::Unknown) {
            self.report.push(
                Problem::new(
                    Code::WrongKind,
                    entry.key_span,
                    "`control_routes` belongs to steps where an agent picks the route",
                )
                .help("remove it; a script has the routes it declares"),
            );
        }
        let words =
            [("auto", Control::Auto), ("always", Control::Always), ("never", Control::Never)];
        for (tag, ..) in HELPERS {
            let written = fields.get(tag);
            let said = written.and_then(|entry| choice(entry, &words, self.report));
            step.inheritance.control.extend(said.map(|said| (tag, said)));
        }
        fields.close(&[], self.report);
    }

    /// `visibility:` of a route.
    pub(super) fn visibility(&mut self, fields: &mut Fields<'_>) -> Option<Visibility> {
        let words = [
            ("provider", Visibility::Provider),
            ("hidden", Visibility::Hidden),
            ("interactive_only", Visibility::InteractiveOnly),
        ];
        choice(fields.get("visibility")?, &words, self.report)
    }

    /// What every route may say of its outcome.
    pub(super) fn outcome_fields(&mut self, fields: &mut Fields<'_>, route: &mut RouteDecl) {
        if let Some(summary) = fields.get("summary") {
            route.summary = text(summary, self.report).map(|it| it.value.trim_end().to_owned());
        }
        if let Some(payload) = fields.get("payload") {
            route.payload = self.schema(payload).map(Box::new);
        }
        if let Some(schema) = fields.get("route_fields") {
            route.route_fields = self.object_schema(schema).map(Box::new);
        }
        if let Some(answer) = fields.get("answer") {
            route.answer = self.schema(answer).map(|schema| Box::new((answer.key_span, schema)));
        }
        if let Some(verdict) = fields.get("verdict") {
            route.verdict = self.verdict(verdict).map(|value| (verdict.key_span, value));
        }
        route.visibility = self.visibility(fields);
    }
}

fn nothing_to_disable(tag: &Spanned<RouteTag>, why: &str) -> Problem {
    let message = format!("there is no route `{}` to disable: {why}", tag.value);
    Problem::new(Code::NothingToDisable, tag.span, message)
}

/// Gives every step the routes it inherits.
pub(super) fn inherit(document: &mut Document, report: &mut Report<'_>) {
    for step in document.steps.iter_mut() {
        if let WorkDecl::Group(group) = &mut step.work {
            // A branch leads to no step, so it inherits none of the workflow's own.
            let GlobalRoutes { disabled, broken, .. } = &document.global;
            let helpers =
                GlobalRoutes { routes: Vec::new(), disabled: disabled.clone(), broken: *broken };
            for branch in group.branches_mut() {
                inherit_of(&helpers, &mut branch.step, report);
            }
        }
        inherit_of(&document.global, step, report);
    }
}

fn inherit_of(global: &GlobalRoutes, step: &mut StepDecl, report: &mut Report<'_>) {
    let GlobalRoutes { routes: global, disabled, broken } = global;
    if step.routes_known && !matches!(step.work, WorkDecl::Unknown) {
        step.routes_known &= !broken;
        // What a step comes to that has no say in it is known, so it inherits nothing.
        let mut candidates = if step.work.has_say() { global.clone() } else { Vec::new() };
        if step.work.asks_agent() {
            let place = step.id.span;
            for (tag, target, summary) in HELPERS {
                let gone = disabled.iter().any(|it| it.value.as_str() == tag)
                    || global.iter().any(|it| it.tag.value.as_str() == tag);
                let Some(parsed) = tag.parse().ok().filter(|_| !gone) else { continue };
                let action = ActionDecl::To(Spanned::new(target, place));
                let mut helper = RouteDecl::bare(Spanned::new(parsed, place), action);
                helper.summary = Some(summary.to_owned());
                helper.required_writes = Some(Vec::new());
                helper.inherited = true;
                candidates.push(helper);
            }
        }
        for tag in &step.inheritance.disabled {
            if !broken && candidates.iter().all(|route| route.tag.value != tag.value) {
                report.push(nothing_to_disable(tag, "the step inherits none of that name"));
            }
        }
        let own = step.routes.len();
        step.routes.reserve_exact(candidates.len());
        for candidate in candidates {
            let tag = &candidate.tag.value;
            let declared = step.routes[..own].iter().any(|route| &route.tag.value == tag);
            let disabled = step.inheritance.disabled.iter().any(|it| &it.value == tag);
            let never = step.control(tag) == Some(Control::Never);
            if !declared && !disabled && !never {
                step.routes.push(candidate);
            }
        }
        for n in 0..step.routes.len() {
            let of_control = step.control(&step.routes[n].tag.value).map(|control| match control {
                Control::Auto => Visibility::InteractiveOnly,
                Control::Always => Visibility::Provider,
                Control::Never => Visibility::Hidden,
            });
            let route = &mut step.routes[n];
            // A question takes a person, so it is `auto` by itself.
            let asks = route.tag.value.as_str() == "question" && step.work.asks_agent();
            let usual = if asks { Visibility::InteractiveOnly } else { Visibility::Provider };
            route.visibility = Some(route.visibility.or(of_control).unwrap_or(usual));
        }
    }
}

impl StepDecl {
    fn control(&self, tag: &RouteTag) -> Option<Control> {
        let said = self.inheritance.control.iter().find(|(name, _)| *name == tag.as_str());
        said.map(|(_, control)| *control)
    }
}
