//! What the scripted model answers to one request: the next command, the last word, or a fault.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::script::{Deed, Fault, Names, OUTPUT, Refusal, Rule, Script, Silence, render};

/// A script together with how often each rule has played.
///
/// A rule is chosen, and counted, at the first request of a turn. The requests after a command
/// carry the rule in the id of the call they answer, so they find it again without any memory
/// here.
pub(super) struct Model {
    script: Script,
    plays: Mutex<Vec<u32>>,
}

/// An answer, and the name of the rule it comes from.
pub(super) struct Answer {
    pub(super) rule: Option<String>,
    pub(super) reply: Reply,
}

/// What goes back over the wire.
#[derive(Debug)]
pub(super) enum Reply {
    /// A call of the agent's shell tool.
    Call { id: String, tool: &'static str, arguments: Value },
    /// The last message of the turn.
    Say(String),
    /// The connection ends mid-answer.
    Cut,
    /// The answer begins and never goes on.
    Hang,
    /// Nothing at all is answered.
    Mute,
    /// The text of the event stream as the script has it.
    Stream(String),
    /// The connection stays, but the answer never ends: nothing of it comes, or half of the text.
    Silent(Option<String>),
    /// An HTTP error.
    Refuse { refusal: Refusal, message: String },
}

impl Answer {
    /// An HTTP error that no script asks for.
    pub(super) fn refusal(status: u16, message: &str) -> Self {
        Self { rule: None, reply: refuse(status, message) }
    }
}

impl Model {
    pub(super) fn new(script: Script) -> Self {
        let plays = Mutex::new(vec![0; script.rules().len()]);
        Self { script, plays }
    }

    /// Answers a conversation.
    pub(super) fn answer(&self, conversation: &Conversation) -> Answer {
        let rules = self.script.rules();
        let chosen = match &conversation.last_call {
            Some(call) => rules
                .get(call.rule)
                .and_then(|rule| Some((rule, rule.fits(&conversation.prompt)?, *call))),
            None => self.choose(&conversation.prompt),
        };
        let Some((rule, names, call)) = chosen else {
            return Answer::refusal(400, "no rule of the script fits this prompt");
        };
        Answer { rule: Some(rule.name.clone()), reply: play(rule, names, call, conversation) }
    }

    fn choose(&self, prompt: &str) -> Option<(&Rule, Names, Call)> {
        let mut plays = self.plays.lock().unwrap_or_else(PoisonError::into_inner);
        let fitting = self.script.rules().iter().zip(plays.iter_mut()).enumerate();
        for (rule_index, (rule, played)) in fitting {
            if rule.times.is_some_and(|times| *played >= times) {
                continue;
            }
            if let Some(names) = rule.fits(prompt) {
                *played += 1;
                return Some((rule, names, Call { rule: rule_index, play: *played, done: 0 }));
            }
        }
        None
    }
}

/// Takes the rule's next step: a command while there is one left, then its last word.
fn play(rule: &Rule, mut names: Names, call: Call, conversation: &Conversation) -> Reply {
    let (run, say, silent) = match &rule.deed {
        Deed::Fault(Fault::Cut) => return Reply::Cut,
        Deed::Fault(Fault::Hang) => return Reply::Hang,
        Deed::Fault(Fault::Mute) => return Reply::Mute,
        Deed::Fault(Fault::Stream(text)) => return Reply::Stream(text.clone()),
        Deed::Fault(Fault::Status(refusal)) => {
            let message = format!("scripted fault of rule `{}`", rule.name);
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            return Reply::Refuse { refusal: refusal.at(now.as_secs()), message };
        }
        Deed::Answer { run, say, silent } => (run, say, *silent),
    };
    if let Some(output) = &conversation.output {
        if !output.succeeded {
            // No outcome: a script that does not work must not look like one that does.
            return Reply::Say(format!("A command did not succeed:\n{}", output.report));
        }
        names.insert(OUTPUT.to_owned(), output.printed.trim_end().to_owned());
    }
    let Some(command) = run.get(call.done) else {
        return match silent {
            None => Reply::Say(render(say, &names)),
            Some(Silence::AtOnce) => Reply::Silent(None),
            Some(Silence::Halfway) => Reply::Silent(Some(render(say, &names))),
        };
    };
    let Some(tool) = conversation.tool else {
        return refuse(400, "the request offers no shell tool this model knows");
    };
    let command = render(command, &names);
    let arguments = match tool {
        "shell" => json!({ "command": ["bash", "-lc", command] }),
        "Bash" => json!({ "command": command, "timeout": PATIENCE_MS }),
        _ => json!({ "cmd": command, "yield_time_ms": PATIENCE_MS }),
    };
    Reply::Call { id: Call { done: call.done + 1, ..call }.id(), tool, arguments }
}

fn refuse(status: u16, message: &str) -> Reply {
    let headers = BTreeMap::new();
    let refusal = Refusal { status, body: None, headers, reset_after: None, reset: None };
    Reply::Refuse { refusal, message: message.to_owned() }
}

/// What a request says about the turn under way.
pub(super) struct Conversation {
    /// The text of the latest user message.
    pub(super) prompt: String,
    /// The shell tool on offer.
    pub(super) tool: Option<&'static str>,
    /// The latest call since the prompt.
    pub(super) last_call: Option<Call>,
    /// What the agent reports about it.
    pub(super) output: Option<Output>,
}

/// What came of a command.
pub(super) struct Output {
    pub(super) succeeded: bool,
    /// What the command itself printed.
    pub(super) printed: String,
    /// All that the agent says about it.
    pub(super) report: String,
}

/// Where a turn stands: rule, its how-manieth play, and how many commands have been asked for.
#[derive(Clone, Copy)]
pub(super) struct Call {
    rule: usize,
    play: u32,
    done: usize,
}

impl Call {
    fn id(self) -> String {
        format!("call_{}_{}_{}", self.rule, self.play, self.done)
    }

    /// The call that an id of ours stands for.
    pub(super) fn parse(id: &str) -> Option<Self> {
        let mut parts = id.strip_prefix("call_")?.split('_');
        let (rule, play, done) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self { rule: rule.parse().ok()?, play: play.parse().ok()?, done: done.parse().ok()? })
    }
}

/// Text given as a string or as content parts.
pub(super) fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

/// Whether a tool of this name is among those on offer.
pub(super) fn offers(tools: &Value, name: &str) -> bool {
    tools.as_array().is_some_and(|tools| tools.iter().any(|tool| tool["name"] == name))
}

/// A text in pieces, as a stream brings it.
pub(super) fn pieces(text: &str) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    letters.chunks(DELTA_CHARS).map(|piece| piece.iter().collect()).collect()
}

/// Characters a piece carries.
const DELTA_CHARS: usize = 48;

/// Milliseconds after which a command is handed back unfinished: the longest that Codex grants.
const PATIENCE_MS: u32 = 30_000;
