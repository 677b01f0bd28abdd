//! Sessions: how long a conversation is kept, in place or by name.

use botpipe_kernel::ids::SessionName;
use botpipe_kernel::plan::Continuity;

use super::Reader;
use super::field::{Fields, choice, name, text_of, wrong_type};
use super::text::TextDecl;
use crate::diagnostic::{Code, Problem};
use crate::source::Spanned;
use crate::yaml::{Entry, Value};

/// The conversation of a turn.
#[derive(Debug, Clone)]
pub(crate) struct SessionDecl {
    pub(crate) continuity: ContinuityDecl,
    /// The named session it is.
    pub(crate) slot: Option<SessionName>,
}

/// How long a conversation is kept.
#[derive(Debug, Clone)]
pub(crate) enum ContinuityDecl {
    /// What needs no template.
    Plain(Continuity),
    /// One for each text that the template renders to.
    Key(TextDecl),
}

impl SessionDecl {
    /// What a turn has when nothing is said.
    pub(super) fn fresh() -> Self {
        Self { continuity: ContinuityDecl::Plain(Continuity::Fresh), slot: None }
    }
}

impl Reader<'_, '_> {
    /// `sessions:` at the top.
    pub(super) fn sessions(&mut self, entry: &Entry) {
        let Value::Map(entries) = &entry.value.value else {
            wrong_type(&entry.value, entry.key_span, "sessions as a map", self.report);
            self.document.sessions = None;
            return;
        };
        for entry in entries {
            let session = name::<SessionName>(&entry.key, entry.key_span, self.report)
                .and_then(|name| Some((name, self.continuity(entry)?.value)));
            match (session, &mut self.document.sessions) {
                (Some(session), Some(sessions)) => sessions.push(session),
                _ => self.document.sessions = None,
            }
        }
    }

    /// `session:` of a turn: a named one, or how long it is kept.
    pub(super) fn session(&mut self, entry: &Entry) -> Option<Spanned<SessionDecl>> {
        if !matches!(entry.value.value, Value::Text(_)) {
            let continuity = self.continuity(entry)?;
            let decl = SessionDecl { continuity: continuity.value, slot: None };
            return Some(Spanned::new(decl, continuity.span));
        }
        let written = text_of(&entry.value, entry.key_span, self.report)?;
        let wanted: Spanned<SessionName> = name(written.value, written.span, self.report)?;
        let sessions = self.document.sessions.as_ref()?;
        let Some((_, continuity)) = sessions.iter().find(|(it, _)| it.value == wanted.value) else {
            let names: Vec<_> = sessions.iter().map(|(name, _)| name.value.to_string()).collect();
            let message = format!("there is no session `{}`", wanted.value);
            self.report.push(
                Problem::new(Code::UnknownSession, wanted.span, message)
                    .suggest(written.value, names.iter().map(String::as_str)),
            );
            return None;
        };
        let decl = SessionDecl { continuity: continuity.clone(), slot: Some(wanted.value) };
        Some(Spanned::new(decl, wanted.span))
    }

    fn continuity(&mut self, entry: &Entry) -> Option<Spanned<ContinuityDecl>> {
        let mut fields = Fields::of(&entry.value, "a session", entry.key_span, self.report)?;
        let continuity = fields.need("continuity", self.report);
        fields.close(&[], self.report);
        let continuity = continuity?;
        let span = continuity.value.span;
        if matches!(continuity.value.value, Value::Map(_)) {
            let what = "`continuity`";
            let mut fields = Fields::of(&continuity.value, what, continuity.key_span, self.report)?;
            let key = fields.need("key", self.report);
            fields.close(&[], self.report);
            let text = key.and_then(|key| self.inline_text(&key.value, key.key_span))?;
            return Some(Spanned::new(ContinuityDecl::Key(text), span));
        }
        let words = [
            ("run", Some(Continuity::Run)),
            ("task", Some(Continuity::Task)),
            ("work_item", Some(Continuity::WorkItem)),
            ("fresh", Some(Continuity::Fresh)),
        ];
        let written = continuity.value.as_text();
        if let Some((_, found)) = words.iter().find(|(word, _)| written == Some(word)) {
            return found.clone().map(|it| Spanned::new(ContinuityDecl::Plain(it), span));
        }
        choice(continuity, &words.map(|(word, _)| (word, ())), self.report);
        None
    }
}
