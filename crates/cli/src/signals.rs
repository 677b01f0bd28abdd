//! Signals that end the owner of a run: told to the run's switch, so that it stops and can be resumed.

use std::fs;
use std::io;
use std::thread;

use botpipe_engine::process::StopSwitch;
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
use signal_hook::iterator::Signals;
use signal_hook::low_level;

use crate::term::exit;
use crate::term::output::tell;

/// Throws the switch at SIGINT, SIGTERM and SIGHUP. A second SIGINT has what runs killed; a third one ends this
/// process wherever it is, and what it started with it.
///
/// A SIGHUP that is ignored, as under `nohup`, stays ignored.
///
/// # Errors
/// The system refuses a handler or a thread.
pub(crate) fn forward(stop: &StopSwitch) -> io::Result<()> {
    let mut wanted = vec![SIGINT, SIGTERM];
    if !is_ignored(SIGHUP) {
        wanted.push(SIGHUP);
    }
    let mut signals = Signals::new(wanted)?;
    let stop = stop.clone();
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let mut insisted = false;
        for signal in signals.forever() {
            match (signal, stop.requested()) {
                (SIGINT, Some(_)) if insisted => end(),
                (SIGINT, Some(_)) => {
                    insisted = true;
                    stop.insist();
                }
                _ => stop.request(signal),
            }
        }
    })?;
    Ok(())
}

fn end() {
    tell(
        "botpipe: ended before it had looked at what the program left; the next `botpipe run` or `botpipe sandbox` here \
         does",
    );
    low_level::exit(exit::by_signal(SIGINT).into());
}

/// The same for a command that runs in our place, which hears of each signal as itself: it stands still and goes on
/// with us.
///
/// # Errors
/// As [`forward`].
pub(crate) fn forward_as_they_are(stop: &StopSwitch) -> io::Result<()> {
    forward(stop)?;
    if is_ignored(SIGTSTP) {
        return Ok(());
    }
    let mut signals = Signals::new([SIGTSTP, SIGCONT])?;
    let stop = stop.clone();
    thread::Builder::new().name("standing still".to_owned()).spawn(move || {
        for signal in signals.forever() {
            stop.pass_on(signal);
            if signal == SIGTSTP {
                // Stopping is all that it does: nothing can fail.
                drop(low_level::emulate_default_handler(SIGTSTP));
            }
        }
    })?;
    Ok(())
}

/// A switch that SIGTERM and SIGHUP throw, while a person has the terminal with another program: that one
/// is interrupted by Ctrl-C, and we are not.
///
/// # Errors
/// As [`forward`].
pub(crate) fn forward_endings() -> io::Result<StopSwitch> {
    let mut signals = Signals::new([SIGINT, SIGQUIT, SIGTERM, SIGHUP])?;
    let stop = StopSwitch::new();
    let switch = stop.clone();
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever().filter(|it| [SIGTERM, SIGHUP].contains(it)) {
            switch.request(signal);
        }
    })?;
    Ok(stop)
}

/// Whether this process was started with the signal ignored, as `/proc` has it.
fn is_ignored(signal: i32) -> bool {
    let Ok(status) = fs::read_to_string("/proc/self/status") else { return false };
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (signal - 1)) != 0)
}
