//! Conversations of the real harnesses after a kill: begun anew from a checkpoint, lost, or left behind with
//! the folder they were held in. The model's log is the judge.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::place::{Said, kill_once, said, tree};
use crate::{real_claude, real_codex};

/// Three turns of one conversation; what is done about an interruption of the second is filled in.
const CHAT: &str = "\
sop: 1
name: chat
policy: { sandbox_mode: danger_full_access }
steps:
  - id: first
    prompt: { prompt: Say the word., session: { continuity: run } }
  - id: second
    prompt: { prompt: Say the second word., session: { continuity: run } }
    on_interrupt: ON_INTERRUPT
  - id: third
    prompt: { prompt: Say the third word., session: { continuity: run } }
";

/// A real harness, and a run of three turns with it that was killed inside the second.
enum Bench {
    Codex(real_codex::Bench, &'static str),
    Claude(real_claude::Bench),
}

impl Bench {
    /// Nothing, said loudly, where the harness is not installed.
    fn new(harness: &'static str) -> Option<Self> {
        let say = |word: &str| {
            format!(
                "The word is {word}.\n\n{}",
                json!({ "outcome": { "tag": "done", "payload": {}, "route_fields": {} } })
            )
        };
        let rules = [
            json!({ "name": "first", "when": ["^- Step: .* turn `first/1/"], "run": ["echo one > one.txt"],
                    "say": say("walnut") }),
            json!({ "name": "cut off", "when": ["^- Step: .* turn `second/1/worker/1`"], "say": "never",
                    "run": ["echo half > half.txt; echo half > one.txt; touch ../begun; sleep 600"] }),
            json!({ "name": "second", "when": ["^- Step: .* turn `second/1/"], "run": ["echo two > two.txt"],
                    "say": say("hazel") }),
            json!({ "name": "third", "when": ["^- Step: .* turn `third/1/"], "say": say("almond") }),
        ];
        Some(match harness {
            "claude" => Self::Claude(real_claude::Bench::new(&rules)?),
            interface => Self::Codex(real_codex::Bench::new(&rules)?, interface),
        })
    }

    /// A run that was killed inside its second turn.
    fn cut_off(harness: &'static str, on_interrupt: &str) -> Option<Self> {
        let bench = Self::new(harness)?;
        let chat = CHAT.replace("ON_INTERRUPT", on_interrupt);
        fs::write(bench.repository().join("chat.sop.yaml"), chat).unwrap();
        let run = bench.run().spawn().unwrap();
        let begun = bench.beside().join("begun");
        kill_once(run, &begun, bench.beside());
        Some(bench)
    }

    fn beside(&self) -> &Path {
        match self {
            Self::Codex(bench, _) => bench.folder.path(),
            Self::Claude(bench) => bench.folder.path(),
        }
    }

    fn repository(&self) -> PathBuf {
        self.beside().join("repository")
    }

    fn botpipe(&self, args: &[&str]) -> Command {
        match self {
            Self::Codex(bench, _) => bench.botpipe(args),
            Self::Claude(bench) => bench.botpipe(args),
        }
    }

    fn run(&self) -> Command {
        let args = ["run", "./chat.sop.yaml", "--task", "t", "--provider"];
        match self {
            Self::Codex(bench, interface) => {
                let run = bench.botpipe(&[&args[..], &["codex"]].concat());
                bench.with_codex(run, interface)
            }
            Self::Claude(bench) => {
                bench.with_claude(bench.botpipe(&[&args[..], &["claude"]].concat()))
            }
        }
    }

    fn resume(&self) -> Said {
        said(&self.botpipe(&["resume", "chat", "t"]).output().unwrap())
    }

    /// The harness's own records of conversations, by their file.
    fn records(&self) -> Vec<(String, Vec<u8>)> {
        tree(&self.stored(), &[])
    }

    /// Where the harness keeps them.
    fn stored(&self) -> PathBuf {
        let homes = self.beside().join("home/.local/state/botpipe/homes");
        let home = fs::read_dir(homes).unwrap().next().unwrap().unwrap().path();
        match self {
            Self::Codex(..) => home.join("codex/sessions"),
            Self::Claude(_) => home.join("claude/projects"),
        }
    }

    /// The events of the run, of one kind.
    fn events(&self, kind: &str) -> Vec<Value> {
        let logs = self.botpipe(&["logs", "chat", "t", "--events"]).output().unwrap();
        let events = said(&logs).ends(0).out;
        events
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["event"].take())
            .filter(|event| event["kind"] == kind)
            .collect()
    }

