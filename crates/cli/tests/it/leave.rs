//! What an agent asks leave for: of the person at the terminal, or of whoever answers later. The agent is a
//! Codex that plays a script, and what it does on the host says what it was allowed.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

use crate::harness::{at_home, fake_codex, program};
use crate::place::{HELLO, Place, Said, at_terminal, said, terminal, until};

/// The beginning of a turn: of a new conversation, or of the one that was left off.
fn begins(how: &str) -> String {
    format!(
        "hear \"method\":\"initialize\"\nsay {{\"id\":1,\"result\":{{}}}}\nhear \"method\":\"{how}\"\n\
         say {{\"id\":2,\"result\":{{\"thread\":{{\"id\":\"th-1\"}}}}}}\n"
    )
}

const STARTS: &str = "say {\"id\":3,\"result\":{\"turn\":{\"id\":\"tu-1\"}}}\n";
/// It asks leave for the command that leaves a mark.
const ASKS: &str = "say {\"method\":\"item/commandExecution/requestApproval\",\"id\":0,\"params\":\
                    {\"threadId\":\"th-1\",\"itemId\":\"c\",\"command\":\"touch mark\"}}\n";
const ALLOWED: &str = "hear \"decision\":\"accept\"\nrun touch mark\n";
const DENIED: &str = "hear \"decision\":\"decline\"\n";
const LEAVES_OFF: &str = "hear \"method\":\"turn/interrupt\"\nsay {\"method\":\"turn/completed\",\"params\":\
                          {\"turn\":{\"id\":\"tu-1\",\"status\":\"interrupted\"}}}\n";
const DONE: &str = "say {\"method\":\"item/completed\",\"params\":{\"item\":{\"id\":\"m\",\"type\":\
                    \"agentMessage\",\"text\":\"{\\\"outcome\\\": {\\\"tag\\\": \\\"done\\\", \\\"payload\\\": {}, \
                    \\\"route_fields\\\": {}}}\"}}}\nsay {\"method\":\"turn/completed\",\"params\":{\"turn\":\
                    {\"id\":\"tu-1\",\"status\":\"completed\"}}}\n";

/// A workspace whose agents ask leave, and where the agent's script lies.
struct Bench {
    place: Place,
}

impl Bench {
    fn new() -> Self {
        let asks = "policy: { permission_mode: ask }\nsteps:";
        Self { place: Place::with("hello", &HELLO.replace("steps:", asks)) }
    }

    /// What the agent does at its next start.
    fn script(&self, how: &str, deeds: &[&str]) -> std::path::PathBuf {
        let begins = begins(how);
        // Where it is told what a person said, that is in what starts the turn.
        let (starts, deeds) = match deeds {
            [told, deeds @ ..] if told.starts_with("hear ") && how == "thread/resume" => {
                (format!("{told}\n"), deeds)
            }
            deeds => ("hear \"method\":\"turn/start\"\n".to_owned(), deeds),
        };
        self.place.write("script", &(begins + &starts + STARTS + &deeds.concat()))
    }

    fn run(&self, deeds: &[&str], more: &[&str]) -> Said {
        let script = self.script("thread/start", deeds);
        let mut run = fake_codex(&self.place, &script, more);
        said(&run.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap())
    }

    fn say(&self, args: &[&str]) -> Said {
        let mut command = self.place.command(args);
        at_home(&mut command, &self.place);
        said(&command.output().unwrap())
    }

    fn answer(&self, answer: &str) -> Said {
        self.say(&["answer", "hello", "t1", "--answer", answer])
    }

    fn is_marked(&self) -> bool {
        self.place.path().join("mark").exists()
    }

    /// The events of the run, as `kind` and what is told of each.
    fn events(&self) -> Vec<Value> {
        let said = self.say(&["logs", "hello", "t1", "--events"]).ends(0).out;
        let rows = said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        rows.map(|mut row| row["event"].take()).collect()
    }

    fn kinds(&self) -> Vec<String> {
        self.events().iter().map(|it| it["kind"].as_str().unwrap().to_owned()).collect()
    }

