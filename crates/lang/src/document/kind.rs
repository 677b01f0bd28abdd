//! Which kind a step is, and the keys that belong to some kinds only.

use super::Reader;
use super::field::Fields;
use crate::diagnostic::{Code, Problem};
use crate::source::Span;
use crate::yaml::Entry;

/// What a step does; its key says which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Prompt,
    ProduceVerify,
    Run,
    Call,
    Validate,
    Ask,
    Wait,
    Classify,
    Llm,
    Workflow,
    Parallel,
    FanOut,
}

/// The keys that say what a step does. `produce` and `verify` are one kind.
const KINDS: [(&str, Kind); 13] = [
    ("prompt", Kind::Prompt),
    ("produce", Kind::ProduceVerify),
    ("verify", Kind::ProduceVerify),
    ("run", Kind::Run),
    ("call", Kind::Call),
    ("validate", Kind::Validate),
    ("ask", Kind::Ask),
    ("wait", Kind::Wait),
    ("classify", Kind::Classify),
    ("llm", Kind::Llm),
    ("workflow", Kind::Workflow),
    ("parallel", Kind::Parallel),
    ("fan_out", Kind::FanOut),
];

const OF_AGENTS: [Kind; 4] = [Kind::Prompt, Kind::ProduceVerify, Kind::Classify, Kind::Llm];

const OF_BRANCHES: [Kind; 2] = [Kind::Parallel, Kind::FanOut];

/// Keys that belong to some kinds of step only, with the kinds in words.
const OWNED_KEYS: [(&str, &str, &[Kind]); 26] = [
    ("writes", "`prompt`, `run` and `call`", &[Kind::Prompt, Kind::Run, Kind::Call]),
    ("session", "`prompt`, `produce`, `llm` and `classify`", &OF_AGENTS),
    ("provider", "`prompt`, `produce`, `llm` and `classify`", &OF_AGENTS),
    ("verifier_session", "`produce` + `verify`", &[Kind::ProduceVerify]),
    ("producer_writes", "`produce` + `verify`", &[Kind::ProduceVerify]),
    ("verifier_writes", "`produce` + `verify`", &[Kind::ProduceVerify]),
    ("verifier_requires", "`produce` + `verify`", &[Kind::ProduceVerify]),
    ("verifier_reads", "`produce` + `verify`", &[Kind::ProduceVerify]),
    ("protect", "`produce` + `verify`", &[Kind::ProduceVerify]),
    ("checks", "`produce` + `verify`", &[Kind::ProduceVerify]),
    ("validates", "`validate`", &[Kind::Validate]),
    ("feedback", "`validate`", &[Kind::Validate]),
    ("choices", "`ask` and `classify`", &[Kind::Ask, Kind::Classify]),
    ("returns", "`llm`", &[Kind::Llm]),
    ("into", "`llm`, `classify` and `ask`", &[Kind::Llm, Kind::Classify, Kind::Ask]),
    ("answer", "`ask`", &[Kind::Ask]),
    ("shows", "`ask`", &[Kind::Ask]),
    ("with", "`workflow` and `call`", &[Kind::Workflow, Kind::Call]),
    ("params", "`workflow`", &[Kind::Workflow]),
    ("message", "`workflow`", &[Kind::Workflow]),
    ("branch", "`fan_out`", &[Kind::FanOut]),
    ("concurrency", "`parallel` and `fan_out`", &OF_BRANCHES),
    ("settle", "`parallel` and `fan_out`", &OF_BRANCHES),
    ("isolation", "`parallel` and `fan_out`", &OF_BRANCHES),
    ("join", "`parallel` and `fan_out`", &OF_BRANCHES),
    ("fan_in", "`parallel` and `fan_out`", &OF_BRANCHES),
];

impl Reader<'_, '_> {
    /// The one kind of a step; `None`: reported. Keys of other kinds are reported as well.
    pub(super) fn kind(&mut self, fields: &mut Fields<'_>, id: Span) -> Option<Kind> {
        let mut written: Vec<(&Entry, Kind)> = Vec::new();
        for (key, kind) in KINDS {
            if let Some(entry) = fields.get(key)
                && written.iter().all(|(_, known)| *known != kind)
            {
                written.push((entry, kind));
            }
        }
        let owned = OWNED_KEYS.map(|(key, ..)| fields.get(key));
        match written.as_slice() {
            [(_, kind)] => {
                self.check_owned(&owned, *kind);
                return Some(*kind);
            }
            [(first, _), (second, _), ..] => self.report.push(
                Problem::new(
                    Code::StepKind,
                    second.key_span,
                    format!("a step is of one kind, this one is `{}` already", first.key),
                )
                .also(first.key_span, "the first kind"),
            ),
            [] => {
                self.report.push(Problem::new(Code::StepKind, id, "this step does nothing").help(
                    "add one of `prompt`, `produce` with `verify`, `llm`, `classify`, `run`, `call`, \
                     `validate`, `ask`, `wait`, `workflow`, `parallel` or `fan_out`",
                ));
            }
        }
        None
    }

    fn check_owned(&mut self, entries: &[Option<&Entry>], kind: Kind) {
        for (entry, (key, kinds, owners)) in entries.iter().zip(OWNED_KEYS) {
            let Some(entry) = entry.filter(|_| !owners.contains(&kind)) else { continue };
            let mut problem = Problem::new(
                Code::WrongKind,
                entry.key_span,
                format!("`{key}` belongs to steps of the kind {kinds}"),
            );
            if key == "writes" && kind == Kind::ProduceVerify {
                problem = problem.help("say who writes: `producer_writes` or `verifier_writes`");
            }
            self.report.push(problem);
        }
    }
}
