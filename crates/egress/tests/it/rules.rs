//! Who decides what passes, in which order, and what a program is told that did not.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use botpipe_egress::{
    Allow, Bounds, Destination, Event, Host, Pattern, Refusal, Resolver, Rules, Special, Via,
    preset, presets,
};

use crate::hellos;
use crate::world::{Origin, Served, allowing, at, knowing, layer};

fn destination(text: &str) -> Destination {
    Destination::parse(text).unwrap()
}

fn patterns(texts: &[&str]) -> Vec<Pattern> {
    texts.iter().map(|it| Pattern::parse(it).unwrap()).collect()
}

fn tunnel(to: &str) -> String {
    format!("CONNECT {to} HTTP/1.1\r\n\r\nping")
}

#[test]
fn every_layer_has_to_agree() {
    let [author, operator] = [
        layer("network_domains", &["good.example", "*.more.example", "own.example:8080"]),
        layer("the operator's ceiling", &["good.example", "a.more.example", "own.example:8080"]),
    ];
    let rules = Rules { allow: Allow::Layers(vec![author, operator]), ..Rules::default() };
    let said = |to: &str| match rules.check(&destination(to)) {
        Ok(()) => "passes".to_owned(),
        Err(refusal) => refusal.to_string(),
    };
    assert_eq!(said("good.example:443"), "passes");
    assert_eq!(said("a.more.example:80"), "passes");
    assert_eq!(said("b.more.example:80"), "it is not in the operator's ceiling");
    assert_eq!(said("evil.example:443"), "it is not in network_domains");
    assert_eq!(said("own.example:8080"), "passes");
    assert_eq!(said("own.example:443"), "it is in network_domains, but not with this port");
    assert_eq!(said("good.example:8080"), "it is in network_domains, but not with this port");
    let none = Rules { allow: Allow::Layers(Vec::new()), ..Rules::default() };
    assert_eq!(none.check(&destination("good.example:443")), Err(Refusal::NoNetwork));
}

#[test]
fn without_a_network_the_endpoint_is_still_reached_and_nothing_beside_it() {
    let (model, trap) = (Origin::new(), Origin::new());
    let places = [("model.example", model.address), ("evil.example", trap.address)];
    let served = Served::new(Rules {
        endpoints: vec![destination("model.example:443")],
        resolve: at(&places),
        ..Rules::default()
    });
    let tunnel_of = |to: &str, hello: &str| {
        let head = format!("CONNECT {to} HTTP/1.1\r\n\r\n").into_bytes();
        served.say(&[head, hellos::named(hello)].concat())
    };
    assert!(tunnel_of("model.example:443", "model.example").ends_with(b"ok"));
    tunnel_of("model.example:443", "evil.example");
    tunnel_of("evil.example:443", "model.example");
    tunnel_of("a.model.example:443", "model.example");
    served.ask(&tunnel("model.example:80"));
    served.ask("GET http://model.example/ HTTP/1.1\r\n\r\n");
    let heard = model.heard();
    assert_eq!(heard.len(), 2, "{heard:?}");
    assert!(heard[0].contains("model.example") && heard[1].is_empty());
    assert_eq!(trap.visits(), 0);
}

#[test]
fn what_is_denied_stays_denied() {
    let good = Origin::new();
    let mut rules = allowing(&["*.example.com", "127.0.0.1:81"]);
    rules.endpoints = vec![destination("model.example.com:443")];
    rules.deny = patterns(&["bad.example.com", "model.example.com", "odd.example.com:8080"]);
    rules.ports.push(8080);
    let denied = |to: &str| matches!(rules.check(&destination(to)), Err(Refusal::Denied { .. }));
    assert!(denied("bad.example.com:80") && denied("bad.example.com:8080"));
    assert!(denied("model.example.com:443"), "an endpoint too");
    assert!(denied("odd.example.com:8080") && !denied("odd.example.com:80"));
    assert!(!denied("a.bad.example.com:80"), "a pattern without a star is one host");

    // An address that is denied is not reached by a name either.
    let port = good.address.port();
    let mut rules = allowing(&["good.example", "127.0.0.1"]);
    rules.ports.push(port);
    let names = || knowing(&[("good.example", &["127.0.0.1"])]);
    let to = tunnel(&format!("good.example:{port}"));
    let open = Served::with(rules.clone(), Bounds::default(), names());
    assert!(open.ask(&to).starts_with("HTTP/1.1 200"));
    assert_eq!(good.visits(), 1);
    rules.deny = patterns(&["127.0.0.1"]);
    let shut = Served::with(rules, Bounds::default(), names());
    assert!(shut.ask(&to).contains("`127.0.0.1` is denied"));
    assert_eq!(good.visits(), 1);
}

