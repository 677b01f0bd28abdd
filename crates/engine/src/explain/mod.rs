//! What a turn would be asked: the engine's own way to a prompt, on sample data in a scratch folder.
//!
//! The plan is begun at the step in question; every effect up to the prompt that only looks is done as in a
//! run, on artifacts made up from their schemas, and what would be run is answered in its place.

mod sample;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use botpipe_journal::{Lease, NewRun};
use botpipe_kernel::ids::{ArtifactName, CheckName, Role, StepId, TaskId, WorklistName};
use botpipe_kernel::plan::{Code, Format, ItemSource, Plan, Step};
use botpipe_kernel::run::{
    CheckResult, CheckStatus, Effect, Evidence, Input, Item, Ref, Run, TurnResult, outstanding,
};
use botpipe_lang::Compiled;
use serde_json::{Map, Value};

use crate::driver::{Driver, now};
use crate::engine::{Engine, owner};
use crate::error::Error;
use crate::inbox::Inbox;
use crate::perform::{self, Desk, Trouble};
use crate::process::StopSwitch;
use crate::prompt::Validators;
use crate::request::{ProviderChoice, Silent, StartRequest};
use crate::scratch;
use crate::start;
use crate::workspace::worklists::read_value;

/// What is to be explained.
#[derive(Debug, Clone)]
pub struct Question {
    pub step: StepId,
    /// Whose turn; `None`: the step's first.
    pub role: Option<Role>,
    pub task: Option<TaskId>,
    pub message: Option<String>,
    pub input: Option<Value>,
    pub input_fields: Vec<(String, String)>,
    pub params: Vec<(String, String)>,
    /// Contents of artifacts, in the place of made-up ones.
    pub artifacts: Vec<(String, String)>,
}

/// The text of a turn, and what it was made of.
#[derive(Debug, Clone)]
pub struct Explained {
    pub turn: String,
    /// The prompt with its contract; a script's command.
    pub text: String,
    pub input: Value,
    pub params: Value,
    /// The artifacts that were there, by name.
    pub artifacts: BTreeMap<String, String>,
}

/// Why there is nothing to explain.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    #[error(transparent)]
    Engine(#[from] Error),
    #[error("the workflow has no step `{step}`; it has {known}")]
    NoStep { step: StepId, known: String },
    #[error("step `{step}` has no {role} turn; it has {known}")]
    NoRole { step: StepId, role: Role, known: String },
    #[error("the workflow has no artifact `{name}`; it has {known}")]
    NoArtifact { name: String, known: String },
    #[error("{what} cannot be made up from its schema: {why}; give it with {with}")]
    NoSample { what: String, why: String, with: String },
    #[error("step `{step}` cannot be entered with this data: {why}")]
    NotReached { step: StepId, why: String },
}

/// Renders what a turn of a workflow would be asked. Nothing is written into a workspace, nothing is run.
///
/// # Errors
/// [`ExplainError`]; the input that was given is checked as that of a run.
pub fn explain(compiled: &Compiled, question: &Question) -> Result<Explained, ExplainError> {
    let plan = compiled.plan.as_ref().ok_or(Error::Unchecked)?;
    let step = plan.step(&question.step).ok_or_else(|| ExplainError::NoStep {
        step: question.step.clone(),
        known: names(plan.steps.iter().map(|step| step.id.as_str())),
    })?;
    let role = role_of(step, question.role)?;
    for (name, _) in &question.artifacts {
        if !plan.artifacts.keys().any(|known| known.as_str() == name) {
            let known = names(plan.artifacts.keys().map(ArtifactName::as_str));
            return Err(ExplainError::NoArtifact { name: name.clone(), known });
        }
    }
    let folder = scratch::folder("botpipe-explain").map_err(|error| {
        Error::Workspace(crate::workspace::Error::io("create", std::env::temp_dir())(error))
    })?;
    let explained = in_folder(&folder, compiled, step, role, question);
    // What is left in the temporary folder is no reason to fail.
    drop(fs::remove_dir_all(&folder));
    explained
}

