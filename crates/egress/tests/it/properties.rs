//! Whatever bytes come: no parser panics, and nothing passes that a stricter reader would refuse.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex};

use botpipe_egress::wire::{Form, Framing, Hello, Request, ServerName, socks};
use botpipe_egress::{Bounds, Destination, Host, Pattern, Resolver, special};
use proptest::prelude::*;

use crate::hellos;
use crate::world::{Served, allowing};

/// Right messages, to be broken.
fn seeds() -> Vec<Vec<u8>> {
    let text = [
        "CONNECT good.example:443 HTTP/1.1\r\nHost: good.example:443\r\n\r\n",
        "GET http://good.example/a?b HTTP/1.1\r\nHost: good.example\r\nAccept: */*\r\n\r\n",
        "POST http://good.example:80/ HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody",
        "POST http://good.example HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ];
    let mut all: Vec<Vec<u8>> = text.iter().map(|it| it.as_bytes().to_vec()).collect();
    all.push(b"\x05\x01\x00\x05\x01\x00\x03\x0cgood.example\x01\xbb".to_vec());
    all.push(b"\x05\x01\x00\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x50".to_vec());
    all.push(hellos::named("good.example"));
    all.push(hellos::in_records(&hellos::named("good.example"), 32));
    all
}

/// What is put in: bytes that mean something to somebody, names, and any.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let known = [
        "\r\n",
        "\n",
        "\0",
        "@",
        ":",
        ".",
        "..",
        "%00",
        "/",
        "\\",
        "#",
        "?",
        " ",
        "[",
        "]",
        "evil.example",
        "127.0.0.1",
        "0x7f000001",
        "::1",
        "http://",
        "Content-Length: 1\r\n",
        "Host: evil.example\r\n",
        "Transfer-Encoding: chunked\r\n",
        ":80",
        "@evil.example",
    ];
    prop_oneof![
        prop::sample::select(known.map(|it| it.as_bytes().to_vec()).to_vec()),
        prop::collection::vec(any::<u8>(), 1..6),
    ]
}

/// A right message with a few cuts and insertions, or nothing but noise.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let edits = prop::collection::vec((any::<prop::sample::Index>(), 0_usize..4, pieces()), 0..4);
    let broken = (prop::sample::select(seeds()), edits).prop_map(|(mut bytes, edits)| {
        for (at, cut, piece) in edits {
            let at = at.index(bytes.len() + 1);
            let end = (at + cut).min(bytes.len());
            bytes.splice(at..end, piece);
        }
        bytes
    });
    prop_oneof![4 => broken, 1 => prop::collection::vec(any::<u8>(), 0..200)]
}

/// What a strict reader takes for a host: letters of names, or an address that reads back.
fn is_host(host: &Host) -> bool {
    match host {
        Host::Name(name) => {
            let letter =
                |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || b"-_".contains(&it);
            let label = |it: &str| (1..64).contains(&it.len()) && it.bytes().all(letter);
            name.split('.').all(label)
                && name.rsplit('.').next().is_some_and(|it| it.parse::<u64>().is_err())
        }
        Host::Ip(ip) => ip.to_canonical() == *ip,
    }
}

/// Whether a text holds another, in whatever case.
fn holds(bytes: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(bytes).to_ascii_lowercase().contains(text)
}

