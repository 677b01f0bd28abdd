//! A program that a person works with at the terminal: it has our streams, and is waited for.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use std::time::Duration;

use botpipe_sandbox::{Launch, hang_up_with_us, with_usual_open_files};
use rustix::process::{Pid, Signal, kill_process};

use super::StopSwitch;

/// Runs it to its end; its exit code, and 128 and the signal that ended it. The switch ends it.
///
/// It is not contained, since it shares the terminal with us; it ends when we do.
///
/// # Errors
/// It cannot be started or waited for.
pub(crate) fn run(launch: &Launch, stop: &StopSwitch) -> io::Result<i32> {
    let mut command = Command::new(&launch.program);
    command.args(&launch.args).current_dir(&launch.cwd);
    command.env_clear().envs(launch.env.iter().map(|(name, value)| (name, value)));
    with_usual_open_files(&mut command);
    hang_up_with_us(&mut command);
    let mut child = command.spawn()?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let mut told = false;
    loop {
        if let Some(status) = child.try_wait()? {
            let by_signal = || 128 + status.signal().unwrap_or_default();
            return Ok(status.code().unwrap_or_else(by_signal));
        }
        if told {
            std::thread::sleep(LOOK_AGAIN);
            if stop.insisted() {
                child.kill()?;
            }
        } else if stop.wait(LOOK_AGAIN).is_some() {
            told = true;
            // One that is gone already is seen at the next look.
            let _ = pid.map(|pid| kill_process(pid, Signal::TERM));
        }
    }
}

/// Between two looks at the program.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
