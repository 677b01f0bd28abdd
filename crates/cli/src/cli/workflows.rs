//! `botpipe workflows list` and `botpipe workflows show`: what could be run.

use std::fmt::Write as _;

use botpipe_engine::catalog::{self, Found};
use botpipe_kernel::ids::{ArtifactName, Digest};
use botpipe_kernel::plan::{Action, Plan, Route, Step, Target};
use botpipe_lang::{Compiled, compile};
use clap::Subcommand;
use serde_json::{Value, json};

use super::options::{Json, Workspace};
use crate::term::diagnostic;
use crate::term::exit;
use crate::term::failure::Failure;
use crate::term::output::{one_line, printable, result, tell};
use crate::term::table::table;

/// List and show workflows
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    List(List),
    Show(Show),
}

/// List the workflows of a workspace and those shipped with botpipe
///
/// Found in `.botpipe/workflows/`, then `workflows/`, then the shipped ones; of two with one name the
/// first wins. Nothing is run, nothing but names and words is read.
///
/// Examples:
///   botpipe workflows list
///   botpipe workflows list --all --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct List {
    /// Also those that another one of the same name hides
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    workspace: Workspace,
    #[command(flatten)]
    json: Json,
}

/// Show one workflow: its inputs, steps and routes
///
/// Example:
///   botpipe workflows show ralph_loop
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Show {
    /// The workflow: a name, an alias, or a path to its file or folder
    #[arg(value_name = "REF")]
    reference: String,
    #[command(flatten)]
    workspace: Workspace,
    #[command(flatten)]
    json: Json,
}

impl Command {
    pub(super) fn json(&self) -> bool {
        match self {
            Self::List(list) => list.json.json,
            Self::Show(show) => show.json.json,
        }
    }

    pub(super) fn run(self) -> Result<u8, Failure> {
        match self {
            Self::List(list) => list.run(),
            Self::Show(show) => show.run(),
        }
    }
}

impl List {
    fn run(self) -> Result<u8, Failure> {
        let mut found = catalog::list(self.workspace.path())?;
        found.retain(|it| self.all || it.shadowed_by.is_none());
        let json = || json!({ "workflows": found.iter().map(words).collect::<Vec<_>>() });
        result(self.json.form(), || list(&found), json);
        Ok(exit::OK)
    }
}

impl Show {
    fn run(self) -> Result<u8, Failure> {
        let found = catalog::find(self.workspace.path(), &self.reference)?;
        let (source, files) = found.load()?;
        let compiled = compile(&source, files.as_ref());
        if compiled.plan.is_none() {
            tell(diagnostic::render(&source, &compiled.diagnostics).trim_end());
        }
        let Some(plan) = &compiled.plan else {
            let count = diagnostic::count(&compiled.diagnostics);
            return Err(Failure::usage(format!("`{}` does not check: {count}", source.name)));
        };
        result(
            self.json.form(),
            || show(&found, plan, &compiled),
            || {
                let mut all = words(&found);
                all["plan"] = json!(plan);
                all["plan_digest"] = json!(compiled.plan_digest);
                all["input"] = text_of(&compiled, &plan.input.schema);
                all["params"] = text_of(&compiled, &plan.params);
                all
            },
        );
        Ok(exit::OK)
    }
}

/// # Shape
/// `{"name", "title", "description", "aliases", "origin", "path", "shadowed_by"}`
fn words(found: &Found) -> Value {
    json!({
        "name": found.name,
        "title": found.title,
        "description": found.description,
        "aliases": found.aliases,
        "origin": found.origin.as_str(),
        "path": found.place(),
        "shadowed_by": found.shadowed_by,
    })
}

fn list(found: &[Found]) -> String {
    if found.is_empty() {
        return "no workflows\n".to_owned();
    }
    let rows: Vec<_> = found
        .iter()
        .map(|it| {
            let title = it.title.as_deref().or(it.description.as_deref()).unwrap_or_default();
            let hidden = if it.shadowed_by.is_some() { " (hidden)" } else { "" };
            [
                one_line(&it.name, 40),
                format!("{}{hidden}", it.origin),
                one_line(&it.aliases.join(", "), 40),
                one_line(title, 80),
            ]
        })
        .collect();
    table(["NAME", "ORIGIN", "ALIASES", "TITLE"], &rows)
}

