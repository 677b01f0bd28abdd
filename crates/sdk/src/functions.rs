//! The functions of this program that workflows may call.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use botpipe_engine::host::{Call, Host, Line, Said, Told};
use botpipe_kernel::ids::FunctionName;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

type Body = dyn Fn(&mut Called) -> Result<Value, String> + Send + Sync;

/// The functions of this program that `call` steps, validators and hooks name.
///
/// ```
/// use botpipe::Functions;
///
/// let functions = Functions::new().function("is_even", |called| {
///     let number: u64 = called.with("number")?;
///     Ok::<_, String>(if number % 2 == 0 { "even" } else { "odd" })
/// });
/// # let _ = functions;
/// ```
#[derive(Clone, Default)]
#[must_use]
pub struct Functions {
    named: BTreeMap<String, Arc<Body>>,
}

impl Functions {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One more, in place of one of that name. What it returns says where the run goes: nothing (`()`), a
    /// route's tag, or an object such as `{"event": {"tag": "done", "payload": 3}}`. An error fails the call.
    ///
    /// It is called on a thread of its own. A call that is cut off is called again, and then told again what it
    /// was told before: it has to ask for the same in the same order.
    pub fn function<F, R, E>(mut self, name: impl Into<String>, body: F) -> Self
    where
        F: Fn(&mut Called) -> Result<R, E> + Send + Sync + 'static,
        R: Into<Value>,
        E: Display,
    {
        let body = move |called: &mut Called| match body(called) {
            Ok(value) => Ok(value.into()),
            Err(error) => Err(error.to_string()),
        };
        self.named.insert(name.into(), Arc::new(body));
        self
    }
}

impl Host for Functions {
    fn has(&self, function: &FunctionName) -> bool {
        self.named.contains_key(function.as_str())
    }

    fn begin(&self, call: Call, said: Sender<Said>) -> Result<Box<dyn Line>, String> {
        let Some(body) = self.named.get(call.function.as_str()).cloned() else {
            return Err(format!("there is no function `{}`", call.function));
        };
        let (tell, told) = channel();
        let mut called = Called { call, said, told };
        let run = move || {
            let end = catch_unwind(AssertUnwindSafe(|| body(&mut called)));
            let end = end.unwrap_or_else(|panic| Err(words(panic.as_ref())));
            // Nobody may wait for it any more.
            let _ = called.said.send(match end {
                Ok(value) => Said::Returns(value),
                Err(why) => Said::Fails(why),
            });
        };
        let thread = thread::Builder::new().name("botpipe-call".to_owned()).spawn(run);
        thread.map_err(|error| format!("no thread could be started: {error}"))?;
        Ok(Box::new(ToFunction { tell: Some(tell) }))
    }
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("the function panicked: {}", text.as_deref().unwrap_or("it does not say why"))
}

/// The way to a function that runs; without `tell`, nobody waits for it.
struct ToFunction {
    tell: Option<Sender<Told>>,
}

impl Line for ToFunction {
    fn tell(&mut self, told: Told) {
        if let Some(tell) = &self.tell {
            // It may have ended without waiting for this.
            let _ = tell.send(told);
        }
    }

    fn hang_up(&mut self) {
        self.tell = None;
    }
}

/// A call of a function, as the function sees it.
pub struct Called {
    call: Call,
    said: Sender<Said>,
    told: Receiver<Told>,
}

impl Called {
    /// A value it was called with (`with` of the step).
    ///
    /// # Errors
    /// There is none of that name, or it is of another type.
    pub fn with<T: DeserializeOwned>(&self, name: &str) -> Result<T, String> {
        let Some(value) = self.call.with.get(name) else {
            return Err(format!("the function was called without `{name}`"));
        };
        of_type(value).map_err(|why| format!("`{name}`: {why}"))
    }

    /// What templates can name at this place, as a JSON object; in a hook also `hook`.
    pub fn context(&self) -> &Value {
        &self.call.context
    }

    /// Shows a line to whoever watches the run.
    pub fn print(&self, line: impl Into<String>) {
        // Nobody may wait for it any more.
        let _ = self.said.send(Said::Prints(line.into()));
    }

    /// Asks an agent for a value, as [`Client::llm`](crate::Client::llm) does: a run below this one.
    ///
    /// # Errors
    /// Why there is none, in words.
    pub fn llm<T: DeserializeOwned>(
        &mut self,
        prompt: impl AsRef<str>,
        schema: impl Into<Value>,
    ) -> Result<T, String> {
        let asked = json!({ "prompt": prompt.as_ref(), "schema": schema.into() });
        of_type(&self.ask("llm", asked)?)
    }

    /// Asks an agent to pick one of a few words; `choices` is a JSON list of them, or an object of each with what
    /// it means.
    ///
    /// # Errors
    /// Why there is none, in words.
    pub fn classify<T: DeserializeOwned>(
        &mut self,
        prompt: impl AsRef<str>,
        choices: impl Into<Value>,
    ) -> Result<T, String> {
        let asked = json!({ "prompt": prompt.as_ref(), "choices": choices.into() });
        of_type(&self.ask("classify", asked)?)
    }

    /// The text of an artifact; `None` where it is not there.
    ///
    /// # Errors
    /// No such artifact, or one that is no text.
    pub fn read(&mut self, artifact: &str) -> Result<Option<String>, String> {
        let found = self.ask("artifact/read", json!({ "artifact": artifact }))?;
        Ok(found.get("text").and_then(Value::as_str).map(str::to_owned))
    }

    /// Writes an artifact of the step.
    ///
    /// # Errors
    /// The step does not write it, or it cannot be written.
    pub fn write(&mut self, artifact: &str, text: impl Into<String>) -> Result<(), String> {
        let asked = json!({ "artifact": artifact, "text": text.into() });
        self.ask("artifact/write", asked).map(drop)
    }

    /// Asks for anything that a function can ask for: `llm`, `classify`, `workflow`, `artifact/read`,
    /// `artifact/write`, `worklist/items`, `worklist/change`. It is recorded before it is done.
    ///
    /// # Errors
    /// Why it is not to be had; or that nobody waits for this call any more.
    pub fn ask(&mut self, method: &str, params: impl Into<Value>) -> Result<Value, String> {
        let gone = || "nobody waits for this call any more".to_owned();
        let asked = Said::Asks { method: method.to_owned(), params: params.into() };
        self.said.send(asked).map_err(|_| gone())?;
        self.told.recv().map_err(|_| gone())?
    }
}

fn of_type<T: DeserializeOwned>(value: &Value) -> Result<T, String> {
    T::deserialize(value).map_err(|error| format!("{error}; it is {value}"))
}
