//! One trial: a run cut off, perhaps its resume cut off too, then resumed to its end.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::ground::{Ground, GroundError, Programs, Tree, error};
use super::held;
use super::judge::{self, Cut, Judgement};
use super::processes;
use super::trace::{Ended, Verdict, trace};

/// When somebody is killed.
#[derive(Debug, Clone, Copy)]
pub enum When {
    /// So long after the start of the command.
    Time(Duration),
    /// Between two deeds of Botpipe, at the n-th point of the trace.
    Point(usize),
}

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Victim {
    /// The process that moves the run.
    Botpipe,
    /// The agent alone; Botpipe lives on.
    Agent,
    /// Both at once.
    Both,
}

/// What is done to one run.
#[derive(Debug, Clone, Copy)]
pub struct Trial {
    pub victim: Victim,
    /// When `run` is cut off.
    pub run: When,
    /// When its first `resume` is cut off, if it is.
    pub resume: Option<When>,
}

/// What came of it.
#[derive(Debug)]
pub struct Struck {
    /// Where the kills fell, in words.
    pub places: Vec<String>,
    /// Whether the run was recorded when it was cut off; if not, `run` was given again.
    pub recorded: bool,
    /// What the judge says.
    pub judgement: Judgement,
}

/// What an unkilled run came to.
pub(super) struct Reference {
    pub(super) tree: Tree,
}

/// Performs a trial; nothing when a kill came too late to hit anybody.
pub(super) fn perform(
    trial: &Trial,
    ground: &Ground,
    programs: &Programs,
    reference: &Reference,
) -> Result<Option<Struck>, GroundError> {
    let mut cuts = Vec::new();
    let mut places = Vec::new();
    let mut faults = Vec::new();
    let mut recorded = true;
    let kills = [
        Some((ground.run(programs), trial.run)),
        trial.resume.map(|at| (ground.resume(programs), at)),
    ];
    for (mut command, when) in kills.into_iter().flatten() {
        if !recorded {
            command = ground.run(programs);
        }
        let victim = if cuts.is_empty() { trial.victim } else { Victim::Botpipe };
        let struck = cut(&mut command, ground, when, victim);
        let struck = struck.map_err(|source| error(&programs.botpipe, source))?;
        faults.extend(survivors(ground));
        let Some(place) = struck else { return Ok(None) };
        places.push(place);
        let events = ground.events(&programs.botpipe)?;
        recorded = events.is_some();
        let begun = judge::begun(ground)?;
        if events.is_none() && !begun.is_empty() {
            faults.push(format!("no run is recorded, but turn {} was asked for", begun[0]));
        }
        let ended = events.as_deref().map_or_else(BTreeSet::new, judge::ended);
        cuts.push(Cut { begun: begun.len(), ended });
    }
    let mut last = if recorded { ground.resume(programs) } else { ground.run(programs) };
    let output = last.output().map_err(|source| error(&programs.botpipe, source))?;
    if output.status.code() != Some(0) {
        let said = String::from_utf8_lossy(&output.stderr);
        faults.push(format!("the last command ended with {}: {}", output.status, said.trim()));
    }
    faults.extend(survivors(ground));
    if let Some(fault) = heartbeat(ground) {
        faults.push(fault);
    }
    let events = ground.events(&programs.botpipe)?.unwrap_or_default();
    let mut judgement = judge::judge(&judge::begun(ground)?, &cuts, &judge::interrupted(&events));
    judgement.faults.extend(faults);
    judgement.faults.extend(held::faults(ground)?);
    judgement.faults.extend(judge::differences(&reference.tree, &ground.tree()?));
    Ok(Some(Struck { places, recorded, judgement }))
}

/// Runs a command until the kill falls, and on to its end; where it fell, if it did.
pub(super) fn cut(
    command: &mut Command,
    ground: &Ground,
    when: When,
    victim: Victim,
) -> io::Result<Option<String>> {
    match when {
        When::Time(after) => cut_by_clock(command, ground, after, victim),
        When::Point(n) => cut_at_point(command, ground, n, victim),
    }
}

fn cut_by_clock(
    command: &mut Command,
    ground: &Ground,
    after: Duration,
    victim: Victim,
) -> io::Result<Option<String>> {
    let started = Instant::now();
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    thread::sleep(after);
    let mut agents = processes::agents(ground.folder());
    while victim != Victim::Botpipe && agents.is_empty() && child.try_wait()?.is_none() {
        thread::sleep(Duration::from_millis(1));
        agents = processes::agents(ground.folder());
    }
    let place = format!("{} ms after the start", started.elapsed().as_millis());
    let alive = child.try_wait()?.is_none();
    let hit = match victim {
        Victim::Botpipe => alive,
        Victim::Agent | Victim::Both => alive && !agents.is_empty(),
    };
    if hit && victim != Victim::Botpipe {
        processes::strike(&agents);
    }
    if hit && victim != Victim::Agent {
        child.kill()?;
    }
    let status = child.wait()?;
    // A command that came to its end before the signal did was not hit.
    let spared = victim != Victim::Agent && status.code().is_some();
    Ok((hit && !spared).then_some(place))
}

fn cut_at_point(
    command: &mut Command,
    ground: &Ground,
    n: usize,
    victim: Victim,
) -> io::Result<Option<String>> {
    let mut place = None;
    let ended = trace(command, &mut |point| {
        if place.is_some() || point.n < n {
            return Verdict::Pass;
        }
        if victim != Victim::Botpipe {
            let agents = processes::agents(ground.folder());
            if agents.is_empty() {
                return Verdict::Pass;
            }
            processes::strike(&agents);
        }
        place = Some(point.to_string().replace(&format!("{}/", ground.folder().display()), ""));
        if victim == Victim::Agent { Verdict::Pass } else { Verdict::Kill }
    })?;
    let spared = victim != Victim::Agent && ended != Ended::Signalled(Signal::SIGKILL);
    Ok(place.filter(|_| !spared))
}

/// Processes that are still there well after the command's end; they are ended here.
pub(super) fn survivors(ground: &Ground) -> Vec<String> {
    let left = processes::left(ground.folder(), PATIENCE);
    processes::strike(&left);
    left.into_iter().map(|it| format!("process {} is left: {}", it.pid, it.line)).collect()
}

/// Whether somebody still writes to the file of beats.
pub(super) fn heartbeat(ground: &Ground) -> Option<String> {
    let length = || fs::metadata(ground.beats()).map_or(0, |meta| meta.len());
    let before = length();
    thread::sleep(BEATS);
    let grown = length() - before;
    (grown > 0).then(|| format!("somebody got away: {grown} beats after the end"))
}

/// How long the system may take to end the processes of a namespace whose first one is gone.
const PATIENCE: Duration = Duration::from_secs(5);
/// Three beats of an escapee.
const BEATS: Duration = Duration::from_millis(60);

impl fmt::Display for Victim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Botpipe => "Botpipe",
            Self::Agent => "the agent",
            Self::Both => "both",
        })
    }
}