#[test]
fn an_address_is_reached_when_it_is_listed_itself() {
    let good = Origin::new();
    let port = good.address.port();
    let served = Served::new(allowing(&[&format!("127.0.0.1:{port}")]));
    assert!(served.ask(&tunnel(&format!("127.0.0.1:{port}"))).starts_with("HTTP/1.1 200"));
    let mapped = tunnel(&format!("[::ffff:127.0.0.1]:{port}"));
    assert!(served.ask(&mapped).starts_with("HTTP/1.1 200"), "the same address, otherwise written");
    let [high, low] = port.to_be_bytes();
    served.say(&[5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, high, low, b'a']);
    assert_eq!(good.visits(), 3);
    // A name is not the address: it is not listed.
    assert!(served.ask(&tunnel(&format!("localhost:{port}"))).starts_with("HTTP/1.1 403"));
    assert_eq!(good.visits(), 3);
}

#[test]
fn tls_to_a_listed_address_needs_no_name_but_an_allowed_one() {
    let good = Origin::new();
    let mut rules = allowing(&["192.0.2.7"]);
    rules.resolve = at(&[("192.0.2.7", good.address)]);
    let served = Served::new(rules);
    let head = b"CONNECT 192.0.2.7:443 HTTP/1.1\r\n\r\n".as_slice();
    assert!(served.say(&[head, &hellos::nameless()].concat()).ends_with(b"ok"));
    served.say(&[head, &hellos::named("evil.example")].concat());
    served.say(&[head, b"GET / HTTP/1.1\r\n\r\n"].concat());
    let heard = good.heard();
    assert_eq!(heard.len(), 3);
    assert!(!heard[0].is_empty() && heard[1].is_empty() && heard[2].is_empty());
}

#[test]
fn a_name_is_looked_up_once_and_only_if_it_is_allowed() {
    let good = Origin::new();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    // Somebody who answers first with an address that passes, and then with another.
    let resolver = Resolver::new(move |name| {
        assert_eq!(name, "good.example");
        let first = count.fetch_add(1, Ordering::SeqCst) == 0;
        Ok(vec![if first { "127.0.0.1" } else { "127.0.0.2" }.parse().unwrap()])
    });
    let port = good.address.port();
    let mut rules = allowing(&["good.example", "127.0.0.1"]);
    rules.ports.push(port);
    let served = Served::with(rules, Bounds::default(), resolver);
    served.ask(&tunnel("evil.example:80"));
    assert!(served.ask(&tunnel(&format!("good.example:{port}"))).ends_with("ok"));
    assert_eq!((asked.load(Ordering::SeqCst), good.visits()), (1, 1));
    assert!(served.ask(&tunnel(&format!("good.example:{port}"))).starts_with("HTTP/1.1 403"));
    assert_eq!((asked.load(Ordering::SeqCst), good.visits()), (2, 1));
}

