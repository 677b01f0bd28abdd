//! What a run recorded of its harness, on resume: every setting is given again, whatever settings say by then;
//! another version of the program is noticed, and one that is too old is not asked.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use crate::place::{Place, Said, said};

/// Two turns of one conversation.
const CHAT: &str = "\
sop: 1
name: chat
policy: { sandbox_mode: danger_full_access }
steps:
  - id: first
    prompt: { prompt: Say it., session: { continuity: run } }
    retry: { max_attempts: 1 }
  - id: second
    prompt: { prompt: Say it again., session: { continuity: run } }
    retry: { max_attempts: 1 }
";

/// Every key that a person may set of a harness.
const SETTINGS: &str = "\
provider:
  name: NAME
  model: the-model
  model_effort: the-effort
  base_url: http://127.0.0.1:9/v1
  program: PROGRAM
  args: [--their-own, flag]
  instructions: true
  hooks: true
  mcp_servers:
    near: { command: near-server, args: [--stdio], env: [NEAR_TOKEN] }
    far: { url: http://127.0.0.1:9/mcp }
INTERFACE";

/// What each of them is on the command line or in the environment; `{home}` and `{cwd}` are filled in.
const CLAUDE: &[&str] = &[
    "--resume\nc-1",
    "--model\nthe-model",
    "--effort\nthe-effort",
    "ANTHROPIC_BASE_URL=http://127.0.0.1:9/v1",
    "CLAUDE_CONFIG_DIR={home}",
    "--their-own\nflag",
    // Instructions and hooks together.
    "--setting-sources\nproject",
    "\"command\":\"near-server\"",
    "\"args\":[\"--stdio\"]",
    "NEAR_TOKEN=a token",
    "http://127.0.0.1:9/mcp",
    "PWD={cwd}",
];
const CODEX: &[&str] = &[
    "exec\n--json",
    "resume\nc-1",
    "-m\nthe-model",
    "model_reasoning_effort=\"the-effort\"",
    "base_url=\"http://127.0.0.1:9/v1\"",
    "CODEX_HOME={home}",
    "--their-own\nflag",
    "mcp_servers.near={command=\"near-server\",args=[\"--stdio\"]",
    "NEAR_TOKEN=a token",
    "http://127.0.0.1:9/mcp",
    "-C\n{cwd}",
    // Instructions are read unless they are turned off; hooks are in force where the project is trusted.
    "trust_level = \"trusted\"",
];

/// A harness that notes how it is started, answers once, and then fails while there is a file `broken`.
const HARNESS: &str = r#"#!/bin/sh
case $1$2 in
  --version) cat "${0%/*}/version"; exit;;
  app-server--help) echo 'Usage: codex app-server'; exit;;
