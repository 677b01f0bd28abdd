//! What the scripted model answers to one request: the next command, the last word, or a fault.

use std::sync::{LazyLock, Mutex, PoisonError};

use regex::Regex;
use serde_json::{Value, json};

use crate::script::{Deed, Fault, Names, OUTPUT, Rule, Script, render};

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
#[derive(Debug, PartialEq)]
pub(super) enum Reply {
    /// A call of the agent's shell tool.
    Call { id: String, tool: &'static str, arguments: Value },
    /// The last message of the turn.
    Say(String),
    /// The connection ends mid-answer.
    Cut,
    /// An HTTP error.
    Refuse { status: u16, message: String },
}

impl Model {
    pub(super) fn new(script: Script) -> Self {
        let plays = Mutex::new(vec![0; script.rules().len()]);
        Self { script, plays }
    }

    /// Answers the body of a `POST …/responses`.
    pub(super) fn answer(&self, body: &Value) -> Answer {
        let conversation = Conversation::read(body);
        let rules = self.script.rules();
        let chosen = match &conversation.last_call {
            Some(call) => rules
                .get(call.rule)
                .and_then(|rule| Some((rule, rule.fits(&conversation.prompt)?, *call))),
            None => self.choose(&conversation.prompt),
        };
        let Some((rule, names, call)) = chosen else {
            let message = "no rule of the script fits this prompt".to_owned();
            return Answer { rule: None, reply: Reply::Refuse { status: 400, message } };
        };
        Answer { rule: Some(rule.name.clone()), reply: play(rule, names, call, &conversation) }
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
    let (run, say) = match &rule.deed {
        Deed::Fault(Fault::Cut) => return Reply::Cut,
        Deed::Fault(Fault::Status(status)) => {
            let message = format!("scripted fault of rule `{}`", rule.name);
            return Reply::Refuse { status: *status, message };
        }
        Deed::Answer { run, say } => (run, say),
    };
    if let Some(output) = &conversation.output {
        if !succeeded(output) {
            // No outcome: a script that does not work must not look like one that does.
            return Reply::Say(format!("A command did not succeed:\n{output}"));
        }
        names.insert(OUTPUT.to_owned(), printed(output).trim_end().to_owned());
    }
    let Some(command) = run.get(call.done) else { return Reply::Say(render(say, &names)) };
    let Some(tool) = conversation.tool else {
        let message = "the request offers no shell tool this model knows".to_owned();
        return Reply::Refuse { status: 400, message };
    };
    let command = render(command, &names);
    let arguments = match tool {
        "shell" => json!({ "command": ["bash", "-lc", command] }),
        _ => json!({ "cmd": command, "yield_time_ms": PATIENCE_MS }),
    };
    Reply::Call { id: Call { done: call.done + 1, ..call }.id(), tool, arguments }
}

/// What a request says about the turn under way.
struct Conversation {
    /// The text of the latest user message.
    prompt: String,
    /// The shell tool on offer.
    tool: Option<&'static str>,
    /// The latest call since the prompt.
    last_call: Option<Call>,
    /// What the agent reports about it.
    output: Option<String>,
}

impl Conversation {
    fn read(body: &Value) -> Self {
        let items = body["input"].as_array().map_or(&[][..], Vec::as_slice);
        let start = items.iter().rposition(|item| item["role"] == "user");
        let since = start.map_or(items, |start| &items[start..]);
        let latest = |kind: &str| since.iter().rev().find(|item| item["type"] == kind);
        Self {
            prompt: start.map(|start| text_of(&items[start]["content"])).unwrap_or_default(),
            tool: SHELL_TOOLS.into_iter().find(|tool| offers(&body["tools"], tool)),
            last_call: latest("function_call")
                .and_then(|item| Call::parse(item["call_id"].as_str()?)),
            output: latest("function_call_output").map(|item| text_of(&item["output"])),
        }
    }
}

/// Where a turn stands: rule, its how-manieth play, and how many commands have been asked for.
#[derive(Clone, Copy)]
struct Call {
    rule: usize,
    play: u32,
    done: usize,
}

impl Call {
    fn id(self) -> String {
        format!("call_{}_{}_{}", self.rule, self.play, self.done)
    }

    fn parse(id: &str) -> Option<Self> {
        let mut parts = id.strip_prefix("call_")?.split('_');
        let (rule, play, done) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self { rule: rule.parse().ok()?, play: play.parse().ok()?, done: done.parse().ok()? })
    }
}

/// Text given as a string or as content parts.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

fn offers(tools: &Value, name: &str) -> bool {
    tools.as_array().is_some_and(|tools| tools.iter().any(|tool| tool["name"] == name))
}

/// Whether a command ended, and well.
fn succeeded(output: &str) -> bool {
    let head = output.split_once(OUTPUT_MARK).map_or(output, |(head, _)| head);
    EXIT_CODE.captures(head).is_some_and(|code| &code[1] == "0")
}

/// What the command itself printed, without what the agent says about it.
fn printed(output: &str) -> &str {
    output.split_once(OUTPUT_MARK).map_or(output, |(_, printed)| printed)
}

/// The shell tools the model can call, the preferred one first.
///
/// # Source
/// Observed: Codex CLI 0.169.0 offers `exec_command`; its older releases `shell`.
const SHELL_TOOLS: [&str; 2] = ["exec_command", "shell"];

/// Milliseconds after which `exec_command` hands a command back unfinished: the longest it takes.
const PATIENCE_MS: u32 = 30_000;

/// What stands before a command's output in the report of Codex CLI 0.169.0.
const OUTPUT_MARK: &str = "\nOutput:\n";

#[expect(clippy::expect_used, reason = "a constant pattern; the turn tests compile it")]
static EXIT_CODE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?m)(?:Process exited with code|Exit code:) (-?\d+)").expect("a valid pattern")
});
