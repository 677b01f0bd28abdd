//! `policy:` of the workflow, of a step, of a turn, and of settings.

mod environment;
mod limits;
mod network;
mod paths;

use botpipe_kernel::plan::{NetworkMode, PermissionMode, Policy, SandboxMode, Validation};

pub(crate) use limits::{LimitsEntry, bounds_of};
pub use network::NETWORK_PRESETS;

use super::Reader;
use super::field::{Fields, boolean, choice, list, text_of};
use crate::diagnostic::{Code, Problem, Report};
use crate::source::Span;
use crate::yaml::{Entry, Node};

/// Words of the Python original's policies that are said otherwise here.
const ELSEWHERE: [(&str, &str); 2] = [
    (
        "base",
        "a policy starts from the one around it: say in the workflow's `policy` what all share, and in a \
         step's or a turn's what differs",
    ),
    (
        "read_only",
        "write `sandbox_mode: read_only`, or name in `deny_write` the paths that may only be read",
    ),
];

impl Reader<'_, '_> {
    /// What is asked for.
    pub(super) fn policy(&mut self, entry: &Entry) -> Option<Policy> {
        policy(entry, self.report)
    }
}

/// A policy below a key.
pub fn policy(entry: &Entry, report: &mut Report<'_>) -> Option<Policy> {
    policy_of(&entry.value, entry.key_span, report)
}

/// A policy that stands by itself; `place` is where its key stands, or the file begins.
pub fn policy_of(node: &Node, place: Span, report: &mut Report<'_>) -> Option<Policy> {
    let mut fields = Fields::of(node, "a policy", place, report)?;
    let mut policy = Policy::default();
    if let Some(mode) = fields.get("sandbox_mode") {
        policy.sandbox_mode = choice(mode, SandboxMode::ALL, report);
    }
    if let Some(mode) = fields.get("permission_mode") {
        policy.permission_mode = choice(mode, PermissionMode::ALL, report);
    }
    policy.allow_read = fields.get("allow_read").map(|it| paths::plain(it, report));
    policy.deny_read = fields.get("deny_read").map(|it| paths::patterns(it, report));
    policy.allow_write = fields.get("allow_write").map(|it| paths::plain(it, report));
    policy.deny_write = fields.get("deny_write").map(|it| paths::patterns(it, report));
    if let Some(mode) = fields.get("network") {
        policy.network = choice(mode, NetworkMode::ALL, report);
    }
    network::read(&mut fields, &mut policy, report);
    if let Some(entry) = fields.get("allow_local_binding") {
        policy.allow_local_binding = boolean(entry, report);
    }
    policy.allow_permissions = fields.get("allow_permissions").map(|it| rules(it, report));
    policy.ask_permissions = fields.get("ask_permissions").map(|it| rules(it, report));
    policy.deny_permissions = fields.get("deny_permissions").map(|it| rules(it, report));
    if let Some(entry) = fields.get("environment") {
        policy.environment = environment::read(entry, report);
    }
    if let Some(entry) = fields.get("validation") {
        policy.validation = choice(entry, Validation::ALL, report);
    }
    if let Some(entry) = fields.get("strict") {
        policy.strict = boolean(entry, report);
    }
    if let Some(entry) = fields.get("limits") {
        policy.limits = limits::read(entry, report);
    }
    fields.close(&ELSEWHERE, report);
    Some(policy)
}

/// Rules of a provider's own: the name of a tool, and what it may be used for.
fn rules(entry: &Entry, report: &mut Report<'_>) -> Vec<String> {
    each(entry, "rules", report, |rule| {
        let (tool, rest) = rule.split_once('(').map_or((rule, None), |(it, rest)| (it, Some(rest)));
        let named = tool.starts_with(|c: char| c.is_ascii_alphabetic())
            && tool.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
        let closed = rest.is_none_or(|rest| rest.len() > 1 && rest.ends_with(')'));
        let good = named && closed && !rule.contains(char::is_control);
        (!good).then(|| {
            Problem::new(Code::BadRule, Span::default(), format!("`{}` is no rule", shown(rule)))
                .help(
                    "a rule is a tool, or a tool and what it may be used for: `Edit`, `Bash(rm *)`",
                )
        })
    })
}

/// The texts of a list, each once; `fault` says what is wrong with one, and its place is filled in.
fn each(
    entry: &Entry,
    of: &str,
    report: &mut Report<'_>,
    fault: impl Fn(&str) -> Option<Problem>,
) -> Vec<String> {
    let mut first: Vec<(&str, Span)> = Vec::new();
    for node in list(entry, of, report) {
        let Some(written) = text_of(node, node.span, report) else { continue };
        if let Some(problem) = fault(written.value) {
            report.push(problem.at(written.span));
        } else if let Some((_, before)) = first.iter().find(|(it, _)| *it == written.value) {
            let message = format!("`{}` is listed twice", shown(written.value));
            report.push(
                Problem::new(Code::ListedTwice, written.span, message).also(*before, "first here"),
            );
        } else {
            first.push((written.value, written.span));
        }
    }
    first.into_iter().map(|(it, _)| it.to_owned()).collect()
}

/// A text as a message shows it.
fn shown(text: &str) -> std::str::EscapeDebug<'_> {
    text.escape_debug()
}
