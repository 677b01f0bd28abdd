//! The real Codex CLI, driven by the loopback model as a program from stdin to stdout.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use botpipe_testkit::codex;
use botpipe_testkit::model::{Options, Script, Server};
use serde_json::{Value, json};

/// A scratch repository, a home for Codex beside it, and a model.
struct Bench {
    folder: tempfile::TempDir,
    command: Vec<String>,
    _server: Server,
}

impl Bench {
    /// Nothing, said loudly, if Codex is not installed.
    fn new(script: Script) -> Option<Self> {
        let Some(binary) = codex::binary() else {
            eprintln!(
                "SKIPPED: the Codex CLI is not installed; \
                 run `npm ci --prefix crates/testkit/codex`"
            );
            return None;
        };
        let server = Server::start(script, &Options::default()).unwrap();
        // Not under the temporary directory: Codex would not like it.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let home = folder.path().join("home");
        codex::home(&home, server.port()).unwrap();
        let repository = folder.path().join("repository");
        std::fs::create_dir(&repository).unwrap();
        std::fs::write(repository.join("README.md"), "# Greeting\n").unwrap();
        let git = Command::new("git").args(["init", "-q"]).current_dir(&repository).status();
        assert!(git.unwrap().success());
        let command = codex::command(&binary, &home);
        Some(Self { folder, command, _server: server })
    }

    fn file(&self, path: &str) -> String {
        let path = self.folder.path().join("repository").join(path);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// One turn: the prompt on stdin, nothing in the environment but `PATH`.
    fn turn(&self, prompt: &str) -> Output {
        let started = Instant::now();
        let mut child = Command::new(&self.command[0])
            .args(&self.command[1..])
            .current_dir(self.folder.path().join("repository"))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(prompt.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        eprintln!("codex: {:?}, {}", started.elapsed(), output.status);
        output
    }

    /// A turn that must succeed; gives back its stdout.
    fn good_turn(&self, place: &str, lines: &[&str]) -> String {
        let output = self.turn(&prompt(place, lines));
        let text = String::from_utf8(output.stdout).unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{place}: {text}\n{stderr}");
        text
    }
}

/// A prompt as Botpipe sends it: the author's words, then the contract of the step.
fn prompt(turn: &str, lines: &[&str]) -> String {
    let mut text =
        format!("Do your part.\n\n# Step contract\n\n- Step: `it` · visit 1 · turn `{turn}`\n");
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    text.push_str("- `accepted`: go on\n- `needs_rework`: once more\n");
    text
}

fn ralph_loop() -> Script {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/ralph_loop.json");
    Script::load(&path).unwrap()
}

/// The envelope on the last line of an answer.
fn outcome(stdout: &str) -> Value {
    serde_json::from_str(stdout.trim_end().lines().last().unwrap_or_default())
        .unwrap_or_else(|error| panic!("{error}: {stdout}"))
}

#[test]
fn it_edits_a_repository_and_prints_only_its_answer() {
    let script = json!([{
        "name": "write", "when": ["- Write `note`.*: `(?<note>[^`]+)`"],
        "run": ["cat README.md", "mkdir -p notes && echo written > '{{note}}'"],
        "say": ["Done: {{note}}.", "",
            r#"{"outcome": {"tag": "accepted", "payload": {"n": 1}, "route_fields": {}}}"#],
    }]);
    let script = Script::parse(&script.to_string()).unwrap();
    let Some(bench) = Bench::new(script) else { return };
    let stdout = bench.good_turn("write/1/worker/1", &["- Write `note` (md): `notes/a.md`"]);
    assert_eq!(bench.file("notes/a.md"), "written\n");
    assert!(stdout.starts_with("Done: notes/a.md.\n\n{"), "{stdout}");
    assert_eq!(
        outcome(&stdout),
        json!({ "outcome": { "tag": "accepted", "payload": { "n": 1 }, "route_fields": {} } })
    );
}

#[test]
fn the_ralph_loop_script_carries_every_turn_of_the_workflow() {
    let Some(bench) = Bench::new(ralph_loop()) else { return };
    let tag = |stdout: &str| outcome(stdout)["outcome"]["tag"].as_str().unwrap().to_owned();
    let work = "- Write `work` (json): `.botpipe/tasks/demo/wf_ralph_loop/work.json`";
    let review = |item: &str| {
        format!("- Write `implementation_review` (md): `.botpipe/items/{item}/review.md`")
    };

    bench.good_turn("plan/1/producer/1", &[work]);
    let plan = bench.file(".botpipe/tasks/demo/wf_ralph_loop/work.json");
    let plan: Value = serde_json::from_str(&plan).unwrap();
    let ids: Vec<_> = plan["items"].as_array().unwrap().iter().map(|item| &item["id"]).collect();
    assert_eq!(ids, ["item-1", "item-2"]);
    let line = "- Write `plan_review` (md): `.botpipe/plan_review.md`";
    assert_eq!(tag(&bench.good_turn("plan/1/verifier/1", &[line])), "accepted");
    assert!(bench.file(".botpipe/plan_review.md").contains("Two items"));

    bench.good_turn("implement[item-1]/1/producer/1", &["- Current item: `item-1`"]);
    let stdout = bench.good_turn("implement[item-1]/1/verifier/1", &[&review("item-1")]);
    assert_eq!(tag(&stdout), "needs_rework");
    assert!(stdout.contains("prints `Hello, world`"), "the model read the output: {stdout}");
    bench.good_turn("implement[item-1]/2/producer/1", &["- Current item: `item-1`"]);
    let stdout = bench.good_turn("implement[item-1]/2/verifier/1", &[&review("item-1")]);
    assert_eq!(tag(&stdout), "accepted");

    bench.good_turn("implement[item-2]/1/producer/1", &["- Current item: `item-2`"]);
    let stdout = bench.good_turn("implement[item-2]/1/verifier/1", &[&review("item-2")]);
    assert_eq!(tag(&stdout), "accepted");
    assert!(bench.file(".botpipe/items/item-2/review.md").contains("item-2"));
    assert!(bench.file("src/greet.sh").contains("${1:-world}"));
    assert!(bench.file("tests/greet_test.sh").contains("Hello, Ada"));
    assert!(bench.file("README.md").contains("src/greet.sh NAME"));
}

#[test]
fn a_model_that_cuts_once_is_asked_again_and_one_that_refuses_ends_it() {
    let script = json!([
        { "name": "cut", "when": ["hiccup"], "times": 1, "fault": "cut" },
        { "name": "after", "when": ["hiccup"], "say": "back again" },
        { "name": "refuse", "when": ["refuse"], "fault": { "status": 401 } },
    ]);
    let Some(bench) = Bench::new(Script::parse(&script.to_string()).unwrap()) else { return };
    let output = bench.turn("hiccup");
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout), "back again\n");
    let output = bench.turn("refuse");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("401"), "{stderr}");
}
