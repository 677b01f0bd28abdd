//! A run and all that was run below it, as their journals tell it.

use botpipe_journal::Stored;
use botpipe_kernel::ids::{RunId, TurnId, WorkflowName};
use botpipe_kernel::run::Event;

use crate::error::Error;
use crate::parts::Parts;
use crate::perform::way;

/// A run, and those that it started.
pub(crate) struct Family {
    pub(crate) run: RunId,
    pub(crate) workflow: WorkflowName,
    /// The way to it from its root; empty for a root.
    pub(crate) way: String,
    pub(crate) events: Vec<Stored>,
    /// In the order in which they were planned; who never began is not there.
    pub(crate) below: Vec<Self>,
}

impl Family {
    pub(crate) fn read(parts: &Parts, run: &RunId, workflow: &WorkflowName) -> Result<Self, Error> {
        Self::at(parts, run, workflow, String::new())
    }

    fn at(
        parts: &Parts,
        run: &RunId,
        workflow: &WorkflowName,
        way_here: String,
    ) -> Result<Self, Error> {
        let events = parts.journal.read(run)?;
        let mut below = Vec::new();
        for stored in &events {
            let (visit, children) = match &stored.event {
                Event::ChildrenPlanned { visit, children } => (visit, &children[..]),
                Event::CallbackOwed { turn, child: Some(child), .. } => {
                    (&turn.visit, std::slice::from_ref(&**child))
                }
                _ => continue,
            };
            for child in children {
                let Some(row) = parts.journal.run(&child.run)? else { continue };
                let way = way(&way_here, format_args!("{visit}/{}", child.branch));
                below.push(Self::at(parts, &child.run, &row.workflow, way)?);
            }
        }
        let (run, workflow) = (run.clone(), workflow.clone());
        Ok(Self { run, workflow, way: way_here, events, below })
    }

    /// It, and all below it.
    pub(crate) fn all(&self) -> Vec<&Self> {
        let mut all = vec![self];
        let mut at = 0;
        while let Some(one) = all.get(at) {
            all.extend(&one.below);
            at += 1;
        }
        all
    }

    /// The turns of its agents that ended, and when.
    pub(crate) fn own_turns(&self) -> impl Iterator<Item = (u64, &TurnId)> {
        self.events.iter().filter_map(|stored| match &stored.event {
            Event::TurnEnded { turn, .. } if !turn.role.is_code() => Some((stored.at, turn)),
            _ => None,
        })
    }

    /// The ways to all of them, one for each time that one ended.
    pub(crate) fn turns(&self) -> Vec<String> {
        let ways = |one: &Self| {
            one.own_turns().map(|(_, turn)| way(&one.way, turn.path())).collect::<Vec<_>>()
        };
        self.all().into_iter().flat_map(ways).collect()
    }
}
