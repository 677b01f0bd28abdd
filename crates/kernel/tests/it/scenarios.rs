//! Scenarios as text: a plan, what the world says, and what the kernel makes of it.
//!
//! Each file of `tests/scenarios` is a plan in a few words, then blocks of one thing said (`> …`) and
//! what follows: the events, the run's state where it does not move, and the work that is owed.
//! `UPDATE_SCENARIOS=1` writes what follows anew; without it a difference is a failure. What cannot be
//! read fails either way.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use botpipe_kernel::ids::{CheckName, RouteTag};
use botpipe_kernel::run::{Effect, Event, Lifecycle, Ref, Run, SessionUse, decide, outstanding};
use serde_json::Value;

use crate::planned;
use crate::said;

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the scenarios are files; the kernel never sees them"
)]
fn every_scenario_goes_as_it_is_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 15, "scenarios are missing: {}", files.len());
    let mut wrong = String::new();
    let mut told = BTreeSet::new();
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let written = fs::read_to_string(&file).unwrap();
        match play(&written, &mut told) {
            Err((line, why)) => write!(wrong, "\n{name}:{line}\n  {why}\n").unwrap(),
            Ok(played) if std::env::var_os("UPDATE_SCENARIOS").is_some() => {
                fs::write(&file, &played).unwrap();
            }
            Ok(played) if played != written => {
                write!(wrong, "\n{name}:{}", difference(&written, &played)).unwrap();
            }
            Ok(_) => {}
        }
    }
    assert!(
        wrong.is_empty(),
        "{wrong}\nUPDATE_SCENARIOS=1 writes anew what follows from what is said"
    );
    let untold: Vec<_> = event_kinds().into_iter().filter(|kind| !told.contains(kind)).collect();
    assert!(untold.is_empty(), "no scenario has {untold:?}");
}

/// The `kind` of every event there is, as its source lists them.
fn event_kinds() -> Vec<&'static str> {
    let (_, list) = include_str!("../../src/run/event.rs").split_once("fn kind(").unwrap();
    let arms = list.lines().filter_map(|line| line.split_once("=> \""));
    let kinds: Vec<_> = arms.filter_map(|(_, kind)| kind.strip_suffix("\",")).collect();
    assert!(kinds.contains(&"run_created") && kinds.contains(&"run_cancelled"), "{kinds:?}");
    kinds
}

/// Where a file and its play part, under what was said there, with the lines that follow.
fn difference(written: &str, played: &str) -> String {
    const SHOWN: usize = 4;
    let (was, is): (Vec<&str>, Vec<&str>) = (written.lines().collect(), played.lines().collect());
    let same = was.iter().zip(&is).take_while(|(was, is)| was == is).count();
    let said = was[..same].iter().rfind(|line| line.starts_with('>')).unwrap_or(&"(the end)");
    let mut text = format!("{}\n  {said}\n", same + 1);
    for (sign, lines) in [('-', &was), ('+', &is)] {
        for line in lines[same..].iter().take_while(|line| !line.starts_with('>')).take(SHOWN) {
            writeln!(text, "{sign} {}", line.trim_start()).unwrap();
        }
    }
    text.push_str("  (- as written, + as it goes)\n");
    text
}

/// The whole file as it should read; else the line that cannot be read, and why.
fn play(written: &str, kinds: &mut BTreeSet<&'static str>) -> Result<String, (usize, String)> {
    let mut text = String::new();
    let head: Vec<&str> = written.lines().take_while(|line| !line.starts_with('>')).collect();
    let plan = Arc::new(planned::plan(&head).map_err(|why| (1, why))?);
    for line in &head {
        text.push_str(line);
        text.push('\n');
    }
    let mut run = Run::new(Arc::clone(&plan));
    let mut stored = Vec::new();
    for (n, line) in written.lines().enumerate().skip(head.len()) {
        // What follows is written anew; blank lines and remarks before a saying are kept.
        if line.is_empty() || line.starts_with('#') {
            text.push_str(line);
            text.push('\n');
        }
        let Some(said) = line.strip_prefix('>') else { continue };
        writeln!(text, "{line}").unwrap();
        let input = said::input(&run, said.trim_start()).map_err(|why| (n + 1, why))?;
        let before = outstanding(&run);
        match decide(&run, input) {
            Err(refusal) => writeln!(text, "  refused: {refusal:?}").unwrap(),
            Ok(new) => {
                for event in &new {
                    writeln!(text, "  {}", told(event)).unwrap();
                    kinds.insert(event.kind());
                    stored.push(serde_json::to_string(event).unwrap());
                    run.evolve(event);
                }
                if new.is_empty() {
                    text.push_str("  nothing\n");
                }
            }
        }
        for effect in outstanding(&run) {
            let still = if before.contains(&effect) { "still owes" } else { "owes" };
            writeln!(text, "  {still} {}", owed(&effect)).unwrap();
        }
        if !matches!(run.lifecycle, Lifecycle::Running) {
            writeln!(text, "  is {}", lifecycle(&run.lifecycle)).unwrap();
        }
        let mut folded = Run::new(Arc::clone(&plan));
        for event in &stored {
            folded.evolve(&serde_json::from_str(event).map_err(|why| (n + 1, why.to_string()))?);
        }
        if folded != run {
            return Err((n + 1, "the fold of what is stored is not the live run".to_owned()));
        }
    }
    if stored.is_empty() {
        return Err((head.len(), "nothing happens in it".to_owned()));
    }
    Ok(text)
}

