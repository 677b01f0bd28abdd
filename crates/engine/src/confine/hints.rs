//! What a refusal says to people: what was refused, and the one line of policy that would permit it.

use botpipe_egress::{Destination, Event, Refusal, Via, presets};

/// A sentence for what did not go over the network; nothing for what did.
pub(crate) fn of_network(event: &Event) -> Option<String> {
    match event {
        Event::Refused { destination: target, refusal, .. } => {
            let permit = permit(target, refusal);
            let permit = permit.map(|line| format!("; {line} permits it")).unwrap_or_default();
            Some(format!("`{target}` is not reached: {refusal}{permit}"))
        }
        Event::Malformed { what } => {
            Some(format!("the proxy was sent what it does not serve: {what}"))
        }
        Event::Failed { destination, reason, by: Via::Endpoint } => {
            Some(format!("the API at `{destination}` could not be asked: {reason}"))
        }
        Event::Allowed { .. } | Event::Failed { .. } | Event::Closed { .. } | Event::Full => None,
    }
}

/// The line, in one: a preset where the host is of one.
fn permit(target: &Destination, refusal: &Refusal) -> Option<String> {
    let line = refusal.permit(target, &[80, 443])?;
    let host = target.host.to_string();
    let of = |hosts: &[&str]| {
        hosts.iter().any(|known| match known.strip_prefix('*') {
            Some(ending) => host.ends_with(ending),
            None => *known == host,
        })
    };
    let preset = presets().iter().find(|(_, hosts)| of(hosts)).map(|(name, _)| *name);
    let domains = line.lines().last().unwrap_or_default();
    Some(match preset.filter(|_| [80, 443].contains(&target.port)) {
        Some(name) => format!("`network: limited` with `network_presets: [{name}]`"),
        None => format!("`network: limited` with `{domains}`"),
    })
}
