//! `botpipe check`: what is wrong with a workflow's file, all at once.

use std::fmt::Write as _;

use botpipe_engine::catalog;
use botpipe_lang::{Compiled, SourceFile, WorstCase, compile};
use serde_json::{Value, json};

use super::options::{Json, Workspace};
use crate::term::failure::Failure;
use crate::term::output::{Form, result, tell};
use crate::term::{diagnostic, exit};

/// Check workflow files without running anything
///
/// Examples:
///   botpipe check ralph_loop
///   botpipe check workflows/*.sop.yaml --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Workflows: names, aliases, or paths to their files or folders
    #[arg(value_name = "REF|FILE", required = true)]
    references: Vec<String>,
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
        let mut checked = Vec::new();
        for reference in &self.references {
            let (source, files) = catalog::find(self.workspace.path(), reference)?.load()?;
            let compiled = compile(&source, files.as_ref());
            checked.push((source, compiled));
        }
        let form = self.json.form();
        let text = || checked.iter().map(|(source, compiled)| text(source, compiled)).collect();
        if form == Form::Piped {
            let text: String = text();
            tell(text.trim_end());
        }
        let json = || {
            let files: Vec<_> = checked.iter().map(|(source, done)| view(source, done)).collect();
            json!({ "files": files })
        };
        result(form, text, json);
        let good = checked.iter().all(|(_, compiled)| compiled.plan.is_some());
        Ok(if good { exit::OK } else { exit::FINDINGS })
    }
}

fn text(source: &SourceFile, compiled: &Compiled) -> String {
    let mut text = diagnostic::render(source, &compiled.diagnostics);
    let _ = match (&compiled.plan, compiled.diagnostics.is_empty()) {
        (Some(plan), true) => writeln!(
            text,
            "{}: workflow {} is good ({} steps{})",
            source.name,
            plan.name,
            plan.steps.len(),
            compiled.turns.map(turns).unwrap_or_default()
        ),
        _ => writeln!(text, "{}: {}", source.name, diagnostic::count(&compiled.diagnostics)),
    };
    text
}

/// The bound of agent turns, as a sentence's part.
fn turns(worst: WorstCase) -> String {
    match worst {
        WorstCase { most: 0, .. } => ", no agent turn".to_owned(),
        // Functions may ask for turns, as many as there may be steps.
        WorstCase { fixed, per_item: 0, most } if most > fixed => {
            format!(", at most {most} agent turns, what functions ask for included")
        }
        WorstCase { fixed, per_item: 0, .. } => format!(", at most {fixed} agent turns"),
        WorstCase { fixed, per_item, .. } => {
            format!(", at most {fixed} agent turns and {per_item} for each item")
        }
    }
}

/// # Shape
/// `{"file", "name", "good", "turns", "plan_digest", "diagnostics": [Diagnostic]}`
fn view(source: &SourceFile, compiled: &Compiled) -> Value {
    json!({
        "file": source.name,
        "name": compiled.meta.name,
        "good": compiled.plan.is_some(),
        "turns": compiled.turns,
        "plan_digest": compiled.plan_digest,
        "diagnostics": compiled.diagnostics,
    })
}
