//! What the run knows, laid out for templates, contracts and programs.

use std::collections::BTreeMap;
use std::path::PathBuf;

use botpipe_kernel::ids::{ArtifactName, Digest, TurnId};
use botpipe_kernel::plan::{Artifact, Step};
use botpipe_kernel::run::{CheckStatus, FileStamp, Finding, FindingState, ItemStatus, Ref, Visit};
use serde_json::Value;

use super::{Trouble, results};
use crate::driver::{Driver, activity_name};
use crate::prompt::Roots;
use crate::workspace::artifacts;
use crate::workspace::layout::WorkspacePath;

impl Driver<'_> {
    /// The step in progress (or about to be entered).
    pub(crate) fn current_step(&self) -> Result<Step, Trouble> {
        let next = || self.run.next.as_ref().and_then(|next| self.run.plan.step(&next.step));
        self.run
            .current_step()
            .or_else(next)
            .cloned()
            .ok_or_else(|| Trouble::Stuck { message: "no step is in progress".to_owned() })
    }

    pub(crate) fn current_visit(&self) -> Result<&Visit, Trouble> {
        self.run
            .visit
            .as_ref()
            .ok_or_else(|| Trouble::Stuck { message: "no visit is in progress".to_owned() })
    }

    /// Keeps a text in place when small, else as an object.
    pub(crate) fn keep(&self, text: &str) -> Result<Ref, Trouble> {
        self.parts.keep(text).map_err(Trouble::Fatal)
    }

    /// The text a reference stands for.
    pub(crate) fn text_of(&self, text: &Ref) -> Result<String, Trouble> {
        self.parts.text(text).map_err(Trouble::Fatal)
    }

    /// A text of the plan.
    pub(crate) fn plan_text(&mut self, digest: &Digest) -> Result<std::sync::Arc<str>, Trouble> {
        self.desk.plan_text(self.parts, digest).map_err(Trouble::Fatal)
    }

    /// Renders a template of the plan.
    pub(crate) fn render(&mut self, template: &Digest, what: &str) -> Result<String, Trouble> {
        let text = self.plan_text(template)?;
        let roots = self.roots()?;
        self.desk.templates.render(what, template, &text, &roots).map_err(Trouble::stuck)
    }

    /// Evaluates an expression of the plan.
    pub(crate) fn evaluate(&mut self, expression: &Digest, what: &str) -> Result<bool, Trouble> {
        let text = self.plan_text(expression)?;
        let roots = self.roots()?;
        self.desk.templates.evaluate(what, &text, &roots).map_err(Trouble::stuck)
    }

    /// Where an artifact lives now: its path may name the current item.
    pub(crate) fn artifact_place(&mut self, name: &ArtifactName) -> Result<WorkspacePath, Trouble> {
        let plan = self.run.plan.clone();
        let Some(artifact) = plan.artifacts.get(name) else {
            return Err(Trouble::Stuck { message: format!("the plan has no artifact `{name}`") });
        };
        let templated = is_template(&artifact.path);
        let roots = templated.then(|| self.roots_without_artifacts()).transpose()?;
        let path = self.artifact_path(name, artifact, roots.as_ref())?;
        let (task, workflow) = (&self.desk.task, &plan.name);
        let place = self.desk.layout.resolve_artifact(task, workflow, artifact, &path);
        place.map_err(|error| not_placed(name, &error))
    }

    /// An artifact's path, rendered where it is a template; that needs the roots.
    fn artifact_path(
        &mut self,
        name: &ArtifactName,
        artifact: &Artifact,
        roots: Option<&Roots>,
    ) -> Result<String, Trouble> {
        match roots {
            Some(roots) if is_template(&artifact.path) => {
                let what = format!("path of artifact `{name}`");
                let templates = &mut self.desk.templates;
                templates.render_text(&what, &artifact.path, roots).map_err(Trouble::stuck)
            }
            _ => Ok(artifact.path.clone()),
        }
    }

    /// What stands on disk of an artifact, against a baseline.
    pub(crate) fn find(
        &mut self,
        name: &ArtifactName,
        baseline: Option<&FileStamp>,
    ) -> Result<Finding, Trouble> {
        let place = self.artifact_place(name)?;
        let plan = self.run.plan.clone();
        let Some(artifact) = plan.artifacts.get(name) else {
            return Err(Trouble::Stuck { message: format!("the plan has no artifact `{name}`") });
        };
        let validator = match &artifact.schema {
            Some(schema) => {
                let text = self.plan_text(schema)?;
                Some(self.desk.schemas.validator(&text).map_err(Trouble::stuck)?)
            }
            None => None,
        };
        let rule = artifacts::Rule { format: artifact.format, schema: validator.as_deref() };
        let mut state =
            artifacts::inspect(&place.absolute, &rule, baseline, self.desk.good.get(name));
        if let FindingState::Invalid { why } = &mut state {
            *why = self.desk.redactor.redact(why).into_owned();
        }
        if let FindingState::Good { digest } | FindingState::Stale { digest } = &state {
            self.desk.good.insert(name.clone(), digest.clone());
        }
        Ok(Finding { artifact: name.clone(), path: place.relative, state })
    }

    /// Everything a template may name.
    pub(crate) fn roots(&mut self) -> Result<Roots, Trouble> {
        let mut roots = self.roots_without_artifacts()?;
        let plan = self.run.plan.clone();
        let scoped = roots.item.is_some() || self.desk.context.contains_key("item");
        let branched = self.desk.context.contains_key("branch");
        let mut paths = BTreeMap::new();
        for (name, artifact) in &plan.artifacts {
            // An artifact of an item or a branch has no place where there is none.
            if (scoped || !artifact.path.contains("item"))
                && (branched || !artifact.path.contains("branch"))
            {
                let path = self.artifact_path(name, artifact, Some(&roots))?;
                let (task, workflow) = (&self.desk.task, &plan.name);
                let place = self.desk.layout.name_artifact(task, workflow, artifact, &path);
                let place = place.map_err(|error| not_placed(name, &error))?;
                paths.insert(name.to_string(), place.relative);
            }
        }
        roots.artifacts = paths;
        Ok(roots)
    }

    fn roots_without_artifacts(&mut self) -> Result<Roots, Trouble> {
        // There is none once the run is led to its end.
        let step = self.current_step().ok();
        let mut roots = Roots {
            message: self.desk.message.clone(),
            input: self.desk.input.clone(),
            params: self.desk.params.clone(),
            run: self.desk.run_id.to_string(),
            task: self.desk.task.to_string(),
            workflow: crate::prompt::WorkflowRoot {
                name: self.run.plan.name.to_string(),
                folder: self.desk.folder.clone(),
            },
            step: step.as_ref().map(|step| crate::prompt::StepRoot {
                id: step.id.to_string(),
                visit: self.run.visit.as_ref().map_or(0, |visit| visit.id.n),
            }),
            ..Roots::default()
        };
        let scope = step.as_ref().and_then(|step| step.scope.as_ref());
        if let Some(worklist) = scope.and_then(|name| self.run.worklists.get(name)) {
            let completed = worklist.done.iter().filter(|done| **done).count();
            roots.worklist = Some(crate::prompt::WorklistRoot {
                name: scope.map(ToString::to_string).unwrap_or_default(),
                total: worklist.items.len(),
                completed,
                remaining: worklist.items.len() - completed,
            });
            if let (Some(item), Some(at)) = (worklist.item(), worklist.current) {
                let status =
                    if worklist.done[at] { ItemStatus::Completed } else { ItemStatus::Planned };
                let payload: Value =
                    serde_json::from_str(&self.text_of(&item.payload)?).unwrap_or(Value::Null);
                roots.item = Some(crate::prompt::ItemRoot {
                    id: item.id.to_string(),
                    title: item.title.clone().unwrap_or_else(|| item.id.to_string()),
                    status: status.as_str().to_owned(),
                    payload,
                    dir_key: item.id.to_string(),
                    index: at + 1,
                    count: worklist.items.len(),
                });
            }
        }
        roots.checks = self.check_roots()?;
        roots.context = self.desk.context.clone();
        if let Some(children) = self.run.visit.as_ref().and_then(|visit| visit.children.as_ref()) {
            roots.fan_in = Some(results::results(self, children)?);
        }
        self.put_states(&mut roots, step.as_ref())?;
        self.put_led(&mut roots)?;
        Ok(roots)
    }

    fn check_roots(&self) -> Result<BTreeMap<String, crate::prompt::CheckRoot>, Trouble> {
        let mut checks = BTreeMap::new();
        for check in self.run.visit.iter().flat_map(|visit| &visit.checks) {
            let status = match &check.status {
                CheckStatus::Passed => "passed",
                CheckStatus::Failed { .. } => "failed",
                CheckStatus::Skipped => "skipped",
            };
            let output = match &check.output {
                Some(output) => self.text_of(output)?,
                None => String::new(),
            };
            checks.insert(
                check.name.to_string(),
                crate::prompt::CheckRoot { status: status.to_owned(), output },
            );
        }
        Ok(checks)
    }

    /// What a program of the current visit is told by its environment.
    pub(crate) fn visit_environment(&self) -> Result<Vec<(String, String)>, Trouble> {
        let visit = &self.current_visit()?.id;
        let mut names = self.run_environment();
        names.push(("BOTPIPE_STEP".to_owned(), visit.step.to_string()));
        names.push(("BOTPIPE_VISIT".to_owned(), visit.n.to_string()));
        if let Some(item) = &visit.item {
            names.push(("BOTPIPE_ITEM".to_owned(), item.to_string()));
        }
        Ok(names)
    }

    /// What any program of the run is told.
    pub(crate) fn run_environment(&self) -> Vec<(String, String)> {
        let names = [
            ("BOTPIPE_RUN", self.desk.run_id.to_string()),
            ("BOTPIPE_TASK", self.desk.task.to_string()),
            ("BOTPIPE_WORKFLOW", self.run.plan.name.to_string()),
            ("BOTPIPE_WORKFLOW_FOLDER", self.desk.folder.clone()),
        ];
        let mut names: Vec<_> =
            names.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        if let Some(folder) = self.desk.layout.own_folder() {
            // Should the repository there be lost, git does not look further up for the user's.
            names.push(("GIT_CEILING_DIRECTORIES".to_owned(), folder.display().to_string()));
        }
        names
    }

    /// The same, and which turn it is.
    pub(crate) fn turn_environment(&self, turn: &TurnId) -> Result<Vec<(String, String)>, Trouble> {
        let mut names = self.visit_environment()?;
        names.push(("BOTPIPE_TURN".to_owned(), self.desk.way_to(turn)));
        names.push(("BOTPIPE_ROLE".to_owned(), turn.role.to_string()));
        let answer = self.current_visit()?.answer.clone();
        if let Some(answer) = answer.filter(|_| turn.role.is_code()) {
            let text = self.text_of(&answer)?;
            let plain = serde_json::from_str::<Value>(&text);
            let plain = plain.ok().and_then(|it| it.as_str().map(str::to_owned));
            names.push(("BOTPIPE_ANSWER".to_owned(), plain.unwrap_or(text)));
        }
        Ok(names)
    }

    /// The side file of a turn.
    pub(crate) fn activity_path(&self, turn: &TurnId) -> PathBuf {
        self.desk.run_folder.absolute.join(activity_name(turn))
    }

    /// Made when a turn has ended after its owner.
    pub(crate) fn mark_path(&self, turn: &TurnId) -> PathBuf {
        self.activity_path(turn).with_extension("cut")
    }
}

fn is_template(path: &str) -> bool {
    path.contains("{{") || path.contains("{%")
}

fn not_placed(name: &ArtifactName, error: &crate::workspace::Error) -> Trouble {
    Trouble::Stuck { message: format!("artifact `{name}`: {error}") }
}
