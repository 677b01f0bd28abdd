//! What one turn has of its own: the policy that it alone is bound by, and the agent that does it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use botpipe_testkit::programs;
use serde_json::{Value, json};

use crate::harness::{self, program};
use crate::place::{Place, Said, answers, said};

/// With a home of the place's own, and in sight what the wrapper of Codex starts: also where the project lies in a home.
fn at_home(command: &mut Command, place: &Place) {
    harness::at_home(command, place);
    let played = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/harness");
    let fake = programs::find("fake-harness").unwrap();
    let seen = std::env::join_paths([Path::new(played), fake.parent().unwrap()]).unwrap();
    command.env("BOTPIPE_ALLOW_READ", seen);
}

/// A workspace whose Codex answers `done`, and writes down what is asked of it outside of the workspace.
struct Heard {
    place: Place,
    outside: tempfile::TempDir,
    script: PathBuf,
}

impl Heard {
    fn new(workflow: &str) -> Self {
        let place = Place::with("hello", workflow);
        let outside = tempfile::tempdir().unwrap();
        let fake = program(outside.path(), "codex", "0.169.0");
        let (fake, ledger) = (fake.display(), outside.path().join("heard"));
        let wrapper = outside.path().join("codex");
        let text = format!(
            "#!/bin/sh\ncase \"$*\" in\n*--script*) tee -a '{}' | '{fake}' \"$@\" ;;\n*) exec '{fake}' \
             \"$@\" ;;\nesac\n",
            ledger.display()
        );
        fs::write(&wrapper, text).unwrap();
        fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/harness/codex");
        let play = |name: &str| format!("play {}\n", folder.join(name).display());
        let lines = ["_opening.txt", "_answer.txt", "_end_silent.txt"].map(play).concat();
        let script = place.write("done.txt", &lines);
        Self { place, outside, script }
    }

    /// `run` with another agent for the run, where Codex is what is configured of it.
    fn run_by(&self, agent: &str, more: &[&str]) -> Said {
        let (program, script) = (self.outside.path().join("codex"), self.script.display());
        let codex = format!("program: {}, args: [--script, {script}]", program.display());
        let config = format!("provider: {{ codex: {{ {codex} }} }}\n");
        self.place.write("home/.config/botpipe/botpipe.yaml", &config);
        let mut args = vec!["run", "hello", "--task", "t", "--json"];
        args.extend(more);
        args.extend(["--provider", "command", "--", "sh", "-c", agent]);
        self.say(&args)
    }

    fn say(&self, args: &[&str]) -> Said {
        let mut command = self.place.command(args);
        at_home(&mut command, &self.place);
        command.env_remove("XDG_CONFIG_HOME").env_remove("BOTPIPE_CONFIG");
        said(&command.output().unwrap())
    }

    fn run(&self, more: &[&str]) -> Said {
        let mut run = self.place.command(&["run", "hello", "--task", "t", "--json"]);
        run.args(["--provider", "codex", "--program"]).arg(self.outside.path().join("codex"));
        run.args(more).args(["--", "--script"]).arg(&self.script);
        at_home(&mut run, &self.place);
        said(&run.output().unwrap())
    }

    /// What was said of a turn's sandbox, turn by turn.
    fn sandboxes(&self) -> Vec<Value> {
        self.asked().into_iter().map(|asked| asked["sandboxPolicy"].clone()).collect()
    }

    /// What each turn was begun with.
    fn asked(&self) -> Vec<Value> {
        let heard = fs::read_to_string(self.outside.path().join("heard")).unwrap();
        let asked = heard.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let turns = asked.filter(|it| it["method"] == "turn/start");
        turns.map(|it| it["params"].clone()).collect()
    }
}

const JUDGED: &str = "\
sop: 1
name: hello
policy: { network: none }
steps:
  - id: make
    produce: Make it.
    verify: { prompt: Judge it., policy: { sandbox_mode: read_only } }
    policy: { sandbox_mode: workspace_write, network: full }
    routes: { done: look }
  - id: look
    prompt: { prompt: Look., policy: { sandbox_mode: read_only } }
";

#[test]
fn a_policy_of_one_turn_binds_that_turn_and_is_recorded_with_it() {
    let heard = Heard::new(JUDGED);
    heard.run(&[]).ends(0);
    // Its own sandbox is left off: ours is around it.
    let asked = heard.sandboxes();
    assert_eq!(asked, vec![json!({ "type": "dangerFullAccess" }); 3]);

    let recorded = |turn: &str| {
        let said = heard.place.say(&["logs", "hello", "t", "--turn", turn, "--trace", "--json"]);
        let kept = said.ends(0).json();
        let policy = &kept["policy"];
        assert_eq!(policy["enforced_by"], "botpipe", "{kept}");
        let controls = policy["report"]["controls"].as_array().unwrap();
        let mode = controls.iter().find(|it| it["control"] == "sandbox_mode").unwrap();
        assert_eq!(mode["by"], "mount-namespace", "{kept}");
        assert_eq!(mode["canary"], "passed", "{kept}");
        (policy["sandbox_mode"].clone(), policy["network"].clone())
    };
    assert_eq!(recorded("make/1/producer/1"), (json!("workspace_write"), json!("full")));
    assert_eq!(recorded("make/1/verifier/1"), (json!("read_only"), json!("full")));
    assert_eq!(recorded("look/1/worker/1"), (json!("read_only"), json!("none")));
}

