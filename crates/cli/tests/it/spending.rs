//! Budgets that stop a run, what it spent, and what it would be.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::program;
use crate::place::{HELLO, Place, Said, answers};

/// A workspace whose Codex spends 200 and 40 tokens a turn and wants another.
struct Spender {
    place: Place,
    program: String,
    script: String,
}

impl Spender {
    fn new(more: &str) -> Self {
        let place = Place::with("hello", &format!("{HELLO}{more}"));
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/harness/codex");
        let answer = std::fs::read_to_string(folder.join("_answer.txt")).unwrap();
        let again = answer.replace("\\\"done\\\"", "\\\"again\\\"");
        assert_ne!(answer, again);
        let opening = folder.join("_opening.txt");
        let end = folder.join("_end_silent.txt");
        let lines = format!("play {}\n{again}play {}\n", opening.display(), end.display());
        let script = place.write("again.txt", &lines).display().to_string();
        let program = program(place.path(), "codex", "0.169.0").display().to_string();
        Self { place, program, script }
    }

    fn run(&self, more: &[&str]) -> Said {
        let mut args = vec!["run", "hello", "x", "--task", "t", "--provider", "codex", "--program"];
        args.push(&self.program);
        args.extend(more);
        args.extend(["--", "--script", &self.script]);
        let mut command = self.place.command(&args);
        command.env("HOME", self.place.path().join("home")).env_remove("XDG_STATE_HOME");
        crate::place::said(&command.output().unwrap())
    }

    fn say(&self, args: &[&str]) -> Said {
        let mut command = self.place.command(args);
        command.env("HOME", self.place.path().join("home")).env_remove("XDG_STATE_HOME");
        crate::place::said(&command.output().unwrap())
    }

    fn cost(&self) -> Value {
        self.say(&["cost", "hello", "t", "--json"]).ends(0).json()
    }
}

#[test]
fn a_budget_of_tokens_stops_the_run_and_raising_it_goes_on() {
    let spender = Spender::new("");
    let end = spender.run(&["--budget", "tokens=500", "--json"]).ends(6).json();
    assert_eq!(end["stop"], json!({ "budget": { "of": "tokens", "limit": 500, "spent": 720 } }));
    assert!(end["next"].as_str().unwrap().ends_with("--budget tokens=1440"), "{end}");
    assert_eq!(spender.cost()["total"]["turns"], 3);

    spender.say(&["resume", "hello", "t"]).ends(6);
    spender.say(&["resume", "hello", "t", "--budget", "turns=99"]).ends(6);
    assert_eq!(spender.cost()["total"]["turns"], 3, "nothing was asked");
    spender.say(&["resume", "hello", "t", "--budget", "tokens=800"]).ends(6);
    let cost = spender.cost();
    assert_eq!(cost["total"]["usage"], json!({ "input": 800, "output": 160 }));
    assert_eq!(cost["total"]["usd"], Value::Null, "unknown is not zero");
    assert_eq!(cost["total"]["turns_unpriced"], 4);
    assert_eq!(cost["turns"][3]["turn"], "greet/4/worker/1");
    let text = spender.say(&["cost", "hello", "t"]).ends(0).out;
    assert!(text.contains("800"), "{text}");
}

#[test]
fn a_budget_of_turns_in_the_workflow_holds_for_any_agent() {
    let place = Place::with("hello", &format!("{HELLO}budget: {{ turns: 2 }}\n"));
    let end = place.run("hello", &answers("again"), &["--json"]).ends(6).json();
    assert_eq!(end["stop"]["budget"]["of"], "turns", "{end}");
    let cost = place.say(&["cost", "hello", "t1", "--json"]).ends(0).json();
    assert_eq!(cost["total"]["turns_unknown"], 2);
    assert_eq!(cost["total"]["usd"], Value::Null);
    place.say(&["resume", "hello", "t1", "--budget", "turns=3"]).ends(6);
}