fn names<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn role_of(step: &Step, wanted: Option<Role>) -> Result<Role, ExplainError> {
    let is_script = step.code().is_some();
    let early = |role| {
        let late = matches!(role, Role::AfterVerifier | Role::After);
        !late && step.hooks.of(role).is_some()
    };
    let has = |role: Role| {
        step.turn(role).is_some() || (is_script && role == Role::Script) || early(role)
    };
    let role = wanted.unwrap_or_else(|| step.first_role());
    if has(role) {
        return Ok(role);
    }
    let known = names(Role::ALL.into_iter().filter(|role| has(*role)).map(Role::as_str));
    Err(ExplainError::NoRole { step: step.id.clone(), role, known })
}

/// A call as a person reads it: JSON over several lines.
fn spread(call: &str) -> String {
    let json: Value = serde_json::from_str(call).unwrap_or_default();
    format!("{json:#}\n")
}

fn in_folder(
    folder: &Path,
    compiled: &Compiled,
    step: &Step,
    role: Role,
    question: &Question,
) -> Result<Explained, ExplainError> {
    let engine = Engine::open(folder)?;
    let mut begun = compiled.clone();
    if let Some(plan) = &mut begun.plan {
        plan.entry = step.id.clone();
    }
    let new = start::prepare(&engine.parts, &begun, request(compiled, question)?)?;
    let (input, params) = (new.about.input.clone(), new.about.params.clone());
    let run = NewRun {
        run: new.run.clone(),
        task: new.task.clone(),
        workflow: new.plan.name.clone(),
        at: now(),
    };
    let lease: Lease =
        engine.parts.journal.create_run(run, &owner("explain")).map_err(Error::from)?;
    let desk = Desk::set_up(&engine.parts, new.about)?;
    let (stop, inbox, cancelled) = (StopSwitch::new(), Inbox::default(), AtomicBool::new(false));
    let driver = Driver {
        parts: &engine.parts,
        lease: &lease,
        run: Run::new(Arc::clone(&new.plan)),
        seq: 0,
        pending: Vec::new(),
        desk,
        progress: &Silent,
        stop: &stop,
        inbox: &inbox,
        cancelled: &cancelled,
    };
    let mut way = Way { driver, compiled, question, step, artifacts: BTreeMap::new() };
    way.driver.tell(new.input)?;
    let (turn, text) = way.lead_to(role)?;
    Ok(Explained { turn, text, input, params, artifacts: way.artifacts })
}

/// The request of a run, with what is missing made up.
fn request(compiled: &Compiled, question: &Question) -> Result<StartRequest, ExplainError> {
    let plan = compiled.plan.as_ref().ok_or(Error::Unchecked)?;
    let schema =
        |digest| compiled.texts.get(digest).and_then(|text| serde_json::from_str(text).ok());
    let given = |pairs: &[(String, String)]| pairs.iter().map(|(name, _)| name.clone()).collect();
    let mut input = question.input.clone();
    if let (Some(schema), None | Some(Value::Object(_))) = (schema(&plan.input.schema), &input) {
        let mut known: Vec<String> = given(&question.input_fields);
        let message = question.message.as_ref().filter(|text| !text.is_empty());
        known.extend(plan.input.message_field.clone().filter(|_| message.is_some()));
        input =
            Some(filled(&schema, input.unwrap_or_default(), &known, "input", "`--input` or `-i`")?);
    }
    let mut params = question.params.clone();
    if let Some(schema) = schema(&plan.params) {
        let made = filled(&schema, Value::Null, &given(&params), "parameter", "`-wf`")?;
        for (name, value) in made.as_object().into_iter().flatten() {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            params.push((name.clone(), text));
        }
    }
    // A recording of nothing stands for whatever agent a run would have.
    let cassette = botpipe_providers::Cassette::default().to_text();
    let provider = ProviderChoice::Replay { cassette, origin: String::new(), loose: false };
    Ok(StartRequest {
        task: question.task.clone().or_else(|| "task".parse().ok()),
        message: question.message.clone(),
        input,
        input_fields: question.input_fields.clone(),
        params,
        provider: Some(provider),
        ..StartRequest::default()
    })
}

