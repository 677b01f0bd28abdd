//! Values out of runs: what a run gave back, and the answer of a single turn.

use std::fmt;

use botpipe_kernel::run::{Lifecycle, Verdict};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::build::{Choices, Schema, Shape, Step};
use crate::{Client, Error, NotRunnable, RunEnd, RunStatus, Start, Workflow};

/// Why there is no value. Its `Debug` is its words too: what a `main` that returns it prints.
pub enum NoValue {
    /// What was asked for is no schema, or there is nothing to choose from.
    Wrong(NotRunnable),
    /// The run could not be moved.
    Failed(Error),
    /// The run did not come to an end that gives something back.
    Unfinished {
        /// Where it stands; it can be resumed, or answered.
        end: Box<RunEnd>,
        /// The same in a few words.
        why: String,
    },
    /// What it gave back is of another type.
    Type {
        /// What it gave back.
        value: Value,
        /// What is wrong with it.
        error: serde_json::Error,
    },
}

impl Client {
    /// Creates a run, moves it to its end, and gives back what it gave: the workflow's `output`, or without one
    /// the payload of the outcome it ended with.
    ///
    /// # Errors
    /// [`NoValue`]: also when it stops, waits for a person, or ends as rejected without an output.
    pub fn run_for<T: DeserializeOwned>(
        &self,
        workflow: &Workflow,
        start: Start,
    ) -> Result<T, NoValue> {
        self.value_of(self.run(workflow, start).map_err(NoValue::Failed)?)
    }

    /// What a run gave back, as [`Client::run_for`], once it has come to its end.
    ///
    /// # Errors
    /// [`NoValue`].
    pub fn value_of<T: DeserializeOwned>(&self, end: RunEnd) -> Result<T, NoValue> {
        let value = match (&end.output, end.lifecycle(), &end.state.last_payload) {
            (Some(output), Lifecycle::Finished(_), _) => output.clone(),
            (None, Lifecycle::Finished(Verdict::Accepted | Verdict::None), Some(payload)) => {
                let text = self.engine.text(payload).map_err(NoValue::Failed)?;
                serde_json::from_str(&text)
                    .map_err(|error| NoValue::Type { value: Value::String(text), error })?
            }
            (None, Lifecycle::Finished(Verdict::Accepted | Verdict::None), None) => Value::Null,
            _ => {
                let why = self.words(&end);
                return Err(NoValue::Unfinished { end: Box::new(end), why });
            }
        };
        T::deserialize(&value).map_err(|error| NoValue::Type { value, error })
    }

    /// Asks an agent for a value, in one turn: a run of one `llm` step, recorded as any other. A value that does
    /// not fit is asked for again once. The prompt is taken as it is: nothing in it is a template.
    ///
    /// What `start` says of the input is not used.
    ///
    /// ```no_run
    /// use botpipe::build::Schema;
    /// use botpipe::{Client, Start};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Size {
    ///     hours: u32,
    ///     why: String,
    /// }
    ///
    /// # fn ask(client: &Client) -> Result<(), botpipe::NoValue> {
    /// let size: Size = client.llm(
    ///     "How long will it take to add CSV export?",
    ///     [("hours", Schema::integer()), ("why", Schema::string())],
    ///     Start::default(),
    /// )?;
    /// let title: String = client.llm("A title for it.", Schema::string(), Start::default())?;
    /// println!("{title}: {} hours, since {}", size.hours, size.why);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`NoValue`]: also while another run moves the same working tree.
    pub fn llm<T: DeserializeOwned>(
        &self,
        prompt: impl AsRef<str>,
        returns: impl Into<Shape>,
        start: Start,
    ) -> Result<T, NoValue> {
        let step = Step::llm("llm", "{{ input.prompt }}").returns(returns);
        self.ask(prompt.as_ref(), step, start)
    }

    /// Asks an agent to pick one of a few words, as [`Client::llm`] does for a value. `T` is a text, or an enum
    /// with a variant for each.
    ///
    /// ```no_run
    /// use botpipe::{Client, Start};
    ///
    /// #[derive(serde::Deserialize)]
    /// #[serde(rename_all = "snake_case")]
    /// enum Kind {
    ///     Bug,
    ///     Idea,
    /// }
    ///
    /// # fn ask(client: &Client, report: &str) -> Result<(), botpipe::NoValue> {
    /// let choices = [("bug", "Something is broken."), ("idea", "Something new is wanted.")];
    /// let kind: Kind = client.classify(format!("What is this? {report}"), choices, Start::default())?;
    /// # let _ = kind;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Client::llm`].
    pub fn classify<T: DeserializeOwned>(
        &self,
        prompt: impl AsRef<str>,
        choices: impl Into<Choices>,
        start: Start,
    ) -> Result<T, NoValue> {
        self.ask(prompt.as_ref(), Step::classify("classify", "{{ input.prompt }}", choices), start)
    }

    fn ask<T: DeserializeOwned, K>(
        &self,
        prompt: &str,
        step: Step<K>,
        start: Start,
    ) -> Result<T, NoValue> {
        let workflow = Workflow::builder("single_turn")
            .input([("prompt", Schema::string())])
            .step(step)
            .build()
            .map_err(NoValue::Wrong)?;
        let input = Some(json!({ "prompt": prompt }));
        self.run_for(&workflow, Start { input, input_fields: Vec::new(), ..start })
    }

    /// Where a run stands.
    fn words(&self, end: &RunEnd) -> String {
        let runs = self.runs(Some(&end.workflow), Some(&end.task)).unwrap_or_default();
        let found = runs.iter().find(|it| it.run == end.run);
        let state = found.map_or(RunStatus::Stopped, |it| it.state).as_str();
        match found.map(|it| it.detail.as_str()) {
            None | Some("") => state.to_owned(),
            Some(detail) => format!("{state}: {detail}"),
        }
    }
}

impl fmt::Display for NoValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wrong(error) => error.fmt(f),
            Self::Failed(error) => error.fmt(f),
            Self::Unfinished { end, why } => {
                write!(f, "run `{}` of task `{}` gave nothing back: {why}", end.run, end.task)
            }
            Self::Type { value, error } => {
                write!(f, "what the run gave back is of another type: {error}; it is {value}")
            }
        }
    }
}

impl fmt::Debug for NoValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for NoValue {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Wrong(error) => Some(error),
            Self::Failed(error) => Some(error),
            Self::Type { error, .. } => Some(error),
            Self::Unfinished { .. } => None,
        }
    }
}