fn show(found: &Found, plan: &Plan, compiled: &Compiled) -> String {
    let mut text = format!("{}", plan.name);
    if let Some(title) = &plan.title {
        let _ = write!(text, ": {}", one_line(title, 120));
    }
    let _ = writeln!(text, "\n  from {} ({})", found.place(), found.origin);
    if !found.aliases.is_empty() {
        let _ = writeln!(text, "  also called {}", printable(&found.aliases.join(", ")));
    }
    for line in plan.description.iter().flat_map(|words| words.lines()) {
        let _ = writeln!(text, "  {}", printable(line));
    }
    let _ = writeln!(text, "\ninput: {}", fields(&text_of(compiled, &plan.input.schema)));
    let _ = writeln!(text, "parameters: {}\n", fields(&text_of(compiled, &plan.params)));
    let rows: Vec<_> = plan
        .steps
        .iter()
        .map(|step| {
            let scope = step.scope.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
            let writes: Vec<&str> = step.writes().map(ArtifactName::as_str).collect();
            let kind = step.kind().to_owned();
            [step.id.to_string(), kind, scope, writes.join(", "), routes(step)]
        })
        .collect();
    text.push_str(&table(["STEP", "KIND", "ITEMS OF", "WRITES", "ROUTES"], &rows));
    text
}

/// Its own routes, and those that are inherited by their names.
fn routes(step: &Step) -> String {
    let (inherited, own): (Vec<_>, Vec<_>) = step.routes.iter().partition(|it| it.inherited);
    let mut shown: Vec<String> = own.into_iter().map(route).collect();
    if !inherited.is_empty() {
        let names = inherited.iter().map(|route| route.tag.as_str());
        shown.push(format!("({})", names.collect::<Vec<_>>().join(", ")));
    }
    shown.join("; ")
}

fn route(route: &Route) -> String {
    let what = match &route.action {
        Action::To(_) => "",
        Action::CompleteAndAdvance { .. } => "item done, ",
        Action::Advance { .. } => "item left behind, ",
        Action::CompleteCurrent { .. } => "item done, with it ",
        Action::Refresh { .. } => "items read again, ",
        Action::Reset { .. } => "item opened again, ",
    };
    let next = route.action.targets().next().map_or("", target);
    let last = route.action.exhausted().map(|to| format!(", at the last {}", target(to)));
    format!("{} → {what}{next}{}", route.tag, last.unwrap_or_default())
}

fn target(to: &Target) -> &str {
    match to {
        Target::Step(step) => step.as_str(),
        Target::SelfStep => "SELF",
        Target::Finish => "FINISH",
        Target::Fail => "FAIL",
        Target::AwaitInput => "AWAIT_INPUT",
    }
}

/// A schema that the plan names by its digest.
fn text_of(compiled: &Compiled, digest: &Digest) -> Value {
    let text = compiled.texts.get(digest);
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Value::Null)
}

/// The fields of an object's schema: `request (string, required), count (integer, default 3)`.
fn fields(schema: &Value) -> String {
    let none = serde_json::Map::new();
    let properties = schema["properties"].as_object().unwrap_or(&none);
    let required = schema["required"].as_array();
    let said = properties.iter().map(|(name, field)| {
        let mut about = vec![field["type"].as_str().unwrap_or("any").to_owned()];
        if let Some(default) = field.get("default") {
            about.push(format!("default {default}"));
        } else if required.is_some_and(|names| names.iter().any(|it| it == name.as_str())) {
            about.push("required".to_owned());
        }
        printable(&format!("{name} ({})", about.join(", ")))
    });
    let said: Vec<_> = said.collect();
    if said.is_empty() { "none".to_owned() } else { said.join(", ") }
}
