//! The real Codex CLI as the agent of the shipped `ralph_loop`, its model on loopback.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use botpipe_testkit::codex;
use botpipe_testkit::model::{Options, Script, Server};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::place::{Said, has_begun, kill_once, said, without_settings};
use crate::real_apart;

/// A scratch repository, a home for Codex beside it, and a model.
pub(crate) struct Bench {
    pub(crate) folder: TempDir,
    binary: PathBuf,
    pub(crate) log: PathBuf,
    server: Server,
}

impl Bench {
    /// With these rules before those of `ralph_loop.json`. Nothing, said loudly, without Codex.
    pub(crate) fn new(first: &[Value]) -> Option<Self> {
        Self::of("ralph_loop.json", first)
    }

    /// With these rules before those of a script of the testkit.
    #[expect(clippy::print_stderr, reason = "a test that did not run must be seen")]
    fn of(script: &str, first: &[Value]) -> Option<Self> {
        let Some(binary) = codex::binary() else {
            let missing =
                "the Codex CLI is not installed; run `npm ci --prefix crates/testkit/codex`";
            assert!(std::env::var_os("BOTPIPE_REQUIRE_CODEX").is_none(), "{missing}");
            eprintln!("SKIPPED: {missing}");
            return None;
        };
        let testkit = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("testkit");
        let text = fs::read_to_string(testkit.join("scripts").join(script)).unwrap();
        let shipped: Vec<Value> = serde_json::from_str(&text).unwrap();
        let rules = Value::Array(first.iter().cloned().chain(shipped).collect());
        let script = Script::parse(&rules.to_string()).unwrap();
        // Not under the temporary directory: Codex would not like it.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let log = folder.path().join("requests.jsonl");
        let options = Options { log: Some(log.clone()), ..Options::default() };
        let server = Server::start(script, &options).unwrap();
        let bench = Self { folder, binary, log, server };
        fs::create_dir(bench.repository()).unwrap();
        fs::create_dir(bench.home()).unwrap();
        fs::write(bench.repository().join("README.md"), "# Greeting\n").unwrap();
        bench.sh("git init -q -b main && git add . && \
                  git -c user.name=S -c user.email=s@example.com commit -qm One");
        Some(bench)
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    pub(crate) fn repository(&self) -> PathBuf {
        self.folder.path().join("repository")
    }

    /// What a command line prints in the repository.
    #[track_caller]
    pub(crate) fn sh(&self, line: &str) -> String {
        let sh = Command::new("sh").args(["-c", line]).current_dir(self.repository()).output();
        let output = sh.unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn botpipe(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_botpipe"));
        without_settings(&mut command);
        command.args(args).current_dir(self.repository()).env("NO_COLOR", "1");
        // Codex's own home of this workspace lies in here; and it starts login shells.
        command.env("HOME", self.home()).env_remove("XDG_STATE_HOME");
        command.env_remove("CODEX_HOME").env("CODEX_API_KEY", "means-nothing");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, interface: &str) -> Command {
        let mut run = self.botpipe(&["run", "ralph_loop", "Greet by name", "--task", "greet"]);
        run.args(["--provider", "codex", "--workspace", "."]);
        self.with_codex(run, interface)
    }

    pub(crate) fn with_codex(&self, mut run: Command, interface: &str) -> Command {
        run.args(["--codex-interface", interface]);
        run.args(["--model", "gpt-5.5"]).arg("--program").arg(&self.binary);
        run.arg("--base-url").arg(format!("http://127.0.0.1:{}/v1", self.server.port()));
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
        // The person's own home of Codex is untouched, and the key is nowhere of ours.
        assert!(!self.home().join(".codex").exists());
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
fn codex_finishes_ralph_loop_with_a_rework_and_a_repaired_outcome() {
    it_finishes_ralph_loop_with_a_rework_and_a_repaired_outcome("app_server");
}

#[test]
fn codex_exec_finishes_ralph_loop_with_a_rework_and_a_repaired_outcome() {
    it_finishes_ralph_loop_with_a_rework_and_a_repaired_outcome("exec");
}

#[test]
fn a_run_killed_inside_a_codex_turn_goes_on_in_its_conversation() {
    a_run_killed_inside_a_turn_goes_on_in_its_conversation("app_server");
}

#[test]
fn a_run_killed_inside_a_codex_exec_turn_goes_on_in_its_conversation() {
    a_run_killed_inside_a_turn_goes_on_in_its_conversation("exec");
}

#[test]
fn a_policy_binds_what_codex_runs() {
    a_policy_binds_what_it_runs("app_server");
}

#[test]
fn a_policy_binds_what_codex_exec_runs() {
    a_policy_binds_what_it_runs("exec");
}

#[test]
fn codex_finishes_devloop_as_the_shipped_recording_tells() {
    let Some(bench) = Bench::of("devloop.json", &[]) else { return };
    let recording = bench.folder.path().join("greet.cassette.json");
    let message = "Greet the person named on the command line.";
    let mut run = bench.botpipe(&["run", "devloop", message, "--task", "greet"]);
    run.args(["-wf", "test_command", "sh tests/greet_test.sh", "--provider", "codex", "--record"]);
    run.arg(&recording);
    let end = said(&bench.with_codex(run, "app_server").output().unwrap()).ends(0).json();
    assert_eq!(end["state"], "finished (accepted)", "{end}");
    assert_eq!(bench.sh("sh src/greet.sh Ada"), "Hello, Ada\n");
    bench.sh("sh tests/greet_test.sh");
    // The fix was made in the conversation of the implementation, and the reviews were not.
    let input = |rule| bench.asked(rule)[0]["body"]["input"].to_string();
    assert!(input("fix").contains("implement/1/producer/1`"));
    assert!(!input("review: accepted").contains("/producer/1`"));

    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../workflows/devloop");
    let shipped = shipped.join("greet.cassette.json");
    if std::env::var_os("UPDATE_CASSETTES").is_some() {
        fs::copy(&recording, &shipped).unwrap();
    }
    let events = |path: &Path| {
        let text = fs::read_to_string(path).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()["events"].clone()
    };
    assert_eq!(events(&recording), events(&shipped));
}

fn it_finishes_ralph_loop_with_a_rework_and_a_repaired_outcome(interface: &str) {
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
    let end = said(&bench.run(interface).output().unwrap()).ends(0).json();
    assert_eq!(end["state"], "finished (accepted)", "{end}");
    bench.is_done();
    // The repair was asked for in the conversation of the answer it repairs.
    let repair = &bench.asked("plan review: repaired")[0];
    assert!(repair["body"]["input"].to_string().contains("verifier/1`"), "{repair}");
    // Two steps and their checks by a verifier, a repair, and a rework.
    let ended = bench.events("turn_ended");
    assert_eq!(ended.len(), 9, "{ended:#?}");
    // What it costs Codex does not say, so nobody does.
    assert!(ended.iter().all(|it| it["usage"]["input"].as_u64() > Some(0)), "{ended:?}");
    assert!(ended.iter().all(|it| it["usage"]["cost"].is_null()), "{ended:?}");
    assert!(ended.iter().all(|it| it["transcript"].is_string()), "{ended:?}");
    // Nothing is counted twice, though one interface counts over a whole conversation.
    let spent: u64 = ended.iter().filter_map(|it| it["usage"]["input"].as_u64()).sum();
    let requests = fs::read_to_string(&bench.log).unwrap().lines().count();
    assert_eq!(spent, requests as u64 * INPUT_TOKENS);
    assert_eq!(bench.events("run_created")[0]["provider"]["codex"]["interface"], interface);
}

fn a_run_killed_inside_a_turn_goes_on_in_its_conversation(interface: &str) {
    let hang = json!({
        "name": "item-1, cut off",
        "when": ["^- Step: .* turn `implement\\[item-1\\]/1/producer/1`"],
        "run": ["mkdir -p src && echo half > src/greet.sh && touch ../begun && sleep 600"],
        "say": "never",
    });
    let Some(bench) = Bench::new(&[hang]) else { return };
    let run = bench.run(interface).spawn().unwrap();
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
fn a_running_turn_is_told_what_a_person_says() {
    let waits = json!({
        "name": "plan, waits to be told",
        "when": ["^- Step: .* turn `plan/1/producer/1"],
        "run": ["touch ../begun; while [ ! -e ../go ]; do sleep 0.05; done"],
        "say": "Nothing was said.",
    });
    let told = json!({ "name": "told", "when": ["^leave the old exporter"], "say": "I leave it." });
    let Some(bench) = Bench::new(&[told, waits]) else { return };
    let mut run = bench.run("app_server").spawn().unwrap();
    let begun = bench.folder.path().join("begun");
    has_begun(&mut run, &begun);
    let told = bench.say(&["say", "ralph_loop", "greet", "leave the old exporter", "--json"]);
    assert_eq!(told.ends(0).json()["said"], "delivered");
    fs::write(bench.folder.path().join("go"), "").unwrap();
    // The plan was never written; what counts is that the model was told in the same conversation.
    run.wait().unwrap();
    let request = &bench.asked("told")[0]["body"].to_string();
    assert!(request.contains("plan/1/producer/1"), "{request}");
}

/// What the loopback model says that a request took.
const INPUT_TOKENS: u64 = 100;

/// Three steps, each under a policy of its own; the same attempts in each.
const CONFINED: &str = "\
sop: 1
name: confined
policy: { sandbox_mode: workspace_write }
steps:
  - id: looks
    prompt: Try everything.
    policy: { sandbox_mode: read_only, network: none }
  - id: works
    prompt: Try everything.
    policy: { network: none, allow_write: [., ../shared] }
  - id: roams
    prompt: Try everything.
    policy: { sandbox_mode: danger_full_access, network: full }
";

fn a_policy_binds_what_it_runs(interface: &str) {
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let reached = thread::spawn(move || {
        let mut seen = Vec::new();
        for stream in server.incoming() {
            let mut word = String::new();
            std::io::Read::read_to_string(&mut stream.unwrap(), &mut word).unwrap();
            if word.trim() == "enough" {
                return seen;
            }
            seen.push(word.trim().to_owned());
        }
        seen
    });
    let outside = tempfile::tempdir_in("/var/tmp").unwrap();
    let attempts = "{ echo x > in_{{step}}; } 2>/dev/null; \
                    { echo x > ../shared/{{step}}; } 2>/dev/null; \
                    { echo x > OUTSIDE/{{step}}; } 2>/dev/null; \
                    (exec 3<>/dev/tcp/127.0.0.1/PORT && echo {{step}} >&3) 2>/dev/null; true"
        .replace("OUTSIDE", outside.path().to_str().unwrap())
        .replace("PORT", &port.to_string());
    let rule = json!({
        "name": "tries", "when": ["^- Step: `(?<step>\\w+)`"], "run": [attempts],
        "say": "{\"outcome\": {\"tag\": \"done\", \"payload\": {}, \"route_fields\": {}}}",
    });
    let Some(bench) = Bench::new(&[rule]) else { return };
    fs::create_dir(bench.folder.path().join("shared")).unwrap();
    fs::write(bench.repository().join("confined.sop.yaml"), CONFINED).unwrap();
    let args = ["run", "./confined.sop.yaml", "--task", "t", "--provider", "codex"];
    let mut run = bench.with_codex(bench.botpipe(&args), interface);
    said(&run.env_remove("BOTPIPE_ALLOW_WRITE").output().unwrap()).ends(0);

    let there = |folder: &Path, name: &str| folder.join(name).exists();
    let (inside, shared) = (bench.repository(), bench.folder.path().join("shared"));
    let wrote = ["looks", "works", "roams"].map(|step| {
        let inside = there(&inside, &format!("in_{step}"));
        (step, inside, there(&shared, step), there(outside.path(), step))
    });
    assert_eq!(
        wrote,
        [("looks", false, false, false), ("works", true, true, false), ("roams", true, true, true)]
    );
    std::io::Write::write_all(
        &mut std::net::TcpStream::connect(("127.0.0.1", port)).unwrap(),
        b"enough",
    )
    .unwrap();
    assert_eq!(reached.join().unwrap(), ["roams"], "only the last may connect");
}

#[test]
fn branches_of_codex_with_files_of_their_own_write_artifacts_and_are_merged() {
    branches_with_files_of_their_own("app_server");
}

#[test]
fn branches_of_codex_exec_with_files_of_their_own_write_artifacts_and_are_merged() {
    branches_with_files_of_their_own("exec");
}

fn branches_with_files_of_their_own(interface: &str) {
    let Some(bench) = Bench::new(&real_apart::rules()) else { return };
    real_apart::lay_out(&bench.repository());
    let run = bench.botpipe(&[&real_apart::RUN[..], &["--provider", "codex"]].concat());
    said(&bench.with_codex(run, interface).output().unwrap()).ends(0);
    real_apart::is_merged(&bench.repository());
    assert_eq!(bench.sh("git status --porcelain"), "?? apart.sop.yaml\n?? lines\n");
}
