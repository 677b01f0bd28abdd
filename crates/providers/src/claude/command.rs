//! How Claude Code is started for a turn: every flag, each time, since resuming remembers few.

use std::iter;

use botpipe_kernel::run::{Harness, McpServer};
use serde_json::{Map, Value, json};

use super::LOGIN_VARIABLES;
use crate::harness::{Access, Asked, CommandLine, Rules, SandboxMode};

/// How Claude Code is started for a turn.
///
/// # Source
/// Claude Code 2.1.330, each observed: without setting sources neither hooks, nor CLAUDE.md, nor
/// `.mcp.json` of the project have a say. CLAUDE.md alone comes by naming the folder as an added
/// one, hooks alone by a variable that keeps CLAUDE.md away. Skipping permissions is refused to
/// root unless `IS_SANDBOX` is `1`. A background task would bring the model back after its answer.
/// A fork has all of the conversation up to and with the message that it is resumed at.
pub fn command_line(asked: &Asked<'_>) -> CommandLine {
    let mut args = [
        "-p",
        "--input-format",
        "stream-json",
        "--output-format",
        "stream-json",
        "--verbose",
        "--permission-prompt-tool",
        "stdio",
    ]
    .map(str::to_owned)
    .to_vec();
    let mut not_here = NOT_HERE.to_owned();
    if !asked.access.network {
        // Its maker's machines would reach for it what this one may not.
        not_here.push_str(",WebSearch,WebFetch");
    }
    args.extend(["--disallowedTools".to_owned(), not_here]);
    let mut give = |flag: &str, value: &str| args.extend([flag.to_owned(), value.to_owned()]);
    if let Some(id) = asked.session {
        give("--resume", id);
    }
    if asked.session.is_none() || asked.from.is_some() {
        give("--session-id", asked.new_session);
    }
    if let Some(message) = asked.from {
        give("--resume-session-at", message);
    }
    let mode = match asked.access.sandbox {
        SandboxMode::DangerFullAccess if !asked.asks => "bypassPermissions",
        _ => "default",
    };
    with_settings(asked, args, mode)
}

/// How a person goes on in a conversation, with all that its turns are started with; what it may do is
/// asked of the person.
pub fn resume_line(asked: &Asked<'_>, id: &str) -> CommandLine {
    with_settings(asked, vec!["--resume".to_owned(), id.to_owned()], "default")
}

/// What every start of it has.
fn with_settings(asked: &Asked<'_>, mut args: Vec<String>, mode: &str) -> CommandLine {
    let harness = asked.harness;
    args.push("--strict-mcp-config".to_owned());
    let mut give = |flag: &str, value: &str| args.extend([flag.to_owned(), value.to_owned()]);
    give("--setting-sources", if harness.hooks { "project" } else { "" });
    if harness.instructions && !harness.hooks {
        give("--add-dir", asked.cwd);
    }
    give("--permission-mode", mode);
    let settings = settings(asked);
    if !settings.is_empty() {
        give("--settings", &Value::Object(settings).to_string());
    }
    for (flag, value) in [("--model", &harness.model), ("--effort", &harness.effort)] {
        if let Some(value) = value {
            give(flag, value);
        }
    }
    if !harness.mcp_servers.is_empty() {
        give("--mcp-config", &mcp_config(harness));
    }
    if asked.from.is_some() {
        args.push("--fork-session".to_owned());
    }
    args.extend(harness.args.iter().cloned());
    let mut pass: Vec<String> = LOGIN_VARIABLES.map(str::to_owned).into();
    pass.extend(PASSED.map(str::to_owned));
    let servers = harness.mcp_servers.values();
    pass.extend(servers.flat_map(|server| match server {
        McpServer::Program { env, .. } => env.clone(),
        McpServer::Remote { .. } => Vec::new(),
    }));
    CommandLine { args, env: environment(harness), pass }
}

fn environment(harness: &Harness) -> Vec<(String, String)> {
    let mut env = vec![
        ("CLAUDE_CODE_DISABLE_BACKGROUND_TASKS", "1"),
        ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
        ("CLAUDE_CODE_MAX_RETRIES", "2"),
        ("DISABLE_AUTOUPDATER", "1"),
        ("IS_SANDBOX", "1"),
    ];
    match (harness.instructions, harness.hooks) {
        (true, false) => env.push(("CLAUDE_CODE_ADDITIONAL_DIRECTORIES_CLAUDE_MD", "1")),
        (false, true) => env.push(("CLAUDE_CODE_DISABLE_CLAUDE_MDS", "1")),
        (true, true) | (false, false) => {}
    }
    for (name, value) in
        [("CLAUDE_CONFIG_DIR", &harness.home), ("ANTHROPIC_BASE_URL", &harness.base_url)]
    {
        if let Some(value) = value {
            env.push((name, value));
        }
    }
    env.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Settings by which Claude Code is bound for this start.
///
/// # Source
/// Claude Code 2.1.330: what a rule denies is denied in every permission mode.
fn settings(asked: &Asked<'_>) -> Map<String, Value> {
    let mut settings = Map::new();
    if asked.access.sandbox == SandboxMode::WorkspaceWrite {
        settings.insert("sandbox".to_owned(), sandbox(asked.access, asked.cwd));
    }
    if *asked.rules != Rules::NONE {
        let Rules { allow, deny } = asked.rules;
        settings.insert("permissions".to_owned(), json!({ "allow": allow, "deny": deny }));
    }
    settings
}

/// How Claude Code confines the commands it runs; what its other tools may do is asked
/// over the control channel, and so are commands where nothing may be written.
///
/// # Source
/// Claude Code 2.1.330: without `failIfUnavailable` commands run free where `bwrap` or `socat` is
/// missing.
fn sandbox(access: &Access, cwd: &str) -> Value {
    let writable: Vec<&str> =
        access.writable.iter().map(String::as_str).chain(iter::once(cwd)).collect();
    let domains: &[&str] = if access.network { &["*"] } else { &[] };
    json!({
        "enabled": true, "failIfUnavailable": true, "allowUnsandboxedCommands": false,
        "autoAllowBashIfSandboxed": true, "filesystem": { "allowWrite": writable },
        "network": { "allowedDomains": domains },
    })
}

fn mcp_config(harness: &Harness) -> String {
    let server = |server: &McpServer| match server {
        McpServer::Program { command, args, env } => {
            // `${NAME}` is filled in by Claude Code from its own environment.
            let env: Map<String, Value> =
                env.iter().map(|name| (name.clone(), format!("${{{name}}}").into())).collect();
            json!({ "type": "stdio", "command": command, "args": args, "env": env })
        }
        McpServer::Remote { url } => json!({ "type": "http", "url": url }),
    };
    let servers: Map<String, Value> =
        harness.mcp_servers.iter().map(|(name, it)| (name.clone(), server(it))).collect();
    json!({ "mcpServers": servers }).to_string()
}

/// Tools that need a person, another working tree, or time after the turn.
const NOT_HERE: &str = "AskUserQuestion,EnterPlanMode,ExitPlanMode,EnterWorktree,ExitWorktree,\
                        CronCreate,ScheduleWakeup";

/// Variables by which the network is reached.
const PASSED: [&str; 10] = [
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "https_proxy",
    "http_proxy",
    "all_proxy",
    "no_proxy",
    "NODE_EXTRA_CA_CERTS",
    "SSL_CERT_FILE",
];
