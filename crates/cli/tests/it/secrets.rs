//! Secrets in the environment, in what a run is given and in what its agent says are in nothing that
//! Botpipe writes or prints.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use botpipe_testkit::model::{Options, Script, Server};
use botpipe_testkit::{claude, codex, programs};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::place::{Said, said, without_settings};

/// The variables of Botpipe: the first two pass to agents, the third does not, the others are logins.
const SECRETS: [(&str, &str); 5] = [
    ("DEPLOY_TOKEN", "deploy-7f3c1d\"quoted\\and-Grüße-91"),
    ("SIGNING_KEY", "first-line-of-the-key-4711\nsecond-line-of-the-key-4712"),
    ("AWS_SECRET_ACCESS_KEY", "aws-secret-wJalrXUtnFEMI-K7MDENG"),
    ("CODEX_API_KEY", "codex-login-means-nothing-5521"),
    ("ANTHROPIC_API_KEY", "claude-login-means-nothing-5522"),
];
const DEPLOY: &str = SECRETS[0].1;
const AWS: &str = SECRETS[2].1;
/// What no variable holds, known by its shape alone.
const TOKEN: &str = "ghp_abcdefghijklmnopqrstuvwx1234";

/// An artifact that breaks its schema first, a worklist whose titles an agent writes, a check, a
/// question, a script, and a turn that fails.
const WORKFLOW: &str = "\
sop: 1
name: leaky
input:
  request: { type: string }
artifacts:
  work:
    json: work.json
    required: true
    schema: { type: object, required: [items], properties: { note: { maxLength: 3 } } }
worklists:
  item: { from: work, collection: items, id: id, title: title, status: status }
