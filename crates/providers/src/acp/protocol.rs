//! One turn with an ACP agent: initialize, begin or load a session, prompt, listen.

use std::collections::BTreeSet;

use botpipe_kernel::run::{FailureClass, McpServer, Usage};
use serde_json::{Value, json};

use crate::classify;
use crate::command::{self, Clock, ProgramEnd};
use crate::harness::{Asked, Codec, Failure, Heard, Report, SandboxMode, Sign};
use crate::json_rpc::{self, Message};

/// The conversation with one agent about one turn.
#[derive(Debug)]
pub struct Protocol {
    program: String,
    prompt: String,
    cwd: String,
    session: Option<String>,
    servers: Vec<Value>,
    /// What a permission is answered with.
    allow: bool,
    /// Folders that may be written beside the working directory.
    beside: Vec<String>,
    stage: Stage,
    /// What the agent said, message by message, with their ids.
    said: Vec<(Option<String>, String)>,
    /// Calls of tools that have begun and not ended.
    open: BTreeSet<String>,
    /// The agent has told that the turn failed: it may well end it as if it had not.
    broken: bool,
    usage: Option<Usage>,
    outcome: Option<Result<(), Failure>>,
}

/// How far the talk has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing that was said was part of the protocol.
    Silent,
    /// What comes before the prompt is replayed history.
    Opening,
    Prompted,
}

const INITIALIZE: u64 = 1;
const SESSION: u64 = 2;
const PROMPT: u64 = 3;
/// The version of the protocol that is spoken.
const VERSION: u64 = 1;

impl Protocol {
    /// The protocol of a turn.
    pub fn new(asked: &Asked<'_>) -> Self {
        let servers = asked.harness.mcp_servers.iter().map(|(name, server)| match server {
            McpServer::Program { command, args, .. } => {
                json!({ "name": name, "command": command, "args": args, "env": [] })
            }
            McpServer::Remote { url } => {
                json!({ "type": "http", "name": name, "url": url, "headers": [] })
            }
        });
        Self {
            program: asked.harness.program.clone(),
            prompt: asked.prompt.to_owned(),
            cwd: asked.cwd.to_owned(),
            session: asked.session.map(str::to_owned),
            servers: servers.collect(),
            allow: asked.access.sandbox == SandboxMode::DangerFullAccess,
            beside: asked.access.writable.clone(),
            stage: Stage::Silent,
            said: Vec::new(),
            open: BTreeSet::new(),
            broken: false,
            usage: None,
            outcome: None,
        }
    }

    fn replied(&mut self, id: u64, result: Result<Value, Value>) -> Heard {
        let what = match id {
            INITIALIZE => "initialize",
            SESSION if self.session.is_some() => "session/load",
            SESSION => "session/new",
            PROMPT => "session/prompt",
            _ => return Heard::default(),
        };
        let result = match result {
            Ok(result) => result,
            Err(error) => return self.end(Err(of_error(what, &error))),
        };
        match id {
            INITIALIZE => self.begin(&result),
            SESSION => {
                let known = self.session.clone();
                let Some(session) = result["sessionId"].as_str().map(str::to_owned).or(known)
                else {
                    let message = format!("the agent answered `{what}` without a session");
                    return self.end(Err(Failure::new(FailureClass::Protocol, message)));
                };
                let prompt = json!([{ "type": "text", "text": self.prompt }]);
                let params = json!({ "sessionId": session, "prompt": prompt });
                self.session = Some(session.clone());
                self.stage = Stage::Prompted;
                let send = json_rpc::request(PROMPT, "session/prompt", &params);
                Heard { send, session: Some(session), ..Heard::default() }
            }
            _ => {
                self.usage = usage(&result["usage"]);
                let stop = result["stopReason"].as_str().unwrap_or_default();
                let outcome = of_stop(stop).and_then(|()| self.unbroken());
                self.end(outcome)
            }
        }
    }

