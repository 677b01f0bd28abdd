//! Requests for `http://` URLs, and those in tunnels to the port of HTTP: one for each connection, written anew
//! for the host that was checked.

use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Instant;

use super::door::Shut;
use super::{Guest, reply};
use crate::event::{Event, Via};
use crate::host::{Destination, Host};
use crate::http::{self, Answered, Unread};
use crate::relay::{Carried, Idle, Watched};
use crate::rules::Refusal;
use crate::wire::{self, Form, Request};

/// Serves a request; `said` is what came after its head.
pub(super) fn serve(
    guest: Guest<'_>,
    request: &Request,
    destination: &Destination,
    path: &str,
    said: Vec<u8>,
) {
    let outside = match guest.door.open(destination, Via::Http, guest.seat) {
        Ok(outside) => outside,
        Err(shut) => return reply::shut(guest, destination, &shut),
    };
    exchange(guest, request, (destination, path), said, &outside);
}

/// Serves the request in a tunnel from its first byte on; `said` is what came already. Without this a tunnel would
/// carry anything, and a request for another host of the same server.
pub(super) fn in_tunnel(
    guest: Guest<'_>,
    destination: &Destination,
    by: Via,
    outside: &TcpStream,
    mut said: Vec<u8>,
) {
    let until = Instant::now() + guest.door.bounds.head_time;
    let request = match guest.read(&mut said, until, Request::parse) {
        Ok(request) => Some(request),
        // Made for later, and not used.
        Err(Unread::Gone | Unread::TooSlow) if said.is_empty() => return,
        Err(_) => None,
    };
    let asked = request.ok_or(Refusal::NotHttp).and_then(|request| {
        let (host, path) = asked_for(&request, destination).ok_or(Refusal::NotHttp)?;
        let named = Destination { host, port: destination.port };
        if named != *destination && guest.door.rules.check(&named).is_err() {
            return Err(Refusal::HostField { name: named.host });
        }
        Ok((request, named, path))
    });
    match asked {
        Ok((request, named, path)) => exchange(guest, &request, (&named, &path), said, outside),
        Err(refusal) => {
            let shut = Shut::Refused(refusal);
            guest.door.tell(destination, by, &shut);
            reply::shut(guest, destination, &shut);
        }
    }
}

/// The host that a request in a tunnel names, and the path; nothing where it names none that could be.
fn asked_for(request: &Request, destination: &Destination) -> Option<(Host, String)> {
    match &request.form {
        Form::Absolute(named, path) => Some((named.host.clone(), path.clone())),
        Form::Authority(_) => None,
        Form::Origin(path) => {
            let host = match request.headers.all("host").next() {
                None => destination.host.clone(),
                Some(field) => {
                    let field = std::str::from_utf8(field).ok()?;
                    Destination::with_default(field, Some(destination.port)).ok()?.host
                }
            };
            Some((host, path.clone()))
        }
    }
}

/// Hands a request on, and the answer in.
fn exchange(
    guest: Guest<'_>,
    request: &Request,
    (destination, path): (&Destination, &str),
    said: Vec<u8>,
    outside: &TcpStream,
) {
    let head = head_of(request, destination, path);
    let idle = &Idle::new(guest.door.bounds.idle);
    let inside = guest.stream;
    let up = || {
        let mut to = Watched { socket: outside, idle };
        let from = Watched { socket: inside, idle };
        // A body that breaks off ends the connection, so that nobody takes it for whole.
        http::send(&head, said, from, &mut to, request.framing).unwrap_or_else(|_| {
            let _ = outside.shutdown(Shutdown::Both);
            0
        })
    };
    let carried = thread::scope(|scope| {
        let builder = thread::Builder::new().name("egress up".to_owned());
        let Ok(up) = builder.spawn_scoped(scope, up) else { return Carried::default() };
        let mut from = Watched { socket: outside, idle };
        let mut to = Watched { socket: inside, idle };
        let answered = http::hand_in(&mut from, &mut to, &request.method, guest.door.bounds.head);
        let received = match answered {
            Answered::Whole(count) => count,
            Answered::Broken => 0,
            Answered::Unusable(why) => {
                let said = format!("`{destination}` is allowed, but of no use: {why}.");
                http::answer(inside, "502 Bad Gateway", &said);
                0
            }
        };
        // The answer is over: what is still to be sent is of no use to anybody.
        let _ = outside.shutdown(Shutdown::Both);
        let _ = inside.shutdown(Shutdown::Write);
        let _ = inside.shutdown(Shutdown::Read);
        Carried { sent: up.join().unwrap_or(0), received }
    });
    guest.tell(Event::closed(destination.clone(), carried));
}

/// The head as it goes out.
fn head_of(request: &Request, destination: &Destination, path: &str) -> Vec<u8> {
    let Request { method, minor, headers, framing, .. } = request;
    let host = destination.authority(80);
    let mut head = format!("{method} {path} HTTP/1.{minor}\r\nHost: {host}\r\n").into_bytes();
    wire::finish_head(&mut head, headers.end_to_end(|_| false), *framing);
    head
}
