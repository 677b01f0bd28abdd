//! Requests for `http://` URLs: one for each connection, written anew for the host that was checked.

use std::net::Shutdown;
use std::thread;

use super::{Guest, reply};
use crate::event::{Event, Via};
use crate::host::Destination;
use crate::http::{self, Answered};
use crate::relay::{Carried, Idle, Watched};
use crate::wire::{self, Request};

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
    let head = head_of(request, destination, path);
    let idle = &Idle::new(guest.door.bounds.idle);
    let inside = guest.stream;
    let up = || {
        let mut to = Watched { socket: &outside, idle };
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
        let mut from = Watched { socket: &outside, idle };
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
