//! Which children a step starts, read off the step: their names, what they are given, what they know.

use std::collections::BTreeSet;

use botpipe_kernel::ids::{BranchId, Digest, VisitId};
use botpipe_kernel::plan::{Child, Children, Over, Plan};
use botpipe_kernel::run::{ChildWanted, Input, Ref};
use serde_json::{Map, Value, json};

use super::Trouble;
use crate::driver::Driver;
use crate::plain;
use crate::prompt::{Roots, run_input};
use crate::workspace::artifacts::MAX_BYTES;

/// Reads the children off the step of a visit.
pub(super) fn plan(driver: &mut Driver<'_>, visit: VisitId) -> Result<Input, Trouble> {
    let step = driver.current_step()?;
    let Some(group) = step.group().cloned() else {
        return Err(Trouble::stuck(format!("step `{}` has no children", step.id)));
    };
    let roots = driver.roots()?;
    let outer = outer(&roots);
    let children = match &group.of {
        Children::Workflow { child } => vec![workflow(driver, &roots, child)?],
        Children::Branches { branches } => {
            let count = branches.len();
            let mut all = Vec::with_capacity(count);
            for (index, branch) in (1..).zip(branches) {
                let own = json!({ "id": branch.name, "key": branch.name, "index": index, "count": count });
                all.push(in_branch(driver, branch.name.clone(), &outer, own)?);
            }
            all
        }
        Children::Items { over, branch } => {
            let what = format!("`fan_out` of step `{}`", step.id);
            let items = list(driver, &roots, over, &what)?;
            let count = items.len();
            let mut taken = BTreeSet::new();
            let mut all = Vec::with_capacity(count);
            for (index, item) in (1..).zip(items) {
                let key = key_of(&item, index);
                if !taken.insert(key.clone()) {
                    let message = format!("{what}: two items have the id `{key}`");
                    return Err(Trouble::stuck(message));
                }
                let own = json!({
                    "id": branch.name, "key": key, "index": index, "count": count, "item": item
                });
                all.push(in_branch(driver, key, &outer, own)?);
            }
            all
        }
    };
    Ok(Input::ChildrenPlanned { visit, children })
}

/// The items to fan out over.
fn list(
    driver: &mut Driver<'_>,
    roots: &Roots,
    over: &Over,
    what: &str,
) -> Result<Vec<Value>, Trouble> {
    let (value, place) = match over {
        Over::Expression(text) => {
            let text = driver.plan_text(text)?;
            let value = driver.desk.templates.value(what, &text, roots).map_err(Trouble::stuck)?;
            (value, format!("`{text}`"))
        }
        Over::Artifact { name, collection } => {
            let place = driver.artifact_place(name)?;
            let bytes = plain::read(&place.absolute, MAX_BYTES).map_err(|error| {
                Trouble::stuck(format!("{what}: could not read `{}`: {error}", place.relative))
            })?;
            let whole: Value = serde_json::from_slice(&bytes).map_err(|error| {
                Trouble::stuck(format!("{what}: `{}` is not JSON: {error}", place.relative))
            })?;
            match collection {
                Some(key) => (
                    whole.get(key).cloned().unwrap_or(Value::Null),
                    format!("`{key}` of `{}`", place.relative),
                ),
                None => (whole, format!("`{}`", place.relative)),
            }
        }
    };
    match value {
        Value::Array(items) => Ok(items),
        other => Err(Trouble::stuck(format!("{what}: {place} is no list, but {other}"))),
    }
}

/// What tells an item from the others: its `id`, where that can be a folder's name, else its place.
fn key_of(item: &Value, index: usize) -> BranchId {
    let own = item.get("id").and_then(Value::as_str).and_then(|id| id.parse().ok());
    own.unwrap_or_else(|| {
        #[expect(clippy::expect_used, reason = "a number is a branch id")]
        index.to_string().parse().expect("a number is a branch id")
    })
}

/// What a child knows of the visit that starts it.
fn outer(roots: &Roots) -> Map<String, Value> {
    let mut outer = roots.context.clone();
    if let Some(item) = &roots.item {
        outer.insert("item".to_owned(), json!(item));
    }
    if let Some(worklist) = &roots.worklist {
        if let Some(item) = outer.get("item").cloned() {
            outer.insert(worklist.name.clone(), item);
        }
        outer.insert("worklist".to_owned(), json!(worklist));
    }
    outer
}

fn in_branch(
    driver: &Driver<'_>,
    branch: BranchId,
    outer: &Map<String, Value>,
    own: Value,
) -> Result<ChildWanted, Trouble> {
    let mut context = outer.clone();
    context.insert("branch".to_owned(), own);
    let context = Some(kept(driver, Value::Object(context))?);
    Ok(ChildWanted { branch, message: None, input: None, params: None, context })
}