#[test]
fn a_budget_of_a_step_stops_the_run_by_its_name_and_is_raised_by_it() {
    let of_step = "    budget: { tokens: 500 }\n";
    let spender = Spender::new(of_step);
    let end = spender.run(&["--budget", "tokens=5000", "--json"]).ends(6).json();
    let stop = json!({ "step": "greet", "of": "tokens", "limit": 500, "spent": 720 });
    assert_eq!(end["stop"], json!({ "step_budget": stop }));
    assert!(end["next"].as_str().unwrap().ends_with("--budget greet:tokens=1440"), "{end}");
    let cost = spender.cost();
    let of_step = &cost["step_budgets"]["greet"];
    assert_eq!(of_step["budget"], json!({ "tokens": 500 }));
    assert_eq!(of_step["spent"]["turns"], 3);

    spender.say(&["resume", "hello", "t", "--budget", "tokens=9000"]).ends(6);
    spender.say(&["resume", "hello", "t", "--budget", "greet:tokens=720"]).ends(6);
    assert_eq!(spender.cost()["total"]["turns"], 3, "nothing was asked");
    spender.say(&["resume", "hello", "t", "--budget", "greet:tokens=800"]).ends(6);
    assert_eq!(spender.cost()["total"]["turns"], 4);
}

#[test]
fn a_budget_of_a_step_is_kept_by_time_too_and_told_before_the_run() {
    let timed = format!("{HELLO}    budget: {{ wall: 1s }}\n");
    let place = Place::with("hello", &timed);
    let end = place.run("hello", "sleep 600", &["--json"]).ends(6).json();
    assert_eq!(end["stop"]["step_budget"]["of"], "wall", "{end}");
    let dry = place.run("hello", "true", &["--dry-run", "--json"]).ends(0).json();
    assert_eq!(dry["steps"][0]["budget"], json!({ "wall_ms": 1000 }));
    let place = Place::with("hello", &timed.replace("wall: 1s", "usd: 1"));
    let said = place.run("hello", "true", &[]).ends(2);
    assert!(said.err.contains("`command` does not report it"), "{}", said.err);
}

#[test]
fn a_budget_of_time_ends_the_turn_that_overruns_it() {
    let place = Place::with("hello", HELLO);
    let end = place.run("hello", "sleep 600", &["--budget", "wall=1s", "--json"]).ends(6).json();
    assert_eq!(end["stop"]["budget"]["of"], "wall", "{end}");
    let cost = place.say(&["cost", "hello", "t1", "--json"]).ends(0).json();
    assert_eq!(cost["total"]["turns"], 1);
    assert!(cost["total"]["wall_ms"].as_u64().unwrap() >= 1000, "{cost}");
}

#[test]
fn what_a_provider_does_not_report_cannot_be_bounded() {
    let spender = Spender::new("");
    let said = spender.run(&["--budget", "usd=5"]).ends(2);
    assert!(said.err.contains("`codex` does not report it"), "{}", said.err);
    let place = Place::with("hello", HELLO);
    place.run("hello", &answers("done"), &["--budget", "tokens=5"]).ends(2);
    for wrong in ["usd", "usd=x", "euro=1", "wall=5", "turns=0"] {
        place.run("hello", &answers("done"), &["--budget", wrong]).ends(2);
    }
    place.say(&["runs", "show", "hello", "t1"]).ends(3);
}

#[test]
fn a_dry_run_says_what_would_be_and_starts_nothing() {
    let spender = Spender::new("budget: { tokens: 1000 }\npolicy: { sandbox_mode: read_only }\n");
    let said = spender.run(&["--dry-run", "--budget", "turns=7", "--json"]).ends(0).json();
    assert_eq!(said["provider"]["codex"]["version"], "0.169.0");
    assert_eq!(said["steps"][0]["policy"]["sandbox_mode"], "read_only");
    assert_eq!(said["steps"][0]["policy"]["enforced_by"], "botpipe");
    assert_eq!(said["budget"], json!({ "tokens": 1000, "turns": 7 }));
    assert_eq!(said["worst_case"], json!({ "fixed": 30, "per_item": 0, "most": 30 }));
    assert!(!spender.place.path().join(".botpipe").exists());
    assert!(!spender.place.path().join("home").exists());
    let place = Place::with("hello", HELLO);
    place.run("hello", "touch asked", &["--dry-run"]).ends(0);
    assert!(!place.path().join(".botpipe").exists() && !place.path().join("asked").exists());
    place.say(&["run", "hello", "--dry-run", "--provider", "command", "--", "x"]).ends(2);
}
