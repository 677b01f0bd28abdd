//! The double of the engine's behaviour tests: stage 1 for their launches, a process that will not
//! go away, and a supervising parent that can be killed.
#![expect(clippy::print_stdout, clippy::expect_used, reason = "what it prints is what tests read")]

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write;
use std::time::{Duration, Instant};

use botpipe_engine::process::{self, Reply, Spec, StopSwitch, Stream, Watch};
use botpipe_sandbox::{Containment, Identity, Launch};

fn main() {
    botpipe_sandbox::enter_if_stage1();
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    match args.first().and_then(|a| a.to_str()) {
        Some("beat") => beat(args.get(1).expect("a file")),
        Some("supervise") => supervise(&args[1..]),
        other => println!("no such part to play: {other:?}"),
    }
}

/// `beat <file> …`: writes to the file again and again, for a minute at most.
fn beat(file: &OsString) {
    let start = Instant::now();
    while start.elapsed() < Duration::from_mins(1) {
        let mut file = OpenOptions::new().create(true).append(true).open(file).expect("the file");
        file.write_all(b"x").expect("a beat");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// `supervise <program> <args>…`: runs a program and prints what happens.
fn supervise(command: &[OsString]) {
    let launch = Launch {
        program: command.first().expect("a program").into(),
        args: command[1..].to_vec(),
        cwd: "/".into(),
        env: vec![("PATH".into(), "/usr/bin:/bin".into())],
        containment: Containment::Auto,
        stage1: None,
        mark: None,
        confinement: None,
    };
    let spec = Spec { grace: Duration::from_secs(1), ..Spec::of(launch) };
    println!("in flight before {}", process::in_flight());
    let ended = process::run(spec, &mut Printed, &StopSwitch::new());
    println!("in flight after {}", process::in_flight());
    println!("{:?} leftover {}", ended.how, ended.leftover);
}

struct Printed;

impl Watch for Printed {
    fn started(&mut self, _stage1: &Identity) {
        println!("in flight now {}", process::in_flight());
    }

    fn line(&mut self, stream: Stream, line: &str) -> Reply {
        println!("{stream:?} {line}");
        Reply::default()
    }
}
