//! A resolved policy compiled for one program: its files, its network, its bounds and its variables.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use botpipe_egress::{
    Allow, Destination, Host, Layer as Domains, Pattern, Rules as Reached, Upstream, preset,
    special,
};
use botpipe_kernel::plan::{NetworkMode, SandboxMode};
use botpipe_sandbox::{Bounds, Confinement, Network, landlock};

use super::paths::absolute;
use super::{Files, Refusal, Rules, Site, files, others, person};
use crate::policy::{Control, Origin, Resolved};

/// The port of a program's own `127.0.0.1` that the proxy answers on.
const PROXY: u16 = 3128;

/// Bytes that a program may write to folders in memory where its policy says nothing of memory: room for the
/// builds and tests of most projects.
pub(crate) const IN_MEMORY: u64 = 4 << 30;

/// The interface of Landlock that knows ports.
const LANDLOCK_PORTS: u32 = 4;

/// A policy as the operating system is told, and who answers where the program knocks.
#[derive(Debug, Clone)]
pub(crate) struct Compiled {
    /// `None`: nothing is to be kept from it.
    pub(crate) confinement: Option<Confinement>,
    /// `None`: the host's, as they are.
    pub(crate) files: Option<Files>,
    /// In the order of the confinement's.
    pub(crate) doors: Vec<Door>,
    /// Variables that tell programs of their surroundings.
    pub(crate) variables: Vec<(String, String)>,
}

/// Who answers on a port of the program's network.
#[derive(Debug, Clone)]
pub(crate) enum Door {
    /// The proxy, by its rules.
    Proxy(Box<Reached>),
    /// One address of the host: a model on its loopback.
    Address(SocketAddr),
    /// An API, with its key.
    Api(Box<Upstream>),
}

/// What a program reaches whatever its policy says, and what stands in for the world in tests.
#[derive(Debug, Clone, Default)]
pub(crate) struct Surroundings {
    /// Where the model of its provider is.
    pub(crate) endpoints: Vec<Endpoint>,
    /// The API of its provider, whose key stays outside.
    pub(crate) api: Option<Api>,
    /// Where names lead, instead of asking.
    pub(crate) resolve: BTreeMap<Host, SocketAddr>,
    /// Whether the policy is of whoever runs it: others may not name addresses of his machine and network.
    pub(crate) own_policy: bool,
}

/// Where a model is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// Somewhere in the world.
    Host(Destination),
    /// On this machine, by the settings of its user.
    Loopback(SocketAddr),
}

/// An API that answers on a port of the program's own, without a key.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    pub(crate) port: u16,
    pub(crate) upstream: Upstream,
}

impl Api {
    /// At the first port that nothing else answers on.
    pub(crate) fn beside(endpoints: &[Endpoint], upstream: Upstream) -> Self {
        let taken = |port: &u16| {
            let at = |it: &Endpoint| matches!(it, Endpoint::Loopback(to) if to.port() == *port);
            endpoints.iter().any(at)
        };
        let port = (PROXY + 1..=u16::MAX).find(|port| !taken(port)).unwrap_or(PROXY + 1);
        Self { port, upstream }
    }
}

