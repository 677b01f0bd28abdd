//! A scratch workspace, and the built binary run in it.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use botpipe_testkit::kills::processes;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;
use tempfile::TempDir;

/// A scratch workspace.
pub(crate) struct Place {
    folder: TempDir,
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// With a workflow file in `workflows/`.
    pub(crate) fn with(name: &str, text: &str) -> Self {
        let place = Self::new();
        place.write(&format!("workflows/{name}.sop.yaml"), text);
        place
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, relative: &str, text: &str) -> PathBuf {
        let path = self.path().join(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// The binary with these arguments, standing in the workspace.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_botpipe"));
        command.args(args).current_dir(self.path()).stdin(Stdio::null()).env("NO_COLOR", "1");
        without_settings(&mut command);
        // Nobody's settings but those that a test makes.
        command.env("XDG_CONFIG_HOME", self.path().join(".nobody"));
        command
    }

    /// Runs it to its end.
    pub(crate) fn say(&self, args: &[&str]) -> Said {
        said(&self.command(args).output().unwrap())
    }

    /// `run hello` of task `t1` with a shell script as the agent, which goes on.
    pub(crate) fn begin(&self, agent: &str) -> Child {
        let args = ["run", "hello", "x", "--task", "t1", "--provider", "command", "--", "sh", "-c"];
        let mut run = self.command(&[&args[..], &[agent]].concat());
        run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// `run` with a shell script as the agent.
    pub(crate) fn run(&self, reference: &str, agent: &str, more: &[&str]) -> Said {
        let mut args = vec!["run", reference, "say hello", "--task", "t1", "--provider", "command"];
        args.extend(more);
        args.extend(["--", "sh", "-c", agent]);
        self.say(&args)
    }
}

/// Without what the environment of whoever runs the tests says of settings.
pub(crate) fn without_settings(command: &mut Command) {
    for name in ["PROVIDER", "MODEL", "MODEL_EFFORT", "BASE_URL"] {
        command.env_remove(format!("BOTPIPE_{name}"));
    }
    command.env_remove("XDG_CONFIG_HOME");
    // Programs of tests keep their records beside the workspace.
    let beside = [std::env::temp_dir(), env!("CARGO_TARGET_TMPDIR").into()];
    command.env("BOTPIPE_ALLOW_WRITE", std::env::join_paths(beside).unwrap());
    // Scenarios play others beside them, wherever the project lies: a home is not seen.
    command.env("BOTPIPE_ALLOW_READ", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/harness"));
}

pub(crate) fn said(output: &Output) -> Said {
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout.clone()).unwrap(),
        err: String::from_utf8(output.stderr.clone()).unwrap(),
    }
}

impl Said {
    /// The one JSON document on standard output.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Fails with everything that was said unless the code is this one.
    #[track_caller]
    pub(crate) fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }
}

/// Waits until a running command has left this file.
#[track_caller]
pub(crate) fn has_begun(run: &mut Child, begun: &Path) {
    let until = Instant::now() + Duration::from_mins(2);
    while !begun.exists() {
        assert!(Instant::now() < until, "the turn never came");
        assert!(run.try_wait().unwrap().is_none(), "the run ended before the turn came");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Kills a running command once it has left this file; nothing is left of it in the folder then.
#[track_caller]
pub(crate) fn kill_once(mut run: Child, begun: &Path, folder: &Path) {
    has_begun(&mut run, begun);
    run.kill().unwrap();
    run.wait().unwrap();
    let left = processes::left(folder, Duration::from_secs(10));
    assert!(left.is_empty(), "{left:?}");
}

/// A terminal that nobody has for their own yet: our end, and the path of theirs.
pub(crate) fn terminal() -> (OwnedFd, String) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let ours = openpt(flags).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let theirs = ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
    (ours, theirs)
}

/// The command as it is typed at that terminal: in a session of its own, which has it.
pub(crate) fn at_terminal(command: &Command, terminal: &str) -> Command {
    let open = || fs::OpenOptions::new().read(true).write(true).open(terminal).unwrap();
    let mut there = Command::new("setsid");
    there.args(["--ctty", "--wait"]).arg(command.get_program()).args(command.get_args());
    there.current_dir(command.get_current_dir().unwrap());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => there.env(name, value),
            None => there.env_remove(name),
        };
    }
    there.stdin(open()).stdout(open()).stderr(open());
    there
}

/// Waits until a file is there, as long as the run that makes it goes on.
#[track_caller]
pub(crate) fn wait_for(what: &str, path: &Path, run: &mut Child) {
    until(what, || {
        assert!(path.exists() || run.try_wait().unwrap().is_none(), "it ended before {what}");
        path.exists()
    });
}

/// Waits until something can be seen.
#[track_caller]
pub(crate) fn until(what: &str, mut seen: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_mins(1);
    while !seen() {
        assert!(Instant::now() < end, "{what} never came");
        thread::sleep(Duration::from_millis(10));
    }
}

/// All files below a folder but for those of `skip`, by relative path.
pub(crate) fn tree(root: &Path, skip: &[&str]) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let relative = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            if skip.contains(&relative.as_str()) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push((relative, fs::read(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

/// One prompt; the agent's answer picks how the run ends.
pub(crate) const HELLO: &str = "\
sop: 1
name: hello
title: Say hello
aliases: [hi]
input:
  request: { type: string }
steps:
  - id: greet
    prompt: \"Greet as asked: {{ input.request }}\"
    routes:
      done: FINISH
      again: SELF
      refused: FAIL
      ask: AWAIT_INPUT
";

/// An agent that answers with a tag.
pub(crate) fn answers(tag: &str) -> String {
    format!(r#"cat > /dev/null; echo '{{"outcome": {{"tag": "{tag}"}}}}'"#)
}
