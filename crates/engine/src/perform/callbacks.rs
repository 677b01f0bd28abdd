//! What functions ask for: turns and runs, artifacts and worklists; and what they are told.

use std::io::ErrorKind;

use botpipe_kernel::ids::{ArtifactName, BranchId, Digest, Role, TurnId, WorklistName};
use botpipe_kernel::plan::{Format, Plan, Step};
use botpipe_kernel::run::{
    Callback, ChildEnd, ChildPhase, ChildWanted, Input, Ref, Verdict, WorklistChange,
};
use botpipe_lang::{Compiled, InMemory, Severity, SourceFile, canonical_plan, compile};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::plan_children::{fit, kept, kept_text};
use super::{Trouble, code};
use crate::catalog;
use crate::driver::Driver;
use crate::host::Told;
use crate::plain;
use crate::policy::Ground;
use crate::prompt::{did_you_mean, worklist_change};
use crate::start;
use crate::workspace::files;

/// What may be asked for.
pub(crate) const METHODS: [&str; 7] = [
    "llm",
    "classify",
    "workflow",
    "artifact/read",
    "artifact/write",
    "worklist/items",
    "worklist/change",
];

/// Largest artifact that is handed over, in bytes; a larger one is read where it lies.
const MOST_BYTES: u64 = 4 << 20;

