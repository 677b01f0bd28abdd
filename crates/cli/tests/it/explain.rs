//! `botpipe explain`: byte for byte what a run sends for the same data, and nothing is left of it.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::place::{HELLO, Place, tree};

/// An agent that keeps what it is asked in `$KEPT`, by turn, and does its part with the sample data.
const KEEPS: &str = r#"
name=$(echo "$BOTPIPE_TURN" | tr '/[]' '...'); cat > "$KEPT/asked.$name"
flow=$BOTPIPE_WORKFLOW_FOLDER
write() { mkdir -p "$(dirname "$1")" && cat > "$1"; }
case $BOTPIPE_TURN in
  plan/*/producer/*) cp sample.json $flow/work.json;;
  plan/*/verifier/*) echo good | write $flow/plan/plan_review.md;;
  implement*/verifier/*) echo good | write $flow/implement/items/$BOTPIPE_ITEM/implementation_review.md;;
esac
test "$BOTPIPE_ROLE" = verifier && echo '{"outcome": {"tag": "accepted"}}' || true
"#;

#[test]
fn what_is_explained_is_what_a_run_sends_for_the_same_data() {
    let place = Place::new();
    let of = |step: &str, role: &str, more: &[&str]| {
        let args = ["explain", "ralph_loop", step, "--role", role, "--task", "t1"];
        let given = ["--message", "say hello", "-wf", "test_command", "true"];
        place.say(&[&args[..], &given, more].concat()).ends(0)
    };
    let all: Value = serde_json::from_str(&of("implement", "producer", &["--json"]).out).unwrap();
    place.write("sample.json", all["artifacts"]["work"].as_str().unwrap());
    assert_eq!(all["input"]["request"], "say hello");

    let kept = tempfile::tempdir().unwrap();
    let keeps = format!("KEPT={}\n{KEEPS}", kept.path().display());
    place.run("ralph_loop", &keeps, &["-wf", "test_command", "true"]).ends(0);
    let item = "sample-id";
    for (step, visit) in [("plan", "plan.1"), ("implement", &*format!("implement.{item}..1"))] {
        for role in ["producer", "verifier"] {
            let sent = fs::read_to_string(kept.path().join(format!("asked.{visit}.{role}.1")));
            assert_eq!(of(step, role, &[]).out, sent.unwrap(), "{step} {role}");
        }
    }
}

#[test]
fn a_workspace_stays_as_it_is_and_no_scratch_folder_is_left() {
    let place = Place::with("hello", HELLO);
    let before = tree(place.path(), &[]);
    let temporary = tempfile::tempdir().unwrap();
    let mut command = place.command(&["explain", "hello", "greet"]);
    let said =
        crate::place::said(&command.env("TMPDIR", temporary.path()).output().unwrap()).ends(0);
    assert!(
        said.out.starts_with("Greet as asked: sample-request\n\n# Step contract\n"),
        "{}",
        said.out
    );
    assert_eq!(tree(place.path(), &[]), before);
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0);
}

#[test]
fn given_data_stands_in_the_place_of_what_is_made_up() {
    let flow = "\
sop: 1
name: flow
input: { who: { type: string }, code: { type: string, pattern: '^zq+$' } }
params: { loud: { type: boolean, default: false } }
artifacts: { plan: { json: plan.json, schema: { type: object, required: [n], properties: { n: { type: integer } } } }, note: { md: note.md } }
steps:
  - { id: first, prompt: plan it, writes: [plan], routes: { done: { to: look, required_writes: [plan] } } }
  - { id: look, run: 'echo {{ input.who }} {{ params.loud }}', routes: { done: last } }
  - { id: last, prompt: 'For {{ input.who }}', requires: [plan], reads: [note], routes: { done: FINISH } }
";
    let place = Place::with("flow", flow);
    let missing = place.say(&["explain", "flow", "last"]).ends(2);
    let words = "input `code` cannot be made up from its schema: no usual text fits `^zq+$` of `code`; give it \
                 with `--input` or `-i`";
    assert!(missing.err.contains(words), "{}", missing.err);
    let explain = |step: &str, more: &[&str]| {
        let args = ["explain", "flow", step, "-i", "code", "zqq", "-i", "who", "Ada"];
        place.say(&[&args[..], more].concat())
    };
    let said = explain("last", &[]).ends(0).out;
    assert!(said.contains("For Ada") && said.contains("note.md` — not there yet"), "{said}");
    assert_eq!(explain("look", &["-wf", "loud", "true"]).ends(0).out, "echo Ada true");
    let bad = place.write("bad.json", "{ \"n\": \"x\" }");
    let refused = explain("last", &["--artifact", "plan", bad.to_str().unwrap()]).ends(2);
    assert!(
        refused.err.contains("step `last` cannot be entered with this data"),
        "{}",
        refused.err
    );
    let wrong = explain("last", &["--artifact", "plam", bad.to_str().unwrap()]).ends(3);
    assert!(wrong.err.contains("no artifact `plam`; it has `note`, `plan`"), "{}", wrong.err);
    assert!(explain("last", &["-i", "nobody", "x"]).ends(2).err.contains("no such field"));
    assert!(explain("lost", &[]).ends(3).err.contains("it has `first`, `look`, `last`"));
    assert!(!Path::new(&place.path().join(".botpipe")).exists());
}

#[test]
fn items_that_a_command_would_give_are_made_up() {
    let text = "sop: 1\nname: files\nparams: { modules: { type: array, default: [] } }\nworklists:\n  \
                file: { run: 'exit 3', title: name }\n  module: { from: params.modules }\nsteps:\n  \
                - id: a\n    scope: file\n    prompt: 'Read {{ file.id }}: {{ file.title }}'\n    \
                routes: { done: { advance: SELF, exhausted: b } }\n  - id: b\n    scope: module\n    \
                prompt: 'Mend {{ module.id }}'\n    \
                routes: { done: { advance: SELF, exhausted: FINISH } }\n";
    let place = Place::with("files", text);
    let said = place.say(&["explain", "files", "a"]).ends(0).out;
    assert!(said.contains("Read sample-1: sample item"), "{said}");
    let said = place.say(&["explain", "files", "b"]).ends(0).out;
    assert!(said.contains("Mend sample-1"), "{said}");
    let given = ["explain", "files", "b", "-wf", "modules", r#"["core"]"#];
    let said = place.say(&given).ends(0).out;
    assert!(said.contains("Mend core"), "{said}");
}
