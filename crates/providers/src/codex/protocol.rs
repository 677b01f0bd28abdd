//! One turn with the app server: initialize, begin or continue a thread, start the turn, listen.

use std::collections::{BTreeMap, BTreeSet};

use botpipe_kernel::run::{FailureClass, Usage};
use serde_json::{Value, json};

use super::{failure, items, leave};
use crate::command::{self, ProgramEnd};
use crate::harness::{Access, Asked, Codec, Failure, Heard, Leave, Report, SandboxMode, Sign};
use crate::json_rpc::{self, Message};

/// The conversation with one app server about one turn.
#[derive(Debug)]
pub struct Protocol {
    prompt: String,
    cwd: String,
    session: Option<String>,
    /// The last turn of it that a new thread shall have.
    from: Option<String>,
    model: Option<String>,
    effort: Option<String>,
    access: Access,
    /// Whether it asks leave.
    asks: bool,
    /// The changes of files that have begun and not ended, by their items.
    changes: BTreeMap<String, Value>,
    /// What was asked and is not answered: the ids of the requests, as they came.
    wanted: BTreeMap<String, Value>,
    thread: Option<String>,
    turn: Option<String>,
    transcript: Option<String>,
    /// The last thing the agent said.
    text: Option<String>,
    /// Items that have begun and not ended, and may take long.
    open: BTreeSet<String>,
    /// Totals of the thread before this turn, and now.
    tokens: Option<(Tokens, Tokens)>,
    resets_at: Option<u64>,
    /// The last notice that something is tried again.
    retry: Option<String>,
    outcome: Option<Result<(), Failure>>,
}

const INITIALIZE: u64 = 1;
const THREAD: u64 = 2;
const TURN: u64 = 3;
const INTERRUPT: u64 = 4;
const STEER: u64 = 5;

impl Protocol {
    /// The protocol of a turn.
    pub fn new(asked: &Asked<'_>) -> Self {
        Self {
            prompt: asked.prompt.to_owned(),
            cwd: asked.cwd.to_owned(),
            session: asked.session.map(str::to_owned),
            from: asked.from.map(str::to_owned),
            model: asked.harness.model.clone(),
            effort: asked.harness.effort.clone(),
            access: asked.access.clone(),
            asks: asked.asks,
            changes: BTreeMap::new(),
            wanted: BTreeMap::new(),
            thread: None,
            turn: None,
            transcript: None,
            text: None,
            open: BTreeSet::new(),
            tokens: None,
            resets_at: None,
            retry: None,
            outcome: None,
        }
    }

