//! Rule: what a route says fits what it does.

use botpipe_kernel::plan::Target;

use crate::diagnostic::{Code, Problem, Report};
use crate::document::{ActionDecl, Document, Form, RouteDecl, SourceDecl, StepDecl};

pub(super) fn check(document: &Document, report: &mut Report<'_>) {
    for step in &document.steps {
        check_step(document, step, report);
    }
    for route in &document.global.routes {
        leads(route, report);
    }
}

pub(super) fn check_step(document: &Document, step: &StepDecl, report: &mut Report<'_>) {
    for route in step.routes.iter().filter(|route| !route.inherited) {
        advances(document, step, route, report);
        leads(route, report);
    }
}

fn advances(document: &Document, step: &StepDecl, route: &RouteDecl, report: &mut Report<'_>) {
    let ActionDecl::Items { key, form, next, exhausted } = &route.action else { return };
    let Some(scope) = &step.scope else {
        report.push(
            Problem::new(
                Code::NotScoped,
                *key,
                format!(
                    "step `{}` works on no item, so `{}` means nothing",
                    step.id.value,
                    form.key()
                ),
            )
            .help("give the step a `scope`: the worklist it goes through"),
        );
        return;
    };
    if let Some(last) = exhausted
        && matches!(last.value, Target::SelfStep | Target::AwaitInput)
    {
        report.push(
            Problem::new(
                Code::RouteForm,
                last.span,
                "without an item there is no step to come back to",
            )
            .help("after the last item a route leads to another step, FINISH or FAIL"),
        );
    }
    if *form != Form::Refresh {
        return;
    }
    if !matches!(next.value, Target::Step(_) | Target::SelfStep) {
        report.push(
            Problem::new(
                Code::RouteForm,
                next.span,
                "items that are read again are worked on again",
            )
            .help("`refresh` leads to a step or SELF; where no item is open, `exhausted` decides"),
        );
    }
    let list = document.worklists.iter().find(|list| list.name.value == scope.value);
    if let Some(SourceDecl::Param(param)) = list.map(|list| &list.from) {
        report.push(
            Problem::new(
                Code::WorklistSource,
                *key,
                "a parameter stays the same, however often it is read",
            )
            .also(param.span, "the items come from here"),
        );
    }
}

fn leads(route: &RouteDecl, report: &mut Report<'_>) {
    // What an unreadable action leads to is not known.
    if matches!(route.action, ActionDecl::Unknown) {
        return;
    }
    let leads = |wanted: fn(&Target) -> bool| route.action.targets().any(|it| wanted(&it.value));
    if let Some((span, _)) = route.answer.as_deref()
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
