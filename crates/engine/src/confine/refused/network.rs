//! What programs print when they reach no host, and why: those that ask the proxy are told by it, these ask none.

use std::fs;

use botpipe_egress::{Destination, Host};
use botpipe_kernel::plan::{NetworkMode, Policy};

use super::words::Kind;
use super::{Reasons, Told};
use crate::confine::hints;
use crate::policy::Control;

/// Who reached nothing, as far as its words tell: how it is helped depends on that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum By {
    Ssh,
    Node,
    Java,
    Other,
}

/// Of a host that has no address, by what stands in front of its name.
const NAMED: [&str; 11] = [
    "ould not resolve hostname ",
    "ould not resolve host: ",
    "getaddrinfo EAI_AGAIN ",
    "getaddrinfo ENOTFOUND ",
    UNKNOWN,
    "UnknownHostException: ",
    "ould not translate host name ",
    "nable to resolve host address ",
    "ailed to resolve ",
    "dial tcp: lookup ",
    ": lookup ",
];

const UNKNOWN: &str = "nknown host ";

/// The same in words of the system, which know no host.
const UNNAMED: [&str; 2] = ["emporary failure in name resolution", "ame or service not known"];

/// Of an address with no way to it.
const UNREACHABLE: [&str; 3] = ["etwork is unreachable", "ENETUNREACH", "etwork unreachable"];

/// Of a port that nobody answers on: a program's own loopback, since it has no other network.
const UNANSWERED: [&str; 3] = ["onnection refused", "ECONNREFUSED", "connect to server"];

/// Names of a machine for itself.
const OWN: [&str; 5] = ["127.0.0.1", "localhost", "0.0.0.0", "[::1]", "::1"];

pub(super) fn complains(text: &str) -> bool {
    let all = NAMED.iter().chain(&UNNAMED).chain(&UNREACHABLE).chain(&UNANSWERED);
    all.into_iter().any(|words| text.contains(words))
}

/// What a line says of a host: its kind, and the host where that is told.
pub(super) fn of_line(line: &str) -> Option<(Kind, Vec<String>)> {
    let has = |words: &[&str]| words.iter().any(|words| line.contains(words));
    let by = if line.contains("ssh: ") {
        By::Ssh
    } else if line.contains("getaddrinfo E") {
        By::Node
    } else if line.contains(UNKNOWN) || line.contains("UnknownHostException") {
        By::Java
    } else {
        By::Other
    };
    let named = NAMED.iter().find_map(|words| Some((*words, line.split_once(words)?.1)));
    let named = named.and_then(|(words, rest)| Some((words, host_of(rest)?)));
    // `unknown host key` is of no host.
    if let Some((_, host)) = named.filter(|(words, host)| *words != UNKNOWN || host.contains('.')) {
        return Some((Kind::Unreached(by), vec![host]));
    }
    if let Some((head, _)) = UNNAMED.iter().find_map(|words| line.split_once(words)) {
        // `ping: example.org: Temporary failure …`: who says it alone stands before no host.
        let head = head.trim_end_matches(|c: char| c.is_alphabetic());
        let segments: Vec<&str> = head.trim_end().trim_end_matches(':').split(": ").collect();
        let last = segments.last().filter(|_| segments.len() > 1);
        let host = last.and_then(|last| host_of(last)).filter(|host| host.contains('.'));
        return Some((Kind::Unreached(by), host.into_iter().collect()));
    }
    if has(&UNREACHABLE) {
        let words = line.split([' ', '(', ')', ',', '"', '\'']);
        let address = words.filter_map(host_of).find(|it| it.parse::<std::net::IpAddr>().is_ok());
        return Some((Kind::Unreached(by), address.into_iter().collect()));
    }
    if has(&UNANSWERED) {
        let port = port_of_own(line)?;
        return Some((Kind::Unanswered, vec![port.to_string()]));
    }
    None
}

