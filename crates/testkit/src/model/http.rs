//! As much HTTP/1.1 as the loopback model needs: one request a connection, bodies by length.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

/// A request, read whole.
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    /// Names in lower case, in the order sent.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// Reads one request; nothing if the peer closed without sending one.
    ///
    /// # Errors
    /// `InvalidData` for what is not a request, or one beyond the bounds below.
    pub(super) fn read(stream: &mut impl Read) -> io::Result<Option<Self>> {
        let mut bytes = Vec::new();
        let mut buffer = [0; 16 * 1024];
        let (mut request, head) = loop {
            let count = stream.read(&mut buffer)?;
            if count == 0 && bytes.is_empty() {
                return Ok(None);
            }
            if count == 0 || bytes.len() > MAX_HEAD {
                return Err(invalid("the head of the request is cut short or too long"));
            }
            bytes.extend_from_slice(&buffer[..count]);
            if let Some(parsed) = parse_head(&bytes)? {
                break parsed;
            }
        };
        let length = match request.header("content-length") {
            Some(text) => text.parse().map_err(|_| invalid("content-length is no number"))?,
            None => 0,
        };
        if length > MAX_BODY || request.header("transfer-encoding").is_some() {
            return Err(invalid("the body is too long, or its length is not given"));
        }
        request.body = bytes.split_off(head);
        let missing = length.saturating_sub(request.body.len());
        stream.take(missing as u64).read_to_end(&mut request.body)?;
        if request.body.len() < length {
            return Err(invalid("the body is cut short"));
        }
        Ok(Some(request))
    }

    /// The value of a header named in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// Writes a whole response in JSON, the last on its connection.
pub(super) fn respond(
    stream: &mut impl Write,
    status: u16,
    headers: &BTreeMap<String, String>,
    body: &[u8],
) -> io::Result<()> {
    let reason = match status {
        200 => "OK",
        426 => "Upgrade Required",
        _ => "Error",
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status} {reason}\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\nconnection: close\r\n"
    )?;
    for (name, value) in headers {
        write!(stream, "{name}: {value}\r\n")?;
    }
    stream.write_all(b"\r\n")?;
    stream.write_all(body)?;
    stream.flush()
}

/// Writes the head of an event stream and `body`; the stream ends when the connection does.
pub(super) fn respond_stream(stream: &mut impl Write, body: &[u8]) -> io::Result<()> {
    stream.write_all(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n\
          connection: close\r\n\r\n",
    )?;
    stream.write_all(body)?;
    stream.flush()
}

/// The request without its body, and where the body starts; nothing while the head is not whole.
fn parse_head(bytes: &[u8]) -> io::Result<Option<(Request, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let status = parsed.parse(bytes).map_err(|error| invalid(&error.to_string()))?;
    let httparse::Status::Complete(head) = status else { return Ok(None) };
    let header = |h: &httparse::Header<'_>| {
        (h.name.to_ascii_lowercase(), String::from_utf8_lossy(h.value).into_owned())
    };
    let request = Request {
        method: parsed.method.unwrap_or_default().to_owned(),
        path: parsed.path.unwrap_or_default().to_owned(),
        headers: parsed.headers.iter().map(header).collect(),
        body: Vec::new(),
    };
    Ok(Some((request, head)))
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}

const MAX_HEADERS: usize = 100;
/// Bytes of request line and headers.
const MAX_HEAD: usize = 256 * 1024;
/// Bytes of a body: a long session's history, with room to spare.
const MAX_BODY: usize = 64 * 1024 * 1024;
