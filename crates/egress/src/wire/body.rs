//! Bodies of HTTP/1 messages, copied as they come, up to where they end and no further.

use std::io::{self, BufRead, Read, Write};

use super::Framing;

/// The longest line of a chunk's size, and the most bytes of trailers.
const LINE: u64 = 1024;
const TRAILERS: u64 = 8 * 1024;

/// Copies a body; what was read is written at once. Chunks are made anew: extensions and trailers are
/// left out.
///
/// # Errors
/// `UnexpectedEof` when it is cut short, `InvalidData` when its chunks are malformed, and what the
/// two ends say.
pub(crate) fn copy_body(
    from: &mut impl BufRead,
    to: &mut impl Write,
    framing: Framing,
) -> io::Result<u64> {
    let count = match framing {
        Framing::None => 0,
        Framing::Length(length) => copy(from, to, Some(length), false)?,
        Framing::UntilClose => copy(from, to, None, false)?,
        Framing::Chunked => chunks(from, to)?,
    };
    to.flush()?;
    Ok(count)
}

/// Copies so many bytes, or all; as chunks if asked.
fn copy(
    from: &mut impl BufRead,
    to: &mut impl Write,
    length: Option<u64>,
    as_chunks: bool,
) -> io::Result<u64> {
    let mut count = 0;
    loop {
        let left = length.map_or(u64::MAX, |it| it - count);
        if left == 0 {
            return Ok(count);
        }
        let piece = match from.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        if piece.is_empty() {
            return match length {
                Some(_) => Err(io::ErrorKind::UnexpectedEof.into()),
                None => Ok(count),
            };
        }
        let taken = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
        if as_chunks {
            let mut chunk = format!("{taken:x}\r\n").into_bytes();
            chunk.extend_from_slice(&piece[..taken]);
            chunk.extend_from_slice(b"\r\n");
            to.write_all(&chunk)?;
        } else {
            to.write_all(&piece[..taken])?;
        }
        to.flush()?;
        from.consume(taken);
        count += taken as u64;
    }
}

fn chunks(from: &mut impl BufRead, to: &mut impl Write) -> io::Result<u64> {
    let mut count = 0;
    loop {
        let line = line(from, LINE)?;
        let size = match httparse::parse_chunk_size(&line) {
            Ok(httparse::Status::Complete((end, size))) if end == line.len() => size,
            _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "a chunk has no size")),
        };
        // The parser takes a line without a digit for 0, which would end the body early.
        if !line[0].is_ascii_hexdigit() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a chunk has no size"));
        }
        if size == 0 {
            break;
        }
        count += copy(from, to, Some(size), true)?;
        let mut end = [0; 2];
        from.read_exact(&mut end)?;
        if end != *b"\r\n" {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a chunk is longer than it says",
            ));
        }
    }
    let mut left = TRAILERS;
    loop {
        let trailer = line(from, left)?;
        left -= trailer.len() as u64;
        if trailer == b"\r\n" {
            to.write_all(b"0\r\n\r\n")?;
            return Ok(count);
        }
    }
}

/// Reads a line with its end.
fn line(from: &mut impl BufRead, limit: u64) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    from.take(limit).read_until(b'\n', &mut line)?;
    match line.as_slice() {
        [.., b'\r', b'\n'] => Ok(line),
        [.., b'\n'] => Err(io::Error::new(io::ErrorKind::InvalidData, "a line ends without CR")),
        _ if line.len() as u64 == limit => {
            Err(io::Error::new(io::ErrorKind::InvalidData, "a line of chunks is too long"))
        }
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
