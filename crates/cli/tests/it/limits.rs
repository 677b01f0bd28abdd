//! A long worklist on the real Codex CLI whose account comes to its limit, judged by the model's log.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use botpipe_testkit::codex;
use botpipe_testkit::kills::processes;
use botpipe_testkit::model::{Options, Script, Server};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::place::{Said, said, without_settings};

/// One turn an item; a failed attempt that counts would stop the run.
const WORKFLOW: &str = "\
sop: 1
name: many
params:
  count: { type: integer, default: 100 }
artifacts:
  work: { json: work.json, required: true }
worklists:
  item: { from: work, collection: items, id: id, status: status }
limits: { max_steps: 300 }
policy: { sandbox_mode: danger_full_access }
steps:
  - id: list
    run: |
      seq 1 {{ params.count }} | sed 's/.*/{\"id\": \"i&\", \"status\": \"planned\"}/' | paste -sd, |
        sed 's/.*/{\"items\": [&]}/' > {{ workflow.folder }}/work.json
    writes: [work]
  - id: each
    scope: item
    requires: [work]
    retry: { max_attempts: 1 }
    prompt: Do the item.
    routes:
      done: { complete_and_advance: SELF, exhausted: FINISH }
";

/// How many items there are, and at which one the limit is met.
const ITEMS: usize = 100;
const AT: usize = 40;
/// Seconds from the limit to its reset: longer than what is looked at meanwhile takes.
const RESET: u64 = 30;
const PATIENCE: Duration = Duration::from_mins(5);

/// Two scratch repositories and a home that knows one login, its model on loopback.
struct Account {
    folder: TempDir,
    binary: PathBuf,
    server: Server,
}

