//! The one door to the outside: a destination is checked by its name, found, checked by its address, and dialled.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Instant;

use super::Resolver;
use crate::address::{self, Special};
use crate::bounds::Bounds;
use crate::event::{Event, Via};
use crate::host::{Destination, Host};
use crate::rules::{Refusal, Rules};
use crate::serving::Seat;

/// What all connections of a proxy share.
pub(super) struct Door {
    pub(super) rules: Rules,
    pub(super) bounds: Bounds,
    pub(super) resolver: Resolver,
    pub(super) log: Box<dyn Fn(Event) + Send + Sync>,
}

/// Why there is no connection.
pub(super) enum Shut {
    Refused(Refusal),
    Failed(String),
}

impl Door {
    /// Connects to a destination if the rules permit it, and logs what came of it.
    pub(super) fn open(
        &self,
        destination: &Destination,
        by: Via,
        seat: &Seat,
    ) -> Result<TcpStream, Shut> {
        let opened = self.addresses(destination).and_then(|all| self.dial(&all, seat));
        match opened {
            Ok((stream, address)) => {
                (self.log)(Event::Allowed { destination: destination.clone(), address, by });
                Ok(stream)
            }
            Err(shut) => {
                self.tell(destination, by, &shut);
                Err(shut)
            }
        }
    }

    /// Logs why there is no connection.
    pub(super) fn tell(&self, destination: &Destination, by: Via, shut: &Shut) {
        let destination = destination.clone();
        (self.log)(match shut {
            Shut::Refused(refusal) => Event::Refused { destination, refusal: refusal.clone(), by },
            Shut::Failed(reason) => Event::Failed { destination, reason: reason.clone(), by },
        });
    }

    /// The addresses that may be dialled for a destination. DNS is asked once, and for allowed names only.
    fn addresses(&self, destination: &Destination) -> Result<Vec<SocketAddr>, Shut> {
        self.rules.check(destination).map_err(Shut::Refused)?;
        if let Some(address) = self.rules.resolve.get(&destination.host) {
            return Ok(vec![*address]);
        }
        let name = match &destination.host {
            // It passed, so it is listed itself.
            Host::Ip(ip) => return Ok(vec![SocketAddr::new(*ip, destination.port)]),
            Host::Name(name) => name,
        };
        let found = (self.resolver.0)(name).map_err(|error| Shut::Failed(error.to_string()))?;
        let mut refused = None;
        let mut good = Vec::new();
        for ip in found.into_iter().map(|it| it.to_canonical()) {
            match self.check_address(ip, destination.port) {
                Ok(()) => good.push(SocketAddr::new(ip, destination.port)),
                Err(refusal) => refused = Some(refusal),
            }
        }
        match refused {
            Some(refusal) if good.is_empty() => Err(Shut::Refused(refusal)),
            None if good.is_empty() => Err(Shut::Failed("the name has no address".to_owned())),
            _ => Ok(good),
        }
    }

    /// Judges an address that a name led to.
    fn check_address(&self, ip: IpAddr, port: u16) -> Result<(), Refusal> {
        if let Some(pattern) = self.rules.denied(ip, port) {
            return Err(Refusal::Denied { pattern: pattern.clone() });
        }
        if self.rules.names(ip, port) {
            return Ok(());
        }
        let own = || address::is_own(ip).then_some(Special::Own);
        match address::special(ip).or_else(own) {
            Some(kind) => Err(Refusal::Address { ip, kind }),
            None => Ok(()),
        }
    }

    /// Connects to the first address that answers.
    fn dial(&self, all: &[SocketAddr], seat: &Seat) -> Result<(TcpStream, SocketAddr), Shut> {
        let until = Instant::now() + self.bounds.dial_time;
        let mut last = io::Error::from(io::ErrorKind::TimedOut);
        for (at, address) in all.iter().enumerate() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            // An address that swallows everything leaves time for the ones after it.
            let share = left / u32::try_from(all.len() - at).unwrap_or(u32::MAX).min(2);
            let dialled = TcpStream::connect_timeout(address, share);
            match dialled.and_then(|it| seat.hold(&it).map(|()| it)) {
                Ok(stream) => {
                    let _ = stream.set_nodelay(true);
                    return Ok((stream, *address));
                }
                Err(error) => last = error,
            }
        }
        Err(Shut::Failed(last.to_string()))
    }
}
