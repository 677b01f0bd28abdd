//! A step: a node of the plan, and the work it stands for.

use serde::{Deserialize, Serialize};

use super::{Ask, Budget, Code, Group, Hooks, Policy, Route, TurnProvider, WaitFor};
use crate::ids::{
    ArtifactName, CheckName, Digest, Role, RouteTag, SessionName, StepId, WorklistName,
};

/// A node of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub id: StepId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    pub work: Work,
    /// The worklist whose current item this step works on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<WorklistName>,
    /// Artifacts that must exist and be valid before the step starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<ArtifactName>,
    /// Artifacts named to the agent as optional context.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<ArtifactName>,
    /// In file order; never empty (defaults are filled in).
    pub routes: Vec<Route>,
    /// Visits allowed, per item where scoped, else per run.
    pub max_visits: u32,
    /// Turns tried for one answer before the run stops; counts the first.
    pub max_attempts: u32,
    pub on_interrupt: OnInterrupt,
    /// `None`: waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_limit: Option<OnLimit>,
    pub clocks: Clocks,
    /// What its turns may do, over what the workflow says; a turn's own is over it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Box<Policy>>,
    /// What its turns, and the runs it starts, may spend in all visits, per item where scoped.
    #[serde(default, skip_serializing_if = "Budget::is_none")]
    pub budget: Budget,
    /// Who does its turns; `None`: the run's provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<Box<TurnProvider>>,
    /// JSON Schema (an object) of what is kept for this step, by digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Digest>,
    /// The same, kept for each item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item_state: Option<Digest>,
    /// Files and folders of the workspace that its producer must leave as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub protect: Vec<String>,
    #[serde(default, skip_serializing_if = "Hooks::is_empty")]
    pub hooks: Hooks,
}

/// What a run does when a limit of the account is reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnLimit {
    /// Its owner stays, and goes on when the limit is over.
    #[default]
    Wait,
    /// Its owner lets go; `resume` takes it up when the limit is over.
    Pause,
    /// The run stops.
    Fail,
    /// The next provider of the run's chain is asked; waits when there is none.
    Fallback,
}

impl Step {
    /// Bound of visits when the author sets none.
    pub const DEFAULT_MAX_VISITS: u32 = 10;
    /// Bound of attempts when the author sets none.
    pub const DEFAULT_MAX_ATTEMPTS: u32 = 3;

    /// The role whose answer picks the route.
    pub fn deciding_role(&self) -> Role {
        match self.work {
            Work::Prompt { .. } | Work::Classify { .. } | Work::Llm { .. } | Work::Group { .. } => {
                Role::Worker
            }
            Work::ProduceVerify { .. } => Role::Verifier,
            Work::Run { .. } | Work::Validate { .. } => Role::Script,
            Work::Ask { .. } | Work::Wait { .. } => Role::Outside,
        }
    }

    /// The role that starts a visit; of a step with children, once they have ended.
    pub fn first_role(&self) -> Role {
        match self.work {
            Work::Prompt { .. } | Work::Classify { .. } | Work::Llm { .. } | Work::Group { .. } => {
                Role::Worker
            }
            Work::ProduceVerify { .. } => Role::Producer,
            Work::Run { .. } | Work::Validate { .. } => Role::Script,
            Work::Ask { .. } | Work::Wait { .. } => Role::Outside,
        }
    }

    /// The artifacts a role may write.
    pub fn writes_of(&self, role: Role) -> &[ArtifactName] {
        match (&self.work, role) {
            (Work::Prompt { turn }, Role::Worker) => &turn.writes,
            (Work::Group { group }, Role::Worker) => {
                group.fan_in.as_ref().map_or(&[], |turn| &turn.writes)
            }
            (Work::ProduceVerify { producer, .. }, Role::Producer) => &producer.writes,
            (Work::ProduceVerify { verifier, .. }, Role::Verifier) => &verifier.writes,
            (Work::Run { program }, Role::Script) => &program.writes,
            (Work::Validate { feedback, .. }, Role::Script) => std::slice::from_ref(feedback),
            _ => &[],
        }
    }

