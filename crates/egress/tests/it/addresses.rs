//! Addresses that no name may lead to, in all the ways they can be written.

use botpipe_egress::{Special, special};

const ADDRESSES: &[(&str, Option<Special>)] = &[
    ("8.8.8.8", None),
    ("1.1.1.1", None),
    ("172.15.255.255", None),
    ("172.32.0.1", None),
    ("100.63.255.255", None),
    ("100.128.0.1", None),
    ("2606:4700:4700::1111", None),
    ("2a00:1450:4001:81b::200e", None),
    ("64:ff9b::8.8.8.8", None),
    ("2002:808:808::1", None),
    ("0.0.0.0", Some(Special::Unspecified)),
    ("0.1.2.3", Some(Special::Unspecified)),
    ("127.0.0.1", Some(Special::Loopback)),
    ("127.255.255.254", Some(Special::Loopback)),
    ("169.254.1.1", Some(Special::LinkLocal)),
    ("169.254.169.254", Some(Special::Metadata)),
    ("168.63.129.16", Some(Special::Metadata)),
    ("100.100.100.200", Some(Special::Metadata)),
    ("192.0.0.192", Some(Special::Metadata)),
    ("10.0.0.1", Some(Special::Private)),
    ("172.16.0.1", Some(Special::Private)),
    ("172.31.255.255", Some(Special::Private)),
    ("192.168.1.1", Some(Special::Private)),
    ("100.64.0.1", Some(Special::Shared)),
    ("100.127.255.255", Some(Special::Shared)),
    ("224.0.0.1", Some(Special::Multicast)),
    ("255.255.255.255", Some(Special::Multicast)),
    ("192.0.2.1", Some(Special::Reserved)),
    ("198.18.0.1", Some(Special::Reserved)),
    ("240.0.0.1", Some(Special::Reserved)),
    ("::", Some(Special::Unspecified)),
    ("::1", Some(Special::Loopback)),
    ("fe80::1", Some(Special::LinkLocal)),
    ("fd00:ec2::254", Some(Special::Metadata)),
    ("fd12:3456::1", Some(Special::Private)),
    ("fc00::1", Some(Special::Private)),
    ("fec0::1", Some(Special::Private)),
    ("ff02::1", Some(Special::Multicast)),
    ("2001:db8::1", Some(Special::Reserved)),
    ("2001::1", Some(Special::Reserved)),
    ("100::1", Some(Special::Reserved)),
    ("64:ff9b:1::1", Some(Special::Reserved)),
    ("::ffff:127.0.0.1", Some(Special::Loopback)),
    ("::ffff:169.254.169.254", Some(Special::Metadata)),
    ("::ffff:0:10.0.0.1", Some(Special::Private)),
    ("::10.0.0.1", Some(Special::Private)),
    ("64:ff9b::192.168.0.1", Some(Special::Private)),
    ("64:ff9b::a9fe:a9fe", Some(Special::Metadata)),
    ("2002:7f00:1::1", Some(Special::Loopback)),
    ("2002:a00:1::", Some(Special::Private)),
];

#[test]
fn each_is_known_for_what_it_is() {
    for (text, expected) in ADDRESSES {
        assert_eq!(special(text.parse().unwrap()), *expected, "{text}");
    }
}
