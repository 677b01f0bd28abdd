//! Why a run stands where it stands, in lines for a person.

use std::fmt::Write as _;
use std::time::Duration;

use botpipe_engine::process::Clock;
use botpipe_engine::why::{Cause, Deadline, Next, Why, Work};
use botpipe_kernel::ids::TurnId;
use botpipe_kernel::plan::OnLimit;
use botpipe_kernel::run::{Hold, Stop, Wait};

use super::clock::{moment, span};
use super::end::question_text;
use super::next::Named;
use super::output::{one_line, printable};
use super::words;

/// What holds a run, since when, until when, and what unblocks it.
pub(crate) fn text(why: &Why, named: &Named<'_>) -> String {
    let run = &why.summary;
    let mut text = format!("run {} of task {} ({}) ", run.run, run.task, run.workflow);
    text.push_str(&cause(&why.cause));
    line(&mut text, "since", &ago(why.since, why.at));
    if let Cause::Held { hold, .. } = &why.cause {
        line(&mut text, "until", &ahead(hold.until, why.at));
    }
    if let Some(owner) = &run.owner {
        let word = if run.owned { "moved by" } else { "was moved by" };
        line(&mut text, word, &owner.to_string());
    }
    if let Cause::Works(work) = &why.cause {
        works(&mut text, work, why.at);
    }
    if why.unheard > 0 {
        let n = why.unheard;
        line(&mut text, "said", &format!("{n} of what people said the next turn is told"));
    }
    if let Some(behind) = &why.behind {
        let owner = behind.owner.as_ref().map_or_else(String::new, |it| format!(", by {it}"));
        let whose = format!("run {} of task {} ({})", behind.run, behind.task, behind.workflow);
        line(&mut text, "in its way", &format!("{whose} works in this workspace{owner}"));
    }
    if let Some(unblocks) = &why.unblocks {
        line(&mut text, "unblocks", unblocks);
    }
    if let Some(next) = &why.next {
        line(&mut text, "next", &named.next(next));
        if *next == Next::Follow {
            line(&mut text, "or", &named.command("say", " '…'"));
            line(&mut text, "or", &named.command("cancel", ""));
        }
    }
    text
}

fn line(text: &mut String, name: &str, rest: &str) {
    let _ = writeln!(text, "  {name}: {rest}");
}

fn cause(cause: &Cause) -> String {
    match cause {
        Cause::Works(work) => format!("{}\n", work.doing),
        Cause::OwnerLost { turn, .. } => {
            let turn = turn.as_ref().map(|(turn, _)| format!(", inside turn {turn}"));
            format!("is left alone: its owner is gone{}\n", turn.unwrap_or_default())
        }
        Cause::Asks { question, schema } => {
            let mut text = format!("waits for an answer\n{}", question_text(question));
            if let Some(schema) = schema {
                line(&mut text, "schema of the answer", &one_line(schema, 400));
            }
            text
        }
        Cause::Awaits { wait, attended } => awaits(wait, *attended),
        Cause::Held { hold, attended } => held(hold, *attended),
        Cause::Stopped { stop, turn } => stopped(stop, turn.as_ref()),
        Cause::Finished { verdict, by } => {
            let by = by.as_ref().map(|(visit, tag)| format!(" (route {tag} of visit {visit})"));
            format!("{}{}\n", words::finished(*verdict), by.unwrap_or_default())
        }
        Cause::Cancelled => "was cancelled: it is over for good\n".to_owned(),
    }
}

fn awaits(wait: &Wait, attended: bool) -> String {
    match &wait.signal {
        Some(name) => format!("waits for signal `{name}`\n"),
        None if attended => "waits for a time; its owner waits\n".to_owned(),
        None => "waits for a time; nobody waits with it\n".to_owned(),
    }
}

fn held(hold: &Hold, attended: bool) -> String {
    let who = if attended { "its owner waits" } else { "nobody waits with it" };
    let mut text = format!("waits for a time; {who}\n");
    line(&mut text, "reason", &printable(&hold.to_string()));
    if let Some(login) = &hold.login {
        line(&mut text, "login", &format!("{login}; no run on it asks anything until then"));
        let word = match hold.on_limit {
            OnLimit::Pause => "pause",
            OnLimit::Wait | OnLimit::Fail | OnLimit::Fallback => "wait",
        };
        line(&mut text, "on limit", word);
    }
    text
}

fn stopped(stop: &Stop, turn: Option<&TurnId>) -> String {
    let before = turn.map(|turn| format!(" before turn {turn}")).unwrap_or_default();
    let mut text = format!("stopped{before}\n");
    if let Stop::Provider { class, .. } = stop {
        line(&mut text, "class", class.as_str());
    }
    line(&mut text, "reason", &printable(&stop.to_string()));
    text
}

fn works(text: &mut String, work: &Work, now: u64) {
    if let Some(process) = &work.process {
        line(text, "process", &process.pid.to_string());
    }
    if work.turn.is_some() {
        line(text, "last sign of life", &ago(work.last_sign, now));
    }
    for deadline in &work.deadlines {
        line(text, "ends it", &ends(deadline, now));
    }
}

fn ends(deadline: &Deadline, now: u64) -> String {
    let set = span(deadline.after);
    let what = match (deadline.clock, deadline.busy) {
        (Clock::Wall, _) => format!("{set} in all"),
        (Clock::Opening, _) => format!("{set} without a first word"),
        (Clock::Idle, false) => format!("{set} without a word"),
        (Clock::Idle, true) => format!("{set} without a word while a command of it runs"),
        (Clock::Stall, _) => format!("{set} with nothing but notices that it tries again"),
    };
    match deadline.at {
        Some(at) => format!("{what}: {}", ahead(at, now)),
        None => what,
    }
}

/// A clock as JSON names it.
pub(crate) fn clock(clock: Clock) -> &'static str {
    match clock {
        Clock::Wall => "wall",
        Clock::Opening => "opening",
        Clock::Idle => "idle",
        Clock::Stall => "stall",
    }
}

fn ago(at: u64, now: u64) -> String {
    format!("{} UTC ({} ago)", moment(at), span(Duration::from_millis(now.saturating_sub(at))))
}

fn ahead(at: u64, now: u64) -> String {
    match at.saturating_sub(now) {
        0 => format!("{} UTC (that is over)", moment(at)),
        left => format!("{} UTC (in {})", moment(at), span(Duration::from_millis(left))),
    }
}
