//! What is recorded of a run and of all below it, read from a copy.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::person::Need;
use crate::kills::ground::{Ground, GroundError, TASK};
use crate::kills::judge;

/// What was recorded at one moment.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// Whether there is a run.
    pub(super) recorded: bool,
    /// The turns whose end is recorded, with the way to their run and without their `~n`.
    pub(super) ended: BTreeSet<String>,
    /// The turns whose interruption is recorded, with the way to their run.
    pub(super) interrupted: BTreeSet<String>,
    /// The ways to the runs below that are over.
    pub(super) over: BTreeSet<String>,
    /// The ways to those that have begun and are not over.
    pub(super) open: BTreeSet<String>,
    /// How many answers were accepted.
    pub(super) answers: usize,
    /// The step the run stands at; empty before the first.
    pub(super) step: String,
    /// What it needs of a person.
    pub(super) need: Need,
}

impl Look {
    /// Looks at a ground.
    pub(super) fn at(ground: &Ground, botpipe: &Path) -> Result<Self, GroundError> {
        let found = ground.beside(|copy| {
            let show = copy.say(botpipe, &["runs", "show", ROOT, TASK, "--json"])?;
            let Some(show) = show else { return Ok(None) };
            let mut look = Self { recorded: true, need: Need::of(&show), ..Self::default() };
            let mut wanted =
                vec![Below { way: String::new(), run: None, workflow: ROOT.to_owned() }];
            while let Some(below) = wanted.pop() {
                let mut words = vec!["logs", &below.workflow, TASK, "--events"];
                if let Some(run) = &below.run {
                    words.extend(["--run-id", run]);
                }
                if let Some(events) = copy.say(botpipe, &words)? {
                    look.read(&below, &events, &mut wanted);
                }
            }
            Ok(Some(look))
        })?;
        Ok(found.unwrap_or_default())
    }

    fn read(&mut self, of: &Below, events: &str, wanted: &mut Vec<Below>) {
        let way = |to: &str| {
            if of.way.is_empty() { to.to_owned() } else { format!("{}:{to}", of.way) }
        };
        self.ended.extend(judge::ended(events).iter().map(|turn| way(turn)));
        self.interrupted.extend(judge::interrupted(events).iter().map(|turn| way(turn)));
        for line in events.lines() {
            let Ok(row) = serde_json::from_str::<Value>(line) else { continue };
            let event = &row["event"];
            let text = |key: &str| event[key].as_str().unwrap_or_default();
            let child = |branch: &str| way(&format!("{}/{branch}", text("visit")));
            match text("kind") {
                "children_planned" => {
                    let children = event["children"].as_array();
                    wanted.extend(children.into_iter().flatten().map(|it| {
                        let branch = it["branch"].as_str().unwrap_or_default();
                        let own = WORKFLOWS.iter().any(|(name, _)| *name == branch);
                        let workflow = if own { branch } else { &of.workflow };
                        Below {
                            way: child(branch),
                            run: it["run"].as_str().map(str::to_owned),
                            workflow: workflow.to_owned(),
                        }
                    }));
                }
                "child_owed" => {
                    self.open.insert(child(text("branch")));
                }
                "child_ended" => {
                    self.open.remove(&child(text("branch")));
                    self.over.insert(child(text("branch")));
                }
                "answer_accepted" if of.run.is_none() => self.answers += 1,
                "visit_entered" if of.run.is_none() => {
                    let step = text("visit").split('/').next();
                    step.unwrap_or_default().clone_into(&mut self.step);
                }
                _ => {}
            }
        }
    }
}

/// A run to be read.
struct Below {
    /// The way to it from its root; empty for that.
    way: String,
    /// Its id; none for the root.
    run: Option<String>,
    /// The name its workflow is asked for by: a branch has its parent's.
    workflow: String,
}

/// The workflow of the run itself.
pub(super) const ROOT: &str = "outer";

/// The workflows, by name; a step that starts one names its run like it.
pub(super) const WORKFLOWS: [(&str, &str); 3] = [
    (ROOT, include_str!("../../../scripts/children/outer.sop.yaml")),
    ("middle", include_str!("../../../scripts/children/middle.sop.yaml")),
    ("inner", include_str!("../../../scripts/children/inner.sop.yaml")),
];