steps:
  - id: plan
    produce: \"Plan: {{ input.request }}\"
    verify: Review.
    producer_writes: [work]
    checks:
      - tests: { run: printenv DEPLOY_TOKEN SIGNING_KEY }
    routes:
      accepted: { to: each, handoff: \"{{ outcome.payload.note }}\" }
      needs_rework: SELF
  - id: each
    scope: item
    requires: [work]
    prompt: \"Do {{ item.title }}.\"
    routes:
      done: { complete_and_advance: SELF, exhausted: script }
      ask: AWAIT_INPUT
  - id: script
    run: printenv DEPLOY_TOKEN SIGNING_KEY; printenv DEPLOY_TOKEN >&2
  - id: fails
    prompt: Fail.
    retry: { max_attempts: 1 }
";

/// What the agent does: it prints secrets, writes them into its artifact, says them and asks them.
fn script() -> Value {
    let outcome = |tag: &str, fields: Value| {
        json!({ "outcome": { "tag": tag, "payload": { "note": DEPLOY }, "route_fields": fields } })
            .to_string()
    };
    let secrets = [DEPLOY, SECRETS[1].1, AWS, SECRETS[3].1, SECRETS[4].1, TOKEN].join("\n");
    // As they are, then as programs print them in JSON.
    let ascii =
        serde_json::to_string(&secrets).unwrap().replace('ü', "\\u00fc").replace('ß', "\\u00df");
    let print = format!("cat <<'END'\n{secrets}\n{}\n{ascii}\nEND\nenv", json!({ "x": secrets }));
    let work = |note: &str| {
        let items = json!([{ "id": "one", "title": secrets, "status": "planned" }]);
        format!("cat > '{{{{work}}}}' <<'END'\n{}\nEND", json!({ "note": note, "items": items }))
    };
    let writes = "^- Write `work` \\([^)]*\\): `(?<work>[^`]+)`";
    let body = json!({ "error": { "type": "invalid_request_error", "message": secrets } });
    json!([
        {
            "name": "plan, its note too long", "when": ["turn `plan/1/producer/1", writes],
            "run": [print, work(DEPLOY)], "say": ["It holds:", "{{output}}"],
        },
        {
            "name": "plan", "when": ["turn `plan/\\d+/producer/", writes],
            "run": [work("x")], "say": secrets,
        },
        {
            "name": "review, malformed", "when": ["turn `plan/\\d+/verifier/1`"],
            "run": [print], "say": outcome(TOKEN, json!({})),
        },
        {
            "name": "review", "when": ["turn `plan/\\d+/verifier/"],
            "say": [secrets, outcome("accepted", json!({}))],
        },
        {
            "name": "asks", "when": ["turn `each\\[one\\]/1/"],
            "say": outcome("ask", json!({ "question": secrets })),
        },
        { "name": "done", "when": ["turn `each\\["], "run": [print], "say": outcome("done", json!({})) },
        { "name": "fails", "when": ["turn `fails/"], "fault": { "status": 400, "body": body } },
    ])
}

/// A scratch repository, a home and a script beside it.
struct Bench {
    folder: TempDir,
    /// What every command printed.
    screen: String,
}

impl Bench {
    fn new() -> Self {
        // Not under the temporary directory: Codex would not like it.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        for name in ["home", "repository"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        fs::write(folder.path().join("repository/leaky.sop.yaml"), WORKFLOW).unwrap();
        Self { folder, screen: String::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_botpipe"));
        without_settings(&mut command);
        command.args(args).current_dir(self.path("repository")).env("NO_COLOR", "1");
        command.env("HOME", self.path("home")).env_remove("XDG_STATE_HOME");
        command.env_remove("CODEX_HOME").env_remove("CLAUDE_CONFIG_DIR");
        command.envs(SECRETS).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a command, and keeps what it prints.
    #[track_caller]
    fn say(&mut self, args: &[&str], code: i32) {
        let Said { out, err, code: ended } = said(&self.command(args).output().unwrap());
        assert_eq!(ended, code, "{args:?}\nstdout:\n{out}\nstderr:\n{err}");
        self.screen.extend([out, err]);
    }

    /// A whole run, with secrets in all that a person gives it, and every command that shows it.
    fn use_everything(&mut self, provider: &[&str]) {
        let request = format!("use {DEPLOY} and {TOKEN}");
        let mut run = vec!["run", "./leaky.sop.yaml", &request, "--task", "t"];
        run.extend(["--pass-env", "DEPLOY_TOKEN", "--pass-env", "SIGNING_KEY"]);
        run.extend(provider);
        self.say(&run, 5);
        self.say(&["say", "leaky", "t", &format!("mind {AWS}")], 0);
        self.say(&["answer", "leaky", "t", "--answer", &format!("take {AWS}")], 1);
        self.say(&["runs", "show", "leaky", "t"], 0);
        self.say(&["runs", "show", "leaky", "t", "--json"], 0);
        self.say(&["runs", "list"], 0);
        self.say(&["logs", "leaky", "t"], 0);
        self.say(&["logs", "leaky", "t", "--events"], 0);
        self.say(&["cost", "leaky", "t"], 0);
        // What the run is, without starting it.
        run.push("--dry-run");
        let command = provider.iter().position(|word| *word == "--");
        if let Some(at) = command {
            run.retain(|word| *word != "--dry-run");
            run.insert(run.len() - provider.len() + at, "--dry-run");
        }
        self.say(&run, 0);
    }

    /// No secret is in anything of ours, though they went through.
    #[track_caller]
    fn holds_none(&self) {
        let mut held = Vec::new();
        let mut look = |place: &str, bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            let found = forms().into_iter().filter(|form| text.contains(form.as_str()));
            held.extend(found.map(|form| format!("{place}: {form}")));
        };
        look("the screen", self.screen.as_bytes());
        let mut files = Vec::new();
        every_file(&self.path("repository/.botpipe"), &mut files);
        // The limits and whatever else is kept for a person; but not the homes of harnesses.
        every_file(&self.path("home/.local/state/botpipe"), &mut files);
        let theirs = ["/wf_leaky/work.json", "/snapshots.git/objects/", "/botpipe/homes/"];
        files.retain(|file| !theirs.iter().any(|part| file.display().to_string().contains(part)));
        assert!(files.iter().any(|file| file.ends_with("botpipe.db")), "{files:?}");
        assert!(files.iter().filter(|file| file.to_string_lossy().contains("/turns/")).count() > 5);
        for file in &files {
            look(&file.display().to_string(), &fs::read(file).unwrap());
        }
        look("the commits of snapshots", &self.commits());
        assert!(held.is_empty(), "{held:#?}");
        for name in ["DEPLOY_TOKEN", "SIGNING_KEY", "AWS_SECRET_ACCESS_KEY"] {
            let mark = format!("[redacted:{name}]");
            let turns = files.iter().filter(|file| file.to_string_lossy().contains("/turns/"));
            let mut texts = turns.map(|file| fs::read_to_string(file).unwrap());
            assert!(texts.any(|text| text.contains(&mark)), "{name} never went through");
        }
    }

    /// What our own repository has beside the trees of the workspace.
    fn commits(&self) -> Vec<u8> {
        let line = "git cat-file --batch-all-objects --batch-check | grep -v -e ' blob ' -e ' tree ' | \
                    cut -d' ' -f1 | git cat-file --batch";
        let mut sh = Command::new("sh");
        sh.args(["-c", line]).env("GIT_DIR", self.path("repository/.botpipe/snapshots.git"));
        sh.output().unwrap().stdout
    }
}

fn every_file(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            every_file(&path, files);
        } else {
            files.push(path);
        }
    }
}

