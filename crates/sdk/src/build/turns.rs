//! Steps in which an agent is asked: `prompt`, `produce` with `verify`, `llm`, `classify`.

use std::time::Duration;

use super::artifact::{Write, writes};
use super::code::Code;
use super::kind::{Classify, Llm, Produce, Prompt};
use super::schema::Shape;
use super::step::Step;
use super::tree::{Map, Node, duration, texts};
use super::turn::{Session, Turn};

impl Step<Prompt> {
    /// One turn of an agent, which picks the route.
    pub fn prompt(id: impl Into<String>, prompt: impl Into<Turn>) -> Self {
        Self::of(id, "prompt", prompt.into())
    }
}

/// A step whose work nobody judges yet; it is none of a workflow:
///
/// ```compile_fail
/// # use botpipe::{Workflow, build::Step};
/// Workflow::builder("make").step(Step::produce("make", "Make it."));
/// ```
#[derive(Debug, Clone)]
#[must_use = "a step that produces needs `verify`"]
pub struct Unverified {
    step: Step<Produce>,
}

impl Step<Produce> {
    /// A turn that does the work. [`Unverified::verify`] makes a step of it.
    pub fn produce(id: impl Into<String>, prompt: impl Into<Turn>) -> Unverified {
        Unverified { step: Self::of(id, "produce", prompt.into()) }
    }

    /// Artifacts the producer writes: by name, or declared in place.
    pub fn producer_writes(self, artifacts: impl IntoIterator<Item: Into<Write>>) -> Self {
        self.more("producer_writes", writes(artifacts))
    }

    /// Artifacts the verifier writes: by name, or declared in place.
    pub fn verifier_writes(self, artifacts: impl IntoIterator<Item: Into<Write>>) -> Self {
        self.more("verifier_writes", writes(artifacts))
    }

    /// Artifacts that must be there before the verifier's turn.
    pub fn verifier_requires(self, artifacts: impl IntoIterator<Item: Into<String>>) -> Self {
        self.more("verifier_requires", texts(artifacts))
    }

    /// Artifacts named to the verifier as optional context.
    pub fn verifier_reads(self, artifacts: impl IntoIterator<Item: Into<String>>) -> Self {
        self.more("verifier_reads", texts(artifacts))
    }

    /// The conversation of the verifier's turn.
    pub fn verifier_session(self, session: impl Into<Session>) -> Self {
        self.put("verifier_session", session.into())
    }

    /// A command that the engine runs after the producer.
    pub fn check(self, name: impl Into<String>, check: Check) -> Self {
        let mut map = Map::default();
        map.push(name, check.keys);
        self.more("checks", [map])
    }

    /// Code before the producer's turn.
    pub fn before_producer(self, code: impl Into<Code>) -> Self {
        self.put("before_producer", code.into())
    }

    /// Code after the producer's turn.
    pub fn after_producer(self, code: impl Into<Code>) -> Self {
        self.put("after_producer", code.into())
    }

    /// Code before the verifier's turn.
    pub fn before_verifier(self, code: impl Into<Code>) -> Self {
        self.put("before_verifier", code.into())
    }

    /// Code after the verifier's turn.
    pub fn after_verifier(self, code: impl Into<Code>) -> Self {
        self.put("after_verifier", code.into())
    }

    /// Files and folders of the workspace that the producer must leave alone.
    pub fn protect(self, paths: impl IntoIterator<Item: Into<String>>) -> Self {
        self.more("protect", texts(paths))
    }
}

impl Unverified {
    /// The turn, in another conversation, that judges the work and picks the route.
    pub fn verify(self, prompt: impl Into<Turn>) -> Step<Produce> {
        self.step.put("verify", prompt.into())
    }
}

/// A command that the engine runs after a producer.
///
/// ```
/// use std::time::Duration;
///
/// use botpipe::build::{Check, Step};
///
/// let step = Step::produce("fix", "Fix it.")
///     .verify("Is it fixed?")
///     .check("tests", Check::run("make test").timeout(Duration::from_mins(20)));
/// # let _ = step;
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Check {
    keys: Map,
}

impl Check {
    /// A shell command: a template.
    pub fn run(command: impl Into<String>) -> Self {
        Self { keys: Map::of("run", command.into()) }
    }

    /// An expression; the check is skipped when it is false.
    pub fn when(mut self, expression: impl Into<String>) -> Self {
        self.keys.set("when", expression.into());
        self
    }

    /// The longest it may take.
    pub fn timeout(mut self, longest: Duration) -> Self {
        self.keys.set("timeout", duration(longest));
        self
    }
}

impl Step<Llm> {
    /// One turn, whose answer is a value: a text, until [`Step::returns`] says otherwise.
    pub fn llm(id: impl Into<String>, prompt: impl Into<Turn>) -> Self {
        Self::of(id, "llm", prompt.into())
    }

    /// What the value has to fit.
    pub fn returns(self, fields: impl Into<Shape>) -> Self {
        self.put("returns", fields.into())
    }
}

impl Step<Classify> {
    /// One turn, whose answer is one of the choices.
    ///
    /// ```
    /// use botpipe::build::Step;
    ///
    /// let mood = Step::classify("mood", "How is the mood?", ["good", "bad"]);
    /// let kind = Step::classify("sort", "What is it?", [("bug", "It is broken."), ("idea", "It is new.")]);
    /// # let _ = (mood, kind);
    /// ```
    pub fn classify(
        id: impl Into<String>,
        prompt: impl Into<Turn>,
        choices: impl Into<Choices>,
    ) -> Self {
        Self::of(id, "classify", prompt.into()).put("choices", choices.into().node)
    }
}

/// The answers there are: texts, or each with what it means.
#[derive(Debug, Clone)]
pub struct Choices {
    node: Node,
}

impl<const LEN: usize> From<[&str; LEN]> for Choices {
    fn from(choices: [&str; LEN]) -> Self {
        choices.as_slice().into()
    }
}

impl From<&[&str]> for Choices {
    fn from(choices: &[&str]) -> Self {
        Self { node: Node::List(texts(choices.iter().copied()).collect()) }
    }
}

impl From<Vec<String>> for Choices {
    fn from(choices: Vec<String>) -> Self {
        Self { node: Node::List(texts(choices).collect()) }
    }
}

impl<const LEN: usize> From<[(&str, &str); LEN]> for Choices {
    fn from(choices: [(&str, &str); LEN]) -> Self {
        let owned = choices.map(|(choice, meaning)| (choice.to_owned(), meaning.to_owned()));
        Vec::from(owned).into()
    }
}

impl From<Vec<(String, String)>> for Choices {
    fn from(choices: Vec<(String, String)>) -> Self {
        let mut map = Map::default();
        for (choice, meaning) in choices {
            map.push(choice, meaning);
        }
        Self { node: map.into() }
    }
}
