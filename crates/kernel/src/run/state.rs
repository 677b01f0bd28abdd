//! A run's state, folded from its events.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::calls::{Calling, Leaving};
use super::children::{Children, Parent};
use super::conversation::{Checkpoint, Conversation};
use super::effect::TurnCause;
use super::facts::{
    Attached, Baseline, CheckResult, CheckStatus, Feedback, FileStamp, Finding, InterruptCause,
    Item, ItemStatus, Process, Provider, Question, QuestionKind, Ref, Said, SessionKey, SessionUse,
    SnapshotId, Stop, Verdict,
};
use super::hold::{Hold, Spent};
use super::outside::{Signal, Wait};
use super::permission::Permissions;
use super::tally::Tally;
use super::values::{Accepted, Led, Values};
use super::worklists::{Refreshing, WorklistState};
use crate::ids::{
    ArtifactName, Digest, ItemId, Role, RouteTag, RunId, StepId, TaskId, TurnId, VisitId,
    WorklistName,
};
use crate::plan::{Budget, OnLimit, Plan, PolicyLayer, Route, Step};

/// One execution of one plan.
///
/// Bounded by the plan and its worklists, not by how long the run goes on: no history is kept here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    pub plan: Arc<Plan>,
    pub lifecycle: Lifecycle,
    /// Identity, set by the first event.
    pub id: Option<RunId>,
    pub task: Option<TaskId>,
    pub plan_digest: Option<Digest>,
    pub message: Option<Ref>,
    pub input: Option<Ref>,
    pub params: Option<Ref>,
    pub provider: Option<Provider>,
    /// The harnesses that steps and turns name, by that name.
    pub providers: BTreeMap<String, Provider>,
    /// What is asked next, in order, when a limit is met.
    pub fallbacks: Vec<Provider>,
    pub pass_env: Vec<String>,
    /// What files outside of the workflow say of its policies.
    #[serde(default)]
    pub policies: Vec<PolicyLayer>,
    /// Files of the workspace that say what the run does, relative to it.
    #[serde(default)]
    pub sources: Vec<String>,
    /// What the last turn was allowed to do.
    pub policy: Option<Ref>,
    /// The boot in which the last process ran.
    pub boot_id: Option<String>,
    /// Visits so far, all steps together, and their bound.
    pub steps_taken: u32,
    pub max_steps: u32,
    /// Visits so far per step and item.
    pub visits: Tally<u32>,
    /// Bounds of visits raised by the operator.
    pub raised_visits: BTreeMap<StepId, u32>,
    /// The same for what a step may spend.
    pub raised_budgets: BTreeMap<StepId, Budget>,
    pub worklists: BTreeMap<WorklistName, WorklistState>,
    /// The conversation in each slot that has had one.
    pub sessions: BTreeMap<SessionKey, Conversation>,
    /// The visit in progress.
    pub visit: Option<Visit>,
    /// The step to be entered next, when no visit is in progress.
    pub next: Option<Entry>,
    /// How the run ends, when it was led to its end.
    pub ending: Option<Verdict>,
    /// Statuses that their source files have not been told, oldest first.
    pub status_owed: VecDeque<(WorklistName, ItemId, ItemStatus)>,
    /// Whether a judging step has accepted or rejected anything.
    pub judged: bool,
    /// The operator's word on limits of the account.
    pub on_limit: Option<OnLimit>,
    /// What people said and no turn was told yet.
    pub said: Vec<Said>,
    /// Ids of all that was said.
    pub said_before: BTreeSet<String>,
    /// Where persons went on in conversations since the last turn of an agent was asked.
    pub attached: Vec<Attached>,
    pub budget: Budget,
    pub spent: Spent,
    /// The part of it that was spent on each step and item.
    pub spent_at: Tally<Spent>,
    /// The folder it works in, where that is recorded.
    pub workspace: Option<String>,
    /// The run that started this one.
    pub parent: Option<Parent>,
    /// What templates know of it, as JSON.
    pub context: Option<Ref>,
    /// The route that was taken last, and the payload of the last outcome: what a parent is told.
    pub last_route: Option<RouteTag>,
    pub last_payload: Option<Ref>,
    /// Why code led it where it went last.
    pub last_why: Option<String>,
    /// Signals that no step has waited for yet, oldest first.
    pub signals: Vec<Signal>,
    /// Ids of all signals that came.
    pub signals_before: BTreeSet<String>,
    /// The state, as far as it was set.
    pub values: Values,
    /// What led to the present step; `None` at the first.
    pub led: Option<Led>,
    /// Whether it is to go on without people.
    pub full_auto: bool,
    /// What it gives back, and whether that is still to be evaluated.
    pub output: Option<Ref>,
    pub output_owed: bool,
    /// A worklist that a route wants read again.
    pub refreshing: Option<Refreshing>,
    /// Worklists that are read again when they are next needed.
    pub reread: BTreeSet<WorklistName>,
}

