//! Steps that wait for a person, a time or a signal: what they ask, and until when.

use botpipe_kernel::ids::{ArtifactName, VisitId};
use botpipe_kernel::plan::{WaitFor, Work};
use botpipe_kernel::run::Input;
use jiff::Timestamp;

use super::{Trouble, hold};
use crate::driver::{Driver, now};

/// Renders a step's question, and looks at what it shows.
pub(super) fn pose(
    driver: &mut Driver<'_>,
    visit: VisitId,
    changed: &[ArtifactName],
) -> Result<Input, Trouble> {
    let step = driver.current_step()?;
    let Work::Ask { ask } = &step.work else {
        return Err(Trouble::Stuck { message: format!("step `{}` asks nothing", step.id) });
    };
    let what = format!("question of step `{}`", step.id);
    let mut text = driver.render(&ask.question, &what)?.trim().to_owned();
    if text.is_empty() {
        return Err(Trouble::Stuck { message: format!("the {what} is empty") });
    }
    let mut findings = Vec::with_capacity(ask.shows.len());
    for name in &ask.shows {
        findings.push(driver.find(name, None)?);
    }
    let paths = findings.iter().filter(|finding| changed.contains(&finding.artifact));
    let paths: Vec<_> = paths.map(|finding| format!("`{}`", finding.path)).collect();
    if !paths.is_empty() {
        text = format!("(Asked again: {} changed since.) {text}", paths.join(", "));
    }
    let text = driver.desk.redactor.redact(&text).into_owned();
    let until = ask.timeout_ms.map(|ms| now().saturating_add(ms));
    Ok(Input::Posed { visit, text, findings, until })
}

/// Finds out until when a step waits.
pub(super) fn arm(driver: &mut Driver<'_>, visit: VisitId) -> Result<Input, Trouble> {
    let step = driver.current_step()?;
    let until = match &step.work {
        Work::Wait { until: WaitFor::Span { ms } } => Some(now().saturating_add(*ms)),
        Work::Wait { until: WaitFor::Moment { at } } => {
            let what = format!("`until` of step `{}`", step.id);
            let text = driver.render(at, &what)?;
            let moment = moment(&text);
            Some(moment.map_err(|why| Trouble::Stuck { message: format!("{what}: {why}") })?)
        }
        Work::Wait { until: WaitFor::Signal { timeout_ms, .. } } => {
            timeout_ms.map(|ms| now().saturating_add(ms))
        }
        _ => return Err(Trouble::Stuck { message: format!("step `{}` waits not", step.id) }),
    };
    Ok(Input::Armed { visit, until })
}

/// Waits for a step's time.
pub(super) fn await_due(
    driver: &mut Driver<'_>,
    visit: VisitId,
    until: u64,
) -> Result<Input, Trouble> {
    hold::wait_until(driver, until)?;
    Ok(Input::Due { visit })
}

/// A moment as authors write it, in milliseconds since the epoch.
fn moment(text: &str) -> Result<u64, String> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Ok(seconds.saturating_mul(1000));
    }
    let parsed = text.parse::<Timestamp>().map_err(|error| {
        format!(
            "`{text}` is no moment; write one as `2026-12-01T09:00:00Z` (or with an offset such as \
             `+01:00`), or as whole seconds since 1970: {error}"
        )
    })?;
    Ok(u64::try_from(parsed.as_millisecond()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_read_with_its_offset_or_as_seconds() {
        let noon = 1_795_867_200_000;
        for text in ["2026-11-28T12:00:00Z", " 2026-11-28T13:00:00+01:00\n", "1795867200"] {
            assert_eq!(moment(text), Ok(noon), "{text}");
        }
        assert_eq!(moment("1960-01-01T00:00:00Z"), Ok(0), "long over");
        for text in ["", "tomorrow", "2026-11-28", "2026-11-28T12:00:00", "-5", "12:00"] {
            assert!(moment(text).is_err(), "{text}");
        }
    }
}
