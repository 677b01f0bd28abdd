//! A port that stands for one API: requests go on to it with the real key, which never comes inside.

mod tls;
mod upstream;

use std::io::{self, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use crate::bounds::Bounds;
use crate::event::{Event, Via};
use crate::http::{self, Answered, Unread};
use crate::relay::{self, Carried, Hurried, Idle, Watched};
use crate::serving::{Seat, Serving};
use crate::wire::{self, Form, Malformed, Request};
pub use upstream::{EndpointError, Roots, Secret, Upstream};
use upstream::{Link, Way};

/// A small reverse proxy to one API; dropping it ends it, and every request on its way.
///
/// Whatever key the program inside sends is taken off, and the real one put in its place. Answers are
/// handed in as they come, event streams too. One request for each connection. What the API itself
/// says of its caller, the program reads: an API that repeats the key has told it.
#[derive(Debug)]
pub struct Endpoint(#[expect(dead_code, reason = "serves until it is dropped")] Serving);

impl Endpoint {
    /// Serves plain HTTP/1 on `listener`, for the API that `upstream` describes.
    ///
    /// # Errors
    /// When the URL, a header or the certificates cannot be used, or the listener cannot.
    pub fn serve(
        listener: TcpListener,
        upstream: &Upstream,
        bounds: Bounds,
        log: impl Fn(Event) + Send + Sync + 'static,
    ) -> Result<Self, EndpointError> {
        let way = upstream.way()?;
        let log = Arc::new(log);
        let full = Arc::clone(&log);
        let serve = move |inside: TcpStream, seat: Seat| {
            let log: &(dyn Fn(Event) + Send + Sync) = &*log;
            Caller { way: &way, bounds, seat: &seat, inside: &inside, log }.serve();
        };
        Serving::start(listener, bounds.connections, serve, move || full(Event::Full))
            .map(Self)
            .map_err(|source| EndpointError::Listener { source })
    }
}

/// A connection from inside, and where its request goes.
struct Caller<'a> {
    way: &'a Way,
    bounds: Bounds,
    seat: &'a Seat,
    inside: &'a TcpStream,
    log: &'a (dyn Fn(Event) + Send + Sync),
}

impl Caller<'_> {
    fn serve(&self) {
        let mut said = Vec::new();
        let mut from =
            Hurried { socket: self.inside, until: Instant::now() + self.bounds.head_time };
        let read = http::read_whole(&mut from, &mut said, self.bounds.head, Request::parse);
        let head = read.and_then(|request| {
            let head = self.head_of(&request).map_err(Unread::Malformed)?;
            Ok((request, head))
        });
        match head {
            Ok((request, head)) => self.forward(&request, &head, said),
            Err(unread) => {
                let Some((status, what)) = unread.fault() else { return };
                (self.log)(Event::Malformed { what });
                let said = format!("This is no request that this endpoint serves: {what}.");
                http::answer(self.inside, status, &said);
                relay::close_gently(self.inside);
            }
        }
    }

    /// The head as it goes out, with the real key.
    fn head_of(&self, request: &Request) -> Result<Vec<u8>, Malformed> {
        let Form::Origin(path) = &request.form else {
            return Err(Malformed("its destination is no path"));
        };
        // TRACE has the other end repeat what it was sent, the key with it.
        if request.method.eq_ignore_ascii_case("TRACE") {
            return Err(Malformed("TRACE is not served"));
        }
        if climbs(path) {
            return Err(Malformed("its path has `.` or `..` as a segment"));
        }
        let Request { method, minor, headers, framing, .. } = request;
        let (base, host) = (&self.way.base, self.way.destination.authority(self.way.usual_port()));
        let first = format!("{method} {base}{path} HTTP/1.{minor}\r\nHost: {host}\r\n");
        let mut head = first.into_bytes();
        let kept = headers.end_to_end(|name| name == "expect" || self.way.replaces(name));
        let keys = self.way.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        wire::finish_head(&mut head, kept.chain(keys), *framing);
        Ok(head)
    }

    fn forward(&self, request: &Request, head: &[u8], said: Vec<u8>) {
        let destination = self.way.destination.clone();
        let by = Via::Endpoint;
        let idle = &Idle::new(self.bounds.idle);
        let dialled = self.way.dial(self.bounds, self.seat);
        let answered = dialled.and_then(|(socket, address)| {
            (self.log)(Event::Allowed { destination: destination.clone(), address, by });
            let mut link = self.way.link(Watched { socket: &socket, idle })?;
            let done = self.exchange(request, head, said, link.as_mut(), idle);
            let _ = socket.shutdown(Shutdown::Both);
            done
        });
        match answered {
            Ok((sent, Answered::Whole(received))) => {
                (self.log)(Event::closed(destination, Carried { sent, received }));
            }
            Ok((sent, Answered::Broken)) => {
                (self.log)(Event::closed(destination, Carried { sent, received: 0 }));
            }
            Ok((_, Answered::Unusable(why))) => self.fail(why.to_owned()),
            Err(error) => self.fail(error.to_string()),
        }
        relay::close_gently(self.inside);
    }

    /// Sends the request, then hands the answer in.
    fn exchange(
        &self,
        request: &Request,
        head: &[u8],
        said: Vec<u8>,
        mut link: &mut dyn Link,
        idle: &Idle,
    ) -> io::Result<(u64, Answered)> {
        if request.headers.all("expect").any(|it| it.eq_ignore_ascii_case(b"100-continue")) {
            { self.inside }.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let from = Watched { socket: self.inside, idle };
        let sent = match http::send(head, said, from, &mut link, request.framing) {
            Ok(count) => count,
            // The body itself is broken: nothing that is said to it is of use.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
                ) =>
            {
                return Err(error);
            }
            // The API has stopped listening, perhaps because it has said why.
            Err(_) => head.len() as u64,
        };
        let mut to = Watched { socket: self.inside, idle };
        Ok((sent, http::hand_in(&mut link, &mut to, &request.method, self.bounds.head)))
    }

    fn fail(&self, reason: String) {
        let destination = self.way.destination.clone();
        let said = format!("The API at `{destination}` could not be asked: {reason}.");
        (self.log)(Event::Failed { destination, reason, by: Via::Endpoint });
        http::answer(self.inside, "502 Bad Gateway", &said);
    }
}

/// Whether a path could lead out of the base path, in any of the ways that servers read it.
fn climbs(path: &str) -> bool {
    let path = path.split('?').next().unwrap_or(path).to_ascii_lowercase();
    let plain = path.replace("%2e", ".").replace("%2f", "/").replace("%5c", "/");
    // A segment's parameters (`..;a`) are cut off by some.
    plain.split('/').any(|it| matches!(it.split(';').next(), Some("." | "..")))
}
