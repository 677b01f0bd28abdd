//! Where an endpoint's requests go: its URL, its key, and whom to believe that it is the one.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Instant;

use super::tls::{self, Client};
use crate::bounds::Bounds;
use crate::host::{Destination, DestinationError, Host};
use crate::relay::Watched;
use crate::serving::Seat;

/// Header fields that carry keys: what the program inside puts there never goes on.
const KEYS: &[&str] = &["api-key", "authorization", "cookie", "x-api-key", "x-goog-api-key"];

/// An API, as the person who runs Botpipe names it.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// Its base URL: `https://api.example.com/v1`; `http://` too, for what is on this machine.
    /// It is dialled wherever its name leads.
    pub url: String,
    /// Header fields that every request gets, in place of what it brings of that name.
    pub headers: Vec<(String, Secret)>,
    /// Who vouches for it, with `https://`.
    pub roots: Roots,
}

/// Whose certificates are believed.
#[derive(Debug, Clone, Default)]
pub enum Roots {
    /// Those that this machine trusts (`SSL_CERT_FILE` and `SSL_CERT_DIR` are heeded).
    #[default]
    System,
    /// Those, and the ones in a PEM file.
    SystemAnd(PathBuf),
    /// Those in a PEM file, and no others.
    File(PathBuf),
}

/// A value that is never shown.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Takes a value, as it stands in the header: `Bearer sk-…`.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Why an endpoint cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The URL is not one of an API.
    #[error("read `{url}` as the URL of an API: {why}; write `https://host/path`")]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The host in the URL can be none.
    #[error("read `{url}` as the URL of an API: {why}")]
    Host {
        /// The URL.
        url: String,
        /// What is wrong with it.
        why: DestinationError,
    },
    /// A header field cannot be sent.
    #[error("send the header `{name}`: its {part} has a character that no header has")]
    Header {
        /// Its name.
        name: String,
        /// `name` or `value`.
        part: &'static str,
    },
    /// A header field that says where a message goes or ends is not a key.
    #[error("send the header `{name}`: it is the endpoint's own to write")]
    OwnHeader {
        /// Its name.
        name: String,
    },
    /// No certificates to check the API by.
    #[error("read the certificates {from}: {why}")]
    Roots {
        /// Where they should come from.
        from: String,
        /// What is wrong.
        why: String,
    },
    /// TLS cannot be set up.
    #[error("set up TLS: {source}")]
    Tls {
        /// The library's reason.
        source: rustls::Error,
    },
    /// The listener cannot be served.
    #[error("serve the endpoint: {source}")]
    Listener {
        /// The system's reason.
        source: io::Error,
    },
}

/// An [`Upstream`] that was checked.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) destination: Destination,
    /// What stands before every path; no `/` at its end.
    pub(super) base: String,
    pub(super) headers: Vec<(String, Secret)>,
    tls: Option<Client>,
}

/// A connection to the API, encrypted or not.
pub(super) trait Link: Read + Write {}

impl<T: Read + Write> Link for T {}

impl Upstream {
    /// Looks whether it can be served, before anything is.
    ///
    /// # Errors
    /// When the URL, a header or the certificates cannot be used.
    pub fn check(&self) -> Result<(), EndpointError> {
        self.way().map(drop)
    }

    pub(super) fn way(&self) -> Result<Way, EndpointError> {
        let wrong = |why| EndpointError::Url { url: self.url.clone(), why };
        let (scheme, rest) = self.url.split_once("://").ok_or_else(|| wrong("it has no scheme"))?;
        let secure = match scheme {
            "https" => true,
            "http" => false,
            _ => return Err(wrong("its scheme is neither `https` nor `http`")),
        };
        if rest.contains(['?', '#', '@', '\\']) || !rest.bytes().all(|it| it.is_ascii_graphic()) {
            return Err(wrong("it has a user, a query, or a character that no URL has"));
        }
        let (authority, base) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let usual = if secure { 443 } else { 80 };
        let destination = Destination::with_default(authority, Some(usual))
            .map_err(|why| EndpointError::Host { url: self.url.clone(), why })?;
        let tls = secure.then(|| Client::new(&self.roots, &destination.host)).transpose()?;
        let headers = self.headers.iter().map(header).collect::<Result<_, _>>()?;
        Ok(Way { destination, base: base.trim_end_matches('/').to_owned(), headers, tls })
    }
}

/// A header field that can be sent, its name in lower case.
fn header((name, value): &(String, Secret)) -> Result<(String, Secret), EndpointError> {
    const OWN: &[&str] = &["connection", "content-length", "host", "transfer-encoding"];
    let symbol = |it: u8| it.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&it);
    let wrong = |part| EndpointError::Header { name: name.clone(), part };
    let lower = name.to_ascii_lowercase();
    if name.is_empty() || !name.bytes().all(symbol) {
        return Err(wrong("name"));
    }
    if OWN.contains(&lower.as_str()) {
        return Err(EndpointError::OwnHeader { name: name.clone() });
    }
    if !value.as_bytes().iter().all(|it| matches!(it, b'\t' | b' '..=b'~')) {
        return Err(wrong("value"));
    }
    Ok((lower, value.clone()))
}

impl Way {
    /// The port that the scheme has anyway.
    pub(super) fn usual_port(&self) -> u16 {
        if self.tls.is_some() { 443 } else { 80 }
    }

    /// Whether a header field from inside is taken off.
    pub(super) fn replaces(&self, name: &str) -> bool {
        KEYS.contains(&name) || self.headers.iter().any(|(it, _)| it == name)
    }

    /// Connects to the first address of the API that answers.
    pub(super) fn dial(&self, bounds: Bounds, seat: &Seat) -> io::Result<(TcpStream, SocketAddr)> {
        let port = self.destination.port;
        let all: Vec<SocketAddr> = match &self.destination.host {
            Host::Ip(ip) => vec![SocketAddr::new(*ip, port)],
            Host::Name(name) => (name.as_str(), port).to_socket_addrs()?.collect(),
        };
        let until = Instant::now() + bounds.dial_time;
        let mut last = io::Error::new(io::ErrorKind::NotFound, "its name has no address");
        for address in all {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let dialled = TcpStream::connect_timeout(&address, left);
            match dialled.and_then(|it| seat.hold(&it).map(|()| it)) {
                Ok(stream) => {
                    let _ = stream.set_nodelay(true);
                    return Ok((stream, address));
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Speaks to the API over a socket, in TLS if it is to be.
    pub(super) fn link<'a>(&'a self, socket: Watched<'a>) -> io::Result<Box<dyn Link + 'a>> {
        match &self.tls {
            Some(client) => Ok(Box::new(tls::Stream::new(client.connection()?, socket))),
            None => Ok(Box::new(socket)),
        }
    }
}
