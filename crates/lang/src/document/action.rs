//! What taking a route does: where it leads, and what becomes of the current item.

use botpipe_kernel::plan::{Action, Target};

use super::Reader;
use super::field::Fields;
use crate::diagnostic::{Code, Problem};
use crate::source::{Span, Spanned};
use crate::yaml::Entry;

/// What taking a route does.
#[derive(Debug, Clone)]
pub(crate) enum ActionDecl {
    To(Spanned<Target>),
    /// Works on the step's worklist.
    Items {
        /// The place of the key.
        key: Span,
        form: Form,
        next: Spanned<Target>,
        /// There for the forms that may run out of items.
        exhausted: Option<Spanned<Target>>,
    },
    /// Reported.
    Unknown,
}

/// What a route does with the current item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    CompleteAndAdvance,
    Advance,
    CompleteCurrent,
    Refresh,
    Reset,
}

const FORMS: [(&str, Form); 5] = [
    ("complete_and_advance", Form::CompleteAndAdvance),
    ("advance", Form::Advance),
    ("complete_current", Form::CompleteCurrent),
    ("refresh", Form::Refresh),
    ("reset", Form::Reset),
];

impl Form {
    /// Whether it may run out of items.
    fn runs_out(self) -> bool {
        matches!(self, Self::CompleteAndAdvance | Self::Advance | Self::Refresh)
    }

    /// Whether another item may be the current one afterwards.
    pub(crate) fn moves(self) -> bool {
        self.runs_out()
    }

    pub(crate) fn key(self) -> &'static str {
        FORMS.iter().find(|(_, form)| *form == self).map_or("", |(key, _)| key)
    }
}

impl ActionDecl {
    pub(crate) fn targets(&self) -> impl Iterator<Item = &Spanned<Target>> {
        let (first, second) = match self {
            Self::To(target) => (Some(target), None),
            Self::Items { next, exhausted, .. } => (Some(next), exhausted.as_ref()),
            Self::Unknown => (None, None),
        };
        first.into_iter().chain(second)
    }

    /// The same for the plan; `None`: reported.
    pub(crate) fn lower(&self) -> Option<Action> {
        Some(match self {
            Self::To(target) => Action::To(target.value.clone()),
            Self::Items { form, next, exhausted, .. } => {
                let next = next.value.clone();
                let exhausted = || exhausted.as_ref().map(|target| target.value.clone());
                match form {
                    Form::CompleteAndAdvance => {
                        Action::CompleteAndAdvance { next, exhausted: exhausted()? }
                    }
                    Form::Advance => Action::Advance { next, exhausted: exhausted()? },
                    Form::Refresh => Action::Refresh { next, exhausted: exhausted()? },
                    Form::CompleteCurrent => Action::CompleteCurrent { next },
                    Form::Reset => Action::Reset { next },
                }
            }
            Self::Unknown => return None,
        })
    }
}

impl Reader<'_, '_> {
    pub(super) fn action(&mut self, fields: &mut Fields<'_>, route: &Entry) -> ActionDecl {
        let to = fields.get("to");
        let exhausted = fields.get("exhausted");
        let written = FORMS.map(|(key, form)| (fields.get(key), form));
        let mut forms = written.into_iter().filter_map(|(entry, form)| Some((entry?, form)));
        let (first, second) = (forms.next(), forms.next());
        let problem = match (to, first) {
            (Some(to), Some((entry, form))) => Problem::new(
                Code::RouteForm,
                entry.key_span,
                format!("a route has `to` or `{}`, not both", form.key()),
            )
            .also(to.key_span, "the other"),
            (None, Some((first, form))) => match (second, exhausted) {
                (Some((second, other)), _) => Problem::new(
                    Code::RouteForm,
                    second.key_span,
                    format!("a route has `{}` or `{}`, not both", form.key(), other.key()),
                )
                .also(first.key_span, "the other"),
                (None, None) if form.runs_out() => Problem::new(
                    Code::RouteForm,
                    first.key_span,
                    format!("`{}` needs `exhausted`: where to go after the last item", form.key()),
                )
                .help("add `exhausted: FINISH`, or the step that follows the worklist"),
                (None, Some(exhausted)) if !form.runs_out() => Problem::new(
                    Code::RouteForm,
                    exhausted.key_span,
                    format!(
                        "`exhausted` does not belong to `{}`: it stays with its item",
                        form.key()
                    ),
                ),
                (None, exhausted) => return self.items(first, form, exhausted),
            },
            (Some(to), None) if exhausted.is_none() => {
                let target = self.target(&to.value, to.key_span);
                return target.map_or(ActionDecl::Unknown, ActionDecl::To);
            }
            (_, None) => match exhausted {
                Some(exhausted) => Problem::new(
                    Code::RouteForm,
                    exhausted.key_span,
                    "`exhausted` belongs to `complete_and_advance`, `advance` and `refresh`",
                ),
                None => Problem::new(Code::RouteForm, route.key_span, "this route leads nowhere")
                    .help("add `to:` with a step's id, SELF, FINISH, FAIL or AWAIT_INPUT"),
            },
        };
        self.report.push(problem);
        ActionDecl::Unknown
    }

    fn items(&mut self, entry: &Entry, form: Form, exhausted: Option<&Entry>) -> ActionDecl {
        let next = self.target(&entry.value, entry.key_span);
        let last = exhausted.map(|entry| self.target(&entry.value, entry.key_span));
        match (next, last) {
            (Some(next), None) => {
                ActionDecl::Items { key: entry.key_span, form, next, exhausted: None }
            }
            (Some(next), Some(Some(last))) => {
                ActionDecl::Items { key: entry.key_span, form, next, exhausted: Some(last) }
            }
            _ => ActionDecl::Unknown,
        }
    }
}
