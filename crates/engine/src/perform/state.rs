//! The state of a run: laid out for templates, and what a route puts into it.

use botpipe_kernel::ids::RouteTag;
use botpipe_kernel::plan::{Route, StateScope, Step};
use botpipe_kernel::run::StateChange;
use serde_json::{Map, Value};

use super::Trouble;
use crate::driver::Driver;
use crate::prompt::{OutcomeRoot, Roots, fill_defaults};

impl Driver<'_> {
    /// Lays out what a step sees of the state.
    pub(super) fn put_states(
        &mut self,
        roots: &mut Roots,
        step: Option<&Step>,
    ) -> Result<(), Trouble> {
        for (word, scope) in StateScope::ALL {
            if let Some(state) = self.state(scope, step)? {
                roots.states.insert(word, Value::Object(state));
            }
        }
        Ok(())
    }

    /// Lays out what led to the present step; nothing led to the first.
    pub(super) fn put_led(&self, roots: &mut Roots) -> Result<(), Trouble> {
        roots.route = Some(String::new());
        let fields = || Value::Object(Map::new());
        roots.outcome =
            Some(OutcomeRoot { tag: String::new(), payload: Value::Null, route_fields: fields() });
        let Some(led) = &self.run.led else { return Ok(()) };
        let json = |text: &Option<_>, none: Value| match text {
            Some(text) => Ok(serde_json::from_str(&self.text_of(text)?).unwrap_or(none)),
            None => Ok::<_, Trouble>(none),
        };
        roots.route = Some(led.route.to_string());
        roots.outcome = Some(OutcomeRoot {
            tag: led.outcome.tag.to_string(),
            payload: json(&led.outcome.payload, Value::Null)?,
            route_fields: json(&led.outcome.fields, fields())?,
        });
        Ok(())
    }

    /// A scope of the state with its defaults; `None` where the workflow declares none, or where there
    /// is no item.
    pub(super) fn state(
        &mut self,
        scope: StateScope,
        step: Option<&Step>,
    ) -> Result<Option<Map<String, Value>>, Trouble> {
        let Some(schema) = self.run.plan.state_schema(scope, step) else { return Ok(None) };
        let item = step.and_then(|step| self.run.item_of(step)).map(|item| &item.id);
        if scope == StateScope::Item && item.is_none() {
            return Ok(None);
        }
        let mut state = Map::new();
        let set = self.run.values.of(scope, step.map(|step| &step.id), item);
        for (key, value) in set.into_iter().flatten() {
            let value = serde_json::from_str(&self.text_of(value)?).map_err(Trouble::stuck)?;
            state.insert(key.clone(), value);
        }
        let schema = self.plan_text(&schema)?;
        let schema = serde_json::from_str(&schema).map_err(Trouble::stuck)?;
        fill_defaults(&schema, &mut state);
        Ok(Some(state))
    }
}

/// The routes of a step whose `when` is true, in file order.
pub(super) fn true_whens(
    driver: &mut Driver<'_>,
    step: &Step,
    roots: &Roots,
) -> Result<Vec<RouteTag>, Trouble> {
    let mut whens = Vec::new();
    for route in &step.routes {
        let Some(when) = &route.when else { continue };
        let text = driver.plan_text(when)?;
        let what = format!("`when` of route `{}` of step `{}`", route.tag, step.id);
        if driver.desk.templates.evaluate(&what, &text, roots).map_err(Trouble::stuck)? {
            whens.push(route.tag.clone());
        }
    }
    Ok(whens)
}

/// What a route puts into the state, checked against the schemas. Every expression sees the state as it
/// was.
pub(super) fn changes(
    driver: &mut Driver<'_>,
    step: &Step,
    route: &Route,
    roots: &Roots,
) -> Result<Vec<StateChange>, Trouble> {
    let mut after = roots.states.clone();
    let mut changes = Vec::with_capacity(route.set.len());
    for set in &route.set {
        let what =
            format!("`set` of `{}` by route `{}` of step `{}`", set.place, route.tag, step.id);
        let text = driver.plan_text(&set.value)?;
        let value = driver.desk.templates.value(&what, &text, roots).map_err(Trouble::stuck)?;
        let Some(Value::Object(state)) = after.get_mut(set.place.scope.as_str()) else {
            return Err(Trouble::Stuck { message: format!("{what}: there is no such state") });
        };
        let kept = driver.keep(&value.to_string())?;
        state.insert(set.place.key.clone(), value);
        changes.push(StateChange { place: set.place.clone(), value: kept });
    }
    for (word, scope) in StateScope::ALL {
        let touched = route.set.iter().any(|set| set.place.scope == scope);
        let Some(schema) = driver.run.plan.state_schema(scope, Some(step)).filter(|_| touched)
        else {
            continue;
        };
        let schema = driver.plan_text(&schema)?;
        if let Err(why) = driver.desk.schemas.validate(&schema, &after[word]) {
            let message = format!(
                "route `{}` of step `{}` sets what does not fit the schema of `{word}`: {why}",
                route.tag, step.id
            );
            return Err(Trouble::Stuck { message });
        }
    }
    Ok(changes)
}
