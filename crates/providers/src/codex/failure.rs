//! What Codex says went wrong, as a class: by its typed field, then by a status, then by its words.

use botpipe_kernel::run::FailureClass;
use serde_json::Value;

use crate::classify;
use crate::harness::Failure;

/// The failure of a turn. `resets_at`: when the account's limit is over, where it was told.
///
/// # Shape
/// `{"message":"…","codexErrorInfo":"usageLimitExceeded" | {"httpConnectionFailed":{"httpStatusCode":401}} | …}`
pub(super) fn of_turn(error: &Value, resets_at: Option<u64>) -> Failure {
    let message = error["message"].as_str().unwrap_or("the turn failed without a word").to_owned();
    let details = error["additionalDetails"].as_str().unwrap_or_default();
    let class = of_info(&error["codexErrorInfo"])
        // Both a used-up period and used-up credit come as `usageLimitExceeded`.
        .map(|class| match (class, classify::of_text(&message)) {
            (FailureClass::UsageLimit, Some(FailureClass::Quota)) => FailureClass::Quota,
            _ => class,
        })
        .or_else(|| classify::of_text(&message))
        .or_else(|| classify::of_text(details))
        .unwrap_or(FailureClass::Unknown);
    let again_at = resets_at.filter(|_| class == FailureClass::UsageLimit);
    Failure { class, message, again_at }
}

/// The failure of a request of ours, before any turn: `{"code":-32600,"message":"…"}`.
pub(super) fn of_request(what: &str, error: &Value) -> Failure {
    let message = error["message"].as_str().unwrap_or_default();
    let class = classify::of_text(message).unwrap_or(FailureClass::Protocol);
    Failure::new(class, format!("codex refused `{what}`: {message}"))
}

/// `None` for what says nothing, and for words this version does not know.
fn of_info(info: &Value) -> Option<FailureClass> {
    let (word, status) = match info {
        Value::String(word) => (word.as_str(), None),
        Value::Object(fields) => {
            let (word, detail) = fields.iter().next()?;
            let status = detail["httpStatusCode"].as_u64();
            (word.as_str(), status.and_then(|status| u16::try_from(status).ok()))
        }
        _ => return None,
    };
    Some(match word {
        "usageLimitExceeded" => FailureClass::UsageLimit,
        "sessionBudgetExceeded" => FailureClass::Quota,
        "rateLimitExceeded" => FailureClass::RateLimited,
        "serverOverloaded" | "flexUnavailable" | "policyCapacityUnavailable" => {
            FailureClass::Overloaded
        }
        "internalServerError" => FailureClass::ServerError,
        "contextWindowExceeded" => FailureClass::ContextOverflow,
        "modelNotFound" => FailureClass::ModelNotFound,
        "unauthorized" => FailureClass::Auth,
        "badRequest" => FailureClass::BadRequest,
        "sandboxError" => FailureClass::Sandbox,
        "cyberPolicy"
        | "misalignmentPolicyViolation"
        | "inferenceHookDenied"
        | "tooManyDenials" => FailureClass::Refused,
        "httpConnectionFailed"
        | "responseStreamConnectionFailed"
        | "responseStreamDisconnected"
        | "responseTooManyFailedAttempts" => {
            status.and_then(classify::of_status).unwrap_or(FailureClass::Network)
        }
        _ => return None,
    })
}
