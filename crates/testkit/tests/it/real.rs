//! The real agent CLIs, driven by the loopback model as programs from stdin to stdout.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use botpipe_testkit::model::{Options, Script, Server};
use botpipe_testkit::{claude, codex};
use serde_json::{Value, json};

#[derive(Clone, Copy)]
enum Program {
    Codex,
    Claude,
}

/// A scratch repository, a home for the program beside it, and a model.
struct Bench {
    folder: tempfile::TempDir,
    command: Vec<String>,
    _server: Server,
}

impl Bench {
    /// Nothing, said loudly, if the program is not installed.
    fn new(program: Program, script: Script) -> Option<Self> {
        let (binary, required, missing) = match program {
            Program::Codex => (
                codex::binary(),
                "BOTPIPE_REQUIRE_CODEX",
                "the Codex CLI is not installed; run `npm ci --prefix crates/testkit/codex`",
            ),
            Program::Claude => (
                claude::binary(),
                "BOTPIPE_REQUIRE_CLAUDE",
                "Claude Code is not installed; \
                 run `npm ci --ignore-scripts --prefix crates/testkit/claude`",
            ),
        };
        let Some(binary) = binary else {
            assert!(std::env::var_os(required).is_none(), "{missing}");
            eprintln!("SKIPPED: {missing}");
            return None;
        };
        let server = Server::start(script, &Options::default()).unwrap();
        // Not under the temporary directory: Codex would not like it.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let home = folder.path().join("home");
        let repository = folder.path().join("repository");
        std::fs::create_dir(&repository).unwrap();
        std::fs::write(repository.join("README.md"), "# Greeting\n").unwrap();
        let git = Command::new("git").args(["init", "-q"]).current_dir(&repository).status();
        assert!(git.unwrap().success());
        let command = match program {
            Program::Codex => {
                codex::home(&home, server.port()).unwrap();
                codex::command(&binary, &home)
            }
            Program::Claude => {
                claude::home(&home).unwrap();
                claude::command(&binary, &home, server.port())
            }
        };
        Some(Self { folder, command, _server: server })
    }

    fn file(&self, path: &str) -> String {
        let path = self.folder.path().join("repository").join(path);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// One turn: the prompt on stdin, nothing in the environment but `PATH` and an empty `HOME`.
    fn turn(&self, prompt: &str) -> Output {
        let started = Instant::now();
        let mut child = Command::new(&self.command[0])
            .args(&self.command[1..])
            .current_dir(self.folder.path().join("repository"))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            // Both start shells: nobody's own start-up files shall have a say.
            .env("HOME", self.folder.path().join("home"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(prompt.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        eprintln!("{:?}, {}", started.elapsed(), output.status);
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
fn codex_edits_a_repository_and_prints_only_its_answer() {
    it_edits_a_repository_and_prints_only_its_answer(Program::Codex);
}

#[test]
fn claude_edits_a_repository_and_prints_only_its_answer() {
    it_edits_a_repository_and_prints_only_its_answer(Program::Claude);
}

#[test]
fn the_ralph_loop_script_carries_codex_through_every_turn() {
    the_ralph_loop_script_carries_every_turn_of_the_workflow(Program::Codex);
}

#[test]
fn the_ralph_loop_script_carries_claude_through_every_turn() {
    the_ralph_loop_script_carries_every_turn_of_the_workflow(Program::Claude);
}

#[test]
fn codex_asks_again_where_the_model_cuts_and_ends_where_it_refuses() {
    let output = a_model_that_cuts_once_is_asked_again(Program::Codex);
    let Some(output) = output else { return };
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("401"), "{stderr}");
}

#[test]
fn claude_asks_again_where_the_model_cuts_and_ends_where_it_refuses() {
    let output = a_model_that_cuts_once_is_asked_again(Program::Claude);
    let Some(output) = output else { return };
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("401"), "{stdout}");
}

fn it_edits_a_repository_and_prints_only_its_answer(program: Program) {
    let script = json!([{
        "name": "write", "when": ["- Write `note`.*: `(?<note>[^`]+)`"],
        "run": ["cat README.md", "mkdir -p notes && echo written > '{{note}}'"],
        "say": ["Done: {{note}}.", "",
            r#"{"outcome": {"tag": "accepted", "payload": {"n": 1}, "route_fields": {}}}"#],
    }]);
    let script = Script::parse(&script.to_string()).unwrap();
    let Some(bench) = Bench::new(program, script) else { return };
    let stdout = bench.good_turn("write/1/worker/1", &["- Write `note` (md): `notes/a.md`"]);
    assert_eq!(bench.file("notes/a.md"), "written\n");
    assert!(stdout.starts_with("Done: notes/a.md.\n\n{"), "{stdout}");
    assert_eq!(
        outcome(&stdout),
        json!({ "outcome": { "tag": "accepted", "payload": { "n": 1 }, "route_fields": {} } })
    );
}

fn the_ralph_loop_script_carries_every_turn_of_the_workflow(program: Program) {
    let Some(bench) = Bench::new(program, ralph_loop()) else { return };
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

/// What the refused turn, the second one, ended with.
fn a_model_that_cuts_once_is_asked_again(program: Program) -> Option<Output> {
    let script = json!([
        { "name": "cut", "when": ["hiccup"], "times": 1, "fault": "cut" },
        { "name": "after", "when": ["hiccup"], "say": "back again" },
        { "name": "refuse", "when": ["refuse"], "fault": { "status": 401 } },
    ]);
    let bench = Bench::new(program, Script::parse(&script.to_string()).unwrap())?;
    let output = bench.turn("hiccup");
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout), "back again\n");
    let output = bench.turn("refuse");
    assert_eq!(output.status.code(), Some(1));
    Some(output)
}
