//! `botpipe cost`: what the turns of a run spent.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use botpipe_engine::engine::RunView;
use botpipe_kernel::ids::TurnId;
use botpipe_kernel::plan::Budget;
use botpipe_kernel::run::{Event, Run, Spent, Usage};
use serde_json::{Value, json};

use super::options::{Json, Which};
use crate::term::clock::span;
use crate::term::exit;
use crate::term::failure::Failure;
use crate::term::output::result;
use crate::term::table::table;

/// What a run spent: tokens, money and time, turn by turn
///
/// Tokens and money are what the harness reports: the money is its own estimate by list prices. What a
/// turn does not report is unknown, which is not nothing; a turn that was cut off spent at least what
/// is shown.
///
/// Examples:
///   botpipe cost ralph_loop csv-export
///   botpipe cost ralph_loop csv-export --json | jq .total.usd
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    json: Json,
}

/// A turn of an agent that ended.
struct Turn<'a> {
    id: &'a TurnId,
    usage: Option<&'a Usage>,
    took_ms: u64,
}

impl Args {
    pub(super) fn json(&self) -> bool {
        self.json.json
    }

    pub(super) fn run(self) -> Result<u8, Failure> {
        let which = self.which.run()?;
        let view = self.which.workspace.engine()?.show(&which)?;
        let turns = turns(&view);
        result(self.json.form(), || text(&turns, &view.state), || full(&turns, &view));
        Ok(exit::OK)
    }
}

fn turns(view: &RunView) -> Vec<Turn<'_>> {
    let ended = view.events.iter().filter_map(|stored| match &stored.event {
        Event::TurnEnded { turn, usage, took_ms, .. } if !turn.role.is_code() => {
            Some(Turn { id: turn, usage: usage.as_ref(), took_ms: *took_ms })
        }
        // It asked leave, and went on as another start of the same turn.
        Event::TurnInterrupted { turn, usage: usage @ Some(_), took_ms, .. } => {
            Some(Turn { id: turn, usage: usage.as_ref(), took_ms: *took_ms })
        }
        _ => None,
    });
    ended.collect()
}

fn text(turns: &[Turn<'_>], run: &Run) -> String {
    if turns.is_empty() {
        return "no turn of an agent has ended yet\n".to_owned();
    }
    let row = |turn: &Turn<'_>| {
        let count =
            |n: fn(&Usage) -> u64| turn.usage.map_or("?".to_owned(), |it| n(it).to_string());
        let least = if turn.usage.is_some_and(|it| it.at_least) { "≥ " } else { "" };
        let by = run.own_provider(turn.id).map(|name| format!(" by {name}")).unwrap_or_default();
        [
            format!("{}{by}", turn.id),
            format!("{least}{}", count(|it| it.input)),
            count(|it| it.cached),
            count(|it| it.output),
            turn.usage.and_then(|it| it.cost).map_or("?".to_owned(), money),
            span(Duration::from_millis(turn.took_ms)),
        ]
    };
    let mut rows: Vec<_> = turns.iter().map(row).collect();
    let spent = &run.spent;
    rows.push([
        format!("all {} turns", spent.turns),
        spent.usage.input.to_string(),
        spent.usage.cached.to_string(),
        spent.usage.output.to_string(),
        spent.usage.cost.map_or("?".to_owned(), money),
        span(Duration::from_millis(spent.wall_ms)),
    ]);
    let mut text = table(["TURN", "INPUT", "CACHED", "OUTPUT", "USD", "TIME"], &rows);
    if spent.turns_unknown > 0 {
        let _ = writeln!(
            text,
            "  {} turns reported nothing: what they spent is unknown",
            spent.turns_unknown
        );
    }
    if spent.turns_unpriced > 0 {
        let _ = writeln!(
            text,
            "  {} turns reported no money: what they cost is unknown",
            spent.turns_unpriced
        );
    }
    for (of, limit) in run.budget.bounds() {
        let (spent, limit) = (of.amount(spent.of(of)), of.amount(limit));
        let _ = writeln!(text, "  budget of {limit}: {spent} spent");
    }
    for (place, budget, spent) in of_steps(run) {
        for (of, limit) in budget.bounds() {
            let (spent, limit) = (of.amount(spent.of(of)), of.amount(limit));
            let _ = writeln!(text, "  budget of `{place}` of {limit}: {spent} spent");
        }
    }
    text
}

/// What was spent on each step that has a budget of its own, and on each item of it.
fn of_steps(run: &Run) -> Vec<(String, Budget, Spent)> {
    let places = run.spent_at.to_map().into_iter().filter_map(|(place, spent)| {
        let budget = run.budget_of(run.plan.step(&place.step)?);
        let item = place.item.map(|item| format!("[{item}]")).unwrap_or_default();
        (!budget.is_none()).then(|| (format!("{}{item}", place.step), budget, spent))
    });
    places.collect()
}

/// Four digits after the point: a turn may cost less than a cent.
fn money(millionths: u64) -> String {
    format!("{}.{:04}", millionths / 1_000_000, millionths / 100 % 10_000)
}

/// # Shape
/// `{"run", "task", "workflow", "total": {"turns", "turns_unknown", "turns_unpriced", "usage", "usd",
/// "wall_ms"}, "steps": {STEP: {"turns", "usage"}}, "turns": [{"turn", "by", "usage", "usd", "took_ms"}],
/// "budget", "step_budgets": {STEP or STEP[ITEM]: {"budget", "spent"}}}`; `usd` is a number of dollars, `null` where it is not known;
/// `by` the name of a turn's own provider, `null` for the run's.
fn full(turns: &[Turn<'_>], view: &RunView) -> Value {
    let spent = &view.state.spent;
    let mut steps: BTreeMap<String, (u64, u64, u64)> = BTreeMap::new();
    for turn in turns {
        let step = steps.entry(turn.id.visit.step.to_string()).or_default();
        step.0 += 1;
        step.1 += turn.usage.map_or(0, |it| it.input);
        step.2 += turn.usage.map_or(0, |it| it.output);
    }
    let steps: BTreeMap<_, _> = steps
        .into_iter()
        .map(|(step, (turns, input, output))| {
            (step, json!({ "turns": turns, "input": input, "output": output }))
        })
        .collect();
    let each = turns.iter().map(|turn| {
        json!({
            "turn": turn.id,
            "by": view.state.own_provider(turn.id),
            "usage": turn.usage,
            "usd": turn.usage.and_then(|it| it.cost).map(dollars),
            "took_ms": turn.took_ms,
        })
    });
    let of_steps: BTreeMap<_, _> = of_steps(&view.state)
        .into_iter()
        .map(|(place, budget, spent)| (place, json!({ "budget": budget, "spent": spent })))
        .collect();
    json!({
        "run": view.summary.run,
        "task": view.summary.task,
        "workflow": view.summary.workflow,
        "total": {
            "turns": spent.turns,
            "turns_unknown": spent.turns_unknown,
            "turns_unpriced": spent.turns_unpriced,
            "usage": spent.usage,
            "usd": spent.usage.cost.map(dollars),
            "wall_ms": spent.wall_ms,
        },
        "steps": steps,
        "turns": each.collect::<Vec<_>>(),
        "budget": view.state.budget,
        "step_budgets": of_steps,
    })
}

#[expect(clippy::cast_precision_loss, reason = "amounts of money are far below 2^52")]
fn dollars(millionths: u64) -> f64 {
    millionths as f64 / 1e6
}