/// Adds the required fields that nobody gave and that have no default.
fn filled(
    schema: &Value,
    given: Value,
    known: &[String],
    what: &str,
    with: &str,
) -> Result<Value, ExplainError> {
    let mut object = match given {
        Value::Object(object) => object,
        _ => Map::new(),
    };
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    for name in required {
        let field = &schema["properties"][name];
        let missing = !object.contains_key(name) && !known.iter().any(|it| it == name);
        if missing && field.get("default").is_none() {
            let made =
                sample::value(field, schema, name).map_err(|why| ExplainError::NoSample {
                    what: format!("{what} `{name}`"),
                    why,
                    with: with.to_owned(),
                })?;
            object.insert(name.to_owned(), made);
        }
    }
    Ok(Value::Object(object))
}

/// The way from the start of a run to a prompt.
struct Way<'d, 'q> {
    driver: Driver<'d>,
    compiled: &'q Compiled,
    question: &'q Question,
    step: &'q Step,
    artifacts: BTreeMap<String, String>,
}

impl Way<'_, '_> {
    fn lead_to(&mut self, role: Role) -> Result<(String, String), ExplainError> {
        loop {
            let Some(effect) = outstanding(&self.driver.run).into_iter().next() else {
                let why = crate::projection::detail(&self.driver.run);
                return Err(self.not_reached(if why.is_empty() {
                    "the run ends before it"
                } else {
                    &why
                }));
            };
            let input = match effect {
                Effect::RunTurn { turn, .. } => {
                    self.lay_out(self.step.writes_of(turn.role))?;
                    // A function or a hook that has nothing against it.
                    let code = turn.role.is_code();
                    let text = Ref::Inline(if code { "null" } else { "Done." }.to_owned());
                    let result = TurnResult::Completed { text, exit: code.then_some(0) };
                    Input::TurnEnded { turn, result, evidence: Evidence::default(), pause: None }
                }
                Effect::RunChecks { visit, checks } => {
                    let checks = self.passed(&checks)?;
                    let findings = perform::findings(&mut self.driver, Role::Producer);
                    let findings = self.done(findings)?;
                    Input::ChecksEnded { visit, checks, findings, touched: Vec::new() }
                }
                Effect::ReadItems { worklist, .. } => self.items(worklist)?,
                effect if effect.only_looks() => {
                    if let Effect::Enter { .. } = &effect {
                        self.lay_out(&self.of_others())?;
                    }
                    let wanted =
                        matches!(&effect, Effect::Prepare { turn, .. } if turn.role == role);
                    let input = perform::perform(&mut self.driver, effect);
                    let input = self.done(input)?;
                    if let (true, Input::TurnPrepared { turn, prompt, .. }) = (wanted, &input) {
                        self.driver.desk.settle()?;
                        let text = self.driver.parts.text(prompt)?;
                        let called = self.step.code_of(role).and_then(Code::function).is_some();
                        let text = if called { spread(&text) } else { text };
                        return Ok((turn.to_string(), text));
                    }
                    input
                }
                effect => {
                    return Err(self.not_reached(&format!("it would first do {}", effect.id())));
                }
            };
            self.driver.tell(input)?;
        }
    }

    /// The items of a list: read where its artifact is laid out or given data has some, else made up.
    fn items(&mut self, worklist: WorklistName) -> Result<Input, ExplainError> {
        let list = self.driver.run.plan.worklists.get(&worklist).cloned();
        let Some(list) = list else { return Err(self.not_reached("its worklist is not there")) };
        let artifact = list.artifact().cloned();
        self.lay_out(artifact.as_slice())?;
        let script = matches!(list.from, ItemSource::Script(_));
        if !script {
            let effect = Effect::ReadItems { worklist: worklist.clone(), script };
            let read = perform::perform(&mut self.driver, effect);
            let read = self.done(read)?;
            let none = matches!(&read, Input::ItemsRead { items, .. } if items.is_empty())
                || matches!(&read, Input::ItemsRejected { .. });
            if artifact.is_some() || !none {
                return Ok(read);
            }
        }
        let sample = sample::items(&list);
        let sample = sample.get(&list.collection).unwrap_or(&sample);
        let items = read_value(sample, &list, "the sample");
        let items = items.map_err(|why| self.not_reached(&why))?;
        let items = items.into_iter().map(|item| Item {
            payload: Ref::Inline(item.payload.to_string()),
            id: item.id,
            title: item.title,
            status: item.status,
        });
        let source = botpipe_journal::digest_of(sample.to_string().as_bytes());
        Ok(Input::ItemsRead { worklist, source, items: items.collect() })
    }

