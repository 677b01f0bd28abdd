//! An agent asks leave, and the person at the terminal answers.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};

use botpipe_engine::process::StopSwitch;
use botpipe_engine::request::AsksLeave;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::getpgrp;
use rustix::termios::{QueueSelector, tcflush, tcgetpgrp};

use super::output::printable;

/// Whether a person sits at the terminal, and it is ours.
pub(crate) fn is_somebody_there() -> bool {
    let (stdin, stderr) = (io::stdin(), io::stderr());
    stdin.is_terminal() && stderr.is_terminal() && tcgetpgrp(&stdin).ok() == Some(getpgrp())
}

/// What is asked, as lines.
pub(crate) fn question(asks: &AsksLeave<'_>) -> String {
    let mut text = String::new();
    if asks.again {
        text.push_str("that is no answer: a word of them comes first\n");
    } else {
        let wanted = asks.wanted;
        // What an agent says stands apart from what we do, line by line.
        let what = printable(&wanted.to_string()).replace('\n', "\n  ");
        let _ = writeln!(text, "turn {} asks to {what}", asks.turn);
        for more in [&wanted.why, &wanted.detail].into_iter().flatten() {
            for line in printable(more).lines() {
                let _ = writeln!(text, "  {line}");
            }
        }
    }
    text.push_str(
        "y: this once, a: whenever it asks for that again in this conversation, n: no; more words are told \
         to the agent\n? ",
    );
    text
}

/// The next line that is typed; what was typed before is no answer. `None`: the terminal has ended, or the
/// switch was thrown.
pub(crate) fn typed(stop: &StopSwitch) -> Option<String> {
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        if stop.requested().is_some() {
            return None;
        }
        let stdin = io::stdin();
        let mut one = [PollFd::new(&stdin, PollFlags::IN)];
        match poll(&mut one, Some(&LOOK_AGAIN)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            Ok(_) => {}
            Err(_) => return None,
        }
        let mut piece = [0; 1024];
        // Not through the buffer of `Stdin`, which would hold back lines that are asked for later.
        match rustix::io::read(&stdin, &mut piece) {
            Ok(0) => return None,
            Ok(many) => line.extend_from_slice(&piece[..many]),
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return None,
        }
    }
    Some(String::from_utf8_lossy(&line).trim().to_owned())
}

/// Throws away what was typed before anything was asked.
pub(crate) fn forget_typed() {
    // A terminal that cannot be flushed is asked all the same.
    let _ = tcflush(io::stdin(), QueueSelector::IFlush);
}

/// Between two looks at the switch.
const LOOK_AGAIN: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
