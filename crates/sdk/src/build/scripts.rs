//! Steps that run no agent: `run` and `validate`.

use super::artifact::Write;
use super::kind::{Run, Validate};
use super::step::Step;
use super::tree::Map;

impl Step<Run> {
    /// A shell command, a template; its exit code or printed outcome picks the route.
    pub fn run(id: impl Into<String>, command: impl Into<String>) -> Self {
        Self::of(id, "run", command.into())
    }
}

impl Step<Validate> {
    /// A shell command that judges an artifact. When it is invalid, what was printed is written to
    /// `feedback`, and the run goes back to the step that writes the artifact.
    ///
    /// ```
    /// use botpipe::build::{Artifact, Step};
    ///
    /// let check = "python3 scripts/check_plan.py {{ artifacts.plan }}";
    /// let step = Step::validate("check_plan", check, "plan", ("problems", Artifact::md("problems.md")));
    /// # let _ = step;
    /// ```
    pub fn validate(
        id: impl Into<String>,
        command: impl Into<String>,
        validates: impl Into<String>,
        feedback: impl Into<Write>,
    ) -> Self {
        Self::of(id, "validate", Map::of("run", command.into()))
            .put("validates", validates.into())
            .put("feedback", feedback.into())
    }
}
