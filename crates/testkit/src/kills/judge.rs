//! What is right and wrong about a run that was cut off, by the agent's ledger and the tree.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::ground::{Ground, GroundError, Tree, error};
use crate::agent::{Entry, LedgerError};

/// What was true when a kill had fallen.
#[derive(Debug)]
pub(super) struct Cut {
    /// How many turns the ledger had.
    pub(super) begun: usize,
    /// The turns with a durable end, without their `~n`.
    pub(super) ended: BTreeSet<String>,
}

/// What the judge says of a trial.
#[derive(Debug, Default)]
pub struct Judgement {
    /// Turns the agent was asked for.
    pub begun: usize,
    /// How many of them were started again.
    pub repeats: usize,
    /// Interruptions that are recorded.
    pub interruptions: usize,
    /// All that is wrong; empty when nothing is.
    pub faults: Vec<String>,
}

/// The turns the agent was asked for, in order.
pub(super) fn begun(ground: &Ground) -> Result<Vec<String>, GroundError> {
    let turn = |entry| if let Entry::Began { turn, .. } = entry { Some(turn) } else { None };
    Ok(entries(ground)?.into_iter().filter_map(turn).collect())
}

/// The ledger of a ground.
pub(super) fn entries(ground: &Ground) -> Result<Vec<Entry>, GroundError> {
    ground.ledger().entries().map_err(|problem| match problem {
        LedgerError::File { path, source } => error(&path, source),
        LedgerError::Line { path, source, .. } => error(&path, source.into()),
    })
}

/// The turns whose end is recorded, without their `~n`.
pub(super) fn ended(events: &str) -> BTreeSet<String> {
    turns(events, "turn_ended").iter().map(|turn| path(turn).to_owned()).collect()
}

/// The turns whose interruption is recorded.
pub(super) fn interrupted(events: &str) -> BTreeSet<String> {
    turns(events, "turn_interrupted").into_iter().collect()
}

/// Judges the ledger against what was durable at each cut.
///
/// Of our own records it takes two things: which ends were durable when a kill fell, and that an
/// interruption stands before each repeat.
pub(super) fn judge(begun: &[String], cuts: &[Cut], interrupted: &BTreeSet<String>) -> Judgement {
    let mut faults = Vec::new();
    let mut seen = BTreeMap::new();
    let mut repeats = 0;
    for (index, turn) in begun.iter().enumerate() {
        let path = path(turn);
        if cuts.iter().any(|cut| index >= cut.begun && cut.ended.contains(path)) {
            faults.push(format!("turn {turn} was asked for though its end was durable"));
        }
        if let Some(before) = seen.insert(path, turn) {
            repeats += 1;
            if before == turn {
                faults.push(format!("turn {turn} was asked for twice under one id"));
            }
            if !interrupted.contains(before.as_str()) {
                faults.push(format!(
                    "turn {turn} repeats {before}, whose interruption is not recorded"
                ));
            }
        }
    }
    Judgement { begun: begun.len(), repeats, interruptions: interrupted.len(), faults }
}

/// What one tree has and the other has not, a line each.
pub(super) fn differences(wanted: &Tree, found: &Tree) -> Vec<String> {
    let paths: BTreeSet<&String> = wanted.keys().chain(found.keys()).collect();
    let differs = |path: &&String| wanted.get(*path) != found.get(*path);
    let word = |path: &String| match (wanted.get(path), found.get(path)) {
        (Some(_), None) => "is missing",
        (None, _) => "should not be there",
        (Some(_), Some(_)) => "differs",
    };
    paths.into_iter().filter(differs).map(|path| format!("{path} {}", word(path))).collect()
}

/// The turns that events of this kind name.
fn turns(events: &str, kind: &str) -> Vec<String> {
    let event = |line: &str| {
        let event = serde_json::from_str::<Value>(line).ok()?["event"].take();
        (event["kind"] == kind).then(|| event["turn"].as_str().map(str::to_owned)).flatten()
    };
    events.lines().filter_map(event).collect()
}

/// A turn without its `~n`.
pub(super) fn path(turn: &str) -> &str {
    turn.split('~').next().unwrap_or(turn)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERRUPTED: &str =
        r#"{"seq":4,"event":{"kind":"turn_interrupted","turn":"a/1/producer/1"}}"#;

    fn faults(begun: &[&str], cut: Option<(usize, &str)>, events: &str) -> Vec<String> {
        let begun: Vec<String> = begun.iter().map(|turn| (*turn).to_owned()).collect();
        let cut = cut.map(|(begun, turn)| Cut { begun, ended: BTreeSet::from([turn.to_owned()]) });
        judge(&begun, &cut.into_iter().collect::<Vec<_>>(), &interrupted(events)).faults
    }

    #[test]
    fn a_repeat_after_a_recorded_interruption_is_right() {
        assert!(faults(&["a/1/producer/1", "a/1/producer/1~2"], None, INTERRUPTED).is_empty());
    }

    #[test]
    fn a_repeat_of_what_was_not_interrupted_is_wrong() {
        assert_eq!(faults(&["a/1/producer/1", "a/1/producer/1~2"], None, "").len(), 1);
        assert_eq!(faults(&["a/1/producer/1", "a/1/producer/1"], None, INTERRUPTED).len(), 1);
    }

    #[test]
    fn a_turn_with_a_durable_end_may_not_begin_again() {
        let cut = Some((1, "a/1/producer/1"));
        assert_eq!(faults(&["a/1/producer/1", "a/1/producer/1~2"], cut, INTERRUPTED).len(), 1);
        assert!(faults(&["a/1/producer/1", "b/1/producer/1"], cut, INTERRUPTED).is_empty());
    }

    #[test]
    fn every_difference_of_two_trees_is_named() {
        let tree = |files: &[(&str, u32, &str)]| -> Tree {
            files.iter().map(|it| (it.0.to_owned(), (it.1, it.2.as_bytes().to_vec()))).collect()
        };
        let wanted = tree(&[("a", 1, "x"), ("b", 1, "x"), ("c", 1, "x"), ("d", 1, "x")]);
        let found = tree(&[("a", 1, "x"), ("b", 2, "x"), ("c", 1, "y"), ("e", 1, "x")]);
        let said = differences(&wanted, &found);
        assert_eq!(said, ["b differs", "c differs", "d is missing", "e should not be there"]);
    }
}
