//! Signals to a run: recorded by whoever owns it, and moving it on where a step waits for them.

use std::thread;
use std::time::Duration;

use botpipe_journal::Request;
use botpipe_kernel::ids::SignalName;
use botpipe_kernel::plan::{Plan, WaitFor, Work};
use botpipe_kernel::run::{Input, Lifecycle, Refusal, Run, Signal};
use serde_json::Value;

use crate::driver::{Driver, now};
use crate::engine::{Engine, owner};
use crate::error::Error;
use crate::owner::own_id;
use crate::perform::{About, Desk};
use crate::process::StopSwitch;
use crate::request::{Notice, Progress, RunRef, SignalRequest, SignalResult};

impl Engine {
    /// Sends a signal to a run; where a step waits for it, the run is moved on.
    ///
    /// # Errors
    /// No such run, or one that is over; a name that no step of the workflow waits for.
    pub fn signal(
        &self,
        which: &RunRef,
        request: &SignalRequest,
        progress: &dyn Progress,
        stop: &StopSwitch,
    ) -> Result<SignalResult, Error> {
        let row = self.find(which)?;
        let name = &request.name;
        let id = request.id.clone().unwrap_or_else(|| own_id('g'));
        let payload = request.payload.as_ref().map(Value::to_string).unwrap_or_default();
        let mut asked = false;
        for _ in 0..PATIENCE_TENTHS {
            // Read again each time: its owner may have ended it meanwhile.
            let (run, _) = self.parts.fold(&row.run)?;
            known(&run.plan, name)?;
            if run.signals_before.contains(&id) {
                let result = if asked { SignalResult::ByOwner } else { SignalResult::Before };
                return Ok(result);
            }
            if run.lifecycle.is_ended() {
                return Err(Error::Refused { refusal: Refusal::Ended });
            }
            match self.parts.journal.acquire(&row.run, &owner("signal")) {
                Ok(lease) => {
                    let (run, seq) = self.parts.fold(&row.run)?;
                    let desk = Desk::set_up(&self.parts, About::of(&self.parts, &row, &run)?)?;
                    let payload = desk.redactor.redact(&payload).into_owned();
                    let payload = self.parts.keep(&payload)?;
                    let input =
                        Input::Signal { signal: Signal { id, name: name.clone(), payload } };
                    if !waits_for(&run, name) {
                        self.record(&lease, run, seq, desk, input)?;
                        return Ok(SignalResult::Kept);
                    }
                    let end = self.own(&lease, run, seq, desk, progress, stop, |driver| {
                        driver.overdue()?;
                        driver.tell(input).map(drop)
                    })?;
                    return Ok(SignalResult::MovedOn(Box::new(end)));
                }
                Err(botpipe_journal::Error::Busy { run: held, .. }) => {
                    if !asked {
                        let (id, name) = (id.clone(), name.clone());
                        let request = Request::Signal { id, name, payload: payload.clone() };
                        self.parts.journal.request(&row.run, request)?;
                        asked = true;
                    }
                    // Whoever takes this run up next hears it first.
                    if held != row.run {
                        return Ok(SignalResult::Requested);
                    }
                }
                Err(error) => return Err(error.into()),
            }
            thread::sleep(Duration::from_millis(100));
        }
        Ok(SignalResult::Requested)
    }
}

/// Whether a step waits for this signal now.
fn waits_for(run: &Run, name: &SignalName) -> bool {
    matches!(&run.lifecycle, Lifecycle::Awaiting(wait) if wait.signal.as_ref() == Some(name))
}

/// A name that no step waits for is a slip.
fn known(plan: &Plan, name: &SignalName) -> Result<(), Error> {
    let waited = plan.steps.iter().filter_map(|step| match &step.work {
        Work::Wait { until: WaitFor::Signal { name, .. } } => Some(name),
        _ => None,
    });
    let names: Vec<String> = waited.map(ToString::to_string).collect();
    if names.iter().any(|known| known == name.as_str()) {
        return Ok(());
    }
    Err(Error::NoSignal { workflow: plan.name.clone(), name: name.clone(), names })
}

impl Driver<'_> {
    /// Ends a wait whose time came while nobody stayed; whether there was one.
    pub(crate) fn overdue(&mut self) -> Result<bool, Error> {
        let Some((visit, until)) = self.run.due().filter(|(_, until)| *until <= now()) else {
            return Ok(false);
        };
        let visit = visit.clone();
        let text =
            format!("the time of step `{}` was over {} s ago", visit.step, (now() - until) / 1000);
        self.progress.notice(&Notice::Note { text: &text });
        self.tell(Input::Due { visit })
    }
}

/// How long `signal` waits for a living owner, in tenths of a second.
const PATIENCE_TENTHS: u32 = 50;
