//! The kind of a step and what belongs to it alone.

use botpipe_kernel::ids::{ArtifactName, CheckName, StepId, WorklistName};
use botpipe_kernel::plan::{Policy, TurnProvider};

use super::Reader;
use super::code::CodeDecl;
use super::field::{Fields, duration, name, names, wrong_type};
use super::group::GroupDecl;
use super::kind::Kind;
use super::outside::WaitDecl;
use super::schema::SchemaDecl;
use super::session::SessionDecl;
use super::text::TextDecl;
use super::value::ChoiceDecl;
use crate::diagnostic::{Code, Problem};
use crate::source::Spanned;
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
        command: CodeDecl,
        writes: Vec<Spanned<ArtifactName>>,
    },
    /// Runs below this one.
    Group(Box<GroupDecl>),
    Validate {
        command: CodeDecl,
        validates: Spanned<ArtifactName>,
        feedback: [Spanned<ArtifactName>; 1],
    },
    Ask {
        question: TextDecl,
        choices: Vec<Spanned<String>>,
        answer: Option<SchemaDecl>,
        shows: Vec<Spanned<ArtifactName>>,
    },
    Wait {
        what: WaitDecl,
    },
    Classify {
        turn: TurnDecl,
        choices: Vec<ChoiceDecl>,
    },
    Llm {
        turn: TurnDecl,
        returns: SchemaDecl,
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
    pub(crate) policy: Option<Box<Policy>>,
    pub(crate) provider: Option<Box<TurnProvider>>,
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
            Self::Group(group) => {
                (group.fan_in.as_ref().map_or(&[], |turn| turn.writes.as_slice()), &[])
            }
            Self::Validate { feedback, .. } => (feedback, &[]),
            _ => (&[], &[]),
        };
        first.iter().chain(second)
    }

    /// Whether an agent picks the step's route.
    pub(crate) fn asks_agent(&self) -> bool {
        match self {
            Self::Prompt { .. } | Self::ProduceVerify { .. } => true,
            Self::Group(group) => group.fan_in.is_some(),
            _ => false,
        }
    }

    /// Whether an agent or a script names the step's outcome, so that it may be any of its routes.
    pub(crate) fn has_say(&self) -> bool {
        self.asks_agent() || matches!(self, Self::Run { .. })
    }

    /// The code that it is.
    pub(crate) fn code(&self) -> Option<&CodeDecl> {
        match self {
            Self::Run { command, .. } | Self::Validate { command, .. } => Some(command),
            _ => None,
        }
    }

    pub(crate) fn checks(&self) -> &[CheckDecl] {
        match self {
            Self::ProduceVerify { checks, .. } => checks,
            _ => &[],
        }
    }

    pub(crate) fn turns(&self) -> impl Iterator<Item = &TurnDecl> {
        let (first, second) = match self {
            Self::Prompt { turn } | Self::Classify { turn, .. } | Self::Llm { turn, .. } => {
                (Some(turn), None)
            }
            Self::ProduceVerify { producer, verifier, .. } => (Some(producer), Some(verifier)),
            Self::Group(group) => (group.fan_in.as_ref(), None),
            _ => (None, None),
        };
        first.into_iter().chain(second)
    }
}

impl Reader<'_, '_> {
    pub(super) fn work(
        &mut self,
        fields: &mut Fields<'_>,
        id: &Spanned<StepId>,
        scope: Option<&Spanned<WorklistName>>,
    ) -> WorkDecl {
        match self.kind(fields, id.span) {
            Some(Kind::Workflow | Kind::Parallel | Kind::FanOut) => self.group(fields, id, scope),
            Some(Kind::Prompt) => match fields.get("prompt") {
                Some(prompt) => {
                    let (writes, session) = (fields.get("writes"), fields.get("session"));
                    WorkDecl::Prompt { turn: self.turn(prompt, writes, session, &id.value) }
                }
                None => WorkDecl::Unknown,
            },
            Some(Kind::ProduceVerify) => self.produce_verify(fields, id),
            Some(Kind::Run) => match fields.get("run") {
                Some(run) => {
                    let command = self.inline_text(&run.value, run.key_span);
                    let command = command.unwrap_or_else(|| TextDecl::missing(run.value.span));
                    WorkDecl::Run {
                        command: CodeDecl::Command(command),
                        writes: self.writes(fields.get("writes"), &id.value),
                    }
                }
                None => WorkDecl::Unknown,
            },
            Some(Kind::Call) => {
                let writes = self.writes(fields.get("writes"), &id.value);
                let call = fields.get("call").and_then(|it| self.call(it, fields.get("with")));
                match call {
                    Some(call) => WorkDecl::Run { command: CodeDecl::Call(call), writes },
                    None => WorkDecl::Unknown,
                }
            }
            Some(Kind::Validate) => self.validate(fields, &id.value),
            Some(Kind::Ask) => self.ask(fields),
            Some(Kind::Wait) => self.wait(fields),
            Some(Kind::Classify) => self.classify(fields, &id.value),
            Some(Kind::Llm) => self.llm(fields, &id.value),
            None => WorkDecl::Unknown,
        }
    }

    fn produce_verify(&mut self, fields: &mut Fields<'_>, id: &Spanned<StepId>) -> WorkDecl {
        let (produce, verify) = (fields.get("produce"), fields.get("verify"));
        let (Some(produce), Some(verify)) = (produce, verify) else {
            let (there, missing) =
                if produce.is_some() { ("produce", "verify") } else { ("verify", "produce") };
            let span = produce.or(verify).map_or(id.span, |entry| entry.key_span);
            let message = format!("`{there}` needs `{missing}` beside it");
            self.report.push(
                Problem::new(Code::StepKind, span, message)
                    .help("a step without an independent verifier is a `prompt` step"),
            );
            return WorkDecl::Unknown;
        };
        let (writes, session) = (fields.get("producer_writes"), fields.get("session"));
        let producer = self.turn(produce, writes, session, &id.value);
        let checks = fields.get("checks").map(|checks| self.checks(checks)).unwrap_or_default();
        let (writes, session) = (fields.get("verifier_writes"), fields.get("verifier_session"));
        let mut verifier = self.turn(verify, writes, session, &id.value);
        let mut artifacts = |key| {
            let entry = fields.get(key);
            entry.map(|entry| names(entry, "artifacts", self.report)).unwrap_or_default()
        };
        verifier.requires = artifacts("verifier_requires");
        verifier.reads = artifacts("verifier_reads");
        WorkDecl::ProduceVerify { producer, checks, verifier }
    }

    /// A turn: the prompt itself, or a map when it needs its own session, policy or provider.
    pub(super) fn turn(
        &mut self,
        entry: &Entry,
        writes: Option<&Entry>,
        session: Option<&Entry>,
        owner: &StepId,
    ) -> TurnDecl {
        let (mut own_session, mut policy, mut provider) = (None, None, None);
        let prompt = if matches!(entry.value.value, Value::Map(_)) {
            let mut prompt = None;
            if let Some(mut fields) =
                Fields::of(&entry.value, "a turn", entry.key_span, self.report)
            {
                prompt = fields
                    .need("prompt", self.report)
                    .map(|prompt| self.prompt_text(&prompt.value, prompt.key_span));
                own_session = fields.get("session");
                policy = fields.get("policy").and_then(|policy| self.policy(policy));
                provider = fields.get("provider").and_then(|it| self.turn_provider(it));
                fields.close(&[], self.report);
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
            policy: policy.map(Box::new),
            provider: provider.map(Box::new),
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