/// The secrets as they are, in JSON, in JSON within JSON, in ASCII; each of their lines, and how they
/// begin.
fn forms() -> Vec<String> {
    let quoted = |text: &str| {
        let json = serde_json::to_string(text).unwrap();
        json[1..json.len() - 1].to_owned()
    };
    let mut forms = vec![TOKEN.to_owned()];
    for (_, value) in SECRETS {
        let ascii = quoted(value).replace('ü', "\\u00fc").replace('ß', "\\u00df");
        forms.extend([value.to_owned(), quoted(value), quoted(&quoted(value)), ascii]);
        forms.extend(value.lines().map(str::to_owned));
        forms.push(value.chars().take(12).collect());
    }
    forms
}

/// A harness driven against the model, which plays the script.
#[expect(clippy::print_stderr, reason = "a test that did not run must be seen")]
fn with_harness(binary: Option<PathBuf>, required: &str, version: &str, options: &[&str]) {
    let Some(binary) = binary else {
        assert!(std::env::var_os(required).is_none(), "the CLI of {required} is not installed");
        eprintln!("SKIPPED: the CLI of {required} is not installed");
        return;
    };
    let script = Script::parse(&script().to_string()).unwrap();
    let server = Server::start(script, &Options::default()).unwrap();
    let url = format!("http://127.0.0.1:{}{version}", server.port());
    let mut bench = Bench::new();
    let binary = binary.display().to_string();
    let more = ["--program", &binary, "--base-url", &url];
    bench.use_everything(&[options, &more].concat());
    bench.holds_none();
}

#[test]
fn no_secret_is_kept_of_what_codex_says() {
    let options = ["--provider", "codex", "--model", "gpt-5.5"];
    with_harness(codex::binary(), "BOTPIPE_REQUIRE_CODEX", "/v1", &options);
}

#[test]
fn no_secret_is_kept_of_what_codex_exec_says() {
    let options = ["--provider", "codex", "--codex-interface", "exec", "--model", "gpt-5.5"];
    with_harness(codex::binary(), "BOTPIPE_REQUIRE_CODEX", "/v1", &options);
}

#[test]
fn no_secret_is_kept_of_what_claude_says() {
    with_harness(claude::binary(), "BOTPIPE_REQUIRE_CLAUDE", "", &["--provider", "claude"]);
}

#[test]
fn no_secret_is_kept_of_what_a_command_says() {
    let mut bench = Bench::new();
    let script_file = bench.path("script.json");
    fs::write(&script_file, script().to_string()).unwrap();
    let agent = programs::find("fake-agent").unwrap().display().to_string();
    let (script_file, ledger) =
        (script_file.display().to_string(), bench.path("ledger").display().to_string());
    bench.use_everything(&[
        "--provider",
        "command",
        "--",
        &agent,
        "--script",
        &script_file,
        "--ledger",
        &ledger,
    ]);
    bench.holds_none();
}

#[test]
fn what_is_recorded_of_a_provider_may_hold_no_secret() {
    let bench = Bench::new();
    let refused = |words: &[&str]| {
        let args = [&["run", "./leaky.sop.yaml", "x", "--task", "t"], words].concat();
        let said = said(&bench.command(&args).output().unwrap()).ends(2);
        assert!(forms().iter().all(|form| !said.err.contains(form.as_str())), "{}", said.err);
        said.err
    };
    let err = refused(&["--provider", "command", "--", "agent", "--key", AWS]);
    assert!(err.contains("the value of `AWS_SECRET_ACCESS_KEY`"), "{err}");
    let err = refused(&["--provider", "command", "--", "agent", TOKEN]);
    assert!(err.contains("what looks like a token"), "{err}");
    assert!(!bench.path("repository/.botpipe/tasks/t").exists());
}

#[test]
fn what_a_person_says_to_a_living_run_waits_without_its_secrets() {
    let bench = Bench::new();
    let workflow = "sop: 1\nname: waits\nsteps:\n  - id: one\n    run: |\n      touch began\n      \
                    while [ ! -e go ]; do sleep 0.05; done\n";
    fs::write(bench.path("repository/waits.sop.yaml"), workflow).unwrap();
    let mut run = bench.command(&["run", "./waits.sop.yaml", "--task", "t"]).spawn().unwrap();
    while !bench.path("repository/began").exists() {
        assert!(run.try_wait().unwrap().is_none(), "it ended");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    said(&bench.command(&["say", "waits", "t", &format!("mind {AWS}")]).output().unwrap()).ends(0);
    // While the owner lives: what was asked of it is in the log of the database.
    let mut files = Vec::new();
    every_file(&bench.path("repository/.botpipe"), &mut files);
    for file in files {
        let bytes = fs::read(&file).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains(AWS), "{}", file.display());
    }
    fs::write(bench.path("repository/go"), "").unwrap();
    assert!(run.wait().unwrap().success());
}
