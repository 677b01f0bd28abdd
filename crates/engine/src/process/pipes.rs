//! A program's pipes, waited for together with its end and the bell: one thread, nothing queued.

use std::io::{ErrorKind, PipeReader, PipeWriter, Read, Write};
use std::os::fd::BorrowedFd;
use std::time::Duration;

use botpipe_sandbox::Contained;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::spec::Stream;

/// Both of a program's streams.
pub(super) const STREAMS: [Stream; 2] = [Stream::Stdout, Stream::Stderr];
/// Most bytes read at once.
const PIECE: usize = 64 << 10;

/// What is still open between a program and us.
pub(super) struct Pipes {
    stdin: Option<PipeWriter>,
    /// What the program has not been given yet starts here.
    input: Vec<u8>,
    given: usize,
    /// More input may come.
    more: bool,
    /// Standard output, standard error.
    streams: [Option<PipeReader>; 2],
    buffer: Box<[u8]>,
}

/// What there is something from.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ready {
    stdin: bool,
    pub(super) streams: [bool; 2],
    pub(super) end: bool,
    pub(super) bell: bool,
}

/// What a stream gave.
pub(super) enum Piece<'b> {
    Bytes(&'b [u8]),
    /// Nothing this time.
    Nothing,
    /// It has ended.
    Closed,
}

impl Pipes {
    /// The pipes of a program that was started with this input; with `more` it stays open for more.
    pub(super) fn of(contained: &mut Contained, input: Vec<u8>, more: bool) -> Self {
        let given = contained.accepted();
        let mut pipes = Self {
            stdin: contained.take_stdin(),
            input,
            given,
            more,
            streams: [contained.take_stdout(), contained.take_stderr()],
            buffer: vec![0; PIECE].into_boxed_slice(),
        };
        pipes.close_what_is_given();
        pipes
    }

    /// Waits until there is something, or the time is over; `None`: without end. What is waited for
    /// besides: the program's `end`, as long as it is not known, and the bell, which only wakes.
    pub(super) fn wait(
        &self,
        end: Option<BorrowedFd<'_>>,
        bell: Option<BorrowedFd<'_>>,
        patience: Option<Duration>,
    ) -> Ready {
        let mut polled = Vec::with_capacity(5);
        let [out, err] = self.streams.each_ref().map(Option::as_ref);
        let out = add(&mut polled, out.map(|fd| PollFd::new(fd, PollFlags::IN)));
        let err = add(&mut polled, err.map(|fd| PollFd::new(fd, PollFlags::IN)));
        let stdin = self.stdin.as_ref().filter(|_| self.given < self.input.len());
        let stdin = add(&mut polled, stdin.map(|fd| PollFd::new(fd, PollFlags::OUT)));
        let end = add(&mut polled, end.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        let bell = add(&mut polled, bell.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        let patience = patience.and_then(|p| Timespec::try_from(p).ok());
        // A call that was cut short is made again: everything is looked at in between.
        if poll(&mut polled, patience.as_ref()).is_err() {
            return Ready::default();
        }
        let ready = |at: Option<usize>| at.is_some_and(|at| !polled[at].revents().is_empty());
        Ready {
            stdin: ready(stdin),
            streams: [ready(out), ready(err)],
            end: ready(end),
            bell: ready(bell),
        }
    }

    /// Gives the program as much of its input as it takes now.
    pub(super) fn feed(&mut self, ready: Ready) {
        let Some(stdin) = self.stdin.as_mut().filter(|_| ready.stdin) else { return };
        match stdin.write(&self.input[self.given..]) {
            Ok(size) => self.given += size,
            Err(e) if matches!(e.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
            // One that ends without reading is none the worse.
            Err(_) => self.given = self.input.len(),
        }
        self.close_what_is_given();
    }

    /// Has more written to the program, after what it has not taken yet.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        if self.stdin.is_some() {
            self.input.extend_from_slice(bytes);
        }
    }

    /// Nothing more is sent; the program sees the end of its input once it has taken what there is.
    pub(super) fn send_no_more(&mut self) {
        self.more = false;
        self.close_what_is_given();
    }

    fn close_what_is_given(&mut self) {
        if self.given >= self.input.len() {
            self.input = Vec::new();
            self.given = 0;
            if !self.more {
                self.stdin = None;
            }
        }
    }

    /// Reads what a stream has.
    pub(super) fn read(&mut self, stream: Stream) -> Piece<'_> {
        let slot = &mut self.streams[stream as usize];
        let Some(pipe) = slot else { return Piece::Nothing };
        match pipe.read(&mut self.buffer) {
            Ok(size) if size > 0 => Piece::Bytes(&self.buffer[..size]),
            Err(e) if e.kind() == ErrorKind::Interrupted => Piece::Nothing,
            Ok(_) | Err(_) => {
                *slot = None;
                Piece::Closed
            }
        }
    }

    /// Whether a stream may still say something.
    pub(super) fn any_stream(&self) -> bool {
        self.streams.iter().any(Option::is_some)
    }
}

/// Waits until a descriptor can be read, or this long; whether it can.
pub(crate) fn readable(fd: BorrowedFd<'_>, patience: Option<Duration>) -> bool {
    let patience = patience.and_then(|patience| Timespec::try_from(patience).ok());
    let mut polled = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    // Interrupted: whoever waits looks for himself.
    poll(&mut polled, patience.as_ref()).is_ok_and(|ready| ready > 0)
}

/// Adds what is there, and says where.
fn add<'f>(polled: &mut Vec<PollFd<'f>>, fd: Option<PollFd<'f>>) -> Option<usize> {
    polled.push(fd?);
    Some(polled.len() - 1)
}
