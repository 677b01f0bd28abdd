//! A standard output that takes no more: told, and no success; a reader who left is none of our business.

use std::fs::OpenOptions;
use std::process::Stdio;

use crate::place::{HELLO, Place, Said, said};

/// What a command says whose output goes to a disk that is full.
fn onto_a_full_disk(place: &Place, words: &[&str]) -> Said {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    said(&place.command(words).stdout(full).output().unwrap())
}

#[test]
fn what_is_lost_of_a_result_is_told_and_no_success() {
    let place = Place::with("hello", HELLO);
    for words in [
        &["schema", "config"][..],
        &["policy", "explain", "hello", "--json"],
        &["workflows", "list"],
        &["graph", "hello"],
        &["completions", "bash"],
        &["--help"],
        &["sandbox", "--", "echo", "hi"],
        &["sandbox", "--", "seq", "100000"],
    ] {
        let said = onto_a_full_disk(&place, words).ends(1);
        let told = "error: standard output cannot be written: No space left on device\n";
        assert_eq!(said.err, told, "{words:?}");
    }
    // A code that says more stays.
    onto_a_full_disk(&place, &["runs", "show", "hello", "none"]).ends(3);
}

#[test]
fn a_reader_who_left_is_no_failure() {
    let place = Place::new();
    for words in [&["schema", "events"][..], &["--help"]] {
        let mut command = place.command(words);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let said = said(&child.wait_with_output().unwrap()).ends(0);
        assert_eq!(said.err, "", "{words:?}");
    }
}