/// A step, and the item it is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Place {
    pub step: StepId,
    pub item: Option<ItemId>,
}

impl Place {
    /// Where a visit is.
    pub fn of(visit: &VisitId) -> Self {
        Self { step: visit.step.clone(), item: visit.item.clone() }
    }
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        VisitId { step: place.step, item: place.item, n: 0 }.to_string()
    }
}

impl TryFrom<String> for Place {
    type Error = crate::ids::IdError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let visit: VisitId = text.parse()?;
        Ok(Self::of(&visit))
    }
}

/// Whether a run moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lifecycle {
    /// Nothing recorded yet.
    Unstarted,
    Running,
    Waiting(Question),
    /// Waits for a time.
    Held(Hold),
    Stopped(Stop),
    Finished(Verdict),
    Cancelled,
    /// Waits for a step's time or signal.
    Awaiting(Wait),
}

impl Lifecycle {
    /// Over for good.
    pub fn is_ended(&self) -> bool {
        matches!(self, Self::Finished(_) | Self::Cancelled)
    }
}

/// A step about to be entered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub step: StepId,
    /// The same step again, for the same item.
    pub again: bool,
    pub handoff: Option<Ref>,
    pub answer: Option<Ref>,
    /// With `again`: the writable artifacts as they were when the step was first entered.
    pub files: Option<BTreeMap<ArtifactName, FileStamp>>,
}

/// One entering of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    pub id: VisitId,
    pub phase: Phase,
    pub again: bool,
    pub handoff: Option<Ref>,
    pub answer: Option<Ref>,
    /// Before this visit's first turn.
    pub baseline: Baseline,
    /// The writable artifacts when the step was entered from elsewhere: what a producer's freshness
    /// is measured against.
    pub entry_files: Option<BTreeMap<ArtifactName, FileStamp>>,
    /// The last turn asked of each role.
    pub turns: BTreeMap<Role, u32>,
    /// Attempts of the present role that could not be used.
    pub attempts: u32,
    /// What the next turn must be told.
    pub feedback: Vec<Feedback>,
    pub checks: Vec<CheckResult>,
    /// The producer's artifacts.
    pub findings: Vec<Finding>,
    /// The producer's tree.
    pub sealed: Option<SnapshotId>,
    /// Digest of the request of the turn that is owed.
    pub request: Option<Digest>,
    /// What people said that a turn of this visit was told: a new conversation is told again.
    pub told: Vec<Said>,
    /// Where the conversations of its turns stood when its base was recorded: what they are put back to
    /// with the tree.
    pub checkpoints: BTreeMap<SessionKey, Checkpoint>,
    /// The turn to go on with once a restored tree has its baseline.
    pub restarting: Option<(TurnId, InterruptCause)>,
    /// Counts the visits of a run: children are named after it.
    pub ordinal: u32,
    /// The runs it started.
    pub children: Option<Box<Children>>,
    /// The outcome that was accepted.
    pub outcome: Option<Accepted>,
    /// The conversation of each role's last turn.
    pub keys: BTreeMap<Role, SessionKey>,
    /// The function that is called, once it has asked for something.
    pub calling: Option<Box<Calling>>,
    /// Runs that functions of this visit have asked for so far.
    pub asked_children: u32,
    /// The way out that hooks hold up.
    pub leaving: Option<Box<Leaving>>,
    /// What the turn that goes on has asked leave for, and was answered.
    #[serde(default)]
    pub permissions: Permissions,
}