    /// The approvals that are asked for: all, or none.
    fn approvals(&self) -> &'static str {
        if self.asks { "untrusted" } else { "never" }
    }

    /// The thread itself is begun read only: one that may write has Codex trust the project, with what the
    /// project's own `.codex/` says of rules, servers and hooks. What the turn may do comes with the turn.
    ///
    /// # Source
    /// Codex CLI 0.169.0, measured both ways.
    fn begin(&self) -> String {
        let sandbox = super::sandbox_word(SandboxMode::ReadOnly);
        let approvals = self.approvals();
        let mut params =
            json!({ "cwd": self.cwd, "approvalPolicy": approvals, "sandbox": sandbox });
        if let Some(model) = &self.model {
            params["model"] = json!(model);
        }
        let initialized = json_rpc::notification("initialized", &json!({}));
        if let Some(thread) = &self.session {
            params["threadId"] = json!(thread);
        }
        if let Some(turn) = &self.from {
            params["lastTurnId"] = json!(turn);
        }
        initialized + &json_rpc::request(THREAD, self.thread_method(), &params)
    }

    fn thread_method(&self) -> &'static str {
        match (&self.session, &self.from) {
            (Some(_), Some(_)) => "thread/fork",
            (Some(_), None) => "thread/resume",
            (None, _) => "thread/start",
        }
    }

    fn start(&self, thread: &str) -> String {
        let Access { sandbox, writable, network } = &self.access;
        let policy = match sandbox {
            SandboxMode::ReadOnly => json!({ "type": "readOnly", "networkAccess": network }),
            SandboxMode::WorkspaceWrite => json!({
                "type": "workspaceWrite", "writableRoots": writable, "networkAccess": network,
            }),
            SandboxMode::DangerFullAccess => json!({ "type": "dangerFullAccess" }),
        };
        let mut params = json!({
            "threadId": thread,
            "cwd": self.cwd,
            "approvalPolicy": self.approvals(),
            "sandboxPolicy": policy,
            "input": [{ "type": "text", "text": self.prompt }],
        });
        if let Some(model) = &self.model {
            params["model"] = json!(model);
        }
        if let Some(effort) = &self.effort {
            params["effort"] = json!(effort);
        }
        json_rpc::request(TURN, "turn/start", &params)
    }

    fn replied(&mut self, id: u64, result: Result<Value, Value>) -> Heard {
        let what = match id {
            INITIALIZE => "initialize",
            THREAD => self.thread_method(),
            TURN => "turn/start",
            _ => return Heard::default(),
        };
        let result = match result {
            Ok(result) => result,
            Err(error) => return self.end(Err(failure::of_request(what, &error))),
        };
        match id {
            INITIALIZE => Heard { send: self.begin(), ..Heard::default() },
            THREAD => {
                let Some(thread) = result["thread"]["id"].as_str() else {
                    let message = format!("codex answered `{what}` without a thread");
                    return self.end(Err(Failure::new(FailureClass::Protocol, message)));
                };
                if let Some(why) = self.not_from(&result["thread"]) {
                    return self.end(Err(Failure::new(FailureClass::SessionLost, why)));
                }
                self.thread = Some(thread.to_owned());
                self.transcript = result["thread"]["path"].as_str().map(str::to_owned);
                let send = self.start(thread);
                Heard { send, session: Some(thread.to_owned()), ..Heard::default() }
            }
            _ => {
                self.turn = result["turn"]["id"].as_str().map(str::to_owned);
                Heard::default()
            }
        }
    }

    /// Why a forked thread is not the one that was asked for: it would remember what was cut off.
    fn not_from(&self, thread: &Value) -> Option<String> {
        let from = self.from.as_deref()?;
        let last = thread["turns"].as_array().and_then(|turns| turns.last())?["id"].as_str()?;
        (last != from).then(|| format!("codex begins after turn {last}, and not after {from}"))
    }

    fn notified(&mut self, method: &str, params: &Value) -> Heard {
        // A thread may have others below it, whose turns are not ours.
        let of = |name: &str| params[name].as_str();
        if of("threadId").is_some()
            && self.thread.is_some()
            && of("threadId") != self.thread.as_deref()
        {
            return Heard::default();
        }
        match method {
            "item/started" | "item/completed" => self.item(method, &params["item"]),
            "thread/tokenUsage/updated" => {
                let ours = self.turn.is_none() || of("turnId") == self.turn.as_deref();
                if ours {
                    self.count(&params["tokenUsage"], self.turn.is_none());
                }
                Heard::default()
            }
            "account/rateLimits/updated" => {
                self.resets_at = resets_at(&params["rateLimits"]).or(self.resets_at);
                Heard { sign: Sign::Waiting, ..Heard::default() }
            }
            "error" if params["willRetry"] == Value::Bool(true) => {
                let message = params["error"]["message"].as_str().unwrap_or_default().to_owned();
                self.retry = Some(message.clone());
                Heard { say: Some(message), sign: Sign::Waiting, ..Heard::default() }
            }
            "warning" | "guardianWarning" => {
                let say = params["message"].as_str();
                Heard { say: say.map(str::to_owned), sign: Sign::Waiting, ..Heard::default() }
            }
            "turn/completed" => self.completed(&params["turn"]),
            _ => {
                let sign = if method.ends_with("Delta") || method.ends_with("/delta") {
                    Sign::Passing
                } else if method.starts_with("item/") || method.starts_with("turn/") {
                    Sign::Progress
                } else {
                    Sign::Waiting
                };
                Heard { sign, busy: !self.open.is_empty(), ..Heard::default() }
            }
        }
    }

    /// What Codex asks of us.
    fn requested(&mut self, id: &Value, method: &str, params: &Value) -> Heard {
        let changes = params["itemId"].as_str().and_then(|item| self.changes.get(item));
        let want = match method {
            "item/commandExecution/requestApproval" => leave::of_command(params, &self.cwd),
            "item/fileChange/requestApproval" => leave::of_changes(params, changes, &self.cwd),
            _ => return Heard { send: json_rpc::unknown(id, method), ..Heard::default() },
        };
        let busy = !self.open.is_empty();
        // Nothing is asked under `never`; whatever asks all the same is told no.
        if !self.asks {
            let send = json_rpc::reply(id, &json!({ "decision": "decline" }));
            return Heard { send, busy, ..Heard::default() };
        }
        let want = crate::harness::Want { id: id.to_string(), ..want };
        self.wanted.insert(want.id.clone(), id.clone());
        Heard { wants: vec![want], busy, ..Heard::default() }
    }

    fn item(&mut self, method: &str, item: &Value) -> Heard {
        let id = item["id"].as_str().unwrap_or_default();
        let ended = method == "item/completed";
        if ended {
            self.open.remove(id);
            self.changes.remove(id);
        } else {
            if items::takes_long(item) {
                self.open.insert(id.to_owned());
            }
            if item["type"] == "fileChange" {
                self.changes.insert(id.to_owned(), item["changes"].clone());
            }
        }
        if ended && item["type"] == "agentMessage" && self.outcome.is_none() {
            self.text = item["text"].as_str().map(str::to_owned);
        }
        let say = if ended { items::say(item) } else { None };
        Heard { say, busy: !self.open.is_empty(), ..Heard::default() }
    }

    fn completed(&mut self, turn: &Value) -> Heard {
        if self.turn.is_some() && turn["id"].as_str() != self.turn.as_deref() {
            return Heard::default();
        }
        match turn["status"].as_str() {
            Some("completed") => {
                let mut said = turn["items"].as_array().into_iter().flatten();
                let last = said.rfind(|item| item["type"] == "agentMessage");
                if let Some(text) = last.and_then(|item| item["text"].as_str()) {
                    self.text = Some(text.to_owned());
                }
                self.end(Ok(()))
            }
            Some("interrupted") => {
                let message = "the turn was interrupted inside codex".to_owned();
                self.end(Err(Failure::new(FailureClass::Crashed, message)))
            }
            _ => self.end(Err(failure::of_turn(&turn["error"], self.resets_at))),
        }
    }

    /// The turn is over. What comes later changes nothing, but a later end of the same turn counts.
    fn end(&mut self, outcome: Result<(), Failure>) -> Heard {
        self.outcome = Some(outcome);
        Heard { finished: true, ..Heard::default() }
    }

    /// `{"total":{…},"last":{…}}`: totals of the thread, and of its last call.
    fn count(&mut self, usage: &Value, before_ours: bool) {
        let total = Tokens::of(&usage["total"]);
        if before_ours {
            self.tokens = Some((total, total));
            return;
        }
        let base = match self.tokens {
            Some((base, _)) => base,
            None if self.session.is_none() => Tokens::default(),
            // Nobody told what the thread had used: all but the first call of this turn.
            None => total.minus(Tokens::of(&usage["last"])),
        };
        self.tokens = Some((base, total));
    }

    fn usage(&self, whole: bool) -> Option<Usage> {
        let (base, now) = self.tokens?;
        let spent = now.minus(base);
        Some(Usage {
            input: spent.input,
            cached: spent.cached,
            cache_write: spent.cache_write,
            output: spent.output,
            reasoning: spent.reasoning,
            cost: None,
            at_least: !whole,
        })
    }
}