#[test]
fn a_refusal_names_the_line_that_would_permit_it() {
    let mut rules = allowing(&["good.example", "inner.example"]);
    rules.deny = patterns(&["bad.example"]);
    let served =
        Served::with(rules, Bounds::default(), knowing(&[("inner.example", &["10.1.2.3"])]));
    let body = |to: &str| {
        let answer = served.ask(&tunnel(to));
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{head}");
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
        body.to_owned()
    };
    assert_eq!(
        body("evil.example:443"),
        "`evil.example:443` is not reached from here: it is not in network_domains.\n\
         The policy of the step would permit it with:\n\n\
         network: limited\nnetwork_domains: [good.example, inner.example, evil.example]\n"
    );
    assert!(
        body("good.example:8443")
            .ends_with("[good.example, inner.example, \"good.example:8443\"]\n")
    );
    assert!(body("93.184.216.34:443").ends_with(", inner.example, 93.184.216.34]\n"));
    // Policies have no words for them, or none that would help.
    for (to, why) in [
        ("[2606:2800::1]:443", "it is not in network_domains"),
        ("192.168.0.1:443", "it is not in network_domains"),
    ] {
        assert_eq!(body(to), format!("`{to}` is not reached from here: {why}.\n"));
    }
    for to in ["0.0.0.0:8080", "127.0.0.2:80", "[::1]:8124", "localhost:80", "a.localhost:443"] {
        assert!(
            body(to).contains("it is the program's own machine, which is reached without"),
            "{to}"
        );
    }
    assert_eq!(
        body("inner.example:80"),
        "`inner.example:80` is not reached from here: its address 10.1.2.3 is a private address.\n"
    );
    assert_eq!(
        body("bad.example:80"),
        "`bad.example:80` is not reached from here: `bad.example` is denied.\n"
    );
}

#[test]
fn what_went_through_is_told() {
    let good = Origin::new();
    let mut rules = allowing(&["good.example", "inner.example", "gone.example", "mute.example"]);
    rules.ports.push(8080);
    rules.resolve = at(&[
        ("good.example", good.address),
        // Nothing listens on port 1 of this address.
        ("mute.example", SocketAddr::from(([127, 0, 0, 1], 1))),
    ]);
    let resolver = Resolver::new(|name| match name {
        "inner.example" => Ok(vec!["10.1.2.3".parse().unwrap()]),
        _ => Err(io::Error::other("no such name")),
    });
    let served = Served::with(rules, Bounds::default(), resolver);
    for to in ["good.example:8080", "evil.example:443", "inner.example:80", "gone.example:80"] {
        served.ask(&tunnel(to));
    }
    served.ask("GET http://good.example/ HTTP/1.1\r\n\r\n");
    served.ask("GET / HTTP/1.1\r\n\r\n");
    assert!(served.ask(&tunnel("mute.example:80")).starts_with("HTTP/1.1 502 "));
    good.heard();
    let by = Via::Connect;
    let refused = |to: &str, refusal| Event::Refused { destination: destination(to), refusal, by };
    let place = "network_domains".to_owned();
    let kind = Special::Private;
    let expected = [
        Event::Allowed { destination: destination("good.example:8080"), address: good.address, by },
        Event::Closed { destination: destination("good.example:8080"), sent: 4, received: 40 },
        refused("evil.example:443", Refusal::NotListed { place }),
        refused("inner.example:80", Refusal::Address { ip: "10.1.2.3".parse().unwrap(), kind }),
        Event::Failed {
            destination: destination("gone.example:80"),
            reason: "no such name".to_owned(),
            by,
        },
        Event::Allowed {
            destination: destination("good.example:80"),
            address: good.address,
            by: Via::Http,
        },
        Event::Malformed { what: "its destination is a path, and this is a proxy" },
    ];
    for event in &expected {
        served.wait_for(event);
    }
}

#[test]
fn presets_are_patterns() {
    for (name, hosts) in presets() {
        assert_eq!(preset(name), Some(*hosts));
        assert!(hosts.iter().all(|it| Pattern::parse(it).is_ok()), "{name}");
    }
    let names: Vec<_> = presets().iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["cargo", "debian", "github", "go", "npm", "pypi"]);
    assert_eq!(preset("all"), None);
    let registry = Host::parse("index.crates.io").unwrap();
    assert!(patterns(preset("cargo").unwrap()).iter().any(|it| it.is_of(&registry)));
}
