//! Addresses that are not the open internet, however they are written.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

/// What kind of address no name may lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Special {
    /// `0.0.0.0/8`, `::`
    Unspecified,
    /// `127.0.0.0/8`, `::1`
    Loopback,
    /// An address of this machine.
    Own,
    /// `169.254.0.0/16`, `fe80::/10`
    LinkLocal,
    /// `10/8`, `172.16/12`, `192.168/16`, `fc00::/7`, `fec0::/10`
    Private,
    /// `100.64.0.0/10`: behind a carrier's translation.
    Shared,
    /// Where a cloud tells its machines their secrets.
    Metadata,
    /// `224.0.0.0/4`, `ff00::/8`, `255.255.255.255`
    Multicast,
    /// For documents, measurements and protocols, or not given out.
    Reserved,
}

impl fmt::Display for Special {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unspecified => "an unspecified address",
            Self::Loopback => "a loopback address",
            Self::Own => "an address of this machine",
            Self::LinkLocal => "a link-local address",
            Self::Private => "a private address",
            Self::Shared => "an address of a carrier's own network",
            Self::Metadata => "a cloud's metadata service",
            Self::Multicast => "a multicast or broadcast address",
            Self::Reserved => "a reserved address",
        })
    }
}

/// What is special about an address; nothing if it is one of the open internet.
///
/// An address that carries an IPv4 address (mapped, compatible, NAT64, 6to4) is judged by that one.
///
/// # Source
/// IANA's registries of special-purpose IPv4 and IPv6 addresses (RFC 6890 and its updates). Metadata: AWS
/// (`169.254.169.254`, `fd00:ec2::254`), Azure's wire server (`168.63.129.16`), Alibaba
/// (`100.100.100.200`), Oracle (`192.0.0.192`).
pub fn special(ip: IpAddr) -> Option<Special> {
    match ip {
        IpAddr::V4(ip) => special_v4(ip),
        IpAddr::V6(ip) => special_v6(ip),
    }
}

fn special_v4(ip: Ipv4Addr) -> Option<Special> {
    let kind = match ip.octets() {
        [169, 254, 169, 254] | [168, 63, 129, 16] | [100, 100, 100, 200] | [192, 0, 0, 192] => {
            Special::Metadata
        }
        [0, ..] => Special::Unspecified,
        [127, ..] => Special::Loopback,
        [169, 254, ..] => Special::LinkLocal,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Special::Private,
        [100, 64..=127, ..] => Special::Shared,
        [224..=239, ..] | [255, 255, 255, 255] => Special::Multicast,
        [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [240..=255, ..] => Special::Reserved,
        _ => return None,
    };
    Some(kind)
}

fn special_v6(ip: Ipv6Addr) -> Option<Special> {
    let parts = ip.segments();
    let low = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match parts {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some(Special::Unspecified),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some(Special::Loopback),
        [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254] => Some(Special::Metadata),
        // Compatible, translated (SIIT), mapped and NAT64 addresses end in the IPv4 one, 6to4 begins with it.
        [0, 0, 0, 0, 0 | 0xffff, 0, a, b]
        | [0, 0, 0, 0, 0, 0xffff, a, b]
        | [0x64, 0xff9b, 0, 0, 0, 0, a, b]
        | [0x2002, a, b, ..] => special_v4(low(a, b)),
        [0xff00..=0xffff, ..] => Some(Special::Multicast),
        [0xfe80..=0xfebf, ..] => Some(Special::LinkLocal),
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] => Some(Special::Private),
        // Protocol assignments, among them Teredo, and the two blocks for documents.
        [0x2001, 0..=0x01ff | 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => Some(Special::Reserved),
        // Only this eighth is given out at all.
        [0x2000..=0x3fff, ..] => None,
        _ => Some(Special::Reserved),
    }
}

/// Whether an address is one of this machine's, in the network this process is in.
///
/// Asks the kernel to bind to it, which it does for nothing but its own addresses. What cannot be
/// asked counts as own.
pub(crate) fn is_own(ip: IpAddr) -> bool {
    match UdpSocket::bind((ip, 0)) {
        Ok(_) => true,
        Err(error) => error.kind() != io::ErrorKind::AddrNotAvailable,
    }
}

#[cfg(test)]
mod tests {
    use super::is_own;

    #[test]
    fn the_machine_knows_its_own_addresses() {
        assert!(is_own([127, 0, 0, 1].into()) && is_own([127, 9, 9, 9].into()));
        // For documents: nobody has it.
        assert!(!is_own([192, 0, 2, 1].into()));
    }
}
