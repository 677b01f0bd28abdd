//! One turn's talk with Claude Code: what is sent, what its lines mean, and what the end comes to.

use std::collections::{BTreeMap, BTreeSet};

use botpipe_kernel::run::{FailureClass, Usage};
use serde_json::{Value, json};

use super::failure::{self, Clues};
use super::permission::{self, Verdict};
use super::wire::{End, Line, RateLimit, Request, Response, System, Tokens};
use crate::command::{ProgramEnd, ended, unanswered};
use crate::harness::{Access, Asked, Codec, Failure, Heard, Leave, Report, Sign, Want};

/// A turn under way.
#[derive(Debug)]
pub struct Protocol {
    program: String,
    prompt: String,
    cwd: String,
    home: Option<String>,
    access: Access,
    /// Whether it asks leave.
    asks: bool,
    /// What was asked and is not answered: what each tool is given, by the request.
    wanted: BTreeMap<String, Value>,
    /// Millionths of a dollar that the conversation had cost before.
    cost_before: u64,
    session: Option<String>,
    /// The last message of the model's in it.
    message: Option<String>,
    /// The last end of a turn; there can be several.
    end: Option<End>,
    /// Tokens of the turns that ended.
    ended: Vec<Tokens>,
    /// Tokens by message, as far as told: all that is known of a turn that is cut off.
    told: BTreeMap<String, Tokens>,
    /// Ids of tool calls that have no result yet.
    open: BTreeSet<String>,
    clues: Clues,
    /// Why the talk itself was refused.
    refused: Option<String>,
    /// Why an end of the turn could not be read.
    unreadable: Option<String>,
    /// Whether anything was part of the talk.
    understood: bool,
}

impl Protocol {
    /// The talk about a turn.
    pub fn new(asked: &Asked<'_>) -> Self {
        Self {
            program: asked.harness.program.clone(),
            prompt: asked.prompt.to_owned(),
            cwd: asked.cwd.to_owned(),
            home: asked.harness.home.clone(),
            access: asked.access.clone(),
            asks: asked.asks,
            wanted: BTreeMap::new(),
            cost_before: asked.session_cost,
            // A fork has a name of its own.
            session: asked.session.filter(|_| asked.from.is_none()).map(str::to_owned),
            message: None,
            end: None,
            ended: Vec::new(),
            told: BTreeMap::new(),
            open: BTreeSet::new(),
            clues: Clues::default(),
            refused: None,
            unreadable: None,
            understood: false,
        }
    }
}

impl Codec for Protocol {
    fn open(&mut self) -> String {
        let begin = control(BEGIN, &json!({ "subtype": "initialize", "hooks": {} }));
        begin + &user(&self.prompt)
    }

    fn hear(&mut self, text: &str) -> Heard {
        let line = match serde_json::from_str::<Line>(text) {
            Ok(line) => line,
            Err(error) if is_end(text) => {
                self.unreadable = Some(error.to_string());
                return Heard { finished: true, ..Heard::default() };
            }
            Err(_) => return Heard { sign: Sign::Waiting, ..Heard::default() },
        };
        self.understood = true;
        let heard = self.take(line);
        Heard { busy: !self.open.is_empty(), ..heard }
    }

    fn steer(&mut self, text: &str) -> Option<String> {
        // Before the conversation has begun there is nobody to tell.
        (self.session.is_some() && self.end.is_none()).then(|| user(text))
    }

    fn give_leave(&mut self, id: &str, leave: &Leave) -> String {
        match (self.wanted.remove(id), leave) {
            (Some(input), Leave::Given) => allowed(id, &input),
            (Some(_), Leave::Denied(why)) => denied(id, why.as_deref().unwrap_or(DENIED)),
            (None, _) => String::new(),
        }
    }

    fn leave_off(&mut self) -> Option<String> {
        Some(control(LEAVE_OFF, &json!({ "subtype": "interrupt" })))
    }

    fn close(&mut self, end: &ProgramEnd, stderr: &str) -> Report {
        let mut notes = Vec::new();
        let denied = self.end.iter().flat_map(|end| &end.permission_denials);
        notes.extend(denied.map(|denial| format!("`{}` was denied a call", denial.tool_name)));
        let result = self.result(end, stderr);
        if let (Ok(_), Err((_, message))) = (&result, ended(&self.program, end)) {
            notes.push(format!("after its answer, {message}"));
        }
        let checkpoint = self.message.take().filter(|_| result.is_ok());
        let (usage, transcript) = (self.usage(), self.transcript());
        Report { result, usage, transcript, checkpoint, notes }
    }
}

