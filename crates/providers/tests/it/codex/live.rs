//! The real Codex, driven by the codecs against the loopback model: its scenes come to what the
//! recordings come to.
//!
//! `UPDATE_RECORDINGS=1` writes them anew.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use botpipe_kernel::run::Interface;
use botpipe_providers::ProgramEnd;
use botpipe_providers::codex::command_line;
use botpipe_testkit::model::{Options, Script, Server};
use regex::Regex;
use serde_json::{Value, json};

use super::recorded::{folder, matches};
use super::scenes::{FIRST, INTERFACES, NOBODYS, PROMPT, Scene, Way, all, ask, talk};
use crate::asked::{Ask, Talk};

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
    let Some(binary) = super::binary() else { return };
    // One for each interface at a time.
    thread::scope(|scope| {
        for interface in INTERFACES {
            let binary = &binary;
            scope.spawn(move || all().iter().for_each(|scene| play(scene, interface, binary)));
        }
    });
}

fn play(scene: &Scene, interface: Interface, binary: &Path) {
    let root = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let bench = Bench { root, binary: binary.to_owned() };
    for folder in ["repository", "home", "temporary"] {
        fs::create_dir(bench.root.path().join(folder)).unwrap();
    }
    let mut rules =
        vec![json!({ "name": "before", "when": ["^Before\\."], "times": 1, "say": "Ready." })];
    rules.extend(scene.rules.as_array().unwrap().iter().cloned());
    let script = Script::parse(&Value::Array(rules).to_string()).unwrap();
    let server = Server::start(script, &Options::default()).unwrap();
    let mut ask = bench.ask(interface, if scene.way == Way::NoModel { 1 } else { server.port() });
    let mut before = String::new();
    if scene.way == Way::Continued {
        "Before.".clone_into(&mut ask.prompt);
        let mut talk = talk(&ask);
        assert_eq!(bench.run(&ask, Way::Plain, &mut talk).end, ProgramEnd::Exited(0));
        before = talk.text.lines().find_map(|line| line.strip_prefix("session: ")).unwrap().into();
        PROMPT.clone_into(&mut ask.prompt);
    }
    scene.way.set(&mut ask, &before);
    let mut talk = talk(&ask);
    let run = bench.run(&ask, scene.way, &mut talk);
    talk.close(&run.end, &run.stderr);
    let place = bench.root.path().display().to_string();
    let neutral = Neutral::of(&before, &run.lines, &place, server.port());
    if std::env::var_os("UPDATE_RECORDINGS").is_some() {
        let file = |end: &str| folder(interface).join(format!("{}.{end}", scene.name));
        fs::create_dir_all(folder(interface)).unwrap();
        let lines: Vec<String> = run.lines.iter().map(|line| neutral.text(line)).collect();
        let end_of_all = if lines.is_empty() { "" } else { "\n" };
        fs::write(file("jsonl"), lines.join("\n") + end_of_all).unwrap();
        let end = match &run.end {
            ProgramEnd::Exited(code) => {
                json!({ "exited": code, "stderr": neutral.text(&run.stderr) })
            }
            ProgramEnd::Signalled(signal) => json!({ "signalled": signal, "stderr": "" }),
            other => panic!("{other:?}"),
        };
        fs::write(file("end.json"), format!("{end}\n")).unwrap();
    }
    matches(interface, scene.name, &neutral.text(&talk.text));
}

/// What differs from one time to the next, taken out: places, ports, times, and names, which are counted
/// in the order in which they come.
struct Neutral {
    place: String,
    port: String,
    names: Vec<String>,
}

impl Neutral {
    fn of(before: &str, lines: &[String], place: &str, port: u16) -> Self {
        let mut names: Vec<String> = Vec::new();
        names.extend(Some(before.to_owned()).filter(|it| !it.is_empty()));
        for line in lines {
            for name in uuid().find_iter(line).map(|it| it.as_str()) {
                if name != NOBODYS && !names.iter().any(|it| it == name) {
                    names.push(name.to_owned());
                }
            }
        }
        Self { place: place.to_owned(), port: port.to_string(), names }
    }

    fn text(&self, text: &str) -> String {
        let mut text = text.replace(&self.place, "/work").replace(&self.port, "PORT");
        for (at, name) in self.names.iter().enumerate() {
            let counted = &FIRST[..FIRST.len() - 2];
            text = text.replace(name, &format!("{counted}{:02}", at + 1));
        }
        for (varies, same) in VARIES {
            text = Regex::new(varies).unwrap().replace_all(&text, same).into_owned();
        }
        text
    }
}

fn uuid() -> Regex {
    Regex::new("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").unwrap()
}

const VARIES: [(&str, &str); 2] = [
    (r"\d{4}/\d\d/\d\d/rollout-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-", "DAY/rollout-"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", "TIME"),
];

impl Bench {
    fn ask(&self, interface: Interface, port: u16) -> Ask {
        let path = |name: &str| self.root.path().join(name).display().to_string();
        let mut ask = ask(interface);
        ask.harness.home = Some(path("home"));
        ask.harness.base_url = Some(format!("http://127.0.0.1:{port}/v1"));
        ask.cwd = path("repository");
        ask
    }

    /// Starts the program and talks to it until it has gone.
    fn run(&self, ask: &Ask, way: Way, talk: &mut Talk) -> Run {
        let line = ask.with(command_line);
        let mut child = Command::new(&self.binary)
            .args(&line.args)
            .current_dir(&ask.cwd)
            .env_clear()
            .envs(line.env)
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.root.path().join("home"))
            .env("TZ", "UTC")
            .env("TMPDIR", self.root.path().join("temporary"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take();
        stdin.as_mut().unwrap().write_all(talk.opening.as_bytes()).unwrap();
        if !talk.codec.converses() {
            stdin = None;
        }
        let (mut lines, mut told) = (Vec::new(), false);
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            let heard = talk.hear(&line);
            if heard.finished {
                stdin = None;
            } else if let Some(stdin) = &mut stdin {
                // One that was killed does not read any more.
                let _ = stdin.write_all(heard.send.as_bytes());
            }
            // The command runs, for as long as anybody waits.
            let first = heard.busy && !told;
            told |= heard.busy;
            if first && way == Way::Killed {
                child.kill().unwrap();
            } else if first && way == Way::LeftOff {
                match (talk.codec.leave_off(), &mut stdin) {
                    (Some(words), Some(stdin)) => stdin.write_all(words.as_bytes()).unwrap(),
                    _ => interrupt(&child),
                }
            }
            lines.push(line);
        }
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        // What it logs depends on the machine, and on who of its threads was faster.
        stderr = stderr.lines().filter(|line| !line.contains("ERROR")).collect();
        let status = child.wait().unwrap();
        let end = status.code().map_or_else(
            || ProgramEnd::Signalled(status.signal().unwrap_or_default()),
            ProgramEnd::Exited,
        );
        Run { lines, stderr, end }
    }
}

fn interrupt(child: &Child) {
    let told = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(told.unwrap().success());
}
