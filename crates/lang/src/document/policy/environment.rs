//! Which variables processes see, and which are set for them.

use std::collections::BTreeMap;

use botpipe_kernel::plan::EnvironmentRules;

use super::{each, shown};
use crate::diagnostic::{Code, Problem, Report};
use crate::document::field::{Fields, wrong_type};
use crate::source::Span;
use crate::yaml::{Entry, Value};

/// Names that a policy does not set: what is set holds for the agent's own program too, which has its
/// login. A library, an interpreter's start-up file, or another address would act as it, or have it.
const NOT_SET: [&str; 22] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "TMPDIR",
    "IFS",
    "ENV",
    "BASH_ENV",
    "NODE_OPTIONS",
    "NODE_EXTRA_CA_CERTS",
    "NODE_TLS_REJECT_UNAUTHORIZED",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "PYTHONSTARTUP",
    "PERL5OPT",
    "RUBYOPT",
    "GCONV_PATH",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
];

/// The same for all names that begin so.
const NOT_SET_BEGINNINGS: [&str; 7] =
    ["LD_", "DYLD_", "BOTPIPE_", "ANTHROPIC_", "OPENAI_", "CLAUDE_", "CODEX_"];

/// Reads `environment:`.
pub(super) fn read(entry: &Entry, report: &mut Report<'_>) -> EnvironmentRules {
    let mut rules = EnvironmentRules::default();
    let Some(mut fields) = Fields::of(&entry.value, "`environment`", entry.key_span, report) else {
        return rules;
    };
    rules.allow =
        fields.get("allow").map(|it| each(it, "names", report, |name| fault(name, false)));
    rules.deny = fields.get("deny").map(|it| each(it, "names", report, |name| fault(name, true)));
    rules.set = fields.get("set").map(|it| set(it, report));
    fields.close(&[], report);
    rules
}

fn set(entry: &Entry, report: &mut Report<'_>) -> BTreeMap<String, String> {
    let mut set = BTreeMap::new();
    let Value::Map(entries) = &entry.value.value else {
        wrong_type(&entry.value, entry.key_span, "names and their values as a map", report);
        return set;
    };
    for entry in entries {
        let name = entry.key.as_str();
        if let Some(problem) = fault(name, false).or_else(|| unsafe_to_set(name)) {
            report.push(problem.at(entry.key_span));
        } else if let Some(value) = entry.value.as_text() {
            if value.contains('\0') {
                let message = format!("the value of `{name}` holds a NUL");
                report.push(Problem::new(Code::BadVariable, entry.value.span, message));
            }
            set.insert(name.to_owned(), value.to_owned());
        } else {
            wrong_type(&entry.value, entry.key_span, "text", report);
        }
    }
    set
}

/// What is wrong with a name; `wild`: `*` may stand for any characters.
fn fault(name: &str, wild: bool) -> Option<Problem> {
    let good =
        name.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_' || (wild && it == b'*'))
            && !name.starts_with(|c: char| c.is_ascii_digit());
    (!good || name.is_empty()).then(|| {
        let message = format!("`{}` is no name of a variable", shown(name));
        let help = if wild {
            "letters, digits and `_`, and `*` for any of them: `*_TOKEN`"
        } else {
            "letters, digits and `_`, not beginning with a digit: `CI`"
        };
        Problem::new(Code::BadVariable, Span::default(), message).help(help)
    })
}

fn unsafe_to_set(name: &str) -> Option<Problem> {
    let upper = name.to_ascii_uppercase();
    let known = NOT_SET.contains(&upper.as_str())
        || NOT_SET_BEGINNINGS.iter().any(|it| upper.starts_with(it));
    known.then(|| {
        let message =
            format!("`{name}` is not set by a policy: it would change the agent's own program");
        Problem::new(Code::BadVariable, Span::default(), message)
            .help("set it in the command that needs it: `run: NAME=value make test`")
    })
}
