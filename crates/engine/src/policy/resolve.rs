//! The policy that holds: authors' layers laid over each other, then narrowed by operators' ceilings.

use std::collections::{BTreeMap, BTreeSet};

use botpipe_kernel::plan::{Bounds, NetworkMode, PermissionMode, Policy, SandboxMode, Validation};
use serde::{Deserialize, Serialize};

use super::control::{Control, Origin};
use super::paths::Ground;
use super::said::Said;

/// A policy in which nothing is left open.
///
/// Paths are in one form: relative to the workspace inside it, `.` for the whole of it, absolute
/// elsewhere. Lists are sorted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resolved {
    pub sandbox_mode: SandboxMode,
    pub permission_mode: PermissionMode,
    /// `/`: everything.
    pub allow_read: Vec<String>,
    /// Paths and globs.
    pub deny_read: Vec<String>,
    /// What may be written with [`SandboxMode::WorkspaceWrite`].
    pub allow_write: Vec<String>,
    /// Paths and globs.
    pub deny_write: Vec<String>,
    pub network: NetworkMode,
    /// With [`NetworkMode::Limited`]: a host is reached that every layer has, among its domains or in
    /// one of its presets. As long as `presets`.
    pub domains: Vec<Vec<String>>,
    /// The presets of each layer, by name.
    pub presets: Vec<Vec<String>>,
    pub deny_domains: Vec<String>,
    pub allow_local_binding: bool,
    pub environment: Environment,
    pub limits: Bounds,
    pub permissions: Permissions,
    pub validation: Validation,
    pub strict: bool,
    /// Of every control.
    pub origins: BTreeMap<Control, Origin>,
    /// What each layer says by itself.
    #[serde(skip)]
    pub(crate) said_by: Said,
}

/// Which variables pass, and which are set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// Of those that pass anyway, only these; `None`: all of them.
    pub allow: Option<Vec<String>>,
    /// None of these; `*` stands for any characters.
    pub deny: Vec<String>,
    pub set: BTreeMap<String, String>,
}

/// Rules of a provider's own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Permissions {
    pub allow: Vec<String>,
    pub ask: Vec<String>,
    pub deny: Vec<String>,
}

impl Resolved {
    /// Where the value of a control comes from.
    pub fn origin(&self, control: Control) -> &Origin {
        self.origins.get(&control).unwrap_or(&Origin::Default)
    }

    /// Whether an agent is to ask leave: its mode wants that, and something is left that it may do.
    pub(crate) fn asks(&self) -> bool {
        let nothing_left =
            self.sandbox_mode == SandboxMode::ReadOnly && self.network == NetworkMode::None;
        let asks = matches!(
            self.permission_mode,
            PermissionMode::Ask | PermissionMode::AutoEdit | PermissionMode::DenyAll
        );
        asks && !nothing_left
    }

    /// Whether its agents are to work without the sandbox that it has around them.
    pub(crate) fn wants_no_sandbox(&self) -> bool {
        self.permission_mode == PermissionMode::FullAutoUnsandboxed
            && self.sandbox_mode != SandboxMode::DangerFullAccess
    }

    /// Whether a control may be left unkept.
    pub(crate) fn may_go_unkept(&self, control: Control) -> bool {
        let held = matches!(self.origin(control), Origin::Ceiling { .. });
        self.validation != Validation::Fail && !held
    }

    /// Whether somebody says what a control is.
    pub fn is_said(&self, control: Control) -> bool {
        *self.origin(control) != Origin::Default
    }
}

/// Resolves a policy.
///
/// `authors` stand from the outermost to the innermost: field by field the inner one wins. `ceilings`
/// only narrow what comes of that, each of them, in no order; what they set in the environment is not
/// taken, since nothing that is set narrows.
pub fn resolve(
    authors: &[(Origin, &Policy)],
    ceilings: &[(Origin, &Policy)],
    ground: &Ground,
) -> Resolved {
    let (said, origins) = over(authors);
    let mut narrowed = Narrowing { holds: base(said.clone(), ground), ground };
    narrowed.holds.origins = origins;
    narrowed.begin(said);
    // In one order, whatever order they are given in.
    let mut ceilings: Vec<_> = ceilings.iter().collect();
    ceilings.sort_by(|one, other| one.0.cmp(&other.0));
    for (origin, ceiling) in ceilings {
        narrowed.by(origin, ceiling);
    }
    let mut holds = narrowed.holds;
    if holds.network != NetworkMode::Limited {
        holds.domains.clear();
        holds.presets.clear();
        holds.said_by.domains.clear();
    }
    holds
}

