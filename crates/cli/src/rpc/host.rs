//! The functions of the other side: called by `host/call`, answered by replies, served by callbacks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use botpipe_engine::host::{Call, Host, Line, Said, Told};
use botpipe_kernel::ids::FunctionName;
use serde_json::{Value, json};

use super::wire::{Fault, Outgoing};

/// The functions that were named at the beginning, and the calls of them that go on.
pub(super) struct Functions {
    out: Outgoing,
    names: BTreeSet<FunctionName>,
    next: AtomicU64,
    calls: Arc<Mutex<Calls>>,
}

#[derive(Default)]
struct Calls {
    /// By the id of the call.
    going: BTreeMap<String, Going>,
    /// The id of a call by the number of its request.
    requests: BTreeMap<u64, String>,
}

/// A call that goes on.
struct Going {
    said: Sender<Said>,
    /// The request of a callback that is not answered yet.
    asks: Option<Value>,
}

impl Functions {
    pub(super) fn new(out: Outgoing, names: BTreeSet<FunctionName>) -> Self {
        Self { out, names, next: AtomicU64::new(1), calls: Arc::default() }
    }

    /// A function has returned, or failed.
    pub(super) fn returned(&self, request: u64, result: Result<Value, Value>) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(id) = calls.requests.remove(&request) else { return };
        let Some(going) = calls.going.remove(&id) else { return };
        let said = match result {
            Ok(value) => Said::Returns(value),
            Err(error) => Said::Fails(match error.get("message").and_then(Value::as_str) {
                Some(message) => message.to_owned(),
                None => error.to_string(),
            }),
        };
        // Whoever called may have been stopped meanwhile.
        drop(going.said.send(said));
    }

    /// A function asks for something.
    pub(super) fn asked(&self, id: Value, method: &str, mut params: Value) {
        let call = params.as_object_mut().and_then(|params| params.remove("call"));
        let Some(call) = call.as_ref().and_then(Value::as_str) else {
            return self.out.error(&id, &Fault::params("`call` says which call asks"));
        };
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let fault = match calls.going.get_mut(call) {
            None => Fault::callback(format!("no call `{call}` goes on")),
            Some(Going { asks: Some(_), .. }) => {
                Fault::callback(format!("call `{call}` has asked before, and has no answer yet"))
            }
            Some(going) => {
                let (method, params) = (method.to_owned(), params);
                if going.said.send(Said::Asks { method, params }).is_ok() {
                    going.asks = Some(id);
                    return;
                }
                Fault::callback(format!("nobody waits for call `{call}` any more"))
            }
        };
        drop(calls);
        self.out.error(&id, &fault);
    }

    /// A function says something that needs no answer: `callback/log`.
    pub(super) fn noticed(&self, method: &str, params: &Value) {
        let (Some(call), Some(text)) = (params["call"].as_str(), params["text"].as_str()) else {
            return;
        };
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(going), "callback/log") = (calls.going.get(call), method) {
            for line in text.lines() {
                drop(going.said.send(Said::Prints(line.to_owned())));
            }
        }
    }
}

impl Host for Functions {
    fn has(&self, function: &FunctionName) -> bool {
        self.names.contains(function)
    }

    fn begin(&self, call: Call, said: Sender<Said>) -> Result<Box<dyn Line>, String> {
        let Call { id, function, with, context } = call;
        let request = self.next.fetch_add(1, Ordering::SeqCst);
        // The same turn of another run may go on beside this one.
        let id = format!("{}:{id}", context["run"]["id"].as_str().unwrap_or_default());
        {
            let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
            calls.requests.insert(request, id.clone());
            calls.going.insert(id.clone(), Going { said, asks: None });
        }
        let params = json!({ "call": id, "function": function, "with": with, "context": context });
        self.out.request(request, "host/call", &params);
        Ok(Box::new(ToFunction { out: self.out.clone(), calls: Arc::clone(&self.calls), id }))
    }
}

/// The way to a function that runs.
struct ToFunction {
    out: Outgoing,
    calls: Arc<Mutex<Calls>>,
    id: String,
}

impl Line for ToFunction {
    fn tell(&mut self, told: Told) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let asks = calls.going.get_mut(&self.id).and_then(|going| going.asks.take());
        drop(calls);
        let Some(asks) = asks else { return };
        match told {
            Ok(value) => self.out.result(&asks, &value),
            Err(why) => self.out.error(&asks, &Fault::callback(why)),
        }
    }

    fn hang_up(&mut self) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let going = calls.going.remove(&self.id);
        calls.requests.retain(|_, id| *id != self.id);
        drop(calls);
        if let Some(asks) = going.and_then(|going| going.asks) {
            self.out.error(&asks, &Fault::callback("nobody waits for this call any more"));
        }
        self.out.notify("host/cancelled", &json!({ "call": self.id }));
    }
}
