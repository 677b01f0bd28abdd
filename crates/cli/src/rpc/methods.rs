//! What the other side may ask for: workflows looked at, runs started, moved on and looked at.

use std::fs;

use botpipe_engine::catalog;
use botpipe_engine::config::{Agent, Config, HarnessLayer, Layer, Setting};
use botpipe_engine::request::{
    ProviderChoice, ResumeRequest, RunEnd, RunRef, SignalRequest, SignalResult, StartRequest,
};
use botpipe_kernel::run::Raise;
use botpipe_lang::{Compiled, Files, Folder, InMemory, SourceFile, compile};
use serde_json::{Value, json};

use super::Session;
use super::shapes::{Document, List, OfWorkflow, Provider, Source, Start, Stop, Which, budget};
use super::wire::{Fault, params};
use crate::term::end::End;
use crate::term::exit;

/// Every method.
pub(super) const NAMES: [&str; 20] = [
    "initialize",
    "shutdown",
    "workflow/list",
    "workflow/check",
    "run/start",
    "run/resume",
    "run/answer",
    "run/signal",
    "run/stop",
    "run/cancel",
    "run/list",
    "run/show",
    "run/events",
    "callback/llm",
    "callback/classify",
    "callback/workflow",
    "callback/artifact/read",
    "callback/artifact/write",
    "callback/worklist/items",
    "callback/worklist/change",
];

/// Answers a request, now or when the run it moves rests.
pub(super) fn answer(session: &Session, id: Value, method: &str, given: Value) {
    if let Some(callback) = method.strip_prefix("callback/") {
        return session.functions.asked(id, callback, given);
    }
    let moved = match method {
        "run/start" => start(session, &id, given),
        "run/resume" | "run/answer" | "run/signal" => move_on(session, &id, method, given),
        _ => match look(session, method, given) {
            Ok(found) => return session.out.result(&id, &found),
            Err(fault) => Err(fault),
        },
    };
    if let Err(fault) = moved {
        session.out.error(&id, &fault);
    }
}

/// What only looks, or is done at once.
fn look(session: &Session, method: &str, given: Value) -> Result<Value, Fault> {
    let engine = &session.engine;
    Ok(match method {
        "workflow/list" => {
            let none: serde_json::Map<String, Value> = params(given)?;
            if let Some(key) = none.keys().next() {
                return Err(Fault::params(format!("`workflow/list` takes no `{key}`")));
            }
            let found = catalog::list(&session.workspace).map_err(of_catalog)?;
            let all = found.iter().map(|it| {
                json!({ "name": it.name, "title": it.title, "aliases": it.aliases,
                    "origin": it.origin.as_str(), "path": it.place() })
            });
            json!({ "workflows": all.collect::<Vec<_>>() })
        }
        "workflow/check" => {
            let OfWorkflow { workflow } = params(given)?;
            let (source, compiled) = load(session, &workflow)?;
            json!({
                "file": source.name,
                "ok": compiled.plan.is_some(),
                "plan_digest": compiled.plan_digest,
                "diagnostics": compiled.diagnostics,
                "functions": functions(&compiled),
            })
        }
        "run/stop" => {
            let Stop { run } = params(given)?;
            json!({ "stopped": session.runs.stop(&run, super::SIGTERM) })
        }
        "run/cancel" => {
            let which: Which = params(given)?;
            let which = which.only(method, &[])?;
            engine.cancel(&which.run()).map_err(Fault::of)?;
            json!({ "cancelled": true })
        }
        "run/list" => {
            let List { workflow, task } = params(given)?;
            let runs = engine.runs(workflow.as_ref(), task.as_ref()).map_err(Fault::of)?;
            let all = runs.iter().map(|run| {
                json!({ "run": run.run, "task": run.task, "workflow": run.workflow,
                    "state": run.state.as_str(), "detail": run.detail, "created_at": run.created_at })
            });
            json!({ "runs": all.collect::<Vec<_>>() })
        }
        "run/show" => {
            let which: Which = params(given)?;
            let which = which.only(method, &[])?;
            let view = engine.show(&which.run()).map_err(Fault::of)?;
            let end = End {
                run: &view.summary.run,
                task: &view.summary.task,
                workflow: &view.summary.workflow,
                state: &view.state,
                output: engine.output(&view.state),
                folder: &view.folder,
                workspace: &session.workspace,
                named: which.run.is_some(),
                owned: view.summary.owned,
            };
            without_next(end.to_json(exit::of_lifecycle(&view.state.lifecycle)))
        }
        "run/events" => {
            let which: Which = params(given)?;
            let which = which.only(method, &["after"])?;
            let view = engine.show(&which.run()).map_err(Fault::of)?;
            let new = view.events.iter().filter(|stored| stored.seq > which.after);
            let events = new.map(|it| json!({ "seq": it.seq, "at": it.at, "event": it.event }));
            json!({ "run": view.summary.run, "events": events.collect::<Vec<_>>() })
        }
        _ => return Err(Fault::method(method, &NAMES)),
    })
}