    fn begin(&mut self, result: &Value) -> Heard {
        let version = result["protocolVersion"].as_u64();
        if version != Some(VERSION) {
            let shown = version.map_or_else(|| "none".to_owned(), |it| it.to_string());
            let message = format!(
                "the agent speaks version {shown} of ACP, and Botpipe version {VERSION}; use a version \
                 of the agent that does too"
            );
            return self.end(Err(Failure::new(FailureClass::Protocol, message)));
        }
        let mut params = json!({ "cwd": self.cwd, "mcpServers": self.servers });
        // Offered, it takes folders beside that one; an agent without knows no other than its own.
        let takes = &result["agentCapabilities"]["sessionCapabilities"]["additionalDirectories"];
        if takes.is_object() && !self.beside.is_empty() {
            params["additionalDirectories"] = json!(self.beside);
        }
        let loads = result["agentCapabilities"]["loadSession"] == Value::Bool(true);
        let method = match &self.session {
            Some(session) if loads => {
                params["sessionId"] = json!(session);
                "session/load"
            }
            Some(_) => {
                let message = "the agent cannot load an earlier session".to_owned();
                return self.end(Err(Failure::new(FailureClass::SessionLost, message)));
            }
            None => "session/new",
        };
        Heard { send: json_rpc::request(SESSION, method, &params), ..Heard::default() }
    }

    fn updated(&mut self, update: &Value) -> Heard {
        if self.stage != Stage::Prompted || self.outcome.is_some() {
            return Heard { sign: Sign::Waiting, ..Heard::default() };
        }
        let id = || update["toolCallId"].as_str().unwrap_or_default().to_owned();
        let mut say = None;
        let mut sign = Sign::Progress;
        match update["sessionUpdate"].as_str().unwrap_or_default() {
            "agent_message_chunk" => {
                let text = update["content"]["text"].as_str().unwrap_or_default();
                let message = update["messageId"].as_str().map(str::to_owned);
                match self.said.last_mut() {
                    Some((last, said)) if *last == message => said.push_str(text),
                    _ => self.said.push((message, text.to_owned())),
                }
                say = Some(text.to_owned()).filter(|text| !text.trim().is_empty());
            }
            "tool_call" => {
                self.open.insert(id());
                say = update["title"].as_str().map(str::to_owned);
            }
            "tool_call_update" => {
                if matches!(update["status"].as_str(), Some("completed" | "failed")) {
                    self.open.remove(&id());
                }
            }
            "session_info_update" => {
                say = self.told(&update["_meta"]["codex"]);
                sign = Sign::Waiting;
            }
            "usage_update" | "available_commands_update" => sign = Sign::Waiting,
            _ => {}
        }
        Heard { say, sign, busy: !self.open.is_empty(), ..Heard::default() }
    }

    /// What `codex-acp` tells beside the protocol: that it tries again, and that it has given up.
    ///
    /// # Source
    /// `codex-acp` 2.6.0, which answers such a prompt with `end_turn` all the same, and says why in a
    /// message without an id.
    fn told(&mut self, codex: &Value) -> Option<String> {
        if let Some(status) = codex["threadStatus"]["type"].as_str() {
            self.broken = status == "systemError";
        }
        let error = &codex["error"];
        let message = error["message"].as_str().filter(|_| error["willRetry"] == true)?;
        let details = error["additionalDetails"].as_str().unwrap_or_default();
        Some(format!("{message} {details}").trim_end().to_owned())
    }

    /// Whether the turn that has ended did not fail; the last message says why.
    fn unbroken(&self) -> Result<(), Failure> {
        if !self.broken {
            return Ok(());
        }
        let message = self.said.last().map_or("the agent failed without a word", |it| it.1.trim());
        let class = classify::of_text(message).unwrap_or(FailureClass::Unknown);
        Err(Failure::new(class, message))
    }

