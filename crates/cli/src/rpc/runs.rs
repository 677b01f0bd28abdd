//! The runs that move in a session: each on a thread of its own, watched, and stopped with it.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use botpipe_engine::process::StopSwitch;
use botpipe_engine::request::{Notice, Progress};
use botpipe_kernel::ids::RunId;
use serde_json::{Value, json};

use super::wire::{Fault, Outgoing};

/// The runs that move now.
#[derive(Clone, Default)]
pub(super) struct Runs {
    moving: Arc<Mutex<Vec<Moving>>>,
}

struct Moving {
    /// Known as soon as it is owned.
    run: Arc<Mutex<Option<RunId>>>,
    stop: StopSwitch,
    thread: Option<JoinHandle<()>>,
}

impl Runs {
    /// Moves a run beside the session, and answers the request when it rests.
    pub(super) fn go(
        &self,
        out: &Outgoing,
        id: &Value,
        watch: bool,
        work: impl FnOnce(&dyn Progress, &StopSwitch) -> Result<Value, Fault> + Send + 'static,
    ) {
        let (stop, run) = (StopSwitch::new(), Arc::default());
        let watcher = Watcher { out: out.clone(), run: Arc::clone(&run), watch };
        let (out, switch) = (out.clone(), stop.clone());
        let request = id.clone();
        let begun = thread::Builder::new().name("run".to_owned()).spawn(move || {
            match work(&watcher, &switch) {
                Ok(end) => watcher.out.result(&request, &end),
                Err(fault) => watcher.out.error(&request, &fault),
            }
        });
        match begun {
            Ok(thread) => {
                let mut moving = self.moving.lock().unwrap_or_else(PoisonError::into_inner);
                moving.retain(|it| it.thread.as_ref().is_some_and(|it| !it.is_finished()));
                moving.push(Moving { run, stop, thread: Some(thread) });
            }
            Err(error) => out.error(id, &Fault::request(format!("no thread: {error}"))),
        }
    }

    /// Stops a run that moves here, to be resumed; whether there is one.
    pub(super) fn stop(&self, run: &RunId, signal: i32) -> bool {
        let moving = self.moving.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |it: &&Moving| {
            let known = it.run.lock().unwrap_or_else(PoisonError::into_inner);
            known.as_ref() == Some(run) && it.thread.as_ref().is_some_and(|it| !it.is_finished())
        };
        let found = moving.iter().find(is_it);
        if let Some(found) = found {
            found.stop.request(signal);
        }
        found.is_some()
    }

    /// Stops all of them.
    pub(super) fn stop_all(&self, signal: i32) {
        for moving in self.moving.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            moving.stop.request(signal);
        }
    }

    /// Stops all of them, and waits until they rest.
    pub(super) fn end(&self, signal: i32) {
        self.stop_all(signal);
        loop {
            let thread = {
                let mut moving = self.moving.lock().unwrap_or_else(PoisonError::into_inner);
                moving.pop().and_then(|mut moving| moving.thread.take())
            };
            let Some(thread) = thread else { return };
            // One that failed has told so where it was asked for.
            drop(thread.join());
        }
    }
}

/// Tells the other side what happens in a run.
struct Watcher {
    out: Outgoing,
    run: Arc<Mutex<Option<RunId>>>,
    watch: bool,
}

impl Watcher {
    fn tell(&self, notice: &Notice<'_>, path: &[&str]) {
        match notice {
            Notice::Owned { run, task, workflow, .. } if path.is_empty() => {
                *self.run.lock().unwrap_or_else(PoisonError::into_inner) = Some((*run).clone());
                let begun = json!({ "run": run, "task": task, "workflow": workflow });
                self.out.notify("run/owned", &begun);
            }
            Notice::Happened { event, run } if self.watch => {
                let told = json!({ "run": run.id, "path": path, "event": event });
                self.out.notify("run/event", &told);
            }
            Notice::Activity { turn: Some(turn), line } if self.watch => {
                let told = json!({ "turn": turn, "path": path, "line": line });
                self.out.mention("run/activity", &told);
            }
            Notice::Note { text } => {
                self.out.notify("run/note", &json!({ "text": text }));
            }
            Notice::Child { branch, notice } => {
                let path: Vec<&str> = path.iter().copied().chain([branch.as_str()]).collect();
                self.tell(notice, &path);
            }
            _ => {}
        }
    }
}

impl Progress for Watcher {
    fn notice(&self, notice: &Notice<'_>) {
        self.tell(notice, &[]);
    }
}
