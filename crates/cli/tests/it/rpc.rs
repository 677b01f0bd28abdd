//! `botpipe rpc`: what a host is told, line by line, and functions whose callers are killed.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use botpipe_engine::prompt::Validators;
use serde_json::{Value, json};

use crate::faults::nothing_is_left;
use crate::place::{Place, said, until};

fn host() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testkit/python/host.py")
}

/// Whether there is a Python to run the host in; where there has to be one, there is.
#[expect(clippy::print_stderr, reason = "whoever runs the tests is told what was left out")]
pub(crate) fn has_python() -> bool {
    let found = Command::new("python3").arg("--version").output();
    let found = found.is_ok_and(|it| it.status.success());
    assert!(
        found || std::env::var_os("BOTPIPE_REQUIRE_PYTHON").is_none(),
        "BOTPIPE_REQUIRE_PYTHON is set, and there is no `python3`"
    );
    if !found {
        eprintln!("SKIPPED: there is no `python3` to run the host in");
    }
    found
}

/// The Python host with the functions of `functions.py`, asking for one thing.
fn hosted(place: &Place, method: &str, params: &Value) -> Command {
    let mut command = place.command(&[]);
    let mut host_command = Command::new("python3");
    host_command.arg(host()).arg(env!("CARGO_BIN_EXE_botpipe")).arg(place.path());
    host_command.args(["functions.py", method]).arg(params.to_string());
    host_command.current_dir(place.path()).stdin(Stdio::null());
    for (name, value) in command.env("PYTHONDONTWRITEBYTECODE", "1").get_envs() {
        match value {
            Some(value) => host_command.env(name, value),
            None => host_command.env_remove(name),
        };
    }
    host_command
}

/// What the host was told: the result, or `{"error": …}`.
pub(crate) fn asks(place: &Place, method: &str, params: &Value) -> Value {
    let out = hosted(place, method, params).output();
    let out = said(&out.unwrap());
    serde_json::from_str(&out.out).unwrap_or_else(|error| panic!("{error}: {out:?}"))
}

/// A session by hand.
struct Session {
    process: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
    schema: String,
}

impl Session {
    fn begin(place: &Place) -> Self {
        let mut command = place.command(&["rpc"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut process = command.spawn().unwrap();
        let to = process.stdin.take();
        let from = BufReader::new(process.stdout.take().unwrap());
        let schema = place.say(&["schema", "rpc"]).ends(0).out;
        Self { process, to, from, schema }
    }

    fn write(&mut self, line: &str) {
        writeln!(self.to.as_mut().unwrap(), "{line}").unwrap();
    }

    fn send(&mut self, id: u64, method: &str, params: Value) {
        let params: Value = params;
        self.write(
            &json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string(),
        );
    }

    fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        let message: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line:?}"));
        assert_eq!(Validators::default().validate(&self.schema, &message), Ok(()), "{message}");
        if let Some(method) = message["method"].as_str() {
            let of_method = self.params_of(method);
            let fits = Validators::default().validate(&of_method, &message["params"]);
            assert_eq!(fits, Ok(()), "{message}");
        }
        message
    }

    /// The schema of the parameters of a method.
    fn params_of(&self, method: &str) -> String {
        let mut whole: Value = serde_json::from_str(&self.schema).unwrap();
        let name = method.replace('/', "~1");
        whole.as_object_mut().unwrap().remove("oneOf");
        whole["$ref"] = json!(format!("#/definitions/params/definitions/{name}"));
        whole.to_string()
    }

    /// What comes back for a request, past notifications.
    fn answer(&mut self, id: u64) -> Value {
        loop {
            let message = self.hear();
            if message["id"] == id && message.get("method").is_none() {
                return message;
            }
        }
    }

    fn ask(&mut self, id: u64, method: &str, params: Value) -> Value {
        self.send(id, method, params);
        self.answer(id)
    }

    fn initialize(&mut self, functions: &[&str]) -> Value {
        self.ask(1, "initialize", json!({ "protocol": 1, "functions": functions }))
    }