    fn not_reached(&self, why: &str) -> ExplainError {
        ExplainError::NotReached { step: self.step.id.clone(), why: why.to_owned() }
    }

    fn done<T>(&self, result: Result<T, Trouble>) -> Result<T, ExplainError> {
        result.map_err(|trouble| match trouble {
            Trouble::Stuck { message } | Trouble::Refused { message } => self.not_reached(&message),
            Trouble::Stopped => self.not_reached("it was stopped"),
            Trouble::Fatal(error) => error.into(),
        })
    }

    /// What the step requires, and of what it may read all that another step writes.
    fn of_others(&self) -> Vec<ArtifactName> {
        let plan = &self.driver.run.plan;
        let elsewhere = |name: &ArtifactName| plan.writers(name).any(|it| it.id != self.step.id);
        let turns = [Role::Worker, Role::Producer, Role::Verifier].into_iter();
        let of_turns =
            turns.filter_map(|role| self.step.turn(role)).flat_map(|turn| &turn.requires);
        let needed = self.step.requires.iter().chain(of_turns).filter(|name| {
            // A verifier's own need may be what its producer writes.
            elsewhere(name) || !self.step.writes().any(|own| own == *name)
        });
        let read = self.step.reads.iter().filter(|name| elsewhere(name));
        needed.chain(read).cloned().collect()
    }

    /// Puts artifacts where they belong: as given, else made up.
    fn lay_out(&mut self, names: &[ArtifactName]) -> Result<(), ExplainError> {
        for name in names {
            if self.artifacts.contains_key(name.as_str()) {
                continue;
            }
            let given = self.question.artifacts.iter().find(|(known, _)| known == name.as_str());
            let text = match given {
                Some((_, text)) => text.clone(),
                None => content(&self.driver.run.plan, self.compiled, name)?,
            };
            let place = self.driver.artifact_place(name);
            let place = self.done(place)?;
            let write = || {
                if let Some(folder) = place.absolute.parent() {
                    fs::create_dir_all(folder)?;
                }
                fs::write(&place.absolute, &text)
            };
            write().map_err(|error| self.not_reached(&error.to_string()))?;
            self.artifacts.insert(name.to_string(), text);
        }
        Ok(())
    }

    /// Checks as they pass, but for those whose `when` is false.
    fn passed(&mut self, names: &[CheckName]) -> Result<Vec<CheckResult>, ExplainError> {
        let mut results = Vec::new();
        for check in self.step.checks().iter().filter(|check| names.contains(&check.name)) {
            let wanted = match &check.when {
                Some(when) => {
                    let wanted =
                        self.driver.evaluate(when, &format!("`when` of check `{}`", check.name));
                    self.done(wanted)?
                }
                None => true,
            };
            let status = if wanted { CheckStatus::Passed } else { CheckStatus::Skipped };
            results.push(CheckResult { name: check.name.clone(), status, output: None });
        }
        Ok(results)
    }
}

/// An artifact's made-up text.
fn content(plan: &Plan, compiled: &Compiled, name: &ArtifactName) -> Result<String, ExplainError> {
    let Some(artifact) = plan.artifacts.get(name) else { return Ok(String::new()) };
    if artifact.format != Format::Json {
        return Ok(format!("A sample of `{name}`.\n"));
    }
    let no_sample = |why| ExplainError::NoSample {
        what: format!("artifact `{name}`"),
        why,
        with: format!("`--artifact {name} FILE`"),
    };
    let list = plan.worklists.values().find(|list| list.from == ItemSource::Artifact(name.clone()));
    let schema = artifact.schema.as_ref().and_then(|digest| compiled.texts.get(digest));
    let value = match (schema, list) {
        (Some(text), _) => {
            let schema: Value =
                serde_json::from_str(text).map_err(|error| no_sample(error.to_string()))?;
            let value = sample::value(&schema, &schema, name.as_str()).map_err(no_sample)?;
            Validators::default().validate(text, &value).map_err(no_sample)?;
            value
        }
        (None, Some(list)) => sample::items(list),
        (None, None) => Value::Object(Map::new()),
    };
    let mut text = serde_json::to_string_pretty(&value).unwrap_or_default();
    text.push('\n');
    Ok(text)
}
