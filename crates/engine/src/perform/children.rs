//! Children moved: each by a thread of its own, as many at a time as are owed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread::{self, Scope};

use botpipe_kernel::ids::{BranchId, RunId};
use botpipe_kernel::plan::{Isolation, Settle};
use botpipe_kernel::run::{ChildEnd, ChildRun, Effect, Input, Lifecycle, Rest, Run, outstanding};

use super::child::{Came, Task, task_of};
use super::{Agent, Trouble};
use crate::driver::Driver;
use crate::error::Error;
use crate::inbox::{Inbox, Mail};
use crate::parts::Parts;
use crate::process::StopSwitch;
use crate::request::{AsksLeave, Notice, Progress};

/// Moves the children that are owed until none is.
pub(crate) fn run(driver: &mut Driver<'_>) -> Result<(), Trouble> {
    driver.append().map_err(Trouble::Fatal)?;
    let (parts, progress) = (driver.parts, driver.progress);
    let (news, heard) = mpsc::channel();
    let bell = news.clone();
    let owed = outstanding(&driver.run);
    let many = owed.iter().filter(|it| matches!(it, Effect::RunChild { .. })).count() > 1;
    if many && driver.desk.recorder.is_some() && are_one_by_one(driver) {
        let text = "recorded, so these branches are moved one after the other; what waits for \
                    another branch waits in vain";
        progress.notice(&Notice::Note { text });
    }
    // Whoever throws the switch, or says something, wakes this thread.
    let _bell = driver.stop.bell(move || drop(bell.send(News::Look)));
    thread::scope(|scope| {
        let mut nursery =
            Nursery { parts, progress, news, running: BTreeMap::new(), trouble: None };
        loop {
            nursery.look(driver, scope)?;
            if nursery.running.is_empty() {
                break;
            }
            match heard.recv() {
                Ok(News::Came { which, came }) => nursery.came(driver, &which, came),
                Ok(News::Look) | Err(_) => {}
            }
        }
        match nursery.trouble {
            Some(trouble) => Err(trouble),
            None if driver.stop.requested().is_some() => Err(Trouble::Stopped),
            None => Ok(()),
        }
    })
}

/// What a parent's thread waits for.
#[expect(clippy::large_enum_variant, reason = "one for each child that comes back")]
enum News {
    /// A child came back: as what it is now.
    Came { which: ChildRun, came: Result<Came, Error> },
    /// The switch was thrown, or somebody said something.
    Look,
}

/// A child that a thread moves.
struct Moving {
    stop: StopSwitch,
    cancelled: Arc<AtomicBool>,
    inbox: Arc<Inbox>,
}

struct Nursery<'a> {
    parts: &'a Parts,
    progress: &'a dyn Progress,
    news: Sender<News>,
    running: BTreeMap<RunId, Moving>,
    trouble: Option<Trouble>,
}

impl<'a> Nursery<'a> {
    /// Starts who is owed and not moved yet; passes on what was asked of the parent.
    fn look<'s>(&mut self, driver: &mut Driver<'_>, scope: &'s Scope<'s, '_>) -> Result<(), Trouble>
    where
        'a: 's,
    {
        self.pass_on(driver)?;
        let one_by_one = are_one_by_one(driver);
        let stopped = driver.stop.requested();
        if let Some(signal) = stopped {
            for child in self.running.values() {
                let cancelled = driver.cancelled.load(Ordering::SeqCst);
                child.cancelled.fetch_or(cancelled, Ordering::SeqCst);
                child.stop.request(signal);
            }
        }
        for effect in outstanding(&driver.run) {
            let Effect::RunChild { which, grant, answer, raise, cancel } = effect else { continue };
            if let Some(moving) = self.running.get(&which.run) {
                if cancel && !moving.cancelled.swap(true, Ordering::SeqCst) {
                    moving.stop.request(SIGTERM);
                }
                continue;
            }
            let is_full = one_by_one && !self.running.is_empty();
            if stopped.is_some() || self.trouble.is_some() || is_full {
                continue;
            }
            let task = task_of(driver, which, grant, answer, *raise, cancel)?;
            self.start(scope, task);
        }
        Ok(())
    }

