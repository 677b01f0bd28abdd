//! The host of a case: its functions do what the test file says, and each call is noted.

use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::Sender;
use std::sync::{Mutex, PoisonError};

use botpipe_kernel::ids::FunctionName;
use serde_json::Value;

use super::functions::{Doing, Scripted};
use super::judge::subset;
use crate::host::{Call, Host, Line, Said, Told};

/// The functions of a case that is played.
pub(super) struct Scripts {
    functions: BTreeMap<String, Scripted>,
    seen: Mutex<Seen>,
}

/// What was called.
#[derive(Default)]
struct Seen {
    /// The calls of each function by their way, in the order in which they were begun.
    calls: BTreeMap<String, Vec<String>>,
    problems: Vec<String>,
}

impl Scripts {
    pub(super) fn of(functions: &BTreeMap<String, Scripted>) -> Self {
        Self { functions: functions.clone(), seen: Mutex::default() }
    }

    /// How often a function was called.
    pub(super) fn calls(&self, function: &str) -> u32 {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let calls = seen.calls.get(function).map_or(0, Vec::len);
        u32::try_from(calls).unwrap_or(u32::MAX)
    }

    /// The calls that nothing stands for, and what stands for none.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems =
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).problems.clone();
        for (name, scripted) in &self.functions {
            let Scripted::Each(all) = scripted else { continue };
            let (all, used) = (all.len(), self.calls(name) as usize);
            if used < all {
                let left = all - used;
                problems.push(format!("function `{name}`: {left} of its {all} calls never came"));
            }
        }
        problems
    }

    /// What a function does in a call; the same when that is begun again.
    fn doing(&self, call: &Call) -> Result<Doing, String> {
        let name = call.function.as_str();
        let way = call.id.split_once('~').map_or(&*call.id, |(way, _)| way).to_owned();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let calls = seen.calls.entry(name.to_owned()).or_default();
        let at = calls.iter().position(|known| *known == way).unwrap_or_else(|| {
            calls.push(way.clone());
            calls.len() - 1
        });
        let found = match self.functions.get(name) {
            Some(Scripted::Every(doing)) => Ok(doing.clone()),
            Some(Scripted::Each(all)) => {
                let (count, all_count) = (at + 1, all.len());
                all.get(at).cloned().ok_or_else(|| {
                    format!("call {count} of function `{name}` (`{way}`): the case has {all_count}")
                })
            }
            None => Err(format!(
                "function `{name}` was called (`{way}`), and is not among the `functions` of the case"
            )),
        };
        let found = found.and_then(|doing| {
            let wrong = doing.with.as_ref().and_then(|with| subset(with, &call.with, ""));
            match wrong {
                Some(wrong) => Err(format!(
                    "call {} of function `{name}` (`{way}`): called with something else: {wrong}",
                    at + 1
                )),
                None => Ok(doing),
            }
        });
        if let Err(problem) = &found
            && !seen.problems.contains(problem)
        {
            seen.problems.push(problem.clone());
        }
        found
    }
}

impl Host for Scripts {
    /// One that the case does not have fails when it is called, which may be never.
    fn has(&self, _: &FunctionName) -> bool {
        true
    }

    fn begin(&self, call: Call, said: Sender<Said>) -> Result<Box<dyn Line>, String> {
        let Doing { asks, end, .. } = self.doing(&call)?;
        let mut talk = Talk { said, asks: asks.into(), end };
        talk.go_on();
        Ok(Box::new(talk))
    }
}

/// A call that goes on.
struct Talk {
    said: Sender<Said>,
    asks: VecDeque<(String, Value)>,
    end: Result<Value, String>,
}

impl Talk {
    fn go_on(&mut self) {
        let next = self.asks.pop_front();
        self.say(match (next, &self.end) {
            (Some((method, params)), _) => Said::Asks { method, params },
            (None, Ok(value)) => Said::Returns(value.clone()),
            (None, Err(why)) => Said::Fails(why.clone()),
        });
    }

    fn say(&self, said: Said) {
        // Nobody may wait for it any more.
        let _ = self.said.send(said);
    }
}

impl Line for Talk {
    fn tell(&mut self, told: Told) {
        match told {
            Ok(_) => self.go_on(),
            Err(why) => self.say(Said::Fails(why)),
        }
    }

    fn hang_up(&mut self) {
        self.asks.clear();
    }
}