    /// What the model was asked, by the rule that answered.
    fn asked(&self, rule: &str) -> Vec<String> {
        let log = match self {
            Self::Codex(bench, _) => &bench.log,
            Self::Claude(bench) => &bench.log,
        };
        let log = fs::read_to_string(log).unwrap();
        let requests = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let of_rule = requests.filter(|request| request["rule"] == rule);
        of_rule.map(|request| request["body"].to_string()).collect()
    }
}

#[track_caller]
fn holds(text: &str, all: &[&str], none: &[&str]) {
    for word in all {
        assert!(text.contains(word), "no `{word}` in:\n{text}");
    }
    for word in none {
        assert!(!text.contains(word), "`{word}` in:\n{text}");
    }
}

/// Words of the first turn, which was completed; and of the start of the second that was cut off.
const COMPLETED: [&str; 3] = ["turn `first/1/worker/1`", "echo one > one.txt", "walnut"];
const CUT_OFF: [&str; 2] = ["turn `second/1/worker/1`", "sleep 600"];

fn restart_begins_from_the_end_of_the_last_completed_turn(harness: &'static str) {
    let Some(bench) = Bench::cut_off(harness, "restart") else { return };
    let before = bench.records();
    bench.resume().ends(0);

    // The tree is as the second turn found it, and as it then left it.
    let file = |name: &str| fs::read_to_string(bench.repository().join(name)).ok();
    assert_eq!(file("half.txt"), None);
    assert_eq!(file("one.txt").as_deref(), Some("one\n"));
    assert_eq!(file("two.txt").as_deref(), Some("two\n"));
    // The turn asked again recalls the first, and nothing of its own start that was cut off.
    let again = bench.asked("second");
    holds(&again[0], &COMPLETED, &CUT_OFF);
    let told = "goes on from the end of its last completed turn";
    holds(&again[0], &[told, "turn `second/1/worker/1~2`"], &["This is a new conversation"]);
    // The third goes on in that conversation.
    let third = &bench.asked("third")[0];
    holds(third, &COMPLETED, &CUT_OFF);
    holds(third, &["hazel"], &[]);
    // It is another one, and the one that holds the cut-off turn is as it was left.
    let tokens = bench.events("session_known");
    assert_eq!(tokens.len(), 2, "{tokens:?}");
    assert_ne!(tokens[0]["token"], tokens[1]["token"]);
    let after = bench.records();
    for (path, bytes) in &before {
        let now = after.iter().find(|(name, _)| name == path);
        assert!(now.is_some_and(|(_, now)| now == bytes), "`{path}` was changed");
    }
    let owed = bench.events("turn_owed");
    let sessions: Vec<_> = owed.iter().map(|it| &it["session"]).collect();
    assert_eq!(sessions[2]["token"], tokens[0]["token"], "{sessions:?}");
    assert_eq!(sessions[2]["from"], bench.events("turn_ended")[0]["checkpoint"]);
    assert_eq!(sessions[3]["token"], tokens[1]["token"], "{sessions:?}");
    // What the turns report is what they spent, though some count on from the conversation's beginning.
    let ended = bench.events("turn_ended");
    let spent: Vec<_> = ended.iter().map(|it| it["usage"]["input"].as_u64().unwrap()).collect();
    assert_eq!(spent, [200, 200, 100]);
    if harness == "claude" {
        let cost: Vec<_> = ended.iter().map(|it| it["usage"]["cost"].as_u64().unwrap()).collect();
        assert_eq!(cost, [1_600, 1_600, 800]);
    }
}

/// Whatever the step says of interruptions: where the harness has lost the conversation, a new one is
/// told what is recorded.
fn a_lost_conversation_is_begun_anew_with_a_summary(harness: &'static str) {
    for on_interrupt in ["restart", "resume"] {
        let Some(bench) = Bench::cut_off(harness, on_interrupt) else { return };
        fs::remove_dir_all(bench.stored()).unwrap();
        bench.resume().ends(0);
        let ended = bench.events("turn_ended");
        assert_eq!(ended[1]["result"]["failed"]["class"], "session_lost", "{on_interrupt}");
        let again = &bench.asked("second")[0];
        let summary = [
            "## New conversation",
            "This is a new conversation; what was said before is gone.",
            "> - `first/1/worker/1` answered: The word is walnut.",
            "> - `second/1/worker/1` was cut off before its end",
        ];
        holds(again, &summary, &["echo one > one.txt", "sleep 600"]);
        // The second turn was asked once, in the new conversation, and the third goes on in it.
        holds(&bench.asked("third")[0], &["hazel"], &["echo one > one.txt", "sleep 600"]);
        // What was left half done is named where it was left.
        let named = again.contains("- `half.txt`");
        assert_eq!(named, on_interrupt == "resume", "{again}");
    }
}

