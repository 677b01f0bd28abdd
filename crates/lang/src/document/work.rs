//! The kind of a step and what belongs to it alone.

use botpipe_kernel::ids::{ArtifactName, CheckName, StepId};

use super::Reader;
use super::field::{Fields, duration, name, names, wrong_type};
use super::session::SessionDecl;
use super::step::LATER_KINDS;
use super::text::TextDecl;
use crate::diagnostic::{Code, Problem};
use crate::source::{Span, Spanned};
use crate::yaml::{Entry, Value};

/// What a step does.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a file has few steps, and each is held once")]
pub(crate) enum WorkDecl {
    Prompt {
        turn: TurnDecl,
    },
    ProduceVerify {
        producer: TurnDecl,
        checks: Vec<CheckDecl>,
        verifier: TurnDecl,
    },
    Run {
        command: TextDecl,
        writes: Vec<Spanned<ArtifactName>>,
    },
    /// Reported.
    Unknown,
}

/// A turn as authored.
#[derive(Debug)]
pub(crate) struct TurnDecl {
    pub(crate) prompt: TextDecl,
    pub(crate) writes: Vec<Spanned<ArtifactName>>,
    pub(crate) requires: Vec<Spanned<ArtifactName>>,
    pub(crate) reads: Vec<Spanned<ArtifactName>>,
    pub(crate) session: Spanned<SessionDecl>,
}

/// A check as authored.
#[derive(Debug)]
pub(crate) struct CheckDecl {
    pub(crate) name: Spanned<CheckName>,
    pub(crate) command: TextDecl,
    pub(crate) when: Option<TextDecl>,
    pub(crate) timeout_ms: Option<u64>,
}

impl WorkDecl {
    /// Everything the step may write.
    pub(crate) fn writes(&self) -> impl Iterator<Item = &Spanned<ArtifactName>> {
        let (first, second): (&[_], &[_]) = match self {
            Self::Prompt { turn } => (&turn.writes, &[]),
            Self::ProduceVerify { producer, verifier, .. } => (&producer.writes, &verifier.writes),
            Self::Run { writes, .. } => (writes, &[]),
            Self::Unknown => (&[], &[]),
        };
        first.iter().chain(second)
    }

    /// Whether an agent picks the step's route.
    pub(crate) fn asks_agent(&self) -> bool {
        matches!(self, Self::Prompt { .. } | Self::ProduceVerify { .. })
    }

    pub(crate) fn checks(&self) -> &[CheckDecl] {
        match self {
            Self::ProduceVerify { checks, .. } => checks,
            Self::Prompt { .. } | Self::Run { .. } | Self::Unknown => &[],
        }
    }

    pub(crate) fn turns(&self) -> impl Iterator<Item = &TurnDecl> {
        let (first, second) = match self {
            Self::Prompt { turn } => (Some(turn), None),
            Self::ProduceVerify { producer, verifier, .. } => (Some(producer), Some(verifier)),
            Self::Run { .. } | Self::Unknown => (None, None),
        };
        first.into_iter().chain(second)
    }
}

/// Keys that belong to some kinds of step only, with the kinds in words.
const OWNED_KEYS: [(&str, &str, [bool; 3]); 8] = [
    // prompt, produce + verify, run
    ("writes", "`prompt` and `run`", [true, false, true]),
    ("session", "`prompt` and `produce`", [true, true, false]),
    ("verifier_session", "`produce` + `verify`", [false, true, false]),
    ("producer_writes", "`produce` + `verify`", [false, true, false]),
    ("verifier_writes", "`produce` + `verify`", [false, true, false]),
    ("verifier_requires", "`produce` + `verify`", [false, true, false]),
    ("checks", "`produce` + `verify`", [false, true, false]),
    ("verifier_reads", "`produce` + `verify`", [false, true, false]),
];

#[derive(Clone, Copy)]
enum Kind {
    Prompt = 0,
    ProduceVerify = 1,
    Run = 2,
}

impl Reader<'_, '_> {
    pub(super) fn work(&mut self, fields: &mut Fields<'_>, id: &Spanned<StepId>) -> WorkDecl {
        let prompt = fields.get("prompt");
        let produce = fields.get("produce");
        let verify = fields.get("verify");
        let run = fields.get("run");
        let owned = OWNED_KEYS.map(|(key, ..)| fields.get(key));
        let kind = match (prompt, produce.or(verify), run) {
            (Some(_), None, None) => Kind::Prompt,
            (None, Some(_), None) => Kind::ProduceVerify,
            (None, None, Some(_)) => Kind::Run,
            _ => {
                let later = LATER_KINDS.iter().any(|kind| fields.peek(kind).is_some());
                self.report_kind([prompt, produce.or(verify), run], later, id.span);
                if later {
                    fields.forgive_unknown();
                }
                return WorkDecl::Unknown;
            }
        };
        self.check_owned(&owned, kind);
        let [
            writes,
            session,
            verifier_session,
            producer_writes,
            verifier_writes,
            verifier_requires,
            checks,
            verifier_reads,
        ] = owned;
        match (kind, prompt, run) {
            (Kind::Prompt, Some(prompt), _) => {
                WorkDecl::Prompt { turn: self.turn(prompt, writes, session, &id.value) }
            }
            (Kind::Run, _, Some(run)) => {
                let command = self.inline_text(&run.value, run.key_span);
                WorkDecl::Run {
                    command: command.unwrap_or_else(|| TextDecl::missing(run.value.span)),
                    writes: self.writes(writes, &id.value),
                }
            }
            _ => {
                let (Some(produce), Some(verify)) = (produce, verify) else {
                    let (there, missing) = if produce.is_some() {
                        ("produce", "verify")
                    } else {
                        ("verify", "produce")
                    };
                    let span = produce.or(verify).map_or(id.span, |entry| entry.key_span);
                    let message = format!("`{there}` needs `{missing}` beside it");
                    self.report.push(
                        Problem::new(Code::StepKind, span, message)
                            .help("a step without an independent verifier is a `prompt` step"),
                    );
                    return WorkDecl::Unknown;
                };
                let producer = self.turn(produce, producer_writes, session, &id.value);
                let checks = checks.map(|checks| self.checks(checks)).unwrap_or_default();
                let mut verifier = self.turn(verify, verifier_writes, verifier_session, &id.value);
                let mut artifacts = |entry: Option<&Entry>| {
                    entry.map(|entry| names(entry, "artifacts", self.report)).unwrap_or_default()
                };
                verifier.requires = artifacts(verifier_requires);
                verifier.reads = artifacts(verifier_reads);
                WorkDecl::ProduceVerify { producer, checks, verifier }
            }
        }
    }

