//! What the world says in a scenario: one line, read as an input.

use std::str::FromStr;

use botpipe_kernel::ids::{TurnId, VisitId, WorklistName};
use botpipe_kernel::plan::Budget;
use botpipe_kernel::run::{
    AskedQuestion, Attached, Baseline, CheckResult, CheckStatus, Drift, Effect, Evidence, Exit,
    FailureClass, Finding, FindingState, Harness, Hold, Input, InterruptCause, Item, ItemStatus,
    Judged, Outcome, Process, Provider, Raise, Ref, Run, Said, SessionKey, SnapshotId, StateChange,
    TurnResult, Usage, outstanding,
};

use crate::children::child;
use crate::plans::digest;
use crate::world::{hold, start, text, wants};

/// Reads a line. What it answers is the work that is owed, unless it names a turn: `@plan/1/worker/1`.
pub(crate) fn input(run: &Run, line: &str) -> Result<Input, String> {
    let (line, named) = match line.split_once(" @") {
        Some((line, turn)) => (line, Some(turn)),
        None => (line, None),
    };
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let owed = outstanding(run).into_iter().next();
    let place = Place { named, owed: owed.as_ref() };
    let words: Vec<&str> = rest.split_whitespace().collect();
    if let Some(input) = crate::said_outside::input(run, word, rest)? {
        return Ok(input);
    }
    if let Some(input) = command(word, rest, &words)? {
        return if named.is_none() { Ok(input) } else { Err(format!("`{word}` is of no turn")) };
    }
    Ok(match word {
        "items" => Input::ItemsRead {
            worklist: place.worklist()?,
            source: digest(6),
            items: words.iter().map(|id| item(id)).collect(),
        },
        "items_rejected" => {
            Input::ItemsRejected { worklist: place.worklist()?, why: rest.to_owned() }
        }
        "entered" => Input::BaselineTaken {
            visit: place.visit()?,
            baseline: Baseline { tree: tree(&words), ..Baseline::default() },
            requires: findings(&words, &["tree", "drift"])?,
            drift: value(&words, "drift").map(|text| Drift {
                worklist: "item".parse().unwrap(),
                source: digest(10),
                text: text.replace('_', " "),
            }),
        },
        "prepared" => prepared(place.turn()?, owed.as_ref(), rest, &words),
        "started" => Input::TurnStarted {
            turn: place.turn()?,
            process: Process { pid: 7, start_ticks: 70, boot_id: Some("boot".to_owned()) },
        },
        "session" => Input::SessionKnown { turn: place.turn()?, token: rest.to_owned() },
        "answers" => ended(place.turn()?, completed(rest, None)),
        "completes" => completes(place.turn()?, rest)?,
        "spends" => spent(place.turn()?, rest)?,
        "exits" => ended(place.turn()?, completed("", Some(number(rest)?))),
        "fails" => failed(place.turn()?, rest)?,
        "held" => held(place.turn()?, rest)?,
        "wants" | "leave" => crate::said_permission::input(run, place.turn()?, word, rest)?,
        "delivered" => Input::SaidDelivered { turn: place.turn()? },
        "time_came" => Input::TimeCame,
        "checked" => {
            let (checks, artifacts): (Vec<&str>, Vec<&str>) = words
                .iter()
                .partition(|word| word.ends_with("=passed") || word.ends_with("=failed"));
            Input::ChecksEnded {
                visit: place.visit()?,
                checks: checks.iter().map(|word| check(word)).collect(),
                findings: findings(&artifacts, &["touched"])?,
                touched: value(&words, "touched")
                    .map(|all| all.split(',').map(str::to_owned).collect())
                    .unwrap_or_default(),
            }
        }
        "sealed" => {
            only(&words, &["tree"])?;
            Input::Sealed { visit: place.visit()?, tree: tree(&words) }
        }
        "outcome" | "malformed" | "script_failed" => {
            let judged = match word {
                "outcome" => Judged::Outcome(Box::new(outcome(&words)?)),
                "malformed" => Judged::Malformed { why: rest.to_owned() },
                _ => Judged::ScriptFailed { why: rest.to_owned() },
            };
            Input::Judged { turn: place.turn()?, judged }
        }
        "handed" => {
            let handoff = (!rest.is_empty()).then(|| text(rest));
            let exit = Exit { handoff, ..Exit::default() };
            Input::HandoffRendered { visit: place.visit()?, exit }
        }
        "status_written" => match owed {
            Some(Effect::WriteStatus { worklist, item, status }) => {
                let drift = (!rest.is_empty()).then(|| rest.to_owned());
                Input::StatusWritten { worklist, item, status, stamp: None, drift }
            }
            _ => return Err("no status is owed".to_owned()),
        },
        "children" => Input::ChildrenPlanned {
            visit: place.visit()?,
            children: words.iter().map(|it| wants(it)).collect(),
        },
        "child" => child(run, rest)?,
        "restored" => {
            Input::TreeRestored { turn: place.turn()?, kept: SnapshotId("kept".to_owned()) }
        }
        "restore_refused" => Input::RestoreRefused {
            turn: place.turn()?,
            tree: SnapshotId("edited".to_owned()),
            changed: words.iter().map(|&path| path.to_owned()).collect(),
        },
        _ => return Err(format!("nobody says `{word}`")),
    })
}