impl Account {
    #[expect(clippy::print_stderr, reason = "a test that did not run must be seen")]
    fn new() -> Option<Self> {
        let Some(binary) = codex::binary() else {
            let missing =
                "the Codex CLI is not installed; run `npm ci --prefix crates/testkit/codex`";
            assert!(std::env::var_os("BOTPIPE_REQUIRE_CODEX").is_none(), "{missing}");
            eprintln!("SKIPPED: {missing}");
            return None;
        };
        let limit = json!({
            "status": 429, "reset_after": RESET,
            "body": { "error": {
                "type": "usage_limit_reached", "message": "The usage limit has been reached.",
                "resets_at": "{{reset}}",
            } },
            "headers": {
                "x-codex-primary-used-percent": "100", "x-codex-primary-window-minutes": "300",
                "x-codex-primary-reset-at": "{{reset}}",
            },
        });
        let of_item = |id: &str| format!("^- Step: .* turn `each\\[(?<id>{id})\\]/");
        let rules = json!([
            { "name": "limit", "when": [of_item(&format!("i{AT}"))], "times": 1, "fault": limit },
            {
                "name": "item", "when": [of_item("i\\d+")],
                "run": ["echo {{id}} >> ../ledger"],
                "say": r#"{"outcome": {"tag": "done", "payload": {}, "route_fields": {}}}"#,
            },
        ]);
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let options = Options { log: Some(folder.path().join("log.jsonl")), ..Options::default() };
        let server = Server::start(Script::parse(&rules.to_string()).unwrap(), &options).unwrap();
        for name in ["home", "first", "second"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        for name in ["first", "second"] {
            fs::write(folder.path().join(name).join("many.sop.yaml"), WORKFLOW).unwrap();
        }
        Some(Self { folder, binary, server })
    }

    fn botpipe(&self, repository: &str, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_botpipe"));
        without_settings(&mut command);
        command.args(args).current_dir(self.folder.path().join(repository));
        command.env("NO_COLOR", "1").env("HOME", self.folder.path().join("home"));
        command.env_remove("XDG_STATE_HOME").env_remove("CODEX_HOME");
        command.env("CODEX_API_KEY", "means-nothing").stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, repository: &str, count: usize) -> Command {
        let args = ["run", "./many.sop.yaml", "--task", "t", "--provider", "codex", "--json"];
        let mut run = self.botpipe(repository, &args);
        run.args(["--wf", "count", &count.to_string(), "--model", "gpt-5.5"]);
        run.arg("--program").arg(&self.binary);
        run.arg("--base-url").arg(format!("http://127.0.0.1:{}/v1", self.server.port()));
        run
    }

    /// The requests so far.
    fn log(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.path().join("log.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits until the run of this process is listed as waiting; until when it does, in milliseconds.
    fn waits(&self, repository: &str, process: &mut Child) -> u64 {
        let until = Instant::now() + PATIENCE;
        loop {
            let run = self.listed(repository);
            if let Some(time) = run["until"].as_u64() {
                assert_eq!(run["state"], "waiting", "{run}");
                return time;
            }
            assert!(process.try_wait().unwrap().is_none(), "it ended: {run}");
            assert!(Instant::now() < until, "it never waits: {run}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// The run of a repository as it is listed; null before it is.
    fn listed(&self, repository: &str) -> Value {
        let list = self.botpipe(repository, &["runs", "list", "--json"]).output().unwrap();
        said(&list).ends(0).json()["runs"].get_mut(0).map(Value::take).unwrap_or_default()
    }

    /// The items that were done, in order, as the agents' commands wrote them down.
    fn done(&self) -> Vec<String> {
        let ledger = fs::read_to_string(self.folder.path().join("ledger")).unwrap_or_default();
        ledger.lines().map(str::to_owned).collect()
    }
}

fn millis_of_now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}

#[test]
fn at_a_limit_a_worklist_waits_for_the_reset_and_every_item_is_done_once() {
    let Some(account) = Account::new() else { return };
    let mut killed = account.run("first", ITEMS).spawn().unwrap();
    let until = account.waits("first", &mut killed);
    let refused: Vec<Value> =
        account.log().into_iter().filter(|row| row["rule"] == "limit").collect();
    assert_eq!(refused.len(), 1);
    let reset = refused[0]["reply"]["reset"].as_u64().unwrap() * 1000;
    assert_eq!(until, reset, "it waits until the reset it was told");
    assert_eq!(account.done().len(), AT - 1);

    // Another run on the same login waits as long, without asking.
    let mut other = account.run("second", 1).spawn().unwrap();
    assert_eq!(account.waits("second", &mut other), reset);
    // A kill while it waits changes nothing, nor does the resume.
    killed.kill().unwrap();
    killed.wait().unwrap();
    let left = processes::left(&account.folder.path().join("first"), Duration::from_secs(10));
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(account.listed("first")["until"], reset);
    let resumed = account.botpipe("first", &["resume", "./many.sop.yaml", "t", "--json"]);
    let mut resumed = { resumed }.spawn().unwrap();
    assert_eq!(account.waits("first", &mut resumed), reset);
    assert!(millis_of_now() < reset, "this machine takes longer to look than the limit lasts");

    // Both go on by themselves once it is over.
    let ends = |run: Child| -> Said { said(&run.wait_with_output().unwrap()) };
    assert_eq!(ends(resumed).ends(0).json()["state"], "finished");
    assert_eq!(ends(other).ends(0).json()["state"], "finished");

    let log = account.log();
    let limit = log.iter().position(|row| row["rule"] == "limit").unwrap();
    let next = &log[limit + 1];
    assert!(next["time"].as_u64().unwrap() >= reset, "asked before the reset: {next}");
    // By the ledger of the agents: each item once, and the one of the other run.
    let mut wanted: Vec<String> = (1..=ITEMS).map(|n| format!("i{n}")).collect();
    let mut done = account.done();
    let of_other = done.iter().rposition(|item| item == "i1").unwrap();
    done.remove(of_other);
    assert_eq!(done, wanted);
    // By the model: no item was asked for anew, but the one that met the limit.
    let first: Vec<&str> = log
        .iter()
        .filter(|row| row["reply"]["call"].is_object() || row["rule"] == "limit")
        .map(|row| turn(row["prompt"].as_str().unwrap()))
        .collect();
    wanted.insert(AT, format!("i{AT}"));
    wanted.push("i1".to_owned());
    let mut asked: Vec<String> = first.iter().map(|turn| item(turn).to_owned()).collect();
    asked.sort();
    wanted.sort();
    assert_eq!(asked, wanted);
    // No process is left.
    let left = processes::left(account.folder.path(), Duration::from_secs(10));
    assert!(left.is_empty(), "{left:?}");
    let work = account.folder.path().join("first/.botpipe/tasks/t/wf_many/work.json");
    let work: Value = serde_json::from_str(&fs::read_to_string(work).unwrap()).unwrap();
    let completed = |item: &&Value| item["status"] == "completed";
    assert_eq!(work["items"].as_array().unwrap().iter().filter(completed).count(), ITEMS);
}

/// The turn that a prompt is for.
fn turn(prompt: &str) -> &str {
    prompt.split("turn `").nth(1).unwrap().split('`').next().unwrap()
}

/// The item of a turn: of `each[i7]/1/worker/1`, `i7`.
fn item(turn: &str) -> &str {
    turn.split(['[', ']']).nth(1).unwrap()
}
