//! A test file's text, read strictly against the plan of its workflow.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use botpipe_kernel::plan::Plan;
use botpipe_lang::reading::{
    Entry, Fields, MOST_STEPS, Node, Problem, Report, Value, count, duration, list, parse, text,
    text_of, wrong_type,
};
use botpipe_lang::{Code, Compiled, Severity, SourceFile, Span, compile};

use super::functions::{Scripted, functions};
use super::{Beside, Case, TestFile, Unreadable, expected, script};
use crate::catalog;
use crate::start::family;

/// Reads a test file and compiles its workflow; what is wrong is all said at once.
///
/// # Errors
/// [`Unreadable`], with its diagnostics.
pub fn read(workspace: &Path, beside: Beside, source: SourceFile) -> Result<TestFile, Unreadable> {
    let (read, diagnostics) = {
        let mut report = Report::on(&source);
        let read = file(workspace, &beside, &source, &mut report);
        let good = !report.has_errors();
        (read.filter(|_| good), report.finish())
    };
    match read {
        Some((compiled, cases)) => {
            Ok(TestFile { source, beside, compiled: Arc::new(compiled), cases })
        }
        None => Err(Unreadable { source, diagnostics }),
    }
}

fn file(
    workspace: &Path,
    beside: &Beside,
    source: &SourceFile,
    report: &mut Report<'_>,
) -> Option<(Compiled, Vec<Case>)> {
    let Some(root) = parse(report) else {
        if !report.has_errors() {
            report.push(Problem::new(Code::Empty, Span::default(), "this test file is empty"));
        }
        return None;
    };
    let mut fields = Fields::of(&root, "a test file", root.span, report)?;
    match fields.get("test") {
        Some(entry) if matches!(entry.value.value, Value::Int(1)) => {}
        Some(entry) => report.push(Problem::new(
            Code::FormatVersion,
            entry.value.span,
            format!("expected `test: 1`, found {}", entry.value.describe()),
        )),
        None => {
            report.push(Problem::new(Code::MissingKey, root.span, "a test file needs `test: 1`"));
        }
    }
    let named = fields.get("workflow");
    let compiled = workflow(workspace, beside, source, named, root.span, report)?;
    let family = family(&compiled, compiled.plan.as_ref()?);
    let shared = Shared {
        beside,
        functions: fields
            .get("functions")
            .map(|it| functions(it, &family, report))
            .unwrap_or_default(),
        family: &family,
        compiled: &compiled,
        workspace: fields.get("workspace").and_then(|it| folder(it, report)),
        files: fields.get("files").map(|it| files(it, report)).unwrap_or_default(),
    };
    let mut cases = Vec::new();
    match fields.get("cases") {
        Some(entry) => {
            for node in list(entry, "cases", report) {
                cases.extend(case(node, &shared, report));
            }
            if cases.is_empty() && !report.has_errors() {
                let message = "there is no case in it";
                report.push(Problem::new(Code::NothingThere, entry.value.span, message));
            }
        }
        None => report.push(Problem::new(Code::MissingKey, root.span, "a test file needs `cases`")),
    }
    fields.close(&[], report);
    Some((compiled, cases))
}

/// The workflow that is named, else the one beside the file.
fn workflow(
    workspace: &Path,
    beside: &Beside,
    source: &SourceFile,
    named: Option<&Entry>,
    whole: Span,
    report: &mut Report<'_>,
) -> Option<Compiled> {
    let span = named.map_or(whole, |entry| entry.value.span);
    let written = named.map(|entry| text(entry, report).map(|it| it.value));
    let compiled = match written {
        // Reported already.
        Some(None) => return None,
        Some(Some(name)) if !name.contains('/') && !name.ends_with(YAML) => {
            match catalog::find(workspace, name).and_then(|found| found.load()) {
                Ok((source, files)) => compile(&source, files.as_ref()),
                Err(error) => {
                    report.push(Problem::new(Code::FileUnreadable, span, error.to_string()));
                    return None;
                }
            }
        }
        Some(Some(path)) => at_path(workspace, beside, path, span, report)?,
        None => {
            let own = source.name.rsplit(['/', ':']).next().unwrap_or_default();
            let single = format!("{}.sop{YAML}", own.split('.').next().unwrap_or_default());
            let whole = beside.files().read("sop.yaml").is_ok();
            at_path(workspace, beside, if whole { "sop.yaml" } else { &single }, span, report)?
        }
    };
    if compiled.plan.is_none() {
        let errors = compiled.diagnostics.iter().filter(|it| it.severity == Severity::Error);
        let message = format!("its workflow does not check: {} errors", errors.count());
        report.push(
            Problem::new(Code::FileUnreadable, span, message).help("`botpipe check` tells them"),
        );
        return None;
    }
    Some(compiled)
}

const YAML: &str = ".yaml";

/// The workflow at a path beside the test file.
fn at_path(
    workspace: &Path,
    beside: &Beside,
    path: &str,
    span: Span,
    report: &mut Report<'_>,
) -> Option<Compiled> {
    let files = beside.files();
    if let Ok(text) = files.read(path) {
        let name = beside.place(path);
        let folder = match beside {
            Beside::Disk(folder) => Some(folder.clone()),
            Beside::Shipped(_) => None,
        };
        let files = catalog::with_workflows(files, folder, workspace);
        return Some(compile(&SourceFile { name, text }, files.as_ref()));
    }
    let message = format!("there is no workflow file `{path}` beside this test");
    report.push(
        Problem::new(Code::FileUnreadable, span, message)
            .help("`workflow` names one: a path from here, or a workflow's name"),
    );
    None
}