/// The host that a text begins with.
fn host_of(text: &str) -> Option<String> {
    let text = text.trim_start_matches(['"', '\'', '`', '\u{2018}']);
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || ".-_".contains(c)));
    let name = text[..end.unwrap_or(text.len())].trim_end_matches('.');
    let plain = name.contains(|c: char| c.is_ascii_alphanumeric()) && !OWN.contains(&name);
    (plain && Host::parse(name).is_ok()).then(|| name.to_lowercase())
}

/// The port of the machine itself that a line names: `127.0.0.1:80`, `localhost port 80`, `/dev/tcp/127.0.0.1/80`.
fn port_of_own(line: &str) -> Option<u16> {
    let (_, rest) = OWN.iter().find_map(|own| line.split_once(own))?;
    let number = |text: &str| {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        text[..digits].parse().ok()
    };
    let beside = rest.strip_prefix([':', '/']).and_then(number);
    let said = || ["port ", "port="].iter().find_map(|word| number(rest.split_once(word)?.1));
    beside.or_else(said)
}

impl Reasons {
    /// Of a host that a program reached no way to by itself.
    pub(super) fn not_reached(&self, by: By, host: Option<&str>) -> Option<Told> {
        let rules = self.reached.as_ref()?;
        let shown = host.map_or_else(|| "a host".to_owned(), |host| format!("`{host}`"));
        let target = host.and_then(|host| Destination::parse(&format!("{host}:443")).ok());
        let full = self.full();
        let mode = self.mode_of_network();
        let permits = target.map(|target| hints::permitted(&target, rules));
        let sentence = match permits {
            Some(Ok(())) if self.policy.network == NetworkMode::Limited => {
                let which = match by {
                    By::Ssh => "ssh does not ask (a remote by https does)",
                    By::Node => "Node.js asks from 24 on",
                    By::Java => "Java asks by its own settings only",
                    By::Other => "this program did not ask",
                };
                format!(
                    "{shown} is not reached: `network: limited` has it by a proxy, which {which}; {full} \
                     permits it"
                )
            }
            Some(Ok(()) | Err(None)) => {
                format!("{shown} is not reached: `network: {mode}` keeps it; {full} permits it")
            }
            listed => {
                let line = listed.and_then(Result::err).flatten();
                let line = line.unwrap_or_else(|| {
                    "`network: limited` with its name in `network_domains`".to_owned()
                });
                let whom = match by {
                    By::Ssh => "a remote by https, since ssh asks no proxy",
                    By::Node => "Node.js from 24 on, since older ones ask no proxy",
                    By::Java => {
                        "programs that ask the proxy, which Java does by its own settings only"
                    }
                    By::Other => "programs that ask the proxy, which this one did not",
                };
                format!(
                    "{shown} is not reached: `network: {mode}` keeps it; {full} permits it, and {line} for {whom}"
                )
            }
        };
        Some(Told { sentence, of_unseen: false })
    }

    /// Of a port of the machine itself, where the host has a server: a program has a loopback of its own.
    pub(super) fn not_answered(&self, port: &str) -> Option<Told> {
        let port: u16 = port.parse().ok().filter(|port| is_served(*port))?;
        self.reached.as_ref()?;
        let sentence = format!(
            "`127.0.0.1:{port}` is not reached: a program's own machine is not the host's (`network: {}`); \
             {} permits it",
            self.mode_of_network(),
            self.full()
        );
        Some(Told { sentence, of_unseen: true })
    }

    /// The whole network, by each layer that does not give it.
    pub(super) fn full(&self) -> String {
        let keeps = |it: &Policy| it.network != Some(NetworkMode::Full);
        let full = self.word(Control::Network, "full", keeps);
        // Nobody keeps a host from who has all of them.
        if self.policy.deny_domains.is_empty() {
            full
        } else {
            format!("{full} without `deny_network_domains`")
        }
    }

