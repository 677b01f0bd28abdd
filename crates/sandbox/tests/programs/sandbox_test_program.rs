//! The double of the behaviour tests: a parent that contains an agent and can be killed, a process
//! that will not go away, and an agent that tells what it was given.
#![expect(clippy::print_stdout, clippy::expect_used, reason = "what it prints is what tests read")]

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use botpipe_sandbox::{Containment, Launch};

fn main() {
    botpipe_sandbox::enter_if_stage1();
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let word = |n: usize| args.get(n).and_then(|a| a.to_str()).unwrap_or_default();
    match word(0) {
        "contain" => contain(word(1), word(2), Path::new(word(3)), &args[4..]),
        "mounts" => mounts(word(1)),
        "several" => several(word(1), word(2).parse().expect("a count"), &args[3..]),
        "no-handles" => {
            refuse_handles();
            contain(word(1), word(2), Path::new(word(3)), &args[4..]);
        }
        "beat" => beat(Path::new(word(1))),
        "show" => show(),
        "measure" => measure(word(1).parse().expect("a count")),
        other => println!("no such part to play: `{other}`"),
    }
}

/// `contain <containment> <end> <ready> <program> <args>…`: contains a program, waits for the file
/// `ready` where the end is not its own, ends it, and prints what contained it and how it ended.
fn contain(containment: &str, end: &str, ready: &Path, command: &[OsString]) {
    let launch = launch(containment, command);
    let mut contained = match launch.start() {
        Ok(contained) => contained,
        Err(error) => return println!("error {error} | {:?}", error.errno()),
    };
    println!("used {:?}", contained.used());
    drop(contained.take_stdin());
    let stdout = contained.take_stdout().map(|mut out| {
        std::thread::spawn(move || {
            let mut text = String::new();
            out.read_to_string(&mut text).map(|_| text)
        })
    });
    if end != "wait" {
        until(|| ready.exists());
    }
    match end {
        "kill" => contained.kill(),
        "interrupt" => contained.interrupt(),
        "terminate" => contained.terminate(),
        "abandon" => {
            // Stage 1 cannot answer any more.
            let pid = contained.pid().to_string();
            assert!(Command::new("kill").args(["-STOP", &pid]).status().is_ok_and(|s| s.success()));
            contained.kill();
            contained.abandon();
        }
        "drop" => return drop(contained),
        _ => {}
    }
    println!("end {:?}", contained.wait());
    if let Some(Ok(Ok(text))) = stdout.map(std::thread::JoinHandle::join) {
        print!("{text}");
    }
}

/// `mounts <folder>`: looks into a folder from a launch, mounts another over it, makes a file there,
/// and looks again. The init of the second launch is forked long before.
fn mounts(folder: &str) {
    let look = || {
        let mut shown =
            launch("namespace", &["ls".into(), folder.into()]).start().expect("a start");
        let mut text = String::new();
        shown.take_stdout().expect("output").read_to_string(&mut text).expect("text");
        println!("{:?} {}", shown.wait().how, text.trim());
    };
    look();
    let mount = Command::new("mount").args(["-t", "tmpfs", "none", folder]).status();
    assert!(mount.is_ok_and(|status| status.success()));
    fs::write(Path::new(folder).join("mounted"), "").expect("a file");
    look();
}

/// `several <containment> <count> <program> <args>…`: contains so many at once, from a thread each,
/// with its number as a last argument, and prints how each ended.
fn several(containment: &str, count: usize, command: &[OsString]) {
    std::thread::scope(|scope| {
        for number in 0..count {
            scope.spawn(move || {
                let mut launch = launch(containment, command);
                launch.args.push(number.to_string().into());
                println!("end {:?}", launch.start().expect("a start").wait());
            });
        }
    });
}

