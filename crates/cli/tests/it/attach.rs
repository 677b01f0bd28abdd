//! `botpipe attach`: a person in a conversation of a run, at a terminal.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use crate::harness::{at_home, fake_codex};
use crate::place::{HELLO, Place, Said, answers, at_terminal, said, terminal, until, wait_for};

const THREAD: &str = "01a20b27-8116-71b1-996d-a8d90d60094e";

fn part(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/harness/codex").join(name);
    fs::read_to_string(path).unwrap()
}

/// A run that stands still after its first turn, and the script of the fake Codex, to be rewritten.
fn standing(more: &[&str]) -> (Place, PathBuf) {
    let place = Place::with("hello", HELLO);
    let failed = part("unauthorized.txt").lines().last().unwrap().to_owned();
    let script = place.write("script.txt", &(part("_opening.txt") + &failed));
    assert_eq!(fake_codex(&place, &script, more).status().unwrap().code(), Some(1));
    (place, script)
}

fn command(place: &Place, args: &[&str]) -> Command {
    let mut command = place.command(args);
    at_home(&mut command, place);
    command
}

fn say(place: &Place, args: &[&str]) -> Said {
    said(&command(place, args).output().unwrap())
}

/// `attach` as it is typed at a terminal; our end of that comes with it.
fn attach(place: &Place) -> (Child, fs::File) {
    let (ours, theirs) = terminal();
    let mut there = at_terminal(&command(place, &["attach", "hello", "t1"]), &theirs);
    (there.spawn().unwrap(), fs::File::from(ours))
}

/// What the terminal shows, once nobody has it any more.
fn shown(mut terminal: fs::File) -> String {
    let mut shown = Vec::new();
    // A terminal that nobody has is an error to read from.
    let _ = terminal.read_to_end(&mut shown);
    String::from_utf8_lossy(&shown).replace("\r\n", "\n")
}

#[test]
fn a_person_goes_on_in_the_conversation_and_the_next_turn_is_told() {
    let (place, script) = standing(&["--model", "gpt-5.5"]);
    let words = ["resume", THREAD, "gpt-5.5", "workspace-write", "approval_policy"];
    let has = words.map(|word| format!("has {word}\n")).concat();
    let inside = "lacks app-server\nrun tty < /dev/tty > terminal; pwd > cwd\nrun echo hi > notes.txt\n\
                  run touch inside; until [ -e leave ]; do sleep 0.02; done\nsay goodbye\nexit 0\n";
    fs::write(&script, has + inside).unwrap();
    let (mut person, terminal) = attach(&place);
    until("the person", || {
        let ended = person.try_wait().unwrap().is_some();
        assert!(!ended, "it ended: {}", shown(terminal.try_clone().unwrap()));
        place.path().join("inside").exists()
    });
    // Nobody else moves the run meanwhile.
    let busy = say(&place, &["resume", "hello", "t1"]).ends(1);
    assert!(busy.err.contains("`botpipe attach` (process "), "{}", busy.err);
    say(&place, &["attach", "hello", "t1", "--print"]).ends(1);
    place.write("leave", "");
    assert_eq!(person.wait().unwrap().code(), Some(0));
    let screen = shown(terminal);
    for line in ["the run stands still until you leave\n", "goodbye\n", "  changed: notes.txt\n"] {
        assert!(screen.contains(line), "{line}: {screen}");
    }
    let read = |name: &str| fs::read_to_string(place.path().join(name)).unwrap();
    assert!(read("terminal").starts_with("/dev/"), "{}", read("terminal"));
    assert_eq!(read("cwd").trim_end(), place.path().canonicalize().unwrap().to_str().unwrap());

    let events = say(&place, &["logs", "hello", "t1", "--events"]).ends(0).out;
    let event = events.lines().find(|line| line.contains("person_attached")).unwrap();
    assert!(event.contains(THREAD) && event.contains("\"tree\":"), "{event}");

    let opening = part("_opening.txt").replace("thread/start\"", "thread/resume\"");
    fs::write(&script, opening + &part("_answer.txt") + &part("_end.txt")).unwrap();
    say(&place, &["resume", "hello", "t1"]).ends(0);
    let trace = say(&place, &["logs", "hello", "t1", "--trace", "--turn", "greet/1/worker/2"]);
    let told = "A person went on in this conversation since your last turn";
    for words in [told, "- `notes.txt`"] {
        assert!(trace.out.contains(words), "{words}: {}", trace.out);
    }
    // Over is over.
    let (mut person, terminal) = attach(&place);
    assert_eq!(person.wait().unwrap().code(), Some(2));
    assert!(shown(terminal).contains("--print` gives the command line"));
    say(&place, &["attach", "hello", "t1", "--print"]).ends(0);
}