impl Protocol {
    fn take(&mut self, line: Line) -> Heard {
        match line {
            Line::System(system) => self.system(system),
            Line::Assistant(said) => {
                if let Some(tokens) = said.message.usage {
                    self.told.insert(said.message.id, tokens);
                }
                if said.parent_tool_use_id.is_none() {
                    self.clues.error = said.error;
                    self.message = said.uuid;
                }
                self.follow(&said.message.content);
                say(&blocks(&said.message.content))
            }
            Line::User(user) => {
                self.follow(&user.message.content);
                say(&blocks(&user.message.content))
            }
            Line::RateLimitEvent { rate_limit_info } => self.limit(&rate_limit_info),
            Line::ControlRequest { request_id, request } => self.answer(&request_id, request),
            Line::ControlResponse { response } => self.response(response),
            Line::Result(end) => self.ends(*end),
            Line::Other => Heard::default(),
        }
    }

    /// Keeps in mind which calls are under way.
    fn follow(&mut self, content: &Value) {
        for block in content.as_array().map_or(&[][..], Vec::as_slice) {
            if let Some(id) = block["id"].as_str().filter(|_| block["type"] == "tool_use") {
                self.open.insert(id.to_owned());
            }
            if let Some(id) = block["tool_use_id"].as_str() {
                self.open.remove(id);
            }
        }
    }

    fn system(&mut self, system: System) -> Heard {
        match system {
            System::Init { session_id, mcp_servers } => {
                self.session = Some(session_id.clone());
                let broken = mcp_servers.into_iter().filter(|server| server.status == "failed");
                let says = broken.map(|server| format!("MCP server `{}` failed", server.name));
                Heard { session: Some(session_id), ..say(&says.collect::<Vec<_>>()) }
            }
            System::ApiRetry { attempt, max_retries, error_status, error } => {
                let status = error_status.map_or_else(String::new, |status| format!(" {status}"));
                let error = error.unwrap_or_default();
                let says = format!("tries again ({attempt}/{max_retries}):{status} {error}");
                Heard { sign: Sign::Waiting, ..say(&[says]) }
            }
            System::PermissionDenied { tool_name, message } => {
                say(&[format!("denied: {tool_name}: {message}")])
            }
            System::ModelFallback { original_model, fallback_model } => {
                let name = |model: Option<String>| model.unwrap_or_else(|| "?".to_owned());
                let (from, to) = (name(original_model), name(fallback_model));
                say(&[format!("model {to} in place of {from}")])
            }
            System::Other => Heard::default(),
        }
    }

    fn limit(&mut self, limit: &RateLimit) -> Heard {
        self.clues.limited = limit.status == "rejected";
        self.clues.resets_at = limit.resets_at;
        let kind = limit.kind.as_deref().unwrap_or("limit");
        say(&[format!("{kind}: {}", limit.status)])
    }

    /// The answer to what Claude Code asks.
    fn answer(&mut self, id: &str, request: Request) -> Heard {
        let (tool, input) = match request {
            Request::CanUseTool { tool_name, input } => (tool_name, input),
            // Belongs to a feature that was not asked for.
            Request::Other => {
                let refused =
                    json!({ "subtype": "error", "request_id": id, "error": "not offered here" });
                return Heard { send: respond(&refused), ..Heard::default() };
            }
        };
        let verdict = permission::of(&self.access, self.asks, &self.cwd, &tool, &input);
        let (send, says) = match verdict {
            Verdict::Allow => (allowed(id, &input), Vec::new()),
            Verdict::Deny(why) => (denied(id, &why), vec![format!("denied: {tool}: {why}")]),
            Verdict::Ask(want) => {
                self.wanted.insert(id.to_owned(), input);
                let want = Want { id: id.to_owned(), ..*want };
                return Heard { wants: vec![want], ..Heard::default() };
            }
        };
        Heard { send, ..say(&says) }
    }

    fn response(&mut self, response: Response) -> Heard {
        let refused = response.subtype == "error" && response.request_id == BEGIN;
        if refused {
            self.refused = Some(response.error.unwrap_or_default());
        }
        Heard { finished: refused, ..Heard::default() }
    }

    fn ends(&mut self, end: End) -> Heard {
        self.ended.extend(end.usage);
        self.told.clear();
        let finished = end.queued_turn_count == 0;
        self.end = Some(end);
        Heard { finished, ..Heard::default() }
    }

