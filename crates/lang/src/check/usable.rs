//! Rule: every route can be taken by something, and every outcome has a route that is sure to be there.

use botpipe_kernel::plan::Visibility;

use crate::diagnostic::{Code, Problem, Report};
use crate::document::{CodeDecl, Document, StepDecl};

pub(super) fn check(document: &Document, report: &mut Report<'_>) {
    // Where nobody has a say in it, `outcomes` looks for the routes there must be.
    let known = document.steps.iter().filter(|step| step.routes_known && step.work.has_say());
    for step in known {
        check_step(step, report);
    }
}

fn check_step(step: &StepDecl, report: &mut Report<'_>) {
    let id = &step.id.value;
    let agent = step.work.asks_agent();
    let own = || step.routes.iter().filter(|route| !route.inherited);
    // A hook may pick any.
    for route in own().filter(|_| agent && !step.hooks.any()) {
        if route.visibility == Some(Visibility::Hidden) && route.when.is_none() {
            report.push(
                Problem::new(
                    Code::NeverTaken,
                    route.tag.span,
                    format!("nothing can take route `{}` of step `{id}`", route.tag.value),
                )
                .help("a hidden route is offered to no agent: give it a `when`, or another visibility"),
            );
        }
    }
    let sure = |visibility: Option<Visibility>| {
        !agent || visibility.unwrap_or_default() == Visibility::Provider
    };
    if !own().any(|route| route.when.is_none() && sure(route.visibility)) {
        let calls = step.work.code().is_some_and(CodeDecl::calls);
        let who = match (agent, calls) {
            (true, _) => "the agent",
            (false, true) => "the function",
            (false, false) => "the script",
        };
        report.push(
            Problem::new(
                Code::NothingOffered,
                step.id.span,
                format!("step `{id}` has no route that {who} may pick in every run"),
            )
            .help(
                "one of its own routes must have no `when` and be visible to the provider, also \
                 where nobody is there to be asked",
            ),
        );
    }
}
