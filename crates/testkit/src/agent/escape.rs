//! The fake agent's attempt to outlive its turn: forked twice, in a session of its own.

use std::env;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::unistd::setsid;

/// The first word on the command line of a process that tries to escape.
pub const ESCAPEE: &str = "escapee";

/// Goes one generation further from whoever started this program.
///
/// Generation 2 is in a session of its own, its parent is gone, nothing of it is open but `beats`,
/// where it appends a byte at every beat: a file that grows after the run shows who got away. It
/// ends by itself after a minute.
pub fn escapee(generation: u32, beats: &Path) -> io::Result<()> {
    if generation < 2 {
        if generation == 1 {
            setsid()?;
        }
        let next = (generation + 1).to_string();
        Command::new(env::current_exe()?)
            .args([ESCAPEE, &next])
            .arg(beats)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        return Ok(());
    }
    let mut file = OpenOptions::new().create(true).append(true).open(beats)?;
    for _ in 0..BEATS {
        file.write_all(b".")?;
        thread::sleep(BEAT);
    }
    Ok(())
}

const BEAT: Duration = Duration::from_millis(20);
const BEATS: u32 = 3_000;
