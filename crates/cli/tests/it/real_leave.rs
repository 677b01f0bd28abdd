//! The real Codex and the real Claude Code ask leave, their model on loopback; the host shows what they did,
//! and the model's log in which conversation.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::place::{Said, said};
use crate::{real_claude, real_codex};

const ASKING: &str = "\
sop: 1
name: asking
policy: { permission_mode: ask }
steps:
  - id: make
    prompt: Make the mark.
";

/// What the model does: it makes the mark, and says how that went; again when it is told that it may.
fn rules() -> [Value; 3] {
    let done = "{\"outcome\": {\"tag\": \"done\", \"payload\": {}, \"route_fields\": {}}}";
    [
        json!({ "name": "told no", "when": ["A person denies it"], "say": done }),
        json!({
            "name": "told yes", "when": ["A person allows it"], "run": ["touch mark && echo made"], "say": done,
        }),
        json!({
            "name": "first", "when": ["^Make the mark"], "run": ["touch mark && echo made"], "say": done,
        }),
    ]
}

/// A harness at its bench.
trait Real {
    fn repository(&self) -> std::path::PathBuf;
    fn log(&self) -> &Path;
    /// `botpipe run` of the workflow.
    fn run(&self) -> Command;
    fn botpipe(&self, args: &[&str]) -> Command;

    fn lay_out(&self) {
        fs::write(self.repository().join("asking.sop.yaml"), ASKING).unwrap();
    }

    fn is_marked(&self) -> bool {
        self.repository().join("mark").exists()
    }

    fn say(&self, args: &[&str]) -> Said {
        let said_by: Output = self.botpipe(args).output().unwrap();
        said(&said_by)
    }

    /// The requests that a rule has answered.
    fn asked(&self, rule: &str) -> Vec<Value> {
        let log = fs::read_to_string(self.log()).unwrap();
        let requests = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        requests.filter(|request| request["rule"] == rule).collect()
    }
}

impl Real for real_codex::Bench {
    fn repository(&self) -> std::path::PathBuf {
        self.repository()
    }
    fn log(&self) -> &Path {
        &self.log
    }
    fn run(&self) -> Command {
        let run = self.botpipe(&RUN);
        let mut run = self.with_codex(run, "app_server");
        run.args(["--provider", "codex"]);
        run
    }
    fn botpipe(&self, args: &[&str]) -> Command {
        self.botpipe(args)
    }
}

impl Real for real_claude::Bench {
    fn repository(&self) -> std::path::PathBuf {
        self.repository()
    }
    fn log(&self) -> &Path {
        &self.log
    }
    fn run(&self) -> Command {
        let run = self.botpipe(&RUN);
        let mut run = self.with_claude(run);
        run.args(["--provider", "claude"]);
        run
    }
    fn botpipe(&self, args: &[&str]) -> Command {
        self.botpipe(args)
    }
}

const RUN: [&str; 4] = ["run", "./asking.sop.yaml", "--task", "t"];

fn it_waits_and_goes_on_in_its_conversation(real: &impl Real) {
    real.lay_out();
    let waits = said(&real.run().output().unwrap()).ends(5).json();
    let wants = &waits["question"]["wants"];
    assert_eq!(wants["kind"], "command", "{waits}");
    assert!(wants["what"].as_str().unwrap().contains("touch mark && echo made"), "{waits}");
    assert!(!real.is_marked());
    let answer = real.say(&["answer", "./asking.sop.yaml", "t", "--answer", "y"]).ends(0).json();
    assert!(answer["state"].as_str().unwrap().starts_with("finished"), "{answer}");
    assert!(real.is_marked());
    // The same conversation: it holds what was asked first, and the command that was cut off.
    let told = &real.asked("told yes")[0]["body"].to_string();
    assert!(told.contains("turn `make/1/worker/1`"), "{told}");
    assert!(told.contains("turn `make/1/worker/1~2`"), "{told}");
    assert!(told.matches("touch mark && echo made").count() > 1, "{told}");
}

fn what_is_denied_is_not_done(real: &impl Real) {
    real.lay_out();
    said(&real.run().output().unwrap()).ends(5);
    let denied = real.say(&["answer", "./asking.sop.yaml", "t", "--answer", "n: leave it"]);
    denied.ends(0);
    assert!(!real.is_marked());
    let told = &real.asked("told no")[0]["body"].to_string();
    assert!(told.contains("They say: leave it"), "{told}");
}

/// Denied by its policy it is told so at once, and the turn goes on.
fn nothing_is_asked_where_all_is_denied(real: &impl Real) {
    let none = ASKING.replace("ask }", "deny_all }");
    fs::write(real.repository().join("asking.sop.yaml"), none).unwrap();
    let end = said(&real.run().output().unwrap());
    // It had nothing else to do, and so has no outcome to tell.
    assert_eq!(end.code, 1, "{end:?}");
    assert!(!real.is_marked());
}