    /// The turn of a role; `None` for a script.
    pub fn turn(&self, role: Role) -> Option<&TurnPlan> {
        match (&self.work, role) {
            (
                Work::Prompt { turn } | Work::Classify { turn, .. } | Work::Llm { turn },
                Role::Worker,
            ) => Some(turn),
            (Work::Group { group }, Role::Worker) => group.fan_in.as_ref(),
            (Work::ProduceVerify { producer, .. }, Role::Producer) => Some(producer),
            (Work::ProduceVerify { verifier, .. }, Role::Verifier) => Some(verifier),
            _ => None,
        }
    }

    /// Who does the turn of a role, where it is not the run's provider.
    pub fn provider_of(&self, role: Role) -> Option<&TurnProvider> {
        self.turn(role)?.provider.as_deref().or(self.provider.as_deref())
    }

    /// The roles whose turns are an agent's, in the order they are asked.
    pub fn agents(&self) -> impl Iterator<Item = Role> {
        let roles = [Role::Worker, Role::Producer, Role::Verifier];
        roles.into_iter().filter(|role| self.turn(*role).is_some())
    }

    /// The code that its work is.
    pub fn code(&self) -> Option<&Code> {
        match &self.work {
            Work::Run { program } => Some(&program.command),
            Work::Validate { command, .. } => Some(command),
            _ => None,
        }
    }

    /// The code that a role runs; that of a route's hook stands with the route.
    pub fn code_of(&self, role: Role) -> Option<&Code> {
        if role == Role::Script { self.code() } else { self.hooks.of(role) }
    }

    /// All code it may run.
    pub fn codes(&self) -> impl Iterator<Item = &Code> {
        let of_routes = self.routes.iter().filter_map(|route| route.on_taken.as_deref());
        self.code().into_iter().chain(self.hooks.iter()).chain(of_routes)
    }

    /// The hook that comes next when the step is left by a route, after that of a role; `None`: the
    /// first.
    pub fn leaving_hook(&self, after: Option<Role>, tag: &RouteTag) -> Option<Role> {
        const ORDER: [Role; 3] = [Role::AfterVerifier, Role::After, Role::OnTaken];
        // Whoever came before the outcome spoke instead of the step's work.
        let from = after.map_or(0, |role| {
            ORDER.iter().position(|it| *it == role).map_or(ORDER.len() - 1, |at| at + 1)
        });
        ORDER[from..].iter().copied().find(|role| match role {
            Role::OnTaken => self.route(tag).is_some_and(|route| route.on_taken.is_some()),
            role => self.hooks.of(*role).is_some(),
        })
    }

    /// Whether any turn of it is an agent's.
    pub fn asks_agent(&self) -> bool {
        self.turn(self.first_role()).is_some()
    }

    /// The key that says what the step does, as its author wrote it.
    pub fn kind(&self) -> &'static str {
        match self.work {
            Work::Prompt { .. } => "prompt",
            Work::ProduceVerify { .. } => "produce + verify",
            Work::Run { ref program } if program.command.function().is_some() => "call",
            Work::Run { .. } => "run",
            Work::Validate { .. } => "validate",
            Work::Ask { .. } => "ask",
            Work::Wait { .. } => "wait",
            Work::Classify { .. } => "classify",
            Work::Llm { .. } => "llm",
            Work::Group { ref group } => group.kind(),
        }
    }

    /// All artifacts the step may write.
    pub fn writes(&self) -> impl Iterator<Item = &ArtifactName> {
        [Role::Worker, Role::Producer, Role::Verifier, Role::Script]
            .into_iter()
            .flat_map(|role| self.writes_of(role))
    }

    /// The checks the engine runs after the producer.
    pub fn checks(&self) -> &[Check] {
        match &self.work {
            Work::ProduceVerify { checks, .. } => checks,
            _ => &[],
        }
    }

    /// The route of that tag.
    pub fn route(&self, tag: &RouteTag) -> Option<&Route> {
        self.routes.iter().find(|route| &route.tag == tag)
    }

    /// The runs it starts below itself.
    pub fn group(&self) -> Option<&Group> {
        match &self.work {
            Work::Group { group } => Some(group),
            _ => None,
        }
    }

    /// The route that an outcome takes: that of its name, and `done` for a choice without one.
    pub fn route_of(&self, outcome: &str) -> Option<&Route> {
        let open = || self.routes.iter().filter(|route| route.when.is_none());
        let named = |tag| open().find(|route| route.tag.as_str() == tag);
        match &self.work {
            Work::Classify { choices, .. } if choices.iter().all(|it| it.name != outcome) => None,
            Work::Classify { .. } | Work::Ask { .. } => named(outcome).or_else(|| named("done")),
            _ => named(outcome),
        }
    }

    /// Whether the step's outcome is a judgement.
    pub fn judges(&self) -> bool {
        matches!(self.work, Work::ProduceVerify { .. } | Work::Validate { .. })
    }
}

