//! A plain relay: a port inside the sandbox stands for one address of the host.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};

use crate::bounds::Bounds;
use crate::event::{Event, Via};
use crate::host::{Destination, Host};
use crate::relay;
use crate::serving::Serving;

/// A relay to one address; dropping it ends it.
///
/// It checks nothing: who makes one decides. For a model that is served on the host's own loopback,
/// named by the person's configuration and nothing else.
#[derive(Debug)]
pub struct Forward(#[expect(dead_code, reason = "serves until it is dropped")] Serving);

impl Forward {
    /// Carries every connection on `listener` to `address`.
    pub fn serve(
        listener: TcpListener,
        address: SocketAddr,
        bounds: Bounds,
        log: impl Fn(Event) + Send + Sync + Clone + 'static,
    ) -> io::Result<Self> {
        let destination = Destination { host: Host::Ip(address.ip()), port: address.port() };
        let by = Via::Forward;
        let full = log.clone();
        let serve = move |inside: TcpStream, seat: crate::serving::Seat| {
            let dialled = TcpStream::connect_timeout(&address, bounds.dial_time)
                .and_then(|it| seat.hold(&it).map(|()| it));
            match dialled {
                Ok(outside) => {
                    log(Event::Allowed { destination: destination.clone(), address, by });
                    let carried = relay::both_ways(&inside, &outside, bounds.idle);
                    log(Event::closed(destination.clone(), carried));
                }
                Err(error) => {
                    log(Event::Failed {
                        destination: destination.clone(),
                        reason: error.to_string(),
                        by,
                    });
                }
            }
        };
        Serving::start(listener, bounds.connections, serve, move || full(Event::Full)).map(Self)
    }
}
