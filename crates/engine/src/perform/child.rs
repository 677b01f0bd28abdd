//! One child moved: begun, or gone on with where it stands, until it rests or is over.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use botpipe_journal::NewRun;
use botpipe_kernel::ids::{Digest, RunId, TaskId};
use botpipe_kernel::plan::{Isolation, Plan};
use botpipe_kernel::run::{
    ChildPhase, ChildRun, Grant, Input, Lifecycle, Parent, Raise, Ref, Run, SnapshotId,
};
use serde_json::Value;

use super::{About, Desk, Trouble};
use crate::driver::{Driver, now};
use crate::engine::owner;
use crate::error::Error;
use crate::inbox::Inbox;
use crate::parts::Parts;
use crate::process::StopSwitch;
use crate::recording;
use crate::request::{Notice, Progress, Silent};
use crate::workspace::layout::Layout;
use crate::workspace::snapshots::Worktree;

/// A child as it is now; where it is over and has files of its own, also what it leaves.
pub(super) struct Came {
    pub(super) run: Box<Run>,
    pub(super) tree: Option<SnapshotId>,
}

/// A child to be moved, and all it is started with.
pub(super) struct Task {
    pub(super) which: ChildRun,
    plan: Digest,
    grant: Grant,
    answer: Option<Ref>,
    raise: Raise,
    cancel: bool,
    /// As it is told when it begins.
    start: Input,
    /// Where it works.
    layout: Layout,
    /// Whether it is recorded as its parent is.
    recorded: bool,
    /// Its own files, and as what they begin.
    own: Option<(Worktree, SnapshotId)>,
}

pub(super) fn task_of(
    driver: &Driver<'_>,
    which: ChildRun,
    grant: Grant,
    answer: Option<Ref>,
    raise: Raise,
    cancel: bool,
) -> Result<Task, Trouble> {
    let run = &driver.run;
    let children = run.visit.as_ref().and_then(|visit| visit.moving_children());
    let planned = children.and_then(|all| all.iter().find(|(plan, _)| plan.run == which.run));
    let Some((child, _)) = planned else {
        return Err(Trouble::stuck(format!("there is no child {}", which.run)));
    };
    let group = run.current_step().and_then(|step| step.group());
    // What a hook asks for is no branch.
    let asked = run.visit.as_ref().is_some_and(|visit| visit.calling.is_some());
    let apart = !asked && group.is_some_and(|group| group.isolation == Isolation::Worktree);
    let base = run.visit.as_ref().and_then(|visit| visit.baseline.tree.clone());
    let own = match (apart, base) {
        (false, _) => None,
        (true, Some(base)) => Some((Worktree::of(&driver.desk.layout, &which.run), base)),
        (true, None) => return Err(Trouble::stuck("the files were not recorded")),
    };
    let layout = own.as_ref().map_or(&driver.desk.layout, |(own, _)| own.layout()).clone();
    let workspace = match &own {
        Some(_) => Some(layout.root().display().to_string()),
        None => run.workspace.clone(),
    };
    let or = |own: &Option<Ref>, of_parent: &Option<Ref>| {
        own.clone().or_else(|| of_parent.clone()).unwrap_or_default()
    };
    let parent = Parent {
        run: driver.desk.run_id.clone(),
        visit: which.visit.clone(),
        branch: which.branch.clone(),
        path: driver.desk.way_to(format!("{}/{}", which.visit, which.branch)),
    };
    let start = Input::Start {
        run: which.run.clone(),
        task: driver.desk.task.clone(),
        plan: child.plan.clone(),
        message: or(&child.message, &run.message),
        input: or(&child.input, &run.input),
        params: or(&child.params, &run.params),
        provider: run.provider.clone(),
        providers: run.providers.clone(),
        fallbacks: run.fallbacks.clone(),
        pass_env: run.pass_env.clone(),
        max_steps: Some(grant.max_steps),
        on_limit: run.on_limit,
        budget: grant.budget.clone(),
        parent: Some(parent),
        context: child.context.clone(),
        workspace,
        full_auto: run.full_auto,
        policies: run.policies.clone(),
        sources: run.sources.clone(),
    };
    let plan = child.plan.clone();
    let recorded = driver.desk.recorder.is_some();
    Ok(Task { which, plan, grant, answer, raise, cancel, start, layout, recorded, own })
}