/// `[the prompt]`, or `key=task@here [token=s1]` for a conversation whose key took evaluating.
fn prepared(turn: TurnId, owed: Option<&Effect>, rest: &str, words: &[&str]) -> Input {
    let (mut session, said) = match owed {
        Some(Effect::Prepare { session, said, .. }) => (session.clone(), said.len()),
        _ => (None, 0),
    };
    let key = value(words, "key");
    if let (Some(session), Some(key)) = (&mut session, key) {
        session.key = SessionKey(key.to_owned());
        session.token = value(words, "token").map(str::to_owned);
    }
    let said = u32::try_from(said).unwrap();
    let prompt = if rest.is_empty() || key.is_some() { "the prompt" } else { rest };
    let prompt = text(prompt);
    Input::TurnPrepared { turn, prompt, request: None, policy: None, session, said }
}

/// What people, signals and the engine itself say, whatever is owed.
fn command(word: &str, rest: &str, words: &[&str]) -> Result<Option<Input>, String> {
    match word {
        "start" => {
            only(words, &["max_steps", "fallbacks", "codex", "named", "workspace", "full_auto"])?;
        }
        "resume" => {
            let bounds = ["usd", "tokens", "turns", "wall"];
            let others = ["max_steps", "max_visits", "of_step", "tree", "edited"];
            only(words, &[&others, &bounds[..]].concat())?;
        }
        "stop" => only(words, &["signal", "tree"])?,
        "cancel" => only(words, &[])?,
        "found" => only(words, &["workspace", "of", "version"])?,
        _ => {}
    }
    Ok(Some(match word {
        "start" => {
            let mut start = start(value(words, "max_steps").map(number).transpose()?);
            if let (Input::Start { fallbacks, .. }, Some(names)) =
                (&mut start, value(words, "fallbacks"))
            {
                *fallbacks = names.split(',').map(program).collect();
            }
            if let Input::Start { workspace, .. } = &mut start {
                *workspace = value(words, "workspace").map(str::to_owned);
            }
            if let (Input::Start { provider, .. }, Some(version)) =
                (&mut start, value(words, "codex"))
            {
                let version = version.to_owned();
                let harness = Harness { version, ..Harness::default() };
                *provider = Some(Provider::Codex(Box::new(harness)));
            }
            // `named=claude:opus@2.1.0`
            if let (Input::Start { providers, .. }, Some((name, version))) =
                (&mut start, value(words, "named").and_then(|named| named.split_once('@')))
            {
                let version = version.to_owned();
                let harness = Box::new(Harness { version, ..Harness::default() });
                providers.insert(name.to_owned(), Provider::Claude(harness));
            }
            if let Input::Start { full_auto, .. } = &mut start {
                *full_auto = value(words, "full_auto") == Some("yes");
            }
            start
        }
        "gives" => Input::OutputReady { value: text(rest) },
        "stuck" => Input::Stuck { message: rest.to_owned() },
        "policy_refused" => Input::PolicyRefused { message: rest.to_owned() },
        "resume" => Input::Resume {
            raise: raise(words)?,
            tree: tree(words),
            edited: value(words, "edited")
                .map(|all| all.split(',').map(str::to_owned).collect())
                .unwrap_or_default(),
        },
        "stop" => Input::Stop {
            cause: InterruptCause::Signal(number(value(words, "signal").ok_or("which signal?")?)?),
            tree: tree(words),
        },
        "say" => {
            let (id, words) = rest.split_once(": ").ok_or("`say id: words`")?;
            Input::Say { said: Said { id: id.to_owned(), text: text(words) } }
        }
        "found" => Input::Found {
            workspace: value(words, "workspace").ok_or("where?")?.to_owned(),
            of: value(words, "of").map(str::to_owned),
            version: value(words, "version").map(str::to_owned),
        },
        "attach" => {
            let (session, token) = rest.split_once(' ').ok_or("`attach session token`")?;
            let session = SessionKey(session.to_owned());
            let tree = Some(SnapshotId("before".to_owned()));
            Input::Attach { attached: Attached { session, token: token.to_owned(), tree } }
        }
        "cancel" => Input::Cancel,
        _ => return Ok(None),
    }))
}

/// Who is meant: the named turn, or what is owed.
struct Place<'a> {
    named: Option<&'a str>,
    owed: Option<&'a Effect>,
}

