//! Rule: steps with children lead on whatever these come to, and the children can run side by side.

use std::collections::BTreeMap;

use botpipe_kernel::ids::ArtifactName;
use botpipe_kernel::plan::{Format, Group, Isolation, OnInterrupt, Step, Target, WaitFor, Work};
use serde_json::Value as Json;

use super::names::{known_artifact, step_names};
use super::paths::names_branch;
use crate::diagnostic::{Code, Problem, Report};
use crate::document::{
    ActionDecl, ArtifactDecl, BranchDecl, ChildDecl, ChildrenDecl, Document, GroupDecl, OverDecl,
    StepDecl, WaitDecl, WorkDecl,
};
use crate::source::{Span, Spanned};

pub(super) fn check(document: &Document, report: &mut Report<'_>) {
    for step in &document.steps {
        if let WorkDecl::Group(group) = &step.work {
            one(document, step, group, report);
        }
    }
}

fn one(document: &Document, step: &StepDecl, group: &GroupDecl, report: &mut Report<'_>) {
    if group.fan_in.is_none() && step.routes_known {
        outcomes(step, group, report);
    }
    for branch in group.branches() {
        check_branch(document, branch, group.isolation, report);
    }
    match &group.children {
        ChildrenDecl::Workflow(child) => {
            given(child, report);
            reached(child, report);
        }
        ChildrenDecl::Branches(branches) => side_by_side(document, branches, report),
        ChildrenDecl::Items { over, branch } => {
            if let OverDecl::Artifact { name, .. } = over {
                known_artifact(document, name, report);
                let artifact = document.artifact(&name.value);
                let format = artifact.and_then(|it| it.file.as_ref()).map(|(format, _)| *format);
                if format.is_some_and(|format| format != Format::Json) {
                    let message = format!("items are read from JSON, `{}` is not", name.value);
                    report.push(Problem::new(Code::WorklistNotJson, name.span, message));
                }
            }
            if let Some(branch) = branch {
                own_files(document, branch, report);
            }
        }
    }
}

/// `partial` is taken for `failed` where there is no route for it.
fn outcomes(step: &StepDecl, group: &GroupDecl, report: &mut Report<'_>) {
    let has = |word: &str| step.routes.iter().any(|route| route.tag.value.as_str() == word);
    for word in group.outcomes().iter().filter(|word| **word != "partial") {
        if !has(word) {
            let message =
                format!("step `{}` may come to `{word}`, and has no such route", step.id.value);
            report.push(
                Problem::new(Code::MissingOutcome, step.id.span, message)
                    .help(format!("add `{word}` to its routes, or a `fan_in` that picks one")),
            );
        }
    }
    // A hook may pick any route, and a condition is true or not whatever became of the children.
    for route in step.routes.iter().filter(|it| it.when.is_none() && !step.hooks.any()) {
        let tag = route.tag.value.as_str();
        if tag == Group::QUESTION && group.branches().any(ends_by_question) {
            continue;
        }
        if !group.outcomes().contains(&tag) {
            let known: Vec<String> = group.outcomes().iter().map(|it| format!("`{it}`")).collect();
            let message = format!("nothing takes the route `{tag}`");
            let mut help = format!("without a `fan_in` children come to {}", known.join(", "));
            if tag == Group::QUESTION {
                help += "; and to `question` when a branch ends by such a route of its own, to FAIL or beside \
                         its `success_routes`";
            }
            report.push(Problem::new(Code::MissingOutcome, route.tag.span, message).help(help));
        }
    }
}

/// Whether a branch may end, without success, by its own route `question`.
fn ends_by_question(branch: &BranchDecl) -> bool {
    let success = |tag: &str| branch.success_routes.iter().any(|it| it.value.as_str() == tag);
    let short = |target: &Spanned<Target>| match target.value {
        Target::Fail => true,
        Target::Finish => !branch.success_routes.is_empty() && !success(Group::QUESTION),
        _ => false,
    };
    branch.step.routes.iter().any(|route| {
        route.tag.value.as_str() == Group::QUESTION && route.action.targets().any(short)
    })
}

