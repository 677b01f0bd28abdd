//! The rules of resolving, one by one, and what has to hold for any layers.

use std::path::Path;

use botpipe_kernel::plan::{
    Bounds, EnvironmentRules, NetworkMode, PermissionMode, Policy, SandboxMode, Validation,
};
use proptest::prelude::*;
use serde_json::json;

use super::{Permissions, Resolved, resolve};
use crate::policy::control::{Control, Origin};
use crate::policy::paths::Ground;

fn ground() -> Ground {
    Ground::new(Path::new("/home/me/project"), Some(Path::new("/home/me")))
}

fn policy(json: serde_json::Value) -> Policy {
    serde_json::from_value(json).unwrap()
}

fn ceiling(path: &str) -> Origin {
    Origin::Ceiling { path: path.to_owned() }
}

fn resolved(authors: &[Policy], ceilings: &[Policy]) -> Resolved {
    let layers = [Origin::Workflow, Origin::Step, Origin::Turn];
    let authors: Vec<_> = layers.into_iter().zip(authors).collect();
    let names = ["a.yaml", "b.yaml", "c.yaml", "d.yaml"];
    let ceilings: Vec<_> = names.map(ceiling).into_iter().zip(ceilings).collect();
    resolve(&authors, &ceilings, &ground())
}

#[test]
fn without_a_word_the_defaults_hold() {
    let holds = resolved(&[], &[]);
    assert_eq!(holds.sandbox_mode, SandboxMode::WorkspaceWrite);
    assert_eq!(holds.permission_mode, PermissionMode::FullAutoSandboxed);
    assert_eq!(
        (holds.allow_read.as_slice(), holds.allow_write.as_slice()),
        (&["/".into()][..], &[".".into()][..])
    );
    assert_eq!((holds.network, holds.validation), (NetworkMode::None, Validation::Fail));
    assert!(holds.allow_local_binding && !holds.strict && holds.environment.allow.is_none());
    assert_eq!(holds.origins.len(), Control::ALL.len());
    assert!(Control::ALL.iter().all(|control| !holds.is_said(*control)));
}

#[test]
fn the_inner_author_wins_field_by_field_and_widens_too() {
    let workflow =
        policy(json!({ "sandbox_mode": "read_only", "network": "none", "deny_read": [".env"] }));
    let step = policy(json!({ "sandbox_mode": "danger_full_access", "deny_read": ["*.pem"] }));
    let turn = policy(json!({ "network": "full", "allow_write": ["./src/", "src/a", "~/x"] }));
    let holds = resolved(&[workflow, step, turn], &[]);
    assert_eq!(holds.sandbox_mode, SandboxMode::DangerFullAccess);
    assert_eq!((holds.network, holds.deny_read), (NetworkMode::Full, vec!["*.pem".to_owned()]));
    assert_eq!(holds.allow_write, ["/home/me/x", "src"]);
    let of = |control| holds.origins[&control].clone();
    assert_eq!(of(Control::SandboxMode), Origin::Step);
    assert_eq!(of(Control::Network), Origin::Turn);
    assert_eq!(of(Control::DenyWrite), Origin::Default);
}

#[test]
fn ceilings_narrow_each_control_by_its_own_rule() {
    let author = policy(json!({
        "sandbox_mode": "workspace_write", "permission_mode": "full_auto_unsandboxed",
        "allow_write": [".", "/srv/cache"], "deny_write": ["/etc"],
        "network": "limited", "network_domains": ["A.example"], "network_presets": ["cargo"],
        "allow_permissions": ["Edit", "Bash(make)"], "deny_permissions": ["WebFetch"],
        "environment": { "allow": ["CI", "PATH"], "deny": ["A"] },
        "validation": "ignore", "limits": { "memory": 900, "wall_ms": 5 },
    }));
    let first = policy(json!({
        "permission_mode": "ask", "allow_write": ["src", "~/project/tests", "/srv"],
        "network": "limited", "network_domains": ["b.example"], "deny_network_domains": ["C.example"],
        "allow_permissions": ["Edit"], "ask_permissions": ["Bash(git push *)"],
        "environment": { "allow": ["PATH", "HOME"], "deny": ["*_TOKEN"], "set": { "X": "1" } },
        "validation": "warn", "strict": true, "limits": { "memory": 100, "wall_ms": 50, "processes": 4 },
    }));
    let second = policy(
        json!({ "allow_write": ["src/a", "tests", "/srv/cache/x"], "deny_write": ["docs"] }),
    );
    let holds = resolved(&[author], &[first, second]);
    assert_eq!(holds.permission_mode, PermissionMode::Ask);
    assert_eq!(holds.allow_write, ["/srv/cache/x", "src/a", "tests"]);
    assert_eq!(holds.deny_write, ["/etc", "docs"]);
    assert_eq!(holds.domains, [vec!["a.example".to_owned()], vec!["b.example".to_owned()]]);
    assert_eq!(holds.presets, [vec!["cargo".to_owned()], vec![]]);
    assert_eq!(holds.deny_domains, ["c.example"]);
    let Permissions { allow, ask, deny } = holds.permissions.clone();
    assert_eq!(
        (allow, ask, deny),
        (vec!["Edit".into()], vec!["Bash(git push *)".into()], vec!["WebFetch".into()])
    );
    assert_eq!(holds.environment.allow.as_deref(), Some(&["PATH".to_owned()][..]));
    assert_eq!(holds.environment.deny, ["*_TOKEN", "A"]);
    assert!(holds.environment.set.is_empty(), "what is set narrows nothing");
    assert_eq!((holds.validation, holds.strict), (Validation::Warn, true));
    assert_eq!(
        (holds.limits.memory, holds.limits.wall_ms, holds.limits.processes),
        (Some(100), Some(5), Some(4))
    );
    assert_eq!(holds.origins[&Control::AllowWrite], ceiling("b.yaml"));
    assert_eq!(holds.origins[&Control::Wall], Origin::Workflow);
    assert_eq!(holds.origins[&Control::Memory], ceiling("a.yaml"));
}

