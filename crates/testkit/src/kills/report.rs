//! A proof as a page of Markdown.

#![expect(clippy::format_push_string, reason = "a line of text reads best as one format")]

use std::collections::BTreeMap;

use super::proof::Proof;
use super::trial::{Struck, Trial, Victim, When};

/// The page: what was done, a table, where the kills fell, and every fault.
pub fn markdown(proof: &Proof, date: &str, about: &str) -> String {
    let faulty = proof.faulty();
    let mut out = format!("# Kills, {date}\n\n{about}\n\n");
    out += &format!(
        "Unkilled, the run takes {} ms, asks the agent for {} turns, and has {} points between two \
         deeds of Botpipe (writes, syncs, renames, removals, processes started; before and after \
         each). Seed {}.\n\n",
        proof.unkilled.as_millis(),
        proof.turns,
        proof.points,
        proof.seed
    );
    out += "Each agent tries at each turn to write to the owner's `.git/hooks`, which no policy lets it. A trial \
            is faulty when an agent did not try, by its ledger, or anything was written there, as the host sees it. \
            Where the sandbox was taken away before the trials, each agent was found out.\n\n";
    out += "| kill | of | trials | resume killed too | turns asked | repeats | interruptions recorded | faults |\n";
    out += "|---|---|--:|--:|--:|--:|--:|--:|\n";
    for timed in [true, false] {
        for victim in [Victim::Botpipe, Victim::Agent, Victim::Both] {
            let of = |it: &&(Trial, Struck)| {
                it.0.victim == victim && matches!(it.0.run, When::Time(_)) == timed
            };
            let kind = if timed { "uniform in time" } else { "between two deeds" };
            out += &row(kind, &victim.to_string(), proof.trials.iter().filter(of));
        }
    }
    out += &row("all", "", proof.trials.iter());
    out += &row("before the run was recorded", "", proof.early.iter());
    out += &format!("\n{}\n\n", if faulty == 0 { "No fault." } else { "Faults:" });
    let all = || proof.trials.iter().chain(&proof.early);
    for (trial, struck) in all() {
        for fault in &struck.judgement.faults {
            out += &format!("- {} {}: {fault}\n", trial.victim, struck.places.join(", then "));
        }
    }
    out + &deeds(all().flat_map(|(_, struck)| &struck.places))
}

fn row<'a>(kind: &str, victim: &str, of: impl Iterator<Item = &'a (Trial, Struck)>) -> String {
    let mut counts = [0; 6];
    for (trial, struck) in of {
        let judgement = &struck.judgement;
        let more = [
            1,
            usize::from(trial.resume.is_some()),
            judgement.begun,
            judgement.repeats,
            judgement.interruptions,
            usize::from(!judgement.faults.is_empty()),
        ];
        for (count, more) in counts.iter_mut().zip(more) {
            *count += more;
        }
    }
    let counts: Vec<String> = counts.iter().map(ToString::to_string).collect();
    format!("| {kind} | {victim} | {} |\n", counts.join(" | "))
}

/// The table of the places where aimed kills fell: by system call and the kind of file it was done to.
pub(super) fn deeds<'a>(places: impl Iterator<Item = &'a String>) -> String {
    let mut deeds = BTreeMap::new();
    for place in places {
        let mut words = place.splitn(3, ' ');
        let (moment, call, target) = (words.next(), words.next(), words.next().unwrap_or(""));
        let index = match moment {
            Some("before") => 0,
            Some("after") => 1,
            _ => continue,
        };
        let deed = format!("{} {}", call.unwrap_or(""), kind_of(target));
        deeds.entry(deed).or_insert([0; 2])[index] += 1;
    }
    let mut out =
        "\n## Where the aimed kills fell\n\n| deed | before | after |\n|---|--:|--:|\n".to_owned();
    for (deed, [before, after]) in deeds {
        out += &format!("| {deed} | {before} | {after} |\n");
    }
    out
}

fn kind_of(target: &str) -> &'static str {
    let kinds = [
        ("botpipe.db-wal", "the database's log"),
        ("botpipe.db-shm", "the database's index"),
        ("botpipe.db", "the database"),
        ("/heads", "the marks of the chain's ends"),
        ("snapshots.git", "snapshots"),
        ("/objects", "objects"),
        ("/runs/", "projections and activity"),
        ("/tasks", "artifacts and their folders"),
        ("pipe:", "a pipe"),
        ("a process", "a process"),
        ("socket:", "a socket"),
        (".botpipe", "the folder itself"),
        ("workspace", "the workspace"),
        ("/dev/", "a device"),
    ];
    kinds.iter().find(|(part, _)| target.contains(part)).map_or("something else", |it| it.1)
}
