//! Runs the attacks that are written down in `tests/attacks`.

use crate::script::{Case, cases};
use crate::world::{Origin, Served, allowing, at, knowing};
use botpipe_egress::Bounds;

/// What DNS says: names that lead where no name may.
const NAMES: &[(&str, &[&str])] = &[
    ("rebind.example", &["127.0.0.1"]),
    ("all-zero.example", &["0.0.0.0"]),
    ("mapped.example", &["::ffff:127.0.0.1"]),
    ("compatible.example", &["::127.0.0.1"]),
    ("nat64.example", &["64:ff9b::7f00:1"]),
    ("loopback6.example", &["::1"]),
    ("metadata.example", &["169.254.169.254"]),
    ("many.example", &["10.0.0.1", "127.0.0.1", "fd00:ec2::254"]),
    ("nowhere.example", &[]),
];

/// Plays every case of a file, each with origins and a proxy of its own.
fn play(text: &str) {
    let count = cases(text, 0).len();
    assert!(count > 15, "{count} cases are not all");
    let wrong: Vec<String> = (0..count).filter_map(|place| one(text, place)).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// What went wrong with the case at this place.
fn one(text: &str, place: usize) -> Option<String> {
    let (good, trap) = (Origin::new(), Origin::new());
    let port = trap.address.port();
    let Case { title, said, answer, good: good_visits, trap: trap_visits, hears, never_hears } =
        cases(text, port).swap_remove(place);
    let mut allowed = vec!["good.example", "*.wild.example", "trap.example", "localhost"];
    allowed.extend(NAMES.iter().map(|(name, _)| *name));
    let mut rules = allowing(&allowed);
    rules.ports.push(port);
    rules.resolve = at(&[
        ("good.example", good.address),
        ("a.wild.example", good.address),
        ("b.a.wild.example", good.address),
        // Where they are does not make them allowed, except the one that shows that the trap works.
        ("trap.example", trap.address),
        ("evil.example", trap.address),
        ("wild.example", trap.address),
        ("notwild.example", trap.address),
        ("good.example.evil.example", trap.address),
    ]);
    let served = Served::with(rules, Bounds::default(), knowing(NAMES));
    let heard = served.say(&said);
    drop(served);
    let (good, trap) = (good.heard(), trap.heard());
    let told = good.join("\n");
    let right = heard.starts_with(&answer)
        && (answer.is_empty() == heard.is_empty())
        && (good.len(), trap.len()) == (good_visits, trap_visits)
        && hears.iter().all(|it| told.contains(it))
        && !never_hears.iter().any(|it| told.contains(it));
    let heard = heard.escape_ascii();
    (!right).then(|| format!("== {title}\nanswer: {heard}\ngood: {good:?}\ntrap: {trap:?}\n"))
}

#[test]
fn over_connect() {
    play(include_str!("../attacks/connect.txt"));
}

#[test]
fn over_plain_http() {
    play(include_str!("../attacks/http.txt"));
}

#[test]
fn over_socks() {
    play(include_str!("../attacks/socks.txt"));
}

#[test]
fn in_the_handshake() {
    play(include_str!("../attacks/tls.txt"));
}