/// The run that answers what is asked, where one does; else why it cannot be asked.
type Wanted = Result<Option<Box<(Digest, ChildWanted)>>, String>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Llm {
    prompt: String,
    #[serde(default)]
    schema: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Classify {
    prompt: String,
    /// A list of texts, or each with what it means.
    choices: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Workflow {
    #[serde(rename = "workflow")]
    reference: String,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    input: Option<Value>,
    #[serde(default)]
    params: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfArtifact {
    artifact: ArtifactName,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    value: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfWorklist {
    worklist: WorklistName,
}

fn params<T: DeserializeOwned>(method: &str, params: &Value) -> Result<T, String> {
    T::deserialize(params).map_err(|error| format!("`{method}`: {error}"))
}

/// Looks at what is asked: whether there is such a thing, and whether it takes a run to answer it.
pub(super) fn wanted(
    driver: &mut Driver<'_>,
    method: &str,
    params: &Value,
) -> Result<Wanted, Trouble> {
    match method {
        "llm" => llm(driver, params),
        "classify" => classify(driver, params),
        "workflow" => workflow(driver, params),
        method if METHODS.contains(&method) => Ok(Ok(None)),
        method => {
            let meant = did_you_mean(method, METHODS.into_iter());
            Ok(Err(format!("a function cannot ask for `{method}`{meant}")))
        }
    }
}

fn llm(driver: &mut Driver<'_>, given: &Value) -> Result<Wanted, Trouble> {
    let Llm { prompt, schema } = match params("llm", given) {
        Ok(given) => given,
        Err(why) => return Ok(Err(why)),
    };
    let mut step = json!({ "id": "llm", "llm": "{{ message }}" });
    if let Some(schema) = schema {
        step["returns"] = schema;
    }
    one_step(driver, "asked_llm", &step, &prompt)
}

fn classify(driver: &mut Driver<'_>, given: &Value) -> Result<Wanted, Trouble> {
    let Classify { prompt, choices } = match params("classify", given) {
        Ok(given) => given,
        Err(why) => return Ok(Err(why)),
    };
    let step = json!({ "id": "classify", "classify": "{{ message }}", "choices": choices });
    one_step(driver, "asked_classify", &step, &prompt)
}

/// A run of one step, with the policy of the step that asks.
fn one_step(
    driver: &mut Driver<'_>,
    name: &str,
    step: &Value,
    prompt: &str,
) -> Result<Wanted, Trouble> {
    if driver.desk.agent.is_none() {
        return Ok(Err("the run has no agent to ask; give it a provider".to_owned()));
    }
    let document = json!({ "sop": 1, "name": name, "steps": [step] });
    let source = SourceFile { name: format!("{name} (asked)"), text: document.to_string() };
    let mut compiled = compile(&source, &InMemory::from_iter(Vec::<(String, String)>::new()));
    let asking = driver.current_step()?;
    let own = driver.run.plan.policy_of(&asking, Role::Script);
    if let Some(plan) = &mut compiled.plan {
        plan.policy = (own != botpipe_kernel::plan::Policy::default()).then_some(own);
    }
    let Some(plan) = keep_plan(driver, &compiled)? else { return Ok(Err(said(&compiled))) };
    let child = ChildWanted {
        branch: branch(driver),
        message: Some(kept_text(driver, prompt)?),
        input: Some(Ref::Inline("{}".to_owned())),
        params: Some(Ref::Inline("{}".to_owned())),
        context: None,
    };
    Ok(Ok(Some(Box::new((plan, child)))))
}

fn workflow(driver: &mut Driver<'_>, given: &Value) -> Result<Wanted, Trouble> {
    let Workflow { reference, message, input, params } = match params("workflow", given) {
        Ok(given) => given,
        Err(why) => return Ok(Err(why)),
    };
    let found = catalog::find(driver.desk.layout.root(), &reference);
    let (source, files) = match found.and_then(|found| found.load()) {
        Ok(loaded) => loaded,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let compiled = compile(&source, files.as_ref());
    let (Some(digest), Some(plan)) = (keep_plan(driver, &compiled)?, &compiled.plan) else {
        return Ok(Err(said(&compiled)));
    };
    let ground = Ground::of_process(driver.desk.layout.home());
    let outside = (driver.run.policies.as_slice(), &ground);
    for plan in start::family(&compiled, plan) {
        if let Err(error) = start::fits_cast(&plan, &plan.budget, driver.run.cast(), outside) {
            return Ok(Err(error.to_string()));
        }
    }
    let schema = |digest: &Digest| -> Value {
        let text = compiled.texts.get(digest).map_or("{}", String::as_str);
        serde_json::from_str(text).unwrap_or_default()
    };
    let schemas = (schema(&plan.input.schema), schema(&plan.params));
    let given = (input, params);
    let (input, params) = match fit(plan, (&schemas.0, &schemas.1), message.as_deref(), given) {
        Ok(fitted) => fitted,
        Err(why) => {
            return Ok(Err(format!("workflow `{reference}` takes no such input: {why}")));
        }
    };
    let child = ChildWanted {
        branch: branch(driver),
        message: Some(kept_text(driver, message.as_deref().unwrap_or_default())?),
        input: Some(kept(driver, input)?),
        params: Some(kept(driver, params)?),
        context: None,
    };
    Ok(Ok(Some(Box::new((digest, child)))))
}

/// Keeps a plan and its texts; `None` where there is none.
fn keep_plan(driver: &Driver<'_>, compiled: &Compiled) -> Result<Option<Digest>, Trouble> {
    let Some(plan) = &compiled.plan else { return Ok(None) };
    for text in compiled.texts.values() {
        driver.parts.objects.put(text.as_bytes())?;
    }
    Ok(Some(driver.parts.objects.put(canonical_plan(plan).as_bytes())?))
}

/// What is wrong with a workflow, as one sentence.
fn said(compiled: &Compiled) -> String {
    let errors = compiled.diagnostics.iter().filter(|it| it.severity == Severity::Error);
    let all: Vec<_> = errors.map(|it| format!("{}: {}", it.code, it.message)).collect();
    format!("what is asked for does not check: {}", all.join("; "))
}

/// The runs that functions of a visit ask for are counted through.
fn branch(driver: &Driver<'_>) -> BranchId {
    let n = driver.run.visit.as_ref().map_or(0, |visit| visit.asked_children);
    #[expect(clippy::expect_used, reason = "it is made of a word and a number")]
    format!("call-{n}").parse().expect("a branch id")
}

/// Does what a function asked for.
pub(super) fn answer(
    driver: &mut Driver<'_>,
    turn: TurnId,
    n: u32,
    ask: &Ref,
) -> Result<Input, Trouble> {
    let step = driver.current_step()?;
    let ask: Value = serde_json::from_str(&driver.text_of(ask)?).map_err(Trouble::stuck)?;
    let method = ask["method"].as_str().unwrap_or_default().to_owned();
    let mut change = None;
    let refused = ask["refused"].as_str().map(str::to_owned);
    let answer = match method.as_str() {
        _ if refused.is_some() => Err(refused.unwrap_or_default()),
        "artifact/read" => params(&method, &ask["params"]).map(|it| read(driver, &it)),
        "artifact/write" => params(&method, &ask["params"]).map(|it| write(driver, &step, &it)),
        "worklist/items" => params(&method, &ask["params"]).map(|it| items(driver, &it)),
        _ => match changed(driver, &step, &ask["params"]) {
            Ok(found) => {
                change = Some(found);
                Ok(Ok(Ok(Value::Null)))
            }
            Err(why) => Err(why),
        },
    };
    let answer = match answer {
        Ok(done) => done?,
        Err(why) => Err(why),
    };
    let answer = match answer {
        Ok(value) => json!({ "ok": value }),
        Err(why) => json!({ "error": why }),
    };
    Ok(Input::CallbackAnswered { turn, n, answer: kept(driver, answer)?, change })
}

fn changed(
    driver: &Driver<'_>,
    step: &Step,
    given: &Value,
) -> Result<(WorklistName, WorklistChange), String> {
    let change = worklist_change(given)?;
    let mut changes = code::changes_of(driver, step, vec![change])?;
    changes.pop().ok_or_else(|| "nothing was changed".to_owned())
}

fn read(driver: &mut Driver<'_>, given: &OfArtifact) -> Result<Told, Trouble> {
    let Some(format) = format_of(&driver.run.plan, &given.artifact) else {
        return Ok(Err(no_artifact(driver, &given.artifact)));
    };
    let place = driver.artifact_place(&given.artifact)?;
    let path = place.relative;
    let bytes = match plain::read(&place.absolute, MOST_BYTES) {
        Ok(bytes) => bytes,
        Err(error) => match error.kind() {
            ErrorKind::NotFound | ErrorKind::InvalidInput => {
                return Ok(Ok(json!({ "path": path, "exists": false })));
            }
            ErrorKind::FileTooLarge => {
                return Ok(Err(format!("`{path}`: {error}; read it where it lies")));
            }
            _ => return Ok(Err(format!("could not read `{path}`: {error}"))),
        },
    };
    let Ok(text) = String::from_utf8(bytes) else {
        return Ok(Err(format!("`{path}` is no UTF-8 text; read it where it lies")));
    };
    let mut found = json!({ "path": path, "exists": true, "text": text });
    if format == Format::Json {
        match serde_json::from_str::<Value>(&text) {
            Ok(value) => found["value"] = value,
            Err(error) => return Ok(Err(format!("`{path}` is no JSON: {error}"))),
        }
    }
    Ok(Ok(found))
}

/// Writes an artifact that the step may write.
fn write(driver: &mut Driver<'_>, step: &Step, given: &OfArtifact) -> Result<Told, Trouble> {
    let name = &given.artifact;
    let Some(format) = format_of(&driver.run.plan, name) else {
        return Ok(Err(no_artifact(driver, name)));
    };
    if !step.writes().any(|write| write == name) {
        return Ok(Err(format!(
            "step `{}` does not write `{name}`; add it to its `writes`",
            step.id
        )));
    }
    let text = match (&given.text, &given.value) {
        (Some(text), None) => text.clone(),
        (None, Some(value)) if format == Format::Json => format!("{value:#}\n"),
        (None, Some(_)) => {
            return Ok(Err(format!("`{name}` is no JSON artifact; give its `text`")));
        }
        _ => return Ok(Err("give `text`, or for a JSON artifact `value`".to_owned())),
    };
    let place = driver.artifact_place(name)?;
    if let Err(error) = files::place(&place.absolute, text.as_bytes()) {
        return Ok(Err(format!("could not write `{}`: {error}", place.relative)));
    }
    Ok(Ok(json!({ "path": place.relative })))
}

fn items(driver: &mut Driver<'_>, given: &OfWorklist) -> Result<Told, Trouble> {
    let Some(list) = driver.run.worklists.get(&given.worklist).cloned() else {
        return Ok(Err(format!("there is no worklist `{}` that was read", given.worklist)));
    };
    let mut items = Vec::with_capacity(list.items.len());
    for (at, item) in list.items.iter().enumerate() {
        let payload: Value =
            serde_json::from_str(&driver.text_of(&item.payload)?).unwrap_or_default();
        let status = match (list.done[at], list.dropped[at]) {
            (true, _) => "completed",
            (false, true) => "dropped",
            (false, false) => "planned",
        };
        items.push(json!({
            "id": item.id, "title": item.title, "status": status, "payload": payload
        }));
    }
    let current = list.item().map(|item| item.id.clone());
    Ok(Ok(json!({ "items": items, "current": current })))
}

fn format_of(plan: &Plan, name: &ArtifactName) -> Option<Format> {
    plan.artifacts.get(name).map(|artifact| artifact.format)
}

fn no_artifact(driver: &Driver<'_>, name: &ArtifactName) -> String {
    let known = driver.run.plan.artifacts.keys().map(ArtifactName::as_str);
    format!("there is no artifact `{name}`{}", did_you_mean(name.as_str(), known))
}

/// What a function is told, as it is recorded.
pub(super) fn told(driver: &Driver<'_>, callback: &Callback) -> Result<Told, Trouble> {
    let Some(branch) = &callback.child else {
        let answer = match &callback.answer {
            Some(answer) => driver.text_of(answer)?,
            None => String::new(),
        };
        let mut answer: Value = serde_json::from_str(&answer).map_err(Trouble::stuck)?;
        return Ok(match answer.get("error").and_then(Value::as_str) {
            Some(why) => Err(why.to_owned()),
            None => Ok(answer["ok"].take()),
        });
    };
    let calling = driver.run.visit.as_ref().and_then(|visit| visit.calling.as_ref());
    let child = calling.and_then(|it| it.children.iter().find(|(plan, _)| plan.branch == *branch));
    let Some((plan, state)) = child else {
        return Err(Trouble::stuck(format!("there is no run `{branch}` that answers")));
    };
    let end = match &state.phase {
        ChildPhase::Ended(end) => (**end).clone(),
        _ => ChildEnd {
            verdict: None,
            tag: None,
            output: None,
            tree: None,
            spent: state.spent.clone(),
            steps: state.steps,
        },
    };
    let output = match &end.output {
        Some(output) => serde_json::from_str(&driver.text_of(output)?).unwrap_or_default(),
        None => Value::Null,
    };
    let ask: Value = serde_json::from_str(&driver.text_of(&callback.ask)?).unwrap_or_default();
    if ask["method"] == "workflow" {
        let verdict = end.verdict.map(|verdict| json!(verdict));
        return Ok(Ok(json!({
            "run": plan.run, "verdict": verdict, "tag": end.tag, "output": output
        })));
    }
    Ok(match end.verdict {
        Some(Verdict::Accepted | Verdict::None) => Ok(output),
        Some(Verdict::Rejected) => Err("the agent gave no answer".to_owned()),
        None => Err("the turn was cancelled".to_owned()),
    })
}
