//! Attempts as the files in `escapes/` tell them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Error, doing};

/// One attempt to get something past the sandbox, or something that must work in it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    /// What is attempted; its name.
    pub name: String,
    /// The file it is told in, without its ending.
    #[serde(skip)]
    pub topic: String,
    /// Who can do it at all.
    #[serde(default)]
    pub needs: Option<Needs>,
    /// Commands of the host before it: in the workspace, as the caller.
    #[serde(default)]
    pub host: String,
    /// Keys of the policy in place of the suite's.
    #[serde(default)]
    pub policy: Map<String, Value>,
    /// Shell text around the start, on the host; `"$@"` starts the command.
    #[serde(default)]
    pub wrap: String,
    /// The commands that run inside.
    pub inside: String,
    /// Commands of the host while it runs, once `src/ready` is there; then it gets `src/go`.
    #[serde(default)]
    pub during: String,
    /// Commands of the host that clean up.
    #[serde(default)]
    pub after: String,
    /// Commands of the host that must succeed afterwards, for what must work.
    #[serde(default)]
    pub then: String,
    /// How the host sees that it got out.
    #[serde(default)]
    pub judge: Judge,
    /// What the attempt without a sandbox has of its own, so that it touches nothing of the machine's.
    #[serde(default)]
    pub bare: Option<Bare>,
    /// A race with the host that can only be narrowed: made many times, told as a rate.
    #[serde(default)]
    pub watch: bool,
    /// The sandbox may also refuse to start at all.
    #[serde(default)]
    pub may_refuse: bool,
    /// Why it is known to succeed here: told as a gap, not as a fault.
    #[serde(default)]
    pub gap: Option<String>,
    /// Makes no sense without a sandbox.
    #[serde(default)]
    pub only: Option<Only>,
}

/// Who can make an attempt at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Needs {
    /// Only root.
    Root,
    /// Only an ordinary user.
    User,
}

/// What a bare attempt has of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bare {
    /// A pid namespace: it looks into every process there is.
    OwnPids,
}

/// Where alone something is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Only {
    /// Not without a sandbox.
    Sandbox,
}

/// How the host sees that an attempt succeeded.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Judge {
    /// The secret is in the command's output.
    #[default]
    Printed,
    /// A process of it lives on.
    Survives,
    /// A file or a tree, as named from the workspace, is not as it was.
    Changed(String),
    /// This command of the host succeeds.
    Host(String),
    /// A listener of the host got a connection or a datagram; with a second word, got this text.
    Heard(Heard),
    /// A process of it held this file open, by the host's list of open files.
    Opened(String),
    /// The output is longer than so many bytes.
    LongerThan(usize),
    /// The other way round: the command must succeed, and `then`.
    Works,
}

/// A listener, or a listener and a text.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Heard {
    /// Anything at all.
    Anything(String),
    /// This text.
    Text(String, String),
}

impl Heard {
    /// The listener's name and the text it must have got.
    pub(super) fn parts(&self) -> (&str, Option<&str>) {
        match self {
            Self::Anything(by) => (by, None),
            Self::Text(by, text) => (by, Some(text)),
        }
    }
}

impl Attempt {
    /// It must work, rather than fail.
    pub fn is_function(&self) -> bool {
        matches!(self.judge, Judge::Works)
    }

    /// It is about the proxy, and so about `network: limited` alone.
    pub fn is_limited(&self) -> bool {
        self.topic.starts_with("limited")
    }

    /// Whether any of its texts speaks of `word`.
    pub(super) fn mentions(&self, word: &str) -> bool {
        let judge = match &self.judge {
            Judge::Changed(text) | Judge::Host(text) | Judge::Opened(text) => text.clone(),
            Judge::Heard(heard) => format!("@{}@", heard.parts().0),
            _ => String::new(),
        };
        [&self.host, &self.wrap, &self.inside, &self.during, &self.after, &self.then, &judge]
            .iter()
            .any(|text| text.contains(word))
    }
}

/// The folder of the attempts.
pub(super) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("escapes")
}

/// Every attempt of every file, in the files' order.
pub fn all() -> Result<Vec<Attempt>, Error> {
    let mut found = BTreeMap::new();
    let folder = folder();
    for entry in doing("list the attempts", fs::read_dir(&folder))? {
        let path = doing("list the attempts", entry)?.path();
        if path.extension().is_none_or(|end| end != "yaml") {
            continue;
        }
        let topic = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = doing("read the attempts", fs::read_to_string(&path))?;
        let attempts: Vec<Attempt> = serde_saphyr::from_str(&text).map_err(|error| {
            Error::Attempts { file: path.display().to_string(), why: error.to_string() }
        })?;
        found.insert(topic, attempts);
    }
    let named = found.into_iter().flat_map(|(topic, attempts)| {
        attempts.into_iter().map(move |attempt| Attempt { topic: topic.clone(), ..attempt })
    });
    let all: Vec<Attempt> = named.collect();
    for attempt in &all {
        if attempt.inside.contains("@secret@") {
            return Err(Error::Attempts {
                file: attempt.topic.clone(),
                why: format!("`{}` is told the secret that it is to get out", attempt.name),
            });
        }
    }
    Ok(all)
}
