//! The policy in force, as it is recorded with the turn that owes it.

use serde_json::json;

use crate::environment::ALLOWED;

/// What binds a process that the engine starts, as JSON in the words of the seed.
///
/// A file that asks for a policy is refused until one can be enforced, so there is one policy: files
/// and network as for whoever started the run, the environment by name, no process left behind.
/// `pass` are the names of variables that pass beside [`ALLOWED`]; values are never written.
///
/// # Shape
/// `{"sandbox_mode":"danger_full_access","network":"full","environment":{"allow":["HOME",…]},
/// "processes":"end_with_turn"}`
pub(crate) fn in_force(pass: &[String]) -> String {
    let mut allow: Vec<&str> = ALLOWED.iter().copied().chain(["LC_*"]).collect();
    allow.extend(pass.iter().map(String::as_str));
    allow.sort_unstable();
    allow.dedup();
    json!({
        "sandbox_mode": "danger_full_access",
        "network": "full",
        "environment": { "allow": allow },
        "processes": "end_with_turn",
    })
    .to_string()
}