#[test]
fn a_dry_run_tells_the_policies_of_one_step_apart() {
    let heard = Heard::new(JUDGED);
    let said = heard.run(&["--dry-run"]).ends(0).json();
    let (make, look) = (&said["steps"][0], &said["steps"][1]);
    assert_eq!(make["policy"]["sandbox_mode"], "workspace_write");
    assert_eq!(make["policies"]["verifier"]["sandbox_mode"], "read_only");
    assert_eq!(look["policy"]["network"], "none");
    assert_eq!(look["policies"], Value::Null);
}

#[test]
fn a_policy_of_one_turn_that_nobody_enforces_is_refused() {
    let asks = JUDGED.replacen("sandbox_mode: read_only", "permission_mode: ask", 1);
    let place = Place::with("hello", &asks);
    let said = place.run("hello", "true", &[]).ends(7);
    let words = "the verifier of step `make` asks for `permission_mode: ask`";
    assert!(said.err.contains(words), "{}", said.err);
    place.say(&["runs", "show", "hello", "t1"]).ends(3);
}

const SHARED: &str = "\
sop: 1
name: hello
steps:
  - id: make
    produce: Make it.
    verify:
      prompt: Judge it.
      provider: { name: codex, model: careful }
      policy: { sandbox_mode: read_only }
    routes: { done: FINISH, again: SELF }
";

#[test]
fn a_turn_is_done_by_its_own_provider_and_goes_on_with_it() {
    let heard = Heard::new(SHARED);
    let agent = answers("again");
    let dry = heard.run_by(&agent, &["--dry-run"]).ends(0).json();
    assert_eq!(dry["steps"][0]["providers"], json!({ "verifier": "codex:careful" }));
    assert_eq!(dry["steps"][0]["policies"]["verifier"]["enforced_by"], "botpipe");
    assert_eq!(dry["steps"][0]["policy"]["enforced_by"], "botpipe");
    assert_eq!(dry["providers"]["codex:careful"]["codex"]["version"], "0.169.0");

    let end = heard.run_by(&agent, &["--budget", "turns=1"]).ends(6).json();
    assert_eq!(end["stop"]["budget"]["of"], "turns", "{end}");
    // What is configured by then is not asked: the run has kept what it was started with.
    fs::remove_file(heard.place.path().join("home/.config/botpipe/botpipe.yaml")).unwrap();
    heard.say(&["resume", "hello", "t", "--budget", "turns=9"]).ends(0);
    let asked = heard.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(asked[0]["model"], "careful");
    assert_eq!(asked[0]["sandboxPolicy"]["type"], "dangerFullAccess");

    let cost = heard.say(&["cost", "hello", "t", "--json"]).ends(0).json();
    assert_eq!(
        (&cost["turns"][0]["by"], &cost["turns"][1]["by"]),
        (&Value::Null, &json!("codex:careful"))
    );
    assert_eq!(cost["turns"][1]["usage"]["input"], 200);
    let trace = ["logs", "hello", "t", "--trace", "--json", "--turn", "make/1/verifier/1"];
    let trace = heard.say(&trace).ends(0).json();
    assert_eq!(trace["session"]["key"], "@codex:careful/turn/make/1/verifier");
    assert_eq!(trace["policy"]["enforced_by"], "botpipe");
    assert_eq!(trace["policy"]["sandbox_mode"], "read_only");
    assert!(trace["agent"]["codex"].is_object(), "{trace}");
}

#[test]
fn a_recording_plays_the_turns_of_all_providers() {
    let heard = Heard::new(SHARED);
    heard.run_by(&answers("again"), &["--record", "turns.jsonl"]).ends(0);
    fs::remove_file(heard.outside.path().join("heard")).unwrap();
    let replay =
        ["run", "hello", "--task", "u", "--provider", "replay", "--cassette", "turns.jsonl"];
    heard.say(&replay).ends(0);
    assert!(!heard.outside.path().join("heard").exists(), "Codex was asked");
}

#[test]
fn a_turns_provider_is_looked_for_before_the_run_and_held_to_what_is_asked_of_it() {
    let heard = Heard::new(&SHARED.replace("name: codex, model: careful", "name: claude"));
    let mut run = heard.place.command(&["run", "hello", "--task", "t", "--provider", "command"]);
    at_home(&mut run, &heard.place);
    run.env("PATH", "/nowhere").args(["--", "/bin/true"]);
    let none = said(&run.output().unwrap()).ends(2);
    assert!(none.err.contains("claude"), "{}", none.err);

    let by_program = SHARED.replace("name: codex, model: careful", "command: [sh, judge.sh]");
    let by_program = by_program.replace("sandbox_mode: read_only", "permission_mode: ask");
    let heard = Heard::new(&by_program);
    let refused = heard.run_by("true", &[]).ends(7);
    let words = "the verifier of step `make` asks for `permission_mode: ask`";
    assert!(refused.err.contains(words), "{}", refused.err);

    let heard = Heard::new(&format!("{SHARED}    budget: {{ usd: 1 }}\n"));
    let said = heard.run_by("true", &[]).ends(2);
    assert!(said.err.contains("does not report it"), "{}", said.err);
    heard.say(&["runs", "show", "hello", "t"]).ends(3);
}