/// What a step does; exactly one key of the file says which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// One provider turn, which picks the route.
    Prompt { turn: TurnPlan },
    /// A producer turn, checks run by the engine, then a verifier turn that picks the route.
    ProduceVerify { producer: TurnPlan, checks: Vec<Check>, verifier: TurnPlan },
    /// A program, whose exit code or printed outcome picks the route; or a function of the host, whose
    /// return does.
    Run { program: Program },
    /// Runs below this one; their ends, or a turn after them, pick the route.
    Group { group: Box<Group> },
    /// Code that judges an artifact: with exit code 0 it is `valid`; else what was printed becomes
    /// the feedback artifact, and it is `invalid`.
    Validate {
        command: Code,
        /// Also one of the step's `requires`.
        validates: ArtifactName,
        feedback: ArtifactName,
    },
    /// Waits for a person's answer, which picks the route.
    Ask { ask: Ask },
    /// Waits for a time or a signal.
    Wait { until: WaitFor },
    /// One provider turn, which picks one of a few words.
    Classify { turn: TurnPlan, choices: Vec<Choice> },
    /// One provider turn, whose answer is a value: the payload of its route `done`.
    Llm { turn: TurnPlan },
}

/// One of the words a `classify` step picks from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// One provider turn as planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TurnPlan {
    /// Template of the prompt, by digest.
    pub prompt: Digest,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub writes: Vec<ArtifactName>,
    /// Artifacts this turn needs beyond the step's own `requires`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<ArtifactName>,
    pub session: Continuity,
    /// The named session it belongs to: turns of the same one share their conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<SessionName>,
    /// Artifacts named to this turn as optional context, beyond the step's own `reads`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<ArtifactName>,
    /// What it may do, over what its step says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Box<Policy>>,
    /// Who does it; `None`: as its step says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<Box<TurnProvider>>,
}

/// The program of a `run` step, or the function of a `call` step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    pub command: Code,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub writes: Vec<ArtifactName>,
}

/// A command the engine runs after the producer; the provider cannot fake it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    pub name: CheckName,
    /// Template of a shell command, by digest.
    pub command: Digest,
    /// Expression that must be true for the check to run, by digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Digest>,
    /// Milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// How long a conversation is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Continuity {
    /// One conversation for the whole run.
    Run,
    /// One for each item of the step's worklist.
    WorkItem,
    /// A new one for each turn but a repair.
    Fresh,
    /// One for the task, over its runs.
    Task,
    /// One for each text that this template renders to, by digest.
    Key(Digest),
}

/// What to do with a turn whose owner died before its end was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnInterrupt {
    /// Continue on the tree as it is, told what happened.
    Resume,
    /// Restore the baseline, then a new turn.
    Restart,
    /// Ask a person.
    Ask,
}

/// Bounds in time of one turn; milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clocks {
    /// The whole turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wall_ms: Option<u64>,
    /// No output for so long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_ms: Option<u64>,
}
