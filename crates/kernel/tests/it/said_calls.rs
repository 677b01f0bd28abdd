//! What functions and hooks say in a scenario: what they ask for, what they are told, what they return.

use botpipe_kernel::ids::{RouteTag, TurnId, WorklistName};
use botpipe_kernel::run::{
    AskedQuestion, Control, Effect, Input, Judged, Outcome, Returned, Run, WorklistChange,
    outstanding,
};

use crate::plans::{digest, target_of};
use crate::said::{change, outcome};
use crate::world::{self, Draw, exit, findings, item, text, wants};

/// Reads a line; `None`: it is none of these.
pub(crate) fn input(run: &Run, word: &str, rest: &str) -> Result<Option<Input>, String> {
    Ok(Some(match word {
        // `asks_for what`, and `asks_for_run what` for something that a run answers
        "asks_for" | "asks_for_run" => asked(run, turn(run)?, rest, word == "asks_for_run"),
        // `told what [; complete | reset ITEM | advance | refresh]`
        "told" => {
            let Some(Effect::Answer { turn, n, .. }) = outstanding(run).into_iter().next() else {
                return Err("nothing is to be answered".to_owned());
            };
            let (answer, change) = rest.split_once("; ").unwrap_or((rest, ""));
            let change = (!change.is_empty()).then(|| worklist(change)).transpose()?;
            Input::CallbackAnswered { turn, n, answer: text(answer), change }
        }
        // `returns nothing | outcome … | goto STEP [why] | fail why | asks question`, then
        // `; set=state.x:1` and `; complete ITEM` as often as it does
        "returns" => {
            let mut parts = rest.split("; ");
            let control = control(parts.next().unwrap_or_default())?;
            let mut returned = Returned { control, changes: Vec::new(), worklists: Vec::new() };
            for part in parts {
                match part.strip_prefix("set=") {
                    Some(set) => returned.changes.push(change(set)?),
                    None => returned.worklists.push(worklist(part)?),
                }
            }
            Input::Judged { turn: turn(run)?, judged: Judged::Returned(Box::new(returned)) }
        }
        _ => return Ok(None),
    }))
}

/// The turn of the function or hook that runs or was judged last.
fn turn(run: &Run) -> Result<TurnId, String> {
    let owed = outstanding(run).into_iter().find_map(|effect| match effect {
        Effect::RunTurn { turn, .. } | Effect::Judge { turn, .. } => Some(turn),
        _ => None,
    });
    owed.ok_or_else(|| "no code runs or is judged".to_owned())
}

/// What a function asks for next.
pub(crate) fn asked(run: &Run, turn: TurnId, what: &str, runs: bool) -> Input {
    let visit = run.visit.as_ref();
    let calling = visit.and_then(|visit| visit.calling.as_ref());
    let n = calling.map_or(0, |calling| u32::try_from(calling.callbacks.len()).unwrap());
    let branch = format!("call-{}", visit.map_or(0, |visit| visit.asked_children));
    let child = runs.then(|| Box::new((digest(8), wants(&branch))));
    let key = digest(u8::try_from(what.len()).unwrap());
    Input::CallbackAsked { turn, n, key, ask: text(what), child }
}

fn control(text: &str) -> Result<Control, String> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let words: Vec<&str> = rest.split_whitespace().collect();
    Ok(match word {
        "nothing" => Control::Go,
        "outcome" => Control::Outcome(Box::new(outcome(&words)?)),
        "goto" => {
            let (to, why) = rest.split_once(' ').unwrap_or((rest, ""));
            let why = (!why.is_empty()).then(|| why.to_owned());
            Control::Goto { to: target_of(to), handoff: None, why }
        }
        "fail" => Control::Fail { why: rest.to_owned() },
        "asks" => {
            let question = rest.to_owned();
            Control::Ask(AskedQuestion { text: question, choices: Vec::new(), schema: None })
        }
        _ => return Err(format!("code returns no `{word}`")),
    })
}

fn worklist(text: &str) -> Result<(WorklistName, WorklistChange), String> {
    let (word, item) = text.split_once(' ').unwrap_or((text, ""));
    let item = || item.parse().map_err(|_| format!("`{item}` is no item"));
    let change = match word {
        "complete" => WorklistChange::Complete { item: item()? },
        "reset" => WorklistChange::Reset { item: item()? },
        "advance" => WorklistChange::Advance,
        "refresh" => WorklistChange::Refresh,
        _ => return Err(format!("nothing does `{word}` to a worklist")),
    };
    Ok(("item".parse().unwrap(), change))
}

/// What code comes to.
pub(crate) fn returned(
    run: &Run,
    turn: &TurnId,
    offered: &[RouteTag],
    draw: &mut Draw<'_>,
) -> Returned {
    let control = match draw.below(10) {
        9 => Control::Fail { why: "it is too late".to_owned() },
        8 => Control::Ask(AskedQuestion {
            text: "which?".to_owned(),
            choices: Vec::new(),
            schema: None,
        }),
        7 => {
            let steps = run.plan.steps.iter().map(|step| step.id.as_str());
            let all: Vec<&str> = steps.chain(["FINISH", "FAIL", "SELF", "nowhere"]).collect();
            let to = target_of(all[draw.below(all.len())]);
            Control::Goto { to, handoff: None, why: None }
        }
        n @ (5 | 6) => Control::Outcome(Box::new(Outcome {
            tag: offered.get(n % offered.len().max(1)).map_or("none", RouteTag::as_str).to_owned(),
            payload: None,
            fields: None,
            findings: findings(run, turn.role, draw),
            exit: exit(run, draw),
        })),
        // A function that returns nothing is done.
        _ if !turn.role.is_hook() => match world::outcome("done", findings(run, turn.role, draw)) {
            Judged::Outcome(outcome) => Control::Outcome(outcome),
            _ => unreachable!(),
        },
        _ => Control::Go,
    };
    Returned { control, changes: exit(run, draw).changes, worklists: changes(draw) }
}

pub(crate) fn changes(draw: &mut Draw<'_>) -> Vec<(WorklistName, WorklistChange)> {
    let count = draw.below(3);
    let mut any = |_| {
        let item = item(draw.below(4)).id;
        let change = match draw.below(4) {
            0 => WorklistChange::Complete { item },
            1 => WorklistChange::Reset { item },
            2 => WorklistChange::Advance,
            _ => WorklistChange::Refresh,
        };
        ("item".parse().unwrap(), change)
    };
    (0..count).map(&mut any).collect()
}
