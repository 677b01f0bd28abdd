//! The whole proof: an unkilled run to compare with, a control, then trial after trial.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::ground::{Ground, GroundError, Programs, Tree, error, remove};
use super::held;
use super::judge;
use super::processes;
use super::trace::{Verdict, trace};
use super::trial::{Reference, Struck, Trial, Victim, When, perform};

/// How many trials of which kind.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Kills uniform in time.
    pub timed: usize,
    /// Kills between two deeds.
    pub aimed: usize,
    /// How many of both also kill the resume.
    pub resumes: usize,
    /// Kills beyond these, before the run is recorded, when `run` has to be given again.
    pub early: usize,
}

/// What a proof found.
#[derive(Debug)]
pub struct Proof {
    pub seed: u64,
    /// What an unkilled run takes, without the tracer.
    pub unkilled: Duration,
    /// Turns the agent is asked for in an unkilled run.
    pub turns: usize,
    /// Points of an unkilled run between two deeds.
    pub points: usize,
    /// The trials, and what came of each.
    pub trials: Vec<(Trial, Struck)>,
    /// Trials beyond those: the run was not recorded yet, so `run` was given again.
    pub early: Vec<(Trial, Struck)>,
}

impl Proof {
    /// How many trials had a fault.
    pub fn faulty(&self) -> usize {
        let all = self.trials.iter().chain(&self.early);
        all.filter(|(_, struck)| !struck.judgement.faults.is_empty()).count()
    }
}

/// Proves, in folders below `scratch`; `tell` gets a line of progress a trial.
///
/// A ground whose trial has a fault stays there for looking at.
pub fn prove(
    programs: &Programs,
    scratch: &Path,
    size: Size,
    seed: u64,
    tell: &mut dyn FnMut(&str),
) -> Result<Proof, GroundError> {
    let template = Ground::make(&scratch.join("template"))?;
    control(programs, &template.copy(&scratch.join("control"))?)?;
    let bare = template.copy(&scratch.join("bare"))?.without_sandbox()?;
    held::control(&bare, &mut bare.run(programs))?;
    let (reference, unkilled, turns) = reference(programs, &template, scratch)?;
    let points = points(programs, &template.copy(&scratch.join("traced"))?, &reference)?;
    tell(&format!(
        "unkilled: {turns} turns, {} ms, {} points",
        unkilled.whole.as_millis(),
        points.len()
    ));
    let mut proof = Proof {
        seed,
        unkilled: unkilled.whole,
        turns,
        points: points.len(),
        trials: Vec::new(),
        early: Vec::new(),
    };
    let mut draw = Draw { rng: Rng::with_seed(seed), unkilled, points };
    let total = size.timed + size.aimed;
    let mut tries = 0..10 * (total + size.early);
    while proof.trials.len() < total || proof.early.len() < size.early {
        if tries.next().is_none() {
            return Err(odd("prove", "most kills hit nobody"));
        }
        let early = proof.trials.len() == total;
        let n = if early { proof.early.len() } else { proof.trials.len() };
        let trial = if early { draw.early(n, size.early) } else { draw.trial(n, size) };
        let name = format!("{}-{n:03}", if early { "early" } else { "trial" });
        let ground = template.copy(&scratch.join(&name))?;
        let struck = perform(&trial, &ground, programs, &reference)?;
        let faults = struck.as_ref().map_or(&[][..], |it| &it.judgement.faults);
        if let Some(it) = &struck {
            let places = it.places.join(", then ");
            tell(&format!("{name} of {total}, {} {places}: {}", trial.victim, verdict(faults)));
        }
        if faults.is_empty() {
            remove(ground.folder())?;
        } else {
            let kept = scratch.join(format!("faulty-{}", tries.start));
            fs::rename(ground.folder(), &kept).map_err(|source| error(&kept, source))?;
        }
        match struck {
            Some(struck) if struck.recorded => {
                // An early kill that came late is one more of the others.
                proof.trials.push((trial, struck));
            }
            Some(struck) => proof.early.push((trial, struck)),
            None => draw.came_late(&trial),
        }
    }
    Ok(proof)
}

/// Shows that the agent does escape where nobody holds it.
pub(super) fn control(programs: &Programs, ground: &Ground) -> Result<(), GroundError> {
    let mut agent = Command::new(&programs.agent);
    agent.arg("--script").arg(&programs.script).arg("--ledger").arg(ground.ledger().path());
    agent.arg("--escape").arg(ground.beats()).current_dir(ground.workspace());
    agent.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    agent.status().map_err(|source| error(&programs.agent, source))?;
    let until = Instant::now() + PATIENCE;
    while fs::metadata(ground.beats()).map_or(0, |meta| meta.len()) < 2 {
        if Instant::now() >= until {
            let why = "nobody got away though nothing held the agent";
            return Err(odd("fake-agent --escape", why));
        }
        thread::sleep(Duration::from_millis(5));
    }
    processes::strike(&processes::of(ground.folder()));
    Ok(())
}

/// How long an unkilled run takes.
#[derive(Debug, Clone, Copy)]
struct Unkilled {
    /// Until the run is recorded: its chain has an end.
    recorded: Duration,
    whole: Duration,
}

/// An unkilled run, twice: what it leaves must be the same both times.
fn reference(
    programs: &Programs,
    template: &Ground,
    scratch: &Path,
) -> Result<(Reference, Unkilled, usize), GroundError> {
    let first = unkilled(programs, &template.copy(&scratch.join("unkilled-1"))?)?;
    let ground = template.copy(&scratch.join("unkilled-2"))?;
    let second = unkilled(programs, &ground)?;
    same("two unkilled runs", &judge::differences(&first.0, &second.0))?;
    let of_git = |tree: &Tree| -> Tree {
        let inside = tree.iter().filter(|(path, _)| path.starts_with(".git/"));
        inside.map(|(path, file)| (path.clone(), file.clone())).collect()
    };
    let untouched = judge::differences(&of_git(&template.tree()?), &of_git(&second.0));
    same("the owner's .git before and after", &untouched)?;
    Ok((Reference { tree: second.0 }, second.1, judge::begun(&ground)?.len()))
}

