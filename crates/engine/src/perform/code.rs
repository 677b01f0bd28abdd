//! Code of a step: rendering what it is told, and reading where what it came to leads.

use std::collections::BTreeMap;

use botpipe_kernel::ids::{ItemId, Role, RouteTag, TurnId, WorklistName};
use botpipe_kernel::plan::{Call, Code, StatePlace, StateScope, Step, Work};
use botpipe_kernel::run::{
    AskedQuestion, Control, Input, Judged, OWN_ITEM, Outcome, Ref, Returned, StateChange,
    WorklistChange, leaves_own,
};
use serde_json::{Map, Value, json};

use super::plan_children::{kept, render};
use super::{Trouble, judge};
use crate::driver::Driver;
use crate::prompt::{
    Change, Envelope, OutcomeRoot, Return, Roots, Way, printed_return, read_return,
};

/// The code of a turn, with its name in words.
pub(super) fn of_turn(
    driver: &Driver<'_>,
    step: &Step,
    turn: &TurnId,
) -> Result<(Code, String), Trouble> {
    let taken = || {
        let leaving = driver.run.visit.as_ref()?.leaving.as_ref()?;
        step.route(&leaving.tag)?.on_taken.as_deref()
    };
    let code = if turn.role == Role::OnTaken { taken() } else { step.code_of(turn.role) };
    let what = match turn.role {
        Role::Script => format!("command of step `{}`", step.id),
        hook => format!("hook `{hook}` of step `{}`", step.id),
    };
    match code {
        Some(code) => Ok((code.clone(), what)),
        None => Err(Trouble::Stuck { message: format!("there is no {what}") }),
    }
}

/// Renders a command, or lays out a call.
pub(super) fn prepare(driver: &mut Driver<'_>, step: &Step, turn: &TurnId) -> Result<Ref, Trouble> {
    let (code, what) = of_turn(driver, step, turn)?;
    let roots = roots(driver, turn.role)?;
    match code {
        Code::Command(command) => {
            let text = driver.plan_text(&command)?;
            let rendered = driver.desk.templates.render(&what, &command, &text, &roots);
            driver.keep(&rendered.map_err(Trouble::stuck)?)
        }
        Code::Call(Call { function, with }) => {
            let with = match with {
                Some(with) => {
                    let text = driver.plan_text(&with)?;
                    let json = serde_json::from_str(&text).map_err(Trouble::stuck)?;
                    render(driver, &roots, &format!("`with` of the {what}"), json)?
                }
                None => json!({}),
            };
            let mut context = match roots.as_json() {
                Value::Object(context) => context,
                _ => Map::new(),
            };
            let root = driver.desk.layout.root().display().to_string();
            context.insert("workspace".to_owned(), json!(root));
            if turn.role.is_hook() {
                context.insert("hook".to_owned(), json!(turn.role));
            }
            if let Some(answer) = &driver.current_visit()?.answer {
                let text = driver.text_of(answer)?;
                let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
                context.insert("answer".to_owned(), value);
            }
            let call = json!({ "function": function, "with": with, "context": context });
            kept(driver, call)
        }
    }
}

/// What a hook sees: once there is an outcome, that of this visit.
fn roots(driver: &mut Driver<'_>, role: Role) -> Result<Roots, Trouble> {
    let mut roots = driver.roots()?;
    if !matches!(role, Role::AfterVerifier | Role::After | Role::OnTaken) {
        return Ok(roots);
    }
    let visit = driver.current_visit()?.clone();
    let Some(leaving) = visit.leaving else { return Ok(roots) };
    let json = |text: &Option<Ref>, none: Value| match text {
        Some(text) => Ok(serde_json::from_str(&driver.text_of(text)?).unwrap_or(none)),
        None => Ok::<_, Trouble>(none),
    };
    let fields = || Value::Object(Map::new());
    let (tag, payload, route_fields) = match &visit.outcome {
        Some(it) => (&it.tag, json(&it.payload, Value::Null)?, json(&it.fields, fields())?),
        None => (&leaving.tag, Value::Null, fields()),
    };
    roots.outcome = Some(OutcomeRoot { tag: tag.to_string(), payload, route_fields });
    roots.route = Some(leaving.tag.to_string());
    Ok(roots)
}

