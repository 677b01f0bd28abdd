//! One trial: a command cut off, perhaps the next one too, and a person who goes on until all is done.

use std::collections::BTreeSet;
use std::process::{Command, Output};

use super::look::Look;
use super::person::{NEEDS, Need, SIGNALS};
use crate::agent::Entry;
use crate::kills::ground::{Ground, GroundError, Programs, Tree, error};
use crate::kills::held;
use crate::kills::judge::{self, Cut, Judgement};
use crate::kills::trial::{Victim, When, cut, heartbeat, survivors};

/// What is done to one run; Botpipe alone is killed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trial {
    /// Which command of a person is cut off, counted from 0.
    pub(super) command: usize,
    pub(super) when: When,
    /// When the command that is given next is cut off, if it is.
    pub(super) again: Option<When>,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Struck {
    /// Where the kills fell, in words.
    pub(super) places: Vec<String>,
    /// The step at which the run stood then; empty where none was recorded.
    pub(super) steps: Vec<String>,
    /// How many runs below were over then, and how many had begun and were not.
    pub(super) below: Vec<(usize, usize)>,
    pub(super) judgement: Judgement,
}

/// What an unkilled run came to.
pub(super) struct Reference {
    pub(super) tree: Tree,
    /// The turns that were asked for.
    pub(super) units: BTreeSet<String>,
}

/// Performs a trial; nothing when a kill came too late to hit anybody.
pub(super) fn perform(
    trial: &Trial,
    ground: &Ground,
    programs: &Programs,
    reference: &Reference,
) -> Result<Option<Struck>, GroundError> {
    let mut watch = Watch::default();
    let mut look = Look::at(ground, &programs.botpipe)?;
    for n in 0.. {
        let Some(mut command) = watch.next(&look, ground, programs) else { break };
        if n == MOST {
            watch.faults.push(format!("the run is not over after {MOST} commands"));
            break;
        }
        let kill = match n.checked_sub(trial.command) {
            Some(0) => Some(trial.when),
            Some(1) => trial.again,
            _ => None,
        };
        let Some(when) = kill else {
            let output = command.output().map_err(|source| error(&programs.botpipe, source))?;
            watch.ended(&command, &output);
            watch.faults.extend(survivors(ground));
            look = Look::at(ground, &programs.botpipe)?;
            continue;
        };
        let place = cut(&mut command, ground, when, Victim::Botpipe);
        let place = place.map_err(|source| error(&programs.botpipe, source))?;
        watch.faults.extend(survivors(ground));
        let Some(place) = place else { return Ok(None) };
        look = Look::at(ground, &programs.botpipe)?;
        watch.cut(place, &look, &judge::begun(ground)?);
    }
    watch.faults.extend(heartbeat(ground));
    let judgement = watch.judge(ground, &look, reference)?;
    Ok(Some(Struck { places: watch.places, steps: watch.steps, below: watch.below, judgement }))
}

/// What is seen while a trial goes on.
#[derive(Debug, Default)]
struct Watch {
    places: Vec<String>,
    steps: Vec<String>,
    below: Vec<(usize, usize)>,
    cuts: Vec<Cut>,
    /// How long the ledger was when these ways were over.
    over: Vec<(usize, BTreeSet<String>)>,
    /// What was given to the run.
    given: BTreeSet<Need>,
    faults: Vec<String>,
}

impl Watch {
    /// The command that a person gives next, if there is one.
    fn next(&mut self, look: &Look, ground: &Ground, programs: &Programs) -> Option<Command> {
        self.need(look);
        look.need.command(ground, programs)
    }

    /// Notes what is needed, and whether it may be.
    fn need(&mut self, look: &Look) {
        let need = look.need;
        if let Need::Answer(n) = need
            && look.answers > n
        {
            self.faults.push(format!("{need:?} is needed though it was accepted before"));
        }
        if need == Need::Unknown {
            self.faults.push("the run waits for what no unkilled run waits for".to_owned());
        }
        self.given.insert(need);
    }

    /// A command came to its end by itself.
    fn ended(&mut self, command: &Command, output: &Output) {
        if !matches!(output.status.code(), Some(0 | WAITS)) {
            let said = String::from_utf8_lossy(&output.stderr);
            self.faults.push(format!("{command:?} ended with {}: {}", output.status, said.trim()));
        }
    }

    /// A command was cut off.
    fn cut(&mut self, place: String, look: &Look, begun: &[String]) {
        if !look.recorded && !begun.is_empty() {
            self.faults.push(format!("no run is recorded, but turn {} was asked for", begun[0]));
        }
        self.places.push(place);
        self.steps.push(look.step.clone());
        self.below.push((look.over.len(), look.open.len()));
        self.cuts.push(Cut { begun: begun.len(), ended: look.ended.clone() });
        self.over.push((begun.len(), look.over.clone()));
    }