    /// A permission is given or refused as the policy says, by the kind of the option.
    fn permit(&self, id: &Value, params: &Value) -> Heard {
        let wanted = if self.allow {
            ["allow_once", "allow_always"]
        } else {
            ["reject_once", "reject_always"]
        };
        let options = params["options"].as_array().map_or(&[][..], Vec::as_slice);
        let chosen = wanted
            .iter()
            .find_map(|kind| options.iter().find(|option| option["kind"] == *kind))
            .and_then(|option| option["optionId"].as_str());
        let outcome = match chosen {
            Some(option) => json!({ "outcome": "selected", "optionId": option }),
            None => json!({ "outcome": "cancelled" }),
        };
        let what = params["toolCall"]["title"].as_str().unwrap_or("something");
        let say = (!self.allow || chosen.is_none()).then(|| format!("not permitted: {what}"));
        let send = json_rpc::reply(id, &json!({ "outcome": outcome }));
        Heard { send, say, busy: !self.open.is_empty(), ..Heard::default() }
    }

    fn end(&mut self, outcome: Result<(), Failure>) -> Heard {
        if self.outcome.is_none() {
            self.outcome = Some(outcome);
        }
        Heard { finished: true, ..Heard::default() }
    }

    /// The last message of the agent's own; agents also slip in notices without an id.
    fn answer(&self) -> String {
        let named = self.said.iter().rev().find(|(id, _)| id.is_some());
        named.or(self.said.last()).map(|(_, text)| text.clone()).unwrap_or_default()
    }
}

impl Codec for Protocol {
    fn open(&mut self) -> String {
        let params = json!({
            "protocolVersion": VERSION,
            "clientInfo": { "name": "botpipe", "title": "Botpipe", "version": env!("CARGO_PKG_VERSION") },
            "clientCapabilities": {
                "fs": { "readTextFile": false, "writeTextFile": false }, "terminal": false,
            },
        });
        json_rpc::request(INITIALIZE, "initialize", &params)
    }

    fn hear(&mut self, line: &str) -> Heard {
        let message = json_rpc::read(line);
        if self.stage == Stage::Silent && message != Message::Noise {
            self.stage = Stage::Opening;
        }
        match message {
            Message::Reply { id, result } => self.replied(id, result),
            Message::Notification { method, params } if method == "session/update" => {
                self.updated(&params["update"])
            }
            Message::Request { id, method, params } if method == "session/request_permission" => {
                self.permit(&id, &params)
            }
            Message::Request { id, method, .. } => {
                Heard { send: json_rpc::unknown(&id, &method), ..Heard::default() }
            }
            Message::Notification { .. } | Message::Noise => {
                Heard { sign: Sign::Waiting, ..Heard::default() }
            }
        }
    }

    fn leave_off(&mut self) -> Option<String> {
        let session = self
            .session
            .as_ref()
            .filter(|_| self.stage == Stage::Prompted && self.outcome.is_none())?;
        Some(json_rpc::notification("session/cancel", &json!({ "sessionId": session })))
    }

    fn close(&mut self, end: &ProgramEnd, stderr: &str) -> Report {
        let mut notes = Vec::new();
        let ended = command::ended(&self.program, end);
        // Ended well, or went on with whatever it said.
        let stalled = matches!(end, ProgramEnd::TimedOut { clock: Clock::Stall, .. });
        let talked = stalled || ended.is_ok();
        let result = match (self.outcome.take(), ended) {
            (Some(Ok(())), ended) => {
                notes.extend(ended.err().map(|(_, how)| format!("after its answer, {how}")));
                Ok(self.answer())
            }
            (None, _) if self.stage == Stage::Silent && talked => {
                let message = format!(
                    "`{}` said nothing that an ACP agent says; is it an agent that speaks ACP, and does \
                     it need further arguments for that?{}",
                    self.program,
                    command::quoted(stderr)
                );
                Err(Failure::new(FailureClass::Protocol, message))
            }
            // What we ended ourselves ends as we say.
            (_, Err((class, how))) if end.is_ours() => Err(Failure::new(class, how)),
            (Some(Err(failure)), _) => Err(failure),
            (None, ended) => Err(command::unanswered(&self.program, ended, stderr)),
        };
        // Nothing that agents agree on begins a conversation from within another.
        Report { result, usage: self.usage.take(), transcript: None, checkpoint: None, notes }
    }
}