/// Whether what a turn said is a return, and no outcome: that of a function, or of a hook.
pub(super) fn returns(step: &Step, role: Role) -> bool {
    role.is_hook()
        || (role == Role::Script && step.code().is_some_and(|it| it.function().is_some()))
}

/// Reads what code came to.
pub(super) fn judge(
    driver: &mut Driver<'_>,
    turn: TurnId,
    offered: &[RouteTag],
    text: &str,
    exit: Option<i32>,
) -> Result<Input, Trouble> {
    let step = driver.current_step()?;
    let (code, what) = of_turn(driver, &step, &turn)?;
    let failed = |why: String| {
        Ok(Input::Judged { turn: turn.clone(), judged: Judged::ScriptFailed { why } })
    };
    let said = match &code {
        Code::Call(Call { function, .. }) if turn.role == Role::Script => {
            format!("function `{function}` of step `{}`", step.id)
        }
        Code::Call(Call { function, .. }) => format!("function `{function}`, the {what},"),
        Code::Command(_) => what,
    };
    if let Some(exit) = exit.filter(|exit| *exit != 0) {
        let why = match &code {
            Code::Command(_) => {
                format!("the {said} ended with exit code {exit}{}", judge::last_lines(text))
            }
            Code::Call(_) => format!("{said} failed: {text}"),
        };
        let has_route = step.routes.iter().any(|route| route.tag.as_str() == "failed");
        if turn.role.is_hook() || !has_route {
            return failed(why);
        }
        let payload = Value::String(text.to_owned());
        let envelope = Envelope { tag: "failed".to_owned(), payload, fields: Map::new() };
        let judged = judge::accept(driver, &step, turn.role, envelope, offered)?;
        return Ok(Input::Judged { turn, judged });
    }
    let read = match &code {
        Code::Command(_) => printed_return(text),
        Code::Call(_) => {
            let value = serde_json::from_str(text).map_err(|error| error.to_string());
            value.and_then(|value: Value| read_return(&value))
        }
    };
    let Return { way, set, worklists } = match read {
        Ok(read) => read,
        Err(why) => return failed(format!("what {said} returned cannot be used: {why}")),
    };
    let worklists = match changes_of(driver, &step, worklists) {
        Ok(worklists) => worklists,
        Err(why) => return failed(format!("what {said} returned cannot be used: {why}")),
    };
    let changes = match state_changes(driver, &step, &set)? {
        Ok(changes) => changes,
        Err(why) => return failed(format!("what {said} returned cannot be used: {why}")),
    };
    let control = match control(driver, &step, &turn, offered, way)? {
        Ok(control) => control,
        Err(why) => return failed(format!("what {said} returned cannot be used: {why}")),
    };
    let returned = Returned { control, changes, worklists };
    Ok(Input::Judged { turn, judged: Judged::Returned(Box::new(returned)) })
}

fn control(
    driver: &mut Driver<'_>,
    step: &Step,
    turn: &TurnId,
    offered: &[RouteTag],
    way: Way,
) -> Result<Result<Control, String>, Trouble> {
    let keep = |driver: &Driver<'_>, text: Option<String>| {
        text.map(|text| driver.keep(&driver.desk.redactor.redact(&text))).transpose()
    };
    let plain = |tag: &str| {
        let (payload, fields) = (Value::Null, Map::new());
        Way::Event { envelope: Envelope { tag: tag.to_owned(), payload, fields }, handoff: None }
    };
    let way = match (&step.work, way) {
        // Who returns nothing has nothing against it.
        (Work::Validate { .. }, Way::Go) if turn.role == Role::Script => plain("valid"),
        (_, Way::Go) if turn.role == Role::Script => plain("done"),
        (_, way) => way,
    };
    Ok(Ok(match way {
        Way::Go => Control::Go,
        Way::Event { envelope, handoff } => {
            let handoff = keep(driver, handoff)?;
            match outcome(driver, step, turn.role, envelope, offered)? {
                Ok(mut outcome) => {
                    if handoff.is_some() {
                        outcome.exit.handoff = handoff;
                    }
                    Control::Outcome(outcome)
                }
                Err(why) => return Ok(Err(why)),
            }
        }
        Way::Goto { to, handoff, why } => {
            Control::Goto { to, handoff: keep(driver, handoff)?, why }
        }
        Way::RequestInput { question, choices, schema } => {
            let schema = keep(driver, schema.map(|schema| schema.to_string()))?;
            Control::Ask(AskedQuestion { text: question, choices, schema })
        }
        Way::Fail { why } => Control::Fail { why },
    }))
}