#[test]
fn codex_asks_leave_and_goes_on_in_its_conversation() {
    let Some(bench) = real_codex::Bench::new(&rules()) else { return };
    it_waits_and_goes_on_in_its_conversation(&bench);
}

#[test]
fn codex_does_not_do_what_is_denied() {
    let Some(bench) = real_codex::Bench::new(&rules()) else { return };
    what_is_denied_is_not_done(&bench);
}

#[test]
fn codex_is_denied_by_its_policy() {
    let Some(bench) = real_codex::Bench::new(&rules()) else { return };
    nothing_is_asked_where_all_is_denied(&bench);
}

/// What came with the clone has no say in what is asked about, and starts nothing.
#[test]
fn a_projects_own_settings_of_codex_are_not_in_force() {
    let Some(bench) = real_codex::Bench::new(&rules()) else { return };
    let rules = bench.repository().join(".codex/rules");
    fs::create_dir_all(&rules).unwrap();
    let all = "prefix_rule(pattern=[\"touch\"], decision=\"allow\")\n\
               prefix_rule(pattern=[\"echo\"], decision=\"allow\")\n";
    fs::write(rules.join("default.rules"), all).unwrap();
    let server =
        "[mcp_servers.theirs]\ncommand = \"sh\"\nargs = [\"-c\", \"touch server-started; cat\"]\n";
    fs::write(bench.repository().join(".codex/config.toml"), server).unwrap();
    bench.lay_out();
    said(&Real::run(&bench).output().unwrap()).ends(5);
    assert!(!bench.is_marked());
    assert!(!bench.repository().join("server-started").exists());
}

#[test]
fn claude_asks_leave_and_goes_on_in_its_conversation() {
    let Some(bench) = real_claude::Bench::new(&rules()) else { return };
    it_waits_and_goes_on_in_its_conversation(&bench);
}

#[test]
fn claude_does_not_do_what_is_denied() {
    let Some(bench) = real_claude::Bench::new(&rules()) else { return };
    what_is_denied_is_not_done(&bench);
}

#[test]
fn claude_is_denied_by_its_policy() {
    let Some(bench) = real_claude::Bench::new(&rules()) else { return };
    nothing_is_asked_where_all_is_denied(&bench);
}

/// A rule holds in every mode: what is denied is not done even where nobody is asked, and what is allowed is
/// not asked about.
#[test]
fn claude_is_held_to_the_rules_of_its_policy() {
    for (policy, marked) in [
        ("deny_permissions: [Bash(touch *)]", false),
        ("deny_permissions: [Bash]", false),
        ("deny_permissions: [Edit, Bash(rm *)]", true),
        ("permission_mode: ask, allow_permissions: [Bash(touch *)]", true),
        (
            "permission_mode: ask, allow_permissions: [Bash], deny_permissions: [Bash(touch *)]",
            false,
        ),
    ] {
        let Some(bench) = real_claude::Bench::new(&rules()) else { return };
        let text = ASKING.replace("permission_mode: ask", policy);
        fs::write(bench.repository().join("asking.sop.yaml"), text).unwrap();
        let end = said(&Real::run(&bench).output().unwrap());
        assert_eq!(bench.is_marked(), marked, "{policy}: {end:?}");
        // This model has nothing to tell where its command was denied.
        assert_eq!(end.code, i32::from(!marked), "{policy}: {end:?}");
        let shown = bench.say(&["runs", "show", "./asking.sop.yaml", "t"]).ends(0).json();
        let shown = shown["sandbox"].to_string();
        assert!(shown.contains("the same can be said otherwise"), "{policy}: {shown}");
    }
}

/// What nobody would keep is refused before anything is asked.
#[test]
fn rules_that_would_bind_nothing_are_refused() {
    let Some(bench) = real_claude::Bench::new(&rules()) else { return };
    for (policy, why) in [
        ("deny_permissions: [bash(touch *)]", "names no tool of Claude Code's"),
        ("allow_permissions: [Bash]", "nothing is asked about that could be allowed"),
        ("permission_mode: ask, ask_permissions: [Bash]", "the `permission_mode`'s"),
        ("strict: true, deny_permissions: [Bash]", "only kept in part"),
    ] {
        let text = ASKING.replace("permission_mode: ask", policy);
        fs::write(bench.repository().join("asking.sop.yaml"), text).unwrap();
        let refused = said(&Real::run(&bench).output().unwrap()).ends(7);
        assert!(refused.err.contains(why), "{policy}: {}", refused.err);
    }
    let Some(codex) = real_codex::Bench::new(&rules()) else { return };
    let text = ASKING.replace("permission_mode: ask", "deny_permissions: [Bash]");
    fs::write(codex.repository().join("asking.sop.yaml"), text).unwrap();
    let refused = said(&Real::run(&codex).output().unwrap()).ends(7);
    assert!(refused.err.contains("only Claude Code has rules"), "{}", refused.err);
}
