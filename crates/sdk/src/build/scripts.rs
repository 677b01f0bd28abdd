//! Steps that run no agent: `run`, `call` and `validate`.

use super::artifact::Write;
use super::code::Code;
use super::kind::{Call, Run, Validate};
use super::step::Step;

impl Step<Run> {
    /// A shell command, a template; its exit code or printed outcome picks the route.
    pub fn run(id: impl Into<String>, command: impl Into<String>) -> Self {
        Self::of(id, "run", command.into())
    }
}

impl Step<Call> {
    /// A function of the host; what it returns picks the route.
    pub fn call(id: impl Into<String>, function: impl Into<String>) -> Self {
        Self::of(id, "call", function.into())
    }
}

impl Step<Validate> {
    /// Code that judges an artifact. When it is invalid, what is said of it is written to `feedback`, and the
    /// run goes back to the step that writes the artifact.
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
        code: impl Into<Code>,
        validates: impl Into<String>,
        feedback: impl Into<Write>,
    ) -> Self {
        Self::of(id, "validate", code.into())
            .put("validates", validates.into())
            .put("feedback", feedback.into())
    }
}
