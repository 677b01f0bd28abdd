//! An escape proof as a page of Markdown.

#![expect(clippy::format_push_string, reason = "a line of text reads best as one format")]

use std::collections::BTreeMap;

use super::adapter::{Caller, Network};
use super::proof::{Outcome, Proof, Verdict, WATCHED};

/// What is wrong: escapes, what is broken, what did not start.
pub fn faults(proof: &Proof) -> Vec<&Outcome> {
    let bad = [Verdict::Escaped, Verdict::Broken, Verdict::NotStarted];
    proof.outcomes.iter().filter(|it| bad.contains(&it.verdict)).collect()
}

fn word(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Blocked => "blocked".to_owned(),
        Verdict::Refused => "refused to start".to_owned(),
        Verdict::Escaped => "**ESCAPED**".to_owned(),
        Verdict::Gap => "known gap".to_owned(),
        Verdict::Rate(got, of) => format!("race: {got} of {of}"),
        Verdict::ProvesNothing => "proves nothing".to_owned(),
        Verdict::Works => "works".to_owned(),
        Verdict::Broken => "**BROKEN**".to_owned(),
        Verdict::NotStarted => "**did not start**".to_owned(),
        Verdict::Bare => "succeeds bare".to_owned(),
    }
}

/// The page: what was done, the counts, every fault, the races, and a line for every attempt.
pub fn markdown(proof: &Proof, date: &str, about: &str) -> String {
    let mut out = format!("# Escapes, {date}\n\n{about}\n\n");
    out += &format!(
        "{} attempts and checks. Each is first made without a sandbox: one that fails there proves nothing and is \
         named so. Then it is made under `botpipe sandbox`, as root, as root in a workspace of an ordinary user
         (`root_for_user`), and as an ordinary user, with `network: none` \
         and `network: limited`. The host judges: a secret made for this attempt came out, a file of the host \
         changed, a listener of the host heard something, a process lives on, a signal arrived, a file was held \
         open. Races in a tree that the host and the command both write are told as a rate of {WATCHED}.\n\n",
        proof.attempts
    );
    out += "| caller | network | blocked | refused to start | escaped | known gaps | proves nothing | works | broken | did not start |\n";
    out += "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|\n";
    let columns = [
        Verdict::Blocked,
        Verdict::Refused,
        Verdict::Escaped,
        Verdict::Gap,
        Verdict::ProvesNothing,
        Verdict::Works,
        Verdict::Broken,
        Verdict::NotStarted,
    ];
    for caller in ["root", "root_for_user", "user"] {
        for network in [Some(Network::None), Some(Network::Limited), None] {
            let of = |it: &&Outcome| it.caller.to_string() == caller && it.network == network;
            let counts = columns.each_ref().map(|verdict| {
                let fits = |it: &&Outcome| of(it) && it.verdict == *verdict;
                proof.outcomes.iter().filter(fits).count().to_string()
            });
            let network = network.map_or("(bare)".to_owned(), |it| it.to_string());
            out += &format!("| {caller} | {network} | {} |\n", counts.join(" | "));
        }
    }
    let faults = faults(proof);
    out += &format!("\n{}\n\n", if faults.is_empty() { "No fault." } else { "Faults:" });
    for it in &faults {
        let network = it.network.map(|it| format!(", network {it}")).unwrap_or_default();
        out += &format!(
            "- {} {} / {} ({}{network}): {}\n",
            word(&it.verdict),
            it.topic,
            it.name,
            it.caller,
            it.said
        );
    }
    out += "\n## Every attempt\n\n| topic | attempt | root, none | root, limited | for user, none | for user, limited | user, none | user, limited |\n|---|---|---|---|---|---|---|---|\n";
    let mut rows: BTreeMap<(&str, usize, &str), [String; 6]> = BTreeMap::new();
    let mut orders: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for it in &proof.outcomes {
        let next = orders.len();
        let order = *orders.entry((&it.topic, &it.name)).or_insert(next);
        let cells = rows.entry((&it.topic, order, &it.name)).or_default();
        let user = match it.caller {
            Caller::Root => 0,
            Caller::RootFor(_) => 2,
            Caller::User(_) => 4,
        };
        match it.network {
            Some(Network::None) => cells[user] = word(&it.verdict),
            Some(Network::Limited) => cells[user + 1] = word(&it.verdict),
            None => {
                cells[user] = word(&it.verdict);
                cells[user + 1] = word(&it.verdict);
            }
        }
    }
    for ((topic, _, name), cells) in rows {
        out += &format!("| {topic} | {name} | {} |\n", cells.join(" | "));
    }
    let gaps: Vec<_> = proof.outcomes.iter().filter(|it| it.verdict == Verdict::Gap).collect();
    if !gaps.is_empty() {
        out += "\n## Known gaps\n\n";
        for it in gaps {
            out += &format!("- {} / {} ({}): {}\n", it.topic, it.name, it.caller, it.said);
        }
    }
    let nothing: Vec<_> =
        proof.outcomes.iter().filter(|it| it.verdict == Verdict::ProvesNothing).collect();
    if !nothing.is_empty() {
        out += "\n## Why some prove nothing here\n\n";
        for it in nothing {
            out += &format!("- {} / {} ({}): {}\n", it.topic, it.name, it.caller, it.said);
        }
    }
    out
}
