//! The real Claude Code, driven by the codec against the loopback model: its scenes come to what the
//! recordings come to.
//!
//! `UPDATE_RECORDINGS=1` writes them anew.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use botpipe_kernel::run::Harness;
use botpipe_providers::claude::{Protocol, command_line};
use botpipe_providers::{Codec as _, ProgramEnd, SandboxMode};
use botpipe_testkit::claude;
use botpipe_testkit::model::{Options, Script, Server};
use serde_json::{Value, json};

use super::recorded::{folder, matches};
use super::scenes::{PROMPT, Scene, Way, all};
use crate::asked::{Ask, SESSION, Talk};

/// A scratch repository and a home.
struct Bench {
    root: tempfile::TempDir,
    binary: PathBuf,
}

/// What a program said and how it ended.
struct Run {
    lines: Vec<String>,
    stderr: String,
    end: ProgramEnd,
}

#[test]
fn the_real_program_comes_to_what_is_recorded() {
    let Some(binary) = claude::binary() else {
        let missing = "Claude Code is not installed; \
                       run `npm ci --ignore-scripts --prefix crates/testkit/claude`";
        assert!(std::env::var_os("BOTPIPE_REQUIRE_CLAUDE").is_none(), "{missing}");
        eprintln!("SKIPPED: {missing}");
        return;
    };
    let scenes: Vec<Scene> = all();
    // Two at a time: each is a second of a large program.
    let (left, right) = scenes.split_at(scenes.len() / 2);
    thread::scope(|scope| {
        for half in [left, right] {
            let binary = &binary;
            scope.spawn(move || half.iter().for_each(|scene| play(scene, binary)));
        }
    });
}

fn play(scene: &Scene, binary: &Path) {
    let root = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let bench = Bench { root, binary: binary.to_owned() };
    for folder in ["repository", "home"] {
        fs::create_dir(bench.root.path().join(folder)).unwrap();
    }
    let rules =
        if scene.way == Way::Continued { before(&scene.rules) } else { scene.rules.clone() };
    let server = Server::start(Script::parse(&rules.to_string()).unwrap(), &Options::default());
    let server = server.unwrap();
    let mut ask = bench.ask(if scene.way == Way::NoModel { 1 } else { server.port() });
    match scene.way {
        Way::Continued => {
            "Before.".clone_into(&mut ask.prompt);
            let run = bench.run(&ask, Way::Plain, &mut Talk::new(ask.with(Protocol::new)));
            assert_eq!(run.end, ProgramEnd::Exited(0));
            PROMPT.clone_into(&mut ask.prompt);
            ask.session = Some(SESSION.to_owned());
            ask.cost = 800;
        }
        Way::Lost => ask.session = Some(SESSION.to_owned()),
        Way::ReadOnly => ask.access.sandbox = SandboxMode::ReadOnly,
        Way::Plain | Way::LeftOff | Way::Killed | Way::NoModel | Way::Login => {}
    }
    let mut talk = Talk::new(ask.with(Protocol::new));
    let run = bench.run(&ask, scene.way, &mut talk);
    talk.close(&run.end, &run.stderr);
    let place = bench.root.path().display().to_string();
    let neutral = |text: &str| {
        let text = text
            .replace(&place, "/work")
            .replace(&place.replace(|c: char| !c.is_ascii_alphanumeric(), "-"), "-work")
            .replace(&server.port().to_string(), "PORT");
        uncounted(&text)
    };
    if std::env::var_os("UPDATE_RECORDINGS").is_some() {
        let lines: Vec<String> = run.lines.iter().map(|line| neutral(&brief(line))).collect();
        fs::write(folder().join(format!("{}.jsonl", scene.name)), lines.join("\n") + "\n").unwrap();
        let end = match &run.end {
            ProgramEnd::Exited(code) => json!({ "exited": code, "stderr": neutral(&run.stderr) }),
            ProgramEnd::Signalled(signal) => json!({ "signalled": signal, "stderr": "" }),
            other => panic!("{other:?}"),
        };
        fs::write(folder().join(format!("{}.end.json", scene.name)), format!("{end}\n")).unwrap();
    }
    matches(scene.name, &neutral(&talk.text));
}

/// Without the number of tokens of a conversation, which grows with the names of its folders.
fn uncounted(text: &str) -> String {
    let mut parts = text.split(COUNTED);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| {
        all + COUNTED + "N" + part.trim_start_matches(|c: char| c.is_ascii_digit())
    })
}

const COUNTED: &str = "this conversation is only ~";

/// The scene's rules, and before them one for the turn that comes before.
fn before(rules: &Value) -> Value {
    let mut all = vec![json!({ "name": "before", "when": ["^Before\\."], "say": "Ready." })];
    all.extend(rules.as_array().unwrap().iter().cloned());
    Value::Array(all)
}

/// The line without the list of commands that the program answers to `initialize`: 30 kB that are
/// not read.
fn brief(line: &str) -> String {
    let mut value: Value = serde_json::from_str(line).unwrap_or(Value::Null);
    if value["type"] == "control_response" && value["response"]["response"].is_object() {
        value["response"]["response"] = json!({});
        return value.to_string();
    }
    line.to_owned()
}

impl Bench {
    fn ask(&self, port: u16) -> Ask {
        let path = |name: &str| self.root.path().join(name).display().to_string();
        let mut ask = Ask::new(PROMPT);
        ask.harness = Harness {
            home: Some(path("home")),
            base_url: Some(format!("http://127.0.0.1:{port}")),
            ..ask.harness
        };
        ask.cwd = path("repository");
        ask
    }

    /// Starts the program and talks to it until it has gone.
    fn run(&self, ask: &Ask, way: Way, talk: &mut Talk) -> Run {
        let line = ask.with(command_line);
        let login = if way == Way::Login { "CLAUDE_CODE_OAUTH_TOKEN" } else { "ANTHROPIC_API_KEY" };
        let mut child = Command::new(&self.binary)
            .args(&line.args)
            .current_dir(&ask.cwd)
            .env_clear()
            .envs(line.env)
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.root.path().join("home"))
            .env(login, "means-nothing")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take();
        let opening = ask.with(Protocol::new).open();
        stdin.as_mut().unwrap().write_all(opening.as_bytes()).unwrap();
        let mut lines = Vec::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            let heard = talk.hear(&line);
            if heard.finished {
                stdin = None;
            } else if let Some(stdin) = &mut stdin {
                stdin.write_all(heard.send.as_bytes()).unwrap();
                // The conversation is named, and then the model hangs.
                match way {
                    Way::LeftOff if heard.session.is_some() => {
                        let words = talk.codec.leave_off().unwrap();
                        stdin.write_all(words.as_bytes()).unwrap();
                    }
                    Way::Killed if heard.session.is_some() => child.kill().unwrap(),
                    _ => {}
                }
            }
            lines.push(line);
        }
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        Run { lines, stderr, end: end_of(&mut child) }
    }
}

fn end_of(child: &mut Child) -> ProgramEnd {
    use std::os::unix::process::ExitStatusExt as _;
    let status = child.wait().unwrap();
    status.code().map_or_else(
        || ProgramEnd::Signalled(status.signal().unwrap_or_default()),
        ProgramEnd::Exited,
    )
}
