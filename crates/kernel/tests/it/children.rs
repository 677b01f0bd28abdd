//! What a scenario says of a child: how it ends, or why it stands still; and of what all changed.

use botpipe_kernel::run::{
    ChildEnd, Effect, Input, Merge, MergedBranch, Question, QuestionKind, Rest, Run, SnapshotId,
    Spent, Stop, Verdict, outstanding,
};

use crate::world::hold;

/// Reads `BRANCH accepted`, `BRANCH waits what?`, `BRANCH stopped` (by a signal), `BRANCH broken why`, each
/// with `turns=N` and `steps=N` that it took in all, and `tree=ID` that it leaves.
pub(crate) fn child(run: &Run, line: &str) -> Result<Input, String> {
    let (branch, rest) = line.split_once(' ').ok_or("a branch, and what became of it")?;
    let owed = outstanding(run).into_iter().find_map(|effect| match effect {
        Effect::RunChild { which, grant, .. } if which.branch.as_str() == branch => {
            Some((which, grant))
        }
        _ => None,
    });
    let (which, grant) = owed.ok_or_else(|| format!("`{branch}` is not to run"))?;
    let (what, more) = rest.split_once(' ').unwrap_or((rest, ""));
    let words: Vec<&str> = more.split(' ').collect();
    let count = |key: &str| {
        let value = words.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
        value.map_or(Ok(1), |n| n.parse().map_err(|_| format!("`{n}` is no number")))
    };
    let spent = Spent { turns: count("turns")?, ..Spent::default() };
    let steps = count("steps")?;
    let verdict = match what {
        "accepted" => Some(Verdict::Accepted),
        "rejected" => Some(Verdict::Rejected),
        "done" => Some(Verdict::None),
        _ => None,
    };
    if verdict.is_some() || what == "cancelled" {
        let tree = words.iter().find_map(|word| word.strip_prefix("tree="));
        let tree = tree.map(|tree| SnapshotId(tree.to_owned()));
        let tag = words.iter().find_map(|word| word.strip_prefix("by="));
        let tag =
            tag.map(|tag| tag.parse().map_err(|_| format!("`{tag}` is no tag"))).transpose()?;
        let end = ChildEnd { verdict, tag, output: None, spent, steps, tree };
        return Ok(Input::ChildEnded { which, end });
    }
    let rest = match what {
        "waits" => Rest::Waiting(Question {
            kind: QuestionKind::Route { visit: which.visit.clone() },
            text: more.to_owned(),
            choices: Vec::new(),
            schema: None,
            shown: Vec::new(),
            until: None,
        }),
        "held" => Rest::Held(hold(botpipe_kernel::run::FailureClass::UsageLimit)),
        "stopped" => Rest::Stopped(Stop::Signal { signal: 2 }),
        "broken" => Rest::Stopped(Stop::Error { message: more.to_owned() }),
        "out_of_steps" => Rest::Stopped(Stop::MaxSteps { limit: grant.max_steps }),
        "out_of_turns" => Rest::Stopped(Stop::Budget {
            of: botpipe_kernel::plan::Spending::Turns,
            limit: grant.budget.turns.map_or(0, u64::from),
            spent: u64::from(spent.turns),
        }),
        "out_of_its_turns" => Rest::Stopped(Stop::StepBudget {
            // A branch is a run of one step, of its name.
            step: which.branch.as_str().parse().map_err(|_| "no step".to_owned())?,
            of: botpipe_kernel::plan::Spending::Turns,
            limit: u64::from(spent.turns),
            spent: u64::from(spent.turns),
        }),
        _ => return Err(format!("`{what}` does not become of a child")),
    };
    Ok(Input::ChildRested { which, rest, spent, steps })
}

/// Reads what becomes of the branches' files: `merged FOUND TREE BRANCH BRANCH!file,file`, where a branch
/// with files is one that conflicts; `merge_applied`, `merge_refused file …`.
pub(crate) fn merge(run: &Run, word: &str, words: &[&str]) -> Result<Option<Input>, String> {
    let visit = match (word, outstanding(run).into_iter().next()) {
        ("merged", Some(Effect::Merge { visit, .. }))
        | ("merge_applied" | "merge_refused", Some(Effect::ApplyMerge { visit, .. })) => visit,
        ("merged" | "merge_applied" | "merge_refused", _) => {
            return Err("no merge is owed".to_owned());
        }
        _ => return Ok(None),
    };
    let id = |text: &str| SnapshotId(text.to_owned());
    Ok(Some(match (word, words) {
        ("merged", [found, tree, branches @ ..]) => {
            let (found, tree) = (id(found), id(tree));
            let branches = branches.iter().map(|word| merged(word)).collect();
            Input::Merged { visit, merge: Merge { found, ours: None, tree, branches } }
        }
        ("merge_applied", [tree]) => {
            Input::MergeApplied { visit, tree: id(tree), kept: id("kept") }
        }
        ("merge_refused", [tree, changed @ ..]) => {
            let changed = changed.iter().map(|&path| path.to_owned()).collect();
            Input::MergeRefused { visit, tree: id(tree), changed }
        }
        _ => return Err("`merged FOUND TREE …`, `merge_applied TREE`, …".to_owned()),
    }))
}

fn merged(word: &str) -> MergedBranch {
    let (branch, conflicts) = word.split_once('!').unwrap_or((word, ""));
    let conflicts = conflicts.split(',').filter(|path| !path.is_empty());
    let conflicts: Vec<String> = conflicts.map(str::to_owned).collect();
    let folder = (!conflicts.is_empty()).then(|| format!("folder-of-{branch}"));
    MergedBranch { branch: branch.parse().unwrap(), changed: 1, conflicts, folder }
}
