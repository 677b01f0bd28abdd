//! Limits of a policy, each gone beyond by a script, by an agent and by a command in the sandbox.

use crate::place::{Place, Said};

/// A limit, and a program of the shell's that goes beyond it.
const BEYOND: [(&str, &str, &str); 6] = [
    ("wall: 1s", "sleep 30", "was still running after 1s"),
    (
        "cpu: 500ms",
        "(while :; do :; done) & (while :; do :; done) & wait",
        "more than 500ms of the",
    ),
    (
        "memory: 64MiB",
        "f() { head -c 40000000 /dev/zero | sort -z --buffer-size=40M | sleep 30; }; f & f & f & wait",
        "took more than 64MiB of memory",
    ),
    (
        "file_size: 1MiB",
        "head -c 2000000 /dev/zero > big; exit $?",
        "wrote a file of more than 1MiB",
    ),
    ("output: 1MiB", "yes; sleep 30", "printed more than 1MiB"),
    ("processes: 9", "for i in $(seq 30); do sleep 30 & done; wait", "had more than 9 processes"),
];

/// For whoever is not root the kernel itself refuses one more process.
fn told(said: &Said, what: &str, limit: &str) {
    let key = limit.split(':').next().unwrap();
    if key == "processes" && !rustix::process::geteuid().is_root() {
        return;
    }
    assert!(said.err.contains(what), "{limit}: {}", said.err);
    assert!(said.err.contains(&format!("a larger `limits.{key}`")), "{limit}: {}", said.err);
}

#[test]
fn a_script_beyond_a_limit_ends_the_run_with_its_name() {
    for (limit, program, what) in BEYOND {
        let text = format!(
            "sop: 1\nname: hello\nsteps:\n  - id: do\n    limits: {{ {limit} }}\n    \
             retry: {{ max_attempts: 1 }}\n    run: |\n      {program}\n"
        );
        let place = Place::with("hello", &text);
        let said = place.run("hello", "true", &[]);
        assert_ne!(said.code, 0, "{limit}: {}", said.out);
        told(&said, what, limit);
    }
}

#[test]
fn an_agent_beyond_a_limit_of_the_workflow_fails_its_turn() {
    for (limit, program, what) in BEYOND {
        let text = format!(
            "sop: 1\nname: hello\nlimits: {{ {limit} }}\nsteps:\n  - id: do\n    \
             retry: {{ max_attempts: 1 }}\n    prompt: Do it.\n"
        );
        let place = Place::with("hello", &text);
        let said = place.run("hello", &format!("cat > /dev/null; {program}"), &[]);
        assert_eq!(said.code, 1, "{limit}: {}", said.err);
        told(&said, what, limit);
    }
}

#[test]
fn a_check_beyond_a_limit_fails_and_its_producer_is_told() {
    let text = "\
sop: 1
name: hello
limits: { wall: 2s }
steps:
  - id: do
    max_visits: 2
    produce: Make it.
    checks: [slow: { run: sleep 30 }]
    verify: Judge it.
    routes: { accepted: { to: FINISH, required_checks: [slow] }, needs_rework: SELF }
";
    let place = Place::with("hello", text);
    let agent = r#"cat > asked; echo '{"outcome": {"tag": "needs_rework"}}'"#;
    let said = place.run("hello", agent, &[]);
    assert_ne!(said.code, 0, "{}", said.err);
    let asked = std::fs::read_to_string(place.path().join("asked")).unwrap();
    assert!(asked.contains("was still running after 2s and was ended"), "{asked}");
}

#[test]
fn a_command_in_the_sandbox_beyond_a_limit_ends_with_124() {
    for (limit, program, what) in BEYOND {
        let place = Place::new();
        place.write("policy.yaml", &format!("limits: {{ {limit} }}\n"));
        let said = place.say(&["sandbox", "--policy", "policy.yaml", "--", "sh", "-c", program]);
        if !limit.starts_with("processes") || rustix::process::geteuid().is_root() {
            assert_eq!(said.code, 124, "{limit}: {}", said.err);
        }
        told(&said, what, limit);
    }
}

#[test]
fn what_keeps_within_its_limits_is_not_held_up() {
    let limits = "wall: 30s, cpu: 20s, memory: 2GiB, file_size: 2MiB, output: 1MiB, processes: 40";
    let text = format!(
        "sop: 1\nname: hello\nsteps:\n  - id: do\n    limits: {{ {limits} }}\n    run: |\n      \
         head -c 1000000 /dev/zero > big; seq 1000; echo well > made\n"
    );
    let place = Place::with("hello", &text);
    place.run("hello", "true", &[]).ends(0);
    assert!(place.path().join("made").exists());
}

