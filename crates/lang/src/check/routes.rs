//! Rule: what a route says fits what it does.

use botpipe_kernel::plan::Target;

use crate::diagnostic::{Code, Problem, Report};
use crate::document::{ActionDecl, Document, RouteDecl, StepDecl};

pub(super) fn check(document: &Document, report: &mut Report<'_>) {
    for step in &document.steps {
        check_step(step, report);
    }
    for route in &document.global.routes {
        leads(route, report);
    }
}

pub(super) fn check_step(step: &StepDecl, report: &mut Report<'_>) {
    for route in step.routes.iter().filter(|route| !route.inherited) {
        advances(step, route, report);
        leads(route, report);
    }
}

fn advances(step: &StepDecl, route: &RouteDecl, report: &mut Report<'_>) {
    if let ActionDecl::CompleteAndAdvance { key, .. } = &route.action
        && step.scope.is_none()
    {
        report.push(
            Problem::new(
                Code::NotScoped,
                *key,
                format!("step `{}` works on no item, so there is none to complete", step.id.value),
            )
            .help("give the step a `scope`: the worklist it goes through"),
        );
    }
}

fn leads(route: &RouteDecl, report: &mut Report<'_>) {
    // What an unreadable action leads to is not known.
    if matches!(route.action, ActionDecl::Unknown) {
        return;
    }
    let leads = |wanted: fn(&Target) -> bool| route.action.targets().any(|it| wanted(&it.value));
    if let Some((span, _)) = &route.answer
        && !leads(|target| matches!(target, Target::AwaitInput))
    {
        let message = format!("route `{}` asks nobody, so nobody answers", route.tag.value);
        report.push(
            Problem::new(Code::AnswerNotAsked, *span, message)
                .help("`answer` belongs to routes to AWAIT_INPUT"),
        );
    }
    if let Some((span, _)) = route.verdict
        && !leads(|target| matches!(target, Target::Finish | Target::Fail))
    {
        let message = format!("route `{}` does not end the run", route.tag.value);
        report.push(
            Problem::new(Code::VerdictNotEnding, span, message)
                .help("`verdict` belongs to routes to FINISH or FAIL"),
        );
    }
}
