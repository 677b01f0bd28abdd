//! Rule: every artifact, worklist and check named exists.

use botpipe_kernel::ids::ArtifactName;
use botpipe_kernel::plan::{Continuity, Format};

use crate::diagnostic::{Code, Problem, Report};
use crate::document::{ContinuityDecl, Document, OutputFrom, StepDecl, WorkDecl};
use crate::source::Spanned;

pub(super) fn check(document: &Document, report: &mut Report<'_>) {
    for worklist in &document.worklists {
        let Some(from) = worklist.artifact() else { continue };
        known_artifact(document, from, report);
        if let Some((format, _)) =
            document.artifact(&from.value).and_then(|artifact| artifact.file.as_ref())
            && *format != Format::Json
        {
            let message = format!(
                "worklist `{}` is read from JSON, `{}` is {}",
                worklist.name.value,
                from.value,
                format.as_str()
            );
            report.push(Problem::new(Code::WorklistNotJson, from.span, message));
        }
    }
    if let Some(OutputFrom::Artifact(name)) = document.output.as_ref().map(|output| &output.from) {
        known_artifact(document, name, report);
        let found = document.artifact(&name.value);
        if let Some((format, _)) = found.and_then(|artifact| artifact.file.as_ref())
            && *format != Format::Json
        {
            let message = format!("an output is JSON, `{}` is {}", name.value, format.as_str());
            report.push(Problem::new(Code::WorklistNotJson, name.span, message));
        }
        if found.is_some_and(super::paths::names_item) {
            let message =
                format!("the path of `{}` names an item, and a run's end has none", name.value);
            report.push(Problem::new(Code::NoItem, name.span, message));
        }
    }
    for step in &document.steps {
        step_names(document, step, report);
    }
}

pub(super) fn step_names(document: &Document, step: &StepDecl, report: &mut Report<'_>) {
    let turns = step.work.turns().flat_map(|turn| turn.requires.iter().chain(&turn.reads));
    for name in step.requires.iter().chain(&step.reads).chain(turns).chain(step.work.writes()) {
        known_artifact(document, name, report);
    }
    if let Some(scope) = &step.scope {
        let known = document.worklists.iter().any(|worklist| worklist.name.value == scope.value);
        if !known && document.worklists_known {
            let names = document.worklists.iter().map(|worklist| worklist.name.value.as_str());
            report.push(
                Problem::new(
                    Code::UnknownWorklist,
                    scope.span,
                    format!("there is no worklist `{}`", scope.value),
                )
                .suggest(scope.value.as_str(), names),
            );
        }
    }
    for turn in step.work.turns() {
        let of_item =
            matches!(turn.session.value.continuity, ContinuityDecl::Plain(Continuity::WorkItem));
        if of_item && step.scope.is_none() {
            report.push(
                Problem::new(
                    Code::SessionScope,
                    turn.session.span,
                    format!("step `{}` has no items to keep a session for", step.id.value),
                )
                .help("give the step a `scope`, or choose `run` or `fresh`"),
            );
        }
    }
    if !matches!(step.work, WorkDecl::Unknown) {
        route_names(document, step, report);
    }
}

fn route_names(document: &Document, step: &StepDecl, report: &mut Report<'_>) {
    for route in &step.routes {
        for check in &route.required_checks {
            let checks = || step.work.checks().iter().map(|check| check.name.value.as_str());
            if !checks().any(|name| name == check.value.as_str()) {
                report.push(
                    Problem::new(
                        Code::UnknownCheck,
                        check.span,
                        format!("step `{}` has no check `{}`", step.id.value, check.value),
                    )
                    .suggest(check.value.as_str(), checks().collect::<Vec<_>>()),
                );
            }
        }
        for name in route.required_writes.iter().flatten() {
            if step.work.writes().any(|write| write.value == name.value) {
                continue;
            }
            if document.artifact(&name.value).is_none() {
                known_artifact(document, name, report);
                continue;
            }
            report.push(
                Problem::new(
                    Code::NotWrittenHere,
                    name.span,
                    format!("step `{}` does not write `{}`", step.id.value, name.value),
                )
                .help("a route requires what its own step writes; add it to the step's writes"),
            );
        }
    }
}

pub(super) fn known_artifact(
    document: &Document,
    name: &Spanned<ArtifactName>,
    report: &mut Report<'_>,
) {
    if document.artifact(&name.value).is_some() || !document.artifacts_known {
        return;
    }
    let names: Vec<&str> =
        document.artifacts.iter().map(|artifact| artifact.name.value.as_str()).collect();
    report.push(
        Problem::new(
            Code::UnknownArtifact,
            name.span,
            format!("there is no artifact `{}`", name.value),
        )
        .suggest(name.value.as_str(), names),
    );
}