    /// The run as it is typed at a terminal, and what that shows.
    fn at_terminal(&self, deeds: &[&str]) -> Person {
        let script = self.script("thread/start", deeds);
        let (ours, theirs) = terminal();
        let run = at_terminal(&fake_codex(&self.place, &script, &[]), &theirs).spawn().unwrap();
        let ours = fs::File::from(ours);
        let (mut from, shown) = (ours.try_clone().unwrap(), Arc::<Mutex<String>>::default());
        let screen = Arc::clone(&shown);
        thread::spawn(move || {
            let mut piece = [0; 4096];
            // A terminal that nobody has any more is an error to read from.
            while let Ok(many @ 1..) = from.read(&mut piece) {
                screen.lock().unwrap().push_str(&String::from_utf8_lossy(&piece[..many]));
            }
        });
        Person { run, ours, shown }
    }
}

/// Somebody at the terminal of a run.
struct Person {
    run: Child,
    ours: fs::File,
    shown: Arc<Mutex<String>>,
}

impl Person {
    /// Waits until a text is shown so often, and types a line.
    #[track_caller]
    fn sees(&mut self, text: &str, times: usize, then: &str) {
        until(text, || {
            let shown = self.shown.lock().unwrap();
            let ended = self.run.try_wait().unwrap().is_some();
            let seen = shown.matches(text).count() >= times;
            assert!(seen || !ended, "it ended before `{text}`: {shown}");
            seen
        });
        self.ours.write_all(then.as_bytes()).unwrap();
    }
}

/// Behind every question: from there on what is typed counts.
const PROMPT: &str = "\n? ";

#[test]
fn what_nobody_is_there_to_be_asked_waits_and_goes_on_in_its_conversation() {
    let bench = Bench::new();
    let waits = bench.run(&[ASKS, LEAVES_OFF], &[]).ends(5).json();
    let question = &waits["question"];
    assert_eq!(question["wants"]["kind"], "command", "{waits}");
    assert_eq!(question["wants"]["what"], "touch mark", "{waits}");
    assert_eq!(question["choices"], serde_json::json!(["y", "a", "n"]));
    assert!(!bench.is_marked());
    // What is no answer changes nothing; nor does `resume` get by without one.
    bench.answer("perhaps").ends(2);
    bench.say(&["resume", "hello", "t1"]).ends(5);

    let told = "hear A person allows it, this once.";
    bench.script("thread/resume", &[told, ASKS, ALLOWED, DONE]);
    bench.answer("y, but only that").ends(0);
    assert!(bench.is_marked());
    let kinds = bench.kinds();
    let at =
        |kind: &str| kinds.iter().position(|it| it == kind).unwrap_or_else(|| panic!("{kind}"));
    assert!(at("turn_interrupted") < at("question_asked"));
    assert!(at("question_asked") < at("permission_answered"));
    assert!(at("permission_answered") < at("turn_ended"));
    let answered = &bench.events()[at("permission_answered")]["permission"];
    assert_eq!(answered["leave"], "once");
    assert_eq!(answered["note"], "but only that");
}

#[test]
fn what_is_denied_stays_denied_and_the_agent_is_told() {
    let bench = Bench::new();
    bench.run(&[ASKS, LEAVES_OFF], &[]).ends(5);
    // Asked for all the same, it is denied without a person.
    bench.script("thread/resume", &["hear They say: keep the tree clean", ASKS, DENIED, DONE]);
    bench.answer("no: keep the tree clean").ends(0);
    assert!(!bench.is_marked());
}

#[test]
fn once_is_once_and_always_is_for_the_conversation() {
    let bench = Bench::new();
    bench.run(&[ASKS, LEAVES_OFF], &[]).ends(5);
    let told = "hear A person allows it, this once.";
    bench.script("thread/resume", &[told, ASKS, ALLOWED, ASKS, LEAVES_OFF]);
    bench.answer("y").ends(5);
    let told = "hear A person allows it, as often as you need it in this conversation.";
    bench.script("thread/resume", &[told, ASKS, ALLOWED, ASKS, ALLOWED, DONE]);
    bench.answer("always").ends(0);
    assert!(bench.is_marked());
}

