//! A turn as the tests ask it, and a report as text.

use std::fmt::Write as _;

use botpipe_kernel::run::{Harness, Usage};
use botpipe_providers::{
    Access, Asked, Codec, Heard, ProgramEnd, Report, Rules, SandboxMode, Sign,
};
use serde_json::Value;

/// The name of every conversation the tests begin.
pub(crate) const SESSION: &str = "0d9f6f0c-5f0e-4a55-8c35-3f3d1f1c0001";

/// What a turn is asked with.
pub(crate) struct Ask {
    pub(crate) harness: Harness,
    pub(crate) prompt: String,
    pub(crate) cwd: String,
    pub(crate) session: Option<String>,
    pub(crate) from: Option<String>,
    pub(crate) cost: u64,
    pub(crate) usage: Usage,
    pub(crate) access: Access,
}

impl Ask {
    pub(crate) fn new(prompt: &str) -> Self {
        let access =
            Access { sandbox: SandboxMode::DangerFullAccess, writable: Vec::new(), network: true };
        let home = Some("/work/home".to_owned());
        let program = "claude".to_owned();
        Self {
            harness: Harness { program, home, ..Harness::default() },
            prompt: prompt.to_owned(),
            cwd: "/work/repository".to_owned(),
            session: None,
            from: None,
            cost: 0,
            usage: Usage::default(),
            access,
        }
    }

    pub(crate) fn with<T>(&self, use_it: impl FnOnce(&Asked<'_>) -> T) -> T {
        use_it(&Asked {
            harness: &self.harness,
            prompt: &self.prompt,
            cwd: &self.cwd,
            session: self.session.as_deref(),
            from: self.from.as_deref(),
            new_session: SESSION,
            session_cost: self.cost,
            session_usage: &self.usage,
            access: &self.access,
            asks: false,
            rules: &Rules::NONE,
            has_login: true,
            has_variable: &|_| false,
        })
    }
}

/// A talk, and what came of its lines, as text.
pub(crate) struct Talk {
    pub(crate) codec: Box<dyn Codec>,
    /// What it said first.
    pub(crate) opening: String,
    pub(crate) text: String,
    /// Whether lines that say nothing to anybody are left out: some depend on the machine.
    pub(crate) quiet: bool,
}

impl Talk {
    pub(crate) fn new(codec: impl Codec + 'static) -> Self {
        let mut codec: Box<dyn Codec> = Box::new(codec);
        let opening = codec.open();
        Self { codec, opening, text: String::new(), quiet: false }
    }

    pub(crate) fn hear(&mut self, line: &str) -> Heard {
        let heard = self.codec.hear(line);
        for (what, text) in [("session", &heard.session), ("says", &heard.say)] {
            if let Some(text) = text {
                self.add(what, text);
            }
        }
        for line in heard.send.lines() {
            self.add("sends", &without_id(line));
        }
        if heard.sign == Sign::Waiting && !(self.quiet && heard.say.is_none()) {
            self.text += "waits\n";
        }
        if heard.finished {
            self.text += "finished\n";
        }
        heard
    }

    pub(crate) fn close(&mut self, end: &ProgramEnd, stderr: &str) {
        // A checkpoint is another at each recording.
        let Report { result, usage, transcript, checkpoint: _, notes } =
            self.codec.close(end, stderr);
        match &result {
            Ok(text) => self.add("answer", text),
            Err(failure) => {
                let again =
                    failure.again_at.map_or_else(String::new, |at| format!(" again at {at}"));
                let class = failure.class.as_str();
                self.add("failure", &format!("{class}{again}: {}", failure.message));
            }
        }
        if let Some(usage) = usage {
            self.add("usage", &serde_json::to_string(&usage).unwrap());
        }
        if let Some(transcript) = transcript {
            self.add("transcript", &transcript);
        }
        for note in notes {
            self.add("note", &note);
        }
    }

    fn add(&mut self, what: &str, text: &str) {
        let text = text.replace('\n', "\n    ");
        writeln!(self.text, "{what}: {text}").unwrap();
    }
}

/// A line that is sent, without the id that the program chose by chance.
fn without_id(line: &str) -> String {
    let mut value: Value = serde_json::from_str(line).unwrap();
    if value["response"].is_object() {
        value["response"]["request_id"] = "its id".into();
    }
    value.to_string()
}
