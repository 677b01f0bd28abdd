//! The top level of the file.

use botpipe_kernel::plan::{Budget, Limits};

use super::field::{Fields, MOST_STEPS, budget, count, list, name, text, text_of};
use super::inherited::{GlobalRoutes, inherit};
use super::policy::{LimitsEntry, bounds_of};
use super::route::fill_routes;
use super::schema::SchemaDecl;
use super::state::StateDecl;
use super::{Document, Named, Reader};
use crate::diagnostic::{Code, Problem, Report};
use crate::files::Files;
use crate::source::Span;
use crate::yaml::{Entry, Node, Value};

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
    let limits = fields.get("limits").and_then(|limits| reader.limits(limits));
    if let Some(provider) = fields.get("provider") {
        reader.document.provider = reader.provider(provider);
    }
    if let Some(entry) = fields.get("budget") {
        reader.document.budget = budget(entry, reader.report);
    }
    let policy = fields.get("policy");
    reader.document.policy = policy.and_then(|policy| reader.policy(policy));
    if let Some(limits) = limits {
        limits.into_policy(&mut reader.document.policy, policy, reader.report);
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
    fields.close(&[], reader.report);
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

    /// Bounds of the run, and those of each process, which a policy could say as well.
    fn limits<'n>(&mut self, entry: &'n Entry) -> Option<LimitsEntry<'n>> {
        let mut fields = Fields::of(&entry.value, "limits", entry.key_span, self.report)?;
        if let Some(most) = fields.get("max_steps") {
            self.document.max_steps =
                count(most, MOST_STEPS, self.report).unwrap_or(Limits::DEFAULT_MAX_STEPS);
        }
        let bounds = bounds_of(&mut fields, self.report);
        fields.close(&[], self.report);
        Some(LimitsEntry { entry, bounds })
    }
}
