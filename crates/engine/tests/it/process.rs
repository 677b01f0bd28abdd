//! One program run to its end: streams, clocks, the switch, and nothing left behind.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use botpipe_engine::process::{Clock, Ended, How, Reply, Spec, StopSwitch, Stream, Watch, run};
use botpipe_sandbox::{Containment, Identity, Launch, Liveness, is_alive};

const PROGRAM: &str = env!("CARGO_BIN_EXE_engine-test-program");
const SIGINT: i32 = 2;

/// A spec for a shell script, with no clocks.
fn script(script: &str) -> Spec {
    let launch = Launch {
        program: "/bin/sh".into(),
        args: vec!["-c".into(), script.into()],
        cwd: "/".into(),
        env: vec![("PATH".into(), "/usr/bin:/bin".into())],
        containment: Containment::Auto,
        stage1: Some(PROGRAM.into()),
        mark: None,
        confinement: None,
    };
    Spec { grace: Duration::from_secs(20), ..Spec::of(launch) }
}

/// What was seen of a program, and a line that throws the switch.
#[derive(Default)]
struct Seen {
    stage1: Option<Identity>,
    lines: Vec<(Stream, String)>,
    stop_at: Option<(&'static str, StopSwitch)>,
}

impl Watch for Seen {
    fn started(&mut self, stage1: &Identity) {
        assert!(self.lines.is_empty());
        assert!(self.stage1.replace(stage1.clone()).is_none());
    }