fn outcome(
    driver: &mut Driver<'_>,
    step: &Step,
    role: Role,
    envelope: Envelope,
    offered: &[RouteTag],
) -> Result<Result<Box<Outcome>, String>, Trouble> {
    let envelope = match (&step.work, envelope.tag.as_str()) {
        (Work::Validate { .. }, "invalid") if role == Role::Script => {
            let words = match &envelope.payload {
                Value::Null => "The function found it invalid and said no more.\n".to_owned(),
                Value::String(words) => words.clone(),
                payload => format!("{payload:#}\n"),
            };
            match super::validate::verdict(driver, step, &words, 1)? {
                Ok(envelope) => envelope,
                Err(why) => return Ok(Err(why)),
            }
        }
        _ => envelope,
    };
    Ok(match judge::accept(driver, step, role, envelope, offered)? {
        Judged::Outcome(outcome) => Ok(outcome),
        Judged::Malformed { why } | Judged::ScriptFailed { why } => Err(why),
        Judged::Returned(_) => Err("an outcome cannot hold a return".to_owned()),
    })
}

/// The changes of worklists, each with its item.
pub(super) fn changes_of(
    driver: &Driver<'_>,
    step: &Step,
    changes: Vec<(WorklistName, Change)>,
) -> Result<Vec<(WorklistName, WorklistChange)>, String> {
    let mut found = Vec::with_capacity(changes.len());
    for (name, change) in changes {
        let Some(list) = driver.run.worklists.get(&name) else {
            let known = driver.run.plan.worklists.contains_key(&name);
            return Err(if known {
                format!("the items of `{name}` have not been read yet")
            } else {
                format!("there is no worklist `{name}`")
            });
        };
        let visit = driver.run.visit.as_ref().filter(|_| step.scope.as_ref() == Some(&name));
        let of_visit = visit.and_then(|visit| visit.id.item.as_ref());
        let current = of_visit.or(list.item().map(|item| &item.id)).map(ItemId::as_str);
        let known: Vec<&str> = list.items.iter().map(|item| item.id.as_str()).collect();
        let change = change.of(current, &known)?;
        if leaves_own(&driver.run, &name, &change) {
            return Err(OWN_ITEM.to_owned());
        }
        found.push((name, change));
    }
    Ok(found)
}

/// What is put into the state, checked against the schemas.
fn state_changes(
    driver: &mut Driver<'_>,
    step: &Step,
    set: &BTreeMap<StatePlace, Value>,
) -> Result<Result<Vec<StateChange>, String>, Trouble> {
    let mut changes = Vec::with_capacity(set.len());
    for (word, scope) in StateScope::ALL {
        let of_scope: Vec<_> = set.iter().filter(|(place, _)| place.scope == scope).collect();
        if of_scope.is_empty() {
            continue;
        }
        let Some(mut after) = driver.state(scope, Some(step))? else {
            return Ok(Err(format!("there is no `{word}` here to set")));
        };
        for (place, value) in of_scope {
            after.insert(place.key.clone(), value.clone());
            let value =
                driver.keep(&driver.desk.redactor.redact_json(value.clone()).to_string())?;
            changes.push(StateChange { place: place.clone(), value });
        }
        if let Some(schema) = driver.run.plan.state_schema(scope, Some(step)) {
            let schema = driver.plan_text(&schema)?;
            if let Err(why) = driver.desk.schemas.validate(&schema, &Value::Object(after)) {
                return Ok(Err(format!("`set` does not fit the schema of `{word}`: {why}")));
            }
        }
    }
    Ok(Ok(changes))
}
