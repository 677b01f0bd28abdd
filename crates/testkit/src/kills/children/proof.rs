//! The whole proof of runs below runs: unkilled runs to compare with, then trial after trial.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::look::{Look, WORKFLOWS};
use super::person::{NEEDS, Need};
use super::trial::{Reference, Struck, Trial, perform};
use crate::kills::ground::{Ground, GroundError, Programs, error, remove};
use crate::kills::held;
use crate::kills::judge;
use crate::kills::proof::{control, index, odd, same, spread, verdict};
use crate::kills::trace::{Verdict, trace};
use crate::kills::trial::When;

/// How many trials of which kind.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Kills uniform in time.
    pub timed: usize,
    /// Kills between two deeds.
    pub aimed: usize,
    /// Kills between two deeds around a pause: no turn between them and it.
    pub pauses: usize,
    /// How many of them all also kill the command that is given next.
    pub again: usize,
}

/// The kind of a trial's first kill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Timed,
    Aimed,
    Pause,
}

/// What a proof found.
#[derive(Debug)]
pub struct Proof {
    pub(super) seed: u64,
    /// What the commands of an unkilled run take, without the tracer.
    pub(super) took: Vec<Duration>,
    /// Turns an unkilled run asks for.
    pub(super) turns: usize,
    /// Points of each command between two deeds, and how many of them are around a pause.
    pub(super) points: Vec<(usize, usize)>,
    /// The trials, and what came of each.
    pub(super) trials: Vec<(Kind, Trial, Struck)>,
}

impl Proof {
    /// How many trials there were.
    pub fn count(&self) -> usize {
        self.trials.len()
    }

