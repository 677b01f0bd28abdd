//! A script for test agents and models: rules that say what to run and to answer for which prompt.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde::Deserialize;
use serde_json::Value;

/// A checked list of rules; the first that fits a prompt plays.
///
/// # Shape
/// ```json
/// [{ "name": "plan, first go",
///    "when": ["turn `plan/\\d+/producer", "- Write `work` \\(json\\): `(?<work>[^`]+)`"],
///    "unless": ["dry run"], "times": 1,
///    "run": ["cat README.md", "printf '{}' > '{{work}}'"],
///    "say": ["Written to {{work}}.", "", "{{output}}"] },
///  { "name": "busy", "when": [], "times": 2, "fault": { "status": 429 } }]
/// ```
/// `when`: all must match the prompt (multi-line mode; `[]` fits all); `unless`: none may.
/// `times`: plays so often, then is passed over; without it, always. `run`: shell commands, one
/// after the other, while each succeeds; `say`: the last message. Both take text or a list of lines.
/// Instead of them `fault`: `{"status": n}` (the model's HTTP status, with `body`, any JSON, and
/// `headers` where they are given; `{{reset}}` in them is `reset_after` seconds from then, in seconds
/// since the epoch; the fake agent's exit code), `"cut"` (the model ends the connection mid-answer, the
/// fake agent dies of SIGKILL), `"hang"` (the model begins to answer and never goes on), `"mute"` (it does
/// not even begin; at both the fake agent sleeps), or `{"stream": lines}` (the model's event stream is
/// this text; the fake agent says it).
/// With `silent` the commands run, then nobody ever answers, though the connection stays: `"at_once"`
/// not a byte comes, `"halfway"` half of `say` does.
/// `{{name}}` is what a `when` captured by that name; `{{output}}` what the last command printed.
#[derive(Debug)]
pub struct Script {
    rules: Vec<Rule>,
}

/// Why a script cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// The file cannot be read.
    #[error("script `{}` could not be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The text is not a list of rules in JSON.
    #[error("script could not be understood")]
    Json {
        #[source]
        source: serde_json::Error,
    },
    /// A regular expression does not compile.
    #[error("a pattern of rule `{rule}` could not be compiled")]
    Pattern {
        /// The rule's name.
        rule: String,
        #[source]
        source: Box<regex::Error>,
    },
    /// A template names what no `when` captures.
    #[error("`{{{{{placeholder}}}}}` of rule `{rule}` could not be found among its captures")]
    Placeholder {
        /// The rule's name.
        rule: String,
        /// The unknown name.
        placeholder: String,
    },
    /// Neither an answer nor a fault, or both.
    #[error(
        "rule `{rule}` could not be played: it needs `say` or `fault`, and no `run` or `silent` with `fault`"
    )]
    Deed {
        /// The rule's name.
        rule: String,
    },
}

impl Script {
    /// Reads and checks a script file.
    pub fn load(path: &Path) -> Result<Self, ScriptError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ScriptError::Read { path: path.to_owned(), source })?;
        Self::parse(&text)
    }

    /// Checks a script.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        let authored: Vec<AuthoredRule> =
            serde_json::from_str(text).map_err(|source| ScriptError::Json { source })?;
        let rules = authored.into_iter().map(Rule::check).collect::<Result<_, _>>()?;
        Ok(Self { rules })
    }

    pub(crate) fn rules(&self) -> &[Rule] {
        &self.rules
    }
}

/// One rule, checked.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) times: Option<u32>,
    pub(crate) deed: Deed,
    when: Vec<Regex>,
    unless: Vec<Regex>,
}

/// What a rule does.
#[derive(Debug)]
pub(crate) enum Deed {
    /// Runs the commands one after the other, then says the text, unless it falls silent.
    Answer { run: Vec<String>, say: String, silent: Option<Silence> },
    /// Breaks the exchange.
    Fault(Fault),
}

/// When somebody who should speak falls silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Silence {
    /// Before the first byte of the answer.
    AtOnce,
    /// In the middle of it.
    Halfway,
}

/// How a rule breaks the exchange.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// Refuses.
    Status(Refusal),
    /// Ends the connection in the middle of the answer.
    Cut,
    /// Falls silent in the middle of the answer.
    Hang,
    /// Takes the request and never answers.
    Mute,
    /// Answers with this, whatever it is.
    Stream(String),
}

/// An HTTP error as the script has it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    /// Nothing: an error in the form of the API that is spoken.
    pub(crate) body: Option<Value>,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// So many seconds from the refusal is the time that `{{reset}}` stands for.
    pub(crate) reset_after: Option<u64>,
    /// That time, in seconds since the epoch, once it was refused.
    #[serde(skip)]
    pub(crate) reset: Option<u64>,
}

