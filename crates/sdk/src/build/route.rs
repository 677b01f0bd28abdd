//! Routes: a step's named exits, where they lead and what they oblige to.

use botpipe_kernel::plan::Visibility;
use botpipe_kernel::run::Verdict;

use super::code::Code;
use super::output::Expression;
use super::schema::{Shape, WholeSchema};
use super::tree::{Map, Node, texts, word};

/// Where a route leads.
///
/// A text is read as in a file: `SELF`, `FINISH`, `FAIL` and `AWAIT_INPUT` are these, any other is a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Back into the step.
    SelfStep,
    /// The run ends.
    Finish,
    /// The run ends, and its work is rejected.
    Fail,
    /// A person is asked, and the answer comes back to the step.
    AwaitInput,
    /// Another step.
    Step(String),
}

impl From<&str> for Target {
    fn from(text: &str) -> Self {
        match text {
            "SELF" => Self::SelfStep,
            "FINISH" => Self::Finish,
            "FAIL" => Self::Fail,
            "AWAIT_INPUT" => Self::AwaitInput,
            step => Self::Step(step.to_owned()),
        }
    }
}

impl From<String> for Target {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<Target> for Node {
    fn from(target: Target) -> Self {
        Self::Text(match target {
            Target::SelfStep => "SELF".to_owned(),
            Target::Finish => "FINISH".to_owned(),
            Target::Fail => "FAIL".to_owned(),
            Target::AwaitInput => "AWAIT_INPUT".to_owned(),
            Target::Step(step) => step,
        })
    }
}

/// A route of a step. A [`Target`], or its text, is a route that only leads there.
///
/// ```
/// use botpipe::build::{Route, Target};
///
/// let accepted = Route::complete_and_advance(Target::SelfStep, Target::Finish)
///     .required_writes(["review"])
///     .required_checks(["tests"]);
/// let again = Route::to("plan").when("state.round < 3").set("state.round", "state.round + 1");
/// # let _ = (accepted, again);
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Route {
    keys: Map,
}

impl Route {
    /// Leads there.
    pub fn to(target: impl Into<Target>) -> Self {
        Self::form("to", target)
    }

    /// Completes the current item and leads to `next` with the first open one; `exhausted` is where it
    /// leads when none is left.
    pub fn complete_and_advance(next: impl Into<Target>, exhausted: impl Into<Target>) -> Self {
        Self::form("complete_and_advance", next).exhausted(exhausted)
    }

    /// Leaves the current item as it is and leads to `next` with the next open one after it.
    pub fn advance(next: impl Into<Target>, exhausted: impl Into<Target>) -> Self {
        Self::form("advance", next).exhausted(exhausted)
    }

    /// Reads the worklist again and leads to `next`, or to `exhausted` where no item is open.
    pub fn refresh(next: impl Into<Target>, exhausted: impl Into<Target>) -> Self {
        Self::form("refresh", next).exhausted(exhausted)
    }

    /// Completes the current item, which stays the current one.
    pub fn complete_current(next: impl Into<Target>) -> Self {
        Self::form("complete_current", next)
    }

    /// Opens the current item again.
    pub fn reset(next: impl Into<Target>) -> Self {
        Self::form("reset", next)
    }

    /// Artifacts it obliges to, instead of all that are `required`.
    pub fn required_writes(mut self, artifacts: impl IntoIterator<Item: Into<String>>) -> Self {
        self.keys.extend_below("required_writes", texts(artifacts));
        self
    }

    /// It obliges to no artifact, not even to those that are `required`.
    pub fn no_required_writes(self) -> Self {
        self.with("required_writes", Node::List(Vec::new()))
    }

    /// Checks that must have passed.
    pub fn required_checks(mut self, checks: impl IntoIterator<Item: Into<String>>) -> Self {
        self.keys.extend_below("required_checks", texts(checks));
        self
    }

    /// A template of what the next visit is told, in place or the path of one.
    pub fn handoff(self, template: impl Into<String>) -> Self {
        self.with("handoff", template.into())
    }

