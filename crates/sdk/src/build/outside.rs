//! Steps that run nothing and wait: for a person, a time or a signal.

use std::time::Duration;

use super::kind::{Ask, Signal, Wait};
use super::schema::WholeSchema;
use super::step::Step;
use super::tree::{Map, Node, duration, texts};

impl Step<Ask> {
    /// A question to a person, a template; the answer picks the route.
    ///
    /// ```
    /// use botpipe::build::{Step, Target};
    ///
    /// let step = Step::ask("approve", "Publish {{ artifacts.notes }}?")
    ///     .choices(["publish", "later"])
    ///     .shows(["notes"])
    ///     .route("publish", Target::Finish)
    ///     .route("done", "write");
    /// # let _ = step;
    /// ```
    pub fn ask(id: impl Into<String>, question: impl Into<String>) -> Self {
        Self::of(id, "ask", question.into())
    }

    /// The only answers accepted.
    pub fn choices(self, choices: impl IntoIterator<Item: Into<String>>) -> Self {
        self.put("choices", Node::List(texts(choices).collect()))
    }

    /// What the answer has to fit, where there are no choices.
    pub fn answer(self, schema: impl Into<WholeSchema>) -> Self {
        self.put("answer", schema.into())
    }

    /// Artifacts the question is about: an answer counts for what was shown.
    pub fn shows(self, artifacts: impl IntoIterator<Item: Into<String>>) -> Self {
        self.more("shows", texts(artifacts))
    }
}

impl Step<Wait> {
    /// Waits that long.
    pub fn wait_for(id: impl Into<String>, span: Duration) -> Self {
        Self::of(id, "wait", Map::of("for", duration(span)))
    }

    /// Waits until a moment, a template: `2026-12-01T09:00:00Z`, or seconds since 1970.
    pub fn wait_until(id: impl Into<String>, moment: impl Into<String>) -> Self {
        Self::of(id, "wait", Map::of("until", moment.into()))
    }
}

impl Step<Signal> {
    /// Waits for a signal.
    pub fn wait_signal(id: impl Into<String>, name: impl Into<String>) -> Self {
        Self::of(id, "wait", Map::of("signal", name.into()))
    }

    /// How long it is waited for; then the route is `timed_out`.
    pub fn timeout(mut self, longest: Duration) -> Self {
        self.keys.set_below("wait", "timeout", duration(longest));
        self
    }
}