    fn line(&mut self, stream: Stream, line: &str) -> Reply {
        self.lines.push((stream, line.to_owned()));
        if let Some((at, switch)) = &self.stop_at
            && *at == line
        {
            switch.request(SIGINT);
        }
        Reply::default()
    }
}

fn see(spec: Spec) -> (Ended, Seen) {
    let mut seen = Seen::default();
    let ended = run(spec, &mut seen, &StopSwitch::new());
    (ended, seen)
}

/// Runs a script and throws the switch when it prints `ready`.
fn stop_when_ready(spec: Spec) -> (Ended, Seen) {
    let switch = StopSwitch::new();
    let mut seen = Seen { stop_at: Some(("ready", switch.clone())), ..Seen::default() };
    let ended = run(spec, &mut seen, &switch);
    (ended, seen)
}

#[test]
fn both_streams_and_the_code_arrive() {
    let (ended, seen) = see(script("echo out; echo err >&2; printf last; exit 3"));
    assert_eq!(ended.how, How::Exited(3));
    assert_eq!((ended.stdout.text.as_str(), ended.stdout.bytes), ("out\nlast", 8));
    assert_eq!(ended.stderr.text, "err\n");
    let of = |stream| seen.lines.iter().filter(move |l| l.0 == stream).map(|l| l.1.as_str());
    assert_eq!(of(Stream::Stdout).collect::<Vec<_>>(), ["out", "last"]);
    assert_eq!(of(Stream::Stderr).collect::<Vec<_>>(), ["err"]);
    // It has nothing left to do but to end, which nobody waits for.
    let stage1 = seen.stage1.unwrap();
    until("stage 1 has ended", || is_alive(&stage1) == Liveness::Dead);
}

#[test]
fn a_signal_from_elsewhere_is_told_from_a_code() {
    assert_eq!(see(script("kill -15 $$")).0.how, How::Signalled(15));
}

#[test]
fn a_line_of_three_megabytes_arrives_whole() {
    let (ended, seen) = see(script("head -c 3000000 /dev/zero | tr '\\0' x; echo; echo after"));
    let [(_, long), (_, after)] = &seen.lines[..] else { panic!("{} lines", seen.lines.len()) };
    assert_eq!((long.len(), after.as_str()), (3_000_000, "after"));
    assert_eq!(ended.stdout.bytes, 3_000_007);
    assert_eq!(ended.stdout.cut, 3_000_007 - (1 << 20));
    assert!(ended.stdout.text.contains("\n[1951431 bytes cut]\n"));
    assert!(ended.stdout.text.ends_with("x\nafter\n"));
}

#[test]
fn a_line_over_the_limit_is_cut_and_says_so() {
    let mut spec = script("echo 0123456789; echo next");
    spec.line_limit = 4;
    let (_, seen) = see(spec);
    let lines: Vec<&str> = seen.lines.iter().map(|l| l.1.as_str()).collect();
    assert_eq!(lines, ["0123 [line cut: 4 of 10 bytes]", "next"]);
}

#[test]
fn bytes_that_are_no_text_are_replaced() {
    let (ended, seen) = see(script("printf 'a\\377\\376b\\n\\303'"));
    let lines: Vec<&str> = seen.lines.iter().map(|l| l.1.as_str()).collect();
    assert_eq!(lines, ["a\u{fffd}\u{fffd}b", "\u{fffd}"]);
    assert_eq!(ended.stdout.text, "a\u{fffd}\u{fffd}b\n\u{fffd}");
}

#[test]
fn input_that_nobody_reads_holds_nothing_up() {
    let mut spec = script("echo done; exit 5");
    spec.stdin = vec![b'x'; 5_000_000];
    let (ended, _) = see(spec);
    assert_eq!((ended.how, ended.stdout.text.as_str()), (How::Exited(5), "done\n"));
}

#[test]
fn input_that_nobody_reads_does_not_keep_a_stop_waiting() {
    let mut spec = script("echo ready; exec sleep 60");
    spec.stdin = vec![b'x'; 5_000_000];
    assert_eq!(stop_when_ready(spec).0.how, How::Stopped { signal: SIGINT });
}

#[test]
fn input_and_output_flow_at_once() {
    let mut spec = script("exec cat");
    spec.stdin = b"0123456789abcde\n".repeat(5_000_000 / 16);
    let (ended, seen) = see(spec);
    assert_eq!((ended.how, ended.stdout.bytes), (How::Exited(0), 5_000_000));
    assert_eq!(seen.lines.len(), 5_000_000 / 16);
}

#[test]
fn a_program_that_is_not_there_is_no_exit_code() {
    let mut spec = script("");
    spec.launch.program = "/nonesuch/program".into();
    let (ended, seen) = see(spec);
    let what = "execute `/nonesuch/program`: No such file or directory (os error 2)".to_owned();
    assert_eq!(ended.how, How::SpawnFailed { what, errno: Some(2) });
    assert_eq!(seen.stage1, None);
    assert_eq!(ended.contained, None);
}

#[test]
fn the_wall_clock_ends_a_busy_program() {
    let mut spec = script("while :; do echo busy; sleep 0.01; done");
    let after = Duration::from_millis(200);
    spec.wall = Some(after);
    spec.idle = Some(Duration::from_secs(30));
    let (ended, _) = see(spec);
    assert_eq!(ended.how, How::TimedOut { clock: Clock::Wall, after });
}

#[test]
fn the_idle_clock_ends_a_silent_program() {
    let mut spec = script("echo once; exec sleep 60");
    let after = Duration::from_millis(100);
    spec.wall = Some(Duration::from_secs(30));
    spec.idle = Some(after);
    let (ended, _) = see(spec);
    assert_eq!(ended.how, How::TimedOut { clock: Clock::Idle, after });
}

#[test]
fn a_program_that_never_begins_to_answer_is_ended_and_one_that_did_may_be_slow() {
    let after = Duration::from_millis(300);
    let mut spec = script("echo starting >&2; exec sleep 60");
    (spec.opening, spec.wall) = (Some(after), Some(Duration::from_secs(30)));
    assert_eq!(see(spec).0.how, How::TimedOut { clock: Clock::Opening, after });
    let mut spec = script("echo ready; sleep 0.5");
    spec.opening = Some(after);
    assert_eq!(see(spec).0.how, How::Exited(0));
}

/// A line that only says that it waits, and then silence.
#[test]
fn one_notice_and_then_nothing_is_silence_and_notices_without_end_are_none() {
    let after = Duration::from_millis(600);
    for (rest, clock) in
        [("exec sleep 60", Clock::Idle), ("while :; do echo; sleep 0.05; done", Clock::Stall)]
    {
        let mut spec = script(&format!("sleep 0.05; echo; {rest}"));
        (spec.idle, spec.stall) = (Some(after), Some(after));
        let ended = run(spec, &mut Waiting, &StopSwitch::new());
        assert_eq!(ended.how, How::TimedOut { clock, after });
    }
}

/// Takes every line for a notice.
struct Waiting;

impl Watch for Waiting {
    fn started(&mut self, _: &Identity) {}