impl Task {
    /// Moves the child until it rests or is over.
    pub(super) fn perform(
        self,
        parts: &Parts,
        progress: &dyn Progress,
        stop: &StopSwitch,
        cancelled: &AtomicBool,
        inbox: &Inbox,
    ) -> Result<Came, Error> {
        let run = Run::new(Arc::new(plan_of(parts, &self.which.run, &self.plan)?));
        let Input::Start { task, .. } = &self.start else { return self.leave(None, run) };
        let Some(row) = parts.journal.run(&self.which.run)? else {
            if self.cancel {
                let run = Box::new(Run { lifecycle: Lifecycle::Cancelled, ..run });
                return Ok(Came { run, tree: None });
            }
            let new = NewRun {
                run: self.which.run.clone(),
                task: task.clone(),
                workflow: run.plan.name.clone(),
                at: now(),
            };
            let about = self.about(parts)?;
            // Whole before the run is there: a run that is there has had its files.
            self.have_files(task, None, progress)?;
            let _settling = self.own.as_ref().and_then(|(own, _)| own.settling());
            if self.recorded {
                recording::begin_below(&self.layout.run_folder(
                    task,
                    &run.plan.name,
                    &self.which.run,
                ))?;
            }
            let lease = parts.journal.create_run(new, &owner("child"))?;
            let desk = Desk::set_up_in(parts, about, self.layout.clone())?;
            let mut driver = Driver {
                parts,
                lease: &lease,
                run,
                seq: 0,
                pending: Vec::new(),
                desk,
                progress,
                stop,
                inbox,
                cancelled,
            };
            driver.tell(self.start.clone())?;
            driver.drive()?;
            let Driver { run, desk, .. } = driver;
            return self.leave(Some(desk), run);
        };
        let lease = parts.journal.acquire(&self.which.run, &owner("child"))?;
        let (run, seq) = fold(parts, &self.which.run, run)?;
        self.have_files(task, Some(&run), progress)?;
        let _settling = self.own.as_ref().and_then(|(own, _)| own.settling());
        let about = About::of(parts, &row, &run)?;
        let desk = Desk::set_up_in(parts, about, self.layout.clone())?;
        if run.lifecycle.is_ended() {
            return self.leave(Some(desk), run);
        }
        let mut driver = Driver {
            parts,
            lease: &lease,
            run,
            seq,
            pending: Vec::new(),
            desk,
            progress,
            stop,
            inbox,
            cancelled,
        };
        if self.cancel {
            cancel(&mut driver)?;
            driver.tell(Input::Cancel)?;
        } else if matches!(driver.run.lifecycle, Lifecycle::Waiting(_)) {
            // Without an answer it still waits.
            if let Some(answer) = &self.answer {
                let text = parts.text(answer)?;
                driver.take_answer(&text)?;
            }
        } else {
            let mut max_visits = self.raise.max_visits.clone();
            max_visits.retain(|step, _| driver.run.plan.step(step).is_some());
            let mut step_budgets = self.raise.step_budgets.clone();
            step_budgets.retain(|step, _| driver.run.plan.step(step).is_some());
            let raise = Raise {
                max_steps: Some(self.grant.max_steps.max(driver.run.max_steps)),
                max_visits,
                budget: self.grant.budget.clone(),
                step_budgets,
            };
            match driver.take_up(raise, row.gone_by) {
                // What it stands at was not raised: it stands there still.
                Err(Error::Refused { .. }) => {}
                taken => taken?,
            }
        }
        driver.drive()?;
        let Driver { run, desk, .. } = driver;
        self.leave(Some(desk), run)
    }

