//! The proof with real harnesses as a page of Markdown.

#![expect(clippy::format_push_string, reason = "a line of text reads best as one format")]

use super::bench::Kind;
use super::log::GoneOn;
use super::moment::Moment;
use super::proof::Proof;
use super::trial::{Struck, TURNS, Trial};

/// The page: what was done, two tables, and every fault.
pub fn markdown(proof: &Proof, date: &str, about: &str) -> String {
    let mut out = format!("# Kills inside turns of real harnesses, {date}\n\n{about}\n\n");
    out += &format!(
        "The shipped `ralph_loop` with the real CLIs, their model on loopback: {} turns, with a repaired \
         answer and a rework. Botpipe gets SIGKILL while a turn is at a moment that the model's log or the \
         process table shows, up to 0.4 s after that is seen; then `botpipe resume`. Seed {}.",
        TURNS.len(),
        proof.seed
    );
    let unkilled = proof.unkilled.iter();
    let unkilled: Vec<String> =
        unkilled.map(|(kind, took)| format!("{kind} {:.1} s", took.as_secs_f64())).collect();
    out += &format!(" Unkilled it takes: {}.\n\n", unkilled.join(", "));
    out += "A trial is right when the run ends accepted with the tree of an unkilled run (both items done, \
            the owner's `.git` as it was), no process is left after a kill or at the end, and in the model's \
            log no turn whose end was durable is asked again, each turn of the run is asked, none twice under \
            one id, and the turn that goes on is told what happened and carries the conversation of the cut \
            one under the same name, or, where the CLI had not stored that yet, is told that it begins anew. Before \
            each kill this proof tries to write to the owner's `.git/hooks` with the view of the host that the living \
            CLI has (`/proc/PID/root`), and must be refused as read only or write to a copy; where the sandbox was taken away before the \
            trials, each CLI was found out.\n\n";
    out += "| harness | killed when | trials | kills | turns asked | repeats | goes on in the conversation | \
            … with the cut turn's commands | … cut turn not stored yet | afresh, told so | faults |\n";
    out += "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n";
    for kind in Kind::ALL {
        for at in Moment::ALL {
            let of: Vec<_> =
                proof.trials.iter().filter(|it| it.0.kind == kind && it.0.at == at).collect();
            if !of.is_empty() {
                out += &row(&kind.to_string(), &at.to_string(), &of);
            }
        }
    }
    let all: Vec<_> = proof.trials.iter().collect();
    out += &row("all", "", &all);
    out += &format!("\n{}\n\n", if proof.faulty() == 0 { "No fault." } else { "Faults:" });
    for (trial, struck) in &proof.trials {
        for fault in &struck.judgement.faults {
            out += &format!("- {}, {}, {}: {fault}\n", trial.kind, trial.turn, trial.at);
        }
    }
    let left = proof.trials.iter().filter(|it| it.1.placeholders).count();
    out += &format!(
        "After {left} trials the empty folders were there that Codex's sandbox mounts on while a command \
         runs (`.agents`, `.aws`, `.codex`), since nobody lived to remove them. They count as no fault.\n\n"
    );
    out += "## What was cut off\n\n| turn | trials | resume killed too |\n|---|--:|--:|\n";
    for turn in TURNS {
        let of = || proof.trials.iter().filter(|it| it.0.turn == turn);
        let again = of().filter(|it| it.0.again.is_some()).count();
        out += &format!("| `{turn}` | {} | {again} |\n", of().count());
    }
    out
}

fn row(kind: &str, at: &str, of: &[&(Trial, Struck)]) -> String {
    let kills = || of.iter().flat_map(|it| &it.1.gone_on);
    let went = |how: fn(&GoneOn) -> bool| kills().filter(|(_, gone)| how(gone)).count();
    let acted = |it: &&(Moment, GoneOn)| {
        it.0.acted() && it.1 == GoneOn::InConversation { with_deeds: true }
    };
    let sum = |count: fn(&Struck) -> usize| of.iter().map(|it| count(&it.1)).sum::<usize>();
    let counts = [
        of.len(),
        of.iter().map(|it| 1 + usize::from(it.0.again.is_some())).sum(),
        sum(|it| it.judgement.begun),
        sum(|it| it.judgement.repeats),
        went(|it| matches!(it, GoneOn::InConversation { .. })),
        kills().filter(acted).count(),
        went(|it| *it == GoneOn::InEarlierOne),
        went(|it| *it == GoneOn::Afresh),
        sum(|it| usize::from(!it.judgement.faults.is_empty())),
    ];
    let counts: Vec<String> = counts.iter().map(ToString::to_string).collect();
    format!("| {kind} | {at} | {} |\n", counts.join(" | "))
}