    fn line(&mut self, _: Stream, _: &str) -> Reply {
        Reply { waits: true, ..Reply::default() }
    }
}

#[test]
fn clocks_beyond_counting_never_run_out() {
    let mut spec = script("exit 1");
    (spec.wall, spec.idle, spec.grace) = (Some(Duration::MAX), Some(Duration::MAX), Duration::MAX);
    assert_eq!(see(spec).0.how, How::Exited(1));
}

#[test]
fn a_program_may_say_goodbye() {
    let spec = script("trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.01; done");
    let (ended, _) = stop_when_ready(spec);
    assert_eq!(ended.how, How::Stopped { signal: SIGINT });
    assert_eq!(ended.stdout.text, "ready\nbye\n");
}

#[test]
fn a_program_that_will_not_end_is_killed_with_all_it_started() {
    let stage = Stage::new();
    let mut spec = script(&stage.escape("trap '' TERM; echo ready; while :; do sleep 0.01; done"));
    spec.grace = Duration::from_millis(50);
    let (ended, _) = stop_when_ready(spec);
    assert_eq!(ended.how, How::Stopped { signal: SIGINT });
    assert_eq!((stage.marked(), ended.survivors), (vec![], 0));
}

/// Runs a program that is to be ended as soon as it is `ready`, and tells what it noted.
fn ended_in_words(mut spec: Spec, words: Option<&'static str>) -> String {
    spec.talks = words.is_some();
    let switch = StopSwitch::new();
    let seen = Seen { stop_at: Some(("ready", switch.clone())), ..Seen::default() };
    let ended = run(spec, &mut Polite { seen, words }, &switch);
    assert_eq!(ended.how, How::Stopped { signal: SIGINT });
    assert_eq!(ended.survivors, 0);
    ended.stdout.text
}

/// One that asks in words before anything else.
struct Polite {
    seen: Seen,
    words: Option<&'static str>,
}

impl Watch for Polite {
    fn started(&mut self, stage1: &Identity) {
        self.seen.started(stage1);
    }

    fn line(&mut self, stream: Stream, line: &str) -> Reply {
        self.seen.line(stream, line)
    }

    fn leave_off(&mut self) -> Option<Vec<u8>> {
        self.words.map(|words| words.as_bytes().to_vec())
    }
}

const MOMENT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_mins(1);

/// What comes next comes at once, and what comes after it never: no clock decides what is noted.
#[test]
fn the_words_come_first_then_sigint_then_sigterm_then_the_kill() {
    let loops = "echo ready; while :; do sleep 0.01; done";
    // It hears the words, and leaves off.
    let spec = script("echo ready; read words; echo $words; exit 0");
    let spec = Spec { leave_off: LONG, interrupt: Some(LONG), ..spec };
    assert_eq!(ended_in_words(spec, Some("leave off\n")), "ready\nleave off\n");
    // It reads what it was told only when the signal comes: the words were there before.
    let spec = script(&format!("trap 'read words; echo $words; echo INT; exit 0' INT; {loops}"));
    let spec = Spec { leave_off: MOMENT, interrupt: Some(LONG), ..spec };
    assert_eq!(ended_in_words(spec, Some("leave off\n")), "ready\nleave off\nINT\n");
    // The signal does not end it, the next one does.
    let traps = "trap 'echo INT' INT; trap 'echo TERM; exit 0' TERM";
    let spec = script(&format!("{traps}; {loops}"));
    let spec = Spec { interrupt: Some(MOMENT), grace: LONG, ..spec };
    assert_eq!(ended_in_words(spec, None), "ready\nINT\nTERM\n");
    // Nothing ends it but the kill, which takes along what it started.
    let stage = Stage::new();
    let spec = script(&stage.escape(&format!("trap '' INT TERM; {loops}")));
    let spec = Spec { interrupt: Some(MOMENT), grace: MOMENT, ..spec };
    ended_in_words(spec, None);
    assert_eq!(stage.marked(), Vec::<u32>::new());
}

#[test]
fn a_program_that_is_to_have_no_sigint_gets_sigterm_first() {
    let loops = "echo ready; while :; do sleep 0.01; done";
    let traps = "trap 'echo INT' INT; trap 'echo TERM; exit 0' TERM";
    assert_eq!(ended_in_words(script(&format!("{traps}; {loops}")), None), "ready\nTERM\n");
}

/// Whoever has said that it has finished is not interrupted, but asked to end.
#[test]
fn a_program_that_has_finished_gets_no_sigint() {
    struct Satisfied(Seen);
    impl Watch for Satisfied {
        fn started(&mut self, stage1: &Identity) {
            self.0.started(stage1);
        }

        fn line(&mut self, stream: Stream, line: &str) -> Reply {
            self.0.line(stream, line);
            Reply { finished: line == "ready", ..Reply::default() }
        }
    }
    let loops = "echo ready; while :; do sleep 0.01; done";
    let spec = script(&format!("trap 'echo INT' INT; trap 'echo TERM; exit 0' TERM; {loops}"));
    let spec = Spec { interrupt: Some(LONG), linger: MOMENT, talks: true, ..spec };
    let ended = run(spec, &mut Satisfied(Seen::default()), &StopSwitch::new());
    assert_eq!((ended.how, ended.stdout.text.as_str()), (How::Dismissed, "ready\nTERM\n"));
}

#[test]
fn a_thrown_switch_starts_nothing() {
    let stage = Stage::new();
    let switch = StopSwitch::new();
    switch.request(SIGINT);
    let mut seen = Seen::default();
    let ended = run(script(&format!("touch {}", stage.beats())), &mut seen, &switch);
    assert_eq!(ended.how, How::Stopped { signal: SIGINT });
    assert_eq!(seen.stage1, None);
    assert!(!PathBuf::from(stage.beats()).exists());
}

#[test]
fn a_switch_thrown_elsewhere_wakes_a_silent_run() {
    let switch = StopSwitch::new();
    let thrower = switch.clone();
    let other = std::thread::spawn(move || {
        // Whether it comes before or during the run, the end is the same.
        thrower.request(15);
        thrower.request(SIGINT);
    });
    let mut seen = Seen::default();
    let ended = run(script("exec sleep 60"), &mut seen, &switch);
    other.join().unwrap();
    assert_eq!(ended.how, How::Stopped { signal: 15 });
    assert_eq!(switch.wait(Duration::MAX), Some(15));
}

#[test]
fn a_switch_that_nobody_throws_is_waited_for_in_vain() {
    assert_eq!(StopSwitch::new().wait(Duration::from_millis(1)), None);
}

#[test]
fn an_escaped_process_ends_with_the_program_and_is_counted() {
    for containment in [Containment::Namespace, Containment::Subreaper] {
        let stage = Stage::new();
        let mut spec = script(&stage.escape("exit 7"));
        spec.launch.containment = containment;
        let (ended, _) = see(spec);
        assert_eq!((ended.how, ended.leftover, ended.survivors), (How::Exited(7), 1, 0));
        assert_eq!(stage.marked(), Vec::<u32>::new());
    }
}

#[test]
fn a_descendant_that_keeps_the_output_open_does_not_hold_up_the_end() {
    let (ended, _) = see(script("setsid sleep 60 & echo said; exit 0"));
    assert_eq!((ended.how, ended.leftover), (How::Exited(0), 1));
    assert_eq!(ended.stdout.text, "said\n");
}

#[test]
fn programs_in_flight_are_counted() {
    let output = Command::new(PROGRAM).args(["supervise", "/bin/echo", "hello"]).output().unwrap();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "in flight before 0\nin flight now 1\nStdout hello\nin flight after 0\nExited(0) leftover 0\n"
    );
}