    /// An expression: offered to no agent, the route is taken when this is true.
    pub fn when(self, expression: impl Into<String>) -> Self {
        self.with("when", expression.into())
    }

    /// Puts a value into a place of the state: `state.KEY`, `step_state.KEY`, `item_state.KEY`.
    pub fn set(mut self, place: impl Into<String>, value: impl Into<Expression>) -> Self {
        self.keys.push_below("set", place, value.into());
        self
    }

    /// Code that is run as it is taken.
    pub fn on_taken(self, code: impl Into<Code>) -> Self {
        self.with("on_taken", code.into())
    }

    fn form(key: &str, target: impl Into<Target>) -> Self {
        Self { keys: Map::of(key, target.into()) }
    }

    fn exhausted(self, target: impl Into<Target>) -> Self {
        self.with("exhausted", target.into())
    }
}

/// A route that every step inherits. A [`Target`], or its text, is one that only leads there.
#[derive(Debug, Clone)]
#[must_use]
pub struct GlobalRoute {
    keys: Map,
}

impl GlobalRoute {
    /// Leads there.
    pub fn to(target: impl Into<Target>) -> Self {
        Self { keys: Map::of("to", target.into()) }
    }
}

/// What every route may say of the outcome that picks it.
macro_rules! of_outcomes {
    ($($route:ident),+) => { $(
        impl $route {
            /// Told to whoever picks a route.
            pub fn summary(self, words: impl Into<String>) -> Self {
                self.with("summary", words.into())
            }

            /// What the outcome's payload has to fit.
            pub fn payload(self, schema: impl Into<WholeSchema>) -> Self {
                self.with("payload", schema.into())
            }

            /// What the outcome's route fields have to fit.
            pub fn route_fields(self, fields: impl Into<Shape>) -> Self {
                self.with("route_fields", fields.into())
            }

            /// What a person's answer has to fit, on a route to [`Target::AwaitInput`].
            pub fn answer(self, schema: impl Into<WholeSchema>) -> Self {
                self.with("answer", schema.into())
            }

            /// What the run says of its work when this route ends it.
            pub fn verdict(self, verdict: Verdict) -> Self {
                self.with("verdict", word(verdict))
            }

            /// To whom it is offered.
            pub fn visibility(self, visibility: Visibility) -> Self {
                self.with("visibility", word(visibility))
            }

            fn with(mut self, key: &str, value: impl Into<Node>) -> Self {
                self.keys.set(key, value);
                self
            }
        }

        impl From<Target> for $route {
            fn from(target: Target) -> Self {
                Self::to(target)
            }
        }

        impl From<&str> for $route {
            fn from(target: &str) -> Self {
                Self::to(target)
            }
        }

        impl From<$route> for Node {
            fn from(route: $route) -> Self {
                match route.keys.entries.as_slice() {
                    [(key, target)] if key == "to" => target.clone(),
                    _ => route.keys.into(),
                }
            }
        }
    )+ };
}

of_outcomes!(Route, GlobalRoute);

/// A route that steps with an agent have without saying so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Helper {
    /// To [`Target::AwaitInput`]: only a person can say how to go on.
    Question,
    /// To [`Target::Fail`]: something outside keeps the work from being done.
    Blocked,
    /// To [`Target::Fail`]: the work cannot be done.
    Failed,
}

impl Helper {
    pub(super) fn tag(self) -> &'static str {
        match self {
            Self::Question => "question",
            Self::Blocked => "blocked",
            Self::Failed => "failed",
        }
    }
}

/// When a [`Helper`] is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// Unless the run goes on without people.
    Auto,
    /// In every run.
    Always,
    /// In none.
    Never,
}

impl From<Control> for Node {
    fn from(control: Control) -> Self {
        Self::from(match control {
            Control::Auto => "auto",
            Control::Always => "always",
            Control::Never => "never",
        })
    }
}
