//! Waiting for a time: how long a failure is waited out, and the waiting itself.

use std::time::Duration;

use botpipe_kernel::plan::OnLimit;
use botpipe_kernel::run::{FailureClass, Hold, Input, Remedy};
use botpipe_providers::Failure;

use super::Trouble;
use crate::driver::{Driver, now};
use crate::limits::{Limit, Login};

/// Waits for a hold to be over.
pub(super) fn await_time(driver: &mut Driver<'_>, until: u64) -> Result<Input, Trouble> {
    wait_until(driver, until)?;
    Ok(Input::TimeCame)
}

/// Waits until a time of the wall clock, however that is set meanwhile; hears what is asked for.
pub(super) fn wait_until(driver: &mut Driver<'_>, until: u64) -> Result<(), Trouble> {
    loop {
        driver.hear_people().map_err(Trouble::Fatal)?;
        let left = until.saturating_sub(now());
        if left == 0 {
            return Ok(());
        }
        let patience = Duration::from_millis(left).min(LOOK_AGAIN);
        if driver.stop.wait(patience).is_some() {
            return Err(Trouble::Stopped);
        }
    }
}

/// What holds a turn before it starts: a limit that another turn met.
pub(super) fn of_login(login: &Login) -> Option<Hold> {
    login.held(now()).map(|limit| Hold {
        class: limit.class,
        message: limit.message,
        since: now(),
        until: limit.until,
        login: Some(limit.login),
        on_limit: OnLimit::Wait,
    })
}

/// The pause after a failure, if its class has one; a limit of the account is noted for all runs.
/// `failed` counts the attempts that failed before this one.
pub(super) fn after(failure: &Failure, failed: u32, login: &Login) -> Option<Hold> {
    let since = now();
    let told =
        failure.again_at.map(|seconds| seconds.saturating_mul(1000)).filter(|at| *at > since);
    let (until, held) = match failure.class.remedy() {
        Remedy::Later => (told.unwrap_or(since + growing(failure.class, failed)), None),
        Remedy::Wait => (told.unwrap_or(since + UNTOLD), Some(login.words().to_owned())),
        Remedy::Again | Remedy::Afresh | Remedy::Stop => return None,
    };
    let (class, message) = (failure.class, failure.message.clone());
    if let Some(words) = &held {
        let limit = Limit { login: words.clone(), class, message: message.clone(), since, until };
        // Without the note this run still waits, and others meet the limit themselves.
        drop(login.hold(&limit));
    }
    Some(Hold { class, message, since, until, login: held, on_limit: OnLimit::Wait })
}

/// Milliseconds of a pause that triples with every attempt.
fn growing(class: FailureClass, failed: u32) -> u64 {
    let first = if class == FailureClass::RateLimited { 10_000 } else { 2_000 };
    3_u64.saturating_pow(failed).saturating_mul(first).min(LONGEST)
}

/// How long a pause between attempts gets at most, in milliseconds.
const LONGEST: u64 = 5 * 60 * 1000;
/// How long a limit is waited for when nobody said until when, in milliseconds.
const UNTOLD: u64 = 30 * 60 * 1000;
/// A machine may sleep, its clock may be set, and people may say something.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