    /// How many of them had a fault.
    pub fn faulty(&self) -> usize {
        self.trials.iter().filter(|(_, _, struck)| !struck.judgement.faults.is_empty()).count()
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
    for (name, text) in WORKFLOWS {
        template.write(&format!("workflows/{name}.sop.yaml"), text)?;
    }
    control(programs, &template.copy(&scratch.join("control"))?)?;
    let bare = template.copy(&scratch.join("bare"))?.without_sandbox()?;
    held::control(&bare, &mut needed(Need::Run, programs, &bare)?)?;
    let (first, _) = unkilled(programs, &template.copy(&scratch.join("unkilled-1"))?)?;
    let (reference, took) = unkilled(programs, &template.copy(&scratch.join("unkilled-2"))?)?;
    same("two unkilled runs", &judge::differences(&first.tree, &reference.tree))?;
    let points = points(programs, &template.copy(&scratch.join("traced"))?, &reference)?;
    let mut proof = Proof {
        seed,
        took: took.clone(),
        turns: reference.units.len(),
        points: (0..).zip(&points).map(|(n, it)| (it.count, it.of_pause(n).count())).collect(),
        trials: Vec::new(),
    };
    tell(&format!("unkilled: {} turns, {took:?}, points {:?}", proof.turns, proof.points));
    let mut draw = Draw { rng: Rng::with_seed(seed), took, points };
    let total = size.timed + size.aimed + size.pauses;
    let mut tries = 0..10 * total;
    while proof.trials.len() < total {
        let Some(nth) = tries.next() else { return Err(odd("prove", "most kills hit nobody")) };
        let n = proof.trials.len();
        let (kind, trial) = draw.trial(n, size);
        let ground = template.copy(&scratch.join(format!("trial-{n:03}")))?;
        let struck = perform(&trial, &ground, programs, &reference)?;
        let faults = struck.as_ref().map_or(&[][..], |it| &it.judgement.faults);
        if let Some(it) = &struck {
            let (places, steps) = (it.places.join(", then "), it.steps.join(", "));
            tell(&format!(
                "{} of {total}, command {}, {places} (at {steps}): {}",
                n + 1,
                trial.command,
                verdict(faults)
            ));
        }
        if faults.is_empty() {
            remove(ground.folder())?;
        } else {
            let kept = scratch.join(format!("faulty-{nth}"));
            fs::rename(ground.folder(), &kept).map_err(|source| error(&kept, source))?;
        }
        match struck {
            Some(struck) => proof.trials.push((kind, trial, struck)),
            None => draw.came_late(&trial),
        }
    }
    Ok(proof)
}

/// What an unkilled run leaves, and how long each of its commands takes.
fn unkilled(
    programs: &Programs,
    ground: &Ground,
) -> Result<(Reference, Vec<Duration>), GroundError> {
    let mut took = Vec::new();
    for need in NEEDS {
        let mut command = needed(need, programs, ground)?;
        let started = Instant::now();
        let output = command.output().map_err(|source| error(&programs.botpipe, source))?;
        took.push(started.elapsed());
        if output.status.code().is_none_or(|code| code != 0 && code != 5) {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(odd(&format!("the unkilled run, {need:?}"), said.trim()));
        }
    }
    Ok((left_by(programs, ground)?, took))
}

/// The command of a run that needs it.
fn needed(
    need: Need,
    programs: &Programs,
    ground: &Ground,
) -> Result<std::process::Command, GroundError> {
    let found = Look::at(ground, &programs.botpipe)?.need;
    let command = (found == need).then(|| need.command(ground, programs)).flatten();
    command.ok_or_else(|| odd("the unkilled run", &format!("it needs {found:?}, not {need:?}")))
}

/// What a run leaves that is over.
fn left_by(programs: &Programs, ground: &Ground) -> Result<Reference, GroundError> {
    let found = Look::at(ground, &programs.botpipe)?.need;
    if found != Need::Nothing {
        return Err(odd("the unkilled run", &format!("at its end it needs {found:?}")));
    }
    let begun = judge::begun(ground)?;
    let units: BTreeSet<String> = begun.iter().cloned().collect();
    if units.len() != begun.len() {
        return Err(odd("the unkilled run", "it asked for a turn twice"));
    }
    Ok(Reference { tree: ground.tree()?, units })
}

/// The points of one command.
#[derive(Debug, Clone, Default)]
struct Points {
    count: usize,
    /// The first after which a turn was asked for, and the last before which one was.
    turns: Option<(usize, usize)>,
}

impl Points {
    /// Those between a pause and the turn nearest to it: at the start of a command that ends one, and at the
    /// end of a command that comes to one.
    fn of_pause(&self, command: usize) -> impl Iterator<Item = usize> {
        let (first, last) = self.turns.unwrap_or((self.count, self.count));
        let ends = if command > 0 { 0..first } else { 0..0 };
        let comes = if command + 1 < NEEDS.len() { last..self.count } else { 0..0 };
        ends.chain(comes)
    }
}

/// The points of the commands of a traced run.
fn points(
    programs: &Programs,
    ground: &Ground,
    reference: &Reference,
) -> Result<Vec<Points>, GroundError> {
    let length = |ground: &Ground| fs::metadata(ground.ledger().path()).map_or(0, |it| it.len());
    let mut all = Vec::new();
    for need in NEEDS {
        let mut command = needed(need, programs, ground)?;
        let mut points = Points::default();
        let mut before = length(ground);
        let traced = trace(&mut command, &mut |point| {
            let now = length(ground);
            if now != before {
                before = now;
                let first = points.turns.map_or(point.n, |turns| turns.0);
                points.turns = Some((first, point.n));
            }
            points.count = point.n + 1;
            Verdict::Pass
        });
        traced.map_err(|source| error(&programs.botpipe, source))?;
        all.push(points);
    }
    let traced = left_by(programs, ground)?;
    same("a run and a traced run", &judge::differences(&reference.tree, &traced.tree))?;
    Ok(all)
}

/// Draws trials by the seed.
struct Draw {
    rng: Rng,
    took: Vec<Duration>,
    points: Vec<Points>,
}

impl Draw {
    /// The n-th trial: each kind of kill spread over all commands.
    fn trial(&mut self, n: usize, size: Size) -> (Kind, Trial) {
        let Size { timed, aimed, pauses, again } = size;
        let (kind, nth, of) = if n < timed {
            (Kind::Timed, n, timed)
        } else if n < timed + aimed {
            (Kind::Aimed, n - timed, aimed)
        } else {
            (Kind::Pause, n - timed - aimed, pauses)
        };
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let share = (nth as f64 + self.rng.f64()) / of as f64;
        let (command, when) = match kind {
            Kind::Timed => self.moment(share),
            Kind::Aimed => self.point(share, |_, points| (0..points.count).collect()),
            Kind::Pause => self.point(share, |n, points| points.of_pause(n).collect()),
        };
        let again = spread(n, again, timed + aimed + pauses).then(|| self.of_rest(command, when));
        (kind, Trial { command, when, again })
    }

    /// The moment when this share of the time of all commands is over.
    fn moment(&self, share: f64) -> (usize, When) {
        let mut left = self.took.iter().sum::<Duration>().mul_f64(share);
        for (command, took) in self.took.iter().enumerate() {
            if left < *took {
                return (command, When::Time(left));
            }
            left -= *took;
        }
        (0, When::Time(Duration::ZERO))
    }

    /// The point when this share of those of all commands that are chosen is over.
    fn point(&self, share: f64, chosen: impl Fn(usize, &Points) -> Vec<usize>) -> (usize, When) {
        let all: Vec<(usize, usize)> = self
            .points
            .iter()
            .enumerate()
            .flat_map(|(command, points)| {
                chosen(command, points).into_iter().map(move |n| (command, n))
            })
            .collect();
        let (command, n) = all.get(index(all.len(), share)).copied().unwrap_or_default();
        (command, When::Point(n))
    }

    /// A moment in what the command still had to do, for the one that is given next.
    fn of_rest(&mut self, command: usize, when: When) -> When {
        let share = self.rng.f64();
        match when {
            When::Time(at) => When::Time(self.took[command].saturating_sub(at).mul_f64(share)),
            When::Point(n) => When::Point(index(self.points[command].count - n, share)),
        }
    }

    /// A kill came after the end: the machine is faster than when it was measured, or there was less to do.
    fn came_late(&mut self, trial: &Trial) {
        if let When::Time(_) = trial.when {
            self.took[trial.command] = self.took[trial.command].mul_f64(0.97);
        }
    }
}