#[test]
fn a_ceiling_of_paths_holds_without_a_sandbox_too() {
    let free = policy(json!({ "sandbox_mode": "danger_full_access" }));
    let holds = resolved(&[free], &[policy(json!({ "deny_read": ["~/.ssh"] }))]);
    assert_eq!(holds.sandbox_mode, SandboxMode::WorkspaceWrite);
    assert_eq!(holds.origins[&Control::SandboxMode], ceiling("a.yaml"));
    assert_eq!(holds.deny_read, ["/home/me/.ssh"]);
}

#[test]
fn a_ceiling_above_what_holds_is_nobodys_word() {
    let wide = json!({ "sandbox_mode": "danger_full_access", "network": "full", "strict": false });
    assert_eq!(resolved(&[], &[policy(wide)]), resolved(&[], &[]));
    let same = policy(json!({ "network": "none" }));
    assert_eq!(resolved(&[], &[same]).origins[&Control::Network], ceiling("a.yaml"));
}

#[test]
fn what_is_not_limited_reaches_no_domains() {
    let limited = json!({ "network": "limited", "network_domains": ["a.example"] });
    let none = resolved(&[policy(limited.clone())], &[policy(json!({ "network": "none" }))]);
    assert_eq!((none.network, none.domains.len()), (NetworkMode::None, 0));
    let full = resolved(&[policy(json!({ "network": "full" }))], &[policy(limited)]);
    assert_eq!((full.network, full.domains.len()), (NetworkMode::Limited, 1));
}

#[test]
fn it_reads_back() {
    let holds = resolved(&[policy(json!({ "strict": true, "limits": { "cpu_ms": 3 } }))], &[]);
    let text = serde_json::to_string(&holds).unwrap();
    assert_eq!(serde_json::from_str::<Resolved>(&text).unwrap(), holds);
}

/// Some of a few texts.
fn some(of: &'static [&'static str]) -> impl Strategy<Value = Option<Vec<String>>> {
    let picked = proptest::sample::subsequence(of, 0..=of.len());
    let owned = picked.prop_map(|it| it.into_iter().map(str::to_owned).collect());
    proptest::option::of(owned)
}

fn word<T: Copy + std::fmt::Debug + 'static>(
    all: &'static [(&'static str, T)],
) -> impl Strategy<Value = Option<T>> {
    proptest::option::of(proptest::sample::select(all).prop_map(|(_, it)| it))
}

const PATHS: &[&str] = &[".", "src", "src/a", "tests", "/srv", "/srv/cache", "~", "../shared", "/"];
const NAMES: &[&str] = &["A", "B", "C"];
const HOSTS: &[&str] = &["a.example", "b.example", "*.c.example"];

prop_compose! {
    fn files()(allow_read in some(PATHS), deny_read in some(PATHS), allow_write in some(PATHS),
               deny_write in some(PATHS), sandbox_mode in word(SandboxMode::ALL)) -> Policy {
        Policy { allow_read, deny_read, allow_write, deny_write, sandbox_mode, ..Policy::default() }
    }
}

prop_compose! {
    fn reach()(network in word(NetworkMode::ALL), domains in some(HOSTS), presets in some(NAMES),
               deny_network_domains in some(HOSTS), binding in proptest::option::of(any::<bool>()))
               -> Policy {
        // As the language has it: domains stand beside `limited`.
        let limited = network == Some(NetworkMode::Limited);
        Policy {
            network,
            network_domains: domains.filter(|_| limited),
            network_presets: presets.filter(|_| limited),
            deny_network_domains,
            allow_local_binding: binding,
            ..Policy::default()
        }
    }
}

prop_compose! {
    fn rest()(permission_mode in word(PermissionMode::ALL), validation in word(Validation::ALL),
              strict in proptest::option::of(any::<bool>()), allow in some(NAMES), deny in some(NAMES),
              allow_permissions in some(NAMES), ask_permissions in some(NAMES),
              deny_permissions in some(NAMES), memory in proptest::option::of(1..5u64),
              processes in proptest::option::of(1..5u32)) -> Policy {
        Policy {
            permission_mode,
            validation,
            strict,
            allow_permissions,
            ask_permissions,
            deny_permissions,
            environment: EnvironmentRules { allow, deny, set: None },
            limits: Bounds { memory, processes, ..Bounds::default() },
            ..Policy::default()
        }
    }
}

