//! Which agent program does a turn: the run's, or one that its step or the turn itself names.

use std::collections::BTreeMap;

use super::facts::{Provider, SessionKey};
use super::state::{Phase, Run};
use crate::ids::{Role, TurnId};
use crate::plan::{Step, TurnProvider};

/// The agent programs of a run.
#[derive(Debug, Clone, Copy)]
pub struct Providers<'a> {
    /// That of all turns for which nothing else is said.
    pub of_run: Option<&'a Provider>,
    /// The harnesses that steps and turns name, by that name.
    pub named: &'a BTreeMap<String, Provider>,
}

impl Providers<'_> {
    /// What a step names for a role; nothing where the run plays a recording, which has all turns.
    pub fn own(self, step: &Step, role: Role) -> Option<&TurnProvider> {
        let plays = matches!(self.of_run, Some(Provider::Replay { .. }));
        step.provider_of(role).filter(|_| !plays)
    }

    /// Who does the turn of a role; `None`: nobody is known.
    pub fn of(self, step: &Step, role: Role) -> Option<Provider> {
        match self.own(step, role) {
            None => self.of_run.cloned(),
            Some(TurnProvider::Command { program, args }) => {
                Some(Provider::Command { program: program.clone(), args: args.clone() })
            }
            Some(named @ TurnProvider::Harness { .. }) => self.named.get(&named.name()).cloned(),
        }
    }
}

impl Step {
    /// What the key of a role's conversation begins with, so that no two providers share one.
    pub fn session_prefix(&self, role: Role) -> String {
        self.provider_of(role).map(|own| prefix(&own.name())).unwrap_or_default()
    }
}

fn prefix(name: &str) -> String {
    format!("@{}/", name.replace('/', "+"))
}

impl Run {
    /// Its agent programs.
    pub fn cast(&self) -> Providers<'_> {
        Providers { of_run: self.provider.as_ref(), named: &self.providers }
    }

    /// One by its name; `None`: the run's own.
    pub fn provider_named(&self, name: Option<&str>) -> Option<&Provider> {
        name.map_or(self.provider.as_ref(), |name| self.providers.get(name))
    }

    /// Who does the turn of a role.
    pub fn provider_of(&self, step: &Step, role: Role) -> Option<Provider> {
        self.cast().of(step, role)
    }

    /// Who does a turn.
    pub fn provider_of_turn(&self, turn: &TurnId) -> Option<Provider> {
        self.provider_of(self.plan.step(&turn.visit.step)?, turn.role)
    }

    /// The name of a turn's provider, where it is not the run's.
    pub fn own_provider(&self, turn: &TurnId) -> Option<String> {
        let step = self.plan.step(&turn.visit.step)?;
        Some(self.cast().own(step, turn.role)?.name())
    }

    /// Who is asked now, or was last: that of the turn at hand, else the run's.
    pub fn asked_provider(&self) -> Option<Provider> {
        match self.turn_at_hand() {
            Some(turn) if !turn.role.is_code() => self.provider_of_turn(turn),
            _ => self.provider.clone(),
        }
    }

    /// Whose a conversation is.
    pub fn holder(&self, session: &SessionKey) -> Option<&Provider> {
        if !session.0.starts_with('@') {
            return self.provider.as_ref();
        }
        let mut named = self.providers.iter();
        named.find(|(name, _)| session.0.starts_with(&prefix(name))).map(|(_, provider)| provider)
    }

    /// The next provider of the chain, for a turn that is the run's own provider's.
    pub(super) fn fallback(&self) -> Option<Provider> {
        let own = self.turn_at_hand().and_then(|turn| self.own_provider(turn));
        self.fallbacks.first().filter(|_| own.is_none()).cloned()
    }

    fn turn_at_hand(&self) -> Option<&TurnId> {
        match &self.visit.as_ref()?.phase {
            Phase::Preparing { turn, .. }
            | Phase::Turning { turn, .. }
            | Phase::Judging { turn, .. } => Some(turn),
            _ => None,
        }
    }
}