#[test]
fn the_command_line_is_printed_without_secrets() {
    let (place, _) = standing(&[]);
    let print = |more: &[&str]| {
        let mut command = command(&place, &["attach", "hello", "t1", "--print"]);
        let path = place.path().canonicalize().unwrap().join("script.txt");
        // Whatever is secret here is secret there.
        command.args(more).env("SCRIPT_TOKEN", path);
        said(&command.output().unwrap())
    };
    let line = print(&[]).ends(0).json();
    assert_eq!(line["token"], THREAD);
    assert_eq!(line["turn"], "greet/1/worker/1");
    let words: Vec<&str> =
        line["command"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    assert_eq!((words[1], *words.last().unwrap()), ("resume", THREAD));
    assert!(words.contains(&"[redacted:SCRIPT_TOKEN]"), "{words:?}");
    assert!(line["env"]["CODEX_HOME"].as_str().unwrap().contains("homes"), "{line}");
    print(&["--step", "greet"]).ends(0);
    print(&["--session", "turn/greet/1/worker"]).ends(0);
    print(&["--session", THREAD]).ends(0);
    let said = print(&["--step", "other"]).ends(3);
    assert!(said.err.contains("it has `turn/greet/1/worker` (step greet)"), "{}", said.err);
    let events = say(&place, &["logs", "hello", "t1", "--events"]).ends(0).out;
    assert!(!events.contains("person_attached"), "{events}");
}

#[test]
fn without_a_terminal_or_a_conversation_it_is_refused() {
    let (place, _) = standing(&[]);
    let said = say(&place, &["attach", "hello", "t1"]).ends(2);
    assert!(said.err.contains("`--print` gives the command line"), "{}", said.err);
    say(&place, &["attach", "hello", "t2"]).ends(3);

    let place = Place::with("hello", HELLO);
    place.run("hello", "cat > /dev/null; exit 1", &[]).ends(1);
    let said = say(&place, &["attach", "hello", "t1", "--print"]).ends(2);
    assert!(said.err.contains("starts a program anew for each turn"), "{}", said.err);
}

#[test]
fn while_a_turn_runs_it_says_who_and_how_to_speak_to_it() {
    let place = Place::with("hello", HELLO);
    let agent = format!("touch begun; until [ -e go ]; do sleep 0.02; done; {}", answers("done"));
    let mut run = place.begin(&agent);
    wait_for("the turn", &place.path().join("begun"), &mut run);
    let said = say(&place, &["attach", "hello", "t1", "--print"]).ends(1);
    for words in ["`botpipe run` (process ", "`botpipe say hello t1 --workspace . '…'`", "logs"] {
        assert!(said.err.contains(words), "{words}: {}", said.err);
    }
    place.write("go", "");
    run.wait().unwrap();
}

#[test]
fn claude_code_is_resumed_with_what_its_turns_have() {
    let place = Place::with("hello", HELLO);
    let program = place.write(
        "claude",
        "#!/bin/sh\ncase $1 in --version) echo '2.1.330 (Claude Code)';; -p)\n\
         echo '{\"type\":\"system\",\"subtype\":\"init\",\"session_id\":\"s-1\",\"tools\":[],\"mcp_servers\":[]}'\n\
         exit 4;; *) printf '%s\\n' \"$@\" > words; env > env;; esac\n",
    );
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let args = ["run", "hello", "x", "--task", "t1", "--provider", "claude", "--model", "opus"];
    let mut run = command(&place, &args);
    said(&run.arg("--program").arg(&program).output().unwrap()).ends(1);
    let (mut person, terminal) = attach(&place);
    let code = person.wait().unwrap().code();
    assert_eq!(code, Some(0), "{}", shown(terminal));
    let words = fs::read_to_string(place.path().join("words")).unwrap();
    let words: Vec<&str> = words.lines().collect();
    assert_eq!(words[..2], ["--resume", "s-1"], "{words:?}");
    for pair in [["--setting-sources", ""], ["--permission-mode", "default"], ["--model", "opus"]] {
        assert!(words.windows(2).any(|two| two == pair), "{pair:?} in {words:?}");
    }
    assert!(!words.contains(&"-p") && !words.contains(&"stream-json"), "{words:?}");
    let env = fs::read_to_string(place.path().join("env")).unwrap();
    assert!(env.contains("CLAUDE_CONFIG_DIR=") && env.contains("TERM="), "{env}");
}
