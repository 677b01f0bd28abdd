//! JSON Schemas, compiled once; what breaks one is said in words an agent can act on.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use jsonschema::{ValidationError, Validator};
use serde_json::Value;

use super::text::one_line;

const ERRORS_SHOWN: usize = 5;
const ERROR_LIMIT: usize = 300;

/// Compiled schemas by their text.
#[derive(Default)]
pub struct Validators {
    compiled: Mutex<HashMap<String, Arc<Validator>>>,
}

impl fmt::Debug for Validators {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Validators").finish_non_exhaustive()
    }
}

impl Validators {
    /// Whether `value` fits the schema; the error names each place that does not, five at most.
    ///
    /// # Errors
    /// Also when the schema itself is none.
    pub fn validate(&self, schema: &str, value: &Value) -> Result<(), String> {
        problems(&*self.validator(schema)?, value)
    }

    /// The validator of a schema's text, compiled when first asked for.
    pub fn validator(&self, schema: &str) -> Result<Arc<Validator>, String> {
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(validator) = compiled.get(schema) {
            return Ok(Arc::clone(validator));
        }
        let parsed: Value =
            serde_json::from_str(schema).map_err(|e| format!("the schema is no JSON: {e}"))?;
        let validator = Arc::new(compile(&parsed)?);
        compiled.insert(schema.to_owned(), Arc::clone(&validator));
        Ok(validator)
    }
}

/// A schema ready for use; it may fetch nothing.
pub(super) fn compile(schema: &Value) -> Result<Validator, String> {
    jsonschema::options()
        .offline()
        .build(schema)
        .map_err(|e| format!("the schema is not usable: {}", one_line(&e.to_string(), ERROR_LIMIT)))
}

/// All that keeps `value` from fitting, as one line.
pub(super) fn problems(validator: &Validator, value: &Value) -> Result<(), String> {
    let mut lines: Vec<String> =
        validator.iter_errors(value).take(ERRORS_SHOWN + 1).map(|e| place_and_reason(&e)).collect();
    if lines.is_empty() {
        return Ok(());
    }
    if lines.len() > ERRORS_SHOWN {
        lines.truncate(ERRORS_SHOWN);
        lines.push("and more".to_owned());
    }
    Err(lines.join("; "))
}

fn place_and_reason(error: &ValidationError<'_>) -> String {
    let place = error.instance_path().as_str();
    let reason = reason(error);
    if place.is_empty() { reason } else { format!("at `{place}`: {reason}") }
}

/// What is wrong, without the place.
pub(super) fn reason(error: &ValidationError<'_>) -> String {
    one_line(&error.to_string(), ERROR_LIMIT)
}
