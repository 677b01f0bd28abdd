//! What kept the policies of a run's turns, as it was recorded before each.

use botpipe_journal::Stored;
use botpipe_kernel::ids::TurnId;
use botpipe_kernel::run::{Event, Ref};
use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::error::Error;
use crate::harness::key::Place;
use crate::harness::{Kind, login_file, stored_login};

/// The enforcement report of turns that ran under the same policy.
///
/// # Shape
/// `{"turns":["do/1/producer/1"],"controls":[…],"canaries":[…],"key"?:{…}}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Enforced {
    pub turns: Vec<TurnId>,
    #[serde(flatten)]
    pub report: Report,
}

/// What kept each control, and what was tried before it was believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub controls: Vec<Kept>,
    pub canaries: Vec<Tried>,
    /// Absent: the agent has no key that Botpipe knows of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyPlace>,
}

/// Where the key of the agent was, as commands could come by it.
///
/// # Shape
/// `{"login":"CODEX_API_KEY","place":"outside"}`;
/// `{"login":"auth.json","place":"inside","because":"…"}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPlace {
    /// A variable, or the name of a file.
    pub login: String,
    /// `outside`: with the proxy; `inside`: in the sandbox.
    pub place: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
}

impl KeyPlace {
    pub(crate) fn of(kind: Kind, key: &Place) -> Option<Self> {
        let inside = |login: String, because: &str| Self {
            login,
            place: "inside".to_owned(),
            because: Some(because.to_owned()),
        };
        match key {
            Place::Outside(kept) => Some(Self {
                login: kept.names.join(", "),
                place: "outside".to_owned(),
                because: None,
            }),
            Place::Inside(names, why) => Some(inside(names.join(", "), why.words())),
            Place::Unused => {
                stored_login(kind)?;
                let file = login_file(kind)?.to_owned();
                Some(inside(file, "the harness reads and renews that file itself"))
            }
        }
    }

    /// As it is said to people.
    pub fn words(&self) -> String {
        let Self { login, place, because } = self;
        match because {
            Some(because) => format!("{login} is {place} of the sandbox: {because}"),
            None => format!("{login} stays {place} of the sandbox"),
        }
    }
}

/// A control and what keeps it.
///
/// # Shape
/// `{"control":"deny_read","by":"mount-namespace","coverage":"watch","gaps":["…"],"canary":"passed"}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub control: String,
    pub by: String,
    /// `full`; `watch`: looked at while the program runs; `launch_snapshot`: what was there at its start;
    /// `partial`: the gaps say what is left open; `none`: nobody keeps it.
    pub coverage: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<String>,
    /// `passed`, `vacuous`: there was nothing to try, `failed`; `null`: it cannot be tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<String>,
}

/// What was tried of a control from inside.
///
/// # Shape
/// `{"control":"deny_read","tried":"read /w/.env","result":"passed"}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    pub control: String,
    pub tried: String,
    pub result: String,
}

impl Engine {
    /// The enforcement reports of a run, in the order of their first turns. A recording has none.
    ///
    /// # Errors
    /// An object that is missing or damaged.
    pub fn enforced(&self, events: &[Stored]) -> Result<Vec<Enforced>, Error> {
        let mut all: Vec<(Ref, Enforced)> = Vec::new();
        let mut before = None;
        for stored in events {
            let Event::TurnOwed { turn, policy, .. } = &stored.event else { continue };
            before = policy.clone().or(before);
            let Some(policy) = &before else { continue };
            if let Some((_, known)) = all.iter_mut().find(|(known, _)| known == policy) {
                known.turns.push(turn.clone());
            } else if let Some(report) = report_of(&self.text(policy)?) {
                all.push((policy.clone(), Enforced { turns: vec![turn.clone()], report }));
            }
        }
        Ok(all.into_iter().map(|(_, enforced)| enforced).collect())
    }
}

/// The report within the object of a policy.
fn report_of(policy: &str) -> Option<Report> {
    let mut policy: serde_json::Value = serde_json::from_str(policy).ok()?;
    serde_json::from_value(policy.get_mut("report")?.take()).ok()
}

#[cfg(test)]
mod tests {
    use super::report_of;

    #[test]
    fn a_report_is_read_from_its_policy_and_missed_where_there_is_none() {
        let policy = r#"{"network":"none","report":{"controls":[{"control":"network",
            "by":"net-namespace","coverage":"full"}],"canaries":[]}}"#;
        assert_eq!(report_of(policy).unwrap().controls[0].by, "net-namespace");
        assert_eq!(report_of(r#"{"network":"none"}"#), None);
    }
}
