//! A turn as the tests ask it, and a report as text.

use std::fmt::Write as _;

use botpipe_kernel::run::Harness;
use botpipe_providers::claude::Protocol;
use botpipe_providers::{Access, Asked, Codec, Heard, ProgramEnd, Report, SandboxMode, Sign};
use serde_json::Value;

/// The name of every conversation the tests begin.
pub(super) const SESSION: &str = "0d9f6f0c-5f0e-4a55-8c35-3f3d1f1c0001";

/// What a turn is asked with.
pub(super) struct Ask {
    pub(super) harness: Harness,
    pub(super) prompt: String,
    pub(super) cwd: String,
    pub(super) session: Option<String>,
    pub(super) cost: u64,
    pub(super) access: Access,
}

impl Ask {
    pub(super) fn new(prompt: &str) -> Self {
        let access =
            Access { sandbox: SandboxMode::DangerFullAccess, writable: Vec::new(), network: true };
        let home = Some("/work/home".to_owned());
        let program = "claude".to_owned();
        Self {
            harness: Harness { program, home, ..Harness::default() },
            prompt: prompt.to_owned(),
            cwd: "/work/repository".to_owned(),
            session: None,
            cost: 0,
            access,
        }
    }

    pub(super) fn with<T>(&self, use_it: impl FnOnce(&Asked<'_>) -> T) -> T {
        use_it(&Asked {
            harness: &self.harness,
            prompt: &self.prompt,
            cwd: &self.cwd,
            session: self.session.as_deref(),
            new_session: SESSION,
            session_cost: self.cost,
            access: &self.access,
            has_login: true,
            has_variable: &|_| false,
        })
    }
}

/// A talk, and what came of its lines, as text.
pub(super) struct Talk {
    pub(super) protocol: Protocol,
    pub(super) text: String,
}

impl Talk {
    pub(super) fn new(ask: &Ask) -> Self {
        let mut protocol = ask.with(Protocol::new);
        protocol.open();
        Self { protocol, text: String::new() }
    }

    pub(super) fn hear(&mut self, line: &str) -> Heard {
        let heard = self.protocol.hear(line);
        for (what, text) in [("session", &heard.session), ("says", &heard.say)] {
            if let Some(text) = text {
                self.add(what, text);
            }
        }
        if !heard.send.is_empty() {
            self.add("sends", &without_id(&heard.send));
        }
        if heard.sign == Sign::Waiting {
            self.text += "waits\n";
        }
        if heard.finished {
            self.text += "finished\n";
        }
        heard
    }

    pub(super) fn close(&mut self, end: &ProgramEnd, stderr: &str) {
        let Report { result, usage, transcript, notes } = self.protocol.close(end, stderr);
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
    value["response"]["request_id"] = "its id".into();
    value.to_string()
}
