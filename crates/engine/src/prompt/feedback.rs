//! How each kind of feedback is said to the agent that has to do better.

use botpipe_kernel::run::{FailureClass, Feedback, Finding, FindingState};

use super::text::{excerpt, one_line, quoted};

const WHY_LIMIT: usize = 2_000;

/// One piece of feedback as Markdown: what was wrong, exactly, and what to do about it.
pub fn feedback_text(feedback: &Feedback) -> String {
    match feedback {
        Feedback::Outcome { why } => format!(
            "Your last answer could not be used: {}\nThe work itself was kept. Give the answer \
             again, corrected.\n",
            excerpt(why.trim(), WHY_LIMIT)
        ),
        Feedback::Artifacts { findings } => {
            let mut text = "Files owed by this step are not as they must be:\n\n".to_owned();
            for finding in findings {
                text += &finding_line(finding);
            }
            text
        }
        Feedback::Protected { paths } => format!(
            "Files that this step must leave as they are were changed: {}\nPut them back exactly \
             as they were, and do the work without them.\n",
            quoted(paths)
        ),
        Feedback::Failure { class, message } => format!(
            "The last attempt at this turn failed: {}: {}\nLook at what is already there before \
             doing anything twice.\n",
            failure_words(*class),
            one_line(message, WHY_LIMIT)
        ),
    }
}

fn finding_line(finding: &Finding) -> String {
    let Finding { artifact, path, state } = finding;
    let words = match state {
        FindingState::Good { .. } => "as it must be".to_owned(),
        FindingState::Stale { .. } => {
            "there, but not written in this visit; write it anew, even if its content stays"
                .to_owned()
        }
        FindingState::Missing => "missing; write it".to_owned(),
        FindingState::Invalid { why } => {
            format!("not valid: {}", excerpt(why.trim(), WHY_LIMIT).replace('\n', "\n  "))
        }
    };
    format!("- `{artifact}` at `{path}`: {words}\n")
}

fn failure_words(class: FailureClass) -> &'static str {
    match class {
        FailureClass::Spawn => "the agent program could not be started",
        FailureClass::Crashed => "the agent program ended with a failure",
        FailureClass::WallTimeout => "the turn took longer than it may",
        FailureClass::IdleTimeout => "nothing was heard for longer than a turn may be silent",
        FailureClass::StallTimeout => "the agent program did nothing but try again",
        FailureClass::ReplayMismatch => "the recording does not fit the request",
        FailureClass::RateLimited | FailureClass::UsageLimit | FailureClass::Quota => {
            "a limit of the account was reached"
        }
        FailureClass::Auth => "the login was not accepted",
        FailureClass::Overloaded | FailureClass::ServerError => "the model's service failed",
        FailureClass::Network => "the connection to the model broke",
        FailureClass::ContextOverflow => "the conversation no longer fitted; this is a new one",
        FailureClass::SessionLost => "the earlier conversation is gone; this is a new one",
        FailureClass::ModelNotFound | FailureClass::BadRequest => "the request was not accepted",
        FailureClass::Refused => "the work was declined",
        FailureClass::OutputLimit => "the answer was longer than it may be; answer in fewer words",
        FailureClass::Sandbox => "the sandbox does not work here",
        FailureClass::Protocol | FailureClass::Unknown => "the agent program failed",
        FailureClass::MalformedOutcome => "the answer could not be used",
    }
}
