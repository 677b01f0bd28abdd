//! What a refusal says to people: what was refused, and the one line of policy that would permit it.

use botpipe_egress::{Allow, Destination, Event, Layer, Refusal, Rules, Via, presets};

/// A sentence for what did not go over the network; nothing for what did. `rules`: those of the proxy.
pub(crate) fn of_network(event: &Event, rules: &Rules) -> Option<String> {
    match event {
        Event::Refused { destination: target, refusal, .. } => {
            let permits = permits(target, refusal, rules);
            Some(format!("`{target}` is not reached: {refusal}{permits}"))
        }
        Event::Malformed { what } => {
            Some(format!("the proxy was sent what it does not serve: {what}"))
        }
        Event::Failed { destination, reason, by: Via::Endpoint } => {
            Some(format!("the API at `{destination}` could not be asked: {reason}"))
        }
        // Where a port stands for one address, whoever asks is told by its own means.
        Event::Failed { destination, reason, by } if *by != Via::Forward => {
            Some(format!("`{destination}` is allowed, but there is no connection: {reason}"))
        }
        Event::Failed { .. } | Event::Allowed { .. } | Event::Closed { .. } | Event::Full => None,
    }
}

/// Whether a host is let pass, else the line that would let it; `None`: no list does.
pub(crate) fn permitted(target: &Destination, rules: &Rules) -> Result<(), Option<String>> {
    rules.check(target).map_err(|refusal| line(target, &refusal, rules))
}

/// How the sentence goes on: with what permits it, or that nothing does.
fn permits(target: &Destination, refusal: &Refusal, rules: &Rules) -> String {
    if let Some(line) = line(target, refusal, rules) {
        return format!("; {line} permits it");
    }
    match refusal {
        Refusal::Denied { .. } => undenied(target, rules),
        Refusal::Address { .. } => {
            format!("; no name that leads there is permitted by a list, {} permits it", full(rules))
        }
        Refusal::NoNetwork | Refusal::NotListed { .. } | Refusal::Port { .. } => {
            format!("; no list permits such an address, {} permits it", full(rules))
        }
        Refusal::ServerName { .. }
        | Refusal::HostField { .. }
        | Refusal::NoServerName
        | Refusal::NotTls
        | Refusal::NotHttp
        | Refusal::Here => String::new(),
    }
}

fn line(target: &Destination, refusal: &Refusal, rules: &Rules) -> Option<String> {
    let of = |rules: &Rules| {
        let lines = refusal.permit(target, rules)?;
        let domains = lines.lines().last().unwrap_or_default().to_owned();
        Some(format!("`{}`", preset(target, refusal, rules).unwrap_or(domains)))
    };
    let layers = layers(rules);
    if layers.is_empty() {
        return Some(format!("`network: limited` with {}", of(rules)?));
    }
    // Each narrows the others: all that lack it have to give, each by its own list.
    let wanted = refusal.wanted(target)?;
    let alone = layers
        .iter()
        .map(|layer| (layer, Rules { allow: Allow::Layers(vec![layer.clone()]), ..rules.clone() }));
    let lacking = alone.filter(|(_, rules)| rules.lacking(&wanted).is_some());
    let lines = lacking.map(|(layer, rules)| {
        Some(by(format!("`network: limited` with {}", of(&rules)?), &layer.whose))
    });
    Some(lines.collect::<Option<Vec<_>>>()?.join(" and "))
}

/// The lists of all that have to give.
fn layers(rules: &Rules) -> &[Layer] {
    match &rules.allow {
        Allow::Layers(layers) => layers,
        Allow::Nothing => &rules.withheld,
    }
}

/// The whole network, of all that do not give it.
fn full(rules: &Rules) -> String {
    let line = "`network: full`".to_owned();
    let lines = layers(rules).iter().map(|layer| by(line.clone(), &layer.whose));
    let lines: Vec<String> = lines.collect();
    let full = if lines.is_empty() { line } else { lines.join(" and ") };
    // Nobody keeps a host from who has all of them.
    if rules.deny.is_empty() { full } else { format!("{full} without `deny_network_domains`") }
}

/// A line with whose it is.
fn by(line: String, whose: &str) -> String {
    if whose.is_empty() { line } else { format!("{line} {whose}") }
}

/// Denied wins over allowed, and is not allowed by being no more denied.
fn undenied(target: &Destination, rules: &Rules) -> String {
    let rules = Rules { deny: Vec::new(), ..rules.clone() };
    match rules.check(target).map_err(|refusal| line(target, &refusal, &rules)) {
        Ok(()) => "; `deny_network_domains` without it permits it".to_owned(),
        Err(Some(line)) => format!("; {line} permits it, and `deny_network_domains` without it"),
        Err(None) => String::new(),
    }
}

