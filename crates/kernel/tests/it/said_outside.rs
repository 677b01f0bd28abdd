//! What persons, clocks and signals say in a scenario to a step that waits for them.

use botpipe_kernel::run::{
    Effect, Finding, FindingState, Input, Lifecycle, Ref, Run, Signal, outstanding,
};

use crate::plans::digest;
use crate::said::{findings, number, only, value};
use crate::world::text;

/// Reads a line; `None`: it is none of these.
pub(crate) fn input(run: &Run, word: &str, rest: &str) -> Result<Option<Input>, String> {
    let owed = outstanding(run).into_iter().next();
    let visit = || match &owed {
        Some(Effect::Pose { visit, .. } | Effect::Arm { visit }) => Ok(visit.clone()),
        // Told too early or too late, it is of the visit in progress all the same.
        _ => run.visit.as_ref().map(|visit| visit.id.clone()).ok_or("no visit is in progress"),
    };
    let words: Vec<&str> = rest.split_whitespace().collect();
    Ok(Some(match word {
        // `posed [until=9] [artifact=good …]: question`
        "posed" => {
            let (facts, asked) = rest.split_once(": ").ok_or("`posed …: question`")?;
            let facts: Vec<&str> = facts.split_whitespace().collect();
            Input::Posed {
                visit: visit()?,
                text: asked.to_owned(),
                findings: findings(&facts, &["until"])?,
                until: value(&facts, "until").map(number).transpose()?,
            }
        }
        "armed" => {
            only(&words, &["until"])?;
            let until = value(&words, "until").map(number).transpose()?;
            Input::Armed { visit: visit()?, until }
        }
        "due" => Input::Due { visit: visit()? },
        "signal" => {
            let (id, rest) = rest.split_once(": ").ok_or("`signal id: name [payload]`")?;
            let (name, payload) = rest.split_once(' ').unwrap_or((rest, ""));
            let name = name.parse().map_err(|_| format!("`{name}` is no signal"))?;
            let payload = Ref::Inline(payload.to_owned());
            Input::Signal { signal: Signal { id: id.to_owned(), name, payload } }
        }
        "answer" => answer(rest, shown(run, None)),
        // Somebody wrote to what was shown.
        "answer_after_a_change" => answer(rest, shown(run, Some(9))),
        _ => return crate::said_calls::input(run, word, rest),
    }))
}

fn answer(given: &str, findings: Vec<Finding>) -> Input {
    Input::Answer { answer: text(given), text: given.to_owned(), findings }
}

/// What the question shows: as it was, or with this content.
pub(crate) fn shown(run: &Run, content: Option<u8>) -> Vec<Finding> {
    let Lifecycle::Waiting(question) = &run.lifecycle else { return Vec::new() };
    let finding = |shown: &botpipe_kernel::run::Shown| Finding {
        artifact: shown.artifact.clone(),
        path: shown.path.clone(),
        state: FindingState::Stale { digest: content.map_or(shown.digest.clone(), digest) },
    };
    question.shown.iter().map(finding).collect()
}
