//! A step that validates: what its script printed becomes the feedback artifact.

use std::borrow::Cow;

use botpipe_kernel::plan::{Format, Plan, Route, Step, Work};
use botpipe_kernel::run::FindingState;
use serde_json::{Map, Value};

use super::Trouble;
use crate::driver::Driver;
use crate::process::Ended;
use crate::prompt::{Envelope, OutcomeRoot};
use crate::workspace::{Error, files};

const VALID: &str = "valid";
const INVALID: &str = "invalid";

/// What a script said: its standard output, and for feedback that people read its errors as well.
pub(super) fn printed<'e>(plan: &Plan, step: &Step, ended: &'e Ended) -> Cow<'e, str> {
    let (out, err) = (&ended.stdout.text, &ended.stderr.text);
    match &step.work {
        Work::Validate { feedback, .. } if is_prose(plan, feedback) && !err.is_empty() => {
            let between = if out.is_empty() || out.ends_with('\n') { "" } else { "\n" };
            Cow::Owned(format!("{out}{between}{err}"))
        }
        _ => Cow::Borrowed(out),
    }
}

fn is_prose(plan: &Plan, name: &botpipe_kernel::ids::ArtifactName) -> bool {
    let format = plan.artifacts.get(name).map(|artifact| artifact.format);
    matches!(format, Some(Format::Md | Format::Text))
}

/// The outcome of a validator's exit code. When it found the artifact invalid, what it printed is
/// written where the feedback belongs.
///
/// # Order
/// Its end is on the disk before the file is written; so written twice, the file is the same.
pub(super) fn verdict(
    driver: &mut Driver<'_>,
    step: &Step,
    text: &str,
    exit: i32,
) -> Result<Result<Envelope, String>, Trouble> {
    let outcome =
        |tag: &str, payload| Envelope { tag: tag.to_owned(), payload, fields: Map::new() };
    let Work::Validate { feedback, .. } = &step.work else {
        return Ok(Err("the step validates nothing".to_owned()));
    };
    if exit == 0 {
        return Ok(Ok(outcome(VALID, Value::Null)));
    }
    let words = if text.trim().is_empty() && is_prose(&driver.run.plan, feedback) {
        format!(
            "The command of step `{}` ended with exit code {exit} and printed nothing.\n",
            step.id
        )
    } else {
        text.to_owned()
    };
    let place = driver.artifact_place(feedback)?;
    driver.append().map_err(Trouble::Fatal)?;
    let written = files::place(&place.absolute, words.as_bytes());
    written.map_err(Error::io("write the feedback to", &place.absolute))?;
    let finding = driver.find(feedback, None)?;
    Ok(match finding.state {
        FindingState::Invalid { why } => {
            Err(format!("the feedback `{feedback}` ({}) is not valid: {why}", finding.path))
        }
        FindingState::Good { .. } | FindingState::Stale { .. } | FindingState::Missing => {
            Ok(outcome(INVALID, Value::String(words)))
        }
    })
}

/// What the step that makes the artifact again is told, where the route has no handoff of its own.
pub(super) fn handoff(
    driver: &mut Driver<'_>,
    step: &Step,
    route: &Route,
    outcome: &OutcomeRoot,
) -> Result<Option<String>, Trouble> {
    let Work::Validate { validates, feedback, .. } = &step.work else { return Ok(None) };
    if outcome.tag != INVALID || route.handoff.is_some() {
        return Ok(None);
    }
    let (judged, place) = (driver.artifact_place(validates)?, driver.artifact_place(feedback)?);
    let said = outcome.payload.as_str().unwrap_or_default();
    Ok(Some(format!(
        "`{}` ({validates}) was found invalid by step `{}`.\n\n{}\n\nRead `{}` ({feedback}).",
        judged.relative,
        step.id,
        said.trim_end(),
        place.relative
    )))
}
