//! Event to state: total, infallible, and calls nothing.

mod calls;
mod children;
mod conversed;
mod interrupted;
mod outside;
mod routes;

use std::collections::BTreeMap;

use crate::ids::{Role, TurnId, VisitId};
use crate::plan::OnLimit;
use crate::run::conversation::Conversation;
use crate::run::effect::TurnCause;
use crate::run::event::Event;
use crate::run::facts::{
    Baseline, CheckResult, Feedback, Finding, Process, Provider, QuestionKind, Raise, Ref,
    SessionUse, SnapshotId, TurnResult,
};
use crate::run::harness::{Remedy, Usage};
use crate::run::hold::Hold;
use crate::run::permission::Permissions;
use crate::run::state::{Entry, Lifecycle, Phase, Place, Run, Visit};

impl Run {
    /// Folds one event. Folding the stored events of a run gives its state at that point.
    pub fn evolve(&mut self, event: &Event) {
        match event {
            Event::RunCreated { .. } => self.created(event),
            Event::ItemsRead { .. }
            | Event::ItemsRejected { .. }
            | Event::ItemsExhausted { .. }
            | Event::OutcomeForced { .. }
            | Event::OutcomeAccepted { .. }
            | Event::RouteTaken { .. }
            | Event::StateSet { .. }
            | Event::OutputSet { .. }
            | Event::SourceDrifted { .. }
            | Event::WorklistChanged { .. }
            | Event::StatusWritten { .. } => self.routed(event),
            Event::CallbackOwed { .. }
            | Event::CallbackAnswered { .. }
            | Event::HookEnded { .. }
            | Event::ExitPicked { .. }
            | Event::Redirected { .. } => self.called(event),
            Event::VisitEntered { visit, again, handoff, answer } => {
                self.visit_entered(visit, *again, handoff.clone(), answer.clone());
            }
            Event::BaselineTaken { baseline, .. } => self.baseline_taken(baseline),
            Event::TurnOwed { .. } => self.turn_owed(event),
            Event::TurnStarted { process, .. } => self.turn_started(process),
            Event::SessionKnown { turn, token } => self.session_known(turn, token),
            Event::TurnEnded { turn, result, checkpoint, usage, took_ms, .. } => {
                self.conversed(result, checkpoint.as_deref(), usage.as_ref());
                self.turn_ended(turn, result, usage.as_ref(), *took_ms);
            }
            Event::TurnInterrupted { turn, cause, tree, then, usage, took_ms } => {
                self.spent_in_vain(turn, usage.as_ref(), *took_ms);
                self.turn_interrupted(turn, cause, tree.as_ref(), *then);
            }
            Event::PermissionAnswered { .. } => self.permission_answered(event),
            Event::TreeRestored { .. } => self.tree_restored(),
            Event::RestoreRefused { turn, changed, .. } => self.restore_refused(turn, changed),
            Event::ChecksEnded { checks, findings, .. } => self.checks_ended(checks, findings),
            Event::Sealed { tree, .. } => self.sealed(tree.as_ref()),
            Event::AttemptRejected { turn, feedback } => self.attempt_rejected(turn, feedback),
            Event::ArtifactsAccepted { .. } | Event::MergeApplied { .. } => {}
            Event::QuestionAsked { question } => {
                if let QuestionKind::Permission { used, .. } = &question.kind {
                    self.permissions_used(used);
                }
                self.lifecycle = Lifecycle::Waiting(question.clone());
            }
            Event::AnswerAccepted { answer, tag } => self.answer_accepted(answer, tag.as_ref()),
            Event::PersonSaid { said } => {
                self.said_before.insert(said.id.clone());
                self.said.push(said.clone());
            }
            Event::PersonAttached { attached } => self.attached.push(attached.clone()),
            Event::SaidDelivered { .. } => self.tell(usize::MAX),
            Event::RunHeld { hold } => self.lifecycle = Lifecycle::Held(hold.clone()),
            Event::FellBack { provider, .. } => self.fell_back(provider),
            Event::WorkspaceMoved { to } => {
                self.workspace = Some(to.clone());
                self.begin_anew();
            }
            Event::HarnessChanged { version, of } => self.harness_changed(version, of.as_deref()),
            Event::AnswerRefused { changed, .. } => self.answer_refused(changed),
            Event::WaitBegun { wait } => self.lifecycle = Lifecycle::Awaiting(wait.clone()),
            Event::SignalReceived { signal } => self.signal_received(signal),
            Event::WaitEnded { visit, tag, signal } => {
                self.wait_ended(visit, tag, signal.as_deref());
            }
            Event::HoldEnded => self.lifecycle = Lifecycle::Running,
            Event::RunStopped { stop } => self.lifecycle = Lifecycle::Stopped(stop.clone()),
            Event::RunResumed { raise, .. } => self.resumed(raise),
            Event::RunFinished { verdict } => {
                self.lifecycle = Lifecycle::Finished(*verdict);
                self.visit = None;
                self.next = None;
            }
            Event::ChildrenPlanned { children, .. } => self.children_planned(children),
            Event::ChildOwed { branch, grant, .. } => self.child_owed(branch, grant),
            Event::ChildRested { branch, rest, spent, steps, .. } => {
                self.child_rested(branch, rest, spent, *steps);
            }
            Event::ChildEnded { branch, end, .. } => self.child_ended(branch, end),
            Event::ChildSkipped { branch, .. } => self.child_skipped(branch),
            Event::ChildrenJoined { tag, .. } => self.children_joined(tag.as_ref()),
            Event::MergeOwed { .. } | Event::MergeRefused { .. } => {
                self.with_visit(|visit| visit.phase = Phase::Merging);
            }
            Event::BranchesMerged { merge, .. } => self.branches_merged(merge),
            Event::RunCancelled => {
                self.lifecycle = Lifecycle::Cancelled;
                self.visit = None;
                self.next = None;
                self.status_owed.clear();
                self.output_owed = false;
            }
        }
    }

