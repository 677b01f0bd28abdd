//! Whether a harness has a login: its file or variable is there; what it holds is not looked at.

use std::env;
use std::fs;

use botpipe_providers::{claude, codex};

use super::Finding;
use crate::harness::{Kind, Wanted, own_home};

const NAME: &str = "login";

/// Whether there is a login for a harness.
pub(super) fn of(wanted: &Wanted) -> Finding {
    let (variables, file, how): (&[&str], _, _) = match wanted.kind {
        Kind::Codex => (
            &codex::LOGIN_VARIABLES,
            "auth.json",
            "log in with `codex login`, or set $CODEX_API_KEY",
        ),
        Kind::Claude => (
            &claude::LOGIN_VARIABLES,
            ".credentials.json",
            "log in (start `claude` and type `/login`), or set $ANTHROPIC_API_KEY",
        ),
        Kind::Acp => {
            let next = "if a run stops for want of a login, log in with the agent itself";
            return Finding::warning(NAME, "the agent's own affair; that is not looked at", next);
        }
    };
    let set = |name: &&str| env::var_os(name).is_some_and(|value| !value.is_empty());
    let variable = variables.iter().copied().find(|name| set(name));
    let home = own_home(wanted.kind);
    let stored = home.as_ref().map(|home| home.join(file)).filter(|file| file.exists());
    if let Some(name) = variable {
        let outside = "it stays outside of the sandbox but with `network: full` or `--pass-env`";
        return Finding::ok(NAME, format!("${name} is set; {outside}"));
    }
    if let Some(file) = stored {
        let says = format!("{} is there; the agent's commands can read it", file.display());
        return Finding::ok(NAME, says);
    }
    if wanted.kind == Kind::Codex
        && let Some(says) = home.and_then(|home| fs::read_to_string(home.join("config.toml")).ok())
        && let Some(key) = elsewhere(&says)
    {
        let says =
            format!("kept where `{key}` of Codex's `config.toml` says; that is not looked at");
        return Finding::warning(NAME, says, "if a run stops for want of a login, `codex login`");
    }
    if let Some(url) = &wanted.base_url {
        let next = format!("if {url} wants a key, set ${}", variables[0]);
        return Finding::warning(NAME, "none, and the model is at an address of yours", next);
    }
    Finding::problem(NAME, "none", how)
}

/// The setting of Codex that keeps the login somewhere else, if there is one.
fn elsewhere(config: &str) -> Option<&'static str> {
    let ours = codex::config_of(config, None).ok()?;
    let says = |key: &&str| ours.lines().any(|line| line.starts_with(&format!("{key} = ")));
    ["model_provider", "cli_auth_credentials_store"].into_iter().find(says)
}