/// No provider is at fault, and a second time would end as the first: the command has failed, by itself.
#[test]
fn a_script_beyond_a_limit_is_not_run_again_and_takes_its_route() {
    for (limit, program, what) in BEYOND {
        let text = format!(
            "sop: 1\nname: hello\nsteps:\n  - id: do\n    limits: {{ {limit} }}\n    run: |\n      \
             echo once >> times\n      {program}\n    routes: {{ done: FAIL, failed: FINISH }}\n"
        );
        let place = Place::with("hello", &text);
        let said = place.run("hello", "true", &[]).ends(0);
        let times = std::fs::read_to_string(place.path().join("times")).unwrap();
        assert_eq!(times, "once\n", "{limit}: {}", said.err);
        let place = Place::with("hello", &text.replace("failed: FINISH", "late: FINISH"));
        let said = place.run("hello", "true", &[]);
        assert_ne!(said.code, 0, "{limit}: {}", said.out);
        told(&said, what, limit);
        assert!(!said.err.contains("provider:"), "{limit}: {}", said.err);
    }
}

/// What was ended before it had judged found nothing invalid.
#[test]
fn a_validator_beyond_a_limit_judges_nothing() {
    let text = "\
sop: 1
name: hello
steps:
  - id: do
    run: 'mkdir -p $(dirname {{ artifacts.made }}); echo x > {{ artifacts.made }}; echo once >> times'
    writes: [made: { text: made.txt, required: true }]
  - id: look
    limits: { wall: 1s }
    validate: { run: sleep 30 }
    validates: made
    feedback: { problems: { md: problems.md } }
";
    let place = Place::with("hello", text);
    let said = place.run("hello", "true", &[]);
    assert_ne!(said.code, 0, "{}", said.out);
    assert!(said.err.contains("step `look` judged nothing"), "{}", said.err);
    told(&said, "was still running after 1s", "wall: 1s");
    let times = std::fs::read_to_string(place.path().join("times")).unwrap();
    assert_eq!(times, "once\n", "{}", said.err);
}

/// A limit, and a program of Python's that goes beyond it where the kernel adds nothing up.
const UNSEEN: [(&str, &str); 4] = [
    (
        "memory: 64MiB",
        "import os, time
fd = os.memfd_create('x')
for _ in range(160): os.write(fd, b'x' * (1 << 20))
time.sleep(30)",
    ),
    (
        "memory: 64MiB",
        "import ctypes, time
c = ctypes.CDLL(None); c.shmat.restype = ctypes.c_void_p
c.shmat.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]; c.shmdt.argtypes = [ctypes.c_void_p]
for _ in range(8):
    at = c.shmat(c.shmget(0, 20 << 20, 0o1600), None, 0); ctypes.memset(at, 1, 20 << 20); c.shmdt(at)
time.sleep(30)",
    ),
    // As one that ignores the end of its children, each of which is there between two looks.
    (
        "cpu: 1s",
        "import os, signal, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
end = time.time() + 30
while time.time() < end:
    child = os.fork()
    if child == 0:
        until = time.process_time() + 0.008
        while time.process_time() < until: pass
        os._exit(0)
    try: os.waitpid(child, 0)
    except ChildProcessError: pass",
    ),
    // Mappings of a file, so many that adding up takes long, and then memory of its own.
    (
        "memory: 200MiB",
        "import mmap, os, time
with open('many', 'wb+') as file:
    file.truncate(4096 * 30000)
    kept = [mmap.mmap(file.fileno(), 4096, offset=4096 * i) for i in range(0, 30000, 2)]
    for it in kept: it[0]
    for _ in range(40):
        if os.fork() == 0: time.sleep(40); os._exit(0)
    time.sleep(1)
    for _ in range(4):
        if os.fork() == 0: held = b'x' * (90 << 20); time.sleep(40); os._exit(0)
    time.sleep(40)",
    ),
];

#[test]
fn what_nobody_maps_or_waits_for_is_counted() {
    if !std::path::Path::new("/usr/bin/python3").exists() {
        return;
    }
    for (limit, program) in UNSEEN {
        let place = Place::new();
        place.write("policy.yaml", &format!("limits: {{ {limit} }}\n"));
        let began = std::time::Instant::now();
        let python = ["--", "/usr/bin/python3", "-c", program];
        let said = place.say(&[&["sandbox", "--policy", "policy.yaml"], &python[..]].concat());
        assert_eq!(said.code, 124, "{limit}, after {:?}: {}", began.elapsed(), said.err);
        assert!(
            said.err.contains(&format!("a larger `limits.{}`", &limit[..limit.find(':').unwrap()]))
        );
    }
}
