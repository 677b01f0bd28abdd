//! The whole proof with real harnesses: an unkilled run of each, then trial after trial.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::bench::{Bench, Kind};
use super::moment::Moment;
use super::trial::{Struck, TURNS, Trial, kill_at, perform};
use crate::kills::ground::{Ground, GroundError, Tree, error, remove};
use crate::kills::judge;
use crate::kills::proof::{odd, same, verdict};
use crate::kills::trial::survivors;

/// What a proof found.
#[derive(Debug)]
pub struct Proof {
    pub seed: u64,
    /// What an unkilled run of each harness takes.
    pub(super) unkilled: BTreeMap<Kind, Duration>,
    /// The trials, and what came of each.
    pub(super) trials: Vec<(Trial, Struck)>,
}

impl Proof {
    /// How many trials there were.
    pub fn count(&self) -> usize {
        self.trials.len()
    }

    /// How many of them had a fault.
    pub fn faulty(&self) -> usize {
        self.trials.iter().filter(|(_, struck)| !struck.judgement.faults.is_empty()).count()
    }
}

/// Proves, in folders below `scratch`, which may not lie under the temporary directory; `tell` gets a
/// line of progress a trial.
///
/// A ground whose trial has a fault stays there for looking at.
pub fn prove(
    botpipe: &Path,
    scratch: &Path,
    trials: &[Trial],
    seed: u64,
    tell: &mut dyn FnMut(&str),
) -> Result<Proof, GroundError> {
    let mut rng = Rng::with_seed(seed);
    let mut proof = Proof { seed, unkilled: BTreeMap::new(), trials: Vec::new() };
    let template = Ground::make(&scratch.join("template"))?;
    let mut wanted = BTreeMap::new();
    for (n, trial) in trials.iter().enumerate() {
        let kind = trial.kind;
        if !wanted.contains_key(&kind) {
            let bare = scratch.join(format!("bare-{}", wanted.len()));
            control(kind, botpipe, &template, &bare)?;
            remove(&bare)?;
            let folder = scratch.join(format!("unkilled-{}", wanted.len()));
            let (tree, took) = unkilled(kind, botpipe, &template, &folder)?;
            remove(&folder)?;
            tell(&format!("unkilled, {kind}: {} ms", took.as_millis()));
            proof.unkilled.insert(kind, took);
            wanted.insert(kind, tree);
        }
        let folder = scratch.join(format!("trial-{n:02}"));
        let struck = perform(trial, (botpipe, &folder), (&template, &wanted[&kind]), &mut rng)?;
        let faults = &struck.judgement.faults;
        let Trial { turn, at, .. } = trial;
        tell(&format!("{} of {}, {kind}, {turn}: {at}: {}", n + 1, trials.len(), verdict(faults)));
        if faults.is_empty() {
            remove(&folder)?;
        } else {
            let kept = scratch.join(format!("faulty-{n:02}"));
            fs::rename(&folder, &kept).map_err(|source| error(&kept, source))?;
        }
        proof.trials.push((*trial, struck));
    }
    Ok(proof)
}

/// Shows that a CLI without a sandbox is found out.
fn control(
    kind: Kind,
    botpipe: &Path,
    template: &Ground,
    folder: &Path,
) -> Result<(), GroundError> {
    let asked = Moment::Asked;
    let bench = Bench::make(kind, botpipe, template, folder, &[asked.rule(TURNS[0])])?;
    let bench = bench.without_sandbox()?;
    let found = kill_at(&bench, bench.run(), asked, TURNS[0], Duration::ZERO)?;
    let left = survivors(&bench.ground);
    let all = !found.is_empty() && found.iter().all(|it| it.contains("held by no sandbox"));
    if all && left.is_empty() {
        return Ok(());
    }
    Err(odd(&format!("{kind} without a sandbox"), &format!("found: {found:?}, left: {left:?}")))
}

/// What an unkilled run leaves, and how long it takes.
fn unkilled(
    kind: Kind,
    botpipe: &Path,
    template: &Ground,
    folder: &Path,
) -> Result<(Tree, Duration), GroundError> {
    let bench = Bench::make(kind, botpipe, template, folder, &[])?;
    let before = of_git(bench.ground.tree()?);
    let started = Instant::now();
    let output = bench.run().output().map_err(|source| error(botpipe, source))?;
    let took = started.elapsed();
    if output.status.code() != Some(0) {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(odd(&format!("the unkilled run, {kind}"), &said));
    }
    let tree = bench.ground.tree()?;
    same("the owner's .git before and after", &judge::differences(&before, &of_git(tree.clone())))?;
    let (turns, _) = bench.log()?.begun(&[]);
    if turns != TURNS {
        return Err(odd(&format!("the unkilled run, {kind}"), &format!("it asked {turns:?}")));
    }
    let work = tree.get(WORK).map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned());
    let done = work.unwrap_or_default().matches(r#""status": "completed""#).count();
    if done != ITEMS {
        return Err(odd(&format!("the unkilled run, {kind}"), &format!("{done} items are done")));
    }
    Ok((tree, took))
}

fn of_git(mut tree: Tree) -> Tree {
    tree.retain(|path, _| path.starts_with(".git/"));
    tree
}

const WORK: &str = ".botpipe/tasks/greet/wf_ralph_loop/work.json";
const ITEMS: usize = 2;
