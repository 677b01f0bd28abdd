//! What the harness's own sandbox is told, and what of a policy is recorded with a turn.

use std::path::Path;

use botpipe_kernel::plan::{NetworkMode, SandboxMode};
use botpipe_providers::Access;
use serde_json::{Map, Value, json};

use super::control::Control;
use super::resolve::{Resolved, value};
use crate::environment::{ADDRESSES, ALLOWED, CERTIFICATES, TOOLS};

/// What a harness is told of its own sandbox: to leave it off. Ours is around all of it, and where a policy
/// wants none, nor does it want theirs.
pub(crate) const UNCONFINED: Access =
    Access { sandbox: SandboxMode::DangerFullAccess, writable: Vec::new(), network: true };

/// What the sandbox of a harness keeps to where ours is not around it: with a person at its terminal.
pub(crate) fn of_their_own(holds: &Resolved) -> Access {
    let outside = holds.allow_write.iter().filter(|path| Path::new(path).is_absolute());
    Access {
        sandbox: holds.sandbox_mode,
        writable: outside.cloned().collect(),
        network: holds.network == NetworkMode::Full,
    }
}

/// What binds a turn or a script, as JSON in the words of the seed.
///
/// `pass` are the names of variables that pass beside [`ALLOWED`] and [`TOOLS`]; values are never written.
///
/// # Shape
/// `{"sandbox_mode":"workspace_write","network":"none","allow_write":["."],"environment":{"allow":["HOME",…]},
/// "enforced_by":"botpipe","processes":"end_with_turn"}`; a control that is left alone is not in it.
pub(crate) fn in_force(pass: &[String], holds: &Resolved) -> String {
    let mut allow: Vec<&str> = ALLOWED.iter().copied().chain(["LC_*"]).collect();
    if holds.environment.allow.is_none() {
        allow.extend(TOOLS.iter().chain(&CERTIFICATES).chain(&ADDRESSES));
    }
    allow.extend(pass.iter().map(String::as_str));
    allow.extend(holds.environment.allow.iter().flatten().map(String::as_str));
    allow.sort_unstable();
    allow.dedup();
    let mut policy = Map::new();
    for control in Control::ALL.iter().filter(|control| is_told(holds, **control)) {
        policy.insert(control.to_string(), value(holds, *control));
    }
    policy.insert("environment".to_owned(), json!({ "allow": allow }));
    policy.insert("processes".to_owned(), json!("end_with_turn"));
    if holds.sandbox_mode != SandboxMode::DangerFullAccess {
        policy.insert("enforced_by".to_owned(), json!("botpipe"));
    }
    Value::Object(policy).to_string()
}

/// Of modes, whatever they are; of the rest, what somebody said.
fn is_told(holds: &Resolved, control: Control) -> bool {
    match control {
        Control::SandboxMode | Control::Network => true,
        Control::AllowVariables | Control::SetVariables => false,
        control => holds.is_said(control),
    }
}
