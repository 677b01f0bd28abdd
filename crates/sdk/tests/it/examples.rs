//! The examples, run as programs: what they say is what they promise.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use botpipe::{Client, Workflow};

/// An example, as cargo built it beside this test.
pub(crate) fn example(name: &str) -> PathBuf {
    let deps = std::env::current_exe().unwrap();
    deps.parent().unwrap().parent().unwrap().join("examples").join(name)
}

/// What an example says, and whether it ended well.
pub(crate) fn run(name: &str, place: &Path, args: &[&str], told: &str) -> (bool, String) {
    let mut program = Command::new(example(name))
        .arg(place)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that is done before it read all of it is asked for what it said all the same.
    let _ = program.stdin.take().unwrap().write_all(told.as_bytes());
    let output = program.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

#[test]
fn the_built_ralph_loop_prints_the_shipped_one() {
    let output = Command::new(example("ralph_loop")).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let place = tempfile::tempdir().unwrap();
    let shipped = Workflow::find(place.path(), "ralph_loop").unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../workflows/ralph_loop");
    for folder in ["prompts", "schemas"] {
        let to = place.path().join(folder);
        fs::create_dir(&to).unwrap();
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let from = entry.unwrap().path();
            fs::copy(&from, to.join(from.file_name().unwrap())).unwrap();
        }
    }
    fs::write(place.path().join("sop.yaml"), text).unwrap();
    let file = place.path().join("sop.yaml");
    let printed = Workflow::find(place.path(), file.to_str().unwrap()).unwrap();
    assert_eq!(printed.digest(), shipped.digest());
}

/// Plans one item, does it, and finds everything good.
const AGENT: &str = r#"
prompt=$(cat)
case "$prompt" in
*'Step: `implement`'*"Role: producer"*) echo Done. ;;
*"Role: producer"*)
    echo '{"goal": "All.", "items": [{"id": "one", "title": "One", "status": "todo", "goal": "Do it.",
        "acceptance_checks": ["It is done."]}]}' > "$(ls -d .botpipe/tasks/*/wf_ralph_loop)/work.json" ;;
*)
    for path in $(printf '%s' "$prompt" | grep -o '[^ `]*review.md' | sort -u); do
        mkdir -p "$(dirname "$path")"; echo Good. > "$path"
    done
    echo '{"outcome": {"tag": "accepted"}}' ;;
esac"#;

#[test]
fn the_built_ralph_loop_runs_and_is_followed() {
    let place = tempfile::tempdir().unwrap();
    let (well, said) = run("ralph_loop", place.path(), &["Add CSV export", "sh", "-c", AGENT], "");
    assert!(well, "{said}");
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].starts_with("task add-csv-export-"), "{said}");
    assert_eq!(
        lines[1..],
        [
            "plan/1",
            "plan/1: accepted",
            "implement[one]/1",
            "implement[one]/1: accepted",
            "Finished(Accepted)"
        ],
        "{said}"
    );
}

#[test]
fn a_release_is_asked_about_and_gives_back_a_typed_value() {
    let place = tempfile::tempdir().unwrap();
    let (well, said) = run("release", place.path(), &[], "perhaps\npublish\n");
    assert!(well, "{said}");
    assert!(said.contains(r#"notes.md? ["publish", "later"]"#), "{said}");
    assert!(said.contains("the answer must be one of `publish`, `later`"), "{said}");
    assert!(said.ends_with("version 2.0: out\n"), "{said}");
    let (_, said) = run("release", place.path(), &[], "later\n");
    assert!(said.ends_with("version 2.0: not yet\n"), "{said}");
    // Nobody answers: it waits, and says so.
    let (well, said) = run("release", place.path(), &[], "");
    assert!(!well, "{said}");
    assert!(said.contains("gave nothing back: waiting"), "{said}");
    assert!(said.len() < 1_000, "{said}");
}

#[test]
fn single_turns_give_typed_values_and_are_recorded() {
    let place = tempfile::tempdir().unwrap();
    let agent = r#"
prompt=$(cat)
printf '%s' "$prompt" | grep -q 'It fails on {{ x }}.md' || exit 3
case "$prompt" in
*"What is this?"*) echo '{"outcome": {"tag": "bug"}}' ;;
*) echo '{"outcome": {"tag": "done", "payload": {"hours": 2.5, "why": "It is small."}}}' ;;
esac"#;
    let (well, said) = run("triage", place.path(), &["sh", "-c", agent], "It fails on {{ x }}.md");
    assert!(well, "{said}");
    assert_eq!(said, "Bug, 2.5 hours: It is small.\n");
    let client = Client::open(place.path()).unwrap();
    let runs = client.runs(None, None).unwrap();
    assert_eq!(runs.len(), 2);
    for run in runs {
        assert_eq!((run.workflow.as_str(), run.state.as_str()), ("single_turn", "finished"));
        let events = client.events_after(&run.run, 0).unwrap();
        assert!(events.iter().any(|(_, event)| event.kind() == "outcome_accepted"));
    }
}

#[test]
fn a_single_turn_that_comes_to_nothing_says_why() {
    let place = tempfile::tempdir().unwrap();
    let (well, said) = run("triage", place.path(), &["sh", "-c", "echo nonsense"], "x");
    assert!(!well, "{said}");
    assert!(said.contains("gave nothing back: stopped: provider"), "{said}");
    assert!(said.contains("no outcome was found"), "{said}");
    assert!(said.len() < 1_000, "{said}");
    let (well, said) = run("triage", place.path(), &["/no/such/program"], "x");
    assert!(!well && said.contains("/no/such/program"), "{said}");
}