impl Place<'_> {
    fn turn(&self) -> Result<TurnId, String> {
        if let Some(named) = self.named {
            return named.parse().map_err(|_| format!("`{named}` is no turn"));
        }
        match self.owed {
            Some(
                Effect::Prepare { turn, .. }
                | Effect::RunTurn { turn, .. }
                | Effect::Judge { turn, .. }
                | Effect::Restore { turn, .. },
            ) => Ok(turn.clone()),
            other => Err(format!("no turn is owed: {other:?}")),
        }
    }

    fn visit(&self) -> Result<VisitId, String> {
        self.unnamed()?;
        match self.owed {
            Some(
                Effect::Enter { visit }
                | Effect::RunChecks { visit, .. }
                | Effect::Seal { visit }
                | Effect::Hand { visit, .. }
                | Effect::PlanChildren { visit },
            ) => Ok(visit.clone()),
            other => Err(format!("no visit is owed: {other:?}")),
        }
    }

    fn worklist(&self) -> Result<WorklistName, String> {
        self.unnamed()?;
        match self.owed {
            Some(Effect::ReadItems { worklist, .. }) => Ok(worklist.clone()),
            other => Err(format!("no items are owed: {other:?}")),
        }
    }

    fn unnamed(&self) -> Result<(), String> {
        self.named.map_or(Ok(()), |named| Err(format!("this is not said of turn `{named}`")))
    }
}

/// `class [until=9]: message`
fn failed(turn: TurnId, said: &str) -> Result<Input, String> {
    let (class, message) = said.split_once(": ").ok_or("`fails class: message`")?;
    let (class, until) = match class.split_once(" until=") {
        Some((class, until)) => (class, Some(until)),
        None => (class, None),
    };
    let class = class_of(class)?;
    let pause = until.map(|until| pause_of(class, message, until)).transpose()?;
    let result = TurnResult::Failed { class, message: message.to_owned() };
    Ok(Input::TurnEnded { turn, result, evidence: Evidence::default(), pause })
}

/// `class until=9: message`
fn held(turn: TurnId, said: &str) -> Result<Input, String> {
    let (rule, message) = said.split_once(": ").ok_or("`held class until=9: message`")?;
    let (class, until) = rule.split_once(" until=").ok_or("until when?")?;
    Ok(Input::TurnHeld { turn, hold: pause_of(class_of(class)?, message, until)? })
}

fn class_of(word: &str) -> Result<FailureClass, String> {
    let json = serde_json::Value::String(word.to_owned());
    serde_json::from_value(json).map_err(|_| format!("`{word}` is no class"))
}

fn pause_of(class: FailureClass, message: &str, until: &str) -> Result<Hold, String> {
    let until = number(until)?;
    Ok(Hold { until, message: message.to_owned(), ..hold(class) })
}

fn ended(turn: TurnId, result: TurnResult) -> Input {
    Input::TurnEnded { turn, result, evidence: Evidence::default(), pause: None }
}

/// `checkpoint: answer`
fn completes(turn: TurnId, said: &str) -> Result<Input, String> {
    let (mark, answer) = said.split_once(": ").ok_or("`completes checkpoint: answer`")?;
    let evidence = Evidence { checkpoint: Some(mark.to_owned()), ..Evidence::default() };
    Ok(Input::TurnEnded { turn, result: completed(answer, None), evidence, pause: None })
}

fn completed(answer: &str, exit: Option<i32>) -> TurnResult {
    TurnResult::Completed { text: Ref::Inline(answer.to_owned()), exit }
}

fn item(id: &str) -> Item {
    let id: botpipe_kernel::ids::ItemId = id.parse().unwrap();
    Item { payload: text("{}"), title: None, status: ItemStatus::Planned, id }
}

/// `name=passed` or `name=failed`.
fn check(word: &str) -> CheckResult {
    let (name, how) = word.split_once('=').unwrap();
    let failed = CheckStatus::Failed { why: "exit code 1".to_owned() };
    let status = if how == "passed" { CheckStatus::Passed } else { failed };
    CheckResult { name: name.parse().unwrap(), status, output: None }
}

/// `name=good`, `stale`, `missing` or `invalid`; words with these other keys are not artifacts.
pub(crate) fn findings(words: &[&str], others: &[&str]) -> Result<Vec<Finding>, String> {
    let mut findings = Vec::new();
    for word in words {
        let (name, how) = word.split_once('=').ok_or_else(|| format!("`{word}`?"))?;
        if others.contains(&name) {
            continue;
        }
        let state = match how {
            "good" => FindingState::Good { digest: digest(8) },
            "stale" => FindingState::Stale { digest: digest(8) },
            "missing" => FindingState::Missing,
            "invalid" => FindingState::Invalid { why: "is not JSON".to_owned() },
            _ => return Err(format!("`{how}` is no state of an artifact")),
        };
        let artifact = name.parse().map_err(|_| format!("`{name}` is no artifact"))?;
        findings.push(Finding { artifact, path: format!("{name}.json"), state });
    }
    Ok(findings)
}

