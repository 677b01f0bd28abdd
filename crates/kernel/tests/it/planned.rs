//! Plans as scenarios write them: a step a block, a word a line.

use std::collections::BTreeMap;

use botpipe_kernel::plan::{
    Action, Ask, Budget, Check, Children, Code, Continuity, Isolation, Join, OnInterrupt, OnLimit,
    Plan, Program, Route, Settle, Step, Target, TurnProvider, Visibility, WaitFor, Work,
};
use botpipe_kernel::run::Verdict;

use crate::plans;
use crate::said;

/// Reads the head of a scenario; lines that begin with `#` say what it is about.
pub(crate) fn plan(lines: &[&str]) -> Result<Plan, String> {
    let mut steps: Vec<Step> = Vec::new();
    let mut max_steps = None;
    let mut budget = Budget::default();
    let mut output = None;
    for line in lines.iter().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (key, rest) = line.trim().split_once(' ').ok_or_else(|| format!("`{line}`?"))?;
        match (key, steps.last_mut()) {
            ("step", _) => steps.push(plans::step(rest, plans::prompt(&[]), Vec::new())),
            ("max_steps", _) => max_steps = Some(number(rest)?),
            ("output", _) => output = Some(rest),
            ("budget", None) => budget = said::budget(&rest.split(' ').collect::<Vec<_>>())?,
            (_, Some(step)) => word(step, key, rest)?,
            _ => return Err(format!("`{line}` is of no step")),
        }
    }
    if steps.is_empty() {
        return Err("it has no plan".to_owned());
    }
    let mut plan = plans::plan(steps);
    plan.budget = budget;
    plan.output = output.map(plans::output);
    for target in plan.steps.iter().flat_map(targets) {
        if let Target::Step(id) = target
            && plan.step(id).is_none()
        {
            return Err(format!("a route leads to `{id}`, and there is no such step"));
        }
    }
    plan.limits.max_steps = max_steps.unwrap_or(plan.limits.max_steps);
    Ok(plan)
}

fn targets(step: &Step) -> impl Iterator<Item = &Target> {
    step.routes.iter().flat_map(|route| route.action.targets())
}

fn group(of: Children) -> Work {
    Work::Group { group: Box::new(plans::group(of)) }
}

fn children(step: &mut Step, key: &str, rest: &str) -> Result<(), String> {
    let Work::Group { group } = &mut step.work else { return Err(format!("`{key}` of no group")) };
    match (key, rest) {
        ("concurrency", n) => group.concurrency = number(n)?,
        ("settle", "fail_fast") => group.settle = Settle::FailFast,
        ("join", "all_settled") => group.join = Join::AllSettled,
        ("join", "any_done") => group.join = Join::AnyDone,
        ("isolation", "worktree") => group.isolation = Isolation::Worktree,
        ("fan_in", "-") => group.fan_in = Some(plans::turn(&[])),
        _ => return Err(format!("`{key} {rest}`?")),
    }
    Ok(())
}

