//! `botpipe config show`: the settings that hold, and where each comes from.

use std::fmt::Write as _;

use botpipe_engine::config::{Agent, Config, Layer, Line, Setting};
use clap::Subcommand;
use serde_json::{Value, json};

use super::harness::HarnessOptions;
use super::options::{Json, Workspace};
use crate::term::exit;
use crate::term::failure::Failure;
use crate::term::output::{one_line, result};
use crate::term::table::table;

/// Show settings
///
/// Settings are options, environment variables and two files, who wins first: options; BOTPIPE_PROVIDER,
/// BOTPIPE_MODEL, BOTPIPE_MODEL_EFFORT, BOTPIPE_BASE_URL; `botpipe.yaml` in the workspace; your own
/// `botpipe.yaml` in $XDG_CONFIG_HOME/botpipe, else ~/.config/botpipe. A run keeps what it was started
/// with, however settings change.
///
/// provider:
///   name: codex               # codex, claude or command: for workflows that name none themselves
///   model: gpt-5.5            # by the harness's name for it
///   model_effort: high        # in the harness's words
///   instructions: true        # let it read AGENTS.md, CLAUDE.md of the workspace
///   hooks: true               # (own file) let the project's hooks and settings be in force
///   base_url: https://…       # (own file) the model's address
///   program: /opt/bin/codex   # (own file) instead of the one in PATH
///   args: [--flag]            # (own file) further arguments of the harness
///   command: [my-agent, -]    # (own file) the program of `name: command`
///   mcp_servers:              # (own file)
///     docs: { command: docs-server, args: [--stdio], env: [DOCS_TOKEN] }
///     wiki: { url: "https://wiki.example/mcp" }
///   codex: { model: … }       # the same keys, over those above, for Codex, and `interface`: app_server or exec
///   claude: { effort: … }     # and for Claude Code, which says `effort`
/// runtime:
///   max_steps: 200            # a workflow that allows itself fewer keeps its own
///   budget: { usd: 5.50, tokens: 2000000, turns: 40, wall: 2h }   # likewise, each of them
///   full_auto: true           # agents are offered nothing that takes a person
///   on_limit: pause           # (own file) wait, pause or fail at a limit of the account
/// policy:                     # in the workspace's file what workflows override; in your own a ceiling
///   network: none             # the keys of a workflow's `policy`, with its `limits`
///
/// What stands right below `provider` holds for the provider that the same file names, or for any when it
/// names none. Bounds only narrow: of those in the files the smallest holds. (own file): not taken from the workspace's file, since that came with a clone.
#[derive(Debug, Subcommand)]
#[command(verbatim_doc_comment)]
pub(super) enum Command {
    Show(Show),
}

/// Show the settings that hold, each with where it comes from
///
/// With `--provider` and its options: what a run with them would use.
///
/// Examples:
///   botpipe config show --origin
///   botpipe config show --provider claude --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Show {
    /// Also where each value comes from: file and line, option, variable or default
    #[arg(long)]
    origin: bool,
    /// As if this provider was chosen
    #[arg(long, value_name = "PROVIDER", value_parser = agent)]
    provider: Option<Agent>,
    #[command(flatten)]
    harness: HarnessOptions,
    #[command(flatten)]
    workspace: Workspace,
    #[command(flatten)]
    json: Json,
}

impl Command {
    pub(super) fn json(&self) -> bool {
        let Self::Show(show) = self;
        show.json.json
    }

    pub(super) fn run(self) -> Result<u8, Failure> {
        let Self::Show(show) = self;
        show.run()
    }
}

impl Show {
    fn run(self) -> Result<u8, Failure> {
        let config = self.workspace.config()?;
        let options = Layer {
            agent: self.provider.map(|it| Setting::option("--provider", it)),
            any: self.harness.layer(&[]),
            ..Layer::default()
        };
        let lines = config.with(options).lines();
        let json = || json!({ "files": config.files, "settings": lines });
        result(self.json.form(), || text(&config, &lines, self.origin), json);
        Ok(exit::OK)
    }
}

/// The name of a provider that can be configured.
pub(super) fn agent(name: &str) -> Result<Agent, String> {
    Agent::of(name).ok_or_else(|| "it is `codex`, `claude` or `command`".to_owned())
}

fn text(config: &Config, lines: &[Line], origin: bool) -> String {
    let mut text = String::new();
    let shown = |line: &Line| (line.key.clone(), one_line(&value(&line.value), 80));
    if origin {
        let rows: Vec<_> = lines
            .iter()
            .map(|line| {
                let (key, value) = shown(line);
                [key, value, line.origin.to_string()]
            })
            .collect();
        text.push_str(&table(["SETTING", "VALUE", "FROM"], &rows));
    } else {
        let rows: Vec<_> = lines.iter().map(|line| shown(line).into()).collect();
        text.push_str(&table(["SETTING", "VALUE"], &rows));
    }
    for file in &config.files {
        let there = if file.exists { "read" } else { "not there" };
        let _ = writeln!(text, "{} ({there})", file.path.display());
    }
    text
}

fn value(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}
