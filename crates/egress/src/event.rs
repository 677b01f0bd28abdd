//! What a listener tells of what went through it.

use std::fmt;
use std::net::SocketAddr;

use crate::host::Destination;
use crate::relay::Carried;
use crate::rules::Refusal;

/// How a program asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// `CONNECT host:port`
    Connect,
    /// A request for an `http://` URL.
    Http,
    /// SOCKS5.
    Socks,
    /// A port that stands for one address.
    Forward,
    /// A port that stands for one API.
    Endpoint,
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "CONNECT",
            Self::Http => "HTTP",
            Self::Socks => "SOCKS",
            Self::Forward => "a forwarded port",
            Self::Endpoint => "an endpoint",
        })
    }
}

/// Something a log may want to keep. No text in it is a program's own: hosts are checked ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A connection to an allowed host was made.
    Allowed {
        /// Where it goes.
        destination: Destination,
        /// The address that was checked and dialled.
        address: SocketAddr,
        /// How it was asked for.
        by: Via,
    },
    /// Something was asked for that the rules do not permit.
    Refused {
        /// Where it was to go.
        destination: Destination,
        /// Why, and what would permit it.
        refusal: Refusal,
        /// How it was asked for.
        by: Via,
    },
    /// An allowed host could not be reached.
    Failed {
        /// Where it was to go.
        destination: Destination,
        /// The system's reason.
        reason: String,
        /// How it was asked for.
        by: Via,
    },
    /// What came in is no request of a kind that is served.
    Malformed {
        /// What is wrong with it.
        what: &'static str,
    },
    /// A connection to an allowed host is over.
    Closed {
        /// Where it went.
        destination: Destination,
        /// Bytes that left.
        sent: u64,
        /// Bytes that came back.
        received: u64,
    },
    /// A connection was closed at once, because there are as many as there may be.
    Full,
}

impl Event {
    pub(crate) fn closed(destination: Destination, carried: Carried) -> Self {
        Self::Closed { destination, sent: carried.sent, received: carried.received }
    }
}