/// The authors' layers as one, and who says what.
fn over(authors: &[(Origin, &Policy)]) -> (Policy, BTreeMap<Control, Origin>) {
    let mut all = Policy::default();
    let mut origins: BTreeMap<_, _> =
        Control::ALL.iter().map(|control| (*control, Origin::Default)).collect();
    for (origin, policy) in authors {
        for control in Control::ALL.iter().filter(|control| says(policy, **control)) {
            origins.insert(*control, origin.clone());
        }
        all = (*policy).clone().over(&all);
    }
    (all, origins)
}

/// Whether a layer says anything of a control.
pub(super) fn says(policy: &Policy, control: Control) -> bool {
    match control {
        Control::SandboxMode => policy.sandbox_mode.is_some(),
        Control::PermissionMode => policy.permission_mode.is_some(),
        Control::AllowRead => policy.allow_read.is_some(),
        Control::DenyRead => policy.deny_read.is_some(),
        Control::AllowWrite => policy.allow_write.is_some(),
        Control::DenyWrite => policy.deny_write.is_some(),
        Control::Network => policy.network.is_some(),
        Control::Domains => policy.network_domains.is_some(),
        Control::Presets => policy.network_presets.is_some(),
        Control::DenyDomains => policy.deny_network_domains.is_some(),
        Control::LocalBinding => policy.allow_local_binding.is_some(),
        Control::AllowPermissions => policy.allow_permissions.is_some(),
        Control::AskPermissions => policy.ask_permissions.is_some(),
        Control::DenyPermissions => policy.deny_permissions.is_some(),
        Control::AllowVariables => policy.environment.allow.is_some(),
        Control::DenyVariables => policy.environment.deny.is_some(),
        Control::SetVariables => policy.environment.set.is_some(),
        Control::Wall => policy.limits.wall_ms.is_some(),
        Control::Cpu => policy.limits.cpu_ms.is_some(),
        Control::Memory => policy.limits.memory.is_some(),
        Control::FileSize => policy.limits.file_size.is_some(),
        Control::Output => policy.limits.output.is_some(),
        Control::Processes => policy.limits.processes.is_some(),
        Control::Validation => policy.validation.is_some(),
        Control::Strict => policy.strict.is_some(),
    }
}

/// Whether what holds of a control is what a ceiling says, and so stays when nobody else says it.
pub(super) fn holds_to(ceiling: &Policy, control: Control, holds: &Resolved) -> bool {
    match control {
        // Without a sandbox there are no paths to be kept from, so these say that there is one.
        Control::SandboxMode => {
            ceiling.sandbox_mode == Some(holds.sandbox_mode)
                || FILES.iter().any(|control| says(ceiling, *control))
        }
        Control::PermissionMode => ceiling.permission_mode == Some(holds.permission_mode),
        Control::Network => ceiling.network == Some(holds.network),
        Control::Validation => ceiling.validation == Some(holds.validation),
        Control::LocalBinding => ceiling.allow_local_binding == Some(false),
        Control::Strict => ceiling.strict == Some(true),
        list => says(ceiling, list),
    }
}

/// What the authors say, and the defaults for the rest.
fn base(said: Policy, ground: &Ground) -> Resolved {
    let plain = |list: Option<Vec<String>>, default: Option<&str>| {
        let default = || default.map(str::to_owned).into_iter().collect();
        ground.least(list.unwrap_or_else(default))
    };
    let patterns = |list: Option<Vec<String>>| {
        sorted(list.unwrap_or_default().iter().map(|it| ground.normal(it)))
    };
    let network = said.network.unwrap_or(NetworkMode::None);
    let limited = network == NetworkMode::Limited;
    let reached = |list: Option<Vec<String>>| {
        let list = lower(list.unwrap_or_default());
        if limited { vec![list] } else { Vec::new() }
    };
    Resolved {
        sandbox_mode: said.sandbox_mode.unwrap_or(SandboxMode::WorkspaceWrite),
        permission_mode: said.permission_mode.unwrap_or(PermissionMode::FullAutoSandboxed),
        allow_read: plain(said.allow_read, Some("/")),
        deny_read: patterns(said.deny_read),
        allow_write: plain(said.allow_write, Some(".")),
        deny_write: patterns(said.deny_write),
        network,
        domains: reached(said.network_domains),
        presets: reached(said.network_presets),
        deny_domains: lower(said.deny_network_domains.unwrap_or_default()),
        allow_local_binding: said.allow_local_binding.unwrap_or(true),
        environment: Environment {
            allow: said.environment.allow.map(sorted),
            deny: sorted(said.environment.deny.unwrap_or_default()),
            set: said.environment.set.unwrap_or_default(),
        },
        limits: said.limits,
        permissions: Permissions {
            allow: sorted(said.allow_permissions.unwrap_or_default()),
            ask: sorted(said.ask_permissions.unwrap_or_default()),
            deny: sorted(said.deny_permissions.unwrap_or_default()),
        },
        validation: said.validation.unwrap_or(Validation::Fail),
        strict: said.strict.unwrap_or(false),
        origins: BTreeMap::new(),
        said_by: Said::default(),
    }
}

