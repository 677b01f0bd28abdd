//! Heads of HTTP/1 messages, read more strictly than the standard asks, so that nobody reads them otherwise.

use super::{Malformed, Parsed};
use crate::host::{Destination, DestinationError};

/// How many header fields a head may have.
const FIELDS: usize = 128;

/// Where a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// After so many bytes.
    Length(u64),
    /// It says so itself.
    Chunked,
    /// Where the connection does.
    UntilClose,
}

/// The header fields of a message, in their order; names in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, Vec<u8>)>);

/// The head of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The method, as it was written.
    pub method: String,
    /// Where the request is to go.
    pub form: Form,
    /// 0 or 1: of HTTP/1.
    pub minor: u8,
    /// The header fields.
    pub headers: Headers,
    /// Where its body ends.
    pub framing: Framing,
}

/// The forms of a request's destination (RFC 9112, section 3.2) that somebody here serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// `CONNECT host:port`
    Authority(Destination),
    /// `http://host/path`: the destination, and the rest from `/` on.
    Absolute(Destination, String),
    /// `/path`
    Origin(String),
}

/// The head of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The words after it.
    pub reason: String,
    /// The header fields.
    pub headers: Headers,
    framing: Framing,
}

impl Request {
    /// Reads the head of a request.
    pub fn parse(bytes: &[u8]) -> Parsed<Self> {
        if bytes.first().is_some_and(|it| !it.is_ascii_alphabetic()) {
            return Err(Malformed("it does not begin with a method"));
        }
        let Some(head) = whole_head(bytes)? else { return Ok(None) };
        let mut fields = [httparse::EMPTY_HEADER; FIELDS];
        let mut request = httparse::Request::new(&mut fields);
        let Ok(httparse::Status::Complete(length)) = request.parse(head) else {
            return Err(Malformed("its head is not in the form of HTTP/1"));
        };
        let (Some(method), Some(destination), Some(minor)) =
            (request.method, request.path, request.version)
        else {
            return Err(Malformed("its first line is not whole"));
        };
        let form = Form::read(method, destination)?;
        let headers = Headers::read(request.headers);
        if headers.all("host").count() > 1 {
            return Err(Malformed("it has two `Host` fields"));
        }
        let framing = match headers.framing()? {
            Some(Framing::Chunked) if minor == 0 => {
                return Err(Malformed("HTTP/1.0 has no `Transfer-Encoding`"));
            }
            framing => framing.unwrap_or(Framing::None),
        };
        Ok(Some((Self { method: method.to_owned(), form, minor, headers, framing }, length)))
    }
}

impl Form {
    fn read(method: &str, destination: &str) -> Result<Self, Malformed> {
        let bad = |_: DestinationError| Malformed("its destination is no host with a port");
        if !destination.bytes().all(|it| it.is_ascii_graphic()) || destination.contains(['#', '\\'])
        {
            return Err(Malformed("its destination has a character that no URL has"));
        }
        if method == "CONNECT" {
            return Destination::parse(destination).map(Self::Authority).map_err(bad);
        }
        if destination.starts_with('/') {
            return Ok(Self::Origin(destination.to_owned()));
        }
        let (scheme, rest) =
            destination.split_once("://").ok_or(Malformed("its destination is no URL"))?;
        if scheme.eq_ignore_ascii_case("https") {
            return Err(Malformed("`https://` is reached with CONNECT"));
        }
        if !scheme.eq_ignore_ascii_case("http") {
            return Err(Malformed("only `http://` and CONNECT are served"));
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let slash = if path.starts_with('/') { "" } else { "/" };
        let destination = Destination::with_default(authority, Some(80)).map_err(bad)?;
        Ok(Self::Absolute(destination, format!("{slash}{path}")))
    }
}

impl Response {
    /// Reads the head of a response.
    pub fn parse(bytes: &[u8]) -> Parsed<Self> {
        let Some(head) = whole_head(bytes)? else { return Ok(None) };
        let mut fields = [httparse::EMPTY_HEADER; FIELDS];
        let mut response = httparse::Response::new(&mut fields);
        let Ok(httparse::Status::Complete(length)) = response.parse(head) else {
            return Err(Malformed("its head is not in the form of HTTP/1"));
        };
        let status = response.code.ok_or(Malformed("it has no status"))?;
        let reason = response.reason.unwrap_or_default().to_owned();
        let headers = Headers::read(response.headers);
        let framing = headers.framing()?.unwrap_or(Framing::UntilClose);
        Ok(Some((Self { status, reason, headers, framing }, length)))
    }

