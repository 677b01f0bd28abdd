//! The top level of the file.

use botpipe_kernel::plan::{Budget, Limits, Provider};

use super::field::{
    Fields, MOST_STEPS, boolean, budget, count, list, name, text, text_of, wrong_type,
};
use super::inherited::{GlobalRoutes, inherit};
use super::route::fill_routes;
use super::schema::SchemaDecl;
use super::state::StateDecl;
use super::{Document, Named, Reader};
use crate::diagnostic::{Code, Problem, Report};
use crate::files::{Files, stays_inside};
use crate::source::Span;
use crate::yaml::{Entry, Node, Value};

/// Keys of the language that this version does not run.
const LATER: [&str; 0] = [];

/// Reads a whole file; `None` when it is no map.
pub(crate) fn read(
    root: &Node,
    report: &mut Report<'_>,
    files: &dyn Files,
    above: &[String],
) -> Option<Document> {
    let place = Span { start: root.span.start, end: root.span.start };
    let mut fields = Fields::of(root, "a workflow", place, report)?;
    let mut reader = Reader { report, files, document: Document::empty(), above };
    reader.head(&mut fields);
    if let Some(input) = fields.get("input") {
        reader.document.input = reader.object_schema(input);
    }
    if let Some(params) = fields.get("params") {
        reader.document.params = reader.object_schema(params);
    }
    reader.document.state = reader.state(fields.get("state"));
    if let Some(artifacts) = fields.get("artifacts") {
        reader.artifacts(artifacts);
    }
    if let Some(worklists) = fields.get("worklists") {
        reader.worklists(worklists);
    }
    if let Some(limits) = fields.get("limits") {
        reader.limits(limits);
    }
    if let Some(provider) = fields.get("provider") {
        reader.document.provider = reader.provider(provider);
    }
    if let Some(entry) = fields.get("budget") {
        reader.document.budget = budget(entry, reader.report);
    }
    if let Some(policy) = fields.get("policy") {
        reader.document.policy = reader.policy(policy);
    }
    if let Some(entry) = fields.get("entry") {
        let written = text(entry, reader.report);
        reader.document.entry = written.and_then(|step| name(step.value, step.span, reader.report));
    }
    if let Some(output) = fields.get("output") {
        reader.document.output = reader.output(output);
    }
    if let Some(sessions) = fields.get("sessions") {
        reader.sessions(sessions);
    }
    if let Some(routes) = fields.get("global_routes") {
        reader.global_routes(routes);
    }
    match fields.need("steps", reader.report) {
        Some(steps) => reader.steps(steps),
        None => reader.document.steps_known = false,
    }
    fields.close(&LATER, reader.report);
    fill_routes(&mut reader.document);
    inherit(&mut reader.document, reader.report);
    Some(reader.document)
}

impl Document {
    fn empty() -> Self {
        Self {
            name: None,
            title: None,
            description: None,
            input: Some(SchemaDecl::default()),
            params: Some(SchemaDecl::default()),
            artifacts: Named::default(),
            artifacts_known: true,
            worklists: Vec::new(),
            worklists_known: true,
            steps: Named::default(),
            steps_known: true,
            entry: None,
            max_steps: Limits::DEFAULT_MAX_STEPS,
            provider: None,
            policy: None,
            budget: Budget::default(),
            branch_ids: Named::default(),
            state: StateDecl::None,
            global: GlobalRoutes::default(),
            output: None,
            sessions: Some(Vec::new()),
        }
    }
}

impl Reader<'_, '_> {
    /// Version, name and words about the workflow.
    fn head(&mut self, fields: &mut Fields<'_>) {
        if let Some(version) = fields.need("sop", self.report)
            && !matches!(version.value.value, Value::Int(1) | Value::Broken)
        {
            let message = format!("expected version 1, found {}", version.value.describe());
            self.report.push(
                Problem::new(Code::FormatVersion, version.value.span, message)
                    .help("write `sop: 1`; a newer file needs a newer botpipe"),
            );
        }
        if let Some(entry) = fields.need("name", self.report) {
            let written = text(entry, self.report);
            self.document.name = written
                .and_then(|written| name(written.value, written.span, self.report))
                .map(|name| name.value);
        }
        let mut words = |key, report: &mut _| {
            text(fields.get(key)?, report).map(|found| found.value.trim_end().to_owned())
        };
        self.document.title = words("title", self.report);
        self.document.description = words("description", self.report);
        if let Some(aliases) = fields.get("aliases") {
            for alias in list(aliases, "names", self.report) {
                // Names for finding the workflow; they are no part of the plan.
                let written = text_of(alias, alias.span, self.report);
                written.and_then(|it| {
                    name::<botpipe_kernel::ids::WorkflowName>(it.value, it.span, self.report)
                });
            }
        }
    }

    fn limits(&mut self, entry: &Entry) {
        let Some(mut fields) = Fields::of(&entry.value, "limits", entry.key_span, self.report)
        else {
            return;
        };
        if let Some(most) = fields.get("max_steps") {
            self.document.max_steps =
                count(most, MOST_STEPS, self.report).unwrap_or(Limits::DEFAULT_MAX_STEPS);
        }
        fields.close(&[], self.report);
    }

    fn provider(&mut self, entry: &Entry) -> Option<Provider> {
        let mut fields = Fields::of(&entry.value, "a provider", entry.key_span, self.report)?;
        let command = fields.get("command");
        let replay = fields.get("replay");
        let loose = fields.get("loose");
        fields.close(&[], self.report);
        match (command, replay) {
            (Some(command), None) => {
                if let Some(loose) = loose {
                    let message = "`loose` belongs to `replay`";
                    self.report.push(Problem::new(Code::WrongKind, loose.key_span, message));
                }
                self.command(command)
            }
            (None, Some(replay)) => {
                let cassette = text(replay, self.report)?;
                if !stays_inside(cassette.value) {
                    let message = format!("`{}` leaves the workflow's folder", cassette.value);
                    self.report.push(Problem::new(Code::FileOutside, cassette.span, message));
                }
                let loose = loose.is_some_and(|it| boolean(it, self.report) == Some(true));
                Some(Provider::Replay { cassette: cassette.value.to_owned(), loose })
            }
            (Some(_), Some(second)) => {
                let message = "a provider is either a `command` or a `replay`";
                self.report.push(Problem::new(Code::UnknownKey, second.key_span, message));
                None
            }
            (None, None) => {
                let message = "a provider needs `command: [program, args…]` or `replay: path`";
                self.report.push(Problem::new(Code::MissingKey, entry.key_span, message));
                None
            }
        }
    }

    fn command(&mut self, entry: &Entry) -> Option<Provider> {
        if !matches!(entry.value.value, Value::List(_)) {
            let expected = "a list: the program and its arguments";
            wrong_type(&entry.value, entry.key_span, expected, self.report);
            return None;
        }
        let mut words = Vec::new();
        for word in list(entry, "texts", self.report) {
            match word.as_text() {
                Some(text) => words.push(text.to_owned()),
                None => wrong_type(word, word.span, "text", self.report),
            }
        }
        let mut words = words.into_iter();
        let program = words.next().filter(|program| !program.is_empty());
        if program.is_none() && !self.report.has_errors() {
            let message = "a command begins with its program";
            self.report.push(Problem::new(Code::NothingThere, entry.value.span, message));
        }
        Some(Provider::Command { program: program?, args: words.collect() })
    }
}
