//! A conversation with an agent: how it is gone on with, and from where it can be begun anew.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::facts::{SessionKey, SessionUse};
use super::harness::Usage;
use super::permission::Permission;
use super::state::{Phase, Run, Visit};
use crate::ids::{Role, VisitId};
use crate::plan::{Continuity, Step};

/// What is known of the conversation in a slot that has had one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    /// The provider's token; `None`: it is not there any more, and the next turn begins another.
    pub token: Option<String>,
    /// The checkpoint of `token` from which the next turn begins another one.
    pub from: Option<String>,
    /// What its turns reported so far.
    pub usage: Usage,
    /// The end of its last completed turn, where the harness can begin from there.
    pub checkpoint: Option<Checkpoint>,
    /// What a person allowed for as long as it goes on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub permissions: Vec<Permission>,
}

/// The end of a completed turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    pub token: String,
    /// As the harness names it.
    pub mark: String,
    /// What the conversation's turns had reported by then.
    pub usage: Usage,
}

impl Conversation {
    /// The provider named it: from here on it goes on itself.
    pub(super) fn known(&mut self, token: &str) {
        self.token = Some(token.to_owned());
        self.from = None;
    }

    /// A turn of it was completed.
    pub(super) fn completed(&mut self, mark: Option<&str>) {
        self.checkpoint = mark.zip(self.token.as_ref()).map(|(mark, token)| Checkpoint {
            token: token.clone(),
            mark: mark.to_owned(),
            usage: self.usage.clone(),
        });
    }

    /// What came after the checkpoint is not to be remembered; without one, nothing is.
    pub(super) fn back_to(checkpoint: Option<Checkpoint>) -> Self {
        let Some(checkpoint) = checkpoint else { return Self::default() };
        Self {
            token: Some(checkpoint.token.clone()),
            from: Some(checkpoint.mark.clone()),
            usage: checkpoint.usage.clone(),
            checkpoint: Some(checkpoint),
            permissions: Vec::new(),
        }
    }
}

impl Visit {
    /// The conversation of the turn that is owed or runs.
    pub fn session(&self) -> Option<&SessionUse> {
        match &self.phase {
            Phase::Turning { session, .. } => session.as_ref(),
            _ => None,
        }
    }
}

impl Run {
    /// Which conversation a turn belongs to.
    pub fn session_of(&self, step: &Step, visit: &VisitId, role: Role) -> Option<SessionUse> {
        let turn = step.turn(role)?;
        let key = match (&turn.session, &step.scope, &visit.item) {
            (Continuity::Run, ..) => "run".to_owned(),
            (Continuity::WorkItem, Some(worklist), Some(item)) => format!("item/{worklist}/{item}"),
            (Continuity::WorkItem | Continuity::Fresh, ..) => format!("turn/{visit}/{role}"),
            (Continuity::Task, ..) => "task".to_owned(),
            (Continuity::Key(template), ..) => format!("key/{}", template.short()),
        };
        let key = turn.slot.as_ref().map_or(key.clone(), |slot| format!("{slot}/{key}"));
        let key = format!("{}{key}", step.session_prefix(role));
        // A key of a template is known once a turn with it was owed.
        let evaluated = matches!(turn.session, Continuity::Key(_));
        let owed = self.visit.as_ref().filter(|now| evaluated && now.id == *visit);
        let owed = owed.and_then(|now| now.keys.get(&role)).cloned();
        let key = owed.unwrap_or(SessionKey(key));
        let known = self.sessions.get(&key).cloned().unwrap_or_default();
        let cost = known.usage.cost.unwrap_or(0);
        Some(SessionUse { key, token: known.token, from: known.from, cost })
    }

    /// The checkpoints of the conversations that a visit's turns belong to.
    pub(super) fn checkpoints_of(&self, visit: &VisitId) -> BTreeMap<SessionKey, Checkpoint> {
        let Some(step) = self.plan.step(&visit.step) else { return BTreeMap::new() };
        [Role::Worker, Role::Producer, Role::Verifier]
            .into_iter()
            .filter_map(|role| self.session_of(step, visit, role))
            .filter_map(|session| {
                let checkpoint = self.sessions.get(&session.key)?.checkpoint.clone()?;
                Some((session.key, checkpoint))
            })
            .collect()
    }

    /// Nothing said so far can be gone on with.
    pub(super) fn lose_conversations(&mut self) {
        for conversation in self.sessions.values_mut() {
            *conversation = Conversation::default();
        }
    }
}