fn of_catalog(error: catalog::Error) -> Fault {
    Fault::failure(&error.into())
}

fn load(session: &Session, source: &Source) -> Result<(SourceFile, Compiled), Fault> {
    let (source, files): (SourceFile, Box<dyn Files>) = match source {
        Source::Reference(reference) => {
            let found = catalog::find(&session.workspace, reference).map_err(of_catalog)?;
            found.load().map_err(of_catalog)?
        }
        Source::Document(Document { text, name, files, folder }) => {
            let text = match text {
                Value::String(text) => text.clone(),
                Value::Object(_) => format!("{text:#}\n"),
                _ => return Err(Fault::params("`document` is a text or an object")),
            };
            let name = name.clone().unwrap_or_else(|| "sop.yaml".to_owned());
            let files: Box<dyn Files> = match (files, folder) {
                (Some(_), Some(_)) => {
                    return Err(Fault::params("say `files` or `folder`, not both"));
                }
                (None, Some(folder)) => Box::new(Folder::new(session.workspace.join(folder))),
                (files, None) => Box::new(files.iter().flatten().collect::<InMemory>()),
            };
            (SourceFile { name, text }, files)
        }
    };
    let compiled = compile(&source, files.as_ref());
    Ok((source, compiled))
}

/// The functions that a workflow calls, but for those of workflows below it.
fn functions(compiled: &Compiled) -> Vec<String> {
    let steps = compiled.plan.iter().flat_map(|plan| &plan.steps);
    let codes = steps.flat_map(botpipe_kernel::plan::Step::codes);
    let mut names: Vec<String> =
        codes.filter_map(|code| code.function()).map(ToString::to_string).collect();
    names.sort();
    names.dedup();
    names
}

fn start(session: &Session, id: &Value, given: Value) -> Result<(), Fault> {
    let given: Start = params(given)?;
    let (source, compiled) = load(session, &given.workflow)?;
    if compiled.plan.is_none() {
        return Err(Fault::params(format!("`{}` does not check", source.name))
            .with("diagnostics", json!(compiled.diagnostics)));
    }
    let pairs = given.params.iter().map(|(name, value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (name.clone(), text)
    });
    let record = given.record.map(|path| session.workspace.join(path));
    if let Some(path) = &record
        && (path.is_dir() || path.parent().is_none_or(|folder| !folder.is_dir()))
    {
        let path = path.display();
        return Err(Fault::params(format!("`record` names `{path}`, which cannot be written to")));
    }
    let request = StartRequest {
        task: given.task,
        message: given.message,
        input: given.input,
        params: pairs.collect(),
        provider: recording(session, given.provider.as_ref())?,
        pass_env: given.pass_env,
        budget: budget(given.budget.as_ref())?,
        record,
        sources: match &given.workflow {
            Source::Reference(reference) => {
                catalog::find(&session.workspace, reference).map_err(of_catalog)?.sources()
            }
            Source::Document(_) => Vec::new(),
        },
        ..StartRequest::default()
    };
    let layer = Layer {
        max_steps: given.max_steps.map(|it| Setting::option("max_steps", it)),
        full_auto: given.full_auto.then(|| Setting::option("full_auto", true)),
        ..options(given.provider)?
    };
    let config =
        Config::load(&session.workspace).map_err(|error| Fault::of(error.into()))?.with(layer);
    let request = config.fill(&compiled, &session.workspace, request).map_err(Fault::of)?;
    let own = session.clone();
    session.runs.go(&session.out, id, given.watch, move |progress, stop| {
        let end = own.engine.start(&compiled, request, progress, stop).map_err(Fault::of)?;
        Ok(of_end(&own, &end, None))
    });
    Ok(())
}

/// The recording that is to be played, if one is.
fn recording(
    session: &Session,
    provider: Option<&Provider>,
) -> Result<Option<ProviderChoice>, Fault> {
    let Some(provider) = provider.filter(|it| it.name == "replay") else { return Ok(None) };
    let Some(path) = &provider.cassette else {
        return Err(Fault::params("provider `replay` needs `cassette`, a file"));
    };
    let origin = path.display().to_string();
    let cassette = fs::read_to_string(session.workspace.join(path))
        .map_err(|error| Fault::params(format!("could not read `{origin}`: {error}")))?;
    Ok(Some(ProviderChoice::Replay { cassette, origin, loose: provider.loose }))
}

