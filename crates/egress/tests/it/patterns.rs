//! Patterns: what each is read as, whom it speaks of, and what is none.

use botpipe_egress::{Host, Pattern};

/// A pattern, whom it speaks of, and of whom it does not.
const PATTERNS: &[(&str, &[&str], &[&str])] = &[
    ("example.com", &["example.com", "EXAMPLE.com."], &["a.example.com", "example.co", "com"]),
    ("Example.COM.", &["example.com"], &["xample.com"]),
    (
        "*.example.com",
        &["a.example.com", "a.b.example.com"],
        &["example.com", "aexample.com", "a.example.com.evil.net"],
    ),
    ("10.1.2.3", &["10.1.2.3", "::ffff:10.1.2.3"], &["10.1.2.4"]),
    ("[::1]:80", &["::1", "[::1]"], &["127.0.0.1", "::"]),
    ("2001:db8::1", &["[2001:0db8:0::1]"], &["2001:db8::2"]),
    ("xn--bcher-kva.example:8443", &["xn--bcher-kva.example"], &["bcher.example"]),
    ("under_score.example", &["under_score.example"], &["underscore.example"]),
    ("localhost", &["localhost"], &["127.0.0.1", "::1"]),
];

/// What is no pattern, and what is said of it.
const NONE: &[(&str, &str)] = &[
    ("", "read `` as a domain: the host is empty"),
    ("*", "read `*` as a domain: it spans too much, name at least `*.name.tld`"),
    ("*:443", "read `*:443` as a domain: it spans too much, name at least `*.name.tld`"),
    ("*.com", "read `*.com` as a domain: it spans too much, name at least `*.name.tld`"),
    (
        "a*.example.com",
        "read `a*.example.com` as a domain: `*` may only be the whole first label, as in `*.example.com`",
    ),
    (
        "*.*.example.com",
        "read `*.*.example.com` as a domain: `*` may only be the whole first label, as in `*.example.com`",
    ),
    (
        "*.10.0.0.1",
        "read `*.10.0.0.1` as a domain: `*` may only be the whole first label, as in `*.example.com`",
    ),
    (
        "https://example.com",
        "read `https://example.com` as a domain: write the host alone, without scheme, path or user",
    ),
    (
        "me@example.com",
        "read `me@example.com` as a domain: write the host alone, without scheme, path or user",
    ),
    (
        "bücher.example",
        "read `bücher.example` as a domain: write an international name in its `xn--` form",
    ),
    (
        "example.com:0",
        "read `example.com:0` as a domain: the port is missing or no number from 1 to 65535",
    ),
    (
        "example.com:",
        "read `example.com:` as a domain: the port is missing or no number from 1 to 65535",
    ),
    (
        "example.com:https",
        "read `example.com:https` as a domain: the port is missing or no number from 1 to 65535",
    ),
    ("a..b", "read `a..b` as a domain: the host has an empty label"),
    (
        "a b.com",
        "read `a b.com` as a domain: the host has a character other than a-z, 0-9, `-`, `_` and `.`",
    ),
    ("-a.com", "read `-a.com` as a domain: a label of the host begins or ends with `-`"),
    (
        "10.0.0.0/8",
        "read `10.0.0.0/8` as a domain: write the host alone, without scheme, path or user",
    ),
    (
        "10.1",
        "read `10.1` as a domain: the host looks like an address but is none in the usual form (four decimal numbers)",
    ),
    (
        "0x0a.0.0.1",
        "read `0x0a.0.0.1` as a domain: the host looks like an address but is none in the usual form (four decimal numbers)",
    ),
    ("[::1", "read `[::1` as a domain: what stands in `[…]` is no IPv6 address"),
    ("[example.com]", "read `[example.com]` as a domain: what stands in `[…]` is no IPv6 address"),
];

#[test]
fn a_pattern_speaks_of_these_and_not_of_those() {
    for (text, these, those) in PATTERNS {
        let pattern = Pattern::parse(text).unwrap();
        let of = |host: &&&str| pattern.is_of(&Host::parse(host).unwrap());
        assert!(these.iter().all(|it| of(&it)), "{text} is of {these:?}");
        assert!(!those.iter().any(|it| of(&it)), "{text} is not of {those:?}");
    }
}

#[test]
fn what_is_no_pattern_is_told_why() {
    for (text, expected) in NONE {
        let said = Pattern::parse(text).map_err(|it| it.to_string());
        assert_eq!(said, Err((*expected).to_owned()));
    }
    let long = Pattern::parse(&format!("{}.example", "a".repeat(64)));
    assert!(long.unwrap_err().to_string().ends_with("is too long"));
}

#[test]
fn a_pattern_is_shown_as_it_is_written() {
    for text in ["example.com", "*.example.com:8443", "10.1.2.3:80", "[2001:db8::1]", "[::1]:80"] {
        assert_eq!(Pattern::parse(text).unwrap().to_string(), text);
    }
}
