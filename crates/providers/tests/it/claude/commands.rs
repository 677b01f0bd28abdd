//! The command line of a turn, word by word.

use std::collections::BTreeMap;

use botpipe_kernel::run::McpServer;
use botpipe_providers::claude::{Protocol, command_line};
use botpipe_providers::{Codec as _, SandboxMode};
use serde_json::{Value, json};

use crate::asked::{Ask, SESSION};

/// The value after a flag.
fn value<'a>(args: &'a [String], flag: &str) -> Option<&'a str> {
    let place = args.iter().position(|arg| arg == flag)?;
    args.get(place + 1).map(String::as_str)
}

#[test]
fn a_plain_turn_reads_nothing_of_the_project() {
    let line = Ask::new("go").with(command_line);
    let flags = [
        ("--input-format", "stream-json"),
        ("--output-format", "stream-json"),
        ("--permission-prompt-tool", "stdio"),
        ("--permission-mode", "bypassPermissions"),
        ("--setting-sources", ""),
        ("--session-id", SESSION),
    ];
    for (flag, wanted) in flags {
        assert_eq!(value(&line.args, flag), Some(wanted), "{:?}", line.args);
    }
    assert!(line.args.contains(&"--strict-mcp-config".to_owned()));
    for absent in ["--resume", "--model", "--effort", "--mcp-config", "--settings", "--add-dir"] {
        assert_eq!(value(&line.args, absent), None);
    }
    let env: BTreeMap<&str, &str> =
        line.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let wanted = [
        ("CLAUDE_CODE_DISABLE_BACKGROUND_TASKS", "1"),
        ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
        ("CLAUDE_CODE_MAX_RETRIES", "2"),
        ("CLAUDE_CONFIG_DIR", "/work/home"),
        ("DISABLE_AUTOUPDATER", "1"),
        ("IS_SANDBOX", "1"),
    ];
    assert_eq!(env, BTreeMap::from(wanted));
    assert!(line.pass.contains(&"ANTHROPIC_API_KEY".to_owned()));
}

#[test]
fn a_conversation_is_begun_from_a_checkpoint_of_another() {
    let mut ask = Ask::new("go");
    (ask.session, ask.from) = (Some("s-1".to_owned()), Some("m-1".to_owned()));
    let line = ask.with(command_line);
    let flags = [("--resume", "s-1"), ("--resume-session-at", "m-1"), ("--session-id", SESSION)];
    for (flag, wanted) in flags {
        assert_eq!(value(&line.args, flag), Some(wanted), "{:?}", line.args);
    }
    assert!(line.args.contains(&"--fork-session".to_owned()), "{:?}", line.args);
    // Without one it is never begun from another.
    ask.from = None;
    let line = ask.with(command_line);
    for absent in ["--fork-session", "--resume-session-at", "--session-id"] {
        assert!(!line.args.contains(&absent.to_owned()), "{:?}", line.args);
    }
}

#[test]
fn a_conversation_is_gone_on_with_under_every_flag() {
    let mut ask = Ask::new("go");
    ask.session = Some("s-1".to_owned());
    ask.harness.model = Some("opus".to_owned());
    ask.harness.effort = Some("high".to_owned());
    ask.harness.base_url = Some("http://127.0.0.1:1".to_owned());
    ask.harness.args = vec!["--max-turns".to_owned(), "9".to_owned()];
    let program = McpServer::Program {
        command: "serve".to_owned(),
        args: vec!["-v".to_owned()],
        env: vec!["KEY".to_owned()],
    };
    let remote = McpServer::Remote { url: "http://127.0.0.1:2".to_owned() };
    ask.harness.mcp_servers = BTreeMap::from([("a".to_owned(), program), ("b".to_owned(), remote)]);
    let line = ask.with(command_line);
    let flags =
        [("--resume", "s-1"), ("--model", "opus"), ("--effort", "high"), ("--max-turns", "9")];
    for (flag, wanted) in flags {
        assert_eq!(value(&line.args, flag), Some(wanted), "{:?}", line.args);
    }
    assert_eq!(value(&line.args, "--session-id"), None);
    let servers: Value = serde_json::from_str(value(&line.args, "--mcp-config").unwrap()).unwrap();
    assert_eq!(
        servers,
        json!({ "mcpServers": {
            "a": { "type": "stdio", "command": "serve", "args": ["-v"], "env": { "KEY": "${KEY}" } },
            "b": { "type": "http", "url": "http://127.0.0.1:2" },
        } })
    );
    assert!(line.pass.contains(&"KEY".to_owned()));
    assert!(line.env.contains(&("ANTHROPIC_BASE_URL".to_owned(), "http://127.0.0.1:1".to_owned())));
}

#[test]
fn instructions_and_hooks_come_each_without_the_other() {
    let asked = |instructions: bool, hooks: bool| {
        let mut ask = Ask::new("go");
        ask.harness.instructions = instructions;
        ask.harness.hooks = hooks;
        let line = ask.with(command_line);
        let sources = value(&line.args, "--setting-sources").unwrap().to_owned();
        let added = value(&line.args, "--add-dir").is_some();
        let set = |name: &str| line.env.iter().any(|(it, _)| it == name);
        let read = set("CLAUDE_CODE_ADDITIONAL_DIRECTORIES_CLAUDE_MD");
        (sources, added && read, set("CLAUDE_CODE_DISABLE_CLAUDE_MDS"))
    };
    assert_eq!(asked(false, false), (String::new(), false, false));
    assert_eq!(asked(true, false), (String::new(), true, false));
    assert_eq!(asked(false, true), ("project".to_owned(), false, true));
    assert_eq!(asked(true, true), ("project".to_owned(), false, false));
}

#[test]
fn a_confined_turn_asks_first_and_runs_its_commands_in_the_sandbox() {
    let mut ask = Ask::new("go");
    ask.access.sandbox = SandboxMode::WorkspaceWrite;
    ask.access.writable = vec!["/data".to_owned()];
    ask.access.network = false;
    let line = ask.with(command_line);
    assert_eq!(value(&line.args, "--permission-mode"), Some("default"));
    let settings: Value = serde_json::from_str(value(&line.args, "--settings").unwrap()).unwrap();
    let sandbox = &settings["sandbox"];
    assert_eq!(sandbox["filesystem"]["allowWrite"], json!(["/data", "/work/repository"]));
    assert_eq!(sandbox["network"]["allowedDomains"], json!([]));
    assert_eq!((&sandbox["enabled"], &sandbox["failIfUnavailable"]), (&true.into(), &true.into()));
    assert_eq!(sandbox["allowUnsandboxedCommands"], false);
    ask.access.sandbox = SandboxMode::ReadOnly;
    let line = ask.with(command_line);
    assert_eq!(value(&line.args, "--permission-mode"), Some("default"));
}

#[test]
fn the_prompt_goes_on_standard_input_after_the_greeting() {
    let opening = Ask::new("Say \"hi\"\nand go").with(Protocol::new).open();
    let lines: Vec<Value> =
        opening.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["request"]["subtype"], "initialize");
    assert_eq!(lines[1]["message"]["content"], "Say \"hi\"\nand go");
    assert!(opening.ends_with('\n') && lines.len() == 2);
}
