//! One trial: a run killed inside a turn of a harness, perhaps its resume too, then resumed to its end.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::Value;

use super::bench::{Bench, Kind};
use super::log::GoneOn;
use super::moment::{ASLEEP, Moment, half_file, rule_of};
use crate::kills::ground::{Ground, GroundError, Tree, error};
use crate::kills::held;
use crate::kills::judge::{self, Cut, Judgement};
use crate::kills::proof::odd;
use crate::kills::trial::survivors;

/// What is done to one run.
#[derive(Debug, Clone, Copy)]
pub struct Trial {
    pub kind: Kind,
    /// The turn that is cut off.
    pub turn: &'static str,
    /// Where in it.
    pub at: Moment,
    /// Where in the turn that goes on the resume is killed too, if it is.
    pub again: Option<Moment>,
}

/// The first so many trials of a harness; of each three with Codex one goes through `exec --json`.
pub fn trials(claude: bool, count: usize) -> Vec<Trial> {
    let planned = PLAN.iter().cycle().enumerate().take(count);
    planned
        .map(|(n, &(turn, at, again))| {
            let kind = match (claude, n % 3) {
                (true, _) => Kind::Claude,
                (false, 2) => Kind::CodexExec,
                (false, _) => Kind::Codex,
            };
            Trial { kind, turn, at, again }
        })
        .collect()
}

/// What came of a trial.
#[derive(Debug, Default)]
pub(super) struct Struck {
    /// How the turn went on after each kill.
    pub(super) gone_on: Vec<(Moment, GoneOn)>,
    /// Whether the harness's sandbox left its empty folders.
    pub(super) placeholders: bool,
    pub(super) judgement: Judgement,
}

/// Performs a trial in a folder of its own, on a copy of `template`; `wanted` is what an unkilled run
/// leaves.
pub(super) fn perform(
    trial: &Trial,
    (botpipe, folder): (&Path, &Path),
    (template, wanted): (&Ground, &Tree),
    rng: &mut Rng,
) -> Result<Struck, GroundError> {
    let moments: Vec<Moment> = [Some(trial.at), trial.again].into_iter().flatten().collect();
    let rules: Vec<Value> =
        moments.iter().enumerate().map(|(n, at)| at.rule(&start_of(trial.turn, n))).collect();
    let bench = Bench::make(trial.kind, botpipe, template, folder, &rules)?;
    let mut faults = Vec::new();
    let mut cuts: Vec<(usize, bool)> = Vec::new();
    let mut durable = Vec::new();
    for (n, at) in moments.iter().enumerate() {
        let command = if n == 0 { bench.run() } else { bench.resume() };
        let pause = Duration::from_millis(rng.u64(..MOST_MS));
        faults.extend(kill_at(&bench, command, *at, &start_of(trial.turn, n), pause)?);
        faults.extend(survivors(&bench.ground));
        let rows = bench.log()?.rows.len();
        let stored = bench.stored(&format!("turn `{}`", start_of(trial.turn, n)))?;
        let events = bench.events()?.unwrap_or_default();
        cuts.push((rows, stored));
        durable.push(judge::ended(&events));
    }
    let output = bench.resume().output().map_err(|source| error(botpipe, source))?;
    if output.status.code() != Some(0) {
        let said = String::from_utf8_lossy(&output.stderr);
        faults.push(format!("the last resume ended with {}: {}", output.status, said.trim()));
    }
    let end: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    if end["state"] != "finished (accepted)" {
        faults.push(format!("the run is not finished and accepted but {}", end["state"]));
    }
    faults.extend(survivors(&bench.ground));
    let log = bench.log()?;
    let changed = half_file(trial.turn).filter(|_| moments.contains(&Moment::Command));
    let mut gone_on = Vec::new();
    for (n, &(rows, stored)) in cuts.iter().enumerate() {
        // What a command left half done shows as long as nobody finished it.
        let left = changed.filter(|_| moments[..=n].contains(&Moment::Command));
        match log.gone_on(rows, &start_of(trial.turn, n), stored, left) {
            Ok(how) => gone_on.push((moments[n], how)),
            Err(fault) => faults.push(fault),
        }
    }
    let starts: Vec<usize> = cuts.iter().map(|(rows, _)| *rows).collect();
    let (begun, marks) = log.begun(&starts);
    let paths: BTreeSet<&str> = begun.iter().filter_map(|turn| turn.split('~').next()).collect();
    let missing = TURNS.iter().filter(|turn| !paths.contains(*turn));
    faults.extend(missing.map(|turn| format!("turn {turn} was never asked for")));
    let more = paths.iter().filter(|turn| !TURNS.contains(*turn));
    faults.extend(more.map(|turn| format!("turn {turn} should not have been asked for")));
    let cuts = marks.into_iter().zip(durable).map(|(begun, ended)| Cut { begun, ended });
    let cuts: Vec<Cut> = cuts.collect();
    let events = bench.events()?.unwrap_or_default();
    let mut judgement = judge::judge(&begun, &cuts, &judge::interrupted(&events));
    judgement.faults.extend(faults);
    let mut found = bench.ground.tree()?;
    let placeholders = placeholders(trial.kind, wanted, &mut found);
    judgement.faults.extend(judge::differences(wanted, &found));
    Ok(Struck { gone_on, placeholders, judgement })
}

