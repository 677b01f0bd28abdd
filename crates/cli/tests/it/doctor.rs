//! `botpipe doctor`: fake programs and folders, and what is said of each.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use botpipe_testkit::kills::processes;
use botpipe_testkit::programs;
use serde_json::Value;

use crate::place::{Place, Said, said};

/// A person with a home, a workspace, and nothing installed but what a test puts there.
struct Person {
    home: tempfile::TempDir,
    place: Place,
}

impl Person {
    fn new() -> Self {
        let person = Self { home: tempfile::tempdir().unwrap(), place: Place::new() };
        fs::create_dir(person.at("bin")).unwrap();
        for tool in ["sh", "sleep"] {
            symlink(Path::new("/bin").join(tool), person.at("bin").join(tool)).unwrap();
        }
        person
    }

    fn at(&self, path: &str) -> PathBuf {
        self.home.path().join(path)
    }

    /// A program that says it is this version.
    fn installs(self, name: &str, version: &str) -> Self {
        let program = self.at(&format!("{name}.{version}"));
        symlink(programs::find("fake-harness").unwrap(), &program).unwrap();
        self.says_to(name, &format!("exec '{}' \"$@\"", program.display()))
    }

    /// A program that is a shell script.
    fn says_to(self, name: &str, script: &str) -> Self {
        let program = self.at("bin").join(name);
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    fn sets(self, text: &str) -> Self {
        fs::create_dir_all(self.at(".config/botpipe")).unwrap();
        fs::write(self.at(".config/botpipe/botpipe.yaml"), text).unwrap();
        self
    }

    /// A login that cannot be read: whoever tries waits for ever.
    fn logs_in(self, file: &str) -> Self {
        fs::create_dir_all(self.at(file).parent().unwrap()).unwrap();
        assert!(Command::new("mkfifo").arg(self.at(file)).status().unwrap().success());
        self
    }

    fn asks(&self, args: &[&str], env: &[(&str, &str)]) -> Said {
        let mut command = self.place.command(&[&["doctor"], args].concat());
        command.env_clear().env("NO_COLOR", "1").env("HOME", self.home.path());
        command.env("PATH", self.at("bin")).envs(env.iter().copied());
        said(&command.output().unwrap())
    }
}

/// The state, the words and the next step of what was looked at of a provider.
#[track_caller]
fn found(said: &Said, provider: &str, name: &str) -> [String; 3] {
    let json = said.json();
    let providers = json["providers"].as_array().unwrap();
    let provider = providers.iter().find(|it| it["name"] == provider).unwrap();
    let findings = provider["findings"].as_array().unwrap();
    let finding = findings.iter().find(|it| it["name"] == name).unwrap();
    ["state", "says", "next"].map(|key| finding[key].as_str().unwrap_or_default().to_owned())
}

const CODEX: &str = "provider: { name: codex }\n";

#[test]
fn what_is_installed_and_configured_and_logged_in_is_ready() {
    let codex = Person::new().installs("codex", "0.169.0").sets(CODEX).logs_in(".codex/auth.json");
    let said = codex.asks(&[], &[]).ends(0);
    let json = said.json();
    let of_codex = &json["providers"][0];
    assert_eq!(json["ready"], true);
    assert_eq!(of_codex["installed"]["version"], "0.169.0");
    assert_eq!(of_codex["configured"]["line"], 1);
    let is_there = ".codex/auth.json is there; the agent's commands can read it";
    assert!(found(&said, "codex", "login")[1].ends_with(is_there));
    // Claude Code is not there, and nobody asked for it.
    assert_eq!(json["providers"][1]["configured"], Value::Null);
    assert_eq!(json["providers"][1]["ready"], false);
    let said = codex.asks(&["--provider", "claude"], &[]).ends(1);
    assert!(
        said.err.starts_with("claude: problem  program: there is no program `claude` in PATH\n")
    );
    assert!(said.err.contains("→ install it with `npm install -g @anthropic-ai/claude-code`"));

    let claude = Person::new().installs("claude", "2.1.330").logs_in(".claude/.credentials.json");
    claude.asks(&["--provider", "claude"], &[]).ends(0);
    assert!(!claude.place.path().join(".botpipe").exists(), "looking makes nothing");
    assert!(!claude.at(".local").exists(), "looking makes nothing");
}

#[test]
fn nothing_configured_is_nothing_wrong() {
    let said = Person::new().asks(&[], &[]).ends(0);
    assert_eq!(said.json()["providers"][0]["ready"], false);
}

#[test]
fn a_program_that_is_none_of_what_it_should_be_has_its_line() {
    let logged_in = || Person::new().sets(CODEX).logs_in(".codex/auth.json");
    let cases = [
        (logged_in(), "there is no program `codex` in PATH", "npm install -g @openai/codex"),
        (
            logged_in().sets("provider: { name: codex, program: /nowhere/codex }\n"),
            "`/nowhere/codex` is no program that can be started",
            "or say where it is",
        ),
        (
            logged_in().installs("codex", "0.100.0"),
            "bin/codex is version 0.100.0, and 0.160.0 is the oldest that works",
            "update it: ",
        ),
        (
            logged_in().says_to("codex", "echo hello"),
            "--version` ended with exit code 0 and said \"hello\"; is it the codex CLI?",
            "npm install",
        ),
        (
            logged_in().says_to("codex", "echo no >&2; exit 3"),
            "--version` ended with exit code 3 and said \"no\"",
            "npm install",
        ),
    ];
    for (person, says, next) in cases {
        let said = person.asks(&[], &[]).ends(1);
        let [state, words, step] = found(&said, "codex", "program");
        assert_eq!(state, "problem");
        assert!(words.contains(says), "{words}");
        assert!(step.contains(next), "{step}");
        assert_eq!(said.json()["ready"], false);
    }
    let newer = logged_in().installs("codex", "9.0.0").asks(&[], &[]).ends(0);
    let [state, words, _] = found(&newer, "codex", "program");
    assert_eq!(state, "warning");
    assert!(words.contains("newer than the newest that is tested (0.169.0)"), "{words}");
}

#[test]
fn a_program_that_never_answers_is_ended() {
    let person = Person::new().sets(CODEX).says_to("codex", "cd \"$HOME\"; sleep 600 & sleep 601");
    let said = person.asks(&[], &[]).ends(1);
    let [_, words, _] = found(&said, "codex", "program");
    assert!(words.contains("did not answer within 10 s and was ended"), "{words}");
    let left = processes::left(person.home.path(), Duration::from_secs(5));
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_login_is_seen_and_never_shown() {
    let codex = Person::new().installs("codex", "0.169.0").sets(CODEX);
    let said = codex.asks(&[], &[]).ends(1);
    let next = "log in with `codex login`, or set $CODEX_API_KEY";
    assert_eq!(found(&said, "codex", "login"), ["problem", "none", next]);
    let key = [("CODEX_API_KEY", "sk-shown-to-nobody")];
    let said = codex.asks(&[], &key).ends(0);
    let is_set = "$CODEX_API_KEY is set; it stays outside of the sandbox but with `network: full` or \
                  `--pass-env`";
    assert_eq!(found(&said, "codex", "login")[1], is_set);
    let own = "provider: { name: codex, base_url: \"https://models.example/v1\" }\n";
    let codex = codex.sets(own);
    let with_key = codex.asks(&[], &key).ends(0);
    assert_eq!(found(&with_key, "codex", "login")[1], is_set);
    assert_eq!(found(&codex.asks(&[], &[]).ends(0), "codex", "login")[0], "warning");
    fs::create_dir_all(codex.at(".codex")).unwrap();
    fs::write(codex.at(".codex/config.toml"), "model_provider = \"azure\"\n").unwrap();
    let said = codex.sets(CODEX).asks(&[], &[]).ends(0);
    assert!(found(&said, "codex", "login")[1].contains("`model_provider` of Codex's"));

    let claude = Person::new().installs("claude", "2.1.330");
    let claude_key = [("ANTHROPIC_API_KEY", "sk-shown-to-nobody")];
    let said = claude.asks(&["--provider", "claude"], &claude_key).ends(0);
    for said in [said, with_key] {
        assert!(!said.out.contains("sk-shown") && !said.err.contains("sk-shown"));
    }
}

#[test]
fn a_program_of_ones_own_is_looked_for() {
    let person = Person::new().sets("provider: { name: command, command: [my-agent, --go] }\n");
    let said = person.asks(&[], &[]).ends(1);
    assert_eq!(found(&said, "command", "program")[1], "there is no program `my-agent` in PATH");
    person.says_to("my-agent", "exit 9").asks(&[], &[]).ends(0);
    let said = Person::new().asks(&["--provider", "command"], &[]).ends(1);
    assert!(found(&said, "command", "program")[2].starts_with("set `provider.command:"));
}

#[test]
fn a_machine_that_lacks_something_is_not_ready() {
    let of_machine = |said: &Said, name: &str| {
        let json = said.json();
        let machine = json["machine"].as_array().unwrap().clone();
        machine.into_iter().find(|it| it["name"] == name).unwrap()
    };
    let person = Person::new();
    person.place.write(".botpipe", "not a folder");
    let said = person.asks(&[], &[]).ends(1);
    assert_eq!(of_machine(&said, "workspace")["next"], "move that file away");
    assert_eq!(of_machine(&said, "git")["state"], "warning");
    let person = Person::new();
    fs::write(person.at(".local"), "not a folder").unwrap();
    let said = person.asks(&[], &[]).ends(1);
    assert_eq!(of_machine(&said, "state folder")["state"], "problem");
    let person = Person::new();
    fs::remove_file(person.at("bin/sh")).unwrap();
    let said = person.asks(&[], &[]).ends(1);
    assert_eq!(of_machine(&said, "shell")["state"], "problem");
    let said = Person::new().asks(&["--workspace", "nowhere"], &[]).ends(1);
    assert_eq!(of_machine(&said, "workspace")["next"], "name another with `--workspace`");
}

/// As npm and an environment of Python's put folders of a workspace first: what an agent leaves there is not run by us.
#[test]
fn a_program_of_the_workspace_is_not_taken_for_a_harness() {
    let person = Person::new().installs("claude", "2.1.330").logs_in(".claude/.credentials.json");
    let mark = person.at("ran");
    let planted = person.place.write(
        ".venv/bin/claude",
        &format!("#!/bin/sh\ntouch '{}'\necho '9.9.9 (Claude Code)'\n", mark.display()),
    );
    fs::set_permissions(&planted, fs::Permissions::from_mode(0o755)).unwrap();
    // By a link as well.
    symlink(planted.parent().unwrap(), person.at("first")).unwrap();
    for first in [planted.parent().unwrap().to_owned(), person.at("first")] {
        let path = format!("{}:{}", first.display(), person.at("bin").display());
        let said = person.asks(&["--provider", "claude"], &[("PATH", &path)]).ends(0);
        assert_eq!(said.json()["providers"][1]["installed"]["version"], "2.1.330");
        fs::rename(person.at("bin/claude"), person.at("away")).unwrap();
        let said = person.asks(&["--provider", "claude"], &[("PATH", &path)]).ends(1);
        let [_, says, _] = found(&said, "claude", "program");
        assert!(says.contains("lies where agents write"), "{says}");
        fs::rename(person.at("away"), person.at("bin/claude")).unwrap();
    }
    assert!(!mark.exists(), "it was run");
}