    fn end(mut self) -> i32 {
        drop(self.to.take());
        self.process.wait().unwrap().code().unwrap()
    }
}

const CALLS: &str = "\
sop: 1
name: flow
artifacts:
  notes: { md: notes.md }
steps:
  - id: first
    call: first
    writes: [notes]
  - id: second
    call: second
    timeout: 60s
";

#[test]
fn lines_that_are_no_messages_are_answered_and_end_nothing() {
    let place = Place::with("flow", CALLS);
    let mut session = Session::begin(&place);
    for (line, code) in [
        ("nonsense", -32700),
        ("[]", -32600),
        ("{\"id\": 1}", -32600),
        ("{\"jsonrpc\": \"2.0\", \"id\": 7, \"method\": \"run/list\"}", -32600),
        ("{\"jsonrpc\": \"2.0\", \"id\": {}, \"method\": \"run/list\"}", -32600),
        ("{\"jsonrpc\": \"2.0\", \"id\": 9}", -32600),
    ] {
        session.write(line);
        let said = session.hear();
        assert_eq!(said["error"]["code"], code, "{line}: {said}");
    }
    session.write("");
    let said = session.ask(2, "initialize", json!({ "protocol": 2 }));
    assert!(said["error"]["message"].as_str().unwrap().contains("protocol 2"), "{said}");
    let said = session.ask(3, "initialize", json!({ "protocol": 1, "functions": ["no name"] }));
    assert_eq!(said["error"]["code"], -32602, "{said}");
    assert_eq!(session.initialize(&["first"])["result"]["protocol"], 1);
    assert_eq!(session.initialize(&["first"])["error"]["code"], -32600);
    let said = session.ask(4, "run/strat", json!({}));
    assert_eq!(said["error"]["code"], -32601, "{said}");
    let said =
        session.ask(5, "callback/llm", json!({ "call": "r1:first/1/script/1", "prompt": "x" }));
    assert_eq!(said["error"]["code"], -32001, "nobody is called: {said}");
    // One function of two is not there, and nothing was begun.
    let said = session.ask(6, "run/start", json!({ "workflow": "flow" }));
    assert!(said["error"]["message"].as_str().unwrap().contains("`second`"), "{said}");
    assert_eq!(said["error"]["data"]["exit_code"], 2);
    let said = session.ask(8, "run/list", json!({}));
    assert_eq!(said["result"]["runs"], json!([]));
    assert_eq!(session.end(), 0);
}

