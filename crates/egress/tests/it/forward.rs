//! A port inside that stands for one address outside.

use std::io::Write;
use std::sync::{Arc, Mutex};

use botpipe_egress::{Bounds, Event, Forward};

use crate::world::{Origin, hear, listener, open, say};

#[test]
fn bytes_go_there_and_back() {
    let model = Origin::new();
    let (listener, address) = listener();
    let forward = Forward::serve(listener, model.address, Bounds::default(), |_| {}).unwrap();
    assert!(say(address, b"ping").ends_with(b"ok"));
    assert!(say(address, b"\x00\xff").ends_with(b"ok"));
    assert_eq!(model.heard()[0], "ping");
    let mut held = open(address);
    held.write_all(b"held").unwrap();
    model.wait_for("held");
    drop(forward);
    hear(&mut held);
    assert_eq!(model.visits(), 3);
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[test]
fn where_nobody_listens_the_connection_ends() {
    let (gone, place) = listener();
    drop(gone);
    let (listener, address) = listener();
    let events = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&events);
    let log = move |event| log.lock().unwrap().push(event);
    let _forward = Forward::serve(listener, place, Bounds::default(), log).unwrap();
    assert_eq!(say(address, b"ping"), b"");
    assert!(matches!(events.lock().unwrap().as_slice(), [Event::Failed { .. }]));
}
