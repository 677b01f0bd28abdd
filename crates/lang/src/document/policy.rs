//! `policy:` of the workflow, of a step or of a turn.

use botpipe_kernel::plan::{NetworkMode, Policy, SandboxMode};

use super::Reader;
use super::field::{Fields, choice, list, text_of};
use crate::diagnostic::{Code, Problem};
use crate::source::Span;
use crate::yaml::Entry;

/// Controls of the language that nobody enforces yet.
const NOT_ENFORCED: [&str; 12] = [
    "base",
    "read_only",
    "permission_mode",
    "allow_read",
    "deny_read",
    "deny_write",
    "network_domains",
    "deny_network_domains",
    "allow_local_binding",
    "allow_permissions",
    "ask_permissions",
    "deny_permissions",
];

impl Reader<'_, '_> {
    /// What is asked for; a control that nobody enforces is refused.
    pub(super) fn policy(&mut self, entry: &Entry) -> Option<Policy> {
        let mut fields = Fields::of(&entry.value, "a policy", entry.key_span, self.report)?;
        let mut policy = Policy::default();
        if let Some(mode) = fields.get("sandbox_mode") {
            let words = [
                ("read_only", SandboxMode::ReadOnly),
                ("workspace_write", SandboxMode::WorkspaceWrite),
                ("danger_full_access", SandboxMode::DangerFullAccess),
            ];
            policy.sandbox_mode = choice(mode, &words, &[], self.report);
        }
        if let Some(network) = fields.get("network") {
            let words = [("full", NetworkMode::Full), ("none", NetworkMode::None)];
            policy.network = choice(network, &words, &["limited"], self.report);
        }
        if let Some(paths) = fields.get("allow_write") {
            let written = list(paths, "paths", self.report);
            let read = written.iter().map(|node| text_of(node, node.span, self.report));
            let paths: Vec<_> = read.collect::<Vec<_>>().into_iter().flatten().collect();
            for path in &paths {
                self.outside_or_whole(path.value, path.span);
            }
            let whole = |path: &str| matches!(path, "." | "./");
            let outside = paths.iter().map(|path| path.value.to_owned());
            policy.allow_write = Some(outside.filter(|path| !whole(path)).collect());
        }
        fields.close_policy(&NOT_ENFORCED, self.report);
        Some(policy)
    }

    /// The whole workspace may be written or nothing of it: no harness's own sandbox narrows further.
    fn outside_or_whole(&mut self, path: &str, span: Span) {
        if path.starts_with('/') || path.starts_with("../") || matches!(path, "." | "./" | "..") {
            return;
        }
        let message =
            format!("nothing enforces yet that only `{path}` of the workspace is written");
        self.report.push(
            Problem::new(Code::PolicyNotEnforced, span, message)
                .help("name `.` for the whole workspace, and paths outside it, absolute or with `../`")
                .refused(),
        );
    }
}