/// Whether a reason to stop is a good end.
fn of_stop(stop: &str) -> Result<(), Failure> {
    let (class, message) = match stop {
        "end_turn" => return Ok(()),
        "max_tokens" => {
            (FailureClass::OutputLimit, "the answer reached the most tokens it may have")
        }
        "max_turn_requests" => {
            (FailureClass::OutputLimit, "the turn reached the most requests it may make")
        }
        "refusal" => (FailureClass::Refused, "the agent refused to go on"),
        "cancelled" => (FailureClass::Crashed, "the turn was cancelled, and not by us"),
        _ => {
            let message = format!("the turn stopped for a reason that is not known: `{stop}`");
            return Err(Failure::new(FailureClass::Unknown, message));
        }
    };
    Err(Failure::new(class, message))
}

/// An error reply: agents tell more in `data`, each in its own words.
///
/// # Source
/// `codex-acp` 2.6.0: `data.codexErrorInfo`, and −32000 for a login that is not accepted;
/// `claude-agent-acp`: `data.errorKind`.
fn of_error(what: &str, error: &Value) -> Failure {
    let data = &error["data"];
    let words = [&data["codexErrorInfo"], &data["errorKind"], &data["message"], &data["details"]];
    let words = words.map(|word| word.as_str().unwrap_or_default());
    let message = error["message"].as_str().unwrap_or_default();
    let class = match words[0] {
        "usageLimitExceeded" => Some(FailureClass::UsageLimit),
        "contextWindowExceeded" => Some(FailureClass::ContextOverflow),
        "serverOverloaded" => Some(FailureClass::Overloaded),
        "internalServerError" => Some(FailureClass::ServerError),
        "unauthorized" => Some(FailureClass::Auth),
        "modelNotFound" => Some(FailureClass::ModelNotFound),
        _ => None,
    };
    let class = class
        .or(match words[1] {
            "rate_limit" => Some(FailureClass::RateLimited),
            "authentication_failed" => Some(FailureClass::Auth),
            "billing_error" => Some(FailureClass::Quota),
            "overloaded" => Some(FailureClass::Overloaded),
            "server_error" => Some(FailureClass::ServerError),
            _ => None,
        })
        .or_else(|| [message, words[2], words[3]].into_iter().find_map(classify::of_text))
        .or((error["code"] == AUTH_REQUIRED).then_some(FailureClass::Auth))
        .or((error["code"] == NOT_FOUND && what == "session/load")
            .then_some(FailureClass::SessionLost))
        .unwrap_or(if what == "session/prompt" {
            FailureClass::Unknown
        } else {
            FailureClass::Protocol
        });
    let more = words[2..].iter().find(|word| !word.is_empty() && !message.contains(**word));
    let more = more.map(|word| format!(": {word}")).unwrap_or_default();
    Failure::new(class, format!("the agent refused `{what}`: {message}{more}"))
}

/// Codes of the protocol: a login is needed; a resource is not there.
const AUTH_REQUIRED: i64 = -32000;
const NOT_FOUND: i64 = -32002;

/// `{"inputTokens","cachedReadTokens","cachedWriteTokens","outputTokens","thoughtTokens"}`: cached tokens
/// stand beside those of the input. `None` for an agent that reports none.
fn usage(value: &Value) -> Option<Usage> {
    let count = |name: &str| value[name].as_u64().unwrap_or(0);
    value["inputTokens"].as_u64()?;
    let (cached, cache_write) = (count("cachedReadTokens"), count("cachedWriteTokens"));
    Some(Usage {
        input: count("inputTokens") + cached + cache_write,
        cached,
        cache_write,
        output: count("outputTokens"),
        reasoning: count("thoughtTokens"),
        cost: None,
        at_least: false,
    })
}