/// The presets with the one that the host is of, if it is of any.
fn preset(target: &Destination, refusal: &Refusal, rules: &Rules) -> Option<String> {
    let wanted = refusal.wanted(target).filter(|it| rules.ports.contains(&it.port))?;
    let host = wanted.host.to_string();
    let of = |hosts: &[&str]| {
        hosts.iter().any(|known| match known.strip_prefix('*') {
            Some(ending) => host.ends_with(ending),
            None => *known == host,
        })
    };
    let (name, _) = presets().iter().find(|(_, hosts)| of(hosts))?;
    let said = match &rules.allow {
        Allow::Layers(_) => rules.lacking(&wanted).map(|layer| layer.presets.clone()),
        Allow::Nothing => None,
    };
    let mut names = said.unwrap_or_default();
    names.push((*name).to_owned());
    Some(format!("network_presets: [{}]", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use botpipe_egress::{Pattern, Special, preset};

    use super::*;

    fn rules(domains: &[&str], presets: &[&str], deny: &[&str]) -> Rules {
        let of_presets = presets.iter().filter_map(|name| preset(name)).flatten();
        let read = |text: &&str| Pattern::parse(text).unwrap();
        let patterns = domains.iter().chain(of_presets).map(read).collect();
        let presets = presets.iter().map(|name| (*name).to_owned()).collect();
        let layer = Layer { place: "the list".to_owned(), whose: String::new(), patterns, presets };
        let allow = Allow::Layers(vec![layer]);
        Rules { allow, deny: deny.iter().map(read).collect(), ..Rules::default() }
    }

    fn refused(to: &str, rules: &Rules, refusal: Option<Refusal>) -> String {
        let destination = Destination::parse(to).unwrap();
        let refusal = refusal.unwrap_or_else(|| rules.check(&destination).unwrap_err());
        of_network(&Event::Refused { destination, refusal, by: Via::Connect }, rules).unwrap()
    }

    /// Lists are set as a whole: what a line leaves out is no more permitted.
    #[test]
    fn the_line_has_what_was_permitted_before() {
        let none = Rules::default();
        assert_eq!(
            refused("new.example:443", &none, None),
            "`new.example:443` is not reached: there is no network here; `network: limited` with \
             `network_domains: [new.example]` permits it"
        );
        let some = rules(&["a.example", "*.b.example"], &["npm"], &["c.example"]);
        for (to, line) in [
            ("new.example:443", "network_domains: [a.example, \"*.b.example\", new.example]"),
            ("a.example:8443", "network_domains: [a.example, \"*.b.example\", \"a.example:8443\"]"),
            ("pypi.org:443", "network_presets: [npm, pypi]"),
        ] {
            let said = refused(to, &some, None);
            let ends = format!("; `network: limited` with `{line}` permits it");
            assert!(said.ends_with(&ends), "{said}");
        }
    }

    #[test]
    fn every_layer_that_lacks_it_has_to_give_by_its_own_list() {
        let layers =
            [("a.example", "of the workflow"), ("b.example", "in `ci.yaml`, which narrows it,")];
        let layers = layers.map(|(domain, whose)| Layer {
            place: "the `network_domains` of somebody".to_owned(),
            whose: whose.to_owned(),
            patterns: vec![Pattern::parse(domain).unwrap()],
            presets: Vec::new(),
        });
        let both = Rules { allow: Allow::Layers(layers.to_vec()), ..Rules::default() };
        let said = refused("new.example:443", &both, None);
        let ends = "`network: limited` with `network_domains: [a.example, new.example]` of the workflow and \
                    `network: limited` with `network_domains: [b.example, new.example]` in `ci.yaml`, which narrows \
                    it, permits it";
        assert!(said.ends_with(ends), "{said}");
        let said = refused("a.example:443", &both, None);
        let ends = "; `network: limited` with `network_domains: [b.example, a.example]` in `ci.yaml`, which narrows \
                    it, permits it";
        assert!(said.ends_with(ends), "{said}");
    }

    #[test]
    fn no_line_is_told_that_permits_nothing() {
        let some = rules(&["a.example", "c.example"], &["pypi"], &["c.example"]);
        let kind = Special::Private;
        let address = Refusal::Address { ip: [10, 0, 0, 1].into(), kind };
        for (to, refusal, ends) in [
            ("c.example:443", None, "`deny_network_domains` without it permits it"),
            (
                "pypi.org:443",
                Some(address),
                "by a list, `network: full` without `deny_network_domains` permits it",
            ),
            (
                "10.0.0.1:443",
                None,
                "such an address, `network: full` without `deny_network_domains` permits it",
            ),
            (
                "[2606:2800::1]:443",
                None,
                "such an address, `network: full` without `deny_network_domains` permits it",
            ),
            ("[::1]:8124", None, "the host's own is reached with `network: full`"),
            ("0.0.0.0:80", None, "the host's own is reached with `network: full`"),
            ("a.example:80", Some(Refusal::NotHttp), "and port 80 carries nothing else"),
        ] {
            let said = refused(to, &some, refusal);
            assert!(said.ends_with(ends), "{said}");
            assert!(!said.contains("network_domains: [") && !said.contains("presets"), "{said}");
        }
    }

    #[test]
    fn what_is_denied_and_not_allowed_needs_both() {
        let said = refused("c.example:443", &rules(&["a.example"], &[], &["c.example"]), None);
        let ends = "`network_domains: [a.example, c.example]` permits it, and `deny_network_domains` without it";
        assert!(said.ends_with(ends), "{said}");
    }

    #[test]
    fn a_host_that_is_allowed_and_not_found_is_told() {
        let failed = Event::Failed {
            destination: Destination::parse("gone.example:443").unwrap(),
            reason: "no such name".to_owned(),
            by: Via::Connect,
        };
        assert_eq!(
            of_network(&failed, &Rules::default()).unwrap(),
            "`gone.example:443` is allowed, but there is no connection: no such name"
        );
    }
}