/// Takes away the folders that Codex's sandbox makes to mount something on while a command runs, and
/// that stay when everything is killed; whether there were any. A file in one of them stays.
///
/// # Source
/// Observed: Codex CLI 0.169.0.
fn placeholders(kind: Kind, wanted: &Tree, found: &mut Tree) -> bool {
    let before = found.len();
    let of_sandbox = |path: &str| kind != Kind::Claude && PLACEHOLDERS.contains(&path);
    found.retain(|path, (mode, _)| {
        let folder = *mode & FOLDER == FOLDER;
        !folder || wanted.contains_key(path) || !of_sandbox(path)
    });
    found.len() < before
}

const PLACEHOLDERS: [&str; 3] = [".agents", ".aws", ".codex"];
/// The bit of a mode that says that it is a folder.
const FOLDER: u32 = 0o040_000;

/// The n-th start of a turn, counted from 0.
fn start_of(turn: &str, n: usize) -> String {
    if n == 0 { turn.to_owned() } else { format!("{turn}~{}", n + 1) }
}

/// Runs a command until the turn is at the moment, and a little longer; kills it there. What is wrong with the sandbox
/// of the CLI that was there then.
pub(super) fn kill_at(
    bench: &Bench,
    mut command: Command,
    at: Moment,
    start: &str,
    pause: Duration,
) -> Result<Vec<String>, GroundError> {
    let said = bench.ground.folder().join("said");
    let broken = |source| error(&said, source);
    let stderr = std::fs::File::create(&said).map_err(broken)?;
    let mut child =
        command.stdout(Stdio::null()).stderr(Stdio::from(stderr)).spawn().map_err(broken)?;
    let until = Instant::now() + PATIENCE;
    loop {
        if is_at(bench, at, start)? {
            break;
        }
        if let Some(status) = child.try_wait().map_err(broken)? {
            let said = std::fs::read_to_string(&said).unwrap_or_default();
            return Err(odd(&format!("{start}, {at}"), &format!("ended before, {status}: {said}")));
        }
        if Instant::now() >= until {
            child.kill().map_err(broken)?;
            child.wait().map_err(broken)?;
            return Err(odd(&format!("{start}, {at}"), "the moment never came"));
        }
        thread::sleep(Duration::from_millis(5));
    }
    thread::sleep(pause);
    let faults = held(bench);
    child.kill().map_err(broken)?;
    let status = child.wait().map_err(broken)?;
    if status.code().is_some() {
        return Err(odd(&format!("{start}, {at}"), &format!("ended by itself, {status}")));
    }
    Ok(faults)
}

/// What is wrong with the sandbox of the CLI that takes turns now.
fn held(bench: &Bench) -> Vec<String> {
    let there = crate::kills::processes::of(bench.ground.folder());
    let clis: Vec<_> = there.iter().filter(|it| bench.kind.takes_turns(&it.line)).collect();
    if clis.is_empty() {
        return vec!["no CLI was there whose sandbox could be looked at".to_owned()];
    }
    clis.into_iter().filter_map(|it| held::fault(it, &bench.ground)).collect()
}

/// Whether a start of a turn is there, as the model's log or the process table has it.
fn is_at(bench: &Bench, at: Moment, start: &str) -> Result<bool, GroundError> {
    if at == Moment::Starting {
        // Everybody before is dead, so this is the program of the turn.
        let there = crate::kills::processes::of(bench.ground.folder());
        return Ok(there.iter().any(|process| bench.kind.takes_turns(&process.line)));
    }
    if at == Moment::Command {
        let sleeper = format!("sleep {ASLEEP}");
        return Ok(crate::kills::processes::of(bench.ground.folder())
            .iter()
            .any(|process| process.line == sleeper));
    }
    let rule = rule_of(start);
    Ok(bench.log()?.rows.iter().any(|row| row.rule == rule && row.silent))
}

/// The turns of an unkilled run.
pub(super) const TURNS: [&str; 9] = [
    "plan/1/producer/1",
    "plan/1/verifier/1",
    "plan/1/verifier/2",
    "implement[item-1]/1/producer/1",
    "implement[item-1]/1/verifier/1",
    "implement[item-1]/2/producer/1",
    "implement[item-1]/2/verifier/1",
    "implement[item-2]/1/producer/1",
    "implement[item-2]/1/verifier/1",
];

/// What is cut off where, and where its resume is killed too. Only the first turn, or a resume, can be
/// seen to start.
const PLAN: [(&str, Moment, Option<Moment>); 15] = [
    ("plan/1/producer/1", Moment::Starting, None),
    ("plan/1/producer/1", Moment::Command, None),
    ("plan/1/producer/1", Moment::Answering, Some(Moment::Asked)),
    ("plan/1/verifier/1", Moment::Between, None),
    ("plan/1/verifier/1", Moment::Command, None),
    ("plan/1/verifier/2", Moment::Asked, None),
    ("plan/1/verifier/2", Moment::Answering, None),
    ("implement[item-1]/1/producer/1", Moment::Command, None),
    ("implement[item-1]/1/producer/1", Moment::Asked, Some(Moment::Command)),
    ("implement[item-1]/1/verifier/1", Moment::Answering, None),
    ("implement[item-1]/2/producer/1", Moment::Command, None),
    ("implement[item-1]/2/producer/1", Moment::Between, Some(Moment::Answering)),
    ("implement[item-2]/1/producer/1", Moment::Asked, Some(Moment::Starting)),
    ("implement[item-2]/1/producer/1", Moment::Command, Some(Moment::Command)),
    ("implement[item-2]/1/verifier/1", Moment::Command, None),
];

/// How long a moment is waited for.
const PATIENCE: Duration = Duration::from_mins(2);
/// A kill falls up to so many milliseconds after its moment is seen.
const MOST_MS: u64 = 400;
