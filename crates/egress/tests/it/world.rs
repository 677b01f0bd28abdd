//! Servers that remember who reached them, and a proxy before them.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use botpipe_egress::{Allow, Bounds, Event, Host, Layer, Pattern, Proxy, Resolver, Rules};

/// What every origin answers, once it has heard something.
pub(crate) const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A connection as an origin saw it.
#[derive(Debug, Clone, Default)]
struct Visit {
    from: u16,
    heard: Vec<u8>,
    over: bool,
}

/// A server on loopback that records every connection and all it was told.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    seen: Arc<(Mutex<Vec<Visit>>, Condvar)>,
}

impl Origin {
    pub(crate) fn new() -> Self {
        Self::answering(ANSWER)
    }

    /// One that answers with these bytes.
    pub(crate) fn answering(answer: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let ours = Arc::clone(&seen);
        thread::spawn(move || {
            while let Ok((stream, from)) = listener.accept() {
                let mut visits = ours.0.lock().unwrap();
                let at = visits.len();
                visits.push(Visit { from: from.port(), ..Visit::default() });
                drop(visits);
                ours.1.notify_all();
                let ours = Arc::clone(&ours);
                thread::spawn(move || listen(stream, at, answer, &ours));
            }
        });
        Self { address, seen }
    }

    /// What each connection so far said, all of them over.
    ///
    /// A connection of our own comes after them: whoever was before is in the list when it is.
    pub(crate) fn heard(&self) -> Vec<String> {
        let mark = TcpStream::connect(self.address).unwrap();
        let port = mark.local_addr().unwrap().port();
        let (visits, changed) = &*self.seen;
        let mut visits = visits.lock().unwrap();
        loop {
            let others: Vec<_> = visits.iter().filter(|it| it.from != port).cloned().collect();
            if others.len() < visits.len() && others.iter().all(|it| it.over) {
                let text = |it: &Visit| String::from_utf8_lossy(&it.heard).into_owned();
                let told = others.iter().filter(|it| it.heard != b"(mark)").map(text).collect();
                drop(visits);
                { &mark }.write_all(b"(mark)").unwrap();
                return told;
            }
            let (next, late) = changed.wait_timeout(visits, Duration::from_secs(20)).unwrap();
            assert!(!late.timed_out(), "a connection is still open: {others:?}");
            visits = next;
        }
    }

    /// How many connections there were so far.
    pub(crate) fn visits(&self) -> usize {
        self.heard().len()
    }

    /// Waits until somebody has said this.
    pub(crate) fn wait_for(&self, what: &str) {
        let (visits, changed) = &*self.seen;
        let mut visits = visits.lock().unwrap();
        while !visits.iter().any(|it| String::from_utf8_lossy(&it.heard).contains(what)) {
            let (next, late) = changed.wait_timeout(visits, Duration::from_secs(20)).unwrap();
            assert!(!late.timed_out(), "nobody said `{what}`");
            visits = next;
        }
    }
}

fn listen(mut stream: TcpStream, at: usize, answer: &[u8], seen: &(Mutex<Vec<Visit>>, Condvar)) {
    let mut buffer = [0; 4096];
    let mut answered = false;
    loop {
        let count = stream.read(&mut buffer).unwrap_or(0);
        let mut visits = seen.0.lock().unwrap();
        let visit = &mut visits[at];
        visit.heard.extend_from_slice(&buffer[..count]);
        visit.over = count == 0;
        let now = !answered && is_whole(&visit.heard);
        drop(visits);
        seen.1.notify_all();
        if count == 0 {
            return;
        }
        if now {
            answered = true;
            let _ = stream.write_all(answer);
        }
    }
}

/// Whether a request has arrived with its body; what is no request needs no more than its first bytes.
fn is_whole(heard: &[u8]) -> bool {
    let heard = String::from_utf8_lossy(heard);
    if heard == "(mark)" {
        return false;
    }
    let Some((head, body)) = heard.split_once("\r\n\r\n") else {
        return !heard.contains(" HTTP/1.");
    };
    let length = head.lines().find_map(|it| it.strip_prefix("Content-Length: "));
    let length = length.map_or(0, |it| it.parse().unwrap());
    let chunked = head.contains("Transfer-Encoding: chunked");
    body.len() >= length && (!chunked || body.ends_with("0\r\n\r\n"))
}

/// A place for a listener.
pub(crate) fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A list of domains.
pub(crate) fn layer(place: &str, patterns: &[&str]) -> Layer {
    let patterns = patterns.iter().map(|it| Pattern::parse(it).unwrap()).collect();
    Layer { place: place.to_owned(), whose: String::new(), patterns, presets: Vec::new() }
}

/// Rules that allow these.
pub(crate) fn allowing(patterns: &[&str]) -> Rules {
    Rules { allow: Allow::Layers(vec![layer("network_domains", patterns)]), ..Rules::default() }
}

/// Says where names are.
pub(crate) fn at(places: &[(&str, SocketAddr)]) -> BTreeMap<Host, SocketAddr> {
    places.iter().map(|(name, place)| (Host::parse(name).unwrap(), *place)).collect()
}

/// A resolver that knows some names, and asks the system for the others.
pub(crate) fn knowing(names: &'static [(&'static str, &'static [&'static str])]) -> Resolver {
    Resolver::new(move |name| {
        if let Some((_, addresses)) = names.iter().find(|(known, _)| *known == name) {
            return Ok(addresses.iter().map(|it| it.parse::<IpAddr>().unwrap()).collect());
        }
        Ok((name, 0).to_socket_addrs()?.map(|it| it.ip()).collect())
    })
}

/// A proxy, and what it told.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    pub(crate) proxy: Proxy,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Served {
    pub(crate) fn new(rules: Rules) -> Self {
        Self::with(rules, Bounds::default(), Resolver::default())
    }

    pub(crate) fn with(rules: Rules, bounds: Bounds, resolver: Resolver) -> Self {
        let (listener, address) = listener();
        let events = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&events);
        let log = move |event| log.lock().unwrap().push(event);
        let proxy = Proxy::serve_with(listener, rules, bounds, resolver, log).unwrap();
        Self { address, proxy, events }
    }

    /// Says something, and nothing more, and hears all that comes back.
    pub(crate) fn say(&self, bytes: &[u8]) -> Vec<u8> {
        say(self.address, bytes)
    }

    /// The same as texts.
    pub(crate) fn ask(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.say(text.as_bytes())).into_owned()
    }

    /// Waits until something was told.
    pub(crate) fn wait_for(&self, event: &Event) {
        for _ in 0..2000 {
            if self.events.lock().unwrap().contains(event) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("{event:?} is not among {:#?}", self.events.lock().unwrap());
    }
}

/// Says something to an address, and nothing more, and hears all that comes back.
pub(crate) fn say(to: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = open(to);
    // The other end may have heard enough before all is said.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    hear(&mut stream)
}

/// A connection that does not wait forever.
pub(crate) fn open(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// All that comes until the end, or until the connection breaks.
pub(crate) fn hear(stream: &mut TcpStream) -> Vec<u8> {
    let mut heard = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return heard,
            Ok(count) => heard.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                panic!("no end after {:?}", String::from_utf8_lossy(&heard))
            }
            Err(_) => return heard,
        }
    }
}