/// Where a visit stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Entering,
    Preparing {
        turn: TurnId,
        cause: TurnCause,
    },
    Turning {
        turn: TurnId,
        prompt: Ref,
        session: Option<SessionUse>,
        process: Option<Process>,
    },
    Checking,
    Sealing,
    Judging {
        turn: TurnId,
        /// What it answered.
        text: Ref,
        /// A script's exit code.
        exit: Option<i32>,
        /// The outcome, where it came from outside; `text` is its payload then.
        tag: Option<RouteTag>,
    },
    Handing {
        tag: RouteTag,
    },
    Restoring {
        turn: TurnId,
        cause: InterruptCause,
        to: SnapshotId,
        expected: Option<SnapshotId>,
    },
    /// Which children there are is being read off the step.
    Planning,
    /// Children run; those of a function, while one is called.
    Children,
    /// What a function asked for is done.
    Answering,
    /// What the branches changed is being brought together.
    Merging,
    /// What that came to is being written.
    Applying,
    /// A person decides about an interrupted turn.
    Asking {
        turn: TurnId,
        cause: InterruptCause,
        question: Box<Question>,
    },
    /// The step's question is rendered; while the run waits for its answer too.
    Posing {
        /// What has changed since it was asked before.
        changed: Vec<ArtifactName>,
        /// When the time for an answer is over, where it was asked before.
        until: Option<u64>,
    },
    /// It is found out until when the step waits; while the run waits too.
    Arming,
}

impl Phase {
    /// The first turn of a role in a visit.
    pub(super) fn first_of(visit: &VisitId, role: Role) -> Self {
        let turn = TurnId { visit: visit.clone(), role, n: 1, start: 1 };
        Self::Preparing { turn, cause: TurnCause::First }
    }

    /// Asking anew what a turn could not give.
    pub(super) fn retry_of(turn: &TurnId) -> Self {
        let turn = TurnId { n: turn.n + 1, start: 1, ..turn.clone() };
        Self::Preparing { turn, cause: TurnCause::Retry }
    }
}

impl Run {
    /// A run of which nothing has been recorded.
    pub fn new(plan: Arc<Plan>) -> Self {
        Self {
            max_steps: plan.limits.max_steps,
            plan,
            lifecycle: Lifecycle::Unstarted,
            id: None,
            task: None,
            plan_digest: None,
            message: None,
            input: None,
            params: None,
            provider: None,
            providers: BTreeMap::new(),
            fallbacks: Vec::new(),
            pass_env: Vec::new(),
            policies: Vec::new(),
            sources: Vec::new(),
            policy: None,
            boot_id: None,
            steps_taken: 0,
            visits: Tally::default(),
            raised_visits: BTreeMap::new(),
            raised_budgets: BTreeMap::new(),
            worklists: BTreeMap::new(),
            sessions: BTreeMap::new(),
            visit: None,
            next: None,
            ending: None,
            status_owed: VecDeque::new(),
            judged: false,
            on_limit: None,
            said: Vec::new(),
            said_before: BTreeSet::new(),
            attached: Vec::new(),
            budget: Budget::default(),
            spent: Spent::default(),
            spent_at: Tally::default(),
            workspace: None,
            parent: None,
            context: None,
            last_route: None,
            last_payload: None,
            last_why: None,
            signals: Vec::new(),
            signals_before: BTreeSet::new(),
            values: Values::default(),
            led: None,
            full_auto: false,
            output: None,
            output_owed: false,
            refreshing: None,
            reread: BTreeSet::new(),
        }
    }

    /// The visit whose time comes, and when, in milliseconds since the epoch.
    pub fn due(&self) -> Option<(&VisitId, u64)> {
        match &self.lifecycle {
            Lifecycle::Awaiting(wait) => Some((&wait.visit, wait.until?)),
            Lifecycle::Waiting(Question { kind: QuestionKind::Step { visit }, until, .. }) => {
                Some((visit, (*until)?))
            }
            _ => None,
        }
    }

    /// The step of the visit in progress.
    pub fn current_step(&self) -> Option<&Step> {
        self.visit.as_ref().and_then(|visit| self.plan.step(&visit.id.step))
    }

    /// The current item of a step's worklist.
    pub fn item_of(&self, step: &Step) -> Option<&Item> {
        step.scope.as_ref().and_then(|name| self.worklists.get(name)).and_then(WorklistState::item)
    }

