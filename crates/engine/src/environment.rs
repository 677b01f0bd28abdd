//! The environment of started processes: an allow-list, nothing else passes.

use std::ffi::{OsStr, OsString};

use crate::policy::Environment;

/// The variables a started process gets.
///
/// From `source` pass [`ALLOWED`], all `LC_*`, and the names in `pass`; then come the `extra` pairs,
/// which win over a passed one of the same name. Sorted by name, each name once.
pub fn build(
    source: impl IntoIterator<Item = (OsString, OsString)>,
    pass: &[String],
    extra: &[(String, String)],
) -> Vec<(OsString, OsString)> {
    let mut chosen: std::collections::BTreeMap<OsString, OsString> =
        source.into_iter().filter(|(name, _)| is_allowed(name, pass)).collect();
    chosen.extend(extra.iter().map(|(name, value)| (name.into(), value.into())));
    chosen.into_iter().collect()
}

/// The variables of a confined program: those of [`build`] without what its policy keeps back, with what it
/// sets, and with what tells of its surroundings.
pub(crate) fn confined(
    source: impl IntoIterator<Item = (OsString, OsString)>,
    pass: &[String],
    rules: &Environment,
    extra: &[(String, String)],
) -> Vec<(OsString, OsString)> {
    let also: Vec<String> = pass.iter().filter(|name| passes(rules, name)).cloned().collect();
    let passed = source.into_iter().filter(|(name, _)| !denies(rules, &name.to_string_lossy()));
    let set = rules.set.iter().map(|(name, value)| (name.clone(), value.clone()));
    let own = [("TMPDIR".to_owned(), "/tmp".to_owned())];
    let extra: Vec<_> = own.into_iter().chain(extra.iter().cloned()).chain(set).collect();
    build(passed, &also, &extra)
}

/// Whether a variable that is asked for passes by the rules of a policy.
pub(crate) fn passes(rules: &Environment, name: &str) -> bool {
    let listed = |only: &Vec<String>| only.iter().any(|it| it == name);
    rules.allow.as_ref().is_none_or(listed) && !denies(rules, name)
}

fn denies(rules: &Environment, name: &str) -> bool {
    rules.deny.iter().any(|pattern| matches(pattern, name))
}

/// Whether a name is meant by a pattern, in which `*` stands for any characters.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == name };
    name.strip_prefix(start).is_some_and(|name| {
        let ends = name.char_indices().map(|(at, _)| at).chain([name.len()]);
        ends.into_iter().any(|at| matches(rest, &name[at..]))
    })
}

fn is_allowed(name: &OsStr, pass: &[String]) -> bool {
    // A name that is not text is in no list.
    name.to_str().is_some_and(|name| {
        ALLOWED.contains(&name) || name.starts_with("LC_") || pass.iter().any(|also| also == name)
    })
}

/// Names that always pass: what programs need to find things and to print.
pub const ALLOWED: [&str; 9] =
    ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TERM", "TZ", "TMPDIR"];
