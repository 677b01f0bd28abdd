//! The proof of runs below runs as a page of Markdown.

#![expect(clippy::format_push_string, reason = "a line of text reads best as one format")]

use std::collections::BTreeMap;

use super::person::NEEDS;
use super::proof::{Kind, Proof};
use super::trial::{Struck, Trial};
use crate::kills::report::deeds;

/// The page: what was done, two tables, where the kills fell, and every fault.
pub fn markdown(proof: &Proof, date: &str, about: &str) -> String {
    let faulty = proof.faulty();
    let mut out =
        format!("# Kills of runs with runs below them and with pauses, {date}\n\n{about}\n\n");
    out += &format!(
        "A run of six branches at a time of three, and a turn about them; a workflow below with three \
         branches, of which one starts a third workflow that asks a person and starts branches of its own; then \
         a question, a time and two signals of one name. Unkilled it asks for {} turns and takes five commands \
         of a person. ",
        proof.turns
    );
    let commands = NEEDS.iter().zip(&proof.took).zip(&proof.points);
    let commands: Vec<String> = commands
        .map(|((need, took), (points, of_pause))| {
            format!("{need:?}: {} ms, {points} points, {of_pause} around a pause", took.as_millis())
        })
        .collect();
    out += &format!("{}. Seed {}.\n\n", commands.join("; "), proof.seed);
    out += "Botpipe gets SIGKILL: at moments spread evenly over the time of all commands, between two of its \
            deeds (spread evenly over all points), or between two deeds around a pause (no turn between the \
            kill and the question, time or signal). Then a person looks (`runs show`) and gives what is needed: `run`, `resume`, the answer, or \
            the signal under the same id.\n\n";
    out += "A trial is right when the run ends accepted with the tree of an unkilled run, every turn of that run \
            and no other was asked for and done by the agent's ledger, none that was over at a kill (its end, or \
            the end of its branch or workflow, was durable) was asked for afterwards, each repeat stands behind a \
            recorded interruption, no accepted answer was asked for again, no wait was passed without its signal, \
            each agent tried at each turn to write to the owner's `.git/hooks`, which no policy lets it, and nothing \
            is there as the host sees it (where the sandbox was taken away before the trials, each was found out), \
            and no process is left after a kill or at the end.\n\n";
    out += "| kill | trials | kills | turns asked | repeats | interruptions recorded | runs below that were over | … \
            that were not | faults |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|\n";
    let kinds = [
        ("uniform in time", Kind::Timed),
        ("between two deeds", Kind::Aimed),
        ("between two deeds, around a pause", Kind::Pause),
    ];
    for (word, kind) in kinds {
        out += &row(word, proof.trials.iter().filter(|it| it.0 == kind));
    }
    out += &row("all", proof.trials.iter());
    out += &format!("\n{}\n\n", if faulty == 0 { "No fault." } else { "Faults:" });
    for (_, trial, struck) in &proof.trials {
        for fault in &struck.judgement.faults {
            let places = struck.places.join(", then ");
            out += &format!("- command {}, {places}: {fault}\n", trial.command);
        }
    }
    out += "\n## Where the run stood\n\n| at step | kills |\n|---|--:|\n";
    let mut steps: BTreeMap<&str, usize> = BTreeMap::new();
    for step in proof.trials.iter().flat_map(|(_, _, struck)| &struck.steps) {
        *steps.entry(step).or_default() += 1;
    }
    for (step, kills) in steps {
        let name = if step.is_empty() { "none yet".to_owned() } else { format!("`{step}`") };
        out += &format!("| {name} | {kills} |\n");
    }
    out + &deeds(proof.trials.iter().flat_map(|(_, _, struck)| &struck.places))
}

fn row<'a>(kind: &str, of: impl Iterator<Item = &'a (Kind, Trial, Struck)>) -> String {
    let mut counts = [0; 8];
    for (_, _, struck) in of {
        let judgement = &struck.judgement;
        let below = |count: fn(&(usize, usize)) -> usize| struck.below.iter().map(count).sum();
        let more = [
            1,
            struck.places.len(),
            judgement.begun,
            judgement.repeats,
            judgement.interruptions,
            below(|it| it.0),
            below(|it| it.1),
            usize::from(!judgement.faults.is_empty()),
        ];
        for (count, more) in counts.iter_mut().zip(more) {
            *count += more;
        }
    }
    let counts: Vec<String> = counts.iter().map(ToString::to_string).collect();
    format!("| {kind} | {} |\n", counts.join(" | "))
}
