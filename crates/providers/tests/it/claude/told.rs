//! Lines that no recording has: what another version or a broken program might say.

use std::time::Duration;

use botpipe_providers::claude::Protocol;
use botpipe_providers::{Clock, ProgramEnd, SandboxMode};
use serde_json::{Value, json};

use crate::asked::{Ask, Talk};

const END: ProgramEnd = ProgramEnd::Exited(0);

/// What these lines and this end come to, in a turn asked like this.
fn told_as(ask: &Ask, lines: &[Value], end: &ProgramEnd) -> String {
    let mut talk = Talk::new(ask.with(Protocol::new));
    for line in lines {
        talk.hear(&line.to_string());
    }
    talk.close(end, "");
    talk.text
}

fn told(lines: &[Value], end: &ProgramEnd) -> String {
    told_as(&Ask::new("go"), lines, end)
}

fn init() -> Value {
    json!({ "type": "system", "subtype": "init", "session_id": "s-1" })
}

fn result(text: &str, tokens: u64, dollars: f64) -> Value {
    json!({
        "type": "result", "subtype": "success", "is_error": false, "result": text,
        "terminal_reason": "completed", "total_cost_usd": dollars,
        "usage": {
            "input_tokens": tokens, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 2,
            "output_tokens": 3, "output_tokens_details": { "thinking_tokens": 1 },
        },
    })
}

fn speaks(id: &str, block: &Value) -> Value {
    let usage = json!({ "input_tokens": 10, "output_tokens": 1 });
    json!({ "type": "assistant", "message": { "id": id, "content": [block], "usage": usage } })
}

fn asks(tool: &str, input: &Value) -> Value {
    let request = json!({ "subtype": "can_use_tool", "tool_name": tool, "input": input });
    json!({ "type": "control_request", "request_id": "r", "request": request })
}

#[test]
fn a_turn_that_went_well_tells_where_its_conversation_stands() {
    let said = |id: &str, parent: Option<&str>| {
        json!({ "type": "assistant", "uuid": id, "parent_tool_use_id": parent,
                "message": { "id": id, "content": [] } })
    };
    let checkpoint = |last: Value| {
        let mut talk = Talk::new(Ask::new("go").with(Protocol::new));
        for line in [init(), said("m-1", None), said("m-2", None), said("m-3", Some("t-1")), last] {
            talk.hear(&line.to_string());
        }
        talk.codec.close(&END, "").checkpoint
    };
    assert_eq!(checkpoint(result("Done.", 1, 0.1)).as_deref(), Some("m-2"));
    assert_eq!(checkpoint(json!({ "type": "result", "is_error": true, "result": "no" })), None);
}

#[test]
fn of_several_results_the_last_counts_and_all_are_paid() {
    let lines = [init(), result("First.", 10, 0.25), result("Second.", 20, 0.75)];
    let text = told(&lines, &END);
    assert!(text.contains("answer: Second.\n"), "{text}");
    assert!(
        text.contains(
            r#"{"input":44,"cached":10,"cache_write":4,"output":6,"reasoning":2,"cost":750000}"#
        ),
        "{text}"
    );
}

#[test]
fn a_conversations_cost_is_counted_from_where_it_stood() {
    let mut ask = Ask::new("go");
    ask.cost = 500_000;
    assert!(told_as(&ask, &[result("", 1, 0.75)], &END).contains("\"cost\":250000"));
    // The program counts anew: then all of it is this turn's.
    assert!(told_as(&ask, &[result("", 1, 0.25)], &END).contains("\"cost\":250000"));
    let unknown = json!({ "type": "result", "is_error": false, "usage": { "input_tokens": 1 } });
    assert!(!told(&[unknown], &END).contains("cost"));
}

