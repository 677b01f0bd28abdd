//! Rule: what a step requires was written before, on every way to it.

use botpipe_kernel::ids::ArtifactName;
use botpipe_kernel::plan::Target;

use super::flow::is_whole;
use super::written::{self, Written, ensured};
use crate::diagnostic::{Code, Problem, Report};
use crate::document::{ChildrenDecl, Document, OutputFrom, OverDecl, StepDecl, WorkDecl};
use crate::source::Spanned;

pub(super) fn check(document: &Document, report: &mut Report<'_>) {
    if !is_whole(document) || !document.artifacts_known {
        return;
    }
    let at_entry = written::before(document);
    at_the_end(document, &at_entry, report);
    for (step, before) in document.steps.iter().zip(at_entry) {
        // A step that cannot be reached is reported as that.
        let Some(before) = before else { continue };
        for name in &step.requires {
            demand(document, step, "requires", name, &before, report);
        }
        if let Some(source) = worklist_source(document, step) {
            demand(document, step, "works on the items of", &source, &before, report);
        }
        if let WorkDecl::Group(group) = &step.work {
            let of_group = |name, report: &mut Report<'_>| {
                demand(document, step, "requires", name, &before, report);
            };
            if let ChildrenDecl::Items { over: OverDecl::Artifact { name, .. }, .. } =
                &group.children
            {
                demand(document, step, "fans out over", name, &before, report);
            }
            for branch in group.branches() {
                let turns = branch.step.work.turns().flat_map(|turn| &turn.requires);
                for name in branch.step.requires.iter().chain(turns) {
                    // A branch's verifier reads what its producer wrote.
                    if !branch.step.work.writes().any(|write| write.value == name.value) {
                        of_group(name, report);
                    }
                }
            }
            for name in group.fan_in.iter().flat_map(|turn| &turn.requires) {
                if !group
                    .branches()
                    .flat_map(|it| it.step.work.writes())
                    .any(|it| it.value == name.value)
                {
                    of_group(name, report);
                }
            }
        }
        if let WorkDecl::ProduceVerify { producer, verifier, .. } = &step.work {
            let mut between = before.clone();
            between.add(document, producer.writes.iter().map(|name| &name.value));
            for name in &verifier.requires {
                demand(document, step, "requires", name, &between, report);
            }
        }
    }
}

/// The artifact a scoped step reads its items from, placed where the step says so.
fn worklist_source(document: &Document, step: &StepDecl) -> Option<Spanned<ArtifactName>> {
    let scope = step.scope.as_ref()?;
    let worklist = document.worklists.iter().find(|it| it.name.value == scope.value)?;
    Some(Spanned::new(worklist.artifact()?.value.clone(), scope.span))
}

/// What a run gives back is there on every way to FINISH.
fn at_the_end(document: &Document, at_entry: &[Option<Written>], report: &mut Report<'_>) {
    let output = document.output.as_ref().map(|output| &output.from);
    let Some(OutputFrom::Artifact(name)) = output else { return };
    if document.artifact(&name.value).is_none() {
        return;
    }
    for (step, before) in document.steps.iter().zip(at_entry) {
        let Some(before) = before else { continue };
        for route in &step.routes {
            let finishes = route.action.targets().any(|target| target.value == Target::Finish);
            let there = before.has(document, &name.value)
                || ensured(document, step, route).contains(&&name.value);
            if finishes && !there {
                report.push(
                    Problem::new(
                        Code::NeverWritten,
                        name.span,
                        format!("a run may finish without `{}`", name.value),
                    )
                    .also(route.tag.span, "by this route")
                    .help("let every way to FINISH pass a route that requires it"),
                );
            }
        }
    }
}

fn demand(
    document: &Document,
    step: &StepDecl,
    does: &str,
    name: &Spanned<ArtifactName>,
    before: &Written,
    report: &mut Report<'_>,
) {
    let (name, span) = (&name.value, name.span);
    if before.has(document, name) || document.artifact(name).is_none() {
        return;
    }
    let id = &step.id.value;
    let writer =
        document.steps.iter().find(|step| step.work.writes().any(|write| &write.value == name));
    let problem = match writer {
        None => Problem::new(
            Code::NeverWritten,
            span,
            format!("step `{id}` {does} `{name}`, which no other step writes"),
        )
        .help("add it to the writes of an earlier step"),
        Some(writer) => Problem::new(
            Code::NeverWritten,
            span,
            format!("step `{id}` {does} `{name}`, which may not be there yet"),
        )
        .also(writer.id.span, format!("`{}` writes it", writer.id.value))
        .help(format!(
            "let every way to `{id}` pass a step that writes `{name}`, by a route that requires it \
             (`required: true` on the artifact, or `required_writes` on the route)"
        )),
    };
    report.push(problem);
}
