//! The loopback model, spoken to over a plain socket.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use botpipe_testkit::model::{Ended, Options, Script, Server};
use serde_json::{Value, json};

/// A model that plays the rules given as JSON.
fn serving(rules: &Value) -> Server {
    serving_with(rules, &Options::default())
}

fn serving_with(rules: &Value, options: &Options) -> Server {
    Server::start(Script::parse(&rules.to_string()).unwrap(), options).unwrap()
}

/// Sends raw bytes and gives back everything that comes, until the connection ends.
fn raw(server: &Server, request: &str) -> String {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn post(server: &Server, input: &Value) -> String {
    let tools = json!([{ "type": "function", "name": "exec_command" }]);
    let body = json!({ "model": "m", "stream": true, "tools": tools, "input": input }).to_string();
    raw(
        server,
        &format!(
            "POST /v1/responses HTTP/1.1\r\nhost: x\r\nauthorization: Bearer secret-key\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        ),
    )
}

fn user(text: &str) -> Value {
    json!({ "type": "message", "role": "user", "content": [{ "type": "input_text", "text": text }] })
}

/// The item a completed answer carries.
fn item(answer: &str) -> Value {
    let last = answer.lines().rfind(|line| line.starts_with("data: ")).expect("an event");
    let event: Value = serde_json::from_str(&last["data: ".len()..]).unwrap();
    assert_eq!(event["type"], "response.completed", "{answer}");
    event["response"]["output"][0].clone()
}

fn said(answer: &str) -> String {
    item(answer)["content"][0]["text"].as_str().expect("a message").to_owned()
}

/// The call, and the agent's report about it, as the next request carries them.
fn ran(call: &Value, code: i32, printed: &str) -> [Value; 2] {
    let output = format!("Process exited with code {code}\nOutput:\n{printed}\n");
    let report =
        json!({ "type": "function_call_output", "call_id": call["call_id"], "output": output });
    [call.clone(), report]
}

#[test]
fn a_turn_runs_its_commands_one_by_one_and_then_speaks() {
    let server = serving(&json!([{
        "name": "write", "when": ["Write `(?<file>[^`]+)`"],
        "run": ["ls", "touch {{file}}"], "say": ["{{file}}: {{output}}", "done"],
    }]));
    let mut input = vec![user("<environment_context/>"), user("Write `a.txt`")];
    let first = item(&post(&server, &json!(input)));
    assert_eq!(first["name"], "exec_command");
    let arguments: Value = serde_json::from_str(first["arguments"].as_str().unwrap()).unwrap();
    assert_eq!(arguments["cmd"], "ls");

    input.extend(ran(&first, 0, "README.md"));
    let second = item(&post(&server, &json!(input)));
    let arguments: Value = serde_json::from_str(second["arguments"].as_str().unwrap()).unwrap();
    assert_eq!(arguments["cmd"], "touch a.txt");
    assert_ne!(second["call_id"], first["call_id"]);

    input.extend(ran(&second, 0, "touched"));
    let answer = post(&server, &json!(input));
    assert_eq!(said(&answer), "a.txt: touched\ndone");
    assert!(answer.contains("event: response.output_text.delta\n"), "it streams: {answer}");
}

#[test]
fn a_command_that_fails_ends_the_turn_without_the_scripted_word() {
    let server = serving(&json!([{ "name": "r", "when": [], "run": ["false"], "say": "fine" }]));
    let call = item(&post(&server, &json!([user("go")])));
    let [call, report] = ran(&call, 1, "no such file");
    let text = said(&post(&server, &json!([user("go"), call, report])));
    assert!(text.contains("did not succeed") && text.contains("no such file"), "{text}");
}

#[test]
fn a_rule_plays_so_often_then_the_next_one_does() {
    let server = serving(&json!([
        { "name": "first", "when": ["review"], "unless": ["final"], "times": 1, "say": "rework" },
        { "name": "then", "when": ["review"], "say": "accepted" },
    ]));
    let ask = |text: &str| said(&post(&server, &json!([user(text)])));
    assert_eq!(ask("final review"), "accepted");
    assert_eq!(ask("review"), "rework");
    assert_eq!(ask("review"), "accepted");
    let refused = post(&server, &json!([user("something else")]));
    assert!(refused.starts_with("HTTP/1.1 400 ") && refused.contains("no rule"), "{refused}");
}

#[test]
fn only_the_latest_prompt_of_a_session_counts() {
    let server = serving(&json!([
        { "name": "a", "when": ["first"], "run": ["ls"], "say": "one" },
        { "name": "b", "when": ["second"], "say": "two" },
    ]));
    let call = item(&post(&server, &json!([user("first")])));
    let [call, report] = ran(&call, 0, "");
    let input = json!([user("first"), call, report, user("second")]);
    assert_eq!(said(&post(&server, &input)), "two");
}

#[test]
fn faults_break_the_exchange() {
    let server = serving(&json!([
        { "name": "limit", "when": [], "times": 1, "fault": { "status": 429 } },
        { "name": "cut", "when": [], "times": 1, "fault": "cut" },
        { "name": "ok", "when": [], "say": "ok" },
    ]));
    let limited = post(&server, &json!([user("go")]));
    assert!(limited.starts_with("HTTP/1.1 429 "), "{limited}");
    let cut = post(&server, &json!([user("go")]));
    assert!(cut.contains("response.created") && !cut.contains("response.completed"), "{cut}");
    assert_eq!(said(&post(&server, &json!([user("go")]))), "ok");
}

#[test]
fn other_paths_are_unknown_and_websockets_are_told_to_upgrade_elsewhere() {
    let server = serving(&json!([]));
    let get = |path: &str, more: &str| {
        raw(&server, &format!("GET {path} HTTP/1.1\r\nhost: x\r\n{more}\r\n"))
    };
    assert!(get("/v1/models", "").starts_with("HTTP/1.1 200 "));
    assert!(get("/v1/nothing", "").starts_with("HTTP/1.1 404 "));
    let upgrade = "connection: Upgrade\r\nupgrade: websocket\r\n";
    assert!(get("/v1/responses", upgrade).starts_with("HTTP/1.1 426 "));
}

#[test]
fn the_log_has_every_request_but_no_credential() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.jsonl");
    let options = Options { log: Some(log.clone()), max_requests: Some(2), ..Options::default() };
    let rules = json!([{ "name": "r", "when": [], "say": "hello" }]);
    let server = serving_with(&rules, &options);
    post(&server, &json!([user("go")]));
    raw(&server, "GET /x HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_eq!(server.wait(Duration::from_secs(30)), Ended::Requests);

    let text = std::fs::read_to_string(log).unwrap();
    assert!(!text.contains("secret-key"), "{text}");
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0]["rule"], "r");
    assert_eq!(rows[0]["reply"], json!({ "say": "hello" }));
    assert_eq!(rows[0]["body"]["input"], json!([user("go")]));
    let shown = rows[0]["headers"]["authorization"].as_str().unwrap();
    assert!(shown.starts_with("fingerprint:"), "{shown}");
    assert_eq!(rows[1]["reply"], json!({ "status": 404 }));
}