    fn start<'s>(&mut self, scope: &'s Scope<'s, '_>, task: Task)
    where
        'a: 's,
    {
        let moving = Moving {
            stop: StopSwitch::new(),
            cancelled: Arc::new(AtomicBool::new(false)),
            inbox: Arc::default(),
        };
        let (stop, cancelled) = (moving.stop.clone(), Arc::clone(&moving.cancelled));
        let inbox = Arc::clone(&moving.inbox);
        self.running.insert(task.which.run.clone(), moving);
        let (parts, news) = (self.parts, self.news.clone());
        let watcher = InChild { parent: self.progress, branch: task.which.branch.clone() };
        scope.spawn(move || {
            let which = task.which.clone();
            let came = task.perform(parts, &watcher, &stop, &cancelled, &inbox);
            // The parent waits for this as long as it has children.
            let _ = news.send(News::Came { which, came });
        });
    }

    /// What people say to the run is recorded, and every child that moves is told.
    fn pass_on(&self, driver: &mut Driver<'_>) -> Result<(), Trouble> {
        let before = driver.run.said.len();
        if !driver.hear_people().map_err(Trouble::Fatal)? {
            return Ok(());
        }
        for said in driver.run.said.get(before..).unwrap_or_default() {
            let text = driver.parts.text(&said.text).map_err(Trouble::Fatal)?;
            for child in self.running.values() {
                if child.inbox.put(Mail {
                    n: 0,
                    id: said.id.clone(),
                    text: text.clone(),
                    signal: None,
                }) {
                    child.stop.nudge();
                }
            }
        }
        Ok(())
    }

    /// Records what became of a child.
    fn came(&mut self, driver: &mut Driver<'_>, which: &ChildRun, came: Result<Came, Error>) {
        self.running.remove(&which.run);
        let told = came.and_then(|came| match input_of(which, came) {
            // Its parent stops with it, and says so itself.
            Some(_) if driver.stop.requested().is_some() => Ok(false),
            Some(input) => driver.tell(input),
            None => Ok(false),
        });
        if let Err(error) = told
            && self.trouble.is_none()
        {
            // Nothing more can be recorded, here or there: the others are stopped.
            for child in self.running.values() {
                child.stop.request(SIGTERM);
            }
            self.trouble = Some(match error {
                // The journal is whole, and says so.
                Error::Workspace(error) => Trouble::stuck(error),
                error => Trouble::Fatal(error),
            });
        }
    }
}

/// Whether the children of the visit are moved one after the other, in their order.
///
/// While they are recorded, of those that share their files: else nobody could tell whose change a file is.
/// And recorded or played, where the first that fails ends the others: else it would be chance which
/// turns there are.
fn are_one_by_one(driver: &Driver<'_>) -> bool {
    let group = driver.run.current_step().and_then(|step| step.group());
    let shares = group.is_none_or(|group| group.isolation == Isolation::Shared);
    let fails_fast = group.is_some_and(|group| group.settle == Settle::FailFast);
    let plays = match &driver.desk.agent {
        Some(Agent::Replay { cassette, .. }) => !cassette.events.is_empty(),
        _ => false,
    };
    let recorded = driver.desk.recorder.is_some();
    (recorded && (shares || fails_fast)) || (plays && fails_fast)
}

/// What the end of a child's thread says; nothing when it was stopped before it could rest.
fn input_of(which: &ChildRun, came: Came) -> Option<Input> {
    let Came { run, tree } = came;
    let Run { lifecycle, spent, steps_taken: steps, last_route, last_payload, output, .. } = *run;
    let output = output.or(last_payload);
    let which = which.clone();
    let end = |verdict| {
        let spent = spent.clone();
        ChildEnd { verdict, tag: last_route, output, spent, steps, tree }
    };
    Some(match lifecycle {
        Lifecycle::Finished(verdict) => Input::ChildEnded { end: end(Some(verdict)), which },
        Lifecycle::Cancelled => Input::ChildEnded { end: end(None), which },
        Lifecycle::Waiting(asked) => {
            Input::ChildRested { which, rest: Rest::Waiting(asked), spent, steps }
        }
        Lifecycle::Held(hold) => Input::ChildRested { which, rest: Rest::Held(hold), spent, steps },
        Lifecycle::Stopped(stop) => {
            Input::ChildRested { which, rest: Rest::Stopped(stop), spent, steps }
        }
        // A time is waited for by its thread, unless that is stopped.
        Lifecycle::Running | Lifecycle::Unstarted | Lifecycle::Awaiting(_) => return None,
    })
}

/// Whoever watches a run watches its children too.
struct InChild<'a> {
    parent: &'a dyn Progress,
    branch: BranchId,
}

impl Progress for InChild<'_> {
    fn notice(&self, notice: &Notice<'_>) {
        self.parent.notice(&Notice::Child { branch: &self.branch, notice });
    }

    fn ask_leave(&self, asks: &AsksLeave<'_>, stop: &StopSwitch) -> Option<String> {
        self.parent.ask_leave(asks, stop)
    }
}

const SIGTERM: i32 = 15;