/// The host that stands in a request target, read with as little wit as there can be.
fn plain_host(destination: &str) -> String {
    let rest = destination.split_once("://").map_or(destination, |(_, rest)| rest);
    let authority: String = rest.chars().take_while(|it| !"/?#\\".contains(*it)).collect();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = match host.rfind(':') {
        Some(at) if !host.ends_with(']') => &host[..at],
        _ => host,
    };
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn heads(bytes in bytes()) {
        let Ok(Some((request, length))) = Request::parse(&bytes) else { return Ok(()) };
        prop_assert!(length <= bytes.len() && bytes[..length].ends_with(b"\r\n\r\n"));
        let head = std::str::from_utf8(&bytes[..length]).unwrap_or_default();
        let first = head.lines().next().unwrap_or_default();
        let destination = first.split(' ').nth(1).unwrap_or_default();
        match &request.form {
            Form::Authority(Destination { host, .. }) | Form::Absolute(Destination { host, .. }, _) => {
                prop_assert!(is_host(host), "{host}");
                if let (Host::Name(name), false) = (host, head.is_empty()) {
                    prop_assert_eq!(name, &plain_host(destination));
                }
            }
            Form::Origin(path) => prop_assert!(path.starts_with('/')),
        }
        let lower = head.to_ascii_lowercase();
        let count = |name: &str| lower.lines().filter(|it| it.starts_with(name)).count();
        let (lengths, encodings) = (count("content-length:"), count("transfer-encoding:"));
        prop_assert!(lengths + encodings < 2 && count("host:") < 2);
        match request.framing {
            Framing::Length(_) => prop_assert!(head.is_empty() || lengths == 1),
            Framing::Chunked => prop_assert!(head.is_empty() || encodings == 1),
            _ => prop_assert_eq!(lengths + encodings, 0),
        }
    }

    #[test]
    fn heads_are_the_same_in_pieces(bytes in bytes(), cut in any::<prop::sample::Index>()) {
        let cut = cut.index(bytes.len() + 1);
        if let Ok(Some(early)) = Request::parse(&bytes[..cut]) {
            prop_assert_eq!(Request::parse(&bytes), Ok(Some(early)));
        }
    }

    #[test]
    fn socks_requests(bytes in bytes(), skip in 0_usize..4) {
        let bytes = bytes.get(skip..).unwrap_or_default();
        if let Ok(Some((greeting, length))) = socks::Greeting::parse(bytes) {
            prop_assert!(length <= bytes.len() && bytes[0] == 5);
            prop_assert_eq!(greeting.no_login, bytes[2..length].contains(&0));
        }
        if let Ok(Some((request, length))) = socks::Request::parse(bytes) {
            prop_assert!(length <= bytes.len());
            if let socks::Request::Connect(Destination { host, port }) = request {
                prop_assert!(is_host(&host) && port != 0);
                prop_assert_eq!(&bytes[..3], &[5, 1, 0]);
                if let Host::Name(name) = host {
                    let said = &bytes[5..5 + usize::from(bytes[4])];
                    prop_assert!(holds(said, &name) && said.len() <= name.len() + 1);
                }
            }
        }
    }

    #[test]
    fn hellos_name_only_what_stands_in_them(bytes in bytes(), size in 1_usize..64) {
        let mut hello = Hello::default();
        let answer = bytes.chunks(size).find_map(|piece| hello.feed(piece));
        if let Some(ServerName::Named(host)) = answer {
            prop_assert!(is_host(&host) && matches!(host, Host::Name(_)));
            // In one record the name stands as it is.
            let length = usize::from(u16::from_be_bytes([bytes[3], bytes[4]]));
            let message = usize::from(u16::from_be_bytes([bytes[7], bytes[8]])) + 4;
            if length >= message {
                prop_assert!(holds(&bytes, &host.to_string()), "{host}");
            }
        }
    }

    #[test]
    fn patterns_of_any_text(text in "\\PC{0,24}|[a-c*.:0-9\\[\\]-]{0,16}") {
        if let Ok(pattern) = Pattern::parse(&text) {
            prop_assert_eq!(Pattern::parse(&pattern.to_string()), Ok(pattern));
        }
        if let Ok(host) = Host::parse(&text) {
            prop_assert!(is_host(&host));
            prop_assert_eq!(Host::parse(&host.to_string()), Ok(host));
        }
    }

    #[test]
    fn a_pattern_is_of_a_name_by_its_labels(
        labels in prop::collection::vec("[ab]{1,2}", 2..4),
        name in prop::collection::vec("[ab]{1,2}", 1..5),
        star in any::<bool>(),
    ) {
        let text = format!("{}{}", if star { "*." } else { "" }, labels.join("."));
        let of = Pattern::parse(&text).unwrap().is_of(&Host::parse(&name.join(".")).unwrap());
        let below = name.len() > labels.len() && name.ends_with(&labels);
        prop_assert_eq!(of, if star { below } else { name == labels });
    }

    #[test]
    fn an_address_is_judged_by_the_one_it_carries(bits in any::<u32>(), low in any::<u64>()) {
        let v4 = Ipv4Addr::from(bits);
        let expected = special(v4.into());
        let known = v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_multicast()
            || v4.is_broadcast() || v4.is_unspecified() || v4.is_documentation();
        prop_assert!(!known || expected.is_some());
        let [a, b, c, d] = v4.octets();
        let (high, rest) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        let v6 = |parts: [u16; 8]| special(IpAddr::V6(Ipv6Addr::from(parts)));
        prop_assert_eq!(special(v4.to_ipv6_mapped().into()), expected);
        prop_assert_eq!(v6([0x64, 0xff9b, 0, 0, 0, 0, high, rest]), expected);
        prop_assert_eq!(v6([0, 0, 0, 0, 0xffff, 0, high, rest]), expected);
        let mut six = Ipv6Addr::from(u128::from(low)).segments();
        six[..3].copy_from_slice(&[0x2002, high, rest]);
        prop_assert_eq!(v6(six), expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// The judge is DNS: it is asked for the allowed name, or for nothing.
    #[test]
    fn a_proxy_looks_for_nobody_but_the_allowed_host(bytes in bytes()) {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let note = Arc::clone(&asked);
        let resolver = Resolver::new(move |name| {
            note.lock().unwrap().push(name.to_owned());
            Ok(Vec::new())
        });
        let served = Served::with(allowing(&["good.example"]), Bounds::default(), resolver);
        served.say(&bytes);
        drop(served);
        prop_assert!(asked.lock().unwrap().iter().all(|it| it == "good.example"));
    }
}
