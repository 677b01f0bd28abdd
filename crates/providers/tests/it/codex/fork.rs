//! A thread begun from within another: what is asked for, and what is taken for it.

use botpipe_kernel::run::FailureClass;
use botpipe_providers::codex::Protocol;
use botpipe_providers::{Codec as _, ProgramEnd, Report};
use serde_json::json;

use crate::asked::Ask;

/// What came of a turn from checkpoint `u-1` of thread `t-1`, when the new thread has these turns.
fn forked(turns: &[&str]) -> (String, Report) {
    let mut ask = Ask::new("go");
    (ask.session, ask.from) = (Some("t-1".to_owned()), Some("u-1".to_owned()));
    let mut codec = ask.with(Protocol::new);
    codec.open();
    let asked = codec.hear(r#"{"id":1,"result":{}}"#).send;
    let turns: Vec<_> = turns.iter().map(|id| json!({ "id": id })).collect();
    let reply = json!({ "id": 2, "result": { "thread": { "id": "t-2", "turns": turns } } });
    let next = codec.hear(&reply.to_string());
    if !next.finished {
        assert_eq!(next.session.as_deref(), Some("t-2"));
        codec.hear(r#"{"id":3,"result":{"turn":{"id":"u-9"}}}"#);
        let end = json!({ "method": "turn/completed", "params": {
            "threadId": "t-2", "turn": { "id": "u-9", "status": "completed", "items": [] } } });
        assert!(codec.hear(&end.to_string()).finished);
    }
    (asked, codec.close(&ProgramEnd::Exited(0), ""))
}

#[test]
fn a_thread_is_forked_after_its_checkpoint_and_tells_its_own() {
    let (asked, report) = forked(&["u-0", "u-1"]);
    assert!(asked.contains("thread/fork") && !asked.contains("thread/resume"), "{asked}");
    assert!(asked.contains(r#""lastTurnId":"u-1""#) && asked.contains(r#""threadId":"t-1""#));
    report.result.unwrap();
    assert_eq!(report.checkpoint.as_deref(), Some("u-9"));
    // One that does not list its turns is taken at its word.
    forked(&[]).1.result.unwrap();
}

#[test]
fn a_fork_that_remembers_more_is_not_gone_on_with() {
    let failure = forked(&["u-0", "u-1", "u-2"]).1.result.unwrap_err();
    assert_eq!(failure.class, FailureClass::SessionLost);
}