/// Kept as what a run is given always is: without the secrets in it.
pub(super) fn kept(driver: &Driver<'_>, value: Value) -> Result<Ref, Trouble> {
    driver.keep(&driver.desk.redactor.redact_json(value).to_string())
}

pub(super) fn kept_text(driver: &Driver<'_>, text: &str) -> Result<Ref, Trouble> {
    driver.keep(&driver.desk.redactor.redact(text))
}

/// The one child of a `workflow` step: its input and parameters are rendered, filled and validated as
/// those of any run.
fn workflow(driver: &mut Driver<'_>, roots: &Roots, child: &Child) -> Result<ChildWanted, Trouble> {
    let plan: Plan =
        serde_json::from_str(&driver.plan_text(&child.plan)?).map_err(Trouble::stuck)?;
    let message = match &child.message {
        Some(template) => {
            let text = driver.plan_text(template)?;
            let what = format!("message to workflow `{}`", plan.name);
            let rendered = driver.desk.templates.render(&what, template, &text, roots);
            Some(rendered.map_err(Trouble::stuck)?)
        }
        None => None,
    };
    let mut given = |digest: &Option<Digest>, of: &str| -> Result<Option<Value>, Trouble> {
        let Some(digest) = digest else { return Ok(None) };
        let text = driver.plan_text(digest)?;
        let json: Value = serde_json::from_str(&text).map_err(Trouble::stuck)?;
        let what = format!("{of} of workflow `{}`", plan.name);
        render(driver, roots, &what, json).map(Some)
    };
    let (input, params) = (given(&child.input, "input")?, given(&child.params, "params")?);
    let mut schema = |digest: &Digest| -> Result<Value, Trouble> {
        serde_json::from_str(&driver.plan_text(digest)?).map_err(Trouble::stuck)
    };
    let (of_input, of_params) = (schema(&plan.input.schema)?, schema(&plan.params)?);
    let said = message.clone().unwrap_or_else(|| driver.desk.message.clone());
    let fitted = fit(&plan, (&of_input, &of_params), Some(&said), (input, params));
    let (input, params) = match fitted {
        Ok(fitted) => fitted,
        Err(why) => {
            let step = driver.current_step()?.id;
            let plan = plan.name;
            return Err(Trouble::stuck(format!(
                "workflow `{plan}` cannot be started with what step `{step}` gives it: {why}"
            )));
        }
    };
    Ok(ChildWanted {
        branch: branch_of(&plan),
        message: message.map(|text| kept_text(driver, &text)).transpose()?,
        input: Some(kept(driver, input)?),
        params: Some(kept(driver, params)?),
        context: None,
    })
}

/// What a workflow is given, with defaults filled in; else all that does not fit its schemas.
pub(super) fn fit(
    plan: &Plan,
    (of_input, of_params): (&Value, &Value),
    message: Option<&str>,
    (input, params): (Option<Value>, Option<Value>),
) -> Result<(Value, Value), String> {
    let field = plan.input.message_field.as_deref();
    let input = run_input(of_input, field, message, input, &[]);
    match (input, run_input(of_params, None, None, params, &[])) {
        (Ok(input), Ok(params)) => Ok((input, params)),
        (input, params) => {
            let mut problems = input.err().unwrap_or_default();
            problems.extend(params.err().unwrap_or_default());
            let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
            Err(said.join("; "))
        }
    }
}

fn branch_of(plan: &Plan) -> BranchId {
    #[expect(clippy::expect_used, reason = "a workflow's name is a branch id")]
    plan.name.as_str().parse().expect("a workflow's name is a branch id")
}

/// A JSON value with its texts rendered. A text that is one expression in braces and nothing else is the
/// value of that expression, whatever its type.
pub(super) fn render(
    driver: &mut Driver<'_>,
    roots: &Roots,
    what: &str,
    value: Value,
) -> Result<Value, Trouble> {
    Ok(match value {
        Value::String(text) => {
            if let Some(expression) = botpipe_lang::sole_expression(&text) {
                driver.desk.templates.value(what, expression, roots).map_err(Trouble::stuck)?
            } else {
                let rendered = driver.desk.templates.render_text(what, &text, roots);
                Value::String(rendered.map_err(Trouble::stuck)?)
            }
        }
        Value::Array(items) => {
            let mut rendered = Vec::with_capacity(items.len());
            for item in items {
                rendered.push(render(driver, roots, what, item)?);
            }
            Value::Array(rendered)
        }
        Value::Object(fields) => {
            let mut rendered = Map::new();
            for (name, field) in fields {
                rendered.insert(name, render(driver, roots, what, field)?);
            }
            Value::Object(rendered)
        }
        other => other,
    })
}