fn any_policy() -> impl Strategy<Value = Policy> {
    (files(), reach(), rest()).prop_map(|(files, reach, rest)| files.over(&reach).over(&rest))
}

fn is_part(inner: &[String], outer: &[String]) -> bool {
    inner.iter().all(|it| outer.contains(it))
}

/// Whether a policy allows nothing that another does not.
fn is_within(inner: &Resolved, outer: &Resolved) -> bool {
    let ground = ground();
    let covered = |inner: &[String], outer: &[String]| {
        inner.iter().all(|path| outer.iter().any(|it| ground.covers(it, path)))
    };
    let layers =
        |of: &Resolved| of.domains.iter().cloned().zip(of.presets.clone()).collect::<Vec<_>>();
    let reaches = match (inner.network, outer.network) {
        (NetworkMode::Limited, NetworkMode::Limited) => {
            let (inner, outer) = (layers(inner), layers(outer));
            outer.iter().all(|layer| inner.contains(layer))
        }
        (inner, outer) => inner <= outer,
    };
    let least = |inner: Option<u64>, outer: Option<u64>| {
        outer.is_none_or(|outer| inner.is_some_and(|inner| inner <= outer))
    };
    let names = match (&inner.environment.allow, &outer.environment.allow) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(inner), Some(outer)) => is_part(inner, outer),
    };
    inner.sandbox_mode <= outer.sandbox_mode
        && inner.permission_mode <= outer.permission_mode
        && inner.validation <= outer.validation
        && inner.strict >= outer.strict
        && inner.allow_local_binding <= outer.allow_local_binding
        && covered(&inner.allow_read, &outer.allow_read)
        && covered(&inner.allow_write, &outer.allow_write)
        && is_part(&outer.deny_read, &inner.deny_read)
        && is_part(&outer.deny_write, &inner.deny_write)
        && is_part(&outer.deny_domains, &inner.deny_domains)
        && is_part(&inner.permissions.allow, &outer.permissions.allow)
        && is_part(&outer.permissions.ask, &inner.permissions.ask)
        && is_part(&outer.permissions.deny, &inner.permissions.deny)
        && is_part(&outer.environment.deny, &inner.environment.deny)
        && reaches
        && names
        && least(inner.limits.memory, outer.limits.memory)
        && least(inner.limits.processes.map(u64::from), outer.limits.processes.map(u64::from))
}

proptest! {
    #[test]
    fn a_ceiling_never_widens(
        authors in prop::collection::vec(any_policy(), 0..3),
        ceilings in prop::collection::vec(any_policy(), 0..3),
        more in any_policy(),
    ) {
        let before = resolved(&authors, &ceilings);
        let after = resolved(&authors, &[ceilings, vec![more]].concat());
        prop_assert!(is_within(&after, &before), "{after:#?}\nis not within\n{before:#?}");
    }

    #[test]
    fn ceilings_come_in_any_order_and_as_often_as_they_like(
        authors in prop::collection::vec(any_policy(), 0..3),
        ceilings in prop::collection::vec(any_policy(), 1..4),
    ) {
        let authors: Vec<_> = authors.iter().map(|it| (Origin::Workflow, it)).collect();
        let named: Vec<_> = ["a", "b", "c"].map(ceiling).into_iter().zip(&ceilings).collect();
        let once = resolve(&authors, &named, &ground());
        let back: Vec<_> = named.iter().rev().cloned().collect();
        prop_assert_eq!(&resolve(&authors, &back, &ground()), &once);
        let twice = [named.clone(), named].concat();
        prop_assert_eq!(&resolve(&authors, &twice, &ground()), &once);
    }

    #[test]
    fn authors_override_and_ceilings_narrow_what_comes_of_it(
        outer in any_policy(),
        inner in any_policy(),
        above in any_policy(),
    ) {
        // The same as one author who says what the two come to: an outer author is no ceiling.
        let merged = inner.clone().over(&outer);
        let mut two = resolved(&[outer, inner], std::slice::from_ref(&above));
        let mut one = resolved(&[merged], &[above]);
        two.origins.clear();
        one.origins.clear();
        prop_assert_eq!(two, one);
    }

    #[test]
    fn what_may_be_written_is_what_every_layer_covers(
        authors in files(),
        ceilings in prop::collection::vec(files(), 0..3),
        asked in proptest::sample::select(vec!["src/a/x", "src/b", "tests/t", "README", "/srv/cache/y",
                                               "/srv/z", "/home/me/shared/q", "/home/me/r", "/etc/passwd"]),
    ) {
        let ground = ground();
        let covers = |list: &[String]| list.iter().any(|it| ground.covers(it, asked));
        let default = [".".to_owned()];
        let wanted = covers(authors.allow_write.as_deref().unwrap_or(&default))
            && ceilings.iter().filter_map(|it| it.allow_write.as_deref()).all(covers);
        prop_assert_eq!(covers(&resolved(&[authors], &ceilings).allow_write), wanted);
    }
}