fn word(step: &mut Step, key: &str, rest: &str) -> Result<(), String> {
    let words: Vec<&str> = rest.split_whitespace().filter(|word| *word != "-").collect();
    let names = || words.iter().map(|name| name.parse().unwrap()).collect();
    match key {
        "prompt" => step.work = plans::prompt(&words),
        "parallel" => step.work = group(plans::branches(&words)),
        "workflow" => step.work = group(Children::Workflow { child: plans::child() }),
        "concurrency" | "settle" | "join" | "isolation" | "fan_in" => children(step, key, rest)?,
        "run" => {
            let program = Program { command: Code::Command(plans::digest(2)), writes: names() };
            step.work = Work::Run { program };
        }
        "call" => step.work = plans::call(),
        "hooks" => {
            for hook in &words {
                let of = &mut step.hooks;
                let hook = match *hook {
                    "before" => &mut of.before,
                    "before_producer" => &mut of.before_producer,
                    "after_producer" => &mut of.after_producer,
                    "before_verifier" => &mut of.before_verifier,
                    "after_verifier" => &mut of.after_verifier,
                    "after" => &mut of.after,
                    _ => return Err(format!("`{hook}` is no hook")),
                };
                *hook = Some(Box::new(plans::function()));
            }
        }
        "validate" => match words.as_slice() {
            [validates, feedback] => step.work = plans::validate(validates, feedback),
            _ => return Err("`validate ARTIFACT FEEDBACK`".to_owned()),
        },
        "classify" => step.work = plans::classify(&words),
        "llm" => step.work = Work::Llm { turn: plans::turn(&[]) },
        "ask" => step.work = Work::Ask { ask: ask(&words)? },
        "wait" => step.work = Work::Wait { until: wait(&words)? },
        "produce" => step.work = plans::produce_verify(&words, &[], &[]),
        "verify" => match &mut step.work {
            Work::ProduceVerify { verifier, .. } => verifier.writes = names(),
            _ => return Err("`verify` comes after `produce`".to_owned()),
        },
        "checks" => match &mut step.work {
            Work::ProduceVerify { checks, .. } => {
                let check = |name: &&str| Check {
                    name: name.parse().unwrap(),
                    command: plans::digest(3),
                    when: None,
                    timeout_ms: None,
                };
                *checks = words.iter().map(check).collect();
            }
            _ => return Err("`checks` come after `produce`".to_owned()),
        },
        "session" => {
            let kept = match rest {
                "run" => Continuity::Run,
                "work_item" => Continuity::WorkItem,
                "fresh" => Continuity::Fresh,
                "task" => Continuity::Task,
                _ => return Err(format!("`{rest}` is no session")),
            };
            match &mut step.work {
                Work::Prompt { turn } | Work::Classify { turn, .. } | Work::Llm { turn } => {
                    turn.session = kept;
                }
                Work::ProduceVerify { producer, verifier, .. } => {
                    (producer.session, verifier.session) = (kept.clone(), kept);
                }
                _ => return Err("a step without agents has no session".to_owned()),
            }
        }
        "scope" => step.scope = Some(rest.parse().unwrap()),
        "requires" => step.requires = names(),
        "provider" | "verifier_provider" => provider(step, key, rest)?,
        "budget" => step.budget = said::budget(&words)?,
        "max_visits" => step.max_visits = number(rest)?,
        "max_attempts" => step.max_attempts = number(rest)?,
        "on_interrupt" => {
            step.on_interrupt = match rest {
                "resume" => OnInterrupt::Resume,
                "restart" => OnInterrupt::Restart,
                "ask" => OnInterrupt::Ask,
                _ => return Err(format!("`{rest}` is no on_interrupt")),
            };
        }
        "on_limit" => {
            step.on_limit = Some(match rest {
                "wait" => OnLimit::Wait,
                "pause" => OnLimit::Pause,
                "fail" => OnLimit::Fail,
                "fallback" => OnLimit::Fallback,
                _ => return Err(format!("`{rest}` is no on_limit")),
            });
        }
        "route" => step.routes.push(route(rest)?),
        _ => return Err(format!("no step has `{key}`")),
    }
    Ok(())
}