    fn report_kind(&mut self, kinds: [Option<&Entry>; 3], later: bool, id: Span) {
        let mut written = kinds.into_iter().flatten();
        match (written.next(), written.next()) {
            (Some(first), Some(second)) => self.report.push(
                Problem::new(
                    Code::StepKind,
                    second.key_span,
                    format!("a step is of one kind, this one is `{}` already", first.key),
                )
                .also(first.key_span, "the first kind"),
            ),
            // The key of a kind that comes later is reported as such.
            _ if later => {}
            _ => self.report.push(
                Problem::new(Code::StepKind, id, "this step does nothing")
                    .help("add one of `prompt`, `produce` with `verify`, or `run`"),
            ),
        }
    }

    fn check_owned(&mut self, entries: &[Option<&Entry>], kind: Kind) {
        for (entry, (key, kinds, owners)) in entries.iter().zip(OWNED_KEYS) {
            let Some(entry) = entry.filter(|_| !owners[kind as usize]) else { continue };
            let mut problem = Problem::new(
                Code::WrongKind,
                entry.key_span,
                format!("`{key}` belongs to steps of the kind {kinds}"),
            );
            if key == "writes" {
                problem = problem.help("say who writes: `producer_writes` or `verifier_writes`");
            }
            self.report.push(problem);
        }
    }

    /// A turn: the prompt itself, or a map when it needs its own session.
    fn turn(
        &mut self,
        entry: &Entry,
        writes: Option<&Entry>,
        session: Option<&Entry>,
        owner: &StepId,
    ) -> TurnDecl {
        let mut own_session = None;
        let prompt = if matches!(entry.value.value, Value::Map(_)) {
            let mut prompt = None;
            if let Some(mut fields) =
                Fields::of(&entry.value, "a turn", entry.key_span, self.report)
            {
                prompt = fields
                    .need("prompt", self.report)
                    .map(|prompt| self.prompt_text(&prompt.value, prompt.key_span));
                own_session = fields.get("session");
                fields.close(&["provider"], self.report);
            }
            prompt.unwrap_or_else(|| TextDecl::missing(entry.value.span))
        } else {
            self.prompt_text(&entry.value, entry.key_span)
        };
        if let (Some(own), Some(outer)) = (own_session, session) {
            self.report.push(
                Problem::new(
                    Code::DuplicateKey,
                    own.key_span,
                    "the session of this turn is set twice",
                )
                .also(outer.key_span, "and here"),
            );
        }
        let session = own_session
            .or(session)
            .and_then(|session| self.session(session))
            .unwrap_or(Spanned::new(SessionDecl::fresh(), entry.key_span));
        TurnDecl {
            prompt,
            writes: self.writes(writes, owner),
            requires: Vec::new(),
            reads: Vec::new(),
            session,
        }
    }

    fn checks(&mut self, entry: &Entry) -> Vec<CheckDecl> {
        let mut checks: Vec<CheckDecl> = Vec::new();
        for entry in self.one_key_maps(entry, "checks") {
            let Some(name) = name::<CheckName>(&entry.key, entry.key_span, self.report) else {
                continue;
            };
            if let Some(first) = checks.iter().find(|check| check.name.value == name.value) {
                self.report.push(
                    Problem::new(
                        Code::DuplicateName,
                        name.span,
                        format!("check `{}` is there twice", name.value),
                    )
                    .also(first.name.span, "first here"),
                );
                continue;
            }
            checks.push(self.check(entry, name));
        }
        checks
    }

    fn check(&mut self, entry: &Entry, name: Spanned<CheckName>) -> CheckDecl {
        let missing = TextDecl::missing(entry.key_span);
        let mut check = CheckDecl { name, command: missing, when: None, timeout_ms: None };
        let Some(mut fields) = Fields::of(&entry.value, "a check", entry.key_span, self.report)
        else {
            return check;
        };
        if let Some(run) = fields.need("run", self.report)
            && let Some(command) = self.inline_text(&run.value, run.key_span)
        {
            check.command = command;
        }
        if let Some(when) = fields.get("when") {
            if matches!(when.value.value, Value::Text(_)) {
                check.when = self.inline_text(&when.value, when.key_span);
            } else {
                wrong_type(&when.value, when.key_span, "text: an expression", self.report);
            }
        }
        check.timeout_ms = fields.get("timeout").and_then(|timeout| duration(timeout, self.report));
        fields.close(&[], self.report);
        check
    }
}
