//! The loopback model, spoken to over a plain socket.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

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
fn a_refusal_carries_the_body_and_the_headers_of_the_script() {
    let body = json!({ "error": { "type": "usage_limit_reached", "resets_at": 1_795_360_000 } });
    let headers = json!({ "retry-after": "7" });
    let server = serving(&json!([
        { "name": "r", "when": [], "fault": { "status": 429, "body": body, "headers": headers } },
    ]));
    let refused = post(&server, &json!([user("go")]));
    assert!(refused.starts_with("HTTP/1.1 429 ") && refused.contains("\r\nretry-after: 7\r\n"));
    assert!(refused.ends_with(&body.to_string()), "{refused}");
}

#[test]
fn a_limit_says_when_it_is_over() {
    let body = json!({ "error": { "resets_at": "{{reset}}", "message": "until {{reset}}" } });
    let fault = json!({
        "status": 429, "reset_after": 60, "body": body, "headers": { "x-reset": "{{reset}}" },
    });
    let server = serving(&json!([{ "name": "r", "when": [], "fault": fault }]));
    let refused = post(&server, &json!([user("go")]));
    let (head, body) = refused.split_once("\r\n\r\n").unwrap();
    let error = serde_json::from_str::<Value>(body).unwrap()["error"].take();
    let reset = error["resets_at"].as_u64().unwrap();
    assert_eq!(error["message"], format!("until {reset}"));
    assert!(head.contains(&format!("x-reset: {reset}")), "{head}");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    assert!(reset > now.as_secs() && reset <= now.as_secs() + 60);
}

#[test]
fn a_model_that_hangs_begins_to_answer_and_never_ends() {
    let rules = json!([{ "name": "r", "when": [], "fault": "hang" }]);
    let server = serving(&rules);
    let body = json!({ "model": "m", "stream": true, "messages": [] }).to_string();
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).unwrap();
    let length = body.len();
    write!(stream, "POST /v1/messages HTTP/1.1\r\ncontent-length: {length}\r\n\r\n{body}").unwrap();
    let mut answer = String::new();
    while !answer.contains("message_start") {
        let mut buffer = [0; 4096];
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "it ended: {answer}");
        answer.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    // Nothing more comes: the read ends by its own limit, not by an end of the stream.
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    loop {
        match stream.read(&mut [0; 4096]) {
            Ok(0) => panic!("it ended"),
            Ok(_) => {}
            Err(_) => break,
        }
    }
}

#[test]
fn a_mute_model_takes_the_request_and_answers_nothing() {
    let server = serving(&json!([{ "name": "r", "when": [], "fault": "mute" }]));
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).unwrap();
    write!(stream, "POST /v1/responses HTTP/1.1\r\ncontent-length: 2\r\n\r\n{{}}").unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert!(stream.read(&mut [0; 1]).is_err(), "it answered or hung up");
}

#[test]
fn a_stream_is_answered_as_the_script_has_it() {
    let fault = json!({ "stream": ["data: {\"half\":", "", "<html>"] });
    let server = serving(&json!([{ "name": "r", "when": [], "fault": fault }]));
    let answer = post(&server, &json!([user("go")]));
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream"), "{answer}");
    assert!(answer.ends_with("\r\n\r\ndata: {\"half\":\n\n<html>\n"), "{answer}");
}

#[test]
fn a_silent_model_keeps_the_connection_and_never_ends_its_answer() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.jsonl");
    let rules = json!([
        { "name": "mute", "when": ["mute"], "say": "never", "silent": "at_once" },
        { "name": "half", "when": [], "say": "a".repeat(480), "silent": "halfway" },
    ]);
    let options = Options { log: Some(log.clone()), ..Options::default() };
    let server = serving_with(&rules, &options);
    for (prompt, heard) in [("mute", 0), ("talk", 240)] {
        let body = json!({ "model": "m", "input": [user(prompt)] }).to_string();
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).unwrap();
        let length = body.len();
        write!(stream, "POST /v1/responses HTTP/1.1\r\ncontent-length: {length}\r\n\r\n{body}")
            .unwrap();
        // The log says when all that comes has gone out; what follows is no end but silence.
        let until = Instant::now() + Duration::from_secs(20);
        let noted =
            || std::fs::read_to_string(&log).unwrap().contains(&format!(r#""prompt":"{prompt}""#));
        while !noted() {
            assert!(Instant::now() < until, "it was never noted");
            std::thread::sleep(Duration::from_millis(5));
        }
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let mut answer = Vec::new();
        assert!(stream.read_to_end(&mut answer).is_err(), "it ended");
        let answer = String::from_utf8(answer).unwrap();
        let deltas: usize = answer
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok())
            .filter_map(|event| Some(event["delta"].as_str()?.len()))
            .sum();
        assert_eq!(deltas, heard, "{answer}");
    }
}

