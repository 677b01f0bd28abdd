//! What a refusal says to people: what was refused, and the one line of policy that would permit it.

use botpipe_egress::{Allow, Destination, Event, Refusal, Rules, Via, presets};

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
        Event::Failed { by: Via::Forward, .. } => None,
        Event::Failed { destination, reason, .. } => {
            Some(format!("`{destination}` is allowed, but there is no connection: {reason}"))
        }
        Event::Allowed { .. } | Event::Closed { .. } | Event::Full => None,
    }
}

/// How the sentence goes on: with what permits it, or that nothing does.
fn permits(target: &Destination, refusal: &Refusal, rules: &Rules) -> String {
    if let Some(lines) = refusal.permit(target, rules) {
        let domains = lines.lines().last().unwrap_or_default().to_owned();
        let line = preset(target, refusal, rules).unwrap_or(domains);
        return format!("; `network: limited` with `{line}` permits it");
    }
    let why = match refusal {
        Refusal::Denied { .. } => {
            "; what is denied wins over what is allowed: `deny_network_domains` without it permits it"
        }
        Refusal::Address { .. } => {
            "; no name that leads there is permitted by a list, `network: full` permits it"
        }
        Refusal::NoNetwork | Refusal::NotListed { .. } | Refusal::Port { .. } => {
            "; no list permits such an address, `network: full` permits it"
        }
        Refusal::ServerName { .. }
        | Refusal::HostField { .. }
        | Refusal::NoServerName
        | Refusal::NotTls
        | Refusal::NotHttp
        | Refusal::Here => "",
    };
    why.to_owned()
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
