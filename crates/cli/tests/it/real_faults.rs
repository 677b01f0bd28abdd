//! The real agent CLIs in trouble: each file in `tests/real_faults/` is played to `botpipe run` with a
//! model on loopback, and says what must come of it.
//!
//! # Shape
//! One word a line:
//! ```text
//! # a remark; the first line says what is played
//! with …             how the step is set
//! model JSON         a rule of the model's script; the first that fits plays
//! no model           nobody listens where the model should be
//! login NAME|none    the variable that holds the dummy key
//! flag WORDS         at the end of the command line
//! prompt N           the prompt has so many letters
//! strike SIGNAL      sent to the agent's program once `begun` is in the workspace
//! then finishes      with the model well again, `botpipe resume` brings the run to its end
//! expect …           as for a fake harness, and:
//! expect asked N     the model is asked at most so often
//! expect within N s  the run has ended by then
//! ```
//! Always expected: nothing is left of it, and the run is not lost.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use botpipe_testkit::kills::processes;
use botpipe_testkit::model::{Options, Script, Server};
use botpipe_testkit::{acp, claude, codex};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::place::{Said, said, without_settings};
use crate::scenario::{self, Scenario};

/// An agent's CLI as it is installed.
enum Agent {
    Codex(PathBuf),
    Claude(PathBuf),
    /// The words that start it, and the Codex that it runs on.
    Acp(Vec<String>, PathBuf),
}

impl Agent {
    fn name(&self) -> &'static str {
        match self {
            Self::Codex(_) => "codex",
            Self::Claude(_) => "claude",
            Self::Acp(..) => "acp",
        }
    }

    /// What its program's file is called.
    fn program(&self) -> &'static str {
        match self {
            Self::Codex(_) => "codex",
            Self::Claude(_) => "claude",
            Self::Acp(..) => "node",
        }
    }

    /// The variable that holds a key for it.
    fn login(&self) -> &'static str {
        match self {
            Self::Codex(_) | Self::Acp(..) => "CODEX_API_KEY",
            Self::Claude(_) => "ANTHROPIC_API_KEY",
        }
    }
}

/// Plays all scenes of an agent, two at a time: each is a large program or two.
#[expect(clippy::print_stderr, reason = "a test that did not run must be seen")]
fn play_all(agent: Option<Agent>, required: &str, least: usize) {
    let Some(agent) = agent else {
        let missing = "an agent's CLI is not installed; `tools/test` says how";
        assert!(std::env::var_os(required).is_none(), "{missing}");
        eprintln!("SKIPPED: {missing}");
        return;
    };
    let folder = format!("real_faults/{}", agent.name());
    scenario::play_all(&folder, least, 2, |scenario| Bench::new(scenario, &agent).play());
}

#[test]
fn codex_in_trouble() {
    play_all(codex::binary().map(Agent::Codex), "BOTPIPE_REQUIRE_CODEX", 15);
}

#[test]
fn claude_in_trouble() {
    play_all(claude::binary().map(Agent::Claude), "BOTPIPE_REQUIRE_CLAUDE", 15);
}

#[test]
fn an_acp_agent_in_trouble() {
    let agent = acp::command().map(|(words, codex)| Agent::Acp(words, codex));
    play_all(agent, "BOTPIPE_REQUIRE_ACP", 8);
}

/// A scratch workspace, a home beside it, and a port for the model.
struct Bench<'a> {
    scenario: &'a Scenario,
    agent: &'a Agent,
    folder: TempDir,
    port: u16,
}

impl<'a> Bench<'a> {
    fn new(scenario: &'a Scenario, agent: &'a Agent) -> Self {
        // Not under the temporary directory: Codex would not like it.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let bench = Self { scenario, agent, folder, port };
        fs::create_dir(bench.work()).unwrap();
        fs::create_dir(bench.home()).unwrap();
        if let Agent::Acp(..) = agent {
            codex::home(&bench.home().join(".codex"), port).unwrap();
        }
        fs::write(bench.work().join("greet.sop.yaml"), scenario.workflow("greet.md")).unwrap();
        let letters = scenario.one("prompt ").map_or(0, |it| it.parse().unwrap());
        let prompt = "Greet.\n".to_owned() + &"greet ".repeat(letters / 6);
        fs::write(bench.work().join("greet.md"), prompt).unwrap();
        bench
    }

    fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// What is not as expected.
    fn play(&self) -> Result<(), String> {
        let rules: Vec<String> = self.scenario.all("model ");
        let model = self.scenario.one("no model").is_none().then(|| {
            let rules = format!("[{}]", rules.join(","));
            self.model(&rules, "asked.jsonl")
        });
        let begun = Instant::now();
        let mut run = self.run().spawn().unwrap();
        if let Some(signal) = self.scenario.one("strike ") {
            self.strike(&mut run, &signal)?;
        }
        let said = self.end_of(run, begun)?;
        let took = begun.elapsed();
        drop(model);
        self.nothing_is_left()?;
        let asked = fs::read_to_string(self.folder.path().join("asked.jsonl")).unwrap_or_default();
        let asked: Vec<&str> = asked.lines().filter(|line| is_of_a_turn(line)).collect();
        self.scenario.judge(&said, &scenario::events(&self.work()), |word, rest| {
            let number = || rest.trim_end_matches(" s").parse::<u64>().unwrap();
            match word {
                "asked" if asked.len() as u64 > number() => {
                    Some(Err(format!("it was {}:\n{}", asked.len(), asked.join("\n"))))
                }
                "within" if took.as_secs() > number() => Some(Err(format!("it took {took:?}"))),
                "asked" | "within" => Some(Ok(())),
                _ => None,
            }
        })?;
        if self.scenario.one("then finishes").is_some() {
            let _well = self.model(&well().to_string(), "well.jsonl");
            let run = self.botpipe(&["resume", "greet", "t", "--workspace", ".", "--json"]);
            let resumed = self.end_of({ run }.spawn().unwrap(), Instant::now())?;
            if resumed.code != 0 {
                return Err(format!("`resume` does not finish it: {resumed:?}"));
            }
            self.nothing_is_left()?;
        }
        Ok(())
    }

