//! Branches of real agents, each with a copy of the files: what all harnesses are asked, and what has to come of it.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

/// Two branches at the same file, each with its own copy of it.
const APART: &str = "\
sop: 1
name: apart
artifacts:
  note: { md: 'notes/{{ branch.key }}.md', required: true }
steps:
  - id: sides
    isolation: worktree
    parallel:
      - { id: top, prompt: Greet at the top., writes: [note] }
      - { id: bottom, prompt: Greet at the bottom., writes: [note] }
    routes: { done: FINISH, failed: FAIL }
";

/// `botpipe run` of it.
pub(crate) const RUN: [&str; 4] = ["run", "./apart.sop.yaml", "--task", "t"];

/// What the model does in each branch.
pub(crate) fn rules() -> [Value; 2] {
    let rule = |step: &str, edit: &str| {
        json!({
            "name": step,
            "when": [
                format!("^- Step: `{step}`"),
                "^- Write `note` \\([^)]*\\): `(?<note>[^`]+)`",
            ],
            "run": [format!(
                "{edit} && git status --porcelain && mkdir -p \"$(dirname '{{{{note}}}}')\" && \
                 pwd > '{{{{note}}}}'"
            )],
            "say": "{\"outcome\": {\"tag\": \"done\", \"payload\": {}, \"route_fields\": {}}}",
        })
    };
    [rule("top", "sed -i s/first/FIRST/ lines"), rule("bottom", "sed -i s/last/LAST/ lines")]
}

/// Writes the workflow and the file into a repository.
pub(crate) fn lay_out(repository: &Path) {
    fs::write(repository.join("apart.sop.yaml"), APART).unwrap();
    fs::write(repository.join("lines"), "first\n2\n3\n4\n5\n6\nlast\n").unwrap();
}

/// Both changes are in the file, and each branch stood in its own folder.
#[track_caller]
pub(crate) fn is_merged(repository: &Path) {
    let read = |path: &str| fs::read_to_string(repository.join(path)).unwrap();
    assert_eq!(read("lines"), "FIRST\n2\n3\n4\n5\n6\nLAST\n");
    for branch in ["top", "bottom"] {
        let note = read(&format!(".botpipe/tasks/t/wf_apart/notes/{branch}.md"));
        assert!(note.contains("/.botpipe/worktrees/"), "{note}");
    }
}
