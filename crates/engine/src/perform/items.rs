//! Worklists: items read from their artifact, status written back to it.

use botpipe_kernel::ids::{ItemId, WorklistName};
use botpipe_kernel::run::{Input, Item, ItemStatus};

use super::Trouble;
use crate::driver::Driver;
use crate::workspace::{Error, files, worklists};

/// Reads a worklist; what is wrong with it goes back to the step that wrote it.
pub(super) fn read(driver: &mut Driver<'_>, worklist: WorklistName) -> Result<Input, Trouble> {
    let plan = driver.run.plan.clone();
    let Some(list) = plan.worklists.get(&worklist) else {
        return Err(Trouble::Stuck { message: format!("the plan has no worklist `{worklist}`") });
    };
    let place = driver.artifact_place(&list.from)?;
    let (source, raw) = match worklists::read_items(&place.absolute, list) {
        Ok(read) => read,
        Err(problem) => {
            let file = place.absolute.display().to_string();
            let why = problem.to_string().replace(&file, &place.relative);
            let why = driver.desk.redactor.redact(&why).into_owned();
            return Ok(Input::ItemsRejected { worklist, why });
        }
    };
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

/// Tells the source file what the journal decided.
pub(super) fn write_status(
    driver: &mut Driver<'_>,
    worklist: WorklistName,
    item: ItemId,
    status: ItemStatus,
) -> Result<Input, Trouble> {
    let plan = driver.run.plan.clone();
    let Some(list) = plan.worklists.get(&worklist) else {
        return Err(Trouble::Stuck { message: format!("the plan has no worklist `{worklist}`") });
    };
    let place = driver.artifact_place(&list.from)?;
    let expected = driver.run.worklists.get(&worklist).map(|state| state.source.clone());
    driver.append_beside().map_err(Trouble::Fatal)?;
    let recorded = || driver.append().map_err(Trouble::Fatal);
    let (path, expected) = (&place.absolute, expected.as_ref());
    let written = worklists::write_status(path, list, &item, status, expected, recorded)?;
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