    fn result(&self, how: &ProgramEnd, stderr: &str) -> Result<String, Failure> {
        let program = &self.program;
        match (&self.end, ended(program, how)) {
            // Whatever comes after a good end is noise: the answer is whole.
            (Some(end), _) if end.is_good() => return Ok(end.result.clone().unwrap_or_default()),
            // Left off because we said so: what made us say so is the reason.
            (Some(end), Err((class, message))) if end.is_left_off() => {
                return Err(Failure::new(class, message));
            }
            (Some(end), _) => return Err(failure::of(end, &self.clues)),
            (None, _) => {}
        }
        if let Some(why) = &self.refused {
            let message = format!("`{program}` would not begin: {why}");
            return Err(Failure::new(FailureClass::Protocol, message));
        }
        if let Some(why) = &self.unreadable {
            let message = format!(
                "the end of the turn that `{program}` told could not be read: {why}; is it a version \
                 that Botpipe does not know?"
            );
            return Err(Failure::new(FailureClass::Protocol, message));
        }
        let ended = ended(program, how);
        if ended.is_ok() && !self.understood {
            let message = "said nothing that Claude Code says; is it another program?";
            let message = format!("`{program}` {message}");
            return Err(Failure::new(FailureClass::Protocol, message));
        }
        Err(unanswered(program, ended, stderr))
    }

    /// Where Claude Code keeps the conversation.
    fn transcript(&self) -> Option<String> {
        let (home, session) = (self.home.as_ref()?, self.session.as_ref()?);
        let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '-' };
        let folder: String = self.cwd.chars().map(plain).collect();
        Some(format!("{home}/projects/{folder}/{session}.jsonl"))
    }

    /// What was spent: of turns that ended, what they say; of one that did not, at least what its
    /// messages say.
    fn usage(&self) -> Option<Usage> {
        if self.ended.is_empty() && self.told.is_empty() {
            return None;
        }
        let mut usage = Usage { at_least: !self.told.is_empty(), ..Usage::default() };
        for tokens in self.ended.iter().chain(self.told.values()) {
            let thinking = tokens.details.unwrap_or_default().thinking;
            usage.input += tokens.input + tokens.cache_read + tokens.cache_write;
            usage.cached += tokens.cache_read;
            usage.cache_write += tokens.cache_write;
            usage.output += tokens.output;
            usage.reasoning += thinking;
        }
        let total = self.end.as_ref().and_then(|end| end.total_cost_usd).and_then(millionths);
        // A conversation that was begun anew counts from nothing.
        usage.cost = total.map(|total| total.checked_sub(self.cost_before).unwrap_or(total));
        Some(usage)
    }
}

/// Whether a line that does not read as one is the end of a turn: whoever waited for another would
/// wait in vain.
fn is_end(text: &str) -> bool {
    serde_json::from_str::<Value>(text).is_ok_and(|line| line["type"] == "result")
}

/// What blocks of a message say to people.
fn blocks(content: &Value) -> Vec<String> {
    let blocks = content.as_array().map_or(&[][..], Vec::as_slice);
    let said = |block: &Value| match block["type"].as_str()? {
        "text" => Some(block["text"].as_str()?.to_owned()),
        "tool_use" => {
            let input = &block["input"];
            let what = ["command", "file_path", "pattern", "url", "description"];
            let what = what.into_iter().find_map(|key| input[key].as_str()).unwrap_or_default();
            Some(format!("{} {what}", block["name"].as_str()?).trim_end().to_owned())
        }
        "tool_result" if block["is_error"] == true => {
            Some(format!("failed: {}", block["content"].as_str().unwrap_or_default()))
        }
        _ => None,
    };
    blocks.iter().filter_map(said).collect()
}

fn user(text: &str) -> String {
    let message = json!({ "role": "user", "content": text });
    line(&json!({
        "type": "user", "message": message, "parent_tool_use_id": null, "session_id": "",
    }))
}

fn control(id: &str, request: &Value) -> String {
    line(&json!({ "type": "control_request", "request_id": id, "request": request }))
}

fn line(value: &Value) -> String {
    format!("{value}\n")
}

fn respond(response: &Value) -> String {
    line(&json!({ "type": "control_response", "response": response }))
}

fn allowed(id: &str, input: &Value) -> String {
    let verdict = json!({ "behavior": "allow", "updatedInput": input });
    respond(&json!({ "subtype": "success", "request_id": id, "response": verdict }))
}

fn denied(id: &str, why: &str) -> String {
    let verdict = json!({ "behavior": "deny", "message": why, "interrupt": false });
    respond(&json!({ "subtype": "success", "request_id": id, "response": verdict }))
}

fn say(lines: &[String]) -> Heard {
    let say = if lines.is_empty() { None } else { Some(lines.join("\n")) };
    Heard { say, ..Heard::default() }
}

/// Dollars as millionths of one; nothing for what is no amount of money.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an amount that is checked to be in range"
)]
fn millionths(dollars: f64) -> Option<u64> {
    let amount = (dollars * 1e6).round();
    (0.0..1e15).contains(&amount).then_some(amount as u64)
}

/// What the model is told of a denial that nobody explains.
const DENIED: &str = "This was denied, and stays denied for this turn. Go on without it, and say in your \
                      last message what could not be done for want of it.";

/// Ids of what we ask.
const BEGIN: &str = "begin";
const LEAVE_OFF: &str = "leave-off";
