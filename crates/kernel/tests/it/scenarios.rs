//! Scenarios as text: a plan, what the world says, and what the kernel makes of it.
//!
//! Each file of `tests/scenarios` is a plan in a few words, then blocks of one thing said (`> …`) and
//! what follows: the events, the run's state where it does not move, and the work that is owed.
//! `UPDATE_SCENARIOS=1` writes what follows anew; without it a difference is a failure.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use botpipe_kernel::ids::{CheckName, RouteTag};
use botpipe_kernel::run::{Effect, Event, Lifecycle, Ref, Run, decide, outstanding};
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
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let written = fs::read_to_string(&file).unwrap();
        let played = play(&name, &written);
        if std::env::var_os("UPDATE_SCENARIOS").is_some() {
            fs::write(&file, &played).unwrap();
        } else if played != written {
            let (n, (was, is)) = difference(&written, &played);
            write!(wrong, "\n{name}:{n}\n  written: {was}\n  goes:    {is}\n").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}\nUPDATE_SCENARIOS=1 writes them anew");
}

/// The first line that differs, and its number.
fn difference<'t>(written: &'t str, played: &'t str) -> (usize, (&'t str, &'t str)) {
    let end = std::iter::repeat("(nothing)");
    let pairs = written.lines().chain(end.clone()).zip(played.lines().chain(end));
    pairs.enumerate().map(|(n, pair)| (n + 1, pair)).find(|(_, (was, is))| was != is).unwrap()
}

/// The whole file as it should read.
fn play(name: &str, written: &str) -> String {
    let mut text = String::new();
    let mut run: Option<Run> = None;
    let mut events = Vec::new();
    let head: Vec<&str> = written.lines().take_while(|line| !line.starts_with('>')).collect();
    let plan = Arc::new(planned::plan(&head).unwrap_or_else(|why| panic!("{name}: {why}")));
    for line in &head {
        text.push_str(line);
        text.push('\n');
    }
    for (n, line) in written.lines().enumerate().skip(head.len()) {
        // What follows is written anew; blank lines and remarks before a saying are kept.
        if line.is_empty() || line.starts_with('#') {
            text.push_str(line);
            text.push('\n');
        }
        let Some(said) = line.strip_prefix("> ") else { continue };
        writeln!(text, "{line}").unwrap();
        let run = run.get_or_insert_with(|| Run::new(Arc::clone(&plan)));
        let input = match said::input(run, said) {
            Ok(input) => input,
            Err(why) => {
                writeln!(text, "  cannot be said: {why}").unwrap();
                continue;
            }
        };
        let before = outstanding(run);
        match decide(run, input) {
            Err(refusal) => writeln!(text, "  refused: {refusal:?}").unwrap(),
            Ok(new) => {
                for event in &new {
                    writeln!(text, "  {}", told(event)).unwrap();
                    run.evolve(event);
                }
                if new.is_empty() {
                    text.push_str("  nothing\n");
                }
                events.extend(new);
                for effect in outstanding(run) {
                    let still = if before.contains(&effect) { "still owes" } else { "owes" };
                    writeln!(text, "  {still} {}", owed(&effect)).unwrap();
                }
                if !matches!(run.lifecycle, Lifecycle::Running) {
                    writeln!(text, "  is {}", lifecycle(&run.lifecycle)).unwrap();
                }
            }
        }
        let mut folded = Run::new(Arc::clone(&plan));
        for event in &events {
            folded.evolve(event);
        }
        assert_eq!(folded, *run, "{name}:{}: what is stored is not what is live", n + 1);
    }
    text
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
        Effect::Prepare { cause, feedback, offered, session, .. } => {
            let mut line = format!("{id}: {}", short(&serde_json::to_value(cause).unwrap()));
            if !offered.is_empty() {
                write!(line, ", offers {}", list(offered)).unwrap();
            }
            for told in feedback {
                write!(line, ", told {}", short(&serde_json::to_value(told).unwrap())).unwrap();
            }
            if let Some(token) = session.as_ref().and_then(|session| session.token.as_ref()) {
                write!(line, ", goes on with {token}").unwrap();
            }
            line
        }
        Effect::RunTurn { prompt: Ref::Inline(prompt), .. } => format!("{id}: {prompt}"),
        Effect::RunChecks { checks, .. } => {
            let names: Vec<_> = checks.iter().map(CheckName::as_str).collect();
            format!("{id}: {}", names.join(" "))
        }
        Effect::Judge { offered, exit, .. } => {
            let exit = exit.map(|code| format!(", exit code {code}")).unwrap_or_default();
            format!("{id}: offers {}{exit}", list(offered))
        }
        Effect::WriteStatus { status, .. } => format!("{id}: {}", status.as_str()),
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
        Lifecycle::Stopped(stop) => format!("stopped: {stop}"),
        Lifecycle::Finished(verdict) => format!("finished: {verdict:?}").to_lowercase(),
        Lifecycle::Cancelled => "cancelled".to_owned(),
    }
}
