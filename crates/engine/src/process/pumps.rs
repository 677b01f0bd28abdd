//! The threads that carry bytes and the end between a program and the loop: bounded, one a pipe.

use std::io::{self, ErrorKind, PipeReader, PipeWriter, Read, Write};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread;

use botpipe_sandbox::{Contained, Exit};

use super::spec::Stream;

/// What the loop is told.
pub(super) enum Event {
    /// Bytes of a stream.
    Piece(Stream, Vec<u8>),
    /// A stream has ended.
    Closed(Stream),
    /// The program and everything it started have ended.
    Ended(Exit),
    /// Something else is to be looked at.
    Woken,
}

/// Events that wait for the loop; then the pumps stop, and through full pipes the program does.
pub(super) const EVENTS_IN_FLIGHT: usize = 16;
/// Input that a fresh pipe takes without anybody reading: the smallest pipe there is, one page.
const FITS_A_PIPE: usize = 4 << 10;
/// Bytes of one piece.
const PIECE: usize = 64 << 10;

/// Connects a program's pipes and its end to the loop; short input needs no thread. The threads end
/// by themselves with the pipes; none is waited for, so that a pipe that stays open for whatever
/// reason holds up nobody.
pub(super) fn connect(
    mut contained: Contained,
    input: Vec<u8>,
    events: &SyncSender<Event>,
) -> io::Result<Arc<Contained>> {
    let (stdin, stdout, stderr) =
        (contained.take_stdin(), contained.take_stdout(), contained.take_stderr());
    for (pipe, stream) in [(stdout, Stream::Stdout), (stderr, Stream::Stderr)] {
        let events = events.clone();
        if let Some(pipe) = pipe {
            spawn("process-output", move || read(pipe, stream, &events))?;
        }
    }
    if let Some(pipe) = stdin {
        if input.len() <= FITS_A_PIPE {
            write(pipe, &input);
        } else {
            spawn("process-input", move || write(pipe, &input))?;
        }
    }
    let contained = Arc::new(contained);
    let (waiting, events) = (Arc::clone(&contained), events.clone());
    spawn("process-end", move || {
        // A loop that is gone has given up on this program.
        drop(events.send(Event::Ended(waiting.wait())));
    })?;
    Ok(contained)
}

fn spawn(name: &str, pump: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name.to_owned()).stack_size(STACK).spawn(pump).map(drop)
}

const STACK: usize = 256 << 10;

fn read(mut pipe: PipeReader, stream: Stream, events: &SyncSender<Event>) {
    let mut buffer = vec![0; PIECE];
    loop {
        let event = match pipe.read(&mut buffer) {
            Ok(0) => Event::Closed(stream),
            Ok(size) => Event::Piece(stream, buffer[..size].to_vec()),
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(_) => Event::Closed(stream),
        };
        let last = matches!(event, Event::Closed(_));
        if events.send(event).is_err() || last {
            return;
        }
    }
}

/// Writes it all, or as much as the program wanted: one that ends without reading is none the worse.
fn write(mut pipe: PipeWriter, input: &[u8]) {
    drop(pipe.write_all(input));
}
