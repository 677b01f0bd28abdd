//! Rule: artifact paths stay inside the workflow's folder, and name an item only where there is one.

use std::collections::HashSet;

use botpipe_kernel::ids::ArtifactName;

use crate::diagnostic::{Code, Problem, Report};
use crate::document::{ArtifactDecl, Document, StepDecl};
use crate::template::ENVIRONMENT;

pub(super) fn check(document: &Document, report: &mut Report<'_>) {
    for artifact in &document.artifacts {
        let Some((_, path)) = &artifact.file else { continue };
        if let Some(words) = fault(&path.value, artifact.owner.is_none()) {
            report.push(
                Problem::new(Code::BadPath, path.span, format!("`{}` {words}", path.value)).help(
                    "paths are relative: to the workflow's folder, or to the step's for an \
                     artifact declared in a step",
                ),
            );
        }
    }
    for step in &document.steps {
        check_step(document, step, report);
    }
}

/// A path names an item or a branch only where the step has one.
pub(super) fn check_step(document: &Document, step: &StepDecl, report: &mut Report<'_>) {
    let outer = step.branch.as_ref().and_then(|branch| branch.scope.as_ref());
    let scoped = step.scope.is_some() || outer.is_some();
    for (name, span) in mentions(step) {
        let Some(artifact) = document.artifact(name) else { continue };
        if !scoped && names_item(artifact) {
            let message = format!(
                "step `{}` has no current item, but the path of `{name}` names one",
                step.id.value
            );
            report.push(
                Problem::new(Code::NoItem, span, message)
                    .also(artifact.name.span, "declared here")
                    .help("give the step a `scope`"),
            );
        }
        if step.branch.is_none() && names_branch(artifact) {
            let message = format!(
                "step `{}` is no branch, but the path of `{name}` names one",
                step.id.value
            );
            report.push(
                Problem::new(Code::NoItem, span, message)
                    .also(artifact.name.span, "declared here")
                    .help("what branches wrote is told to `fan_in`, and stands under `fan_in.results`"),
            );
        }
    }
}

/// Whether the path has a part for each item.
pub(super) fn names_item(artifact: &ArtifactDecl) -> bool {
    let variables = variables(artifact);
    variables.contains("item") || variables.contains("worklist")
}

/// Whether the path has a part for each branch.
pub(super) fn names_branch(artifact: &ArtifactDecl) -> bool {
    variables(artifact).contains("branch")
}

fn variables(artifact: &ArtifactDecl) -> HashSet<String> {
    let path = artifact.file.as_ref().map(|(_, path)| path).filter(|path| path.value.contains('{'));
    let Some(path) = path else { return HashSet::new() };
    ENVIRONMENT
        .template_from_str(&path.value)
        .map(|template| template.undeclared_variables(false))
        .unwrap_or_default()
}

fn mentions(step: &StepDecl) -> impl Iterator<Item = (&ArtifactName, crate::source::Span)> {
    let turns = step.work.turns().flat_map(|turn| turn.requires.iter().chain(&turn.reads));
    step.requires
        .iter()
        .chain(&step.reads)
        .chain(turns)
        .chain(step.work.writes())
        .map(|name| (&name.value, name.span))
}

/// What is wrong with the fixed parts of a path.
fn fault(path: &str, of_workflow: bool) -> Option<&'static str> {
    let fixed = fixed_parts(path);
    if fixed.starts_with(['/', '~']) {
        return Some("is not relative");
    }
    if fixed.contains(['\\', '\0', '\n']) {
        return Some("holds a character that no path should");
    }
    if fixed.split('/').any(|part| part == "..") {
        return Some("leaves its folder by `..`");
    }
    if fixed.ends_with('/') || fixed == "." {
        return Some("is a folder, not a file");
    }
    if of_workflow && fixed.trim_start_matches("./").starts_with("runs/") {
        return Some("lies in `runs/`, which holds the runs");
    }
    None
}

/// The path with a neutral letter for each template expression.
fn fixed_parts(path: &str) -> String {
    let mut fixed = String::new();
    let mut rest = path;
    while let Some(open) = rest.find("{{") {
        fixed.push_str(&rest[..open]);
        fixed.push('x');
        rest = rest[open..].find("}}").map_or("", |close| &rest[open + close + 2..]);
    }
    fixed.push_str(rest);
    fixed
}

#[cfg(test)]
mod tests {
    use super::fault;

    #[test]
    fn a_path_stays_where_it_belongs() {
        for good in
            ["work.json", "a/b.md", "items/{{ item.dir_key }}/x.md", "{{ run.id }}.md", "a..b"]
        {
            assert_eq!(fault(good, true), None, "{good}");
        }
        for bad in ["/etc/x", "../x", "a/../../x", "~/x", "a\\b", "runs/x", "a/", "./runs/y"] {
            assert!(fault(bad, true).is_some(), "{bad}");
        }
    }
}
