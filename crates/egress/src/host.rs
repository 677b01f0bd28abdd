//! Hosts and destinations, read strictly: what cannot be one is an error, never a guess.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A host as rules know it: a name in lower case without its final dot, or an address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// A name of ASCII labels; international names in their `xn--` form.
    Name(String),
    /// An address. An IPv4 address inside an IPv6 one is the IPv4 address.
    Ip(IpAddr),
}

/// Why a text is no host, or no host with a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DestinationError {
    /// Nothing stands where the host should.
    #[error("the host is empty")]
    Empty,
    /// More than 253 bytes, or a label of more than 63.
    #[error("the host, or a label of it, is too long")]
    TooLong,
    /// Two dots without a label between them, or one at the start.
    #[error("the host has an empty label")]
    EmptyLabel,
    /// A byte that no host name has.
    #[error("the host has a character other than a-z, 0-9, `-`, `_` and `.`")]
    Character,
    /// A label begins or ends with `-`.
    #[error("a label of the host begins or ends with `-`")]
    Hyphen,
    /// The last label is a number, and the whole is no address: `127.1`, `0x7f.0.0.1`, `2130706433`.
    #[error("the host looks like an address but is none in the usual form (four decimal numbers)")]
    OddAddress,
    /// What stands in brackets is no IPv6 address.
    #[error("what stands in `[…]` is no IPv6 address")]
    Brackets,
    /// The port is missing, or no number from 1 to 65535.
    #[error("the port is missing or no number from 1 to 65535")]
    Port,
}

impl Host {
    /// Reads a host: a name, an IPv4 address, or an IPv6 address with or without brackets.
    pub fn parse(text: &str) -> Result<Self, DestinationError> {
        if let Some(rest) = text.strip_prefix('[') {
            let inner = rest.strip_suffix(']').ok_or(DestinationError::Brackets)?;
            return Ipv6Addr::from_str(inner)
                .map(Self::ipv6)
                .map_err(|_| DestinationError::Brackets);
        }
        if let Ok(ip) = Ipv6Addr::from_str(text) {
            return Ok(Self::ipv6(ip));
        }
        let text = text.strip_suffix('.').unwrap_or(text);
        if let Ok(ip) = Ipv4Addr::from_str(text) {
            return Ok(Self::Ip(ip.into()));
        }
        name(text).map(Self::Name)
    }

    fn ipv6(ip: Ipv6Addr) -> Self {
        Self::Ip(ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4))
    }
}

/// The name in lower case, if it can be one.
fn name(text: &str) -> Result<String, DestinationError> {
    if text.is_empty() {
        return Err(DestinationError::Empty);
    }
    if text.len() > 253 {
        return Err(DestinationError::TooLong);
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if !text.bytes().all(allowed) {
        return Err(DestinationError::Character);
    }
    for label in text.split('.') {
        match label {
            "" => return Err(DestinationError::EmptyLabel),
            _ if label.len() > 63 => return Err(DestinationError::TooLong),
            _ if label.starts_with('-') || label.ends_with('-') => {
                return Err(DestinationError::Hyphen);
            }
            _ => {}
        }
    }
    let last = text.rsplit('.').next().unwrap_or(text).to_ascii_lowercase();
    // Resolvers read such "names" as IPv4 addresses (inet_aton(3); WHATWG URL, "ends in a number").
    let hex = last.strip_prefix("0x").is_some_and(|it| it.bytes().all(|it| it.is_ascii_hexdigit()));
    if hex || last.bytes().all(|it| it.is_ascii_digit()) {
        return Err(DestinationError::OddAddress);
    }
    Ok(text.to_ascii_lowercase())
}

impl fmt::Display for Host {
    /// As it stands in a URL: IPv6 in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ip(IpAddr::V4(ip)) => ip.fmt(f),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

/// A host and a port: where a connection is to go.
///
/// # Shape
/// `api.example.com:443`, `10.1.2.3:8080`, `[2001:db8::1]:443`
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Destination {
    /// The host.
    pub host: Host,
    /// The port, never 0.
    pub port: u16,
}

impl Destination {
    /// Reads `host:port`.
    pub fn parse(text: &str) -> Result<Self, DestinationError> {
        Self::with_default(text, None)
    }

    /// Reads `host` or `host:port`; an IPv6 address needs brackets.
    pub(crate) fn with_default(text: &str, default: Option<u16>) -> Result<Self, DestinationError> {
        let (host, port) = split(text);
        let port = match port {
            Some(port) => parse_port(port)?,
            None => default.ok_or(DestinationError::Port)?,
        };
        if !host.starts_with('[') && host.contains(':') {
            return Err(DestinationError::Character);
        }
        Ok(Self { host: Host::parse(host)?, port })
    }
}

impl Destination {
    /// As it stands in a `Host` field: without the port that its scheme has anyway.
    pub(crate) fn authority(&self, usual: u16) -> String {
        if self.port == usual { self.host.to_string() } else { self.to_string() }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Parts a text into its host and what follows the colon after it.
pub(crate) fn split(text: &str) -> (&str, Option<&str>) {
    let after_host = text.rfind(']').unwrap_or(0);
    match text[after_host..].rfind(':') {
        Some(at) => (&text[..after_host + at], Some(&text[after_host + at + 1..])),
        None => (text, None),
    }
}

/// Reads a port: decimal digits and nothing else.
pub(crate) fn parse_port(text: &str) -> Result<u16, DestinationError> {
    if text.is_empty() || text.len() > 5 || !text.bytes().all(|it| it.is_ascii_digit()) {
        return Err(DestinationError::Port);
    }
    text.parse().ok().filter(|port| *port != 0).ok_or(DestinationError::Port)
}
