//! A run's visits, one row per step and item: how often, and which routes they took.

use botpipe_engine::merges::Merges;
use botpipe_journal::Stored;
use botpipe_kernel::ids::{ItemId, StepId, VisitId};
use botpipe_kernel::run::{Event, Run};
use serde_json::{Value, json};

use super::output::one_line;
use super::table::table;

/// What happened to one step, or to one item in it.
#[derive(Debug)]
pub(crate) struct Chapter {
    step: StepId,
    item: Option<ItemId>,
    visits: u32,
    /// The routes taken, in order; a visit that took none has no entry.
    routes: Vec<String>,
}

/// The chapters of a run, in the order in which they began.
pub(crate) fn chapters(events: &[Stored]) -> Vec<Chapter> {
    let mut chapters: Vec<Chapter> = Vec::new();
    for stored in events {
        match &stored.event {
            Event::VisitEntered { visit, .. } => of(&mut chapters, visit).visits += 1,
            Event::RouteTaken { visit, tag, .. } => {
                of(&mut chapters, visit).routes.push(tag.to_string());
            }
            _ => {}
        }
    }
    chapters
}

/// The chapters as a table.
pub(crate) fn text(chapters: &[Chapter], run: &Run) -> String {
    let rows: Vec<_> = chapters
        .iter()
        .map(|chapter| {
            [
                chapter.step.to_string(),
                chapter.item.as_ref().map_or_else(|| "-".to_owned(), |item| named(item, run)),
                chapter.visits.to_string(),
                chapter.routes.join(", "),
            ]
        })
        .collect();
    table(["STEP", "ITEM", "VISITS", "ROUTES"], &rows)
}

/// What became of branches with files of their own, as a table; nothing where there were none.
pub(crate) fn merged(all: &[Merges]) -> String {
    let rows = all.iter().flat_map(|of| of.branches.iter().map(move |branch| (of, branch)));
    let rows: Vec<_> = rows
        .map(|(of, branch)| {
            let what = match (branch.merged, branch.conflicts.as_slice()) {
                (true, _) if of.written => "merged".to_owned(),
                (true, _) => "to be written".to_owned(),
                (false, []) => "left out".to_owned(),
                (false, conflicts) => format!("conflicts: {}", conflicts.join(", ")),
            };
            let tree = branch.tree.as_ref().map(|tree| tree.0.as_str());
            let files = branch.folder.as_deref().or(tree).unwrap_or("-").to_owned();
            [of.visit.to_string(), branch.branch.to_string(), one_line(&what, 60), files]
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    format!("\n{}", table(["VISIT", "BRANCH", "CHANGES", "ITS FILES"], &rows))
}

/// # Shape
/// `[{"step": "implement", "item": "item-1", "visits": 2, "routes": ["needs_rework", "accepted"]}]`
pub(crate) fn to_json(chapters: &[Chapter]) -> Value {
    let rows = chapters.iter().map(|chapter| {
        json!({
            "step": chapter.step,
            "item": chapter.item,
            "visits": chapter.visits,
            "routes": chapter.routes,
        })
    });
    rows.collect()
}

fn of<'a>(chapters: &'a mut Vec<Chapter>, visit: &VisitId) -> &'a mut Chapter {
    let same = |chapter: &Chapter| chapter.step == visit.step && chapter.item == visit.item;
    let at = chapters.iter().position(same).unwrap_or_else(|| {
        let (step, item) = (visit.step.clone(), visit.item.clone());
        chapters.push(Chapter { step, item, visits: 0, routes: Vec::new() });
        chapters.len() - 1
    });
    &mut chapters[at]
}

/// An item's id and title.
fn named(id: &ItemId, run: &Run) -> String {
    let mut items = run.worklists.values().flat_map(|list| list.items.iter());
    match items.find(|item| item.id == *id).and_then(|item| item.title.as_deref()) {
        Some(title) => format!("{id}: {}", one_line(title, 50)),
        None => id.to_string(),
    }
}