/// Plays a kernel without handles on processes, for this process and all it starts.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "a system call filter has no safe form")]
fn refuse_handles() {
    let step = |code: u32, jf, k| libc::sock_filter {
        code: u16::try_from(code).expect("a code"),
        jt: 0,
        jf,
        k,
    };
    let refusal = libc::SECCOMP_RET_ERRNO | u32::try_from(libc::ENOSYS).expect("a number");
    let number = u32::try_from(libc::SYS_pidfd_open).expect("a number");
    let mut filter = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0), // the call's number
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, number),
        step(libc::BPF_RET | libc::BPF_K, 0, refusal),
        step(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: 4, filter: filter.as_mut_ptr() };
    // SAFETY: `program` points to four steps that outlive the call; the first call takes numbers.
    let set = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) == 0
    };
    assert!(set, "no filter: {}", std::io::Error::last_os_error());
}

/// There are none elsewhere.
#[cfg(not(target_os = "linux"))]
fn refuse_handles() {}

fn launch(containment: &str, command: &[OsString]) -> Launch {
    let containment = match containment {
        "namespace" => Containment::Namespace,
        "subreaper" => Containment::Subreaper,
        _ => Containment::Auto,
    };
    Launch {
        program: command.first().expect("a program").into(),
        args: command[1..].to_vec(),
        cwd: "/".into(),
        env: vec![("PATH".into(), "/usr/bin:/bin".into()), ("GIVEN".into(), "this".into())],
        containment,
        stage1: None,
        mark: None,
        confinement: None,
    }
}

/// `beat <file> …`: writes to the file again and again, for a minute at most.
fn beat(file: &Path) {
    let start = Instant::now();
    while start.elapsed() < Duration::from_mins(1) {
        let mut file = OpenOptions::new().create(true).append(true).open(file).expect("the file");
        file.write_all(b"x").expect("a beat");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// `show`: prints environment, descriptors, signals, session, and the environment of pid 1.
fn show() {
    for (name, value) in std::env::vars() {
        println!("env {name}={value}");
    }
    let listed = fs::read_dir("/proc/self/fd").expect("own descriptors");
    for entry in listed.flatten() {
        let target = fs::read_link(entry.path()).unwrap_or_default();
        // The one of this very listing is gone by now, or shows the listed directory.
        if !target.as_os_str().is_empty() && !target.ends_with("fd") {
            println!("fd {} {}", entry.file_name().display(), target.display());
        }
    }
    let status = fs::read_to_string("/proc/self/status").expect("own status");
    for line in status.lines().filter(|l| l.starts_with("Sig") || l.starts_with("Shd")) {
        println!("{line}");
    }
    let stat = fs::read_to_string("/proc/self/stat").expect("own stat");
    let fields: Vec<&str> = stat.split_whitespace().collect();
    println!("pid {} group {} session {}", fields[0], fields[4], fields[5]);
    println!("pid 1 environ {:?}", fs::read("/proc/1/environ").map(|e| e.len()));
    println!("pid 1 cmdline {:?}", fs::read_to_string("/proc/1/cmdline"));
}

/// `measure <count>`: prints the median start-to-end time of `sh -c true`, plain and contained.
fn measure(count: usize) {
    let median = |run: &dyn Fn()| {
        let mut times: Vec<Duration> = (0..count)
            .map(|_| {
                let start = Instant::now();
                run();
                start.elapsed()
            })
            .collect();
        times.sort();
        times[count / 2]
    };
    let plain = || drop(Command::new("/bin/sh").args(["-c", "true"]).status());
    println!("plain {:?}", median(&plain));
    for containment in ["namespace", "subreaper"] {
        let launch = launch(containment, &["/bin/sh".into(), "-c".into(), "true".into()]);
        let whole = || {
            launch.start().expect("a start").wait();
        };
        println!("{containment} {:?}", median(&whole));
    }
    println!("plain again {:?}", median(&plain));
}

fn until(done: impl Fn() -> bool) {
    while !done() {
        std::thread::sleep(Duration::from_millis(1));
    }
}
