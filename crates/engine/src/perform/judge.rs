//! Reading the answer of a deciding turn, and what it hands on.

use botpipe_kernel::ids::{Role, RouteTag, TurnId, VisitId};
use botpipe_kernel::plan::{Action, Children, Route, Step, Target, Work};
use botpipe_kernel::run::{
    AskedQuestion, CheckStatus, Exit, FindingState, Input, Judged, Outcome, Ref,
};
use serde_json::Value;

use super::Trouble;
use crate::driver::Driver;
use crate::prompt::{Envelope, OutcomeRoot, Roots, question, read, script_outcome};

/// Reads and validates the outcome of a turn; the kernel decides whether its route is legal.
pub(super) fn judge(
    driver: &mut Driver<'_>,
    turn: TurnId,
    offered: &[RouteTag],
    text: &Ref,
    exit: Option<i32>,
) -> Result<Input, Trouble> {
    let step = driver.current_step()?;
    let text = driver.text_of(text)?;
    if super::code::returns(&step, turn.role) {
        return super::code::judge(driver, turn, offered, &text, exit);
    }
    let validates = matches!(step.work, Work::Validate { .. });
    let envelope = match exit {
        // It did not come to a judgement.
        Some(exit) if validates && super::turn::went_beyond(&text, exit) => {
            let why = format!("step `{}` judged nothing{}", step.id, last_lines(&text));
            return Ok(Input::Judged { turn, judged: Judged::ScriptFailed { why } });
        }
        Some(exit) if validates => super::validate::verdict(driver, &step, &text, exit)?,
        Some(exit) => match script_outcome(&text, exit) {
            Ok(envelope) if exit != 0 && step.routes.iter().all(|r| r.tag.as_str() != "failed") => {
                drop(envelope);
                let why = format!(
                    "the command of step `{}` ended with exit code {exit}, and the step has no \
                     route `failed`{}",
                    step.id,
                    last_lines(&text)
                );
                return Ok(Input::Judged { turn, judged: Judged::ScriptFailed { why } });
            }
            read => read,
        },
        None => read(&text),
    };
    let envelope = envelope.map(|it| match step.work {
        // The choice is the value, whatever else stands beside it.
        Work::Classify { .. } => Envelope { payload: Value::String(it.tag.clone()), ..it },
        _ => it,
    });
    let judged = match envelope {
        Ok(envelope) => accept(driver, &step, turn.role, envelope, offered)?,
        Err(why) => Judged::Malformed { why },
    };
    let judged = match judged {
        // A script is not asked again: it would only say the same.
        Judged::Malformed { why } if turn.role == Role::Script => Judged::ScriptFailed {
            why: format!("the outcome printed by step `{}` cannot be used: {why}", step.id),
        },
        judged => judged,
    };
    Ok(Input::Judged { turn, judged })
}

/// Looks at what an outcome from outside hands on; its tag is known.
pub(super) fn came(
    driver: &mut Driver<'_>,
    turn: TurnId,
    offered: &[RouteTag],
    tag: &RouteTag,
    payload: &Ref,
) -> Result<Input, Trouble> {
    let step = driver.current_step()?;
    let text = driver.text_of(payload)?;
    let payload = match text.as_str() {
        "" => Value::Null,
        text => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())),
    };
    let envelope = Envelope { tag: tag.to_string(), payload, fields: serde_json::Map::new() };
    let judged = accept(driver, &step, turn.role, envelope, offered)?;
    Ok(Input::Judged { turn, judged })
}

