//! What to do about a run that stands still, in a sentence for each cause.

use botpipe_kernel::run::{FailureClass, Provider, Stop};

/// What a person does about it before the run goes on.
pub(super) fn of_stop(stop: &Stop, provider: Option<&Provider>) -> String {
    match stop {
        Stop::MaxSteps { .. } | Stop::MaxVisits { .. } => {
            "see in `logs` why it went round so often; raise the bound to go on".to_owned()
        }
        Stop::Budget { .. } | Stop::StepBudget { .. } => {
            "see in `cost` what it was spent on; raise the budget to go on".to_owned()
        }
        Stop::Policy { .. } => {
            "make what enforces the policy work here, or permit more in the workflow and start it \
             anew; `doctor` tells what works"
                .to_owned()
        }
        Stop::Signal { signal } => {
            format!("somebody ended its owner with signal {signal}; resume it whenever you like")
        }
        Stop::Error { .. } => "mend what the message names, then resume".to_owned(),
        Stop::Provider { class, .. } => of_class(*class, provider),
    }
}

fn of_class(class: FailureClass, provider: Option<&Provider>) -> String {
    let text = match class {
        FailureClass::Spawn => "see that the agent's program can be started, then resume",
        FailureClass::Crashed => {
            "see in `logs --raw` how the agent's program ended, mend it, then resume"
        }
        FailureClass::WallTimeout | FailureClass::IdleTimeout => {
            "see in `logs --raw` what it was at; resume to ask again, or set a longer `timeout` in the \
             workflow and start it anew"
        }
        FailureClass::StallTimeout | FailureClass::Network => {
            "see that the service can be reached from here, then resume"
        }
        FailureClass::ReplayMismatch => {
            "the workflow or its input is not what was recorded: run it anew with `--loose` to play \
             the recording all the same, or record it again"
        }
        FailureClass::Auth => return login(provider),
        FailureClass::RateLimited | FailureClass::Overloaded | FailureClass::ServerError => {
            "the service was tried as often as the step allows; resume later"
        }
        FailureClass::UsageLimit => {
            "resume when the limit is over; `--on-limit wait` waits by itself"
        }
        FailureClass::Quota => "pay for more, or use another login, then resume",
        FailureClass::ContextOverflow => {
            "even a new conversation does not fit into the model: make the step's prompt or its files \
             smaller, or choose a model with more room, and start it anew"
        }
        FailureClass::ModelNotFound => {
            "name a model that this login may use (`--model`, `provider.model`), and start it anew"
        }
        FailureClass::BadRequest => {
            "the service refuses the request's form: see the message; another model or version of the \
             harness may take it"
        }
        FailureClass::Refused => {
            "the model declined: see what it said in `logs --raw`, say the task differently, and start \
             it anew; or resume to ask once more"
        }
        FailureClass::OutputLimit => "ask for less at once: split the step, and start it anew",
        FailureClass::Sandbox => {
            "make the harness's sandbox work here (`doctor` tells), then resume"
        }
        FailureClass::SessionLost => "resume: it goes on in a new conversation",
        FailureClass::Protocol => {
            "the program does not speak its protocol: see in `logs --raw` what it printed; another \
             version may"
        }
        FailureClass::MalformedOutcome => {
            "see in `logs --trace` what was asked and answered; resume to ask once more, or make the \
             step's prompt clearer and start it anew"
        }
        FailureClass::Unknown => "see the message and `logs --raw`; resume to ask once more",
    };
    text.to_owned()
}

/// How to log in to the agent of the run.
fn login(provider: Option<&Provider>) -> String {
    let how = match provider {
        Some(Provider::Codex(_)) => "`codex login`, or set `CODEX_API_KEY`",
        Some(Provider::Claude(_)) => "`claude` and `/login`, or set `ANTHROPIC_API_KEY`",
        Some(Provider::Acp(_) | Provider::Command { .. } | Provider::Replay { .. }) | None => {
            "as the agent says"
        }
    };
    format!("log in ({how}), then resume")
}