impl Codec for Protocol {
    fn open(&mut self) -> String {
        let params = json!({
            "clientInfo": { "name": "botpipe", "title": "Botpipe", "version": env!("CARGO_PKG_VERSION") },
            "capabilities": { "optOutNotificationMethods": UNHEARD },
        });
        json_rpc::request(INITIALIZE, "initialize", &params)
    }

    fn hear(&mut self, line: &str) -> Heard {
        match json_rpc::read(line) {
            Message::Reply { id, result } => self.replied(id, result),
            Message::Notification { method, params } => self.notified(&method, &params),
            Message::Request { id, method, params } => self.requested(&id, &method, &params),
            Message::Noise => Heard { sign: Sign::Waiting, ..Heard::default() },
        }
    }

    fn steer(&mut self, text: &str) -> Option<String> {
        let (thread, turn) = (self.thread.as_ref()?, self.turn.as_ref()?);
        if self.outcome.is_some() {
            return None;
        }
        let params = json!({
            "threadId": thread,
            "expectedTurnId": turn,
            "input": [{ "type": "text", "text": text }],
        });
        Some(json_rpc::request(STEER, "turn/steer", &params))
    }

    fn give_leave(&mut self, id: &str, leave: &Leave) -> String {
        let Some(id) = self.wanted.remove(id) else { return String::new() };
        let (decision, said) = match leave {
            Leave::Given => ("accept", String::new()),
            // It tells its model no more than that.
            Leave::Denied(why) => {
                let why = why.as_deref().map(|why| format!("{DENIED} {why}"));
                ("decline", why.and_then(|why| self.steer(&why)).unwrap_or_default())
            }
        };
        json_rpc::reply(&id, &json!({ "decision": decision })) + &said
    }