    /// What its fields say of a body, whether it has one or not.
    pub(crate) fn stated(&self) -> Framing {
        self.framing
    }

    /// Where the body of the answer to a request with `method` ends (RFC 9112, section 6.3).
    pub fn framing(&self, method: &str) -> Framing {
        let bodiless = method == "HEAD" || matches!(self.status, 100..=199 | 204 | 304);
        if bodiless { Framing::None } else { self.framing }
    }
}

/// The bytes up to the end of the head, once it has one.
fn whole_head(bytes: &[u8]) -> Result<Option<&[u8]>, Malformed> {
    let Some(end) = bytes.windows(4).position(|it| it == b"\r\n\r\n") else { return Ok(None) };
    let head = &bytes[..end + 4];
    let bare = |at: usize| head[at] == b'\n' && (at == 0 || head[at - 1] != b'\r');
    if (0..head.len()).any(bare) {
        return Err(Malformed("a line of its head ends without a carriage return"));
    }
    Ok(Some(head))
}

impl Headers {
    fn read(fields: &[httparse::Header<'_>]) -> Self {
        let field = |it: &httparse::Header<'_>| (it.name.to_ascii_lowercase(), it.value.to_vec());
        Self(fields.iter().map(field).collect())
    }

    /// The values of a field; `name` in lower case.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter(move |(it, _)| it == name).map(|(_, value)| value.trim_ascii())
    }

    /// Where these fields say that the body ends; an error where they could be read in two ways.
    fn framing(&self) -> Result<Option<Framing>, Malformed> {
        let lengths: Vec<_> = self.all("content-length").collect();
        let encodings: Vec<_> = self.all("transfer-encoding").collect();
        match (lengths.as_slice(), encodings.as_slice()) {
            ([], []) => Ok(None),
            ([], [one]) if one.eq_ignore_ascii_case(b"chunked") => Ok(Some(Framing::Chunked)),
            ([], _) => Err(Malformed("its `Transfer-Encoding` is not just `chunked`")),
            ([one], []) => length(one).map(Framing::Length).map(Some),
            (_, []) => Err(Malformed("it has two `Content-Length` fields")),
            _ => Err(Malformed("it has both `Content-Length` and `Transfer-Encoding`")),
        }
    }

    /// The fields that are for the other end, without those that are for the next hop (RFC 9110, section
    /// 7.6.1), those that say where the message goes or ends, and those that `drop` picks.
    pub fn end_to_end<'a>(
        &'a self,
        drop: impl Fn(&str) -> bool + 'a,
    ) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        const HOP: &[&str] = &[
            "connection",
            "content-length",
            "host",
            "http2-settings",
            "keep-alive",
            "te",
            "trailer",
            "transfer-encoding",
            "upgrade",
        ];
        let named: Vec<String> = self
            .all("connection")
            .flat_map(|it| it.split(|byte| *byte == b','))
            .map(|it| String::from_utf8_lossy(it.trim_ascii()).to_ascii_lowercase())
            .collect();
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_slice())).filter(
            move |(name, _)| {
                !HOP.contains(name)
                    && !name.starts_with("proxy-")
                    && !named.iter().any(|it| it == name)
                    && !drop(name)
            },
        )
    }
}

/// Adds fields to a head, those that say where the body ends, and the end of the head. The connection is
/// closed after the message.
pub(crate) fn finish_head<'a>(
    head: &mut Vec<u8>,
    fields: impl Iterator<Item = (&'a str, &'a [u8])>,
    framing: Framing,
) {
    for (name, value) in fields {
        head.extend_from_slice(name.as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value);
        head.extend_from_slice(b"\r\n");
    }
    match framing {
        Framing::Length(length) => {
            head.extend_from_slice(format!("Content-Length: {length}\r\n").as_bytes());
        }
        Framing::Chunked => head.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        Framing::None | Framing::UntilClose => {}
    }
    head.extend_from_slice(b"Connection: close\r\n\r\n");
}

/// Reads a length: decimal digits and nothing else.
fn length(text: &[u8]) -> Result<u64, Malformed> {
    let digits = !text.is_empty() && text.len() <= 18 && text.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(text).ok().filter(|_| digits);
    text.and_then(|it| it.parse().ok()).ok_or(Malformed("its `Content-Length` is no number"))
}
