//! `botpipe test`: plays the tests of workflows, without a model.

use std::fmt::Write as _;

use botpipe_engine::testing::{self, CaseResult, FindError, Options, Unreadable};
use serde_json::{Value, json};

use super::options::{Json, Workspace, switch};
use crate::term::exit;
use crate::term::failure::Failure;
use crate::term::output::{Form, one_line, printable, result, tell};
use crate::term::{diagnostic, table};

/// Test workflows without a model
///
/// A test is a file `NAME.test.yaml` beside a workflow. Each case of it starts a run in a scratch
/// repository, with a recording (`cassette`) or written-down turns (`turns`) in the place of the agent, and
/// says what must come of it: routes, turns, artifacts, files, verdict. Scripts and checks of the workflow
/// run for real. Cases run several at once; nothing is sent anywhere, no token is spent.
///
/// Without a word: the tests of all workflows of the workspace. `docs/testing.md` has the keys.
///
/// Examples:
///   botpipe test
///   botpipe test ralph_loop
///   botpipe test workflows/release/rework.test.yaml --keep
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Workflows, folders or test files
    #[arg(value_name = "NAME|PATH")]
    named: Vec<String>,
    /// Play recordings although prompts changed, and write them anew where all else holds
    #[arg(long)]
    update: bool,
    /// Leave the scratch folders of cases that fail, and say where they are
    #[arg(long)]
    keep: bool,
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
        let workspace = self.workspace.path();
        let found = testing::find(workspace, &self.named).map_err(failure)?;
        if found.is_empty() {
            return Err(Failure::not_found("no workflow here has a test")
                .hint("a test is a file `NAME.test.yaml` beside the workflow"));
        }
        let (mut files, mut unreadable) = (Vec::new(), Vec::new());
        for (beside, source) in found {
            match testing::read(workspace, beside, source) {
                Ok(file) => files.push(file),
                Err(file) => unreadable.push(file),
            }
        }
        for file in &unreadable {
            tell(diagnostic::render(&file.source, &file.diagnostics).trim_end());
        }
        let options = Options { exit_of: exit::of_lifecycle, update: self.update, keep: self.keep };
        let stop = switch()?;
        let results = testing::run(&files, options, &stop);
        if let Some(signal) = stop.requested() {
            return Err(Failure::error("stopped").code(exit::by_signal(signal)));
        }
        let form = self.json.form();
        if form == Form::Piped {
            tell(text(&results, &unreadable).trim_end());
        }
        result(form, || text(&results, &unreadable), || view(&results, &unreadable));
        let good = unreadable.is_empty() && results.iter().all(CaseResult::passed);
        Ok(if good { exit::OK } else { exit::ERROR })
    }
}

fn failure(error: FindError) -> Failure {
    match error {
        FindError::Catalog(error) => error.into(),
        FindError::None { .. } => Failure::not_found(error.to_string()),
        FindError::NoTest { .. } | FindError::Unreadable { .. } => {
            Failure::usage(error.to_string())
        }
    }
}

fn text(results: &[CaseResult], unreadable: &[Unreadable]) -> String {
    let rows: Vec<_> = results
        .iter()
        .map(|it| {
            [
                if it.passed() { "ok" } else { "FAILED" }.to_owned(),
                one_line(&it.file, 60),
                it.state.clone(),
                it.turns.to_string(),
                format!("{:.2}s", it.took.as_secs_f64()),
                one_line(&it.case, 80),
            ]
        })
        .collect();
    let mut text = String::new();
    if !rows.is_empty() {
        text = table::table(["", "FILE", "STATE", "TURNS", "TIME", "CASE"], &rows);
    }
    for failed in results.iter().filter(|it| !it.passed()) {
        let _ = writeln!(text, "\n{}: {}", printable(&failed.file), printable(&failed.case));
        for problem in &failed.problems {
            let _ = writeln!(text, "  - {}", printable(problem).replace('\n', "\n    "));
        }
        if let Some(folder) = &failed.kept {
            let _ = writeln!(text, "  its scratch folder: {}", folder.display());
        }
    }
    for path in results.iter().filter_map(|it| it.updated.as_ref()) {
        let _ = writeln!(text, "\nwritten anew: {}", path.display());
    }
    let failed = results.iter().filter(|it| !it.passed()).count();
    let _ = write!(text, "\n{} passed, {failed} failed", results.len() - failed);
    if !unreadable.is_empty() {
        let _ = write!(text, ", {} files could not be read", unreadable.len());
    }
    text.push('\n');
    text
}

/// # Shape
/// `{"cases": [{"file", "case", "passed", "problems", "state", "turns", "seconds", "kept", "updated"}],
/// "unreadable": [{"file", "diagnostics"}], "passed", "failed"}`
fn view(results: &[CaseResult], unreadable: &[Unreadable]) -> Value {
    let cases = results.iter().map(|it| {
        json!({
            "file": it.file,
            "case": it.case,
            "passed": it.passed(),
            "problems": it.problems,
            "state": it.state,
            "turns": it.turns,
            "seconds": it.took.as_secs_f64(),
            "kept": it.kept,
            "updated": it.updated,
        })
    });
    let files = unreadable
        .iter()
        .map(|it| json!({ "file": it.source.name, "diagnostics": it.diagnostics }));
    let passed = results.iter().filter(|it| it.passed()).count();
    json!({
        "cases": cases.collect::<Vec<_>>(),
        "unreadable": files.collect::<Vec<_>>(),
        "passed": passed,
        "failed": results.len() - passed + unreadable.len(),
    })
}