fn options(provider: Option<Provider>) -> Result<Layer, Fault> {
    let Some(Provider { name, model, effort, base_url, program, args, cassette, loose }) = provider
    else {
        return Ok(Layer::default());
    };
    let of_harness = [
        ("model", model.is_some()),
        ("effort", effort.is_some()),
        ("base_url", base_url.is_some()),
        ("program", program.is_some()),
    ];
    let of_replay = [("cassette", cassette.is_some()), ("loose", loose)];
    let first =
        |keys: &[(&'static str, bool)]| keys.iter().find(|(_, given)| *given).map(|(key, _)| *key);
    let wrong = |key: &str| Fault::params(format!("provider `{name}` takes no `{key}`"));
    if name == "replay" {
        if let Some(key) = first(&of_harness) {
            return Err(wrong(key));
        }
        return Ok(Layer::default());
    }
    if let Some(key) = first(&of_replay) {
        return Err(wrong(key));
    }
    let agent = Agent::of(&name).ok_or_else(|| {
        Fault::params(format!(
            "there is no provider `{name}`: there are codex, claude, acp, command and replay"
        ))
    })?;
    let origin = "provider";
    let chosen = Some(Setting::option(origin, agent));
    if agent == Agent::Command {
        if let Some(key) = first(&of_harness) {
            return Err(wrong(key));
        }
        let command = args.map(|args| Setting::option(origin, args));
        return Ok(Layer { agent: chosen, command, ..Layer::default() });
    }
    Ok(Layer {
        agent: chosen,
        any: HarnessLayer {
            model: model.map(|it| Setting::option(origin, it)),
            effort: effort.map(|it| Setting::option(origin, it)),
            base_url: base_url.map(|it| Setting::option(origin, it)),
            program: program.map(|it| Setting::option(origin, it)),
            args: args.map(|it| Setting::option(origin, it)),
            ..HarnessLayer::default()
        },
        ..Layer::default()
    })
}

fn move_on(session: &Session, id: &Value, method: &str, given: Value) -> Result<(), Fault> {
    let which: Which = params(given)?;
    let own = session.clone();
    match method {
        "run/resume" => {
            let which = which
                .only(method, &["max_steps", "budget", "max_visits", "step_budgets", "watch"])?;
            let raise = Raise {
                max_steps: which.max_steps,
                max_visits: which.max_visits.clone(),
                budget: budget(which.budget.as_ref())?,
                step_budgets: which
                    .step_budgets
                    .iter()
                    .map(|(step, spend)| Ok((step.clone(), spend.budget()?)))
                    .collect::<Result<_, Fault>>()?,
            };
            session.runs.go(&session.out, id, which.watch, move |progress, stop| {
                let request = ResumeRequest { raise };
                let end = own.engine.resume(&which.run(), &request, progress, stop);
                Ok(of_end(&own, &end.map_err(Fault::of)?, Some(&which.run())))
            });
        }
        "run/answer" => {
            let which = which.only(method, &["answer", "watch"])?;
            let Some(answer) = &which.answer else {
                return Err(Fault::params("`run/answer` needs `answer`"));
            };
            let text = answer.as_str().map_or_else(|| answer.to_string(), str::to_owned);
            session.runs.go(&session.out, id, which.watch, move |progress, stop| {
                let end = own.engine.answer(&which.run(), &text, progress, stop);
                Ok(of_end(&own, &end.map_err(Fault::of)?, Some(&which.run())))
            });
        }
        _ => {
            let which = which.only(method, &["signal", "id", "payload", "watch"])?;
            let Some(name) = which.signal.clone() else {
                return Err(Fault::params("`run/signal` needs `signal`, its name"));
            };
            session.runs.go(&session.out, id, which.watch, move |progress, stop| {
                let (id, payload) = (which.id.clone(), which.payload.clone());
                let request = SignalRequest { name, id, payload };
                let result = own.engine.signal(&which.run(), &request, progress, stop);
                Ok(match result.map_err(Fault::of)? {
                    SignalResult::MovedOn(end) => of_end(&own, &end, Some(&which.run())),
                    _ => json!({ "kept": true }),
                })
            });
        }
    }
    Ok(())
}

fn of_end(session: &Session, end: &RunEnd, which: Option<&RunRef>) -> Value {
    let code = exit::of_lifecycle(end.lifecycle());
    without_next(End::of(end, &session.workspace, which).to_json(code))
}

/// A command of the shell has no functions: what moves the run on is said in this protocol.
fn without_next(mut view: Value) -> Value {
    if let Some(view) = view.as_object_mut() {
        view.remove("next");
    }
    view
}
