//! Calling a function of the host: what it asks for is owed before it is done, and told again when the
//! function is started again.

use std::time::{Duration, Instant};

use botpipe_kernel::ids::{Digest, FunctionName, TurnId};
use botpipe_kernel::run::{Callback, Evidence, FailureClass, Input, Ref, TurnResult};
use serde::Deserialize;
use serde_json::{Value, json};

use super::clocks::Clocks;
use super::turn::{Activity, millis};
use super::{Trouble, callbacks};
use crate::driver::Driver;
use crate::host::{Call, Calling, Said};
use crate::policy::{self, Held, Limit};
use crate::process::Stream;

/// A function that runs, kept while what it asked for is done.
pub(crate) struct Parked {
    turn: TurnId,
    calling: Calling,
    /// What it has asked for, and been told.
    told: usize,
    /// Whether it waits to be told.
    waits: bool,
    /// How long it has run, without what it waited for.
    ran: Duration,
    /// What it printed.
    log: Activity,
}

impl Parked {
    /// It is over: what there is to show for it.
    fn over(self, ran: Duration) -> Evidence {
        Evidence { activity: self.log.finish(), took_ms: millis(ran), ..Evidence::default() }
    }
}

/// A call as its turn was prepared.
#[derive(Deserialize)]
struct Prepared {
    function: FunctionName,
    with: Value,
    context: Value,
}

/// How long one look for what a function says takes, before it is seen who else has something to say.
const LOOK: Duration = Duration::from_millis(50);

/// Runs a function until it is over, or asks for something that it was not told before.
pub(super) fn run(driver: &mut Driver<'_>, turn: TurnId, prompt: &Ref) -> Result<Input, Trouble> {
    let parked = driver.desk.parked.take().filter(|parked| parked.turn == turn);
    let mut parked = match parked {
        Some(parked) => parked,
        None => match begin(driver, &turn, prompt)? {
            Ok(parked) => parked,
            Err(why) => return ended(driver, turn, Evidence::default(), &why, Some(1)),
        },
    };
    let step = driver.current_step()?;
    let wall = Clocks::of(&driver.run, &step, turn.role, false).wall;
    let limits = policy::of_run(&driver.run, (&step, turn.role), &driver.desk.layout);
    let limits = Held::of(&limits);
    let limit = limits.bounds.wall_ms.map(Duration::from_millis);
    let began = Instant::now();
    if parked.waits {
        tell(driver, &mut parked)?;
    }
    loop {
        if driver.stop.requested().is_some() {
            return Err(Trouble::Stopped);
        }
        let ran = parked.ran + began.elapsed();
        if limit.is_some_and(|limit| ran >= limit) {
            let message = format!("the function {}", limits.exceeded(Limit::Wall));
            return ended(driver, turn, parked.over(ran), &message, Some(1));
        }
        if let Some(limit) = wall.filter(|limit| ran >= *limit) {
            let message = format!("the function was still running after {} s", limit.as_secs_f64());
            return ended(driver, turn, parked.over(ran), &message, Some(1));
        }
        match parked.calling.next(LOOK) {
            None => drop(driver.hear_people().map_err(Trouble::Fatal)?),
            Some(Said::Prints(line)) => {
                let line = driver.desk.redactor.redact(&line).into_owned();
                parked.log.line(Stream::Stdout, &line)?;
                driver.show(&turn, &line);
            }
            Some(Said::Returns(value)) => {
                let value = driver.desk.redactor.redact_json(value);
                return ended(driver, turn, parked.over(ran), &value.to_string(), None);
            }
            Some(Said::Fails(why)) => return ended(driver, turn, parked.over(ran), &why, Some(1)),
            Some(Said::Asks { method, params }) => {
                let ask = json!({ "method": method, "params": params });
                let n = parked.told;
                let key = key_of(&ask);
                if let Some(known) = recorded(driver, n) {
                    if known.key != key {
                        let message = mismatch(driver, n, &known, &ask)?;
                        let class = FailureClass::ReplayMismatch;
                        return Ok(failed(turn, class, message, parked.over(ran)));
                    }
                    tell(driver, &mut parked)?;
                    continue;
                }
                // A refusal is recorded like any answer: what is refused now may not be later.
                let (child, refused) = match callbacks::wanted(driver, &method, &params)? {
                    Ok(child) => (child, None),
                    Err(why) => (None, Some(why)),
                };
                let mut ask = driver.desk.redactor.redact_json(ask);
                if let Some(why) = refused {
                    ask["refused"] = Value::String(why);
                }
                let ask = driver.keep(&ask.to_string())?;
                (parked.ran, parked.waits) = (ran, true);
                driver.desk.parked = Some(parked);
                let n = u32::try_from(n).unwrap_or(u32::MAX);
                return Ok(Input::CallbackAsked { turn, n, key, ask, child });
            }
        }
    }
}