#[test]
fn everything_ends_when_the_supervisor_is_killed() {
    let stage = Stage::new();
    let script = stage.escape("exec sleep 60");
    let mut parent = Command::new(PROGRAM)
        .args(["supervise", "/bin/sh", "-c", &script])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    until("the escaped process writes", || {
        fs::metadata(stage.beats()).is_ok_and(|m| m.len() > 0) && stage.marked().len() >= 2
    });
    parent.kill().unwrap(); // SIGKILL
    parent.wait().unwrap();
    until("nothing is left", || stage.marked().is_empty());
}

/// A folder, and a marker that no other process carries.
struct Stage {
    folder: PathBuf,
    marker: String,
}

impl Stage {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let marker = format!("engine-process-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(&marker);
        fs::create_dir(&folder).unwrap();
        Self { folder, marker }
    }

    /// The file the escaped process writes to.
    fn beats(&self) -> String {
        self.folder.join("beats").display().to_string()
    }

    /// A script that leaves a process behind which has left its session, holds no descriptors and is
    /// nobody's child; waits until that one writes; then does `then`.
    fn escape(&self, then: &str) -> String {
        let (beats, marker) = (self.beats(), &self.marker);
        format!(
            "(setsid {PROGRAM} beat {beats} {marker} <&- >&- 2>&- &)\n\
             while ! [ -s {beats} ]; do :; done\n{then}"
        )
    }

    /// Processes that carry the marker in their arguments, as `/proc` shows them.
    fn marked(&self) -> Vec<u32> {
        let marked = |entry: fs::DirEntry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let line = fs::read(entry.path().join("cmdline")).ok()?;
            String::from_utf8_lossy(&line).contains(&self.marker).then_some(pid)
        };
        fs::read_dir("/proc").unwrap().flatten().filter_map(marked).collect()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.folder));
    }
}

/// Waits for something that must come true; half a minute is forever.
fn until(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(30), "never came true: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
