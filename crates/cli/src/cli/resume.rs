//! `botpipe resume`: takes a run up where it stands.

use botpipe_engine::request::ResumeRequest;
use botpipe_kernel::ids::StepId;
use botpipe_kernel::run::Raise;

use super::detach::{Detach, Ground};
use super::options::{Speech, Which};
use crate::term::budget;
use crate::term::failure::Failure;

/// Take up a run that was stopped, or whose owner died
///
/// Everything that was recorded stands: a finished turn is never asked again. A run that waits for an
/// answer, or is over, stays as it is.
///
/// Examples:
///   botpipe resume ralph_loop csv-export
///   botpipe resume ralph_loop csv-export --max-visits implement=12
///   botpipe resume ralph_loop csv-export --budget usd=10
///   botpipe resume ralph_loop csv-export --budget implement:turns=40
///   botpipe resume ralph_loop csv-export --detach
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// Raise the run's bound of steps
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_steps: Option<u32>,
    /// Raise a step's bound of visits; may be given again
    #[arg(long, value_name = "STEP=N", value_parser = step_bound)]
    max_visits: Vec<(StepId, u32)>,
    /// Raise what the run may spend in all: usd=5.50, tokens=2000000, turns=40, wall=2h; with a step's
    /// id before it, what that step may spend (each item of it)
    #[arg(long, value_name = "[STEP:]KIND=AMOUNT", value_parser = budget::read_of)]
    budget: Vec<budget::Of>,
    #[command(flatten)]
    detach: Detach,
    #[command(flatten)]
    speech: Speech,
}

impl Args {
    pub(super) fn json(&self) -> bool {
        self.speech.json.json
    }

    pub(super) fn run(self) -> Result<u8, Failure> {
        let (workspace, named) = (self.which.workspace.path(), self.which.run_id.is_some());
        let ground = self.detach.begin(self.speech, workspace, named)?;
        if let Ground::Elsewhere(code) = ground {
            return Ok(code);
        }
        let which = self.which.run()?;
        let engine = self.which.workspace.engine()?;
        let max_visits = self.max_visits.into_iter().collect();
        let (budget, step_budgets) = budget::sorted(self.budget);
        let raise = Raise { max_steps: self.max_steps, max_visits, budget, step_budgets };
        let request = ResumeRequest { raise };
        ground.go(&engine, self.speech, workspace, Some(&which), |progress, stop| {
            engine.resume(&which, &request, progress, stop)
        })
    }
}

fn step_bound(text: &str) -> Result<(StepId, u32), String> {
    let (step, n) = text.split_once('=').ok_or("write STEP=N, as in implement=12")?;
    let step = step.parse().map_err(|error| format!("{error}"))?;
    match n.parse() {
        Ok(n) if n > 0 => Ok((step, n)),
        _ => Err(format!("`{n}` is no number of visits")),
    }
}
