//! `limits:` of a policy, of a step, and of the workflow beside `max_steps`: what a process may use.

use botpipe_kernel::plan::{Bounds, Policy};

use crate::diagnostic::{Code, Problem, Report};
use crate::document::field::{Fields, count, duration, size};
use crate::yaml::{Entry, Value};

/// Most processes that one may be allowed.
const MOST_PROCESSES: u32 = 1_000_000;

/// Reads `limits:` of a policy or a step.
pub(super) fn read(entry: &Entry, report: &mut Report<'_>) -> Bounds {
    let Some(mut fields) = Fields::of(&entry.value, "limits", entry.key_span, report) else {
        return Bounds::default();
    };
    let bounds = bounds_of(&mut fields, report);
    fields.close(&[], report);
    bounds
}

/// The keys of processes, of a map that may have others.
pub(crate) fn bounds_of(fields: &mut Fields<'_>, report: &mut Report<'_>) -> Bounds {
    Bounds {
        wall_ms: fields.get("wall").and_then(|it| duration(it, report)),
        cpu_ms: fields.get("cpu").and_then(|it| duration(it, report)),
        memory: fields.get("memory").and_then(|it| size(it, report)),
        file_size: fields.get("file_size").and_then(|it| size(it, report)),
        output: fields.get("output").and_then(|it| size(it, report)),
        processes: fields.get("processes").and_then(|it| count(it, MOST_PROCESSES, report)),
    }
}

/// A `limits:` that stands beside a `policy:`.
pub(crate) struct LimitsEntry<'n> {
    pub(crate) entry: &'n Entry,
    pub(crate) bounds: Bounds,
}

impl<'n> LimitsEntry<'n> {
    /// Reads it, of a step.
    pub(crate) fn read(entry: &'n Entry, report: &mut Report<'_>) -> Self {
        Self { entry, bounds: read(entry, report) }
    }

    /// Puts them into the policy of the same place; what that limits as well is reported.
    pub(crate) fn into_policy(
        self,
        policy: &mut Option<Policy>,
        beside: Option<&Entry>,
        report: &mut Report<'_>,
    ) {
        let other = beside.and_then(|it| it.value.get("limits"));
        let keys = match other.map(|it| &it.value.value) {
            Some(Value::Map(entries)) => entries.as_slice(),
            _ => &[],
        };
        for entry in keys {
            let Some(own) = self.entry.value.get(&entry.key) else { continue };
            let message = format!("`{}` of its processes is limited twice", entry.key);
            report.push(
                Problem::new(Code::DuplicateKey, own.key_span, message)
                    .also(entry.key_span, "and here")
                    .help("keep one of them: both mean the same"),
            );
        }
        if !self.bounds.is_none() {
            let said = policy.get_or_insert_default();
            said.limits = self.bounds.or(said.limits);
        }
    }
}