/// What all cases of a file have in common.
struct Shared<'f> {
    beside: &'f Beside,
    /// The workflow and those below it.
    family: &'f [Plan],
    compiled: &'f Compiled,
    functions: BTreeMap<String, Scripted>,
    workspace: Option<String>,
    files: Vec<(String, String)>,
}

/// How long a case may take when it does not say.
const TIMEOUT: Duration = Duration::from_mins(1);

fn case(node: &Node, shared: &Shared<'_>, report: &mut Report<'_>) -> Option<Case> {
    let mut fields = Fields::of(node, "a case", node.span, report)?;
    let name = fields.get("name");
    if name.is_none() {
        report.push(Problem::new(Code::MissingKey, node.span, "a case needs a `name`"));
    }
    let name = name.and_then(|entry| text(entry, report)).map(|it| it.value.to_owned());
    let message =
        fields.get("message").and_then(|it| text(it, report)).map(|it| it.value.to_owned());
    let input = fields.get("input").map(|entry| entry.value.to_json());
    let params = fields.get("params").map(|it| params(it, report)).unwrap_or_default();
    let own = fields.get("workspace").and_then(|it| folder(it, report));
    let mut all = shared.files.clone();
    all.extend(fields.get("files").map(|it| files(it, report)).unwrap_or_default());
    let (cassette, turns) = (fields.get("cassette"), fields.get("turns"));
    let agent = match (cassette, turns) {
        (Some(entry), None) => script::cassette(entry, shared.beside, report),
        (None, Some(entry)) => Some(script::script(entry, shared.compiled, report)),
        (None, None) => {
            report.push(
                Problem::new(Code::MissingKey, node.span, "a case needs `cassette` or `turns`")
                    .help("`turns: {}` for a workflow that asks no agent"),
            );
            None
        }
        (Some(_), Some(entry)) => {
            let message = "a case has either a `cassette` or `turns`";
            report.push(Problem::new(Code::WrongKind, entry.key_span, message));
            None
        }
    };
    let mut scripted = shared.functions.clone();
    scripted.extend(
        fields.get("functions").map(|it| functions(it, shared.family, report)).unwrap_or_default(),
    );
    let answers = fields.get("answers").map(|it| texts(it, report)).unwrap_or_default();
    let max_steps = fields.get("max_steps").and_then(|it| count(it, MOST_STEPS, report));
    let timeout = fields.get("timeout").and_then(|it| duration(it, report));
    let expect = fields
        .get("expect")
        .map(|it| expected::expect(it, shared.family, report))
        .unwrap_or_default();
    fields.close(&[], report);
    Some(Case {
        name: name?,
        message,
        input,
        params,
        workspace: own.or_else(|| shared.workspace.clone()),
        files: all,
        agent: agent?,
        functions: scripted,
        answers,
        max_steps,
        timeout: timeout.map_or(TIMEOUT, Duration::from_millis),
        expect,
    })
}

pub(super) fn entries<'n>(entry: &'n Entry, of: &str, report: &mut Report<'_>) -> &'n [Entry] {
    if let Value::Map(entries) = &entry.value.value {
        return entries;
    }
    wrong_type(&entry.value, entry.key_span, of, report);
    &[]
}

fn params(entry: &Entry, report: &mut Report<'_>) -> Vec<(String, String)> {
    let all = entries(entry, "parameters as a map", report).iter();
    all.map(|entry| match &entry.value.value {
        Value::Text(text) => (entry.key.clone(), text.clone()),
        _ => (entry.key.clone(), entry.value.to_json().to_string()),
    })
    .collect()
}

/// A path that stays below where it starts.
pub(super) fn inside(path: &str, span: Span, report: &mut Report<'_>) -> bool {
    let plain = path.strip_prefix("{{ workflow.folder }}/").unwrap_or(path);
    let leaves = plain.is_empty()
        || plain.starts_with('/')
        || plain.split('/').any(|part| matches!(part, "" | "." | ".."));
    if leaves {
        let message = format!("`{path}` is no path inside the folder");
        report.push(Problem::new(Code::BadPath, span, message).help("a plain relative path"));
    }
    !leaves
}

fn folder(entry: &Entry, report: &mut Report<'_>) -> Option<String> {
    let written = text(entry, report)?;
    let path = written.value.trim_end_matches('/');
    inside(path, written.span, report).then(|| path.to_owned())
}

fn files(entry: &Entry, report: &mut Report<'_>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in entries(entry, "files as a map: path and text", report) {
        if inside(&entry.key, entry.key_span, report)
            && let Some(text) = content(entry, report)
        {
            found.push((entry.key.clone(), text));
        }
    }
    found
}

/// A file's text as written, or a map or list as JSON.
pub(super) fn content(entry: &Entry, report: &mut Report<'_>) -> Option<String> {
    match &entry.value.value {
        Value::Text(text) => Some(text.clone()),
        Value::Map(_) | Value::List(_) => {
            serde_json::to_string_pretty(&entry.value.to_json()).ok().map(|text| text + "\n")
        }
        _ => {
            wrong_type(&entry.value, entry.key_span, "text, or a map or list for JSON", report);
            None
        }
    }
}

/// A text, or a list of texts.
pub(super) fn texts(entry: &Entry, report: &mut Report<'_>) -> Vec<String> {
    if entry.value.as_text().is_some() {
        return text(entry, report).map(|it| it.value.to_owned()).into_iter().collect();
    }
    let items = list(entry, "texts", report).iter();
    items.filter_map(|it| Some(text_of(it, it.span, report)?.value.to_owned())).collect()
}