#[test]
fn the_schema_has_the_parameters_that_are_read() {
    let place = Place::with("flow", CALLS);
    let mut session = Session::begin(&place);
    session.initialize(&[]);
    let schema: Value = serde_json::from_str(&session.schema).unwrap();
    let all = schema["definitions"]["params"]["definitions"].as_object().unwrap().clone();
    let methods = session.ask(2, "nothing", json!({}));
    let methods = methods["error"]["message"].as_str().unwrap().to_owned();
    for (n, (method, of_method)) in (10..).zip(&all) {
        let quoted = format!("`{method}`");
        let told =
            ["host/", "run/owned", "run/event\"", "run/activity", "run/note", "callback/log"];
        if told.iter().any(|it| method.starts_with(it)) || method == "run/event" {
            assert!(!methods.contains(&quoted), "{method}");
            continue;
        }
        assert!(methods.contains(&quoted), "{method} is no method: {methods}");
        let keys: BTreeSet<&str> =
            of_method["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        // Those that ask for something in a call are known by the call that goes on.
        if method.starts_with("callback/") || method == "initialize" || method == "shutdown" {
            continue;
        }
        // Each takes what the schema says it takes, and nothing else.
        let said = session.ask(n, method, json!({ "zzz": 1 }));
        let why = said["error"]["message"].as_str().unwrap();
        let known: BTreeSet<&str> = match why.split_once("expected ") {
            Some((_, rest)) => rest.split('`').skip(1).step_by(2).collect(),
            None => BTreeSet::new(),
        };
        assert!(why.contains("zzz"), "{method}: {why}");
        assert!(keys.is_subset(&known), "{method}: {keys:?} against {known:?}");
    }
    assert_eq!(session.end(), 0);
}

#[test]
fn several_functions_run_at_once_and_what_is_cancelled_is_told() {
    let text = "sop: 1\nname: flow\nsteps:\n  - id: side\n    parallel:\n      - { id: a, call: slow }\n      \
                - { id: b, call: slow }\n";
    let place = Place::with("flow", text);
    let mut session = Session::begin(&place);
    session.initialize(&["slow"]);
    session.send(2, "run/start", json!({ "workflow": "flow", "task": "t", "watch": true }));
    let (mut calls, mut run) = (Vec::new(), String::new());
    while calls.len() < 2 {
        let message = session.hear();
        match message["method"].as_str() {
            Some("host/call") => calls.push(message),
            Some("run/owned") => message["params"]["run"].as_str().unwrap().clone_into(&mut run),
            _ => {}
        }
    }
    let id = |call: &Value| call["params"]["call"].as_str().unwrap().to_owned();
    assert_ne!(id(&calls[0]), id(&calls[1]));
    // One returns, then the run is stopped with the other.
    let done = json!({ "jsonrpc": "2.0", "id": calls[0]["id"], "result": null });
    session.write(&done.to_string());
    loop {
        let message = session.hear();
        if message["params"]["event"]["kind"] == "child_ended" {
            break;
        }
    }
    session.send(3, "run/stop", json!({ "run": run }));
    let mut cancelled = None;
    let end = loop {
        let message = session.hear();
        match message["method"].as_str() {
            Some("host/cancelled") => cancelled = Some(id(&message)),
            Some(_) => {}
            None if message["id"] == 2 => break message,
            None => assert_eq!(message["result"]["stopped"], true),
        }
    };
    assert_eq!(cancelled, Some(id(&calls[1])));
    assert_eq!(end["result"]["exit_code"], 143, "{end}");
    // It goes on with that one alone.
    session.send(4, "run/resume", json!({ "workflow": "flow", "task": "t" }));
    let call = loop {
        let message = session.hear();
        if message["method"] == "host/call" {
            break message;
        }
    };
    assert!(id(&call).ends_with("~2"), "{call}");
    session.write(&json!({ "jsonrpc": "2.0", "id": call["id"], "result": "done" }).to_string());
    assert_eq!(session.answer(4)["result"]["exit_code"], 0);
    assert_eq!(session.end(), 0);
}

/// `first` asks an agent twice, and waits for `go` between; `second` asks in another order when it is
/// called again.
const FUNCTIONS: &str = "\
import os, time

def _note(text):
    with open('calls', 'a') as file:
        file.write(text + '\\n')

def first(call):
    _note('first ' + call.id.split(':', 1)[1])
    one = call.llm('One?')
    call.write('notes', text=one + '\\n')
    _note('told ' + one)
    while not os.path.exists('go'):
        time.sleep(0.02)
    return {'event': {'tag': 'done', 'payload': [one, call.llm('Two?')]}}

def second(call):
    _note('second ' + call.id.split(':', 1)[1])
    again = call.id.endswith('~2')
    call.llm('Three?' if again else 'Four?')
    _note('asked')
    while not os.path.exists('end'):
        time.sleep(0.02)
";

/// Counts itself, and answers with the count.
const AGENT: &str = "head -n 1 > /dev/null; echo \"$BOTPIPE_TURN\" >> ledger; n=$(wc -l < ledger); \
                     echo \"{\\\"outcome\\\": {\\\"tag\\\": \\\"done\\\", \\\"payload\\\": \\\"answer $n\\\"}}\"";

fn lines(place: &Place, file: &str) -> Vec<String> {
    let text = fs::read_to_string(place.path().join(file)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Kills the botpipe of a host, which is its one child, and waits for both.
fn kill(place: &Place, mut host: Child) {
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", host.id())).unwrap();
    let botpipe = children.split_whitespace().next().unwrap().to_owned();
    let killed = Command::new("kill").args(["-KILL", &botpipe]).status().unwrap();
    assert!(killed.success());
    host.wait().unwrap();
    nothing_is_left(place);
}

#[test]
fn a_function_whose_caller_was_killed_is_told_again_what_it_was_told() {
    if !has_python() {
        return;
    }
    let place = Place::with("flow", CALLS);
    place.write("functions.py", FUNCTIONS);
    let provider = json!({ "name": "command", "args": ["sh", "-c", AGENT] });
    let start = json!({ "workflow": "flow", "task": "t", "provider": provider });
    let begin = |method: &str, params: &Value| {
        let mut command = hosted(&place, method, params);
        command.stdout(Stdio::piped()).spawn().unwrap()
    };
    let which = json!({ "workflow": "flow", "task": "t" });

    let run = begin("run/start", &start);
    until("the first answer", || lines(&place, "calls").len() == 2);
    kill(&place, run);
    place.write("go", "");
    let run = begin("run/resume", &which);
    until("the question of the second", || lines(&place, "calls").contains(&"asked".to_owned()));
    // One turn for each question, whoever was killed.
    let asked = ["first/1/call-0:llm/1/worker/1", "first/1/call-1:llm/1/worker/1"];
    assert_eq!(lines(&place, "ledger")[..2], asked);
    let calls = lines(&place, "calls");
    let told = ["first first/1/script/1", "told answer 1", "first first/1/script/1~2"];
    assert_eq!(calls[..3], told, "{calls:?}");
    assert_eq!(calls[3], "told answer 1", "it is told the same");
    kill(&place, run);
    place.write("end", "");

    // The second asks for something else now.
    let said = asks(&place, "run/resume", &which);
    assert_eq!(said["exit_code"], 9, "{said}");
    assert!(said["reason"].as_str().unwrap().contains("Three?"), "{said}");
    assert_eq!(lines(&place, "ledger").len(), 3, "nothing was asked for it");
    // Begun anew it is called as what it is now.
    let said = asks(&place, "run/resume", &which);
    assert_eq!(said["exit_code"], 0, "{said}");
    assert_eq!(lines(&place, "ledger").len(), 4);
    nothing_is_left(&place);
}

#[test]
fn a_turn_that_a_function_asked_for_is_cut_off_and_asked_again_before_the_function_is_called() {
    if !has_python() {
        return;
    }
    let text = "sop: 1\nname: flow\nsteps:\n  - id: only\n    call: only\n";
    let place = Place::with("flow", text);
    let functions = "def only(call):\n    open('calls', 'a').write(call.id.split(':', 1)[1] + '\\n')\n    \
                     return {'event': {'tag': 'done', 'payload': call.llm('Go?')}}\n";
    place.write("functions.py", functions);
    let agent = "cat > /dev/null; echo \"$BOTPIPE_TURN\" >> ledger; until [ -e go ]; do sleep 0.02; done; \
                 echo '{\"outcome\": {\"tag\": \"done\", \"payload\": \"gone\"}}'";
    let provider = json!({ "name": "command", "args": ["sh", "-c", agent] });
    let start = json!({ "workflow": "flow", "task": "t", "provider": provider });
    let run = hosted(&place, "run/start", &start).stdout(Stdio::piped()).spawn().unwrap();
    until("the turn", || lines(&place, "ledger").len() == 1);
    kill(&place, run);
    place.write("go", "");
    let said = asks(&place, "run/resume", &json!({ "workflow": "flow", "task": "t" }));
    assert_eq!(said["exit_code"], 0, "{said}");
    let turn = "only/1/call-0:llm/1/worker/1";
    assert_eq!(lines(&place, "ledger"), [turn.to_owned(), format!("{turn}~2")]);
    assert_eq!(lines(&place, "calls"), ["only/1/script/1", "only/1/script/1~2"]);
    let events = place.say(&["logs", "flow", "t", "--events"]).ends(0).out;
    let count = |kind: &str| events.matches(&format!("\"kind\":\"{kind}\"")).count();
    assert_eq!((count("callback_owed"), count("callback_answered")), (1, 1), "{events}");
    assert_eq!(count("turn_interrupted"), 1, "{events}");
}