#[test]
fn at_a_terminal_the_person_is_asked_there_and_the_turn_goes_on() {
    let bench = Bench::new();
    let denied = format!("{DENIED}hear denied: that is enough\n");
    let mut person = bench.at_terminal(&[ASKS, ALLOWED, ASKS, &denied, DONE]);
    person.sees(PROMPT, 1, "what\n");
    person.sees("that is no answer", 1, "");
    person.sees(PROMPT, 2, "y\n");
    person.sees(PROMPT, 3, "n: that is enough\n");
    let end = person.run.wait().unwrap();
    let shown = person.shown.lock().unwrap().clone();
    assert_eq!(end.code(), Some(0), "{shown}");
    assert!(shown.contains("turn greet/1/worker/1 asks to run `touch mark`"), "{shown}");
    assert!(bench.is_marked());
    let kinds = bench.kinds();
    assert!(!kinds.iter().any(|it| it == "question_asked"), "{kinds:?}");
    assert_eq!(kinds.iter().filter(|it| *it == "permission_answered").count(), 2, "{kinds:?}");
}

#[test]
fn a_run_killed_after_the_answer_does_not_ask_again() {
    let bench = Bench::new();
    let mut person =
        bench.at_terminal(&[ASKS, "hear \"decision\":\"accept\"\n", "run touch begun\nstay\n"]);
    person.sees(PROMPT, 1, "y\n");
    until("the command", || bench.place.path().join("begun").exists());
    person.run.kill().unwrap();
    person.run.wait().unwrap();
    assert!(!bench.is_marked());
    bench.script("thread/resume", &[ASKS, ALLOWED, DONE]);
    bench.say(&["resume", "hello", "t1"]).ends(0);
    assert!(bench.is_marked());
}

#[test]
fn somebody_who_leaves_the_terminal_is_waited_for() {
    let bench = Bench::new();
    let mut person = bench.at_terminal(&[ASKS, LEAVES_OFF]);
    // The end of what is typed is no answer.
    person.sees(PROMPT, 1, "\u{4}");
    let end = person.run.wait().unwrap();
    assert_eq!(end.code(), Some(5), "{}", person.shown.lock().unwrap());
    bench.script("thread/resume", &["hear A person allows it", ASKS, ALLOWED, DONE]);
    bench.answer("y").ends(0);
    assert!(bench.is_marked());
}

#[test]
fn who_is_stopped_while_asked_goes_on_with_resume_and_is_asked_again() {
    let bench = Bench::new();
    let mut person = bench.at_terminal(&[ASKS, LEAVES_OFF]);
    // Ctrl-C.
    person.sees(PROMPT, 1, "\u{3}");
    let end = person.run.wait().unwrap();
    assert_eq!(end.code(), Some(130), "{}", person.shown.lock().unwrap());
    bench.script("thread/resume", &[ASKS, LEAVES_OFF]);
    bench.say(&["resume", "hello", "t1"]).ends(5);
    assert!(!bench.is_marked());
}

#[test]
fn with_nobody_to_be_asked_by_order_it_waits_at_a_terminal_too() {
    let bench = Bench::new();
    bench.run(&[ASKS, LEAVES_OFF], &["--full-auto"]).ends(5);
    assert!(!bench.is_marked());
}

#[test]
fn a_branch_that_asks_leave_is_answered_through_its_root() {
    let bench = Bench::new();
    let child = "sop: 1\nname: hello\npolicy: { permission_mode: ask }\ninput:\n  request: { type: string }\n\
                 steps:\n  - id: sides\n    parallel:\n      - { id: one, prompt: Greet. }\n";
    bench.place.write("workflows/hello.sop.yaml", child);
    let waits = bench.run(&[ASKS, LEAVES_OFF], &[]).ends(5).json();
    let asked = waits["question"]["text"].as_str().unwrap();
    assert!(asked.contains("asks to run `touch mark`"), "{waits}");
    bench.script("thread/resume", &["hear A person allows it", ASKS, ALLOWED, DONE]);
    bench.answer("y").ends(0);
    assert!(bench.is_marked());
}

