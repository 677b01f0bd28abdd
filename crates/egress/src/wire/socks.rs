//! SOCKS 5 (RFC 1928): the greeting and the request, and the answers to them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Malformed, Parsed};
use crate::host::{Destination, Host};

/// What a client greets with: whether it would go on without a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Greeting {
    /// It offers "no authentication".
    pub no_login: bool,
}

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// A connection.
    Connect(Destination),
    /// BIND, UDP ASSOCIATE, or what is no command.
    OtherCommand,
    /// A kind of address that there is not.
    OtherAddress,
    /// A host that can be none.
    NoHost,
}

/// Answers to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Reply {
    /// Bytes go through from now on.
    Succeeded = 0,
    /// Something here is broken.
    Failure = 1,
    /// The rules forbid it.
    NotAllowed = 2,
    /// The host cannot be reached.
    HostUnreachable = 4,
    /// The command is not served.
    CommandNotSupported = 7,
    /// The kind of address is not known.
    AddressNotSupported = 8,
}

impl Reply {
    /// The answer as it is sent; the address in it is always `0.0.0.0:0`.
    pub fn bytes(self) -> [u8; 10] {
        [5, self as u8, 0, 1, 0, 0, 0, 0, 0, 0]
    }
}

impl Greeting {
    /// Reads a greeting.
    pub fn parse(bytes: &[u8]) -> Parsed<Self> {
        let (Some(version), count) = (bytes.first(), bytes.get(1)) else { return Ok(None) };
        if *version != 5 {
            return Err(Malformed("its version of SOCKS is not 5"));
        }
        let Some(count) = count else { return Ok(None) };
        let end = 2 + usize::from(*count);
        let Some(methods) = bytes.get(2..end) else { return Ok(None) };
        Ok(Some((Self { no_login: methods.contains(&0) }, end)))
    }
}

impl Request {
    /// Reads a request.
    pub fn parse(bytes: &[u8]) -> Parsed<Self> {
        if bytes.first().is_some_and(|it| *it != 5) || bytes.get(2).is_some_and(|it| *it != 0) {
            return Err(Malformed("it is no request of SOCKS 5"));
        }
        let &[_, command, _, kind, ref rest @ ..] = bytes else { return Ok(None) };
        if command != 1 {
            return Ok(Some((Self::OtherCommand, bytes.len())));
        }
        let (host, length) = match kind {
            1 => match rest.first_chunk::<4>() {
                Some(ip) => (Host::parse(&Ipv4Addr::from(*ip).to_string()).ok(), 4),
                None => return Ok(None),
            },
            4 => match rest.first_chunk::<16>() {
                Some(ip) => {
                    let ip = IpAddr::V6(Ipv6Addr::from(*ip)).to_canonical();
                    (Some(Host::Ip(ip)), 16)
                }
                None => return Ok(None),
            },
            3 => {
                let Some(count) = rest.first().map(|it| usize::from(*it)) else { return Ok(None) };
                let Some(name) = rest.get(1..=count) else { return Ok(None) };
                let host = std::str::from_utf8(name).ok().and_then(|it| Host::parse(it).ok());
                (host, 1 + count)
            }
            _ => return Ok(Some((Self::OtherAddress, bytes.len()))),
        };
        let Some(port) = rest.get(length..length + 2) else { return Ok(None) };
        let port = u16::from_be_bytes([port[0], port[1]]);
        let request = match host {
            Some(host) if port != 0 => Self::Connect(Destination { host, port }),
            _ => Self::NoHost,
        };
        Ok(Some((request, 4 + length + 2)))
    }
}