    fn mode_of_network(&self) -> &'static str {
        match self.policy.network {
            NetworkMode::None => "none",
            NetworkMode::Limited => "limited",
            NetworkMode::Full => "full",
        }
    }
}

/// Whether something of the host's listens there.
///
/// # Source
/// `proc_net_tcp.txt` of Linux: the second column is the local address in hex, the fourth the state; `0A` listens.
fn is_served(port: u16) -> bool {
    let ending = format!(":{port:04X}");
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(fs::read_to_string);
    tables.iter().flatten().flat_map(|table| table.lines()).any(|row| {
        let mut columns = row.split_whitespace().skip(1);
        let local = columns.next().is_some_and(|local| local.ends_with(&ending));
        local && columns.nth(1) == Some("0A")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As each program printed it in the sandbox.
    #[test]
    fn every_program_is_understood() {
        let unreached = |by, host: &str| {
            (Kind::Unreached(by), (!host.is_empty()).then(|| host.to_owned()).into_iter().collect())
        };
        let unanswered = |port: &str| (Kind::Unanswered, vec![port.to_owned()]);
        for (line, expected) in [
            (
                "ssh: Could not resolve hostname github.com: Temporary failure in name resolution",
                unreached(By::Ssh, "github.com"),
            ),
            ("curl: (6) Could not resolve host: example.org", unreached(By::Other, "example.org")),
            (
                "  [cause]: Error: getaddrinfo EAI_AGAIN registry.npmjs.org",
                unreached(By::Node, "registry.npmjs.org"),
            ),
            (
                "[ERROR]     … column 118: Unknown host repo.maven.apache.org: Temporary failure in name \
                 resolution -> [Help 2]",
                unreached(By::Java, "repo.maven.apache.org"),
            ),
            ("java.net.UnknownHostException: example.org", unreached(By::Java, "example.org")),
            (
                "psql: error: could not translate host name \"db.example\" to address: Temporary failure in \
                 name resolution",
                unreached(By::Other, "db.example"),
            ),
            (
                "dial tcp: lookup example.org on [::1]:53: read udp [::1]:1->[::1]:53: read: connection refused",
                unreached(By::Other, "example.org"),
            ),
            (
                "bash: line 1: example.org: Temporary failure in name resolution",
                unreached(By::Other, "example.org"),
            ),
            (
                "socket.gaierror: [Errno -3] Temporary failure in name resolution",
                unreached(By::Other, ""),
            ),
            ("OSError: [Errno 101] Network is unreachable", unreached(By::Other, "")),
            (
                "dial tcp 192.0.2.1:443: connect: network is unreachable",
                unreached(By::Other, "192.0.2.1"),
            ),
            (
                "curl: (7) Failed to connect to 127.0.0.1 port 8080 after 0 ms: Couldn't connect to server",
                unanswered("8080"),
            ),
            (
                "psql: error: connection to server at \"localhost\" (127.0.0.1), port 5432 failed: Connection \
                 refused",
                unanswered("5432"),
            ),
            ("Error: connect ECONNREFUSED 127.0.0.1:3000", unanswered("3000")),
            ("Error: connect ECONNREFUSED ::1:3000", unanswered("3000")),
            ("bash: line 1: /dev/tcp/127.0.0.1/80: Connection refused", unanswered("80")),
            (
                "Could not connect to Redis at 127.0.0.1:6379: Connection refused",
                unanswered("6379"),
            ),
        ] {
            assert!(complains(line), "{line}");
            assert_eq!(of_line(line), Some(expected), "{line}");
        }
    }

    #[test]
    fn what_names_no_host_is_nothing_of_the_network() {
        for line in [
            "error: unknown host key type",
            "ConnectionRefusedError: [Errno 111] Connection refused",
            "the server says: connection refused by example.org:80",
            "could not resolve host: ''",
        ] {
            assert_eq!(of_line(line), None, "{line}");
        }
    }
}