    /// A model on the port of this bench; an earlier one may just be letting go of it.
    fn model(&self, rules: &str, log: &str) -> Server {
        let log = Some(self.folder.path().join(log));
        let options = Options { port: self.port, log, ..Options::default() };
        let until = Instant::now() + PATIENCE;
        loop {
            match Server::start(Script::parse(rules).unwrap(), &options) {
                Err(error)
                    if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < until =>
                {
                    thread::sleep(Duration::from_millis(20));
                }
                started => return started.unwrap(),
            }
        }
    }

    fn botpipe(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_botpipe"));
        without_settings(&mut command);
        command.args(args).current_dir(self.work()).env("NO_COLOR", "1").env("HOME", self.home());
        for gone in ["XDG_STATE_HOME", "CODEX_HOME", "CLAUDE_CONFIG_DIR"] {
            command.env_remove(gone);
        }
        match self.scenario.one("login ").as_deref().unwrap_or(self.agent.login()) {
            "none" => {}
            name => {
                command.env(name, "means-nothing");
            }
        }
        if let Agent::Acp(_, codex) = self.agent {
            command.env("CODEX_PATH", codex);
            // Also where the project lies in a home, which is not seen.
            command.env("BOTPIPE_ALLOW_READ", codex.parent().unwrap());
            command.env("INITIAL_AGENT_MODE", "agent-full-access");
            command.env("BOTPIPE_ALLOW_CONNECT", format!("127.0.0.1:{}", self.port));
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self) -> Command {
        let name = self.agent.name();
        let mut run = self.botpipe(&["run", "./greet.sop.yaml", "--task", "t", "--json"]);
        run.args(["--provider", name]);
        let address = format!("http://127.0.0.1:{}", self.port);
        match self.agent {
            Agent::Codex(binary) => {
                run.args(["--model", "gpt-5.5", "--base-url", &format!("{address}/v1")]);
                run.arg("--program").arg(binary);
            }
            Agent::Claude(binary) => {
                run.args(["--base-url", &address]).arg("--program").arg(binary);
            }
            Agent::Acp(words, _) => {
                for name in ["CODEX_PATH", "CODEX_API_KEY", "INITIAL_AGENT_MODE"] {
                    run.args(["--pass-env", name]);
                }
                run.arg("--").args(words);
            }
        }
        for words in self.scenario.all("flag ") {
            run.args(words.split(' '));
        }
        run
    }

    /// Sends the agent's program a signal once the command that the model asked for has begun.
    fn strike(&self, run: &mut Child, signal: &str) -> Result<(), String> {
        let until = Instant::now() + PATIENCE;
        while !self.work().join("begun").exists() {
            if Instant::now() > until || run.try_wait().unwrap().is_some() {
                return Err("the command never began".to_owned());
            }
            thread::sleep(Duration::from_millis(20));
        }
        let found = processes::of(self.folder.path()).into_iter().filter(|process| {
            let program = fs::read_link(format!("/proc/{}/exe", process.pid)).unwrap_or_default();
            program.file_name().is_some_and(|name| name == self.agent.program())
        });
        // What it starts may be its own program again: it is the oldest.
        let program = found.min_by_key(|process| started(Path::new("/proc"), process.pid.as_raw()));
        let program = program.ok_or("its program is not to be found")?;
        let sent = Command::new("kill").args(["-s", signal, &program.pid.to_string()]).status();
        if sent.unwrap().success() { Ok(()) } else { Err(format!("no {signal} for {program:?}")) }
    }

    /// Waits for a run; one that goes on for ever is killed, and that is wrong.
    fn end_of(&self, mut run: Child, begun: Instant) -> Result<Said, String> {
        while run.try_wait().unwrap().is_none() {
            if begun.elapsed() > PATIENCE {
                run.kill().unwrap();
                let said = said(&run.wait_with_output().unwrap());
                processes::strike(&processes::left(self.folder.path(), Duration::from_secs(10)));
                return Err(format!("it was still running after {PATIENCE:?}: {said:?}"));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(said(&run.wait_with_output().unwrap()))
    }

    fn nothing_is_left(&self) -> Result<(), String> {
        let left = processes::left(self.folder.path(), Duration::from_secs(5));
        processes::strike(&left);
        if left.is_empty() { Ok(()) } else { Err(format!("left behind: {left:?}")) }
    }
}

/// Whether the model was asked for an answer, not for a list of models or the like; nor, as the ACP agent
/// does whenever it gets to it, for a title of the conversation.
fn is_of_a_turn(line: &str) -> bool {
    let row: Value = serde_json::from_str(line).unwrap();
    !row["rule"].is_null() && !line.contains("generate a very short title for a conversation")
}

/// When a process was started, in the ticks of the process table.
fn started(proc: &Path, pid: i32) -> u64 {
    let stat = fs::read_to_string(proc.join(format!("{pid}/stat"))).unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    after_name.split_whitespace().nth(19).and_then(|it| it.parse().ok()).unwrap_or(u64::MAX)
}

/// The model as it should be.
fn well() -> Value {
    let outcome = r#"{"outcome": {"tag": "done", "payload": {}, "route_fields": {}}}"#;
    json!([{ "name": "well", "when": [], "say": ["The greeting is written.", "", outcome] }])
}

/// Far above what any scene takes.
const PATIENCE: Duration = Duration::from_mins(2);
