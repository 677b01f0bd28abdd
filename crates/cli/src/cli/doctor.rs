//! `botpipe doctor`: what is installed, what is configured, and what is ready.

use std::fmt::Write as _;

use botpipe_engine::config::{Agent, Layer, Setting};
use botpipe_engine::doctor::{self, Checkup, Finding, ProviderState, State};
use serde_json::json;

use super::config::agent;
use super::options::{Json, Workspace};
use crate::term::exit;
use crate::term::failure::Failure;
use crate::term::output::{printable, result, tell};

/// See whether runs can go here, and what to do if not
///
/// Tells what is installed (the program, its version) from what is configured (which setting says so) and
/// from what is ready (a login is there, the machine can contain agents and has room). Asks no model, writes
/// nothing, and looks into no login. Exit 0 when what is configured is ready, else 1.
///
/// Examples:
///   botpipe doctor
///   botpipe doctor --provider claude --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// As if this provider was configured
    #[arg(long, value_name = "PROVIDER", value_parser = agent)]
    provider: Option<Agent>,
    #[command(flatten)]
    workspace: Workspace,
    #[command(flatten)]
    json: Json,
}

impl Args {
    pub(super) fn json(&self) -> bool {
        self.json.json
    }

    pub(super) fn run(self) -> Result<u8, Failure> {
        let config = self.workspace.config()?;
        let options = Layer {
            agent: self.provider.map(|it| Setting::option("--provider", it)),
            ..Layer::default()
        };
        let checkup = doctor::check(&config.with(options), self.workspace.path(), None);
        let form = self.json.form();
        if form.is_json() {
            for (of, finding) in all(&checkup).filter(|(_, it)| it.state == State::Problem) {
                tell(printable(&format!("{of}{}", one(finding).trim_start())).trim_end());
            }
        }
        result(form, || text(&checkup), || json!(checkup));
        Ok(if checkup.ready { exit::OK } else { exit::ERROR })
    }
}

/// Every finding with the name of the provider it is about.
fn all(checkup: &Checkup) -> impl Iterator<Item = (String, &Finding)> {
    let of_provider =
        |it: &ProviderState| it.configured.is_some().then(|| format!("{}: ", it.name));
    let providers = checkup.providers.iter().filter_map(move |it| Some((of_provider(it)?, it)));
    let found = providers.flat_map(|(of, it)| it.findings.iter().map(move |f| (of.clone(), f)));
    found.chain(checkup.machine.iter().map(|it| (String::new(), it)))
}

fn text(checkup: &Checkup) -> String {
    let mut text = String::new();
    for provider in &checkup.providers {
        let configured = match &provider.configured {
            Some(origin) => format!("configured by {origin}"),
            None => "not configured".to_owned(),
        };
        let installed = match &provider.installed {
            Some(it) => {
                it.version.as_ref().map_or("installed".to_owned(), |v| format!("installed {v}"))
            }
            None => "not installed".to_owned(),
        };
        let ready = if provider.ready { "ready" } else { "not ready" };
        let _ = writeln!(text, "{}: {installed}, {configured}, {ready}", provider.name);
        text.extend(provider.findings.iter().map(one));
    }
    if checkup.providers.iter().all(|it| it.configured.is_none()) {
        text.push_str(
            "no provider is configured: set `provider.name` in ~/.config/botpipe/botpipe.yaml, or give \
             each run `--provider`\n",
        );
    }
    text.push_str("machine:\n");
    text.extend(checkup.machine.iter().map(one));
    text.push_str(if checkup.ready { "ready\n" } else { "not ready\n" });
    printable(&text)
}

fn one(finding: &Finding) -> String {
    let state = match finding.state {
        State::Ok => "ok",
        State::Warning => "warning",
        State::Problem => "problem",
    };
    let mut line = format!("  {state:<8} {}: {}\n", finding.name, finding.says);
    if let Some(next) = &finding.next {
        let _ = writeln!(line, "{:11}→ {next}", "");
    }
    line
}