/// What a ceiling says, with its paths in one form.
fn in_one_form(ceiling: &Policy, ground: &Ground) -> Policy {
    let mut said = ceiling.clone();
    for list in [&mut said.allow_read, &mut said.allow_write].into_iter().flatten() {
        *list = ground.least(list.drain(..));
    }
    for list in [&mut said.deny_read, &mut said.deny_write].into_iter().flatten() {
        *list = sorted(list.drain(..).map(|it| ground.normal(&it)));
    }
    said
}

/// Controls that only a sandbox can keep.
pub(super) const FILES: [Control; 4] =
    [Control::AllowRead, Control::DenyRead, Control::AllowWrite, Control::DenyWrite];

/// A policy while ceilings narrow it.
struct Narrowing<'g> {
    holds: Resolved,
    ground: &'g Ground,
}

impl Narrowing<'_> {
    /// What the authors say, with the lists of files that stand where they say nothing.
    fn begin(&mut self, mut said: Policy) {
        let holds = &mut self.holds;
        let of_domains = [Control::Domains, Control::Presets, Control::Network];
        let of_domains = of_domains.map(|control| holds.origin(control).clone());
        let of = of_domains.into_iter().find(|origin| *origin != Origin::Default);
        holds.said_by.domains = vec![vec![of.unwrap_or(Origin::Default)]; holds.domains.len()];
        said.allow_read = Some(holds.allow_read.clone());
        said.allow_write = Some(holds.allow_write.clone());
        said.deny_read = Some(holds.deny_read.clone());
        said.deny_write = Some(holds.deny_write.clone());
        holds.said_by.by_authors(said, holds.origins.clone());
    }

    fn by(&mut self, origin: &Origin, ceiling: &Policy) {
        let before = self.holds.clone();
        self.modes(ceiling);
        self.files(ceiling);
        self.reach(origin, ceiling);
        self.holds.said_by.by_ceiling(in_one_form(ceiling, self.ground), origin.clone());
        self.rest(ceiling);
        for control in Control::ALL {
            let changed = value(&before, *control) != value(&self.holds, *control);
            let said = holds_to(ceiling, *control, &self.holds);
            if changed || (said && !self.holds.is_said(*control)) {
                self.holds.origins.insert(*control, origin.clone());
            }
        }
    }

    fn modes(&mut self, ceiling: &Policy) {
        let holds = &mut self.holds;
        stricter(&mut holds.sandbox_mode, ceiling.sandbox_mode);
        stricter(&mut holds.permission_mode, ceiling.permission_mode);
        stricter(&mut holds.validation, ceiling.validation);
        holds.strict |= ceiling.strict.unwrap_or(false);
        holds.allow_local_binding &= ceiling.allow_local_binding.unwrap_or(true);
        if FILES.iter().any(|control| says(ceiling, *control)) {
            stricter(&mut holds.sandbox_mode, Some(SandboxMode::WorkspaceWrite));
        }
    }

    fn files(&mut self, ceiling: &Policy) {
        let (holds, ground) = (&mut self.holds, self.ground);
        for (held, allowed) in [
            (&mut holds.allow_read, &ceiling.allow_read),
            (&mut holds.allow_write, &ceiling.allow_write),
        ] {
            if let Some(allowed) = allowed {
                *held = ground.both(held, allowed);
            }
        }
        for (held, denied) in [
            (&mut holds.deny_read, &ceiling.deny_read),
            (&mut holds.deny_write, &ceiling.deny_write),
        ] {
            let more = denied.iter().flatten().map(|it| ground.normal(it));
            *held = sorted(held.drain(..).chain(more));
        }
    }

    fn reach(&mut self, origin: &Origin, ceiling: &Policy) {
        let holds = &mut self.holds;
        stricter(&mut holds.network, ceiling.network);
        if ceiling.network == Some(NetworkMode::Limited) {
            let list = |list: &Option<Vec<String>>| lower(list.clone().unwrap_or_default());
            let layer = (list(&ceiling.network_domains), list(&ceiling.network_presets));
            let layers = holds.domains.drain(..).zip(holds.presets.drain(..));
            let of = holds.said_by.domains.drain(..).chain([vec![origin.clone()]]);
            let mut known: BTreeMap<_, Vec<Origin>> = BTreeMap::new();
            for (layer, origins) in layers.chain([layer]).zip(of) {
                known.entry(layer).or_default().extend(origins);
            }
            (holds.domains, holds.presets) = known.keys().cloned().unzip();
            holds.said_by.domains = known.into_values().collect();
        }
        let denied = ceiling.deny_network_domains.clone().unwrap_or_default();
        holds.deny_domains = lower(holds.deny_domains.drain(..).chain(denied));
    }

    fn rest(&mut self, ceiling: &Policy) {
        let holds = &mut self.holds;
        holds.limits = holds.limits.within(ceiling.limits);
        let rules = &mut holds.permissions;
        if let Some(allowed) = &ceiling.allow_permissions {
            rules.allow.retain(|rule| allowed.contains(rule));
        }
        let and = |held: &mut Vec<String>, more: &Option<Vec<String>>| {
            *held = sorted(held.drain(..).chain(more.iter().flatten().cloned()));
        };
        and(&mut rules.ask, &ceiling.ask_permissions);
        and(&mut rules.deny, &ceiling.deny_permissions);
        and(&mut holds.environment.deny, &ceiling.environment.deny);
        if let Some(allowed) = &ceiling.environment.allow {
            holds.environment.allow = Some(match holds.environment.allow.take() {
                Some(held) => held.into_iter().filter(|name| allowed.contains(name)).collect(),
                None => sorted(allowed.iter().cloned()),
            });
        }
    }
}