/// Compiles a policy for a program at a site.
pub(crate) fn compile(
    policy: &Resolved,
    site: &Site,
    surroundings: &Surroundings,
) -> Result<Compiled, Refusal> {
    let rules = Rules::of(policy);
    if policy.sandbox_mode == SandboxMode::DangerFullAccess {
        for (control, list) in [("deny_read", rules.deny_read), ("deny_write", rules.deny_write)] {
            let said = if control == "deny_read" { Control::DenyRead } else { Control::DenyWrite };
            if let Some(path) = list.first().filter(|_| !policy.may_go_unkept(said)) {
                return Err(Refusal {
                    control,
                    what: format!("`{control}: {path}` cannot be kept without a sandbox"),
                    permit: "`sandbox_mode: workspace_write` keeps it".to_owned(),
                });
            }
        }
    }
    if policy.sandbox_mode != SandboxMode::DangerFullAccess
        && let Some(all) =
            rules.allow_write.iter().find(|text| absolute(text, site) == Path::new("/"))
    {
        return Err(Refusal {
            control: "allow_write",
            what: format!(
                "`allow_write: {all}` is all of this machine, which no sandbox leaves open"
            ),
            permit: "name the folders that may be written, as in `allow_write: [., /opt/data]`; \
                     `sandbox_mode: danger_full_access` leaves the sandbox"
                .to_owned(),
        });
    }
    if !policy.allow_local_binding && landlock().is_none_or(|abi| abi < LANDLOCK_PORTS) {
        return Err(Refusal {
            control: "allow_local_binding",
            what: "`allow_local_binding: false` cannot be kept by a kernel without Landlock for ports \
                   (Linux 6.7)"
                .to_owned(),
            permit: "`allow_local_binding: true` leaves it".to_owned(),
        });
    }
    let made_anew = ["/dev", "/proc", "/sys"].iter().find(|top| site.workspace.starts_with(top));
    if let Some(top) = made_anew.filter(|_| policy.sandbox_mode != SandboxMode::DangerFullAccess) {
        return Err(Refusal {
            control: "sandbox_mode",
            what: format!(
                "the workspace `{}` lies in `{top}`, of which every program in a sandbox has its own",
                site.workspace.display()
            ),
            permit: "move it to another folder, such as `/tmp` or one in your home".to_owned(),
        });
    }
    let mut files = files(&rules, site)?;
    if let Some(files) = files.as_mut().filter(|_| policy.network == NetworkMode::None) {
        files.unshown.retain(|it| !it.of_network);
    }
    let (network, doors, mut variables) = reach(policy, surroundings)?;
    let account = files.as_ref().and_then(|files| files.account);
    // What passes of these names whoever runs Botpipe.
    let name = account.map(person::name_of_account);
    variables.extend(
        name.into_iter().flat_map(|it| ["LOGNAME", "USER"].map(|key| (key.to_owned(), it.clone()))),
    );
    let limits = &policy.limits;
    let confinement = Confinement {
        files: files.as_ref().map(|files| files.layers.clone()),
        network,
        no_listening: !policy.allow_local_binding,
        bounds: Bounds {
            cpu: limits.cpu_ms,
            memory: limits.memory,
            processes: limits.processes.map(u64::from),
            file_size: limits.file_size,
            in_memory: files.is_some().then(|| limits.memory.unwrap_or(IN_MEMORY)),
        },
        account,
    };
    // What may do all that its starter may is only held together, so that it ends when it should.
    let free = Confinement::default();
    let confinement = (confinement != free).then_some(confinement);
    if confinement.is_some() && files.is_none() {
        others::check_unconfined(site)?;
    }
    Ok(Compiled { confinement, files, doors, variables })
}

type Reach = (Network, Vec<Door>, Vec<(String, String)>);

fn reach(policy: &Resolved, surroundings: &Surroundings) -> Result<Reach, Refusal> {
    let deny = patterns("deny_network_domains", &policy.deny_domains)?;
    if policy.network == NetworkMode::Full {
        let kept = policy.deny_domains.first();
        if let Some(domain) = kept.filter(|_| !policy.may_go_unkept(Control::DenyDomains)) {
            return Err(Refusal {
                control: "deny_network_domains",
                what: format!(
                    "`{domain}` cannot be kept from a program that has the whole network"
                ),
                permit: "`network: limited` with the `network_domains` it needs".to_owned(),
            });
        }
        return Ok((Network::Host, Vec::new(), Vec::new()));
    }
    if !surroundings.own_policy
        && let Some(listed) = policy.domains.iter().flatten().find(|text| is_close(text))
    {
        return Err(Refusal {
            control: "network_domains",
            what: format!("`{listed}` is an address of this machine or of its own network"),
            permit: "`network: full` in the policy".to_owned(),
        });
    }
    let (allow, withheld) = match policy.network {
        NetworkMode::Limited => (Allow::Layers(layers(policy)?), Vec::new()),
        // What is wrong with a list that is not looked at is said where it is.
        _ => (Allow::Nothing, withheld(policy).unwrap_or_default()),
    };
    let remote = surroundings.endpoints.iter().filter_map(|endpoint| match endpoint {
        Endpoint::Host(destination) => Some(destination.clone()),
        Endpoint::Loopback(_) => None,
    });
    let rules = Reached {
        allow,
        endpoints: remote.collect(),
        deny,
        resolve: surroundings.resolve.clone(),
        withheld,
        ..Reached::default()
    };
    let mut doors = vec![Door::Proxy(Box::new(rules))];
    let mut ports = vec![PROXY];
    for endpoint in &surroundings.endpoints {
        if let Endpoint::Loopback(address) = endpoint
            && address.port() == PROXY
        {
            return Err(Refusal {
                control: "network",
                what: format!(
                    "port {PROXY} of the model is the one that the proxy answers on inside"
                ),
                permit: "`network: full`, or a model that is served on another port".to_owned(),
            });
        }
        if let Endpoint::Loopback(address) = endpoint
            && !ports.contains(&address.port())
        {
            doors.push(Door::Address(*address));
            ports.push(address.port());
        }
    }
    if let Some(Api { port, upstream }) = &surroundings.api {
        doors.push(Door::Api(Box::new(upstream.clone())));
        ports.push(*port);
    }
    Ok((Network::Own { doors: ports }, doors, variables()))
}

