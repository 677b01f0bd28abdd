//! The class of a failed turn: from the typed field, then the status, then the words.

use botpipe_kernel::run::FailureClass;

use super::wire::End;
use crate::classify::{of_status, of_text};
use crate::harness::Failure;

/// What is known of a failed turn beside its end.
#[derive(Debug, Default)]
pub(super) struct Clues {
    /// The typed class of the last error put in the model's place.
    pub(super) error: Option<String>,
    /// The login's limit has been reached.
    pub(super) limited: bool,
    /// When that is over, where it was said.
    pub(super) resets_at: Option<u64>,
}

/// The class of an end that says it failed, and what it says.
pub(super) fn of(end: &End, clues: &Clues) -> Failure {
    let message = said(end);
    let class = by_field(end, clues)
        .or_else(|| end.api_error_status.and_then(of_status))
        .or_else(|| of_text(&message))
        .unwrap_or(FailureClass::Unknown);
    let limit = matches!(class, FailureClass::UsageLimit | FailureClass::RateLimited);
    Failure { class, message, again_at: clues.resets_at.filter(|_| limit) }
}

fn said(end: &End) -> String {
    let words = match &end.result {
        Some(result) if !result.trim().is_empty() => result.clone(),
        _ => end.errors.join("\n"),
    };
    match (&end.terminal_reason, words.trim()) {
        (_, words) if !words.is_empty() => words.to_owned(),
        (Some(reason), _) => format!("Claude Code ended the turn: {reason}"),
        (None, _) => format!("Claude Code ended the turn: {}", end.subtype),
    }
}

/// The class that a field names; nothing where the field covers several.
fn by_field(end: &End, clues: &Clues) -> Option<FailureClass> {
    let error = clues.error.as_deref().unwrap_or_default();
    let reason = end.terminal_reason.as_deref().unwrap_or_default();
    let stop = end.stop_reason.as_deref().unwrap_or_default();
    match end.api_error.as_deref() {
        Some("usage_limit_reached") => return Some(FailureClass::UsageLimit),
        Some("connection_failed") => return Some(FailureClass::Network),
        _ => {}
    }
    Some(match (error, reason) {
        _ if stop == "refusal" => FailureClass::Refused,
        (_, "aborted_streaming" | "aborted_tools") => FailureClass::Crashed,
        (_, "prompt_too_long") => FailureClass::ContextOverflow,
        // Bounds that its own arguments set.
        (_, "max_turns") => FailureClass::OutputLimit,
        (_, "budget_exhausted") => FailureClass::Quota,
        (_, "structured_output_retry_exhausted") => FailureClass::MalformedOutcome,
        ("rate_limit", _) if clues.limited => FailureClass::UsageLimit,
        ("rate_limit", _) => of_text(&said(end))
            .filter(|class| matches!(class, FailureClass::UsageLimit | FailureClass::Quota))
            .unwrap_or(FailureClass::RateLimited),
        ("authentication_failed" | "oauth_org_not_allowed", _) => FailureClass::Auth,
        ("billing_error", _) => FailureClass::Quota,
        ("model_not_found", _) => FailureClass::ModelNotFound,
        ("overloaded", _) => FailureClass::Overloaded,
        ("max_output_tokens", _) => FailureClass::OutputLimit,
        // Covers an overloaded service, a failing one and one out of reach: the status tells.
        ("server_error", _) => return end.api_error_status.and_then(of_status),
        _ => return None,
    })
}