/// `accepted -> TARGET [, completes | advances | refreshes, else TARGET]
/// [, completes_current | resets] [, checks a b] [, writes a b] [, verdict rejected]
/// [, when] [, hidden | interactive] [, inherited] [, hooked]`.
fn route(text: &str) -> Result<Route, String> {
    let mut parts = text.split(", ");
    let (tag, target) =
        parts.next().and_then(|way| way.split_once(" -> ")).ok_or(format!("`{text}`?"))?;
    let mut route = plans::to(tag, target);
    for part in parts {
        let (key, rest) = part.split_once(' ').unwrap_or((part, ""));
        match key {
            "completes" | "advances" | "refreshes" | "completes_current" | "resets" => {
                let (next, exhausted) = (plans::target_of(target), plans::target_of("FINISH"));
                route.action = match key {
                    "completes" => Action::CompleteAndAdvance { next, exhausted },
                    "advances" => Action::Advance { next, exhausted },
                    "refreshes" => Action::Refresh { next, exhausted },
                    "completes_current" => Action::CompleteCurrent { next },
                    _ => Action::Reset { next },
                };
            }
            "else" => match &mut route.action {
                Action::CompleteAndAdvance { exhausted, .. }
                | Action::Advance { exhausted, .. }
                | Action::Refresh { exhausted, .. } => *exhausted = plans::target_of(rest),
                _ => {
                    return Err(
                        "`else` comes after `completes`, `advances`, `refreshes`".to_owned()
                    );
                }
            },
            "checks" => {
                route.required_checks = rest.split(' ').map(|n| n.parse().unwrap()).collect();
            }
            "writes" => {
                let names = rest.split_whitespace().filter(|word| *word != "-");
                route.required_writes = Some(names.map(|name| name.parse().unwrap()).collect());
            }
            "verdict" => route.verdict = Some(verdict(rest)?),
            "hidden" => route.visibility = Visibility::Hidden,
            "interactive" => route.visibility = Visibility::InteractiveOnly,
            "inherited" => route.inherited = true,
            "hooked" => route.on_taken = Some(Box::new(plans::function())),
            "when" => route.when = Some(plans::digest(7)),
            _ => return Err(format!("no route has `{part}`")),
        }
    }
    Ok(route)
}

fn verdict(word: &str) -> Result<Verdict, String> {
    let all = BTreeMap::from([("accepted", Verdict::Accepted), ("rejected", Verdict::Rejected)]);
    all.get(word).copied().ok_or_else(|| format!("`{word}` is no verdict"))
}

/// `[choices=a,b] [shows=x] [timeout=9]`, or `-`.
fn ask(words: &[&str]) -> Result<Ask, String> {
    said::only(words, &["choices", "shows", "timeout"])?;
    let list = |key| {
        let all = said::value(words, key).unwrap_or_default();
        all.split(',').filter(|word| !word.is_empty())
    };
    Ok(Ask {
        question: plans::digest(1),
        choices: list("choices").map(str::to_owned).collect(),
        answer: None,
        shows: list("shows").map(|name| name.parse().unwrap()).collect(),
        timeout_ms: said::value(words, "timeout").map(said::number).transpose()?,
    })
}

/// `span=9`, `moment` or `signal=name [timeout=9]`.
fn wait(words: &[&str]) -> Result<WaitFor, String> {
    if words == ["moment"] {
        return Ok(WaitFor::Moment { at: plans::digest(1) });
    }
    said::only(words, &["span", "signal", "timeout"])?;
    let time = |key| said::value(words, key).map(said::number).transpose();
    match (time("span")?, said::value(words, "signal")) {
        (Some(ms), None) => Ok(WaitFor::Span { ms }),
        (None, Some(name)) => {
            let name = name.parse().map_err(|_| format!("`{name}` is no signal"))?;
            Ok(WaitFor::Signal { name, timeout_ms: time("timeout")? })
        }
        _ => Err("`wait span=9`, `wait moment` or `wait signal=name`".to_owned()),
    }
}

fn provider(step: &mut Step, key: &str, rest: &str) -> Result<(), String> {
    match (key, &mut step.work) {
        ("provider", _) => step.provider = Some(Box::new(named(rest))),
        (_, Work::ProduceVerify { verifier, .. }) => {
            verifier.provider = Some(Box::new(named(rest)));
        }
        _ => return Err("`verifier_provider` comes after `produce`".to_owned()),
    }
    Ok(())
}

/// `codex`, `claude:opus`.
fn named(text: &str) -> TurnProvider {
    let (name, model) = text.split_once(':').map_or((text, None), |(name, it)| (name, Some(it)));
    TurnProvider::Harness { name: name.to_owned(), model: model.map(str::to_owned) }
}

fn number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("`{text}` is no number"))
}