    /// How often a step may be visited (per item where it is scoped).
    pub fn max_visits(&self, step: &Step) -> u32 {
        self.raised_visits.get(&step.id).copied().unwrap_or(step.max_visits)
    }

    /// The routes that the deciding role may pick now, in file order.
    pub fn offered(&self) -> Vec<&Route> {
        let (Some(visit), Some(step)) = (&self.visit, self.current_step()) else {
            return Vec::new();
        };
        let is_agent = step.asks_agent();
        let offers = |route: &&Route| {
            let open =
                if is_agent { route.is_offered(self.full_auto) } else { route.when.is_none() };
            open && visit.allows(&self.plan, step, route)
        };
        step.routes.iter().filter(offers).collect()
    }

    /// The routes that code around the step's work may pick now: it is the author's, so hidden ones too.
    pub fn of_code(&self) -> Vec<&Route> {
        let (Some(visit), Some(step)) = (&self.visit, self.current_step()) else {
            return Vec::new();
        };
        let open = |it: &&Route| it.when.is_none() && visit.allows(&self.plan, step, it);
        step.routes.iter().filter(open).collect()
    }

    /// The route by which the visit in progress is left after an outcome: the first one in file order
    /// whose `when` is true and whose obligations hold, else the outcome's own.
    pub fn way_out<'r>(
        &'r self,
        tag: &'r RouteTag,
        whens: &[RouteTag],
        findings: &[Finding],
    ) -> &'r RouteTag {
        let (Some(visit), Some(step)) = (&self.visit, self.current_step()) else { return tag };
        let is_good = |name: &ArtifactName| {
            let mut found = findings.iter().chain(&visit.findings);
            found.find(|it| &it.artifact == name).is_some_and(Finding::is_good)
        };
        let mut conditional =
            step.routes.iter().filter(|it| it.when.is_some() && whens.contains(&it.tag));
        let taken = conditional.find(|route| {
            visit.allows(&self.plan, step, route)
                && required_writes(&self.plan, step, route).all(is_good)
        });
        taken.map_or(tag, |route| &route.tag)
    }
}

impl Visit {
    /// The children that run now or ran last: those of the function that is called, or the step's own.
    pub fn moving_children(&self) -> Option<&Children> {
        let of_call = self.calling.as_ref().map(|calling| &calling.children);
        of_call.or(self.children.as_deref())
    }

    /// What of it a turn in this conversation has to be told again.
    pub(super) fn told_again(&self, session: Option<&SessionUse>) -> &[Said] {
        match session {
            Some(SessionUse { token: Some(_), from: None, .. }) => &[],
            _ => &self.told,
        }
    }

    /// The tree as it was when a turn of this visit began: what restoring for it puts back.
    pub fn base_of(&self, turn: &TurnId) -> Option<&SnapshotId> {
        let sealed = self.sealed.as_ref().filter(|_| turn.role == Role::Verifier);
        sealed.or(self.baseline.tree.as_ref())
    }

    /// Whether a route can be taken, given the checks and the producer's artifacts.
    fn allows(&self, plan: &Plan, step: &Step, route: &Route) -> bool {
        // A check that was not run yet is none that did not fail.
        let passed = |name| {
            let of_step = step.checks().iter().any(|check| &check.name == name);
            let failed = |status: &CheckStatus| matches!(status, CheckStatus::Failed { .. });
            !of_step || self.checks.iter().any(|it| &it.name == name && !failed(&it.status))
        };
        let produced = |name: &ArtifactName| {
            self.findings
                .iter()
                .find(|finding| &finding.artifact == name)
                .is_none_or(Finding::is_good)
        };
        route.required_checks.iter().all(passed) && required_writes(plan, step, route).all(produced)
    }
}

/// The artifacts a route obliges its step to have written.
pub(super) fn required_writes<'a>(
    plan: &'a Plan,
    step: &'a Step,
    route: &'a Route,
) -> Box<dyn Iterator<Item = &'a ArtifactName> + 'a> {
    match &route.required_writes {
        Some(names) => Box::new(names.iter()),
        None => Box::new(step.writes().filter(|name| is_required(plan, name))),
    }
}

/// Whether an artifact is declared as required.
pub(super) fn is_required(plan: &Plan, name: &ArtifactName) -> bool {
    plan.artifacts.get(name).is_some_and(|artifact| artifact.required)
}