esac
calls=${0%/*}/calls; mkdir -p "$calls"; n=$(ls "$calls" | wc -l)
{ printf '%s\n' "$@"; env | grep -E '^(CLAUDE_|CODEX_|ANTHROPIC_|NEAR_|PWD)' | sort
  test -z "$CODEX_HOME" || cat "$CODEX_HOME/config.toml"; } > "$calls/$n"
test $n = 0 || test ! -e "${0%/*}/broken" || exit 3
cat "${0%/*}/answer"
"#;
const OUTCOME: &str =
    r#"{\"outcome\": {\"tag\": \"done\", \"payload\": {}, \"route_fields\": {}}}"#;

/// A run that has stopped in its second turn, since its harness failed.
struct Stopped {
    place: Place,
    /// Where the harness's program is, and its notes.
    beside: tempfile::TempDir,
}

impl Stopped {
    fn with(name: &str, version: &str) -> Self {
        let stopped = Self {
            place: Place::with("chat", CHAT),
            beside: tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap(),
        };
        let answer = match name {
            "codex" => format!(
                "{{\"type\":\"thread.started\",\"thread_id\":\"c-1\"}}\n{{\"type\":\"turn.started\"}}\n\
                 {{\"type\":\"item.completed\",\"item\":{{\"id\":\"i\",\"type\":\"agent_message\",\
                 \"text\":\"{OUTCOME}\"}}}}\n{{\"type\":\"turn.completed\",\"usage\":{{\
                 \"input_tokens\":1,\"output_tokens\":1}}}}\n"
            ),
            _ => format!(
                "{{\"type\":\"system\",\"subtype\":\"init\",\"session_id\":\"c-1\"}}\n\
                 {{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false,\"result\":\"{OUTCOME}\",\
                 \"terminal_reason\":\"completed\"}}\n"
            ),
        };
        stopped.file("answer", &answer);
        stopped.file("version", version);
        stopped.file("broken", "");
        let program = stopped.file("harness", HARNESS);
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let interface = if name == "codex" { "  codex: { interface: exec }\n" } else { "" };
        let settings = SETTINGS
            .replace("NAME", name)
            .replace("PROGRAM", program.to_str().unwrap())
            .replace("INTERFACE", interface);
        stopped.file("config/botpipe/botpipe.yaml", &settings);
        let run = stopped.say(&["run", "chat", "--task", "t"]).ends(1);
        assert_eq!(run.json()["stop"]["provider"]["class"], "crashed", "{}", run.err);
        stopped
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.beside.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.place.command(args);
        command.env("XDG_CONFIG_HOME", self.beside.path().join("config"));
        command.env("HOME", self.beside.path().join("home")).env("NEAR_TOKEN", "a token");
        for gone in ["XDG_STATE_HOME", "CODEX_HOME", "CLAUDE_CONFIG_DIR", "CODEX_API_KEY"] {
            command.env_remove(gone);
        }
        command
    }

    fn say(&self, args: &[&str]) -> Said {
        said(&self.command(args).output().unwrap())
    }

    fn resume(&self) -> Said {
        fs::remove_file(self.beside.path().join("broken")).unwrap();
        self.say(&["resume", "chat", "t"])
    }

    /// How the harness was started the n-th time: arguments, environment, its settings.
    fn call(&self, n: usize) -> String {
        fs::read_to_string(self.beside.path().join(format!("calls/{n}"))).unwrap()
    }

    fn calls(&self) -> usize {
        fs::read_dir(self.beside.path().join("calls")).unwrap().count()
    }

    fn events(&self) -> String {
        self.say(&["logs", "chat", "t", "--events"]).ends(0).out
    }
}

fn every_setting_is_given_again(name: &str, version: &str, words: &[&str]) {
    let stopped = Stopped::with(name, version);
    // The settings that hold by then are another run's.
    stopped.file("config/botpipe/botpipe.yaml", "provider: { name: codex, model: other }\n");
    stopped.resume().ends(0);
    assert_eq!(stopped.calls(), 3);
    let shown = stopped.say(&["runs", "show", "chat", "t"]).ends(0).json();
    let home = shown["provider"][name]["home"].as_str().unwrap();
    let cwd = stopped.place.path().canonicalize().unwrap();
    let again = stopped.call(2);
    for word in words {
        let word = word.replace("{home}", home).replace("{cwd}", cwd.to_str().unwrap());
        assert!(again.contains(&word), "no `{word}` in:\n{again}");
    }
    // The turn that failed was asked in the same way, to the last word.
    assert_eq!(again, stopped.call(1));
    assert!(!again.contains("project_doc_max_bytes=0"), "{again}");
}

#[test]
fn claude_is_given_every_setting_again() {
    every_setting_is_given_again("claude", "2.1.330 (Claude Code)", CLAUDE);
}

#[test]
fn codex_exec_is_given_every_setting_again() {
    every_setting_is_given_again("codex", "codex-cli 0.169.0", CODEX);
}

#[test]
fn another_version_of_the_harness_is_noticed_and_recorded() {
    let stopped = Stopped::with("claude", "2.1.329 (Claude Code)");
    assert!(!stopped.events().contains("harness_changed"));
    stopped.file("version", "2.1.331 (Claude Code)");
    let said = stopped.resume().ends(0);
    for says in [
        "the harness is version 2.1.331 now: claude 2.1.331, model the-model",
        "2.1.331 is newer than the newest version Botpipe is tested with",
    ] {
        assert!(said.err.contains(says), "{}", said.err);
    }
    // Its conversation goes on.
    assert!(stopped.call(2).contains("--resume\nc-1"), "{}", stopped.call(2));
    let events = stopped.events();
    assert_eq!(events.matches(r#""kind":"harness_changed","version":"2.1.331""#).count(), 1);
    let shown = stopped.say(&["runs", "show", "chat", "t"]).ends(0).json();
    assert_eq!(shown["provider"]["claude"]["version"], "2.1.331");
}

#[test]
fn a_harness_that_became_too_old_or_is_gone_is_not_asked() {
    let stopped = Stopped::with("claude", "2.1.330 (Claude Code)");
    stopped.file("version", "2.0.1 (Claude Code)");
    let said = stopped.resume().ends(1);
    for says in [
        "is version 2.0.1, and 2.1.197 is the oldest that works with Botpipe; update it",
        "it was version 2.1.330 when it was last seen",
        "botpipe resume chat t",
    ] {
        assert!(said.err.contains(says), "{}", said.err);
    }
    let program = stopped.beside.path().join("harness");
    let aside = stopped.beside.path().join("aside");
    fs::rename(&program, &aside).unwrap();
    let said = stopped.say(&["resume", "chat", "t"]).ends(1);
    assert!(said.err.contains("--version` could not be started"), "{}", said.err);
    assert_eq!(stopped.calls(), 2, "it was asked");
    // Mended, the run goes on, and no turn was spent on it.
    fs::rename(&aside, &program).unwrap();
    stopped.file("version", "2.1.330 (Claude Code)");
    stopped.say(&["resume", "chat", "t"]).ends(0);
    assert_eq!(stopped.calls(), 3);
    assert!(!stopped.events().contains("harness_changed"));
}