fn layers(policy: &Resolved) -> Result<Vec<Domains>, Refusal> {
    let said_by = |origins: &[Origin], words: fn(&Origin) -> String| {
        origins.iter().map(words).collect::<Vec<_>>().join(" and ")
    };
    let alone = policy.said_by.is_authors_alone(Control::Network);
    let lists = policy.domains.iter().zip(&policy.presets).enumerate();
    let layers = lists.map(|(n, (domains, presets))| {
        let unknown = std::slice::from_ref(policy.origin(Control::Domains));
        let origins = policy.said_by.domains.get(n).map_or(unknown, Vec::as_slice);
        let by = (said_by(origins, Origin::to_string), said_by(origins, Origin::whose));
        let by = if alone { (by.0, String::new()) } else { by };
        layer(domains, presets, by)
    });
    layers.collect()
}

/// The lists of all who do not give the whole network, where one of them gives none.
fn withheld(policy: &Resolved) -> Result<Vec<Domains>, Refusal> {
    if policy.said_by.is_authors_alone(Control::Network) {
        return Ok(Vec::new());
    }
    let narrower = policy.said_by.networks().filter(|(mode, ..)| *mode != NetworkMode::Full);
    let lists = narrower.map(|(mode, said, whose)| {
        let list = |list: &Option<Vec<String>>| match mode {
            NetworkMode::Limited => list.clone().unwrap_or_default(),
            NetworkMode::None | NetworkMode::Full => Vec::new(),
        };
        layer(&list(&said.network_domains), &list(&said.network_presets), (whose.clone(), whose))
    });
    lists.collect()
}

fn layer(
    domains: &[String],
    presets: &[String],
    (origin, whose): (String, String),
) -> Result<Domains, Refusal> {
    let place = format!("the `{}` of {origin}", Control::Domains);
    let mut listed = patterns("network_domains", domains)?;
    for name in presets {
        let hosts = preset(name).ok_or_else(|| Refusal {
            control: "network_presets",
            what: format!("there is no preset `{name}`"),
            permit: "name its hosts in `network_domains`".to_owned(),
        })?;
        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        listed.extend(patterns("network_presets", &hosts)?);
    }
    Ok(Domains { place, whose, patterns: listed, presets: presets.to_vec() })
}

fn patterns(control: &'static str, written: &[String]) -> Result<Vec<Pattern>, Refusal> {
    let read = |text: &String| {
        Pattern::parse(text).map_err(|error| Refusal {
            control,
            what: format!("`{control}: {text}` is no domain: {error}"),
            permit: "write `example.com`, `*.example.com` or `example.com:8443`".to_owned(),
        })
    };
    written.iter().map(read).collect()
}

/// Whether a domain is the address of a machine that the world does not reach.
fn is_close(text: &str) -> bool {
    let bare = text.trim_start_matches('[');
    let ends = bare.split_once(']').map(|(ip, _)| ip);
    let ip = ends.or_else(|| bare.rsplit_once(':').map(|(ip, _)| ip)).unwrap_or(bare);
    [ip, bare].iter().any(|ip| ip.parse().is_ok_and(|ip: IpAddr| special(ip).is_some()))
}

/// What means this machine: names and addresses for all, `[::1]` for Python, a network for curl and Go, a range
/// for Node.js; what knows neither has two more addresses of the loopback that are in use.
const OWN: &str = "localhost,127.0.0.1,::1,[::1],0.0.0.0,127.0.1.1,127.0.0.2,127.0.0.0/8,\
                   127.0.0.1-127.255.255.255";

/// How programs find the proxy. What talks to the program's own loopback needs none.
fn variables() -> Vec<(String, String)> {
    let http = format!("http://127.0.0.1:{PROXY}");
    let socks = format!("socks5h://127.0.0.1:{PROXY}");
    let mut own = OWN.to_owned();
    if let Some(name) = name_of_machine() {
        own.push(',');
        own.push_str(&name);
    }
    let each = |upper: &str, value: &String| {
        [(upper.to_owned(), value.clone()), (upper.to_lowercase(), value.clone())]
    };
    let mut all = Vec::new();
    all.extend(each("HTTP_PROXY", &http));
    all.extend(each("HTTPS_PROXY", &http));
    all.extend(each("ALL_PROXY", &socks));
    all.extend(each("NO_PROXY", &own));
    // Node.js looks at the others only when it is told to (since 24.0; 22.21 as well).
    all.push(("NODE_USE_ENV_PROXY".to_owned(), "1".to_owned()));
    all
}

/// What a program finds when it asks for the name of the machine.
fn name_of_machine() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let name = name.trim();
    let plain = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'.' | b'_');
    (!name.is_empty() && name != "(none)" && name.bytes().all(plain)).then(|| name.to_owned())
}
