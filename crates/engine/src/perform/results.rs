//! What the branches of a visit came to: for templates, and in words.

use botpipe_kernel::plan::Isolation;
use botpipe_kernel::run::{ChildEnd, ChildPhase, ChildPlan, Children};
use serde_json::Value;

use super::Trouble;
use crate::driver::Driver;
use crate::prompt::{BranchFiles, BranchResult, FanInRoot};

/// What the branches came to, for templates.
pub(super) fn results(driver: &Driver<'_>, children: &Children) -> Result<FanInRoot, Trouble> {
    let group = driver.run.current_step().and_then(|step| step.group());
    let apart = group.is_some_and(|group| group.isolation == Isolation::Worktree);
    let mut results = Vec::with_capacity(children.plans.len());
    for (plan, state) in children.iter() {
        let end = match &state.phase {
            ChildPhase::Ended(end) => Some(&**end),
            _ => None,
        };
        let output = match end.and_then(|end| end.output.as_ref()) {
            Some(output) => serde_json::from_str(&driver.text_of(output)?).unwrap_or(Value::Null),
            None => Value::Null,
        };
        results.push(BranchResult {
            branch: plan.branch.to_string(),
            run: plan.run.to_string(),
            status: match status(driver, plan, &state.phase) {
                "done" if !children.conflicts(&plan.branch).is_empty() => "conflict",
                status => status,
            }
            .to_owned(),
            tag: end.and_then(|end| end.tag.as_ref()).map(ToString::to_string),
            output,
            files: apart.then(|| files(children, plan, end)),
        });
    }
    Ok(FanInRoot { results })
}

fn files(children: &Children, plan: &ChildPlan, end: Option<&ChildEnd>) -> BranchFiles {
    let merged = children.merge.as_ref().map(|merge| &merge.branches);
    let merged = merged.into_iter().flatten().find(|it| it.branch == plan.branch);
    BranchFiles {
        tree: end.and_then(|end| end.tree.as_ref()).map(|tree| tree.0.clone()),
        changed: merged.map_or(0, |it| it.changed),
        conflicts: children.conflicts(&plan.branch).to_vec(),
        folder: merged.and_then(|it| it.folder.clone()),
    }
}

fn status(driver: &Driver<'_>, plan: &ChildPlan, phase: &ChildPhase) -> &'static str {
    let group = driver.run.current_step().and_then(|step| step.group());
    let routes = group.and_then(|group| group.child(&plan.branch)).map(|(_, routes)| routes);
    match phase {
        ChildPhase::Ended(end) if end.verdict.is_none() => "cancelled",
        ChildPhase::Ended(end) if end.succeeded(routes.unwrap_or_default()) => "done",
        ChildPhase::Ended(_) => "failed",
        ChildPhase::Skipped => "skipped",
        ChildPhase::Planned => "planned",
        ChildPhase::Ready { .. } | ChildPhase::Owed { .. } => "running",
        ChildPhase::Rests(_) => "waiting",
    }
}

/// What of a branch is not in the files, and where it is.
fn left_out(status: &str, files: &BranchFiles) -> Option<String> {
    let tree = files.tree.as_ref()?;
    match (status, &files.folder) {
        ("done", _) => None,
        ("conflict", Some(folder)) => Some(format!(
            "  - none of its changes were taken over: others changed the same places of {}. Its \
             files are in `{folder}` (snapshot {tree})",
            files.conflicts.join(", ")
        )),
        _ => {
            Some(format!("  - none of its changes were taken over; its files are snapshot {tree}"))
        }
    }
}

/// The same in a line each, for whoever goes on from there.
pub(super) fn summary(driver: &Driver<'_>, children: &Children) -> Result<String, Trouble> {
    let mut lines = Vec::with_capacity(children.plans.len());
    for result in results(driver, children)?.results {
        let BranchResult { branch, status, tag, output, files, .. } = result;
        let by = tag.map(|tag| format!(" (`{tag}`)")).unwrap_or_default();
        let said = if output.is_null() { String::new() } else { format!(": {output}") };
        lines.push(format!("- `{branch}`: {status}{by}{said}"));
        lines.extend(files.and_then(|files| left_out(&status, &files)));
    }
    Ok(lines.join("\n"))
}
