//! SOCKS5: a greeting without a login, CONNECT by name or address, and nothing else.

use std::io::Write;
use std::time::Instant;

use super::door::Shut;
use super::{Guest, connect};
use crate::event::{Event, Via};
use crate::http::Unread;
use crate::relay;
use crate::wire::socks::{Greeting, Reply, Request};

/// Serves a SOCKS client from its first byte on.
pub(super) fn serve(guest: Guest<'_>, mut said: Vec<u8>, until: Instant) {
    let greeting = match guest.read(&mut said, until, Greeting::parse) {
        Ok(greeting) => greeting,
        Err(unread) => return malformed(guest, &unread, None),
    };
    let method = if greeting.no_login { 0 } else { 0xff };
    if { guest.stream }.write_all(&[5, method]).is_err() {
        return;
    }
    if !greeting.no_login {
        guest.tell(Event::Malformed { what: "it insists on a login" });
        return relay::close_gently(guest.stream);
    }
    let destination = match guest.read(&mut said, until, Request::parse) {
        Ok(Request::Connect(destination)) => destination,
        Ok(Request::OtherCommand) => {
            return refuse(guest, "only CONNECT is served", Reply::CommandNotSupported);
        }
        Ok(Request::OtherAddress) => {
            return refuse(guest, "its kind of address is not known", Reply::AddressNotSupported);
        }
        Ok(Request::NoHost) => return refuse(guest, "its host can be none", Reply::NotAllowed),
        Err(unread) => return malformed(guest, &unread, Some(Reply::Failure)),
    };
    match guest.door.open(&destination, Via::Socks, guest.seat) {
        Ok(outside) => {
            if { guest.stream }.write_all(&Reply::Succeeded.bytes()).is_ok() {
                connect::tunnel(guest, &destination, Via::Socks, &outside, said);
            }
        }
        Err(Shut::Refused(_)) => answer(guest, Reply::NotAllowed),
        Err(Shut::Failed(_)) => answer(guest, Reply::HostUnreachable),
    }
}

fn malformed(guest: Guest<'_>, unread: &Unread, reply: Option<Reply>) {
    let what = match unread {
        Unread::Malformed(malformed) => malformed.0,
        Unread::TooLong => "its request is too long",
        Unread::TooSlow => "its request took too long",
        Unread::Gone => return,
    };
    guest.tell(Event::Malformed { what });
    if let Some(reply) = reply {
        answer(guest, reply);
    }
}

fn refuse(guest: Guest<'_>, what: &'static str, reply: Reply) {
    guest.tell(Event::Malformed { what });
    answer(guest, reply);
}

/// Answers, and closes.
fn answer(guest: Guest<'_>, reply: Reply) {
    let _ = { guest.stream }.write_all(&reply.bytes());
    relay::close_gently(guest.stream);
}
