//! Worklists: items read from where they come from, status written back where it is a file.

use std::time::Duration;

use botpipe_kernel::ids::{ArtifactName, Digest, ItemId, WorklistName};
use botpipe_kernel::plan::{ItemSource, StateScope, Worklist};
use botpipe_kernel::run::{Drift, Input, Item, ItemStatus};
use serde_json::Value;

use super::Trouble;
use super::checks::{Script, run_script};
use crate::confine::View;
use crate::driver::Driver;
use crate::workspace::selection::{Selected, select};
use crate::workspace::worklists::{RawItem, read_value};
use crate::workspace::{Error, files, worklists};

/// How long the command of a worklist may run when its author sets no `timeout`.
const DEFAULT_TIMEOUT: Duration = Duration::from_mins(10);

/// Reads a worklist; what is wrong with it goes back to the step that wrote it, where there is one.
pub(super) fn read(driver: &mut Driver<'_>, worklist: WorklistName) -> Result<Input, Trouble> {
    let list = list_of(driver, &worklist)?;
    let found = match &list.from {
        ItemSource::Artifact(name) => of_artifact(driver, &list, name)?,
        ItemSource::Param(key) => {
            let value = driver.desk.params.get(key).cloned().unwrap_or(Value::Null);
            of_value(&list, &format!("params.{key}"), &value)
        }
        ItemSource::State(key) => {
            let state = driver.state(StateScope::Run, None)?.unwrap_or_default();
            let value = state.get(key).cloned().unwrap_or(Value::Null);
            of_value(&list, &format!("state.{key}"), &value)
        }
        ItemSource::Script(command) => of_script(driver, &worklist, &list, command)?,
    };
    let (source, raw) = match found {
        Ok(found) => found,
        Err(why) => {
            let why = driver.desk.redactor.redact(&why).into_owned();
            return Ok(Input::ItemsRejected { worklist, why });
        }
    };
    let said = selected(driver, &worklist, &list)?;
    let raw = select(raw, &said).map_err(|why| Trouble::Stuck {
        message: format!("`select` of worklist `{worklist}`: {why}"),
    })?;
    let mut items = Vec::with_capacity(raw.len());
    for item in raw {
        let redactor = &driver.desk.redactor;
        let title = item.title.map(|title| redactor.redact(&title).into_owned());
        let payload = redactor.redact_json(item.payload).to_string();
        let payload = driver.keep(&payload)?;
        items.push(Item { id: item.id, title, status: item.status, payload });
    }
    Ok(Input::ItemsRead { worklist, source, items })
}

/// Largest list that a command may print, in bytes.
const MOST_BYTES: usize = 16 << 20;

/// The digest of what items were read from, and the items; else what is wrong, in words.
type Found = Result<(Digest, Vec<RawItem>), String>;

fn list_of(driver: &Driver<'_>, worklist: &WorklistName) -> Result<Worklist, Trouble> {
    let list = driver.run.plan.worklists.get(worklist).cloned();
    let message = format!("the plan has no worklist `{worklist}`");
    list.ok_or(Trouble::Stuck { message })
}

fn of_artifact(
    driver: &mut Driver<'_>,
    list: &Worklist,
    name: &ArtifactName,
) -> Result<Found, Trouble> {
    let place = driver.artifact_place(name)?;
    let file = place.absolute.display().to_string();
    let found = worklists::read_items(&place.absolute, list);
    Ok(found.map_err(|problem| problem.to_string().replace(&file, &place.relative)))
}

fn of_value(list: &Worklist, what: &str, value: &Value) -> Found {
    let items = read_value(value, list, what)?;
    Ok((botpipe_journal::digest_of(value.to_string().as_bytes()), items))
}