/// Asks the Messages API; gives back the whole response.
fn post_messages(server: &Server, stream: bool, messages: &Value) -> String {
    let tools = json!([{ "name": "Bash" }]);
    let body = json!({ "model": "m", "stream": stream, "tools": tools, "messages": messages });
    let body = body.to_string();
    let length = body.len();
    raw(
        server,
        &format!(
            "POST /v1/messages?beta=true HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}"
        ),
    )
}

/// The object in a plain answer.
fn object(response: &str) -> Value {
    serde_json::from_str(response.split_once("\r\n\r\n").expect("a body").1).unwrap()
}

#[test]
fn the_messages_api_plays_the_same_script() {
    let server = serving(&json!([{
        "name": "write", "when": ["Write `(?<file>[^`]+)`"],
        "run": ["touch {{file}}"], "say": ["{{file}}: {{output}}", "done"],
    }]));
    let added =
        json!({ "type": "text", "text": "<system-reminder>Write `no.txt`</system-reminder>" });
    let prompt = json!({ "type": "text", "text": "Write `a.txt`" });
    let asked = json!({ "role": "user", "content": [added, prompt, added] });
    let first = object(&post_messages(&server, false, &json!([asked])));
    assert_eq!(first["stop_reason"], "tool_use");
    let call = &first["content"][0];
    assert_eq!((&call["name"], &call["input"]["command"]), (&json!("Bash"), &json!("touch a.txt")));

    let report = json!({ "type": "tool_result", "tool_use_id": call["id"], "content": "touched" });
    let answered = json!({ "role": "assistant", "content": [call] });
    let reported = json!({ "role": "user", "content": [report, added] });
    let history = json!([asked, answered, reported]);
    let second = object(&post_messages(&server, false, &history));
    assert_eq!(second["content"], json!([{ "type": "text", "text": "a.txt: touched\ndone" }]));

    let streamed = post_messages(&server, true, &history);
    let mut text = String::new();
    for line in streamed.lines().filter_map(|line| line.strip_prefix("data: ")) {
        let event: Value = serde_json::from_str(line).unwrap();
        text.push_str(event["delta"]["text"].as_str().unwrap_or_default());
    }
    assert_eq!(text, "a.txt: touched\ndone");
    assert!(streamed.contains("event: message_stop\n"), "{streamed}");

    // The next prompt of the session begins anew; a command that fails is no success.
    let next = json!({ "role": "user", "content": "Write `b.txt`" });
    let spoken = json!({ "role": "assistant", "content": second["content"] });
    let call =
        object(&post_messages(&server, false, &json!([asked, answered, reported, spoken, next])));
    assert_eq!(call["content"][0]["input"]["command"], "touch b.txt");
    let failed = json!({ "role": "user", "content": [{ "type": "tool_result", "content": "Exit code 1", "is_error": true }] });
    let end = object(&post_messages(&server, false, &json!([asked, answered, failed])));
    assert!(end["content"][0]["text"].as_str().unwrap().contains("did not succeed"), "{end}");
}

#[test]
fn the_messages_api_refuses_in_its_own_words_and_counts() {
    let server = serving(&json!([
        { "name": "busy", "when": [], "times": 1, "fault": { "status": 529 } },
        { "name": "cut", "when": [], "times": 1, "fault": "cut" },
    ]));
    let go = json!([{ "role": "user", "content": "go" }]);
    let refused = post_messages(&server, true, &go);
    assert!(refused.starts_with("HTTP/1.1 529 "), "{refused}");
    assert_eq!(object(&refused)["error"]["type"], "overloaded_error");
    let cut = post_messages(&server, true, &go);
    assert!(cut.contains("message_start") && !cut.contains("message_stop"), "{cut}");
    let count = raw(
        &server,
        "POST /v1/messages/count_tokens HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}",
    );
    assert_eq!(object(&count), json!({ "input_tokens": 100 }));
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
