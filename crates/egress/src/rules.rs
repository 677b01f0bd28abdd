//! The rules of a proxy: which destinations pass, and what would let others pass.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::address::{Special, special};
use crate::host::{Destination, Host};
use crate::pattern::Pattern;
use crate::preset::preset;

/// What may be reached.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Who is allowed.
    pub allow: Allow,
    /// Destinations that pass whatever `allow` says: a model's endpoint.
    pub endpoints: Vec<Destination>,
    /// What never passes, endpoint or not. A pattern without a port is for all ports; one with an address
    /// also stops the names that lead to it.
    pub deny: Vec<Pattern>,
    /// Where a name is, instead of asking DNS. The address is dialled as it stands, whatever its kind.
    pub resolve: BTreeMap<Host, SocketAddr>,
    /// The ports of patterns that name none.
    pub ports: Vec<u16>,
    /// Where nothing is allowed, and several have a say: the lists of all who do not allow everything, that of who
    /// allows nothing empty. They let nothing pass, and are there to say who has to give.
    pub withheld: Vec<Layer>,
}

impl Default for Rules {
    /// Nothing is allowed; patterns are for ports 80 and 443.
    fn default() -> Self {
        Self {
            allow: Allow::Nothing,
            endpoints: Vec::new(),
            deny: Vec::new(),
            resolve: BTreeMap::new(),
            ports: vec![80, 443],
            withheld: Vec::new(),
        }
    }
}

/// Who is allowed.
#[derive(Debug, Clone)]
pub enum Allow {
    /// Nobody.
    Nothing,
    /// Hosts that every layer has a pattern for. No layers allow nobody.
    Layers(Vec<Layer>),
}

/// A list of patterns that somebody is responsible for: an author, an operator.
#[derive(Debug, Clone)]
pub struct Layer {
    /// Where the list stands, to finish "… is not in": `network_domains of step build`.
    pub place: String,
    /// Whose it is, to follow a line of policy: `of the step`, ``in `ci.yaml` ``; empty where there is no other.
    pub whose: String,
    /// The list, with what presets stand for.
    pub patterns: Vec<Pattern>,
    /// The names of those presets.
    pub presets: Vec<String>,
}

/// Why a destination does not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Nothing but endpoints is allowed.
    NoNetwork,
    /// A layer has no pattern for it.
    NotListed {
        /// Where that layer stands.
        place: String,
    },
    /// A layer has the host, for other ports.
    Port {
        /// Where that layer stands.
        place: String,
    },
    /// It is denied.
    Denied {
        /// The pattern.
        pattern: Pattern,
    },
    /// The name leads to an address that no name may lead to.
    Address {
        /// The address.
        ip: IpAddr,
        /// What is special about it.
        kind: Special,
    },
    /// The TLS handshake names a host that is not allowed.
    ServerName {
        /// The host.
        name: Host,
    },
    /// The TLS handshake names no host.
    NoServerName,
    /// What was sent to port 443 is no TLS handshake.
    NotTls,
    /// A request in a tunnel to port 80 names a host that is not allowed.
    HostField {
        /// The host.
        name: Host,
    },
    /// What was sent to port 80 is no request.
    NotHttp,
    /// It is the machine that the program itself is on: in there that is its own.
    Here,
}

impl Refusal {
    /// What a policy would have to list; nothing where no list permits it.
    pub fn wanted(&self, destination: &Destination) -> Option<Destination> {
        let wanted = match self {
            Self::NoNetwork | Self::NotListed { .. } | Self::Port { .. } => destination.clone(),
            Self::ServerName { name } | Self::HostField { name } => {
                Destination { host: name.clone(), port: destination.port }
            }
            Self::Denied { .. }
            | Self::Address { .. }
            | Self::NoServerName
            | Self::NotTls
            | Self::NotHttp
            | Self::Here => return None,
        };
        // Policies have no words for an IPv6 address, and none for one that the world does not reach.
        let lists = match wanted.host {
            Host::Name(_) => true,
            Host::Ip(ip) => ip.is_ipv4() && special(ip).is_none(),
        };
        lists.then_some(wanted)
    }

    /// The lines of policy that would permit `destination`; none if no line should.
    pub fn permit(&self, destination: &Destination, rules: &Rules) -> Option<String> {
        let wanted = self.wanted(destination)?;
        let denied = rules.deny.iter().any(|it| it.denies(&wanted));
        let domains = rules.with(&wanted);
        (!denied).then(|| format!("network: limited\nnetwork_domains: [{}]", domains.join(", ")))
    }
}