pub(super) fn accept(
    driver: &mut Driver<'_>,
    step: &Step,
    role: Role,
    envelope: Envelope,
    offered: &[RouteTag],
) -> Result<Judged, Trouble> {
    let findings = super::enter::findings(driver, role)?;
    let fields = Value::Object(envelope.fields.clone());
    let mut outcome = Outcome {
        tag: envelope.tag.clone(),
        payload: keep_json(driver, &envelope.payload)?,
        fields: if envelope.fields.is_empty() { None } else { keep_json(driver, &fields)? },
        findings,
        exit: Exit::default(),
    };
    let Some(route) = step.route_of(&envelope.tag).filter(|route| offered.contains(&route.tag))
    else {
        return Ok(Judged::Outcome(Box::new(outcome)));
    };
    if let Some(schema) = &route.payload {
        let schema = driver.plan_text(schema)?;
        if let Err(why) = driver.desk.schemas.validate(&schema, &envelope.payload) {
            return Ok(Judged::Malformed { why: format!("payload of `{}`: {why}", route.tag) });
        }
    }
    if let Err(why) = fits_fields(driver, route, &envelope)? {
        return Ok(Judged::Malformed { why });
    }
    // Code may leave it to the route to say what is asked.
    let by_code = role.is_code() && envelope.fields.contains_key("question");
    if asks(route) && (step.turn(role).is_some() || by_code) {
        match asked(driver, route, &envelope)? {
            Ok(question) => outcome.exit.question = Some(question),
            Err(why) => return Ok(Judged::Malformed { why }),
        }
    }
    let root =
        OutcomeRoot { tag: route.tag.to_string(), payload: envelope.payload, route_fields: fields };
    let mut roots = exit_roots(driver, &root)?;
    let whens = super::state::true_whens(driver, step, &roots)?;
    let taken = driver.run.way_out(&route.tag, &whens, &outcome.findings).clone();
    let Some(taken) = step.route(&taken) else { return Ok(Judged::Outcome(Box::new(outcome))) };
    if taken.tag != route.tag {
        outcome.exit.question = None;
        roots.route = Some(taken.tag.to_string());
    }
    outcome.exit.whens = whens;
    outcome.exit.changes = super::state::changes(driver, step, taken, &roots)?;
    outcome.exit.handoff = match super::validate::handoff(driver, step, taken, &root)? {
        Some(text) => Some(driver.keep(&text)?),
        None => handoff(driver, step, taken, &roots, &outcome)?,
    };
    Ok(Judged::Outcome(Box::new(outcome)))
}

/// Whether the route's fields are as its schema wants them; what makes a question is no part of that.
fn fits_fields(
    driver: &mut Driver<'_>,
    route: &Route,
    envelope: &Envelope,
) -> Result<Result<(), String>, Trouble> {
    let Some(schema) = &route.route_fields else { return Ok(Ok(())) };
    let schema = driver.plan_text(schema)?;
    let mut fields = envelope.fields.clone();
    if asks(route) {
        fields.retain(|key, _| !["question", "choices", "answer_schema"].contains(&key.as_str()));
    }
    let fits = driver.desk.schemas.validate(&schema, &Value::Object(fields));
    Ok(fits.map_err(|why| format!("route_fields of `{}`: {why}", route.tag)))
}

fn asks(route: &Route) -> bool {
    matches!(route.action, Action::To(Target::AwaitInput))
}

/// The question of an outcome whose route waits for a person; else why there is none.
fn asked(
    driver: &mut Driver<'_>,
    route: &Route,
    envelope: &Envelope,
) -> Result<Result<AskedQuestion, String>, Trouble> {
    let schema = match &route.answer {
        Some(schema) => Some(driver.plan_text(schema)?),
        None => None,
    };
    let asked = match question(&envelope.fields, schema.as_deref()) {
        Ok(asked) => asked,
        Err(why) => return Ok(Err(why)),
    };
    let schema = match asked.schema {
        Some(schema) => Some(driver.keep(&schema)?),
        None => None,
    };
    Ok(Ok(AskedQuestion { text: asked.text, choices: asked.choices, schema }))
}

/// What a route's templates and expressions see once there is an outcome.
fn exit_roots(driver: &mut Driver<'_>, root: &OutcomeRoot) -> Result<Roots, Trouble> {
    Ok(Roots { outcome: Some(root.clone()), route: None, ..driver.roots()? })
}

