//! Tunnels: CONNECT, and the part of SOCKS after its greeting. To the ports of TLS and of HTTP they carry that alone.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use super::door::Shut;
use super::{Guest, plain, reply};
use crate::event::{Event, Via};
use crate::host::{Destination, Host};
use crate::relay::{self, Hurried};
use crate::rules::Refusal;
use crate::wire::{Hello, ServerName};

/// The port that carries TLS and nothing else.
const TLS: u16 = 443;
/// The port that carries HTTP and nothing else.
const HTTP: u16 = 80;

/// The alert of a server that a client may not speak to (RFC 8446, section 6): fatal, `access_denied`.
const ACCESS_DENIED: [u8; 7] = [21, 3, 3, 0, 2, 2, 49];

/// Serves a CONNECT; `said` is what came after its head.
pub(super) fn serve(guest: Guest<'_>, destination: &Destination, said: &[u8]) {
    match guest.door.open(destination, Via::Connect, guest.seat) {
        Ok(outside) => {
            let answer = b"HTTP/1.1 200 Connection Established\r\n\r\n";
            if { guest.stream }.write_all(answer).is_ok() {
                tunnel(guest, destination, Via::Connect, &outside, said.to_vec());
            }
        }
        Err(shut) => reply::shut(guest, destination, &shut),
    }
}

/// Carries a tunnel from its first byte on; `said` is what came already.
pub(super) fn tunnel(
    guest: Guest<'_>,
    destination: &Destination,
    by: Via,
    outside: &TcpStream,
    mut said: Vec<u8>,
) {
    if destination.port == HTTP {
        return plain::in_tunnel(guest, destination, by, outside, said);
    }
    if destination.port == TLS {
        let Some(name) = read_hello(guest, &mut said) else { return };
        if let Err(refusal) = check_name(guest, destination, name) {
            let tls = refusal != Refusal::NotTls;
            guest.door.tell(destination, by, &Shut::Refused(refusal));
            if tls {
                let _ = { guest.stream }.write_all(&ACCESS_DENIED);
            }
            return relay::close_gently(guest.stream);
        }
    }
    if { outside }.write_all(&said).is_ok() {
        let mut carried = relay::both_ways(guest.stream, outside, guest.door.bounds.idle);
        carried.sent += said.len() as u64;
        guest.tell(Event::closed(destination.clone(), carried));
    }
}

/// Reads to the end of the `ClientHello`; nothing if the other end is gone or had its time.
fn read_hello(guest: Guest<'_>, said: &mut Vec<u8>) -> Option<ServerName> {
    let until = Instant::now() + guest.door.bounds.head_time;
    let mut from = Hurried { socket: guest.stream, until };
    let mut hello = Hello::default();
    let mut answer = hello.feed(said);
    let mut piece = [0; 4096];
    while answer.is_none() {
        if said.len() >= guest.door.bounds.head {
            return Some(ServerName::NotTls);
        }
        let count = from.read(&mut piece).ok().filter(|it| *it > 0)?;
        said.extend_from_slice(&piece[..count]);
        answer = hello.feed(&piece[..count]);
    }
    answer
}

/// Judges the host that the handshake names.
fn check_name(
    guest: Guest<'_>,
    destination: &Destination,
    name: ServerName,
) -> Result<(), Refusal> {
    match name {
        ServerName::Named(name) => {
            let named = Destination { host: name, port: destination.port };
            let known = guest.door.rules.check(&named).is_ok();
            known.then_some(()).ok_or(Refusal::ServerName { name: named.host })
        }
        ServerName::Absent if matches!(destination.host, Host::Ip(_)) => Ok(()),
        ServerName::Absent => Err(Refusal::NoServerName),
        ServerName::NotTls => Err(Refusal::NotTls),
    }
}
