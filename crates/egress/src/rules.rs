//! The rules of a proxy: which destinations pass, and what would let others pass.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::address::Special;
use crate::host::{Destination, Host};
use crate::pattern::Pattern;

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
    /// The list.
    pub patterns: Vec<Pattern>,
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
}

impl Refusal {
    /// The lines of policy that would permit `destination`; none if no line should.
    pub fn permit(&self, destination: &Destination, ports: &[u16]) -> Option<String> {
        let line = |destination: &Destination| {
            let port = ports.contains(&destination.port);
            let entry = if port { destination.host.to_string() } else { destination.to_string() };
            // Brackets and colons are YAML's own.
            let quote = if entry.contains([':', '[']) { "\"" } else { "" };
            format!("network: limited\nnetwork_domains: [{quote}{entry}{quote}]")
        };
        match self {
            Self::NoNetwork | Self::NotListed { .. } | Self::Port { .. } => Some(line(destination)),
            Self::ServerName { name } => {
                Some(line(&Destination { host: name.clone(), port: destination.port }))
            }
            Self::Address { ip, .. } => {
                Some(line(&Destination { host: Host::Ip(*ip), port: destination.port }))
            }
            Self::Denied { .. } | Self::NoServerName | Self::NotTls => None,
        }
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
        let layers = match &self.allow {
            Allow::Nothing => return Err(Refusal::NoNetwork),
            Allow::Layers(layers) if layers.is_empty() => return Err(Refusal::NoNetwork),
            Allow::Layers(layers) => layers,
        };
        for Layer { place, patterns } in layers {
            if patterns.iter().any(|it| it.allows(destination, &self.ports)) {
                continue;
            }
            let place = place.clone();
            let other_port = patterns.iter().any(|it| it.is_of(&destination.host));
            return Err(if other_port {
                Refusal::Port { place }
            } else {
                Refusal::NotListed { place }
            });
        }
        Ok(())
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