fn of_script(
    driver: &mut Driver<'_>,
    worklist: &WorklistName,
    list: &Worklist,
    command: &Digest,
) -> Result<Found, Trouble> {
    let what = format!("`run` of worklist `{worklist}`");
    let command = driver.render(command, &what)?;
    let script = Script {
        command,
        timeout: list.timeout_ms.map_or(DEFAULT_TIMEOUT, Duration::from_millis),
        environment: driver.run_environment(),
        most: MOST_BYTES,
        view: View::Kept,
    };
    let ended = run_script(driver, &what, script)?;
    if let Some(why) = ended.failure {
        let output = ended.output.trim_end();
        return Ok(Err(format!(
            "{what} failed: {why}{}{output}",
            if output.is_empty() { "" } else { "\n" }
        )));
    }
    let value = match serde_json::from_str::<Value>(&ended.stdout) {
        Ok(value) => value,
        Err(error) => return Ok(Err(format!("{what} printed no JSON: {error}"))),
    };
    let items = match value.get(&list.collection) {
        Some(items) => items,
        None => &value,
    };
    let found = of_value(list, &list.collection, items);
    Ok(found.map_err(|why| format!("what {what} printed: {why}")))
}

/// Which items a person wants.
fn selected(
    driver: &mut Driver<'_>,
    worklist: &WorklistName,
    list: &Worklist,
) -> Result<Selected, Trouble> {
    let Some(select) = &list.select else { return Ok(Selected::default()) };
    let mut text = |key: &str, template: &Option<Digest>| match template {
        Some(template) => driver.render(template, &format!("`{key}` of worklist `{worklist}`")),
        None => Ok(String::new()),
    };
    Ok(Selected {
        mode: text("mode", &select.mode)?,
        item: text("item", &select.item)?,
        start: text("start", &select.start)?,
        end: text("end", &select.end)?,
    })
}

/// How the file of the current step's worklist differs from what was read of it.
pub(super) fn drift(driver: &mut Driver<'_>) -> Result<Option<Drift>, Trouble> {
    let step = driver.current_step()?;
    let Some(worklist) = step.scope else { return Ok(None) };
    let list = list_of(driver, &worklist)?;
    let (Some(name), Some(state)) = (list.artifact(), driver.run.worklists.get(&worklist)) else {
        return Ok(None);
    };
    let read = state.source.clone();
    let place = driver.artifact_place(name)?;
    let now = crate::workspace::artifacts::stamp(&place.absolute);
    Ok(now.filter(|stamp| stamp.digest != read).map(|stamp| Drift {
        text: format!(
            "`{}` was changed since the items of `{worklist}` were read from it; a route with \
             `refresh` reads it again",
            place.relative
        ),
        worklist,
        source: stamp.digest,
    }))
}

/// Tells the source file what the journal decided.
pub(super) fn write_status(
    driver: &mut Driver<'_>,
    worklist: WorklistName,
    item: ItemId,
    status: ItemStatus,
) -> Result<Input, Trouble> {
    let list = list_of(driver, &worklist)?;
    let Some(name) = list.artifact() else {
        return Ok(Input::StatusWritten { worklist, item, status, stamp: None, drift: None });
    };
    let place = driver.artifact_place(name)?;
    let expected = driver.run.worklists.get(&worklist).map(|state| state.source.clone());
    driver.append_beside().map_err(Trouble::Fatal)?;
    let recorded = || driver.append().map_err(Trouble::Fatal);
    let (path, expected) = (&place.absolute, expected.as_ref());
    let written = worklists::write_status(path, &list, &item, status, expected, recorded)?;
    if list.status.is_some() {
        let path = place.absolute.clone();
        let sync = move || {
            let synced = files::sync_folder_of(&path);
            Ok(synced.map_err(Error::io("write an item's status to", path))?)
        };
        driver.desk.finish_beside(sync).map_err(Trouble::Fatal)?;
    }
    let file = place.absolute.display().to_string();
    let drift = written.drift.map(|text| text.replace(&file, &place.relative));
    let drift = drift.map(|text| driver.desk.redactor.redact(&text).into_owned());
    Ok(Input::StatusWritten { worklist, item, status, stamp: written.stamp, drift })
}
