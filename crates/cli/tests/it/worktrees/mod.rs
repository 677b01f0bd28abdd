//! Branches with files of their own: a workflow of them, and what can be seen of it.

mod killed;
mod merged;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::place::{Place, Said};

/// A workflow whose branches run these commands.
pub(super) fn flow(branches: &[(&str, &str)]) -> Place {
    let place = Place::new();
    let mut text = "\
sop: 1
name: side
steps:
  - id: sides
    isolation: worktree
    routes: { done: FINISH, partial: { to: FINISH, verdict: rejected }, failed: FAIL }
    parallel:
"
    .to_owned();
    for (id, command) in branches {
        let command = serde_json::to_string(command).unwrap();
        writeln!(
            text,
            "      - {{ id: {id}, run: {command}, routes: {{ done: FINISH, failed: FAIL }} }}"
        )
        .unwrap();
    }
    place.write("workflows/side.sop.yaml", &text);
    place
}

pub(super) fn run(place: &Place) -> Said {
    place.say(&["run", "side", "--task", "t"])
}

/// What the journal says, of one kind.
pub(super) fn events(place: &Place, kind: &str) -> Vec<Value> {
    let said = place.say(&["logs", "side", "t", "--events"]).ends(0).out;
    said.lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["event"].take())
        .filter(|event| event["kind"] == kind)
        .collect()
}

pub(super) fn read(place: &Place, path: &str) -> String {
    fs::read_to_string(place.path().join(path)).unwrap()
}

pub(super) fn lines(changes: &[(usize, &str)]) -> String {
    let line = |n: usize| {
        let change = changes.iter().find(|(at, _)| *at == n);
        format!("{}\n", change.map_or(n.to_string(), |(_, text)| (*text).to_owned()))
    };
    (1..=9).map(line).collect()
}

pub(super) fn git(place: &Path, args: &[&str]) -> String {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=A", "-c", "user.email=a@example.org"]).args(args);
    let out = command.current_dir(place).env("GIT_CONFIG_GLOBAL", "/dev/null").output().unwrap();
    assert!(out.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

/// The folders of branches that are there.
pub(super) fn folders(place: &Place) -> Vec<PathBuf> {
    let all = fs::read_dir(place.path().join(".botpipe/worktrees"));
    let mut all: Vec<_> = all.into_iter().flatten().map(|it| it.unwrap().path()).collect();
    all.sort();
    all
}
