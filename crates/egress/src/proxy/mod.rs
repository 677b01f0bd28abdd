//! The allow-list proxy: CONNECT, `http://` requests and SOCKS5 on one port.

mod connect;
mod door;
mod plain;
mod reply;
mod socks;

use std::fmt;
use std::io;
use std::net::{IpAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Instant;

use crate::bounds::Bounds;
use crate::event::Event;
use crate::http::{self, Unread};
use crate::relay::{self, Hurried};
use crate::rules::Rules;
use crate::serving::{Seat, Serving};
use crate::wire::{self, Form, Malformed, Parsed};
use door::Door;

/// An allow-list proxy; dropping it ends it, and every connection through it.
///
/// What asks for more than the rules permit gets no connection: over HTTP `403` with a short text that
/// names the host and the line of policy that would permit it, over SOCKS reply 2. A tunnel to port
/// 443 carries nothing before a TLS handshake has named an allowed host; to an address that the rules
/// list, which TLS has no name for, it may name none.
#[derive(Debug)]
pub struct Proxy(#[expect(dead_code, reason = "serves until it is dropped")] Serving);

/// Asks DNS, or something else, for the addresses of a name.
#[derive(Clone)]
pub struct Resolver(Arc<Ask>);

type Ask = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

impl Resolver {
    /// A resolver of one's own. It may block; what it answers is checked like what DNS answers.
    pub fn new(ask: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }
}

impl Default for Resolver {
    /// The system's.
    fn default() -> Self {
        Self::new(|name| Ok((name, 0).to_socket_addrs()?.map(|it| it.ip()).collect()))
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}

impl Proxy {
    /// Serves on `listener` by these rules, with the usual bounds and the system's resolver.
    pub fn serve(
        listener: TcpListener,
        rules: Rules,
        log: impl Fn(Event) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::serve_with(listener, rules, Bounds::default(), Resolver::default(), log)
    }

    /// Serves on `listener` by these rules.
    pub fn serve_with(
        listener: TcpListener,
        rules: Rules,
        bounds: Bounds,
        resolver: Resolver,
        log: impl Fn(Event) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let log = Arc::new(log);
        let full = Arc::clone(&log);
        let door = Door { rules, bounds, resolver, log: Box::new(move |event| log(event)) };
        let serve = move |stream: TcpStream, seat: Seat| {
            Guest { door: &door, seat: &seat, stream: &stream }.serve();
        };
        Serving::start(listener, bounds.connections, serve, move || full(Event::Full)).map(Self)
    }
}

/// A connection from inside, and what it is served with.
#[derive(Clone, Copy)]
struct Guest<'a> {
    door: &'a Door,
    seat: &'a Seat,
    stream: &'a TcpStream,
}

impl Guest<'_> {
    fn serve(self) {
        let mut said = Vec::new();
        let until = Instant::now() + self.door.bounds.head_time;
        let first = |bytes: &[u8]| Ok(bytes.first().map(|it| (*it, 0)));
        match self.read(&mut said, until, first) {
            Ok(5) => socks::serve(self, said, until),
            Ok(_) => self.http(said, until),
            Err(_) => {}
        }
    }

    fn http(self, mut said: Vec<u8>, until: Instant) {
        let request = match self.read(&mut said, until, wire::Request::parse) {
            Ok(request) => request,
            Err(unread) => return self.unread(&unread),
        };
        match &request.form {
            Form::Authority(destination) => connect::serve(self, destination, &said),
            Form::Absolute(destination, path) => {
                plain::serve(self, &request, destination, path, said);
            }
            Form::Origin(_) => {
                let what = Malformed("its destination is a path, and this is a proxy");
                self.unread(&Unread::Malformed(what));
            }
        }
    }

    /// Reads until `parse` has found what it looks for; what came after that is left in `said`.
    fn read<T>(
        self,
        said: &mut Vec<u8>,
        until: Instant,
        parse: impl Fn(&[u8]) -> Parsed<T>,
    ) -> Result<T, Unread> {
        http::read_whole(
            &mut Hurried { socket: self.stream, until },
            said,
            self.door.bounds.head,
            parse,
        )
    }

    /// Says what is wrong with a request, and closes.
    fn unread(self, unread: &Unread) {
        let Some((status, what)) = unread.fault() else { return };
        self.tell(Event::Malformed { what });
        let said = format!("This is no request that this proxy serves: {what}.");
        http::answer(self.stream, status, &said);
        relay::close_gently(self.stream);
    }

    fn tell(self, event: Event) {
        (self.door.log)(event);
    }
}
