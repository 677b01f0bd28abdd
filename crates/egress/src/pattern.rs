//! A pattern: which hosts, on which ports, a line of a policy speaks of.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use crate::host::{self, Destination, DestinationError, Host};

/// One entry of a list of domains.
///
/// # Shape
/// - `example.com`: this host. `*.example.com`: every host below it, at any depth, and not itself.
/// - `10.1.2.3`, `[2001:db8::1]`: this address. No name and no wildcard ever stands for an address.
/// - each with `:8443` for one port; without, for the ports of [`crate::Rules::ports`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern {
    who: Who,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Who {
    Exactly(Host),
    /// Everything below this name.
    Below(String),
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It is a URL; a pattern has no scheme, path or user.
    #[error("read `{text}` as a domain: write the host alone, without scheme, path or user")]
    Url {
        /// The text.
        text: String,
    },
    /// A star stands elsewhere than as the whole first label.
    #[error(
        "read `{text}` as a domain: `*` may only be the whole first label, as in `*.example.com`"
    )]
    Star {
        /// The text.
        text: String,
    },
    /// The wildcard spans a whole top-level domain, or everything.
    #[error("read `{text}` as a domain: it spans too much, name at least `*.name.tld`")]
    TooWide {
        /// The text.
        text: String,
    },
    /// An international name in its readable form.
    #[error("read `{text}` as a domain: write an international name in its `xn--` form")]
    International {
        /// The text.
        text: String,
    },
    /// The rest is no host, or no port.
    #[error("read `{text}` as a domain: {why}")]
    Host {
        /// The text.
        text: String,
        /// What is wrong with it.
        why: DestinationError,
    },
}

impl Pattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let owned = || text.to_owned();
        if text.contains(['/', '@', '?', '#', '\\']) {
            return Err(PatternError::Url { text: owned() });
        }
        if !text.is_ascii() {
            return Err(PatternError::International { text: owned() });
        }
        let wrong = |why| PatternError::Host { text: owned(), why };
        // A bare IPv6 address has colons of its own and can have no port.
        let (host, port) = match text.parse::<Ipv6Addr>() {
            Ok(_) => (text, None),
            Err(_) => host::split(text),
        };
        let port = port.map(host::parse_port).transpose().map_err(wrong)?;
        let who = match host.strip_prefix("*.") {
            _ if host == "*" => return Err(PatternError::TooWide { text: owned() }),
            Some(rest) if rest.contains('*') => return Err(PatternError::Star { text: owned() }),
            Some(rest) => match Host::parse(rest).map_err(wrong)? {
                Host::Ip(_) => return Err(PatternError::Star { text: owned() }),
                Host::Name(name) if !name.contains('.') => {
                    return Err(PatternError::TooWide { text: owned() });
                }
                Host::Name(name) => Who::Below(name),
            },
            None if host.contains('*') => return Err(PatternError::Star { text: owned() }),
            None => Who::Exactly(Host::parse(host).map_err(wrong)?),
        };
        Ok(Self { who, port })
    }

    /// Whether it speaks of this host, whatever the port.
    pub fn is_of(&self, host: &Host) -> bool {
        match (&self.who, host) {
            (Who::Exactly(known), host) => known == host,
            (Who::Below(above), Host::Name(name)) => name
                .strip_suffix(above.as_str())
                .is_some_and(|it| it.len() > 1 && it.ends_with('.')),
            (Who::Below(_), Host::Ip(_)) => false,
        }
    }

    /// Whether it speaks of this host on this port, where `ports` are those of a pattern without one.
    pub(crate) fn allows(&self, destination: &Destination, ports: &[u16]) -> bool {
        let port = self
            .port
            .map_or_else(|| ports.contains(&destination.port), |it| it == destination.port);
        port && self.is_of(&destination.host)
    }

    /// Whether it forbids this destination; without a port of its own, on every port.
    pub(crate) fn denies(&self, destination: &Destination) -> bool {
        self.port.is_none_or(|it| it == destination.port) && self.is_of(&destination.host)
    }

    /// Whether it names this very address on this port.
    pub(crate) fn names(&self, ip: IpAddr, port: u16, ports: &[u16]) -> bool {
        self.allows(&Destination { host: Host::Ip(ip), port }, ports)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.who {
            Who::Exactly(host) => host.fmt(f)?,
            Who::Below(name) => write!(f, "*.{name}")?,
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}