/// The handoff of a route that checks left as the only one.
pub(super) fn hand(
    driver: &mut Driver<'_>,
    visit: VisitId,
    tag: &RouteTag,
) -> Result<Input, Trouble> {
    let step = driver.current_step()?;
    let children = driver.current_visit()?.children.clone();
    let said = match &children {
        Some(children) => super::results::summary(driver, children)?,
        None => failed_checks(driver)?,
    };
    let payload = match (&children, step.group().map(|group| &group.of)) {
        (Some(children), Some(Children::Workflow { .. })) => {
            let results = super::results::results(driver, children)?.results;
            results.into_iter().next().map_or(Value::Null, |child| child.output)
        }
        _ => Value::Null,
    };
    let root = OutcomeRoot {
        tag: tag.to_string(),
        payload,
        route_fields: Value::Object(serde_json::Map::new()),
    };
    let mut roots = exit_roots(driver, &root)?;
    let whens = super::state::true_whens(driver, &step, &roots)?;
    let taken = driver.run.way_out(tag, &whens, &[]).clone();
    let mut exit = Exit { whens, ..Exit::default() };
    if let Some(route) = step.route(&taken) {
        roots.route = Some(taken.to_string());
        exit.changes = super::state::changes(driver, &step, route, &roots)?;
        exit.handoff = match route.handoff {
            Some(_) => rendered(driver, route, &roots)?,
            None => Some(driver.keep(&said)?),
        };
    }
    Ok(Input::HandoffRendered { visit, exit })
}

/// The text a route hands to the next visit: its template's, or for a step that is repeated what its
/// judge said.
fn handoff(
    driver: &mut Driver<'_>,
    step: &Step,
    route: &Route,
    roots: &Roots,
    outcome: &Outcome,
) -> Result<Option<Ref>, Trouble> {
    if route.handoff.is_some() {
        return rendered(driver, route, roots);
    }
    // Who gives up says why.
    let gives_up = route.inherited && matches!(&route.action, Action::To(Target::Fail));
    let repeats = gives_up
        || matches!(&route.action, Action::To(Target::SelfStep))
        || matches!(&route.action, Action::To(Target::Step(id)) if *id == step.id);
    if !repeats || step.turn(step.deciding_role()).is_none() {
        return Ok(None);
    }
    let mut parts = Vec::new();
    match roots.outcome.as_ref().map_or(&Value::Null, |root| &root.payload) {
        Value::Null => {}
        Value::String(text) => parts.push(text.clone()),
        payload => parts.push(serde_json::to_string_pretty(payload).unwrap_or_default()),
    }
    for finding in &outcome.findings {
        if matches!(finding.state, FindingState::Good { .. }) {
            parts.push(format!("Read `{}` ({}).", finding.path, finding.artifact));
        }
    }
    let failed = failed_checks(driver)?;
    if !failed.is_empty() {
        parts.push(failed);
    }
    if parts.is_empty() {
        return Ok(None);
    }
    driver.keep(&parts.join("\n\n")).map(Some)
}

fn rendered(driver: &mut Driver<'_>, route: &Route, roots: &Roots) -> Result<Option<Ref>, Trouble> {
    let Some(template) = &route.handoff else { return Ok(None) };
    let text = driver.plan_text(template)?;
    let what = format!("handoff of route `{}`", route.tag);
    let text =
        driver.desk.templates.render(&what, template, &text, roots).map_err(Trouble::stuck)?;
    driver.keep(&text).map(Some)
}

/// What the failed checks printed.
fn failed_checks(driver: &Driver<'_>) -> Result<String, Trouble> {
    let mut parts = Vec::new();
    for check in &driver.current_visit()?.checks {
        if let CheckStatus::Failed { why } = &check.status {
            let output = match &check.output {
                Some(output) => driver.text_of(output)?,
                None => String::new(),
            };
            parts.push(format!("Check `{}` failed: {why}\n\n{}", check.name, output.trim_end()));
        }
    }
    Ok(parts.join("\n\n"))
}

fn keep_json(driver: &Driver<'_>, value: &Value) -> Result<Option<Ref>, Trouble> {
    if value.is_null() {
        return Ok(None);
    }
    driver.keep(&value.to_string()).map(Some)
}

pub(super) fn last_lines(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim().is_empty()).collect::<Vec<_>>();
    let last = lines[lines.len().saturating_sub(5)..].join("\n");
    if last.is_empty() { String::new() } else { format!(": {last}") }
}
