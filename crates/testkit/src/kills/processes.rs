//! Who is alive, as the system's process table has it.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::agent::ESCAPEE;

/// A process that has to do with a ground: its command line, its environment or its current folder
/// names it.
#[derive(Debug, Clone)]
pub struct Process {
    pub pid: Pid,
    /// The command line, words joined by spaces.
    pub line: String,
}

/// The processes of a ground, but for this one.
pub fn of(ground: &Path) -> Vec<Process> {
    let mark = ground.as_os_str().as_bytes();
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let own = std::process::id().to_string();
    let pids = entries.flatten().filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        (name != own).then(|| name.parse().ok()).flatten()
    });
    pids.filter_map(|pid: i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let inside =
            || fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|it| it.starts_with(ground));
        let names = |bytes: &[u8]| bytes.windows(mark.len()).any(|part| part == mark);
        let environment =
            || fs::read(format!("/proc/{pid}/environ")).is_ok_and(|bytes| names(&bytes));
        let named = names(&line) || environment();
        let line = String::from_utf8_lossy(&line).replace('\0', " ").trim_end().to_owned();
        // An empty line is a zombie's: nothing of it runs.
        (!line.is_empty() && (named || inside())).then(|| Process { pid: Pid::from_raw(pid), line })
    })
    .collect()
}

/// The agents among them: not those who try to get away.
pub fn agents(ground: &Path) -> Vec<Process> {
    let mut found = of(ground);
    found.retain(|it| {
        let mut words = it.line.split(' ');
        words.next().is_some_and(|program| program.ends_with("fake-agent"))
            && words.next() != Some(ESCAPEE)
    });
    found
}

/// Waits until none is left; those that stay.
pub fn left(ground: &Path, patience: Duration) -> Vec<Process> {
    let until = Instant::now() + patience;
    loop {
        let found = of(ground);
        if found.is_empty() || Instant::now() >= until {
            return found;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// SIGKILL to each.
pub fn strike(processes: &[Process]) {
    for process in processes {
        // Gone already is as good.
        let _ = kill(process.pid, Signal::SIGKILL);
    }
}
