//! The parts of HTTP that the proxy and an endpoint share: reading heads, handing an answer in, short texts.

use std::io::{self, BufReader, Cursor, Read, Write};
use std::net::TcpStream;

use crate::relay;
use crate::wire::{self, Framing, Malformed, Parsed, Response};

/// How many interim responses (1xx) one request may get.
const INTERIM: usize = 16;

/// Why a message was not read.
#[derive(Debug)]
pub(crate) enum Unread {
    /// It can be none.
    Malformed(Malformed),
    /// It is longer than it may be.
    TooLong,
    /// It did not arrive in time.
    TooSlow,
    /// The other end is gone.
    Gone,
}

impl Unread {
    /// What is wrong with a request, and the status that says so; nothing if nobody is there to be told.
    pub(crate) fn fault(&self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Malformed(malformed) => Some(("400 Bad Request", malformed.0)),
            Self::TooLong => Some(("431 Request Header Fields Too Large", "its head is too long")),
            Self::TooSlow => Some(("408 Request Timeout", "its head took too long")),
            Self::Gone => None,
        }
    }
}

/// Reads from `from` to the end of `said` until `parse` has found what it looks for, and takes that off.
pub(crate) fn read_whole<T>(
    from: &mut impl Read,
    said: &mut Vec<u8>,
    limit: usize,
    parse: impl Fn(&[u8]) -> Parsed<T>,
) -> Result<T, Unread> {
    let mut piece = [0; 4096];
    loop {
        if let Some((found, length)) = parse(said).map_err(Unread::Malformed)? {
            said.drain(..length);
            return Ok(found);
        }
        if said.len() >= limit {
            return Err(Unread::TooLong);
        }
        let room = piece.len().min(limit - said.len());
        match from.read(&mut piece[..room]) {
            Ok(0) => return Err(Unread::Gone),
            Ok(count) => said.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if relay::is_timeout(&error) => return Err(Unread::TooSlow),
            Err(_) => return Err(Unread::Gone),
        }
    }
}

/// What came of an answer.
#[derive(Debug)]
pub(crate) enum Answered {
    /// It was handed in: so many bytes of it.
    Whole(u64),
    /// It broke off on the way, on either side.
    Broken,
    /// There was none that could be handed in; says why. Nothing was written but interim answers.
    Unusable(&'static str),
}

/// Reads the answer to a request with `method` and hands it in as it comes. The connection is closed
/// after it.
pub(crate) fn hand_in(
    from: &mut impl Read,
    to: &mut impl Write,
    method: &str,
    limit: usize,
) -> Answered {
    const ODD: Answered = Answered::Unusable("its answer is not in the form of HTTP/1");
    let mut said = Vec::new();
    for _ in 0..INTERIM {
        let answer = match read_whole(from, &mut said, limit, Response::parse) {
            Ok(answer) if answer.status != 101 => answer,
            Ok(_) | Err(Unread::Malformed(_) | Unread::TooLong) => return ODD,
            Err(Unread::TooSlow) => return Answered::Unusable("it took too long to answer"),
            Err(Unread::Gone) => return Answered::Unusable("it closed the connection"),
        };
        let Response { status, reason, headers, .. } = &answer;
        let mut head = format!("HTTP/1.1 {status} {reason}\r\n").into_bytes();
        if *status < 200 {
            head.extend_from_slice(b"\r\n");
            if to.write_all(&head).is_err() {
                return Answered::Broken;
            }
            continue;
        }
        wire::finish_head(&mut head, headers.end_to_end(|_| false), answer.stated());
        let mut from = BufReader::new(Cursor::new(said).chain(from));
        let handed = to
            .write_all(&head)
            .and_then(|()| wire::copy_body(&mut from, to, answer.framing(method)));
        return handed.map_or(Answered::Broken, |it| Answered::Whole(head.len() as u64 + it));
    }
    ODD
}

/// Sends a request; what came of its body already is in `said`. Gives the bytes it took.
pub(crate) fn send(
    head: &[u8],
    said: Vec<u8>,
    from: impl Read,
    to: &mut impl Write,
    framing: Framing,
) -> io::Result<u64> {
    to.write_all(head)?;
    let mut from = BufReader::new(Cursor::new(said).chain(from));
    Ok(head.len() as u64 + wire::copy_body(&mut from, to, framing)?)
}

/// Writes an answer with a text. The other end may be gone: nothing is left to do then.
pub(crate) fn answer(mut to: &TcpStream, status: &str, text: &str) {
    let length = text.len() + 1;
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{text}\n"
    );
    let _ = to.write_all(answer.as_bytes());
}
