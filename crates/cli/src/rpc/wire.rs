//! JSON-RPC 2.0 in lines: what a line is, and what is sent.
//!
//! # Source
//! <https://www.jsonrpc.org/specification>, without batches.

use std::fmt::Display;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use botpipe_engine::Error;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::term::failure::Failure;

/// A line, by what it is.
pub(super) enum Incoming {
    Request {
        id: Value,
        method: String,
        params: Value,
    },
    Notification {
        method: String,
        params: Value,
    },
    /// The reply to our request of this number.
    Reply {
        id: u64,
        result: Result<Value, Value>,
    },
    /// Nothing that can be understood.
    Broken {
        id: Value,
        fault: Fault,
    },
}

/// An error of the protocol, or of what was asked.
#[derive(Debug)]
pub(super) struct Fault {
    code: i64,
    message: String,
    data: Value,
}

impl Fault {
    fn new(code: i64, message: impl Display) -> Self {
        Self { code, message: message.to_string(), data: Value::Null }
    }

    pub(super) fn request(message: impl Display) -> Self {
        Self::new(INVALID_REQUEST, message)
    }

    pub(super) fn params(message: impl Display) -> Self {
        Self::new(INVALID_PARAMS, message)
    }

    pub(super) fn method(method: &str, known: &[&str]) -> Self {
        let known = known.iter().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ");
        Self::new(METHOD_NOT_FOUND, format!("no method `{method}`; known here: {known}"))
    }

    /// A function that asked gets no answer.
    pub(super) fn callback(message: impl Display) -> Self {
        Self::new(CALLBACK_FAILED, message)
    }

    /// What a command of the same name would have failed with.
    pub(super) fn failure(failure: &Failure) -> Self {
        let said = failure.to_json();
        Self {
            code: FAILED,
            message: said["error"]["message"].as_str().unwrap_or_default().to_owned(),
            data: json!({ "hints": said["error"]["hints"], "exit_code": said["exit_code"] }),
        }
    }

    pub(super) fn of(error: Error) -> Self {
        Self::failure(&Failure::from(error))
    }

    /// The same with what belongs to it.
    pub(super) fn with(mut self, key: &str, value: Value) -> Self {
        if !self.data.is_object() {
            self.data = json!({});
        }
        self.data[key] = value;
        self
    }
}

/// Reads a line.
pub(super) fn read(line: &[u8]) -> Incoming {
    let broken = |id, fault| Incoming::Broken { id, fault };
    let parsed: Value = match serde_json::from_slice(line) {
        Ok(parsed) => parsed,
        Err(error) => {
            let message = format!("the line is no JSON: {error}");
            // Whoever waits for a reply is not left waiting.
            if let Some(id) = reply_to(line) {
                return Incoming::Reply { id, result: Err(json!({ "message": message })) };
            }
            return broken(Value::Null, Fault::new(PARSE_ERROR, message));
        }
    };
    let Value::Object(mut fields) = parsed else {
        return broken(Value::Null, Fault::request("a message is one JSON object a line"));
    };
    let mut take = |name: &str| fields.remove(name);
    let id = take("id").unwrap_or(Value::Null);
    if take("jsonrpc") != Some(json!("2.0")) {
        return broken(id, Fault::request("a message holds `\"jsonrpc\": \"2.0\"`"));
    }
    let params = take("params").unwrap_or(Value::Null);
    match (take("method"), &id) {
        (Some(Value::String(method)), Value::Null) => Incoming::Notification { method, params },
        (Some(Value::String(method)), Value::String(_) | Value::Number(_)) => {
            Incoming::Request { id, method, params }
        }
        (Some(_), _) => broken(id, Fault::request("`method` is a text, `id` a text or a number")),
        (None, Value::Number(number)) => {
            let Some(id) = number.as_u64() else {
                return broken(Value::Null, Fault::request("no request of ours has that `id`"));
            };
            let result = match (take("result"), take("error")) {
                (_, Some(error)) if !error.is_null() => Err(error),
                (Some(result), _) => Ok(result),
                (None, _) => {
                    return broken(
                        Value::Null,
                        Fault::request("a reply holds `result` or `error`"),
                    );
                }
            };
            Incoming::Reply { id, result }
        }
        (None, _) => broken(id, Fault::request("a message holds `method`, or replies to one")),
    }
}

/// The number of our request that a line answers which is no JSON, as far as can be told.
fn reply_to(line: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(line);
    if text.contains("\"method\"") || !text.contains("\"jsonrpc\"") {
        return None;
    }
    let (_, rest) = text.split_once("\"id\"")?;
    let rest = rest.trim_start().strip_prefix(':')?.trim_start();
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    rest[..digits].parse().ok()
}

/// The parameters of a method; an absent object is an empty one.
pub(super) fn params<T: DeserializeOwned>(params: Value) -> Result<T, Fault> {
    let params = if params.is_null() { json!({}) } else { params };
    serde_json::from_value(params).map_err(Fault::params)
}

/// What is sent: by a thread of its own, so that nobody waits for one who reads slowly.
#[derive(Clone)]
pub(super) struct Outgoing {
    lines: Sender<String>,
    /// Lines that are not written yet.
    pending: Arc<AtomicUsize>,
}

/// Lines on their way from which on what only shows progress is left out.
const MOST_PENDING: usize = 10_000;

impl Outgoing {
    /// # Errors
    /// No thread can be started.
    pub(super) fn new(mut pipe: Box<dyn Write + Send>) -> std::io::Result<Self> {
        let (lines, to_write) = channel::<String>();
        let pending = Arc::new(AtomicUsize::new(0));
        let written = Arc::clone(&pending);
        thread::Builder::new().name("rpc-out".to_owned()).spawn(move || {
            for line in to_write {
                // One who reads no more has closed the other pipe too, which ends the session.
                drop(pipe.write_all(line.as_bytes()).and_then(|()| pipe.flush()));
                written.fetch_sub(1, Ordering::SeqCst);
            }
        })?;
        Ok(Self { lines, pending })
    }

    fn send(&self, message: &Value) {
        self.pending.fetch_add(1, Ordering::SeqCst);
        // The thread is there as long as this is.
        drop(self.lines.send(format!("{message}\n")));
    }

    /// Waits until all is written, for so long at most.
    pub(super) fn settle(&self, patience: Duration) {
        let until = Instant::now() + patience;
        while self.pending.load(Ordering::SeqCst) > 0 && Instant::now() < until {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Sends a line that may be left out.
    pub(super) fn mention(&self, method: &str, params: &Value) {
        if self.pending.load(Ordering::SeqCst) < MOST_PENDING {
            self.notify(method, params);
        }
    }

    pub(super) fn result(&self, id: &Value, result: &Value) {
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "result": result }));
    }

    pub(super) fn error(&self, id: &Value, fault: &Fault) {
        let mut error = json!({ "code": fault.code, "message": fault.message });
        if !fault.data.is_null() {
            error["data"] = fault.data.clone();
        }
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "error": error }));
    }

    pub(super) fn request(&self, id: u64, method: &str, params: &Value) {
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
    }

    pub(super) fn notify(&self, method: &str, params: &Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }
}

const PARSE_ERROR: i64 = -32700;
const INVALID_REQUEST: i64 = -32600;
const METHOD_NOT_FOUND: i64 = -32601;
const INVALID_PARAMS: i64 = -32602;
/// Of this protocol: what was asked failed; `data` holds the hints and the exit code of a command.
const FAILED: i64 = -32000;
/// Of this protocol: a function that asked gets no answer.
const CALLBACK_FAILED: i64 = -32001;