/// A recording holds what came of it, from the first start of the turn on, and asks nobody.
#[test]
fn a_recorded_turn_that_asked_leave_is_played_without_asking() {
    let bench = Bench::new();
    // Elsewhere: what changes in the workspace meanwhile is recorded as the turn's.
    let folder = tempfile::tempdir().unwrap();
    let cassette = folder.path().join("hello.cassette.json");
    let cassette = cassette.to_str().unwrap();
    bench.run(&["run touch before\n", ASKS, LEAVES_OFF], &["--record", cassette]).ends(5);
    bench.script("thread/resume", &["hear A person allows it", ASKS, ALLOWED, DONE]);
    bench.answer("y").ends(0);
    let path = bench.place.path();
    for made in ["before", "mark"] {
        fs::remove_file(path.join(made)).unwrap();
    }
    let play =
        ["run", "hello", "x", "--task", "t2", "--provider", "replay", "--cassette", cassette];
    bench.say(&play).ends(0);
    assert!(path.join("before").exists() && bench.is_marked());
    fs::copy(cassette, path.join("workflows/hello.cassette.json")).unwrap();
    let case = "test: 1\ncases:\n  - { name: it asks nobody, message: x, cassette: hello.cassette.json }\n";
    bench.place.write("workflows/hello.test.yaml", case);
    bench.say(&["test", "hello"]).ends(0);
}

/// Who cannot be held to asking is told before anything is done, with the reason.
#[test]
fn an_agent_that_cannot_ask_is_refused() {
    let bench = Bench::new();
    let refused = bench.run(&[ASKS], &["--codex-interface", "exec"]).ends(7);
    assert!(refused.err.contains("`codex exec` asks nobody"), "{}", refused.err);
    let echo = ["run", "hello", "x", "--task", "t1", "--provider", "command", "--", "cat"];
    let refused = bench.say(&echo).ends(7);
    assert!(refused.err.contains("asks nobody"), "{}", refused.err);
    let acp = program(bench.place.path(), "agent", "1.0.0");
    let acp =
        ["run", "hello", "x", "--task", "t1", "--provider", "acp", "--", acp.to_str().unwrap()];
    let refused = bench.say(&acp).ends(7);
    assert!(refused.err.contains("an ACP agent asks as its own mode says"), "{}", refused.err);
    // Where nothing is left that could be permitted, nobody has to ask.
    let nothing =
        "policy: { permission_mode: ask, sandbox_mode: read_only, network: none }\nsteps:";
    bench.place.write("workflows/hello.sop.yaml", &HELLO.replace("steps:", nothing));
    bench.run(&[DONE], &[]).ends(0);
    for (more, why) in [
        ("sandbox_mode: danger_full_access, network: full", "without a sandbox"),
        ("strict: true", "kept in part (`strict`)"),
    ] {
        let policy = format!("policy: {{ permission_mode: ask, {more} }}\nsteps:");
        bench.place.write("workflows/hello.sop.yaml", &HELLO.replace("steps:", &policy));
        let refused = bench.run(&[ASKS], &[]).ends(7);
        assert!(refused.err.contains(why), "{more}: {}", refused.err);
    }
}

/// What kept it is told as far as it is kept.
#[test]
fn the_report_says_how_far_asking_goes() {
    let bench = Bench::new();
    bench.run(&[DONE], &[]).ends(0);
    let shown = bench.say(&["runs", "show", "hello", "t1"]).ends(0).json();
    let mut found = String::new();
    for control in shown["sandbox"][0]["controls"].as_array().unwrap_or(&Vec::new()) {
        if control["control"] == "permission_mode" {
            let _ = write!(found, "{} {}", control["by"], control["coverage"]);
            assert!(control["gaps"].as_array().is_some_and(|gaps| gaps.len() > 2), "{control}");
        }
    }
    assert_eq!(found, "\"provider-permission\" \"partial\"", "{shown}");
}
