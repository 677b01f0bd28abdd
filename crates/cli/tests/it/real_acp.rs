//! A real ACP agent with the shipped `ralph_loop`, its model on loopback.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use botpipe_testkit::model::{Options, Script, Server};
use botpipe_testkit::{acp, codex};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::place::{Said, kill_once, said, without_settings};
use crate::real_apart;

/// A scratch repository, a home for Codex beside it, and a model.
struct Bench {
    folder: TempDir,
    words: Vec<String>,
    /// The Codex that it runs on.
    binary: PathBuf,
    log: PathBuf,
    server: Server,
}

impl Bench {
    /// With these rules before those of `ralph_loop.json`. Nothing, said loudly, without Codex.
    #[expect(clippy::print_stderr, reason = "a test that did not run must be seen")]
    fn new(first: &[Value]) -> Option<Self> {
        let Some((words, binary)) = acp::command() else {
            let missing = "the ACP agent is not installed; `tools/test` says how";
            assert!(std::env::var_os("BOTPIPE_REQUIRE_ACP").is_none(), "{missing}");
            eprintln!("SKIPPED: {missing}");
            return None;
        };
        let testkit = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("testkit");
        let text = fs::read_to_string(testkit.join("scripts/ralph_loop.json")).unwrap();
        let shipped: Vec<Value> = serde_json::from_str(&text).unwrap();
        let rules = Value::Array(first.iter().cloned().chain(shipped).collect());
        let script = Script::parse(&rules.to_string()).unwrap();
        // Not under the temporary directory: Codex would not like it.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let log = folder.path().join("requests.jsonl");
        let options = Options { log: Some(log.clone()), ..Options::default() };
        let server = Server::start(script, &options).unwrap();
        let bench = Self { folder, words, binary, log, server };
        fs::create_dir(bench.repository()).unwrap();
        // The agent keeps a home of its own, and a login; both are its affair.
        codex::home(&bench.home().join(".codex"), bench.server.port()).unwrap();
        fs::write(bench.repository().join("README.md"), "# Greeting\n").unwrap();
        bench.sh("git init -q -b main && git add . && \
                  git -c user.name=S -c user.email=s@example.com commit -qm One");
        Some(bench)
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    fn repository(&self) -> PathBuf {
        self.folder.path().join("repository")
    }

    /// What a command line prints in the repository.
    #[track_caller]
    fn sh(&self, line: &str) -> String {
        let sh = Command::new("sh").args(["-c", line]).current_dir(self.repository()).output();
        let output = sh.unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn botpipe(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_botpipe"));
        without_settings(&mut command);
        command.args(args).current_dir(self.repository()).env("NO_COLOR", "1");
        command.env("HOME", self.home()).env_remove("XDG_STATE_HOME").env_remove("CODEX_HOME");
        command.env("CODEX_API_KEY", "means-nothing").env("CODEX_PATH", &self.binary);
        // Its own sandbox would have to be made inside of ours.
        command.env("INITIAL_AGENT_MODE", "agent-full-access");
        // What an agent of any make needs, only its user knows.
        command.env("BOTPIPE_ALLOW_WRITE", self.folder.path());
        command.env("BOTPIPE_ALLOW_READ", self.binary.parent().unwrap());
        command.env("BOTPIPE_ALLOW_CONNECT", format!("http://127.0.0.1:{}", self.server.port()));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self) -> Command {
        self.with_acp(self.botpipe(&["run", "ralph_loop", "Greet by name", "--task", "greet"]))
    }

    fn with_acp(&self, mut run: Command) -> Command {
        run.args(["--provider", "acp", "--pass-env", "CODEX_PATH", "--pass-env", "CODEX_API_KEY"]);
        run.args(["--pass-env", "INITIAL_AGENT_MODE", "--"]).args(&self.words);
        run
    }

    fn say(&self, args: &[&str]) -> Said {
        said(&self.botpipe(args).output().unwrap())
    }

    fn file(&self, path: &str) -> String {
        let path = self.repository().join(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// What was done, by the tree and by what the model was asked.
    #[track_caller]
    fn is_done(&self) {
        assert_eq!(self.sh("sh src/greet.sh Ada"), "Hello, Ada\n");
        self.sh("sh tests/greet_test.sh");
        assert!(self.file("README.md").contains("src/greet.sh"));
        let flow = ".botpipe/tasks/greet/wf_ralph_loop";
        let work: Value = serde_json::from_str(&self.file(&format!("{flow}/work.json"))).unwrap();
        let items = work["items"].as_array().unwrap();
        let statuses: Vec<_> = items.iter().map(|item| item["status"].as_str().unwrap()).collect();
        assert_eq!(statuses, ["completed", "completed"]);
        for item in ["item-1", "item-2"] {
            let review = format!("{flow}/implement/items/{item}/implementation_review.md");
            assert!(self.file(&review).contains("does what it says"));
        }
        assert!(!self.asked("item-1 review, first visit: needs rework").is_empty());
        assert!(!self.asked("item-1, rework: greets by name").is_empty());
        // The owner's branch and index are as they were.
        assert_eq!(self.sh("git log --format=%s"), "One\n");
        assert_eq!(self.sh("git diff --cached --name-only"), "");
        let changed = self.sh("git status --porcelain");
        assert_eq!(changed, " M README.md\n?? src/\n?? tests/\n");
        // The key is nowhere of ours.
        self.sh("! grep -rq means-nothing .botpipe");
    }

    /// The events of the run, of one kind.
    fn events(&self, kind: &str) -> Vec<Value> {
        let said = self.say(&["logs", "ralph_loop", "greet", "--events"]).ends(0).out;
        said.lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["event"].take())
            .filter(|event| event["kind"] == kind)
            .collect()
    }

    /// The requests a rule has answered.
    fn asked(&self, rule: &str) -> Vec<Value> {
        let log = fs::read_to_string(&self.log).unwrap();
        let requests = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        requests.filter(|request| request["rule"] == rule).collect()
    }
}

#[test]
fn an_acp_agent_finishes_ralph_loop_with_a_rework_and_a_repaired_outcome() {
    let slip = json!({
        "name": "plan review: no outcome",
        "when": [
            "^- Step: .* turn `plan/1/verifier/1`",
            "^- Write `plan_review` \\([^)]*\\): `(?<review>[^`]+)`",
        ],
        "run": ["mkdir -p \"$(dirname '{{review}}')\" && echo 'Two items.' > '{{review}}'"],
        "say": ["Sound.", "", r#"{"outcome": {"tag": "acepted", "payload": {}, "route_fields": {}}}"#],
    });
    let mended = json!({
        "name": "plan review: repaired", "when": ["acepted"],
        "say": r#"{"outcome": {"tag": "accepted", "payload": {}, "route_fields": {}}}"#,
    });
    let Some(bench) = Bench::new(&[slip, mended]) else { return };
    let end = said(&bench.run().output().unwrap()).ends(0).json();
    assert_eq!(end["state"], "finished (accepted)", "{end}");
    bench.is_done();
    // The repair was asked for in the conversation of the answer it repairs.
    let repair = &bench.asked("plan review: repaired")[0];
    assert!(repair["body"]["input"].to_string().contains("verifier/1`"), "{repair}");
    // Two steps and their checks by a verifier, a repair, and a rework.
    let ended = bench.events("turn_ended");
    assert_eq!(ended.len(), 9, "{ended:#?}");
    assert!(ended.iter().all(|it| it["usage"]["input"].as_u64() > Some(0)), "{ended:?}");
}

#[test]
fn a_run_killed_inside_an_acp_turn_goes_on_in_its_conversation() {
    let hang = json!({
        "name": "item-1, cut off",
        "when": ["^- Step: .* turn `implement\\[item-1\\]/1/producer/1`"],
        "run": ["mkdir -p src && echo half > src/greet.sh && touch ../begun && sleep 600"],
        "say": "never",
    });
    let Some(bench) = Bench::new(&[hang]) else { return };
    let run = bench.run().spawn().unwrap();
    let begun = bench.folder.path().join("begun");
    kill_once(run, &begun, bench.folder.path());

    let end = bench.say(&["resume", "ralph_loop", "greet"]).ends(0).json();
    assert_eq!(end["state"], "finished (accepted)", "{end}");
    bench.is_done();
    let cut = bench.events("turn_interrupted");
    assert_eq!(cut.len(), 1, "{cut:#?}");
    // The first request of the turn that goes on knows what the one cut off was asked.
    let again = &bench.asked("item-1, first go: forgets the name")[0];
    let input = again["body"]["input"].to_string();
    assert!(input.contains("touch ../begun"), "{input}");
}

#[test]
fn branches_of_an_acp_agent_with_files_of_their_own_write_artifacts_and_are_merged() {
    let Some(bench) = Bench::new(&real_apart::rules()) else { return };
    real_apart::lay_out(&bench.repository());
    said(&bench.with_acp(bench.botpipe(&real_apart::RUN)).output().unwrap()).ends(0);
    real_apart::is_merged(&bench.repository());
    assert_eq!(bench.sh("git status --porcelain"), "?? apart.sop.yaml\n?? lines\n");
}