/// `tag [artifact=state …] [hands=what] [asks=what] [choices=a,b] [true=tag,tag] [set=state.x:1]`; `_`
/// is a blank.
pub(crate) fn outcome(words: &[&str]) -> Result<Outcome, String> {
    let (tag, rest) = words.split_first().ok_or("which outcome?")?;
    let question = value(rest, "asks").map(|asks| AskedQuestion {
        text: asks.replace('_', " "),
        choices: value(rest, "choices")
            .map(|all| all.split(',').map(str::to_owned).collect())
            .unwrap_or_default(),
        schema: None,
    });
    let handoff = value(rest, "hands").map(|hands| text(&hands.replace('_', " ")));
    let whens = value(rest, "true").unwrap_or_default().split(',').filter(|tag| !tag.is_empty());
    let whens = whens.map(|tag| tag.parse().unwrap()).collect();
    let changes = value(rest, "set").map(change).transpose()?.into_iter().collect();
    let findings = findings(rest, &["hands", "asks", "choices", "true", "set"])?;
    let tag = (*tag).to_owned();
    let exit = Exit { whens, handoff, question, changes };
    Ok(Outcome { tag, payload: None, fields: None, findings, exit })
}

/// `state.round:2`
pub(crate) fn change(word: &str) -> Result<StateChange, String> {
    let (place, value) = word.split_once(':').ok_or("`set=state.x:1`")?;
    Ok(StateChange { place: place.parse()?, value: text(value) })
}

fn raise(words: &[&str]) -> Result<Raise, String> {
    let max_steps = value(words, "max_steps").map(number).transpose()?;
    let mut raise = Raise { max_steps, ..Raise::default() };
    if let Some(of_step) = value(words, "max_visits") {
        let (step, n) = of_step.split_once(':').ok_or("`max_visits=step:9`")?;
        let step = step.parse().map_err(|_| format!("`{step}` is no step"))?;
        raise.max_visits.insert(step, number(n)?);
    }
    // With `of_step=x` the amounts are those of the step.
    let budget = budget(words)?;
    match value(words, "of_step") {
        Some(step) => {
            let step = step.parse().map_err(|_| format!("`{step}` is no step"))?;
            raise.step_budgets.insert(step, budget);
        }
        None => raise.budget = budget,
    }
    Ok(raise)
}

/// `usd=… tokens=… turns=… wall=…`, of which any may be left out.
pub(crate) fn budget(words: &[&str]) -> Result<Budget, String> {
    Ok(Budget {
        cost: value(words, "usd").map(number).transpose()?,
        tokens: value(words, "tokens").map(number).transpose()?,
        turns: value(words, "turns").map(number).transpose()?,
        wall_ms: value(words, "wall").map(number).transpose()?,
    })
}

/// `input=100 output=10 [usd=…] [took=…]: answer`
fn spent(turn: TurnId, said: &str) -> Result<Input, String> {
    let (amounts, answer) = said.split_once(": ").ok_or("`spends input=1 output=1: answer`")?;
    let words: Vec<&str> = amounts.split(' ').collect();
    only(&words, &["input", "output", "usd", "took"])?;
    let amount = |key: &str| value(&words, key).map(number::<u64>).transpose();
    let usage = Usage {
        input: amount("input")?.unwrap_or(0),
        output: amount("output")?.unwrap_or(0),
        cost: amount("usd")?,
        ..Usage::default()
    };
    let took_ms = amount("took")?.unwrap_or(0);
    let evidence = Evidence { usage: Some(usage), took_ms, ..Evidence::default() };
    Ok(Input::TurnEnded { turn, result: completed(answer, None), evidence, pause: None })
}

fn program(name: &str) -> Provider {
    Provider::Command { program: name.to_owned(), args: Vec::new() }
}

fn tree(words: &[&str]) -> Option<SnapshotId> {
    value(words, "tree").map(|tree| SnapshotId(tree.to_owned()))
}

pub(crate) fn value<'t>(words: &[&'t str], key: &str) -> Option<&'t str> {
    words.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

pub(crate) fn number<N: FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| format!("`{text}` is no number"))
}

/// What would be ignored is refused: every word is one of these keys and its value.
pub(crate) fn only(words: &[&str], keys: &[&str]) -> Result<(), String> {
    let known = |word: &str| word.split_once('=').is_some_and(|(key, _)| keys.contains(&key));
    words.iter().find(|word| !known(word)).map_or(Ok(()), |word| Err(format!("`{word}`?")))
}