fn unkilled(programs: &Programs, ground: &Ground) -> Result<(Tree, Unkilled), GroundError> {
    let broken = |source| error(&programs.botpipe, source);
    let started = Instant::now();
    let mut run = ground.run(programs);
    let mut child = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().map_err(broken)?;
    let mut recorded = None;
    let status = loop {
        if recorded.is_none() && ground.recorded() {
            recorded = Some(started.elapsed());
        }
        if let Some(status) = child.try_wait().map_err(broken)? {
            break status;
        }
        thread::sleep(Duration::from_micros(500));
    };
    let whole = started.elapsed();
    if !status.success() {
        return Err(odd("the unkilled run", &status.to_string()));
    }
    Ok((ground.tree()?, Unkilled { recorded: recorded.unwrap_or(whole), whole }))
}

/// The points of a traced run.
fn points(
    programs: &Programs,
    ground: &Ground,
    reference: &Reference,
) -> Result<Vec<At>, GroundError> {
    let mut points = Vec::new();
    let mut recorded = false;
    let traced = trace(&mut ground.run(programs), &mut |_| {
        recorded = recorded || ground.recorded();
        let agent = !processes::agents(ground.folder()).is_empty();
        points.push(At { recorded, agent });
        Verdict::Pass
    });
    traced.map_err(|source| error(&programs.botpipe, source))?;
    same("a run and a traced run", &judge::differences(&reference.tree, &ground.tree()?))?;
    Ok(points)
}

/// What is true at a point.
#[derive(Debug, Clone, Copy)]
struct At {
    /// The run is recorded.
    recorded: bool,
    /// An agent is alive.
    agent: bool,
}

pub(super) fn same(what: &str, differences: &[String]) -> Result<(), GroundError> {
    if differences.is_empty() { Ok(()) } else { Err(odd(what, &differences.join("; "))) }
}

/// Draws trials by the seed.
struct Draw {
    rng: Rng,
    unkilled: Unkilled,
    points: Vec<At>,
}

impl Draw {
    /// The n-th trial: victims in turn, and each kind of kill spread over the whole run.
    fn trial(&mut self, n: usize, size: Size) -> Trial {
        let victim = [Victim::Botpipe, Victim::Agent, Victim::Both][n % 3];
        let timed = n < size.timed;
        let (n_of_kind, of_kind) =
            if timed { (n, size.timed) } else { (n - size.timed, size.aimed) };
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let share = (n_of_kind as f64 + self.rng.f64()) / of_kind as f64;
        // Where only the agent dies, the command itself goes on to the end.
        let resume =
            victim != Victim::Agent && spread(n, size.resumes * 3 / 2, size.timed + size.aimed);
        // A resume has only the rest to do.
        let rest = (1.0 - share) * self.rng.f64();
        let in_rest = || {
            if timed {
                When::Time(self.unkilled.whole.mul_f64(rest))
            } else {
                When::Point(index(self.points.len(), rest))
            }
        };
        Trial { victim, run: self.when(timed, victim, share), resume: resume.then(in_rest) }
    }

    /// A kill by time came after the end: the machine is faster than when it was measured.
    fn came_late(&mut self, trial: &Trial) {
        if matches!(trial.run, When::Time(_)) {
            let Unkilled { recorded, whole } = self.unkilled;
            self.unkilled.whole = recorded + whole.saturating_sub(recorded).mul_f64(0.97);
        }
    }

    /// The n-th of those before the run is recorded: in turn by time and at a point.
    fn early(&mut self, n: usize, of: usize) -> Trial {
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let share = (n as f64 + self.rng.f64()) / of as f64;
        let run = if n.is_multiple_of(2) {
            When::Time(self.unkilled.recorded.mul_f64(share))
        } else {
            self.point(share, |at| !at.recorded)
        };
        Trial { victim: Victim::Botpipe, run, resume: None }
    }

    /// The moment when this share of the recorded run is over, an agent being alive if it is to die.
    fn when(&self, timed: bool, victim: Victim, share: f64) -> When {
        let Unkilled { recorded, whole } = self.unkilled;
        if timed {
            return When::Time(recorded + whole.saturating_sub(recorded).mul_f64(share));
        }
        self.point(share, |at| at.recorded && (victim == Victim::Botpipe || at.agent))
    }

    /// The point when this share of those that fit is over.
    fn point(&self, share: f64, fits: impl Fn(&At) -> bool) -> When {
        let fitting: Vec<usize> =
            self.points.iter().enumerate().filter(|it| fits(it.1)).map(|it| it.0).collect();
        When::Point(fitting.get(index(fitting.len(), share)).copied().unwrap_or(0))
    }
}

/// The index where this share of a list is over.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a small number"
)]
pub(super) fn index(length: usize, share: f64) -> usize {
    (length as f64 * share) as usize
}

/// Whether the n-th of `total` is one of `chosen` that are spread evenly.
pub(super) fn spread(n: usize, chosen: usize, total: usize) -> bool {
    (n + 1) * chosen / total > n * chosen / total
}

/// How long the control waits for its escapee.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn verdict(faults: &[String]) -> String {
    if faults.is_empty() { "ok".to_owned() } else { format!("FAULT: {}", faults.join("; ")) }
}

pub(super) fn odd(line: &str, why: &str) -> GroundError {
    GroundError::Program { line: line.to_owned(), why: why.to_owned() }
}
