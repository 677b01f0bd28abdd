//! What `network: limited` reaches: domains, and presets that stand for some.

use std::net::Ipv4Addr;

use botpipe_kernel::plan::{NetworkMode, Policy};

use super::{each, shown};
use crate::diagnostic::{Code, Problem, Report};
use crate::document::field::Fields;
use crate::source::Span;

/// Names that stand for the domains of a place where packages or sources come from.
pub const NETWORK_PRESETS: [&str; 6] = ["cargo", "npm", "pypi", "go", "github", "debian"];

/// Reads the keys that speak of domains.
pub(super) fn read(fields: &mut Fields<'_>, policy: &mut Policy, report: &mut Report<'_>) {
    let domains = fields.get("network_domains");
    let presets = fields.get("network_presets");
    // A mode that is none was reported, and may have been meant to be `limited`.
    let limited = matches!(policy.network, Some(NetworkMode::Limited))
        || (policy.network.is_none() && fields.peek("network").is_some());
    for entry in [domains, presets].into_iter().flatten().filter(|_| !limited) {
        let says = match policy.network {
            Some(mode) => format!("with `network: {}`", mode.as_str()),
            None => "without `network: limited`".to_owned(),
        };
        let message = format!("`{}` means nothing {says}", entry.key);
        report.push(
            Problem::new(Code::NotLimited, entry.key_span, message).help(
                "write `network: limited` beside it: then these are reached, and nothing else",
            ),
        );
    }
    policy.network_domains = domains.map(|it| {
        each(it, "domains", report, |domain| {
            domain_fault(domain).or_else(|| of_the_program(domain))
        })
    });
    policy.network_presets = presets.map(|it| {
        each(it, "presets", report, |name| {
            let known = NETWORK_PRESETS.contains(&name);
            (!known).then(|| {
                let message = format!("there is no preset `{}`", shown(name));
                Problem::new(Code::UnknownChoice, Span::default(), message)
                    .suggest(name, NETWORK_PRESETS)
            })
        })
    });
    let denied = fields.get("deny_network_domains");
    policy.deny_network_domains = denied.map(|it| each(it, "domains", report, domain_fault));
}

/// What is wrong with a domain: `host`, `host:port` and `*.host` are right.
fn domain_fault(written: &str) -> Option<Problem> {
    let help = if written.contains("://") {
        "leave out what comes before the host, and the path: `example.com`"
    } else if written.contains('/') {
        "leave out the path: `example.com`"
    } else if written == "*" {
        "every host is `network: full`; all below one is `*.example.com`"
    } else {
        "a domain is `example.com`, `example.com:8443`, or `*.example.com` for all below it"
    };
    (!is_domain(written)).then(|| {
        let message = format!("`{}` is no domain", shown(written));
        Problem::new(Code::BadDomain, Span::default(), message).help(help)
    })
}

/// The machine itself is never reached by a list: a program in the sandbox has a loopback of its own.
fn of_the_program(written: &str) -> Option<Problem> {
    let host = written.rsplit_once(':').map_or(written, |(host, _)| host);
    let here = host == "localhost"
        || host.parse::<Ipv4Addr>().is_ok_and(|it| it.is_loopback() || it.is_unspecified());
    here.then(|| {
        let message = format!("`{}` is a program's own machine in the sandbox", shown(written));
        Problem::new(Code::BadDomain, Span::default(), message).help(
            "its own servers are reached without this; those of the host with `network: full`, and by agents \
             where the operator sets `BOTPIPE_ALLOW_CONNECT=127.0.0.1:PORT`",
        )
    })
}

fn is_domain(written: &str) -> bool {
    let (host, port) = match written.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (written, None),
    };
    let good_port = port.is_none_or(|port| {
        port.bytes().all(|it| it.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|it| it > 0)
    });
    let host = host.strip_prefix("*.").unwrap_or(host);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // A wildcard over a whole top-level domain says no more than `*`.
    let enough = !written.starts_with("*.") || host.contains('.');
    good_port && enough && host.len() <= 253 && host.split('.').all(label)
}