fn check_branch(
    document: &Document,
    branch: &BranchDecl,
    isolation: Isolation,
    report: &mut Report<'_>,
) {
    let step = &branch.step;
    let id = &step.id;
    if let WorkDecl::Ask { .. } | WorkDecl::Wait { what: WaitDecl::Signal { .. } } = step.work {
        not_below(id.span, format!("branch `{}` waits for a person or a signal", id.value), report);
    }
    if step.on_interrupt == OnInterrupt::Restart && isolation == Isolation::Shared {
        let message = format!("branch `{}` would be restarted among others", id.value);
        report.push(Problem::new(Code::NotBelow, id.span, message).help(
            "`on_interrupt: resume` or `ask` leave the files as they are; with \
                     `isolation: worktree` each has its own",
        ));
    }
    step_names(document, step, report);
    super::routes::check_step(document, step, report);
    super::paths::check_step(document, step, report);
    if let Some(scope) = &step.scope {
        let message = format!("branch `{}` goes through no worklist", step.id.value);
        report.push(
            Problem::new(Code::BranchScope, scope.span, message)
                .help("`scope` belongs to the step the branch stands in; or use `fan_out`"),
        );
    }
    match &step.work {
        WorkDecl::Group(group) if matches!(group.children, ChildrenDecl::Workflow(_)) => {
            one(document, step, group, report);
        }
        WorkDecl::Group(_) => {
            let message = format!("branch `{}` has branches of its own", step.id.value);
            report.push(
                Problem::new(Code::StepKind, step.id.span, message).help(
                    "write them as a workflow, and let the branch start that: `workflow: NAME`",
                ),
            );
        }
        _ => {}
    }
    for target in step.routes.iter().flat_map(|route| route.action.targets()) {
        if let Target::Step(id) = &target.value {
            report.push(
                Problem::new(
                    Code::BranchTarget,
                    target.span,
                    format!("branch `{}` cannot lead to step `{id}`", step.id.value),
                )
                .help("its routes lead to SELF, FINISH, FAIL or AWAIT_INPUT"),
            );
        }
    }
    let ends = |it: &ActionDecl| {
        it.targets().any(|target| matches!(target.value, Target::Finish | Target::Fail))
    };
    if step.routes_known && !step.routes.iter().any(|route| ends(&route.action)) {
        let message = format!("branch `{}` can never end", step.id.value);
        report.push(
            Problem::new(Code::NoWayOut, step.id.span, message)
                .help("let some route lead to FINISH or FAIL"),
        );
    }
    for tag in &branch.success_routes {
        if step.routes_known && !step.routes.iter().any(|route| route.tag.value == tag.value) {
            let known = step.routes.iter().map(|route| route.tag.value.as_str());
            report.push(
                Problem::new(
                    Code::UnknownTarget,
                    tag.span,
                    format!("branch `{}` has no route `{}`", step.id.value, tag.value),
                )
                .suggest(tag.value.as_str(), known.collect::<Vec<_>>()),
            );
        }
    }
}

/// Two branches with one file would write it over each other.
fn side_by_side(document: &Document, branches: &[BranchDecl], report: &mut Report<'_>) {
    let mut writers: BTreeMap<String, (&ArtifactName, Span)> = BTreeMap::new();
    for branch in branches {
        for name in branch.step.work.writes() {
            let artifact = document.artifact(&name.value);
            if artifact.is_some_and(names_branch) {
                continue;
            }
            let file = artifact.and_then(file_of).unwrap_or_else(|| name.value.to_string());
            let Some((other, first)) = writers.insert(file, (&name.value, name.span)) else {
                continue;
            };
            let message = if *other == name.value {
                format!("two branches write `{}` at the same time", name.value)
            } else {
                format!(
                    "two branches write one file at the same time: `{other}` and `{}`",
                    name.value
                )
            };
            report.push(
                Problem::new(Code::SharedWrite, name.span, message).also(first, "the other").help(
                    "give each its own artifact and path, or name `{{ branch.key }}` in the path",
                ),
            );
        }
    }
}

