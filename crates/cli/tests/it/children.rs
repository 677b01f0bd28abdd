//! Runs below a run: side by side, one for each item, and other workflows; also killed and resumed.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::faults::nothing_is_left;
use crate::place::{Place, Said, said};

/// Every branch notes that it ran; `go` lets the slow ones end.
const BRANCHES: &str = "\
sop: 1
name: branches
steps:
  - id: side
    parallel:
      - { id: one, run: 'echo one >> ledger' }
      - { id: two, run: 'echo two >> ledger' }
      - { id: slow, run: 'echo slow >> ledger; until [ -e go ]; do sleep 0.02; done' }
    routes: { done: after, failed: FAIL }
  - id: after
    run: 'echo after >> ledger'
";

fn started(place: &Place, name: &str) -> Child {
    let mut run = place.command(&["run", name, "--task", "t", "--json"]);
    run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn ended(run: Child) -> Said {
    said(&run.wait_with_output().unwrap())
}

/// Waits until so many lines stand in the ledger.
#[track_caller]
fn ledger(place: &Place, lines: usize) -> Vec<String> {
    let until = Instant::now() + Duration::from_mins(2);
    loop {
        let text = fs::read_to_string(place.path().join("ledger")).unwrap_or_default();
        let found: Vec<String> = text.lines().map(str::to_owned).collect();
        if found.len() >= lines {
            return found;
        }
        assert!(Instant::now() < until, "only {found:?}");
        thread::sleep(Duration::from_millis(10));
    }
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

fn signal(run: &Child, signal: &str) {
    let done = Command::new("kill").args([signal, &run.id().to_string()]).status().unwrap();
    assert!(done.success());
}

/// What the journal says of a run, of one kind.
fn events(place: &Place, name: &str, kind: &str) -> Vec<Value> {
    let said = place.say(&["logs", name, "t", "--events"]).ends(0).out;
    said.lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["event"].take())
        .filter(|event| event["kind"] == kind)
        .collect()
}

#[test]
fn branches_that_ended_never_run_again_after_a_kill() {
    let place = Place::with("branches", BRANCHES);
    let mut run = started(&place, "branches");
    ledger(&place, 3);
    // Both quick ones are recorded as ended.
    let until = Instant::now() + Duration::from_mins(2);
    while events(&place, "branches", "child_ended").len() < 2 {
        assert!(Instant::now() < until);
        thread::sleep(Duration::from_millis(20));
    }
    run.kill().unwrap();
    run.wait().unwrap();
    nothing_is_left(&place);
    place.write("go", "");
    place.say(&["resume", "branches", "t"]).ends(0);
    let lines = sorted(ledger(&place, 5));
    assert_eq!(lines, ["after", "one", "slow", "slow", "two"], "only what was cut off runs again");
    assert_eq!(events(&place, "branches", "child_ended").len(), 3);
}

#[test]
fn a_signal_stops_all_branches_and_resume_goes_on_with_them() {
    let place = Place::with("branches", BRANCHES);
    let run = started(&place, "branches");
    ledger(&place, 3);
    signal(&run, "-TERM");
    let stopped = ended(run).ends(143);
    assert_eq!(stopped.json()["exit_code"], 143);
    nothing_is_left(&place);
    let list = place.say(&["runs", "list"]).ends(0).json();
    assert_eq!(
        list["runs"].as_array().unwrap().len(),
        1,
        "children are no runs of their own: {list}"
    );
    assert_eq!(list["runs"][0]["state"], "stopped");
    place.write("go", "");
    place.say(&["resume", "branches", "t"]).ends(0);
    assert!(ledger(&place, 5).contains(&"after".to_owned()));
}

#[test]
fn cancelling_a_run_cancels_all_below_it() {
    let place = Place::with("branches", BRANCHES);
    let run = started(&place, "branches");
    ledger(&place, 3);
    place.say(&["cancel", "branches", "t"]).ends(0);
    ended(run).ends(130);
    nothing_is_left(&place);
    // One at rest as well.
    let run = started(&place, "branches");
    ledger(&place, 6);
    signal(&run, "-INT");
    ended(run).ends(130);
    place.say(&["cancel", "branches", "t"]).ends(0);
    let said = place.say(&["resume", "branches", "t"]);
    assert!(said.ends(130).out.contains("cancelled"));
}

#[test]
fn a_branch_that_asks_is_answered_through_its_root() {
    let asks = "if [ -n \"$BOTPIPE_ANSWER\" ] || [ -e asked ]; then echo done >> ledger; else touch asked; \
                echo '{\"outcome\": {\"tag\": \"ask\"}}'; fi";
    let text = format!(
        "sop: 1\nname: asks\nsteps:\n  - id: side\n    parallel:\n      - id: quick\n        run: echo quick \
         >> ledger\n      - id: which\n        run: |\n          {asks}\n        routes:\n          ask: \
         AWAIT_INPUT\n          done: FINISH\n"
    );
    let place = Place::with("asks", &text);
    let run = place.say(&["run", "asks", "--task", "t", "--json"]).ends(5).json();
    assert_eq!(run["state"], "waiting", "{run}");
    // A run below another is moved with it.
    let below = events(&place, "asks", "children_planned")[0]["children"][1]["run"].clone();
    let below = below.as_str().unwrap();
    let said = place.say(&["resume", "asks", "t", "--run-id", below]).ends(2);
    assert!(said.err.contains("is part of run"), "{}", said.err);
    place.say(&["answer", "asks", "t", "--answer", "the old one"]).ends(0);
    assert_eq!(sorted(ledger(&place, 2)), ["done", "quick"]);
}

#[test]
fn the_first_failure_ends_the_others_where_the_step_says_so() {
    let text = "\
sop: 1
name: fast
steps:
  - id: side
    settle: fail_fast
    concurrency: 2
    parallel:
      - { id: hangs, run: 'echo hangs >> ledger; sleep 600' }
      - { id: fails, run: 'until [ -e ledger ]; do sleep 0.02; done; exit 3', routes: { done: FINISH, failed: FAIL } }
      - { id: never, run: 'echo never >> ledger' }
    routes: { done: FINISH, failed: told }
  - id: told
    run: 'echo told >> ledger'
";
    let place = Place::with("fast", text);
    place.say(&["run", "fast", "--task", "t"]).ends(0);
    nothing_is_left(&place);
    assert_eq!(ledger(&place, 2), ["hangs", "told"]);
    assert_eq!(events(&place, "fast", "child_skipped")[0]["branch"], "never");
}

#[test]
fn as_many_run_at_a_time_as_the_step_allows() {
    let text = "\
sop: 1
name: many
steps:
  - id: each
    fan_out: range(9) | list
    concurrency: 3
    branch:
      run: 'echo in >> ledger; until [ $(grep -c in ledger) -ge $(cat gate) ]; do sleep 0.02; done; echo out >> ledger'
";
    let place = Place::with("many", text);
    // Nobody comes out before three are in; a fourth would be seen in the ledger.
    place.write("gate", "3");
    place.say(&["run", "many", "--task", "t"]).ends(0);
    let lines = ledger(&place, 18);
    let inside = lines.iter().scan(0, |inside: &mut i32, line| {
        *inside += if line == "in" { 1 } else { -1 };
        Some(*inside)
    });
    assert_eq!(inside.max(), Some(3), "{lines:?}");
}

#[test]
fn an_agent_is_told_what_the_branches_came_to() {
    let text = "\
sop: 1
name: review
input: { files: { type: array, items: { type: object } } }
steps:
  - id: each
    fan_out: \"{{ input.files }}\"
    join: all_settled
    branch:
      run: 'test {{ branch.item.good }} = true'
      routes: { done: FINISH, failed: FAIL }
    fan_in:
      prompt: |
        {% for it in fan_in.results %}{{ it.branch }}={{ it.status }} {% endfor %}
      writes:
        - summary: { md: summary.md, required: true }
    routes: { fine: FINISH, bad: FAIL }
";
    let place = Place::with("review", text);
    let agent = "cat > prompt; echo all > .botpipe/tasks/t/wf_review/each/summary.md; \
                 echo '{\"outcome\": {\"tag\": \"fine\"}}'";
    let input = r#"{"files": [{"id": "a.rs", "good": true}, {"id": "b.rs", "good": false}]}"#;
    let args = ["run", "review", "--task", "t", "--input", input, "--provider", "command", "--"];
    place.say(&[&args[..], &["sh", "-c", agent]].concat()).ends(0);
    let prompt = fs::read_to_string(place.path().join("prompt")).unwrap();
    assert!(prompt.contains("a.rs=done b.rs=failed"), "{prompt}");
    assert!(prompt.contains("- `b.rs`: failed (`failed`)"), "{prompt}");
}

#[test]
fn another_workflow_is_started_with_what_it_takes_and_its_end_picks_the_route() {
    let place = Place::with(
        "outer",
        "sop: 1\nname: outer\ninput: { words: { type: array } }\nsteps:\n  - id: say\n    workflow: inner\n    \
         with: { word: \"{{ input.words[0] }}\", n: \"{{ input.words | length }}\" }\n    routes: { done: \
         FINISH, failed: sorry }\n  - id: sorry\n    run: echo sorry > sorry\n",
    );
    place.write(
        "workflows/inner.sop.yaml",
        "sop: 1\nname: inner\ninput: { word: { type: string }, n: { type: integer } }\nsteps:\n  - id: say\n    \
         run: echo {{ input.word }} {{ input.n + 1 }} > said; test {{ input.word }} != no\n    routes: { done: \
         FINISH, failed: FAIL }\n",
    );
    place.say(&["run", "outer", "--task", "t", "--input", r#"{"words": ["hi", "you"]}"#]).ends(0);
    assert_eq!(fs::read_to_string(place.path().join("said")).unwrap(), "hi 3\n");
    place.say(&["run", "outer", "--task", "u", "--input", r#"{"words": ["no"]}"#]).ends(0);
    assert!(place.path().join("sorry").exists());
    // What it cannot be started with stops the run before anything is, and says what is wrong.
    let said = place.say(&["run", "outer", "--task", "v", "--input", r#"{"words": [7]}"#]).ends(1);
    assert!(said.err.contains("workflow `inner` cannot be started"), "{}", said.err);
    assert!(said.err.contains("`word`"), "{}", said.err);
}

#[test]
fn a_limit_of_the_run_binds_all_below_it() {
    let text = "\
sop: 1
name: many
steps:
  - id: each
    fan_out: range(5) | list
    concurrency: 2
    branch: { run: 'echo in >> ledger' }
";
    let place = Place::with("many", text);
    let said = place.say(&["run", "many", "--task", "t", "--max-steps", "4"]).ends(6);
    assert!(said.err.contains("max_steps of 4"), "{}", said.err);
    assert_eq!(ledger(&place, 3).len(), 3, "one step starts them, three more are left");
    place.say(&["resume", "many", "t", "--max-steps", "6"]).ends(0);
    assert_eq!(ledger(&place, 5).len(), 5);
}