impl fmt::Display for Refusal {
    /// Finishes "`host:port` is not reached: …".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoNetwork => write!(f, "there is no network here"),
            Self::NotListed { place } => write!(f, "it is not in {place}"),
            Self::Port { place } => write!(f, "it is in {place}, but not with this port"),
            Self::Denied { pattern } => write!(f, "`{pattern}` is denied"),
            Self::Address { ip, kind } => write!(f, "its address {ip} is {kind}"),
            Self::ServerName { name } => {
                write!(f, "the TLS handshake names `{name}`, which is not allowed")
            }
            Self::NoServerName => write!(f, "the TLS handshake names no host"),
            Self::NotTls => write!(f, "what was sent to it is not TLS"),
            Self::HostField { name } => {
                write!(f, "the request names `{name}` as its host, which is not allowed")
            }
            Self::NotHttp => {
                write!(f, "what was sent to it is not HTTP, and port 80 carries nothing else")
            }
            Self::Here => write!(
                f,
                "it is the program's own machine, which is reached without a proxy (`NO_PROXY`); the host's \
                 own is reached with `network: full`"
            ),
        }
    }
}

impl Rules {
    /// Judges a destination by its name alone.
    pub fn check(&self, destination: &Destination) -> Result<(), Refusal> {
        if let Some(pattern) = self.deny.iter().find(|it| it.denies(destination)) {
            return Err(Refusal::Denied { pattern: pattern.clone() });
        }
        if self.endpoints.contains(destination) {
            return Ok(());
        }
        let lacking = self.lacking(destination);
        let listed = matches!(&self.allow, Allow::Layers(layers) if !layers.is_empty());
        Err(match lacking {
            None if listed => return Ok(()),
            _ if is_here(&destination.host) => Refusal::Here,
            None => Refusal::NoNetwork,
            Some(Layer { place, patterns, .. }) => {
                let place = place.clone();
                let other_port = patterns.iter().any(|it| it.is_of(&destination.host));
                if other_port { Refusal::Port { place } } else { Refusal::NotListed { place } }
            }
        })
    }

    /// The first layer that has no pattern for it.
    pub fn lacking(&self, destination: &Destination) -> Option<&Layer> {
        let Allow::Layers(layers) = &self.allow else { return None };
        let allows =
            |layer: &Layer| layer.patterns.iter().any(|it| it.allows(destination, &self.ports));
        layers.iter().find(|layer| !allows(layer))
    }

    /// The domains of the layer that lacks it, as a policy would list them, with this one.
    fn with(&self, wanted: &Destination) -> Vec<String> {
        let mut entries: Vec<String> = Vec::new();
        if let Some(Layer { patterns, presets, .. }) = self.lacking(wanted) {
            let of_presets: Vec<&str> =
                presets.iter().filter_map(|name| preset(name)).flatten().copied().collect();
            let shown = patterns.iter().map(ToString::to_string);
            entries.extend(shown.filter(|it| !of_presets.contains(&it.as_str())));
        }
        let usual = self.ports.contains(&wanted.port);
        entries.push(if usual { wanted.host.to_string() } else { wanted.to_string() });
        // Brackets, colons and stars are YAML's own.
        let quoted =
            |it: String| if it.contains([':', '[', '*']) { format!("\"{it}\"") } else { it };
        entries.into_iter().map(quoted).collect()
    }

    /// Whether every layer, or an endpoint, names this very address.
    pub(crate) fn names(&self, ip: IpAddr, port: u16) -> bool {
        let named = |layer: &Layer| layer.patterns.iter().any(|it| it.names(ip, port, &self.ports));
        let endpoint = Destination { host: Host::Ip(ip), port };
        self.endpoints.contains(&endpoint)
            || matches!(&self.allow, Allow::Layers(all) if !all.is_empty() && all.iter().all(named))
    }

    /// The pattern that denies an address a name led to.
    pub(crate) fn denied(&self, ip: IpAddr, port: u16) -> Option<&Pattern> {
        let destination = Destination { host: Host::Ip(ip), port };
        self.deny.iter().find(|it| it.denies(&destination))
    }
}

/// Whether a host is the machine itself, whichever it is.
fn is_here(host: &Host) -> bool {
    match host {
        Host::Name(name) => name == "localhost" || name.ends_with(".localhost"),
        Host::Ip(ip) => matches!(special(*ip), Some(Special::Loopback | Special::Unspecified)),
    }
}