    /// Another harness knows no conversation of the one before.
    fn fell_back(&mut self, provider: &Provider) {
        self.provider = Some(provider.clone());
        self.fallbacks = self.fallbacks.split_off(1.min(self.fallbacks.len()));
        // Those that others hold are not lost with it.
        let others = self.sessions.clone();
        self.begin_anew();
        self.sessions.extend(others.into_iter().filter(|(key, _)| key.0.starts_with('@')));
    }

    /// The visit's turn was told so many of the things said.
    fn tell(&mut self, most: usize) {
        let told: Vec<_> = self.said.drain(..most.min(self.said.len())).collect();
        self.with_visit(|visit| visit.told.extend(told));
    }

    fn created(&mut self, event: &Event) {
        let Event::RunCreated {
            run,
            task,
            plan,
            message,
            input,
            params,
            provider,
            providers,
            fallbacks,
            pass_env,
            workspace,
            max_steps,
            on_limit,
            budget,
            parent,
            context,
            full_auto,
            policies,
            sources,
            ..
        } = event
        else {
            return;
        };
        self.id = Some(run.clone());
        self.task = Some(task.clone());
        self.plan_digest = Some(plan.clone());
        self.message = Some(message.clone());
        self.input = Some(input.clone());
        self.params = Some(params.clone());
        self.provider.clone_from(provider);
        self.providers.clone_from(providers);
        self.fallbacks.clone_from(fallbacks);
        self.pass_env.clone_from(pass_env);
        self.workspace.clone_from(workspace);
        self.max_steps = *max_steps;
        self.on_limit = *on_limit;
        self.budget = budget.clone();
        self.parent = parent.as_deref().cloned();
        self.context.clone_from(context);
        self.full_auto = *full_auto;
        self.policies.clone_from(policies);
        self.sources.clone_from(sources);
        self.lifecycle = Lifecycle::Running;
        self.next = Some(Entry {
            step: self.plan.entry.clone(),
            again: false,
            handoff: None,
            answer: None,
            files: None,
        });
    }

    fn visit_entered(
        &mut self,
        id: &VisitId,
        again: bool,
        handoff: Option<Ref>,
        answer: Option<Ref>,
    ) {
        let files = self.next.take().and_then(|entry| entry.files);
        self.steps_taken = self.steps_taken.saturating_add(1);
        self.visits.set(Place { step: id.step.clone(), item: id.item.clone() }, id.n);
        self.visit = Some(Visit {
            id: id.clone(),
            phase: Phase::Entering,
            again,
            handoff,
            answer,
            baseline: Baseline::default(),
            entry_files: files.filter(|_| again),
            turns: BTreeMap::new(),
            attempts: 0,
            feedback: Vec::new(),
            checks: Vec::new(),
            findings: Vec::new(),
            sealed: None,
            request: None,
            told: Vec::new(),
            checkpoints: BTreeMap::new(),
            restarting: None,
            ordinal: self.steps_taken,
            children: None,
            outcome: None,
            keys: BTreeMap::new(),
            calling: None,
            asked_children: 0,
            leaving: None,
            permissions: Permissions::default(),
        });
    }

    fn baseline_taken(&mut self, baseline: &Baseline) {
        let Some(step) = self.current_step().cloned() else { return };
        self.note_checkpoints();
        self.with_visit(|visit| {
            visit.baseline = baseline.clone();
            let restarting = visit.restarting.take();
            if visit.entry_files.is_none() || (restarting.is_some() && !visit.again) {
                visit.entry_files = Some(baseline.files.clone());
            }
            visit.phase = match restarting {
                Some((turn, cause)) => Phase::Preparing {
                    turn: TurnId { start: turn.start + 1, ..turn },
                    cause: TurnCause::Restarted { cause },
                },
                None => visit.before_work(&step, None),
            };
        });
    }