impl Refusal {
    /// As it is given now, in seconds since the epoch.
    pub(crate) fn at(&self, now: u64) -> Self {
        let Some(after) = self.reset_after else { return self.clone() };
        let reset = now.saturating_add(after);
        let number = reset.to_string();
        let filled =
            |text: &str| text.replace("\"{{reset}}\"", &number).replace("{{reset}}", &number);
        let body = self.body.as_ref().map(|body| filled(&body.to_string()));
        let headers = self.headers.iter().map(|(name, value)| (name.clone(), filled(value)));
        Self {
            body: body.and_then(|text| serde_json::from_str(&text).ok()),
            headers: headers.collect(),
            reset: Some(reset),
            ..self.clone()
        }
    }
}

/// What a template may name, by name.
pub(crate) type Names = BTreeMap<String, String>;

impl Rule {
    /// What the rule captures from a prompt it fits, else nothing.
    pub(crate) fn fits(&self, prompt: &str) -> Option<Names> {
        if self.unless.iter().any(|pattern| pattern.is_match(prompt)) {
            return None;
        }
        let mut names = Names::new();
        for pattern in &self.when {
            let captures = pattern.captures(prompt)?;
            for name in pattern.capture_names().flatten() {
                let text = captures.name(name).map_or("", |group| group.as_str());
                names.insert(name.to_owned(), text.to_owned());
            }
        }
        Some(names)
    }

    fn check(authored: AuthoredRule) -> Result<Self, ScriptError> {
        let AuthoredRule { name, when, unless, times, run, say, fault, silent } = authored;
        let compile = |pattern: String| {
            Regex::new(&format!("(?m){pattern}")).map_err(|source| ScriptError::Pattern {
                rule: name.clone(),
                source: Box::new(source),
            })
        };
        let when = when.into_iter().map(compile).collect::<Result<Vec<_>, _>>()?;
        let unless = unless.into_iter().map(compile).collect::<Result<Vec<_>, _>>()?;
        let deed = match (say, fault, silent) {
            (Some(say), None, silent) => {
                let run = run.into_iter().map(Lines::join).collect();
                Deed::Answer { run, say: say.join(), silent }
            }
            (None, Some(fault), None) if run.is_empty() => Deed::Fault(fault.into()),
            _ => return Err(ScriptError::Deed { rule: name }),
        };
        let rule = Self { name, times, deed, when, unless };
        rule.placeholders_known()?;
        Ok(rule)
    }

    fn placeholders_known(&self) -> Result<(), ScriptError> {
        let Deed::Answer { run, say, .. } = &self.deed else { return Ok(()) };
        let known = |name: &str| {
            name == OUTPUT
                || self.when.iter().any(|w| w.capture_names().flatten().any(|n| n == name))
        };
        let unknown = run
            .iter()
            .chain([say])
            .flat_map(|template| PLACEHOLDER.captures_iter(template))
            .find(|place| !known(&place[1]));
        match unknown {
            None => Ok(()),
            Some(place) => Err(ScriptError::Placeholder {
                rule: self.name.clone(),
                placeholder: place[1].to_owned(),
            }),
        }
    }
}

/// A template with its placeholders filled in; an unknown one becomes empty.
pub(crate) fn render(template: &str, names: &Names) -> String {
    let value = |place: &Captures<'_>| names.get(&place[1]).cloned().unwrap_or_default();
    PLACEHOLDER.replace_all(template, value).into_owned()
}

/// A rule as the file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AuthoredRule {
    name: String,
    when: Vec<String>,
    #[serde(default)]
    unless: Vec<String>,
    times: Option<u32>,
    #[serde(default)]
    run: Vec<Lines>,
    say: Option<Lines>,
    fault: Option<AuthoredFault>,
    silent: Option<Silence>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum AuthoredFault {
    Named(NamedFault),
    Status(Refusal),
    Stream(Stream),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stream {
    stream: Lines,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum NamedFault {
    Cut,
    Hang,
    Mute,
}

impl From<AuthoredFault> for Fault {
    fn from(authored: AuthoredFault) -> Self {
        match authored {
            AuthoredFault::Named(NamedFault::Cut) => Self::Cut,
            AuthoredFault::Named(NamedFault::Hang) => Self::Hang,
            AuthoredFault::Named(NamedFault::Mute) => Self::Mute,
            AuthoredFault::Status(refusal) => Self::Status(refusal),
            AuthoredFault::Stream(Stream { stream }) => Self::Stream(stream.join() + "\n"),
        }
    }
}

/// Text, as one string or as its lines.
#[derive(Deserialize)]
#[serde(untagged)]
enum Lines {
    One(String),
    Many(Vec<String>),
}

impl Lines {
    fn join(self) -> String {
        match self {
            Self::One(text) => text,
            Self::Many(lines) => lines.join("\n"),
        }
    }
}

/// The name under which templates find what the last command printed.
pub(crate) const OUTPUT: &str = "output";

#[expect(clippy::expect_used, reason = "a constant pattern; the script tests compile it")]
static PLACEHOLDER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\{\{\s*(\w+)\s*\}\}").expect("a valid pattern"));
