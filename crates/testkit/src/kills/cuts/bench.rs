//! What a trial with a real harness stands on: a ground, a home, and a model with its log.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::log::Log;
use crate::kills::ground::{Ground, GroundError, TASK, error};
use crate::kills::proof::odd;
use crate::model::{Options, Script, Server};
use crate::{claude, codex};

/// A harness, and what it is driven through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Codex CLI through its app server.
    Codex,
    /// Codex CLI through `exec --json`.
    CodexExec,
    /// Claude Code.
    Claude,
}

impl Kind {
    /// All of them.
    pub(super) const ALL: [Self; 3] = [Self::Codex, Self::CodexExec, Self::Claude];

    /// The pinned program, if it is installed.
    pub fn binary(self) -> Option<PathBuf> {
        match self {
            Self::Codex | Self::CodexExec => codex::binary(),
            Self::Claude => claude::binary(),
        }
    }

    /// Whether this is the command line of its program as it takes a turn.
    pub(super) fn takes_turns(self, line: &str) -> bool {
        let word = match self {
            Self::Codex => " app-server",
            Self::CodexExec => " exec ",
            Self::Claude => " stream-json",
        };
        self.binary().is_some_and(|program| line.starts_with(&*program.to_string_lossy()))
            && line.contains(word)
            && !line.contains("--help")
    }

    fn options(self, port: u16) -> Vec<String> {
        let words: &[&str] = match self {
            Self::Codex => &["codex", "--codex-interface", "app_server", "--model", "gpt-5.5"],
            Self::CodexExec => &["codex", "--codex-interface", "exec", "--model", "gpt-5.5"],
            Self::Claude => &["claude"],
        };
        let version = if self == Self::Claude { "" } else { "/v1" };
        let url = format!("http://127.0.0.1:{port}{version}");
        let words = words.iter().map(|word| (*word).to_owned());
        words.chain(["--base-url".to_owned(), url]).collect()
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Codex => "Codex, app server",
            Self::CodexExec => "Codex, `exec --json`",
            Self::Claude => "Claude Code",
        })
    }
}

/// A ground with a home beside the workspace, and the model that the harness asks.
pub(super) struct Bench {
    pub(super) ground: Ground,
    pub(super) kind: Kind,
    botpipe: PathBuf,
    program: PathBuf,
    server: Server,
}

impl Bench {
    /// A copy of a template in a folder that must not lie under the temporary directory, where Codex's sandbox does not
    /// work; with these rules before those of the script.
    pub(super) fn make(
        kind: Kind,
        botpipe: &Path,
        template: &Ground,
        folder: &Path,
        first: &[Value],
    ) -> Result<Self, GroundError> {
        let program = kind.binary().ok_or_else(|| odd(&kind.to_string(), "it is not installed"))?;
        let ground = template.copy(folder)?;
        let home = folder.join("home");
        fs::create_dir(&home).map_err(|source| error(&home, source))?;
        let script = script(first)?;
        let log = folder.join(LOG);
        let options = Options { log: Some(log.clone()), ..Options::default() };
        let server = Server::start(script, &options).map_err(|source| error(&log, source))?;
        Ok(Self { ground, kind, botpipe: botpipe.to_owned(), program, server })
    }

    /// `botpipe run ralph_loop` with the harness.
    pub(super) fn run(&self) -> Command {
        let words = ["run", "ralph_loop", "Greet by name", "--task", TASK, "--provider"];
        let mut run = self.command(&words);
        run.args(self.kind.options(self.server.port()));
        run.args(["--workspace", ".", "--program"]).arg(&self.program);
        run
    }

    /// `botpipe resume ralph_loop`.
    pub(super) fn resume(&self) -> Command {
        self.command(&["resume", "ralph_loop", TASK])
    }

    /// Takes the sandbox away.
    pub(super) fn without_sandbox(mut self) -> Result<Self, GroundError> {
        self.ground = self.ground.without_sandbox()?;
        Ok(self)
    }

    /// The recorded events.
    pub(super) fn events(&self) -> Result<Option<String>, GroundError> {
        self.ground.events(&self.botpipe)
    }

    /// What the model was asked.
    pub(super) fn log(&self) -> Result<Log, GroundError> {
        Log::read(&self.ground.folder().join(LOG))
    }

    /// Whether a conversation that the harness keeps in its home has this in it.
    ///
    /// # Source
    /// Codex CLI 0.169.0 keeps them in `sessions/`, Claude Code 2.1.330 in `projects/`, as JSON lines.
    pub(super) fn stored(&self, text: &str) -> Result<bool, GroundError> {
        let mut folders = vec![self.ground.folder().join("home")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).map_err(|source| error(&folder, source))? {
                let path = entry.map_err(|source| error(&folder, source))?.path();
                let name = path.to_string_lossy().into_owned();
                let kept = ["/sessions/", "/projects/"].iter().any(|part| name.contains(part));
                if path.is_dir() && !path.is_symlink() {
                    folders.push(path);
                } else if kept
                    && path.extension().is_some_and(|it| it == "jsonl")
                    && fs::read(&path).is_ok_and(|it| String::from_utf8_lossy(&it).contains(text))
                {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.ground.botpipe(&self.botpipe, words);
        // The harness's own home of this workspace lies in here; and it starts login shells.
        command.env("HOME", self.ground.folder().join("home"));
        for name in ["XDG_STATE_HOME", "XDG_CONFIG_HOME", "CODEX_HOME", "CLAUDE_CONFIG_DIR"] {
            command.env_remove(name);
        }
        for name in ["PROVIDER", "MODEL", "MODEL_EFFORT", "BASE_URL"] {
            command.env_remove(format!("BOTPIPE_{name}"));
        }
        command.env("CODEX_API_KEY", "means-nothing").env("ANTHROPIC_API_KEY", "means-nothing");
        command
    }
}

/// The shipped workflow's script, with a review whose answer has to be repaired.
fn script(first: &[Value]) -> Result<Script, GroundError> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join("ralph_loop.json");
    let text = fs::read_to_string(&path).map_err(|source| error(&path, source))?;
    let mut shipped: Vec<Value> =
        serde_json::from_str(&text).map_err(|source| error(&path, source.into()))?;
    let outcome =
        |tag: &str| json!({ "outcome": { "tag": tag, "payload": {}, "route_fields": {} } });
    let review = shipped.iter().find(|rule| rule["name"] == "plan review: accepted").cloned();
    let mut slip = review.unwrap_or_default();
    slip["name"] = json!("plan review: no outcome");
    slip["say"] = json!(format!("The plan is sound.\n\n{}", outcome("acepted")));
    if let Some(when) = slip["when"].as_array_mut() {
        when.push(json!("turn `plan/1/verifier/1[`~]"));
    }
    let mended = json!({
        "name": "plan review: repaired", "when": ["^- Step: .* turn `plan/1/verifier/2[`~]"],
        "say": outcome("accepted").to_string(),
    });
    let mut rules = [first, &[slip, mended]].concat();
    rules.append(&mut shipped);
    Script::parse(&Value::Array(rules).to_string())
        .map_err(|problem| odd("the model's script", &problem.to_string()))
}

const LOG: &str = "requests.jsonl";