fn begin(
    driver: &mut Driver<'_>,
    turn: &TurnId,
    prompt: &Ref,
) -> Result<Result<Parked, String>, Trouble> {
    let prepared: Prepared =
        serde_json::from_str(&driver.text_of(prompt)?).map_err(Trouble::stuck)?;
    let Prepared { function, with, context } = prepared;
    let Some(host) = driver.parts.host.clone().filter(|host| host.has(&function)) else {
        return Err(Trouble::Stuck { message: no_host(driver.parts.host.is_some(), &function) });
    };
    let call = Call { id: driver.desk.way_to(turn), function, with, context };
    let log = Activity::create(driver, turn)?;
    Ok(Calling::begin(host.as_ref(), call).map(|calling| Parked {
        turn: turn.clone(),
        calling,
        log,
        told: 0,
        waits: false,
        ran: Duration::ZERO,
    }))
}

/// Why a function cannot be called, and what to do.
pub(crate) fn no_host(has_host: bool, function: &FunctionName) -> String {
    if has_host {
        format!("the host has no function `{function}`")
    } else {
        format!(
            "the workflow calls function `{function}`, and no program hosts it; run it from a \
             program that does, by `botpipe rpc` or the Rust library"
        )
    }
}

/// Tells the function what it waits for, where that is recorded.
fn tell(driver: &Driver<'_>, parked: &mut Parked) -> Result<(), Trouble> {
    let Some(known) = recorded(driver, parked.told).filter(|known| known.is_answered) else {
        return Ok(());
    };
    let told = callbacks::told(driver, &known)?;
    parked.calling.tell(told);
    parked.told += 1;
    parked.waits = false;
    Ok(())
}

/// What the function that is called asked for as its so many-th.
fn recorded(driver: &Driver<'_>, n: usize) -> Option<Callback> {
    let calling = driver.run.visit.as_ref()?.calling.as_ref()?;
    calling.callbacks.get(n).cloned()
}

fn key_of(ask: &Value) -> Digest {
    botpipe_journal::digest_of(botpipe_lang::canonical_json(ask).as_bytes())
}

fn mismatch(
    driver: &Driver<'_>,
    n: usize,
    known: &Callback,
    ask: &Value,
) -> Result<String, Trouble> {
    let short = |text: &str| crate::prompt::one_line(text, 200);
    Ok(format!(
        "started again, the function asks for something else as its request {}: {} instead of {}; \
         `resume` begins it anew",
        n + 1,
        short(&ask.to_string()),
        short(&driver.text_of(&known.ask)?)
    ))
}

fn ended(
    driver: &mut Driver<'_>,
    turn: TurnId,
    evidence: Evidence,
    text: &str,
    exit: Option<i32>,
) -> Result<Input, Trouble> {
    let text = driver.desk.redactor.redact(text).into_owned();
    let result = TurnResult::Completed { text: driver.keep(&text)?, exit };
    Ok(Input::TurnEnded { turn, result, evidence, pause: None })
}

fn failed(turn: TurnId, class: FailureClass, message: String, evidence: Evidence) -> Input {
    let result = TurnResult::Failed { class, message };
    Input::TurnEnded { turn, result, evidence, pause: None }
}
