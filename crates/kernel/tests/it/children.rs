//! What a scenario says of a child: how it ends, or why it stands still.

use botpipe_kernel::run::{
    ChildEnd, Effect, Input, Question, QuestionKind, Rest, Run, Spent, Stop, Verdict, outstanding,
};

use crate::world::hold;

/// Reads `BRANCH accepted`, `BRANCH waits what?`, `BRANCH stopped` (by a signal), `BRANCH broken why`, each with `turns=N` and
/// `steps=N` that it took in all.
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
        let end = ChildEnd { verdict, tag: None, output: None, spent, steps };
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
        _ => return Err(format!("`{what}` does not become of a child")),
    };
    Ok(Input::ChildRested { which, rest, spent, steps })
}
