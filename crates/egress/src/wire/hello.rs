//! The first message of a TLS handshake, read for the host it names.

use std::fmt;

use rustls::server::Acceptor;

use crate::host::Host;

/// What a `ClientHello` says of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerName {
    /// It names this one.
    Named(Host),
    /// It names none, or something that is no host name (an address).
    Absent,
    /// It is no `ClientHello` that a server would take.
    NotTls,
}

/// A `ClientHello` as it arrives, in as many records and pieces as it likes.
#[derive(Default)]
pub struct Hello(Acceptor);

impl fmt::Debug for Hello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hello")
    }
}

impl Hello {
    /// Takes the next bytes; the answer comes with the last of the message.
    ///
    /// # Order
    /// Not to be called again once it has answered.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Option<ServerName> {
        while !bytes.is_empty() {
            if self.0.read_tls(&mut bytes).is_err() {
                return Some(ServerName::NotTls);
            }
            match self.0.accept() {
                Ok(None) => {}
                Ok(Some(accepted)) => {
                    let name = accepted.client_hello().server_name().map(Host::parse);
                    return Some(match name {
                        Some(Ok(host @ Host::Name(_))) => ServerName::Named(host),
                        _ => ServerName::Absent,
                    });
                }
                Err(_) => return Some(ServerName::NotTls),
            }
        }
        None
    }
}