    /// Has its own files there, where it is to have some: as they begin, or, if somebody removed them,
    /// as they were last recorded.
    fn have_files(
        &self,
        task: &TaskId,
        run: Option<&Run>,
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        let Some((own, base)) = &self.own else { return Ok(()) };
        // What one that is over left cannot be had again.
        if run.is_none_or(|run| !run.lifecycle.is_ended()) {
            let visit = run.and_then(|run| run.visit.as_ref());
            let tree = visit.and_then(|visit| visit.baseline.tree.as_ref()).unwrap_or(base);
            if let Some(text) = own.make(tree)? {
                progress.notice(&Notice::Note { text: &text });
            }
        }
        own.lead(task).map_err(Error::from)
    }

    /// What is told of it: where it is over, also what it leaves.
    fn leave(&self, desk: Option<Desk>, run: Run) -> Result<Came, Error> {
        let tree = match (&self.own, desk) {
            (Some(_), Some(mut desk)) if run.lifecycle.is_ended() => Some(desk.snapshots.take()?),
            _ => None,
        };
        Ok(Came { run: Box::new(run), tree })
    }

    fn about(&self, parts: &Parts) -> Result<About, Error> {
        let Input::Start {
            task, message, input, params, provider, context, parent, policies, ..
        } = &self.start
        else {
            return Err(Error::Internal { message: "a child is begun by its start".to_owned() });
        };
        let json = |text: &Ref| -> Result<Value, Error> {
            serde_json::from_str(&parts.text(text)?)
                .map_err(|error| Error::Internal { message: error.to_string() })
        };
        let context = match context {
            Some(context) => json(context)?.as_object().cloned().unwrap_or_default(),
            None => serde_json::Map::new(),
        };
        let plan = plan_of(parts, &self.which.run, &self.plan)?;
        let ground = crate::policy::Ground::of_process(parts.layout.home());
        Ok(About {
            denied: crate::policy::denied(&plan, policies, &ground),
            run: self.which.run.clone(),
            task: task.clone(),
            workflow: plan.name,
            message: parts.text(message)?,
            input: json(input)?,
            params: json(params)?,
            provider: provider.clone(),
            context,
            path: parent.as_ref().map(|parent| parent.path.clone()).unwrap_or_default(),
        })
    }
}

/// Cancels the children of a run that no thread moves: a run is cancelled with all below it.
pub(crate) fn cancel(driver: &mut Driver<'_>) -> Result<(), Error> {
    let Some(visit) = driver.run.visit.clone() else { return Ok(()) };
    for (child, state) in
        visit.moving_children().into_iter().flat_map(botpipe_kernel::run::Children::iter)
    {
        let over = |phase: &ChildPhase| {
            matches!(phase, ChildPhase::Planned | ChildPhase::Ended(_) | ChildPhase::Skipped)
        };
        let which = ChildRun {
            visit: visit.id.clone(),
            branch: child.branch.clone(),
            run: child.run.clone(),
            start: state.start,
        };
        let raise = Raise::default();
        let task = task_of(driver, which, Grant::default(), None, raise, true);
        let (false, Ok(task)) = (over(&state.phase), task) else { continue };
        let (stop, cancelled) = (StopSwitch::new(), AtomicBool::new(true));
        task.perform(driver.parts, &Silent, &stop, &cancelled, &Inbox::default())?;
    }
    Ok(())
}

fn plan_of(parts: &Parts, run: &RunId, digest: &Digest) -> Result<Plan, Error> {
    let text = parts.text_of(digest)?;
    serde_json::from_str(&text).map_err(|error| Error::Record {
        run: run.clone(),
        what: format!("its plan {}", digest.short()),
        message: error.to_string(),
    })
}

fn fold(parts: &Parts, run: &RunId, mut state: Run) -> Result<(Run, u64), Error> {
    let events = parts.journal.read(run)?;
    for stored in &events {
        state.evolve(&stored.event);
    }
    Ok((state, events.last().map_or(0, |stored| stored.seq)))
}