#[test]
fn without_a_result_there_is_no_answer_whatever_was_said() {
    let lines = [init(), speaks("m", &json!({ "type": "text", "text": "All done." }))];
    let text = told(&lines, &END);
    assert!(text.contains("failure: crashed: `claude` ended before the turn was over"), "{text}");
    assert!(text.contains(r#"usage: {"input":10,"output":1,"at_least":true}"#), "{text}");
    let silent =
        told(&lines, &ProgramEnd::TimedOut { clock: Clock::Idle, after: Duration::from_secs(9) });
    assert!(silent.contains("failure: idle_timeout: "), "{silent}");
}

#[test]
fn a_good_answer_outlives_a_bad_end_which_is_noted() {
    for end in [ProgramEnd::Exited(1), ProgramEnd::Signalled(9)] {
        let text = told(&[init(), result("Done.", 1, 0.0)], &end);
        assert!(text.contains("answer: Done.\n"), "{text}");
        assert!(text.contains("note: after its answer, `claude` "), "{text}");
    }
}

#[test]
fn a_turn_left_off_for_a_clock_failed_by_that_clock() {
    let aborted = json!({
        "type": "result", "subtype": "error_during_execution", "is_error": true,
        "terminal_reason": "aborted_tools", "errors": ["whatever"],
    });
    let end = ProgramEnd::TimedOut { clock: Clock::Wall, after: Duration::from_mins(1) };
    assert!(told(&[aborted], &end).contains("failure: wall_timeout: "));
}

#[test]
fn a_success_that_is_an_error_is_none() {
    let mut end = result("API Error: 500", 1, 0.0);
    end["is_error"] = true.into();
    end["api_error_status"] = 500.into();
    assert!(told(&[end], &END).contains("failure: server_error: API Error: 500"));
    let mut stopped = result("Half.", 1, 0.0);
    stopped["terminal_reason"] = "hook_stopped".into();
    assert!(told(&[stopped], &END).contains("failure: unknown: Half."));
    let mut refused = result("I will not.", 1, 0.0);
    refused["is_error"] = true.into();
    refused["stop_reason"] = "refusal".into();
    assert!(told(&[refused], &END).contains("failure: refused: "));
}

#[test]
fn a_sandbox_that_cannot_be_made_is_told() {
    let why = "sandbox required but unavailable: bubblewrap (bwrap) not installed";
    let end = json!({
        "type": "result", "subtype": "error_during_execution", "is_error": true, "errors": [why],
    });
    assert!(told(&[end], &ProgramEnd::Exited(1)).contains("failure: sandbox: sandbox required"));
}

#[test]
fn the_model_error_of_a_subagent_is_not_the_turns() {
    let mut busy = speaks("m", &json!({ "type": "text", "text": "API Error" }));
    busy["error"] = "rate_limit".into();
    busy["parent_tool_use_id"] = "call".into();
    let end = json!({ "type": "result", "is_error": true, "errors": ["something else"] });
    assert!(told(&[busy, end], &END).contains("failure: unknown: something else"));
}

#[test]
fn another_program_is_told_from_one_that_broke() {
    let mut talk = Talk::new(Ask::new("go").with(Protocol::new));
    for line in ["hello", "", "{", "\u{fffd}\u{fffd}", "[1]", "{\"type\":7}", "null"] {
        assert!(!talk.hear(line).finished);
    }
    talk.close(&END, "");
    assert!(talk.text.contains("failure: protocol: `claude` said nothing"), "{}", talk.text);
}

#[test]
fn what_is_not_known_passes_and_changes_nothing() {
    let strange = [
        json!({ "type": "something_new", "field": [1, 2] }),
        json!({ "type": "system", "subtype": "something_new" }),
        json!({ "type": "assistant", "message": { "content": "no blocks" } }),
        json!({ "type": "user", "message": { "content": [{ "type": "new" }] }, "new": true }),
        json!({ "type": "result_of_something" }),
    ];
    let plain = told(&[init(), result("Done.", 1, 0.0)], &END);
    let mut lines = vec![init()];
    lines.extend(strange);
    lines.push(result("Done.", 1, 0.0));
    assert_eq!(told(&lines, &END), plain);
}

#[test]
fn a_long_line_is_one_answer() {
    let long = "ä".repeat(3 << 20);
    let mut talk = Talk::new(Ask::new("go").with(Protocol::new));
    talk.hear(&result(&long, 1, 0.0).to_string());
    talk.close(&END, "");
    assert!(talk.text.contains(&long));
}

#[test]
fn commands_under_way_make_it_busy() {
    let mut talk = Talk::new(Ask::new("go").with(Protocol::new));
    let call =
        json!({ "type": "tool_use", "id": "c", "name": "Bash", "input": { "command": "make" } });
    assert!(talk.hear(&speaks("m", &call).to_string()).busy);
    assert!(talk.hear(&json!({ "type": "keep_alive" }).to_string()).busy);
    let done = json!({ "type": "tool_result", "tool_use_id": "c", "content": "ok" });
    let done = json!({ "type": "user", "message": { "content": [done] } });
    assert!(!talk.hear(&done.to_string()).busy);
}

#[test]
fn a_talk_that_is_refused_ends_at_once() {
    let response = json!({ "subtype": "error", "request_id": "begin", "error": "too old" });
    let text = told(&[json!({ "type": "control_response", "response": response })], &END);
    assert_eq!(text, "finished\nfailure: protocol: `claude` would not begin: too old\n");
}

#[test]
fn a_server_of_tools_that_is_not_there_is_told() {
    let mut init = init();
    init["mcp_servers"] =
        json!([{ "name": "a", "status": "connected" }, { "name": "b", "status": "failed" }]);
    assert!(told(&[init], &END).contains("says: MCP server `b` failed\n"));
}

#[test]
fn requests_are_answered_from_the_policy() {
    let free = Ask::new("go");
    let mut bound = Ask::new("go");
    bound.access.sandbox = SandboxMode::WorkspaceWrite;
    bound.access.network = false;
    bound.access.writable = vec!["/data".to_owned()];
    let mut shut = Ask::new("go");
    shut.access.sandbox = SandboxMode::ReadOnly;
    shut.access.writable = vec!["/data".to_owned()];
    let write = |path: &str| ("Write", json!({ "file_path": path }));
    let table = [
        (("AskUserQuestion", json!({})), [false, false, false]),
        (("Read", json!({ "file_path": "/etc/passwd" })), [true, true, true]),
        (write("/work/repository/a"), [true, true, false]),
        (write("b/c"), [true, true, false]),
        (write("/work/repository/../other"), [true, false, false]),
        (write("/work/repository-2/a"), [true, false, false]),
        (write("/data/a"), [true, true, true]),
        (write("/etc/passwd"), [true, false, false]),
        (("Write", json!({})), [true, false, false]),
        (("NotebookEdit", json!({ "notebook_path": "/data/n" })), [true, true, true]),
        (("WebFetch", json!({ "url": "http://x" })), [true, false, true]),
        (("Bash", json!({ "command": "rm -rf /" })), [true, false, false]),
        (("mcp__bot__it", json!({})), [true, true, true]),
        (("SomethingNew", json!({})), [true, false, false]),
    ];
    for ((tool, input), allowed) in table {
        for (ask, allowed) in [&free, &bound, &shut].into_iter().zip(allowed) {
            let sent =
                Talk::new(ask.with(Protocol::new)).hear(&asks(tool, &input).to_string()).send;
            let sent: Value = serde_json::from_str(&sent).unwrap();
            let response = &sent["response"];
            assert_eq!(
                (&response["subtype"], &response["request_id"]),
                (&"success".into(), &"r".into())
            );
            let verdict = if allowed { "allow" } else { "deny" };
            let sandbox = ask.access.sandbox;
            assert_eq!(response["response"]["behavior"], verdict, "{tool} {input} {sandbox:?}");
            if allowed {
                assert_eq!(response["response"]["updatedInput"], input);
            }
        }
    }
    let hook = json!({ "subtype": "hook_callback" });
    let hook = json!({ "type": "control_request", "request_id": "h", "request": hook });
    let sent: Value =
        serde_json::from_str(&Talk::new(free.with(Protocol::new)).hear(&hook.to_string()).send)
            .unwrap();
    assert_eq!(sent["response"]["subtype"], "error");
}
