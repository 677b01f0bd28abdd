//! `llm` and `classify`: one turn of an agent whose answer is a value, or one of a few words.

use botpipe_kernel::ids::StepId;

use super::field::{Fields, list, text, text_of};
use super::schema::SchemaDecl;
use super::{Reader, WorkDecl};
use crate::diagnostic::{Code, Problem};
use crate::source::Spanned;
use crate::yaml::{Entry, Value};

/// One of the answers there are.
#[derive(Debug)]
pub(crate) struct ChoiceDecl {
    pub(crate) name: Spanned<String>,
    pub(crate) description: Option<String>,
}

impl Reader<'_, '_> {
    pub(super) fn llm(&mut self, fields: &mut Fields<'_>, owner: &StepId) -> WorkDecl {
        let Some(entry) = fields.get("llm") else { return WorkDecl::Unknown };
        let turn = self.turn(entry, None, fields.get("session"), owner);
        let returns = fields.get("returns").and_then(|returns| self.object_schema(returns));
        let returns = returns.unwrap_or_else(SchemaDecl::text);
        WorkDecl::Llm { turn, returns }
    }

    pub(super) fn classify(&mut self, fields: &mut Fields<'_>, owner: &StepId) -> WorkDecl {
        let Some(entry) = fields.get("classify") else { return WorkDecl::Unknown };
        let turn = self.turn(entry, None, fields.get("session"), owner);
        let Some(entry) = fields.need("choices", self.report) else { return WorkDecl::Unknown };
        let choices = match &entry.value.value {
            Value::Map(entries) if !entries.is_empty() => {
                entries.iter().map(|entry| self.described(entry)).collect()
            }
            _ => self
                .choices(entry)
                .into_iter()
                .map(|name| ChoiceDecl { name, description: None })
                .collect(),
        };
        WorkDecl::Classify { turn, choices }
    }

    /// A choice and what it means.
    fn described(&mut self, entry: &Entry) -> ChoiceDecl {
        let name = Spanned::new(entry.key.clone(), entry.key_span);
        let description = text(entry, self.report).map(|it| it.value.trim().to_owned());
        ChoiceDecl { name, description }
    }

    /// A list of different texts.
    pub(super) fn choices(&mut self, entry: &Entry) -> Vec<Spanned<String>> {
        let mut choices: Vec<Spanned<String>> = Vec::new();
        for item in list(entry, "choices", self.report) {
            let Some(written) = text_of(item, item.span, self.report) else { continue };
            let choice = written.value.trim().to_owned();
            match choices.iter().find(|known| known.value == choice) {
                Some(first) => self.report.push(
                    Problem::new(
                        Code::DuplicateName,
                        written.span,
                        format!("choice `{choice}` is there twice"),
                    )
                    .also(first.span, "first here"),
                ),
                None => choices.push(Spanned::new(choice, written.span)),
            }
        }
        if matches!(&entry.value.value, Value::List(items) if items.is_empty()) {
            let message = "there is no choice";
            self.report.push(Problem::new(Code::NothingThere, entry.key_span, message));
        }
        choices
    }
}
