//! What init tells stage 1, and stage 1 tells Botpipe: one line each.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::sys;
use crate::{Bound, Exit, How, Proc, Refused};

/// A line on its way up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Message {
    /// A namespace was refused; a subreaper is tried now.
    FallsBack(Refused),
    /// The containment was refused; the program was not started.
    Refused(Refused),
    /// The program could not be executed.
    NotStarted { what: Part, errno: i32 },
    /// The program runs; with which `/proc`, when in a namespace.
    Started(Option<Proc>),
    /// The program and everything it left behind have ended.
    Ended(Exit),
}

/// What stood in the way of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    WorkingDirectory,
    Program,
}

impl Message {
    /// Sends the line in one write.
    pub(super) fn send(&self, to: &mut impl Write) -> io::Result<()> {
        to.write_all(self.line().as_bytes())
    }

    fn line(&self) -> String {
        match self {
            Self::FallsBack(r) => format!("falls-back {} {}\n", r.errno, one_line(&r.step)),
            Self::Refused(r) => format!("refused {} {}\n", r.errno, one_line(&r.step)),
            Self::NotStarted { what: Part::WorkingDirectory, errno } => {
                format!("not-started cwd {errno}\n")
            }
            Self::NotStarted { what: Part::Program, errno } => {
                format!("not-started program {errno}\n")
            }
            Self::Started(None) => "started subreaper\n".into(),
            Self::Started(Some(Proc::Fresh)) => "started fresh-proc\n".into(),
            Self::Started(Some(Proc::Host)) => "started host-proc\n".into(),
            Self::Ended(Exit { how, leftover, survivors, beyond }) => {
                let (how, number) = match how {
                    How::Exited(code) => ("exited", code),
                    How::Signalled(signal) => ("signalled", signal),
                };
                let beyond = BOUNDS.iter().find(|(bound, _)| Some(*bound) == *beyond);
                let beyond = beyond.map_or("-", |(_, word)| word);
                format!("ended {how} {number} {leftover} {survivors} {beyond}\n")
            }
        }
    }

    /// Reads a line, with or without its end; `None` when it is none of ours.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let refused = |errno: &str| {
            let step = line.trim_end_matches('\n').splitn(3, ' ').nth(2)?.to_owned();
            Some(Refused { step, errno: errno.parse().ok()? })
        };
        Some(match words[..] {
            ["falls-back", errno, ..] => Self::FallsBack(refused(errno)?),
            ["refused", errno, ..] => Self::Refused(refused(errno)?),
            ["not-started", "cwd", errno] => {
                Self::NotStarted { what: Part::WorkingDirectory, errno: errno.parse().ok()? }
            }
            ["not-started", "program", errno] => {
                Self::NotStarted { what: Part::Program, errno: errno.parse().ok()? }
            }
            ["started", "subreaper"] => Self::Started(None),
            ["started", "fresh-proc"] => Self::Started(Some(Proc::Fresh)),
            ["started", "host-proc"] => Self::Started(Some(Proc::Host)),
            ["ended", how, number, leftover, survivors, beyond] => {
                let number = number.parse().ok()?;
                let how = match how {
                    "exited" => How::Exited(number),
                    "signalled" => How::Signalled(number),
                    _ => return None,
                };
                let (leftover, survivors) = (leftover.parse().ok()?, survivors.parse().ok()?);
                let bound = BOUNDS.iter().find(|(_, word)| *word == beyond);
                let beyond = match (bound, beyond) {
                    (Some((bound, _)), _) => Some(*bound),
                    (None, "-") => None,
                    (None, _) => return None,
                };
                Self::Ended(Exit { how, leftover, survivors, beyond })
            }
            _ => return None,
        })
    }
}

/// The words for bounds.
const BOUNDS: [(Bound, &str); 4] = [
    (Bound::Cpu, "cpu"),
    (Bound::Memory, "memory"),
    (Bound::Processes, "processes"),
    (Bound::FileSize, "file-size"),
];

/// A step may name a path, which may hold anything.
fn one_line(step: &str) -> String {
    step.replace(['\n', '\r'], "?")
}

/// Lines as they arrive.
#[derive(Debug)]
pub(super) struct Words {
    socket: UnixStream,
    heard: Vec<u8>,
}

/// What came up.
pub(super) enum Heard {
    Word(Message),
    /// Not in this time.
    Nothing,
    /// The other end is gone, or says what is none of ours.
    End,
}

impl Words {
    pub(super) fn new(socket: UnixStream) -> Self {
        Self { socket, heard: Vec::new() }
    }

    pub(super) fn socket(&self) -> &UnixStream {
        &self.socket
    }

    /// The next line; waits for it as long as this, `None` without end.
    pub(super) fn next(&mut self, patience: Option<Duration>) -> Heard {
        loop {
            if let Some(end) = self.heard.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.heard.drain(..=end).collect();
                let word = str::from_utf8(&line).ok().and_then(Message::parse);
                return word.map_or(Heard::End, Heard::Word);
            }
            match sys::wait_readable([self.socket.as_fd()], patience) {
                Ok([true]) => {}
                Ok([false]) if patience.is_none() => continue,
                Ok([false]) => return Heard::Nothing,
                Err(_) => return Heard::End,
            }
            let mut buffer = [0; 256];
            match self.socket.read(&mut buffer) {
                Ok(0) => return Heard::End,
                Ok(size) => self.heard.extend_from_slice(&buffer[..size]),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Heard::End,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Message, Part};
    use crate::{Bound, Exit, How, Proc, Refused};

    #[test]
    fn every_line_reads_back() {
        let ended = |how, beyond| Message::Ended(Exit { how, leftover: 2, survivors: 1, beyond });
        let refused = Refused { step: "/a  path with spaces".into(), errno: 1 };
        for message in [
            Message::FallsBack(refused.clone()),
            Message::Refused(refused),
            Message::NotStarted { what: Part::WorkingDirectory, errno: 20 },
            Message::NotStarted { what: Part::Program, errno: 2 },
            Message::Started(None),
            Message::Started(Some(Proc::Fresh)),
            Message::Started(Some(Proc::Host)),
            ended(How::Exited(3), None),
            ended(How::Signalled(9), Some(Bound::Cpu)),
            ended(How::Signalled(9), Some(Bound::Memory)),
            ended(How::Signalled(9), Some(Bound::Processes)),
            ended(How::Signalled(25), Some(Bound::FileSize)),
        ] {
            assert_eq!(Message::parse(&message.line()), Some(message));
        }
        assert_eq!(Message::parse("ended well\n"), None);
        assert_eq!(Message::parse("ended exited 0 0 0 patience\n"), None);
    }
}