    fn leave_off(&mut self) -> Option<String> {
        let (thread, turn) = (self.thread.as_ref()?, self.turn.as_ref()?);
        let params = json!({ "threadId": thread, "turnId": turn });
        Some(json_rpc::request(INTERRUPT, "turn/interrupt", &params))
    }

    fn close(&mut self, end: &ProgramEnd, stderr: &str) -> Report {
        let (result, notes) = command::concluded(
            "codex",
            end,
            stderr,
            self.outcome.take(),
            self.text.take(),
            self.retry.as_deref(),
        );
        let usage = self.usage(result.is_ok());
        let checkpoint = self.turn.take().filter(|_| result.is_ok());
        Report { result, usage, transcript: self.transcript.take(), checkpoint, notes }
    }
}

/// When the account's limit is over: the latest reset of a window that is used up, in seconds since the
/// epoch.
fn resets_at(limits: &Value) -> Option<u64> {
    let windows = [&limits["primary"], &limits["secondary"]];
    let used_up = windows.iter().filter(|window| window["usedPercent"].as_i64() >= Some(100));
    used_up.filter_map(|window| window["resetsAt"].as_u64()).max()
}

/// Totals of tokens, as Codex counts them.
#[derive(Debug, Clone, Copy, Default)]
struct Tokens {
    input: u64,
    cached: u64,
    cache_write: u64,
    output: u64,
    reasoning: u64,
}

impl Tokens {
    fn of(value: &Value) -> Self {
        let count = |name: &str| value[name].as_u64().unwrap_or(0);
        Self {
            input: count("inputTokens"),
            cached: count("cachedInputTokens"),
            cache_write: count("cacheWriteInputTokens"),
            output: count("outputTokens"),
            reasoning: count("reasoningOutputTokens"),
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            input: self.input.saturating_sub(other.input),
            cached: self.cached.saturating_sub(other.cached),
            cache_write: self.cache_write.saturating_sub(other.cache_write),
            output: self.output.saturating_sub(other.output),
            reasoning: self.reasoning.saturating_sub(other.reasoning),
        }
    }
}

/// Before what a person said to a denial.
const DENIED: &str = "What you asked leave for was denied:";

/// Notifications that are not sent to us: what they say comes again, whole.
const UNHEARD: [&str; 6] = [
    "item/commandExecution/outputDelta",
    "item/fileChange/outputDelta",
    "item/fileChange/patchUpdated",
    "item/reasoning/textDelta",
    "item/reasoning/summaryPartAdded",
    "turn/diff/updated",
];
