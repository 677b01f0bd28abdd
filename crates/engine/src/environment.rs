//! The environment of started processes: an allow-list, nothing else passes.

use std::ffi::{OsStr, OsString};

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

fn is_allowed(name: &OsStr, pass: &[String]) -> bool {
    // A name that is not text is in no list.
    name.to_str().is_some_and(|name| {
        ALLOWED.contains(&name) || name.starts_with("LC_") || pass.iter().any(|also| also == name)
    })
}

/// Names that always pass: what programs need to find things and to print.
pub const ALLOWED: [&str; 9] =
    ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TERM", "TZ", "TMPDIR"];