    /// Judges the ledger, what was given, and the tree.
    fn judge(
        &mut self,
        ground: &Ground,
        last: &Look,
        reference: &Reference,
    ) -> Result<Judgement, GroundError> {
        let begun = judge::begun(ground)?;
        let mut judgement = judge::judge(&begun, &self.cuts, &last.interrupted);
        let faults = &mut judgement.faults;
        faults.append(&mut self.faults);
        for (length, over) in &self.over {
            faults.extend(begun_though_over(begun.get(*length..).unwrap_or_default(), over));
        }
        faults.extend(held::faults(ground)?);
        faults.extend(not_of(&reference.units, &begun, &done(ground)?));
        let unneeded = NEEDS.iter().filter(|need| !self.given.contains(need));
        faults.extend(unneeded.map(|need| format!("the run went on without {need:?}")));
        faults.extend(judge::differences(&reference.tree, &ground.tree()?));
        Ok(judgement)
    }
}

/// The turns of branches and workflows that were over before they were asked for.
fn begun_though_over(begun: &[String], over: &BTreeSet<String>) -> Vec<String> {
    let of = |turn: &String| over.iter().find(|way| turn.starts_with(&format!("{way}:")));
    let faults = begun.iter().filter_map(|turn| Some((turn, of(turn)?)));
    faults.map(|(turn, way)| format!("turn {turn} was asked for though {way} was over")).collect()
}

/// What is missing of the turns of an unkilled run, and what is none of it.
fn not_of(units: &BTreeSet<String>, begun: &[String], done: &BTreeSet<String>) -> Vec<String> {
    let begun: BTreeSet<String> = begun.iter().map(|it| judge::path(it).to_owned()).collect();
    let missing = units.difference(&begun).map(|it| format!("turn {it} was never asked for"));
    let more = begun.difference(units).map(|it| format!("turn {it} is none of an unkilled run"));
    let undone = begun.difference(done).map(|it| format!("turn {it} was never done"));
    missing.chain(more).chain(undone).collect()
}

/// The turns that came to their end, by the ledger, without their `~n`.
fn done(ground: &Ground) -> Result<BTreeSet<String>, GroundError> {
    let done = |entry| match entry {
        Entry::Ended { turn } => Some(judge::path(&turn).to_owned()),
        Entry::Tried { .. } | Entry::Began { .. } => None,
    };
    Ok(judge::entries(ground)?.into_iter().filter_map(done).collect())
}

/// The most commands that a person gives.
pub(super) const MOST: usize = 2 * NEEDS.len() + SIGNALS.len();

/// Exit code of a command whose run waits.
const WAITS: i32 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn set(words: &[&str]) -> BTreeSet<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn list(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn what_is_over_may_not_begin_again_however_deep_it_is() {
        let over = set(&["sides/1/1", "below/1/middle:both/1/deep"]);
        let right = ["sides/1/10:sides/1/worker/1", "below/1/middle:both/1/agent:agent/1/worker/1"];
        assert!(begun_though_over(&list(&right), &over).is_empty());
        let wrong = [
            "sides/1/1:sides/1/worker/1",
            "below/1/middle:both/1/deep:deep/1/inner:ponder/1/worker/1~2",
        ];
        assert_eq!(begun_though_over(&list(&wrong), &over).len(), 2);
    }

    #[test]
    fn every_turn_of_an_unkilled_run_is_wanted_and_no_other() {
        let units = set(&["a/1/worker/1", "b/1/worker/1"]);
        let right = list(&["a/1/worker/1", "a/1/worker/1~2", "b/1/worker/1"]);
        assert!(not_of(&units, &right, &units).is_empty());
        let said =
            not_of(&units, &list(&["a/1/worker/1", "c/1/worker/1"]), &set(&["a/1/worker/1"]));
        let wanted = [
            "turn b/1/worker/1 was never asked for",
            "turn c/1/worker/1 is none of an unkilled run",
            "turn c/1/worker/1 was never done",
        ];
        assert_eq!(said, wanted);
    }

    #[test]
    fn an_accepted_answer_is_needed_once() {
        let look = Look { answers: 1, need: Need::Answer(0), ..Look::default() };
        let mut watch = Watch::default();
        watch.need(&look);
        assert_eq!(watch.faults.len(), 1);
        watch.need(&Look { need: Need::Answer(1), ..look });
        assert_eq!(watch.faults.len(), 1);
    }
}
