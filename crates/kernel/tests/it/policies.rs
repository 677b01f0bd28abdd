//! A policy over another: field by field the inner one wins, and what nobody says is not written.

use botpipe_kernel::plan::{
    Bounds, EnvironmentRules, NetworkMode, PermissionMode, Policy, SandboxMode, Validation,
};
use serde_json::json;

fn policy(json: serde_json::Value) -> Policy {
    serde_json::from_value(json).unwrap()
}

#[test]
fn the_inner_one_wins_field_by_field() {
    let outer = policy(json!({
        "sandbox_mode": "workspace_write",
        "network": "none",
        "allow_write": ["src", "tests"],
        "deny_read": [".env"],
        "environment": { "allow": ["PATH"], "set": { "CI": "1" } },
        "limits": { "memory": 1024, "processes": 9 },
        "strict": true,
    }));
    let inner = policy(json!({
        "sandbox_mode": "read_only",
        "allow_write": [],
        "environment": { "deny": ["*_TOKEN"], "set": { "A": "b" } },
        "limits": { "memory": 4096 },
        "validation": "warn",
    }));
    let both = inner.over(&outer);
    assert_eq!(
        serde_json::to_value(&both).unwrap(),
        json!({
            "sandbox_mode": "read_only",
            "network": "none",
            "allow_write": [],
            "deny_read": [".env"],
            "environment": { "allow": ["PATH"], "deny": ["*_TOKEN"], "set": { "A": "b" } },
            "limits": { "memory": 4096, "processes": 9 },
            "validation": "warn",
            "strict": true,
        })
    );
}

#[test]
fn nothing_over_another_is_the_other_and_is_written_as_nothing() {
    let said = Policy {
        permission_mode: Some(PermissionMode::Ask),
        network_presets: Some(vec!["cargo".to_owned()]),
        deny_permissions: Some(vec!["Bash(rm *)".to_owned()]),
        allow_local_binding: Some(false),
        ..Policy::default()
    };
    assert_eq!(Policy::default().over(&said), said);
    assert_eq!(said.clone().over(&Policy::default()), said);
    assert_eq!(serde_json::to_value(Policy::default()).unwrap(), json!({}));
}

#[test]
fn bounds_narrow_to_the_smaller_one() {
    let one = Bounds { wall_ms: Some(5), memory: Some(9), ..Bounds::default() };
    let other = Bounds { wall_ms: Some(7), cpu_ms: Some(1), memory: Some(3), ..Bounds::default() };
    let both = Bounds { wall_ms: Some(5), cpu_ms: Some(1), memory: Some(3), ..Bounds::default() };
    assert_eq!(one.within(other), both);
    assert_eq!(other.within(one), both);
    assert!(Bounds::default().within(Bounds::default()).is_none());
    assert!(EnvironmentRules::default().is_none());
}

#[test]
fn of_two_modes_the_lesser_is_the_stricter() {
    assert!(SandboxMode::ReadOnly < SandboxMode::WorkspaceWrite);
    assert!(SandboxMode::WorkspaceWrite < SandboxMode::DangerFullAccess);
    assert!(NetworkMode::None < NetworkMode::Limited && NetworkMode::Limited < NetworkMode::Full);
    assert!(PermissionMode::DenyAll < PermissionMode::Ask);
    assert!(PermissionMode::FullAutoSandboxed < PermissionMode::FullAutoUnsandboxed);
    assert!(Validation::Fail < Validation::Warn && Validation::Warn < Validation::Ignore);
    for (word, mode) in SandboxMode::ALL {
        assert_eq!((mode.as_str(), json!(mode)), (*word, json!(word)));
    }
    for (word, mode) in PermissionMode::ALL {
        assert_eq!((mode.as_str(), json!(mode)), (*word, json!(word)));
    }
}