/// Codex begins the record of a conversation before it writes down what it was asked: killed in between,
/// it goes on, without a word of failure, with a conversation that holds nothing.
fn an_empty_conversation_is_not_said_to_continue(interface: &'static str) {
    let Some(bench) = Bench::cut_off(interface, "resume") else { return };
    for (name, bytes) in bench.records() {
        let text = String::from_utf8(bytes).unwrap();
        let begun = text.find("\n{").filter(|_| text.starts_with('{')).unwrap() + 1;
        assert!(text[..begun].contains("session_meta") && text[begun..].contains("walnut"));
        fs::write(bench.stored().join(name), &text[..begun]).unwrap();
    }
    bench.resume().ends(0);
    let again = &bench.asked("second")[0];
    let told = [
        "An earlier start of this turn was cut off",
        "This is a new conversation; what was said before is gone.",
        "> - `first/1/worker/1` answered: The word is walnut.",
        "- `half.txt`",
    ];
    holds(again, &told, &["Your conversation continues", "echo one > one.txt", "sleep 600"]);
    holds(&bench.asked("third")[0], &["hazel"], &["echo one > one.txt"]);
}

/// A conversation belongs to the folder it was held in.
fn a_moved_workspace_leaves_its_conversations_behind(harness: &'static str) {
    let Some(bench) = Bench::cut_off(harness, "resume") else { return };
    let before = bench.records();
    let (here, there) = (bench.repository(), bench.beside().join("moved"));
    fs::rename(&here, &there).unwrap();
    let said = said(&bench.botpipe(&["resume", "chat", "t"]).current_dir(&there).output().unwrap());
    let said = said.ends(0);
    let now = there.display().to_string();
    holds(&said.err, &[&format!("the workspace is {now} now")], &[]);
    let again = &bench.asked("second")[0];
    let summary = [
        "An earlier start of this turn was cut off",
        "This is a new conversation; what was said before is gone.",
        "> - `first/1/worker/1` answered: The word is walnut.",
    ];
    holds(again, &summary, &["echo one > one.txt", "sleep 600"]);
    assert_eq!(fs::read_to_string(there.join("two.txt")).unwrap(), "two\n");
    assert!(!here.exists(), "something was made where the workspace was");
    let after = bench.records();
    assert!(before.iter().all(|old| after.contains(old)), "an old conversation was gone on with");
}

#[test]
fn codex_restarts_from_the_end_of_the_last_completed_turn() {
    restart_begins_from_the_end_of_the_last_completed_turn("app_server");
}

#[test]
fn codex_exec_restarts_from_the_end_of_the_last_completed_turn() {
    restart_begins_from_the_end_of_the_last_completed_turn("exec");
}

#[test]
fn claude_restarts_from_the_end_of_the_last_completed_turn() {
    restart_begins_from_the_end_of_the_last_completed_turn("claude");
}

#[test]
fn a_conversation_that_codex_lost_is_begun_anew_with_a_summary() {
    a_lost_conversation_is_begun_anew_with_a_summary("app_server");
}

#[test]
fn a_conversation_that_codex_exec_lost_is_begun_anew_with_a_summary() {
    a_lost_conversation_is_begun_anew_with_a_summary("exec");
}

#[test]
fn a_conversation_that_claude_lost_is_begun_anew_with_a_summary() {
    a_lost_conversation_is_begun_anew_with_a_summary("claude");
}

#[test]
fn an_empty_conversation_of_codex_is_not_said_to_continue() {
    an_empty_conversation_is_not_said_to_continue("app_server");
}

#[test]
fn an_empty_conversation_of_codex_exec_is_not_said_to_continue() {
    an_empty_conversation_is_not_said_to_continue("exec");
}

#[test]
fn a_moved_workspace_leaves_conversations_with_codex_behind() {
    a_moved_workspace_leaves_its_conversations_behind("app_server");
}

#[test]
fn a_moved_workspace_leaves_conversations_with_codex_exec_behind() {
    a_moved_workspace_leaves_its_conversations_behind("exec");
}

#[test]
fn a_moved_workspace_leaves_conversations_with_claude_behind() {
    a_moved_workspace_leaves_its_conversations_behind("claude");
}
