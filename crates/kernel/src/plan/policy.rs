//! What the processes of a run may do, as an author or an operator asks for it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Bounds, NetworkMode, PermissionMode, SandboxMode, Validation};

/// One layer of a policy. What is `None` is left to the layer outside it.
///
/// Paths are as written: relative ones are inside the workspace, `~/…` in the home of whoever runs it,
/// `/…` absolute, `../…` outside. Those of `deny_read` and `deny_write` may be globs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox_mode: Option<SandboxMode>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission_mode: Option<PermissionMode>,
    /// All that may be read, beside what programs need to start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_read: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deny_read: Option<Vec<String>>,
    /// All that may be written: paths in the workspace narrow it, `.` is the whole of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_write: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deny_write: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkMode>,
    /// With [`NetworkMode::Limited`]: `host`, `host:port`, `*.host`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_domains: Option<Vec<String>>,
    /// With [`NetworkMode::Limited`]: names of sets of domains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_presets: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deny_network_domains: Option<Vec<String>>,
    /// Whether servers may listen on this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_local_binding: Option<bool>,
    /// Rules of a provider's own, such as `Bash(git status)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_permissions: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask_permissions: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deny_permissions: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "EnvironmentRules::is_none")]
    pub environment: EnvironmentRules,
    /// What becomes of a control that nobody enforces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<Validation>,
    /// Whether a control counts as enforced only where nothing of it is left open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
    #[serde(default, skip_serializing_if = "Bounds::is_none")]
    pub limits: Bounds,
}

impl Policy {
    /// This policy with what it leaves open taken from the one outside it.
    #[must_use]
    pub fn over(self, outer: &Self) -> Self {
        let list = |inner: Option<Vec<String>>, outer: &Option<Vec<String>>| {
            inner.or_else(|| outer.clone())
        };
        Self {
            sandbox_mode: self.sandbox_mode.or(outer.sandbox_mode),
            permission_mode: self.permission_mode.or(outer.permission_mode),
            allow_read: list(self.allow_read, &outer.allow_read),
            deny_read: list(self.deny_read, &outer.deny_read),
            allow_write: list(self.allow_write, &outer.allow_write),
            deny_write: list(self.deny_write, &outer.deny_write),
            network: self.network.or(outer.network),
            network_domains: list(self.network_domains, &outer.network_domains),
            network_presets: list(self.network_presets, &outer.network_presets),
            deny_network_domains: list(self.deny_network_domains, &outer.deny_network_domains),
            allow_local_binding: self.allow_local_binding.or(outer.allow_local_binding),
            allow_permissions: list(self.allow_permissions, &outer.allow_permissions),
            ask_permissions: list(self.ask_permissions, &outer.ask_permissions),
            deny_permissions: list(self.deny_permissions, &outer.deny_permissions),
            environment: self.environment.over(&outer.environment),
            validation: self.validation.or(outer.validation),
            strict: self.strict.or(outer.strict),
            limits: self.limits.or(outer.limits),
        }
    }
}

/// Which variables processes see; `None`: left to the layer outside.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentRules {
    /// Of those that pass, only these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<String>>,
    /// None of these; `*` stands for any characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deny: Option<Vec<String>>,
    /// Set for every process. The values are recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<BTreeMap<String, String>>,
}

impl EnvironmentRules {
    /// Whether nothing is said.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    fn over(self, outer: &Self) -> Self {
        Self {
            allow: self.allow.or_else(|| outer.allow.clone()),
            deny: self.deny.or_else(|| outer.deny.clone()),
            set: self.set.or_else(|| outer.set.clone()),
        }
    }
}

/// What a file outside of the workflow says for a run.
///
/// # Shape
/// `{"from":"botpipe.yaml","policy":{…}}`, `{"from":"ci.yaml","ceiling":true,"policy":{…}}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyLayer {
    /// The file, as whoever started the run named it.
    pub from: String,
    /// An operator's, which only narrows; else an author's, which lies outside the workflow's.
    #[serde(default, skip_serializing_if = "is_false")]
    pub ceiling: bool,
    pub policy: Policy,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}
