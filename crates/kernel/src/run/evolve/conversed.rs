//! What events mean to the conversations of a run.

use crate::ids::TurnId;
use crate::run::conversation::Conversation;
use crate::run::facts::{Provider, TurnResult};
use crate::run::harness::{Remedy, Usage};
use crate::run::state::{Phase, Run, Visit};

impl Run {
    pub(super) fn session_known(&mut self, turn: &TurnId, token: &str) {
        let key = self.visit.as_ref().and_then(|visit| match &visit.phase {
            Phase::Turning { turn: running, session: Some(session), .. } if running == turn => {
                Some(session.key.clone())
            }
            _ => None,
        });
        if let Some(key) = key {
            self.sessions.entry(key).or_default().known(token);
        }
    }

    /// What the end of a turn means to its conversation.
    pub(super) fn conversed(
        &mut self,
        result: &TurnResult,
        mark: Option<&str>,
        usage: Option<&Usage>,
    ) {
        let session = self.visit.as_ref().and_then(Visit::session);
        let Some(key) = session.map(|session| session.key.clone()) else { return };
        let Some(conversation) = self.sessions.get_mut(&key) else { return };
        if let Some(usage) = usage {
            conversation.usage.add(usage);
        }
        match result {
            TurnResult::Completed { .. } => conversation.completed(mark),
            TurnResult::Failed { class, .. } if class.remedy() == Remedy::Afresh => {
                *conversation = Conversation::default();
            }
            TurnResult::Failed { .. } => {}
        }
    }

    /// What a turn spent that was cut off, as far as it is known.
    pub(super) fn spent_in_vain(&mut self, turn: &TurnId, usage: Option<&Usage>, took_ms: u64) {
        if turn.role.is_code() || (usage.is_none() && took_ms == 0) {
            return;
        }
        let session = self.visit.as_ref().and_then(Visit::session).map(|it| it.key.clone());
        let conversation = session.and_then(|key| self.sessions.get_mut(&key));
        if let (Some(conversation), Some(usage)) = (conversation, usage) {
            conversation.usage.add(usage);
        }
        self.spend(|spent| spent.add_in_vain(usage, took_ms));
    }

    /// What the visit's conversations are put back to, should the present tree be.
    pub(super) fn note_checkpoints(&mut self) {
        let checkpoints = self.visit.as_ref().map(|visit| self.checkpoints_of(&visit.id));
        self.with_visit(|visit| visit.checkpoints = checkpoints.unwrap_or_default());
    }

    /// No conversation is gone on with; a turn that is owed, and was to, is prepared again.
    pub(super) fn begin_anew(&mut self) {
        self.lose_conversations();
        self.with_visit(|visit| {
            if let Phase::Turning { turn, process: None, .. } = &visit.phase
                && !turn.role.is_code()
            {
                visit.phase = Phase::retry_of(turn);
            }
        });
    }

    /// The program that is asked is another version than before.
    pub(super) fn harness_changed(&mut self, version: &str, of: Option<&str>) {
        let provider = match of {
            Some(name) => self.providers.get_mut(name),
            None => self.provider.as_mut(),
        };
        if let Some(harness) = provider.and_then(Provider::harness_mut) {
            version.clone_into(&mut harness.version);
        }
    }
}
