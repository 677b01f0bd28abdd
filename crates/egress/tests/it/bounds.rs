//! What is slow, long, too many or silent ends; and so does everything when the proxy is dropped.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::Duration;

use botpipe_egress::{Bounds, Event, Resolver};

use crate::hellos;
use crate::world::{Origin, Served, allowing, at, hear, open};

fn served(good: &Origin, bounds: Bounds) -> Served {
    let mut rules = allowing(&["good.example"]);
    // A tunnel to that port carries anything.
    rules.ports.push(8080);
    rules.resolve = at(&[("good.example", good.address)]);
    Served::with(rules, bounds, Resolver::default())
}

fn hurried() -> Bounds {
    Bounds { head_time: Duration::from_millis(200), ..Bounds::default() }
}

/// Says a byte now and then, for as long as somebody listens, then says what was answered.
fn dribble(served: &Served, first: &[u8], rest: &[u8]) -> Vec<u8> {
    let mut stream = open(served.address);
    stream.write_all(first).unwrap();
    for byte in rest.iter().cycle() {
        if stream.write_all(&[*byte]).is_err() {
            break;
        }
        thread::sleep(Duration::from_millis(10));
    }
    hear(&mut stream)
}

#[test]
fn a_head_that_takes_too_long_reaches_nobody() {
    let good = Origin::new();
    let served = served(&good, hurried());
    let mut silent = open(served.address);
    silent.write_all(b"CONNECT good.example:80 HTTP/1.1\r\n").unwrap();
    assert!(hear(&mut silent).starts_with(b"HTTP/1.1 408 "));
    dribble(&served, b"CONNECT good.example:80 HTTP/1.1\r\nX-A: ", b"a");
    dribble(&served, b"\x05\xff", b"\x00");
    assert_eq!(open(served.address).read(&mut [0]).unwrap(), 0, "not a word is too slow as well");
    assert_eq!(good.visits(), 0);
}

#[test]
fn of_a_handshake_that_takes_too_long_nothing_goes_on() {
    let good = Origin::new();
    let served = served(&good, hurried());
    let hello = hellos::named("good.example");
    let first = [b"CONNECT good.example:443 HTTP/1.1\r\n\r\n", &hello[..40]].concat();
    let mut silent = open(served.address);
    silent.write_all(&first).unwrap();
    hear(&mut silent);
    assert_eq!(good.heard(), [""]);
}

#[test]
fn a_head_that_is_too_long_reaches_nobody() {
    let good = Origin::new();
    let served = served(&good, Bounds { head: 4096, ..Bounds::default() });
    let long = "a".repeat(10_000);
    let begins = |said: String| served.ask(&said).lines().next().unwrap_or_default().to_owned();
    let field = format!("CONNECT good.example:80 HTTP/1.1\r\nX-A: {long}\r\n\r\nping");
    assert_eq!(begins(field), "HTTP/1.1 431 Request Header Fields Too Large");
    let name = format!("CONNECT {long}.example:80 HTTP/1.1\r\n\r\nping");
    assert_eq!(begins(name), "HTTP/1.1 431 Request Header Fields Too Large");
    let many = "a: b\r\n".repeat(200);
    let fields = format!("CONNECT good.example:80 HTTP/1.1\r\n{many}\r\nping");
    assert_eq!(begins(fields), "HTTP/1.1 400 Bad Request");
    assert_eq!(good.visits(), 0);
}

#[test]
fn of_a_handshake_that_is_too_long_nothing_goes_on() {
    let good = Origin::new();
    let served = served(&good, Bounds { head: 4096, ..Bounds::default() });
    let mut hello = vec![1, 0, 0xff, 0];
    hello.resize(20_000, 0);
    let hello = hellos::in_records(&[&[22, 3, 1, 0, 0], hello.as_slice()].concat(), 1000);
    served.say(&[b"CONNECT good.example:443 HTTP/1.1\r\n\r\n", hello.as_slice()].concat());
    assert_eq!(good.heard(), [""]);
}

#[test]
fn there_are_so_many_connections_and_no_more() {
    let good = Origin::new();
    let served = served(&good, Bounds { connections: 2, ..Bounds::default() });
    let (first, _second) = (open(served.address), open(served.address));
    let mut third = open(served.address);
    let _ = third.write_all(b"CONNECT good.example:8080 HTTP/1.1\r\n\r\nping");
    assert_eq!(hear(&mut third), b"");
    assert_eq!(good.visits(), 0);
    served.wait_for(&Event::Full);
    drop(first);
    // The place is free as soon as the proxy has seen that.
    let again = || served.ask("CONNECT good.example:8080 HTTP/1.1\r\n\r\nping");
    assert!((0..1000).any(|_| {
        thread::sleep(Duration::from_millis(5));
        again().starts_with("HTTP/1.1 200")
    }));
}

#[test]
fn a_tunnel_in_which_nothing_moves_ends() {
    let good = Origin::new();
    let served = served(&good, Bounds { idle: Duration::from_millis(200), ..Bounds::default() });
    let mut stream = open(served.address);
    stream.write_all(b"CONNECT good.example:8080 HTTP/1.1\r\n\r\nping").unwrap();
    assert!(hear(&mut stream).ends_with(b"ok"));
    assert_eq!(good.heard(), ["ping"]);
}

#[test]
fn what_is_half_closed_still_hears_the_answer() {
    let good = Origin::new();
    let served = served(&good, Bounds::default());
    let mut stream = open(served.address);
    stream.write_all(b"CONNECT good.example:8080 HTTP/1.1\r\n\r\n").unwrap();
    stream.write_all(b"ping").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert!(hear(&mut stream).ends_with(b"ok"));
}

#[test]
fn with_the_proxy_everything_ends() {
    let good = Origin::new();
    let served = served(&good, Bounds::default());
    let mut tunnel = open(served.address);
    tunnel.write_all(b"CONNECT good.example:8080 HTTP/1.1\r\n\r\nping").unwrap();
    good.wait_for("ping");
    let mut asking = open(served.address);
    asking.write_all(b"CONNECT good.").unwrap();
    drop(served.proxy);
    hear(&mut tunnel);
    hear(&mut asking);
    assert_eq!(good.heard(), ["ping"]);
    assert!(std::net::TcpStream::connect(served.address).is_err());
}
