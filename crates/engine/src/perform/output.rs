//! What a run gives back, evaluated when it is led to FINISH.

use botpipe_kernel::plan::OutputSource;
use botpipe_kernel::run::{FindingState, Input};
use serde_json::{Map, Value};

use super::Trouble;
use crate::driver::Driver;
use crate::plain;
use crate::workspace::artifacts::MAX_BYTES;

/// Evaluates the run's output and holds it against its schema.
pub(super) fn output(driver: &mut Driver<'_>) -> Result<Input, Trouble> {
    let Some(output) = driver.run.plan.output.clone() else {
        return Err(Trouble::Stuck { message: "the plan has no output".to_owned() });
    };
    let value = match &output.from {
        OutputSource::Values(values) => {
            let roots = driver.roots()?;
            let mut object = Map::new();
            for (key, expression) in values {
                let text = driver.plan_text(expression)?;
                let what = format!("`{key}` of the output");
                let value = driver.desk.templates.value(&what, &text, &roots);
                object.insert(key.clone(), value.map_err(Trouble::stuck)?);
            }
            Value::Object(object)
        }
        OutputSource::Artifact(name) => {
            let finding = driver.find(name, None)?;
            let wrong = |why: &str| Trouble::Stuck {
                message: format!("the output: artifact `{name}` ({}) {why}", finding.path),
            };
            match &finding.state {
                FindingState::Good { .. } | FindingState::Stale { .. } => {}
                FindingState::Missing => return Err(wrong("does not exist")),
                FindingState::Invalid { why } => return Err(wrong(why)),
            }
            let place = driver.artifact_place(name)?;
            let bytes = plain::read(&place.absolute, MAX_BYTES)
                .map_err(|error| wrong(&format!("cannot be read: {error}")))?;
            serde_json::from_slice(&bytes)
                .map_err(|error| wrong(&format!("is not JSON: {error}")))?
        }
    };
    if let Some(schema) = &output.schema {
        let schema = driver.plan_text(schema)?;
        if let Err(why) = driver.desk.schemas.validate(&schema, &value) {
            let message = format!("the output does not fit its schema: {why}");
            return Err(Trouble::Stuck { message });
        }
    }
    let text = driver.desk.redactor.redact(&value.to_string()).into_owned();
    Ok(Input::OutputReady { value: driver.keep(&text)? })
}