    fn turn_owed(&mut self, event: &Event) {
        let Event::TurnOwed { turn, prompt, session, request, policy, said } = event else {
            return;
        };
        self.tell(usize::try_from(*said).unwrap_or(usize::MAX));
        if !turn.role.is_code() {
            self.attached.clear();
        }
        if policy.is_some() {
            self.policy.clone_from(policy);
        }
        if let Some(SessionUse { key, token: Some(token), from, .. }) = session {
            // One that an earlier run of the task held is known here from now on.
            let taken = || Conversation {
                token: Some(token.clone()),
                from: from.clone(),
                ..Conversation::default()
            };
            self.sessions.entry(key.clone()).or_insert_with(taken);
        }
        self.with_visit(|visit| {
            if let Some(session) = session {
                visit.keys.insert(turn.role, session.key.clone());
            }
            visit.turns.insert(turn.role, turn.n);
            visit.request.clone_from(request);
            visit.phase = Phase::Turning {
                turn: turn.clone(),
                prompt: prompt.clone(),
                session: session.clone(),
                process: None,
            };
        });
    }

    fn turn_started(&mut self, process: &Process) {
        if process.boot_id.is_some() {
            self.boot_id.clone_from(&process.boot_id);
        }
        self.with_visit(|visit| {
            if let Phase::Turning { process: slot, .. } = &mut visit.phase {
                *slot = Some(process.clone());
            }
        });
    }

    fn turn_ended(
        &mut self,
        turn: &TurnId,
        result: &TurnResult,
        usage: Option<&Usage>,
        took_ms: u64,
    ) {
        if !turn.role.is_code() {
            self.spend(|spent| spent.add(usage, took_ms));
        }
        let hooked = self.current_step().is_some_and(|it| it.hooks.after_producer.is_some());
        self.with_visit(|visit| {
            visit.calling = None;
            visit.permissions = Permissions::default();
        });
        self.with_visit(|visit| match result {
            TurnResult::Completed { .. } if turn.role == Role::Producer => {
                visit.phase =
                    if hooked { visit.next_of(Role::AfterProducer) } else { Phase::Checking };
            }
            TurnResult::Completed { text, exit } => {
                let (turn, text) = (turn.clone(), text.clone());
                visit.phase = Phase::Judging { turn, text, exit: *exit, tag: None };
            }
            TurnResult::Failed { .. } if turn.role.is_hook() => {
                visit.phase = Phase::retry_of(turn);
            }
            TurnResult::Failed { class, message } => {
                // Neither a limit nor a lost conversation is the agent's fault.
                if !matches!(class.remedy(), Remedy::Wait | Remedy::Afresh) {
                    visit.attempts += 1;
                }
                visit.feedback.push(Feedback::Failure { class: *class, message: message.clone() });
                visit.phase = Phase::retry_of(turn);
            }
        });
    }

    fn checks_ended(&mut self, checks: &[CheckResult], findings: &[Finding]) {
        self.with_visit(|visit| {
            visit.checks = checks.to_vec();
            visit.findings = findings.to_vec();
            visit.phase = Phase::Sealing;
        });
    }

    fn sealed(&mut self, tree: Option<&SnapshotId>) {
        self.note_checkpoints();
        let hooked = self.current_step().is_some_and(|it| it.hooks.before_verifier.is_some());
        self.with_visit(|visit| {
            visit.sealed = tree.cloned();
            visit.attempts = 0;
            visit.feedback.clear();
            visit.phase = visit.next_of(if hooked { Role::BeforeVerifier } else { Role::Verifier });
        });
    }

    /// What is wrong with a hook is nothing that an agent is told.
    fn attempt_rejected(&mut self, turn: &TurnId, feedback: &Feedback) {
        self.with_visit(|visit| {
            if !turn.role.is_hook() {
                visit.attempts += 1;
                visit.feedback.push(feedback.clone());
            }
            visit.phase = Phase::retry_of(turn);
        });
    }

    fn resumed(&mut self, raise: &Raise) {
        self.lifecycle = match std::mem::replace(&mut self.lifecycle, Lifecycle::Running) {
            // Whoever resumed stays until the time has come.
            Lifecycle::Held(hold) => Lifecycle::Held(Hold { on_limit: OnLimit::Wait, ..hold }),
            Lifecycle::Awaiting(wait) => Lifecycle::Awaiting(wait),
            _ => Lifecycle::Running,
        };
        if let Some(max_steps) = raise.max_steps {
            self.max_steps = max_steps;
        }
        self.call_cut();
        self.children_resumed(raise);
        self.raised_visits.extend(raise.max_visits.clone());
        self.budget = raise.budget.clone().or(&self.budget);
        for (step, budget) in &raise.step_budgets {
            let raised = self.raised_budgets.entry(step.clone()).or_default();
            *raised = budget.clone().or(raised);
        }
        self.with_visit(|visit| visit.attempts = 0);
    }

    pub(super) fn with_visit(&mut self, change: impl FnOnce(&mut Visit)) {
        if let Some(visit) = &mut self.visit {
            change(visit);
        }
    }
}