/// The file of an artifact, each file in one spelling.
fn file_of(artifact: &ArtifactDecl) -> Option<String> {
    let (_, path) = artifact.file.as_ref()?;
    let parts = path.value.split('/').filter(|part| !part.is_empty() && *part != ".");
    let folder = artifact.owner.as_ref().map(ToString::to_string).unwrap_or_default();
    Some(parts.fold(folder, |path, part| format!("{path}/{part}")))
}

/// A branch for each item writes a file for each item.
fn own_files(document: &Document, branch: &BranchDecl, report: &mut Report<'_>) {
    for name in branch.step.work.writes() {
        let Some(artifact) = document.artifact(&name.value) else { continue };
        if artifact.file.is_some() && !names_branch(artifact) {
            report.push(
                Problem::new(
                    Code::SharedWrite,
                    name.span,
                    format!("every branch would write the same `{}`", name.value),
                )
                .help("name `{{ branch.key }}` in its path"),
            );
        }
    }
}

/// A workflow that is started below waits for nothing that does not reach it.
fn reached(child: &ChildDecl, report: &mut Report<'_>) {
    let Some((plan, _, _)) = &child.plan else { return };
    let deaf = |step: &&Step| {
        matches!(step.work, Work::Ask { .. } | Work::Wait { until: WaitFor::Signal { .. } })
    };
    if let Some(step) = plan.steps.iter().find(deaf) {
        let message = format!(
            "workflow `{}` waits in step `{}` for a person or a signal",
            plan.name, step.id
        );
        not_below(child.reference.span, message, report);
    }
}

fn not_below(span: Span, message: String, report: &mut Report<'_>) {
    report.push(
        Problem::new(Code::NotBelow, span, message).help(
            "let a route lead to AWAIT_INPUT: its question is passed up, and the answer down",
        ),
    );
}

/// What a child is given has names it knows, and is all that it needs.
fn given(child: &ChildDecl, report: &mut Report<'_>) {
    let Some((plan, texts, _)) = &child.plan else { return };
    let schema = |digest| texts.get(digest).and_then(|text| serde_json::from_str(text).ok());
    let input: Option<Json> = schema(&plan.input.schema);
    let params: Option<Json> = schema(&plan.params);
    for (what, schema, written) in
        [("with", input, &child.input), ("params", params, &child.params)]
    {
        let Some(schema) = schema else { continue };
        let place = written.as_ref().map_or(child.reference.span, |(span, _)| *span);
        let fields = written.as_ref().and_then(|(_, json)| json.as_object());
        let known = schema.get("properties").and_then(Json::as_object);
        let closed = schema.get("additionalProperties") == Some(&Json::Bool(false));
        for name in fields.into_iter().flat_map(|fields| fields.keys()) {
            if closed && !known.is_some_and(|known| known.contains_key(name)) {
                let message = format!("workflow `{}` takes no `{name}`", plan.name);
                let names = known.into_iter().flat_map(|known| known.keys());
                report.push(
                    Problem::new(Code::ChildInput, place, message)
                        .help_known(names.map(String::as_str)),
                );
            }
        }
        let required = schema.get("required").and_then(Json::as_array);
        for name in required.into_iter().flatten().filter_map(Json::as_str) {
            let filled = what == "with" && plan.input.message_field.as_deref() == Some(name);
            if !filled && !fields.is_some_and(|fields| fields.contains_key(name)) {
                let message = format!("workflow `{}` needs `{name}`", plan.name);
                report.push(
                    Problem::new(Code::ChildInput, place, message)
                        .help(format!("give it below `{what}`")),
                );
            }
        }
    }
}