/// The value of a control as JSON; `null`: none.
pub(crate) fn value(of: &Resolved, control: Control) -> serde_json::Value {
    use serde_json::json;
    match control {
        Control::SandboxMode => json!(of.sandbox_mode),
        Control::PermissionMode => json!(of.permission_mode),
        Control::AllowRead => json!(of.allow_read),
        Control::DenyRead => json!(of.deny_read),
        Control::AllowWrite => json!(of.allow_write),
        Control::DenyWrite => json!(of.deny_write),
        Control::Network => json!(of.network),
        Control::Domains => json!(of.domains),
        Control::Presets => json!(of.presets),
        Control::DenyDomains => json!(of.deny_domains),
        Control::LocalBinding => json!(of.allow_local_binding),
        Control::AllowPermissions => json!(of.permissions.allow),
        Control::AskPermissions => json!(of.permissions.ask),
        Control::DenyPermissions => json!(of.permissions.deny),
        Control::AllowVariables => json!(of.environment.allow),
        Control::DenyVariables => json!(of.environment.deny),
        Control::SetVariables => json!(of.environment.set),
        Control::Wall => json!(of.limits.wall_ms),
        Control::Cpu => json!(of.limits.cpu_ms),
        Control::Memory => json!(of.limits.memory),
        Control::FileSize => json!(of.limits.file_size),
        Control::Output => json!(of.limits.output),
        Control::Processes => json!(of.limits.processes),
        Control::Validation => json!(of.validation),
        Control::Strict => json!(of.strict),
    }
}

fn stricter<T: Ord + Copy>(held: &mut T, ceiling: Option<T>) {
    *held = ceiling.map_or(*held, |ceiling| ceiling.min(*held));
}

fn sorted(list: impl IntoIterator<Item = String>) -> Vec<String> {
    list.into_iter().collect::<BTreeSet<_>>().into_iter().collect()
}

/// Domains differ in no case.
fn lower(list: impl IntoIterator<Item = String>) -> Vec<String> {
    sorted(list.into_iter().map(|it| it.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests;
