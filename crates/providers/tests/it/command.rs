//! What the end of a program means for its turn.

use std::time::Duration;

use botpipe_kernel::run::FailureClass;
use botpipe_providers::{Clock, ProgramEnd, result_of};

/// The class and the message of an end.
fn failure(end: &ProgramEnd, stderr: &str) -> (FailureClass, String) {
    result_of("agent", end, stderr).unwrap_err()
}

#[test]
fn only_exit_code_0_is_an_answer() {
    assert_eq!(result_of("agent", &ProgramEnd::Exited(0), "noise on stderr"), Ok(()));
    for code in [1, 2, 125, 137, 255] {
        let (class, message) = failure(&ProgramEnd::Exited(code), "");
        assert_eq!(class, FailureClass::Crashed);
        assert_eq!(message, format!("`agent` ended with exit code {code}"));
    }
}

#[test]
fn each_end_has_its_class_and_says_what_happened() {
    let after = Duration::from_secs(90);
    let not_started = ProgramEnd::NotStarted { what: "no such file".to_owned() };
    let cases = [
        (ProgramEnd::Signalled(9), FailureClass::Crashed, "`agent` was ended by signal 9"),
        (not_started, FailureClass::Spawn, "`agent` could not be started: no such file"),
        (
            ProgramEnd::TimedOut { clock: Clock::Wall, after },
            FailureClass::WallTimeout,
            "`agent` was still running after 90s (its `timeout`) and was ended",
        ),
        (
            ProgramEnd::TimedOut { clock: Clock::Opening, after },
            FailureClass::IdleTimeout,
            "`agent` was started and did not answer within 90s, so it was ended; run it by hand to see \
             what it waits for",
        ),
        (
            ProgramEnd::TimedOut { clock: Clock::Idle, after },
            FailureClass::IdleTimeout,
            "`agent` said nothing for 90s (its `idle_timeout`) and was ended",
        ),
    ];
    for (end, class, message) in cases {
        assert_eq!(failure(&end, ""), (class, message.to_owned()));
    }
}

#[test]
fn the_last_lines_of_stderr_are_quoted_and_empty_ones_are_not() {
    let stderr = (1..=14).map(|n| format!("line {n}\n\n")).collect::<Vec<_>>().concat();
    let (_, message) = failure(&ProgramEnd::Exited(1), &stderr);
    let quoted: Vec<&str> = message.lines().collect();
    assert_eq!(quoted.len(), 10);
    assert_eq!(quoted[0], "`agent` ended with exit code 1: line 5");
    assert_eq!(quoted[9], "line 14");
    let (_, message) = failure(&ProgramEnd::Exited(1), " \n\t\n");
    assert_eq!(message, "`agent` ended with exit code 1");
}

#[test]
fn colours_are_not_quoted() {
    let stderr = "\u{1b}[2mnow\u{1b}[0m \u{1b}[1;31mERROR\u{1b}[0m: no \u{1b}[";
    let (_, message) = result_of("agent", &ProgramEnd::Exited(1), stderr).unwrap_err();
    assert_eq!(message, "`agent` ended with exit code 1: now ERROR: no ");
}
