//! Taking a person's answer: is it one the question allows, and of what was it given.

use botpipe_kernel::run::{Finding, Input, Lifecycle, QuestionKind};
use serde_json::Value;

use crate::driver::Driver;
use crate::error::Error;
use crate::perform::Trouble;

impl Driver<'_> {
    /// Tells the kernel what a person answered; too late, the question has timed out instead.
    pub(crate) fn take_answer(&mut self, text: &str) -> Result<(), Error> {
        if self.overdue()? {
            return Ok(());
        }
        let (mut answer, mut findings, mut of_step) = (Value::Null, Vec::new(), false);
        if let Lifecycle::Waiting(question) = self.run.lifecycle.clone() {
            let schema = match &question.schema {
                Some(schema) => serde_json::from_str::<Value>(&self.parts.text(schema)?).ok(),
                None => None,
            };
            answer = crate::prompt::check_answer(&question, schema.as_ref(), text)
                .map_err(|why| Error::Answer { why })?;
            for shown in &question.shown {
                findings.push(self.look_at(&shown.artifact)?);
            }
            of_step =
                matches!(question.kind, QuestionKind::Step { .. } | QuestionKind::Code { .. });
        }
        let kept = match &answer {
            // The answer to a step, or to code, keeps its type.
            Value::String(text) if !of_step => text.clone(),
            value => value.to_string(),
        };
        let answer = self.parts.keep(&self.desk.redactor.redact(&kept))?;
        let text = self.desk.redactor.redact(text).into_owned();
        self.tell(Input::Answer { answer, text, findings }).map(drop)
    }

    fn look_at(&mut self, artifact: &botpipe_kernel::ids::ArtifactName) -> Result<Finding, Error> {
        self.find(artifact, None).map_err(|trouble| match trouble {
            Trouble::Fatal(error) => error,
            Trouble::Stuck { message } | Trouble::Refused { message } => {
                Error::Answer { why: message }
            }
            Trouble::Stopped => Error::Answer { why: "the command was stopped".to_owned() },
        })
    }
}