/// `kind name=value …`: an event as it is stored, in one line.
fn told(event: &Event) -> String {
    let Value::Object(fields) = serde_json::to_value(event).unwrap() else { unreachable!() };
    let mut line = event.kind().to_owned();
    for (name, value) in fields.iter().filter(|(name, _)| *name != "kind") {
        write!(line, " {name}={}", short(value)).unwrap();
    }
    line
}

/// A value in as few characters as say it: text in place without its wrapping, digests cut.
fn short(value: &Value) -> String {
    match value {
        Value::String(text) if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) => {
            format!("#{}", &text[..2])
        }
        Value::String(text) if text.contains(' ') || text.is_empty() => format!("{text:?}"),
        Value::String(text) => text.clone(),
        Value::Array(list) => {
            format!("[{}]", list.iter().map(short).collect::<Vec<_>>().join(", "))
        }
        Value::Object(fields) => {
            let all = fields.iter().map(|(name, value)| format!("{name}: {}", short(value)));
            let all = || all.collect::<Vec<_>>().join(", ");
            fields.get("inline").map_or_else(|| format!("{{{}}}", all()), short)
        }
        other => other.to_string(),
    }
}

fn owed(effect: &Effect) -> String {
    let id = effect.id();
    let list =
        |names: &[RouteTag]| names.iter().map(RouteTag::as_str).collect::<Vec<_>>().join(" ");
    match effect {
        Effect::Prepare { cause, feedback, offered, session, said, .. } => {
            let mut line = format!("{id}: {}", short(&serde_json::to_value(cause).unwrap()));
            if !offered.is_empty() {
                write!(line, ", offers {}", list(offered)).unwrap();
            }
            for told in feedback {
                write!(line, ", told {}", short(&serde_json::to_value(told).unwrap())).unwrap();
            }
            for said in said {
                write!(line, ", said {}", short(&serde_json::to_value(&said.text).unwrap()))
                    .unwrap();
            }
            if let Some(SessionUse { token: Some(token), from, .. }) = session {
                let from = from.as_ref().map(|from| format!(", from {from} of it on anew"));
                write!(line, ", goes on with {token}{}", from.unwrap_or_default()).unwrap();
            }
            line
        }
        Effect::RunTurn { prompt: Ref::Inline(prompt), .. } => format!("{id}: {prompt}"),
        Effect::RunChecks { checks, .. } => {
            let names: Vec<_> = checks.iter().map(CheckName::as_str).collect();
            format!("{id}: {}", names.join(" "))
        }
        Effect::Judge { offered, exit, tag, text, .. } => {
            let exit = exit.map(|code| format!(", exit code {code}")).unwrap_or_default();
            let tag = tag.as_ref().map(|tag| {
                format!(", came to {tag} with {}", short(&serde_json::to_value(text).unwrap()))
            });
            format!("{id}: offers {}{exit}{}", list(offered), tag.unwrap_or_default())
        }
        Effect::Pose { changed, .. } if !changed.is_empty() => {
            format!("{id}: changed {}", short(&serde_json::to_value(changed).unwrap()))
        }
        Effect::RunChild { grant, answer, cancel, .. } => {
            let mut line = format!("{id}: {}", short(&serde_json::to_value(grant).unwrap()));
            if let Some(answer) = answer {
                write!(line, ", told {}", short(&serde_json::to_value(answer).unwrap())).unwrap();
            }
            line + if *cancel { ", to its end" } else { "" }
        }
        Effect::WriteStatus { status, .. } => format!("{id}: {}", status.as_str()),
        Effect::Merge { base, branches, before, .. } => {
            let base = base.as_ref().map_or("nothing", |base| &base.0);
            let all = branches.iter().map(|(branch, tree)| format!("{branch} {}", tree.0));
            let all = all.collect::<Vec<_>>().join(", ");
            let before = before.as_ref().map(|it| format!(", after {}", it.tree.0));
            format!("{id}: of {base}: {all}{}", before.unwrap_or_default())
        }
        Effect::ApplyMerge { merge, .. } => format!("{id}: if it is {}", merge.found.0),
        Effect::Restore { to, expected, .. } => match expected {
            Some(expected) => format!("{id}: to {} if it is {}", to.0, expected.0),
            None => format!("{id}: to {} whatever is there", to.0),
        },
        _ => id,
    }
}

fn lifecycle(lifecycle: &Lifecycle) -> String {
    match lifecycle {
        Lifecycle::Unstarted => "not started".to_owned(),
        Lifecycle::Running => "running".to_owned(),
        Lifecycle::Waiting(question) => match question.choices.as_slice() {
            [] => format!("waiting: {}", question.text),
            choices => format!("waiting: {} ({})", question.text, choices.join(", ")),
        },
        Lifecycle::Awaiting(wait) => match wait.until {
            Some(until) => format!("waiting until {until}: {wait}"),
            None => format!("waiting: {wait}"),
        },
        Lifecycle::Held(hold) => format!("held until {}: {hold}", hold.until),
        Lifecycle::Stopped(stop) => format!("stopped: {stop}"),
        Lifecycle::Finished(verdict) => format!("finished: {verdict:?}").to_lowercase(),
        Lifecycle::Cancelled => "cancelled".to_owned(),
    }
}
