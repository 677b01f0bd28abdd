//! The parts of a run as they are named in turn: a visit, who speaks in it, a turn.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

use super::{IdError, ItemId, StepId};

/// One entering of a step.
///
/// # Shape
/// `plan/1`, or `implement[item-2]/3` for the third visit of a scoped step for that item.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct VisitId {
    /// The step entered.
    pub step: StepId,
    /// The current item, for a scoped step.
    pub item: Option<ItemId>,
    /// Counts from 1, per step and item.
    pub n: u32,
}

impl Serialize for VisitId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for VisitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.item {
            Some(item) => write!(f, "{}[{}]/{}", self.step, item, self.n),
            None => write!(f, "{}/{}", self.step, self.n),
        }
    }
}

impl FromStr for VisitId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let fail = || IdError {
            what: "visit id",
            value: text.to_owned(),
            rule: "a visit id is `step/1` or `step[item]/1`",
        };
        let (place, n) = text.rsplit_once('/').ok_or_else(fail)?;
        let n: u32 = n.parse().map_err(|_| fail())?;
        let (step, item) = match place.split_once('[') {
            Some((step, rest)) => {
                let item = rest.strip_suffix(']').ok_or_else(fail)?;
                (step, Some(item.parse().map_err(|_| fail())?))
            }
            None => (place, None),
        };
        Ok(Self { step: step.parse().map_err(|_| fail())?, item, n })
    }
}

impl TryFrom<String> for VisitId {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

/// Who speaks in a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The one turn of a `prompt` step.
    Worker,
    /// The first turn of a `produce` + `verify` step.
    Producer,
    /// Its second, which picks the route.
    Verifier,
    /// The code of a `run`, `call` or `validate` step.
    Script,
    /// Nobody of ours: a person, a time or a signal that a step waits for.
    Outside,
    /// The hook before a step's work.
    Before,
    /// The hook before the first turn of the producer in a visit.
    BeforeProducer,
    /// The hook after a turn of the producer, before the engine's checks.
    AfterProducer,
    /// The hook before the first turn of the verifier in a visit.
    BeforeVerifier,
    /// The hook after the verifier's outcome was accepted.
    AfterVerifier,
    /// The hook after an outcome was accepted.
    After,
    /// The hook of the route that is taken.
    OnTaken,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 12] = [
        Self::Worker,
        Self::Producer,
        Self::Verifier,
        Self::Script,
        Self::Outside,
        Self::Before,
        Self::BeforeProducer,
        Self::AfterProducer,
        Self::BeforeVerifier,
        Self::AfterVerifier,
        Self::After,
        Self::OnTaken,
    ];

    /// Whether it is code that speaks, and no agent nor anybody outside.
    pub fn is_code(self) -> bool {
        self == Self::Script || self.is_hook()
    }

    /// Whether it is a hook.
    pub fn is_hook(self) -> bool {
        !matches!(
            self,
            Self::Worker | Self::Producer | Self::Verifier | Self::Script | Self::Outside
        )
    }

    /// The word used in turn ids.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Producer => "producer",
            Self::Verifier => "verifier",
            Self::Script => "script",
            Self::Outside => "outside",
            Self::Before => "before",
            Self::BeforeProducer => "before_producer",
            Self::AfterProducer => "after_producer",
            Self::BeforeVerifier => "before_verifier",
            Self::AfterVerifier => "after_verifier",
            Self::After => "after",
            Self::OnTaken => "on_taken",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One exchange with a provider (or one execution of a script) within a visit.
///
/// # Shape
/// `plan/1/producer/1`; a second turn asked after a malformed answer is `plan/1/producer/2`; the
/// same turn started again after an interruption is `plan/1/producer/1~2`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct TurnId {
    /// The visit it belongs to.
    pub visit: VisitId,
    /// Who speaks.
    pub role: Role,
    /// Counts from 1, per visit and role.
    pub n: u32,
    /// Which start of this turn it is: 1, and one more after each interruption.
    pub start: u32,
}

impl TurnId {
    /// The turn without its count of starts: what a cassette is keyed by.
    pub fn path(&self) -> String {
        format!("{}/{}/{}", self.visit, self.role, self.n)
    }
}

impl Serialize for TurnId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for TurnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.visit, self.role, self.n)?;
        if self.start > 1 {
            write!(f, "~{}", self.start)?;
        }
        Ok(())
    }
}

impl FromStr for TurnId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let fail = || IdError {
            what: "turn id",
            value: text.to_owned(),
            rule: "a turn id is `step/1/producer/1`, with `~2` for a second start",
        };
        let (path, start) = match text.rsplit_once('~') {
            Some((path, start)) => (path, start.parse().map_err(|_| fail())?),
            None => (text, 1),
        };
        let (rest, n) = path.rsplit_once('/').ok_or_else(fail)?;
        let (visit, role) = rest.rsplit_once('/').ok_or_else(fail)?;
        let role = Role::ALL.into_iter().find(|known| known.as_str() == role).ok_or_else(fail)?;
        Ok(Self {
            visit: visit.parse().map_err(|_| fail())?,
            role,
            n: n.parse().map_err(|_| fail())?,
            start,
        })
    }
}

impl TryFrom<String> for TurnId {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_print_and_read_back() {
        for text in ["plan/1/producer/1", "implement[item-2]/3/verifier/2~4", "go/1/script/1"] {
            assert_eq!(text.parse::<TurnId>().unwrap().to_string(), text);
        }
        for text in ["plan", "plan/x", "plan[/1", "plan[a/b]/1", "../1"] {
            assert!(text.parse::<VisitId>().is_err(), "{text}");
        }
    }
}
