//! All attempts, by every caller and with every network: first without a sandbox, then in it.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Mutex;
use std::thread;

use super::Error;
use super::adapter::{Adapter, Caller, Network};
use super::attempt::{Attempt, Needs, Only};
use super::trial::{Seen, once};

/// How often a race is run.
pub const WATCHED: usize = 25;

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It succeeds without a sandbox, and not in it.
    Blocked,
    /// The sandbox refused to start, as it may for this one.
    Refused,
    /// It succeeds in the sandbox too.
    Escaped,
    /// The same, and it is known and declared.
    Gap,
    /// A race: so many of so many times it succeeded.
    Rate(usize, usize),
    /// It does not even succeed without a sandbox.
    ProvesNothing,
    /// What must work works.
    Works,
    /// What must work does not.
    Broken,
    /// The sandbox did not start the command, so nothing is known.
    NotStarted,
    /// Without a sandbox it was seen to succeed; there was no sandbox to try.
    Bare,
}

/// An attempt and what came of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its topic.
    pub topic: String,
    /// Its name.
    pub name: String,
    /// Who made it.
    pub caller: Caller,
    /// With which network; none where it was only made bare.
    pub network: Option<Network>,
    /// What came of it.
    pub verdict: Verdict,
    /// The end of what it said.
    pub said: String,
}

/// Everything that was seen.
#[derive(Debug)]
pub struct Proof {
    /// How many attempts there are.
    pub attempts: usize,
    /// In the order of the attempts.
    pub outcomes: Vec<Outcome>,
}

/// One piece of work.
struct Job<'a> {
    order: usize,
    attempt: &'a Attempt,
    caller: Caller,
}

/// Makes the attempts, two at a time, on grounds below `base`.
pub fn prove(
    attempts: &[Attempt],
    adapter: &Adapter,
    callers: &[Caller],
    base: &Path,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<Proof, Error> {
    let mut jobs = VecDeque::new();
    for caller in callers {
        for attempt in attempts {
            let fits = match attempt.needs {
                None => true,
                Some(Needs::Root) => caller.is_root(),
                Some(Needs::User) => !caller.is_root(),
            };
            if fits
                && (attempt.only != Some(Only::Sandbox) || matches!(adapter, Adapter::Botpipe(_)))
            {
                jobs.push_back(Job { order: jobs.len(), attempt, caller: *caller });
            }
        }
    }
    let (jobs, found) = (Mutex::new(jobs), Mutex::new(Vec::new()));
    let work = || -> Result<(), Error> {
        while let Some(job) = jobs.lock().ok().and_then(|mut jobs| jobs.pop_front()) {
            for outcome in judged(&job, adapter, base)? {
                let network = outcome.network.map(|it| format!(", {it}")).unwrap_or_default();
                tell(&format!(
                    "{:?}: {} / {} ({}{network}) {}",
                    outcome.verdict, outcome.topic, outcome.name, outcome.caller, outcome.said
                ));
                if let Ok(mut found) = found.lock() {
                    found.push((job.order, outcome));
                }
            }
        }
        Ok(())
    };
    thread::scope(|scope| {
        let other = scope.spawn(work);
        let mine = work();
        let theirs = other.join().unwrap_or(Ok(()));
        mine.and(theirs)
    })?;
    let mut outcomes = found.into_inner().unwrap_or_default();
    outcomes.sort_by_key(|it| it.0);
    Ok(Proof { attempts: attempts.len(), outcomes: outcomes.into_iter().map(|it| it.1).collect() })
}

/// Bare, then in the sandbox with each network.
fn judged(job: &Job<'_>, adapter: &Adapter, base: &Path) -> Result<Vec<Outcome>, Error> {
    let Job { attempt, caller, .. } = *job;
    let outcome = |network, verdict, said: String| Outcome {
        topic: attempt.topic.clone(),
        name: attempt.name.clone(),
        caller,
        network,
        verdict,
        said,
    };
    if attempt.only != Some(Only::Sandbox) {
        let mut bare = once(attempt, &Adapter::Bare, caller, Network::None, base)?;
        // A race can be lost without a sandbox too.
        for _ in 0..if attempt.watch { 5 } else { 0 } {
            if !bare.succeeded {
                bare = once(attempt, &Adapter::Bare, caller, Network::None, base)?;
            }
        }
        if !bare.succeeded {
            let said = bare.unprepared.unwrap_or(bare.said);
            return Ok(vec![outcome(None, Verdict::ProvesNothing, said)]);
        }
    }
    if matches!(adapter, Adapter::Bare) {
        return Ok(vec![outcome(None, Verdict::Bare, String::new())]);
    }
    let networks: &[Network] = if attempt.is_limited() {
        &[Network::Limited]
    } else if attempt.watch {
        &[Network::None]
    } else {
        &[Network::None, Network::Limited]
    };
    let mut outcomes = Vec::new();
    for network in networks {
        let try_once = || once(attempt, adapter, caller, *network, base);
        if attempt.watch {
            let mut escaped = 0;
            let mut began = true;
            for _ in 0..WATCHED {
                let seen = try_once()?;
                escaped += usize::from(seen.succeeded);
                began &= seen.began;
            }
            let verdict = if began { Verdict::Rate(escaped, WATCHED) } else { Verdict::NotStarted };
            outcomes.push(outcome(Some(*network), verdict, String::new()));
        } else {
            let seen = try_once()?;
            let verdict = verdict(attempt, &seen);
            let code = seen.code.map(|code| format!("[{code}] ")).unwrap_or_default();
            let gap = attempt.gap.clone().filter(|_| verdict == Verdict::Gap);
            let code = gap.map_or(code, |why| format!("{why} "));
            outcomes.push(outcome(Some(*network), verdict, code + &seen.said));
        }
    }
    Ok(outcomes)
}

fn verdict(attempt: &Attempt, seen: &Seen) -> Verdict {
    match (attempt.is_function(), seen.succeeded, seen.began) {
        (true, true, _) => Verdict::Works,
        (true, false, _) => Verdict::Broken,
        (false, true, _) if attempt.gap.is_some() => Verdict::Gap,
        (false, true, _) => Verdict::Escaped,
        (false, false, true) => Verdict::Blocked,
        (false, false, false) if attempt.may_refuse => Verdict::Refused,
        (false, false, false) => Verdict::NotStarted,
    }
}