#[test]
fn a_script_that_cannot_work_is_refused_with_the_rule_named() {
    let refused = |rules: Value| Script::parse(&rules.to_string()).unwrap_err().to_string();
    assert_eq!(
        refused(json!([{ "name": "r", "when": ["(?<file>.)"], "say": "{{path}}" }])),
        "`{{path}}` of rule `r` could not be found among its captures"
    );
    assert!(refused(json!([{ "name": "r", "when": ["("], "say": "x" }])).contains("rule `r`"));
    assert!(refused(json!([{ "name": "r", "when": [] }])).contains("needs `say` or `fault`"));
    assert!(refused(json!([{ "name": "r", "when": [], "sai": "x" }])).contains("understood"));
}

#[test]
fn the_program_serves_until_its_input_closes() {
    let folder = tempfile::tempdir().unwrap();
    let port_file = folder.path().join("port");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/ralph_loop.json");
    let mut program = Command::new(env!("CARGO_BIN_EXE_model-server"))
        .args(["--max-seconds", "60", "--script"])
        .arg(script)
        .arg("--port-file")
        .arg(&port_file)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = program.stderr.take().unwrap();
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        let mut byte = [0];
        stderr.read_exact(&mut byte).unwrap();
        line.extend(byte);
    }
    let port = std::fs::read_to_string(port_file).unwrap();
    assert!(String::from_utf8(line).unwrap().contains(&format!(":{}/v1", port.trim())));

    drop(program.stdin.take());
    assert!(program.wait().unwrap().success());
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "model-server: stopped: its input was closed\n");
}
