//! One case played: a scratch repository, the run, its questions answered, what came of it judged.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use botpipe_kernel::ids::TaskId;
use botpipe_kernel::run::Lifecycle;

use super::host::Scripts;
use super::judge::Came;
use super::{Beside, Case, CaseResult, Options, Recorded, TestFile};
use crate::engine::Engine;
use crate::process::StopSwitch;
use crate::projection::word;
use crate::request::{ProviderChoice, RunEnd, RunRef, Silent, StartRequest};
use crate::scratch::{self, NewFile};

/// Plays a case.
pub(super) fn play(
    file: &TestFile,
    case: &Case,
    options: Options,
    stop: &StopSwitch,
) -> CaseResult {
    let began = Instant::now();
    let mut result = CaseResult {
        file: file.source.name.clone(),
        case: case.name.clone(),
        problems: Vec::new(),
        state: String::new(),
        turns: 0,
        took: Duration::ZERO,
        kept: None,
        updated: None,
    };
    match scratch::folder("botpipe-test") {
        Ok(folder) => {
            if let Err(why) = in_folder(&folder, file, case, options, stop, &mut result) {
                result.problems.push(why);
            }
            if options.keep && !result.passed() {
                result.kept = Some(folder);
            } else if let Err(error) = fs::remove_dir_all(&folder) {
                let place = folder.display();
                result
                    .problems
                    .push(format!("could not remove the scratch folder {place}: {error}"));
            }
        }
        Err(error) => result.problems.push(format!("could not make a scratch folder: {error}")),
    }
    result.took = began.elapsed();
    result
}

fn in_folder(
    folder: &Path,
    file: &TestFile,
    case: &Case,
    options: Options,
    stop: &StopSwitch,
    result: &mut CaseResult,
) -> Result<(), String> {
    let place = folder.join("workspace");
    fs::create_dir(&place).map_err(|error| error.to_string())?;
    lay_out(&place, &file.beside, case)?;
    let recording = folder.join("recording.json");
    let scripts = Arc::new(Scripts::of(&case.functions));
    let engine = Engine::open_hosted(&place, scripts.clone()).map_err(|error| error.to_string())?;
    let (end, answers_left) = timed(case.timeout, stop, |stop| {
        run(&engine, file, case, options.update.then(|| recording.clone()), stop)
    })?;
    let which =
        RunRef { workflow: end.workflow.clone(), task: end.task.clone(), run: Some(end.run) };
    let view = engine.show(&which).map_err(|error| error.to_string())?;
    word(&view.state.lifecycle).clone_into(&mut result.state);
    let family = engine.family(&which).map_err(|error| error.to_string())?;
    result.turns = u32::try_from(family.turns().len()).unwrap_or(u32::MAX);
    let came = Came {
        case,
        view: &view,
        family: &family,
        scripts: &scripts,
        folder: &place,
        exit: (options.exit_of)(&view.state.lifecycle),
        answers_left,
        update: options.update,
    };
    result.problems = came.problems();
    if options.update && result.passed() {
        result.updated = update(file, case, &recording)?;
    }
    Ok(())
}

/// The scratch repository as the case begins.
fn lay_out(place: &Path, beside: &Beside, case: &Case) -> Result<(), String> {
    let mut all = match &case.workspace {
        Some(folder) => {
            let files = beside.below(folder);
            files.map_err(|why| format!("could not read the workspace `{folder}`: {why}"))?
        }
        None => Vec::new(),
    };
    for (path, text) in &case.files {
        all.retain(|(known, _, _)| known != path);
        all.push((path.clone(), text.clone(), false));
    }
    let files =
        all.iter().map(|(path, text, executable)| NewFile { path, text, executable: *executable });
    scratch::create(place, files, "A scratch repository").map_err(|error| error.to_string())
}

/// Starts the run and answers what it asks; how many answers were left.
fn run(
    engine: &Engine,
    file: &TestFile,
    case: &Case,
    record: Option<PathBuf>,
    stop: &StopSwitch,
) -> Result<(RunEnd, usize), String> {
    let (cassette, origin, loose) = match &case.agent {
        Recorded::Cassette { path, text, .. } => (text.clone(), path.clone(), record.is_some()),
        Recorded::Script(cassette) => (cassette.to_text(), file.source.name.clone(), false),
    };
    let request = StartRequest {
        task: Some("test".parse::<TaskId>().map_err(|error| error.to_string())?),
        message: case.message.clone(),
        input: case.input.clone(),
        params: case.params.clone(),
        provider: Some(ProviderChoice::Replay { cassette, origin, loose }),
        max_steps: case.max_steps,
        record,
        ..StartRequest::default()
    };
    let said = |error: crate::Error| error.to_string();
    let mut end = engine.start(&file.compiled, request, &Silent, stop).map_err(said)?;
    let mut answers = case.answers.iter();
    while matches!(end.lifecycle(), Lifecycle::Waiting(_)) && stop.requested().is_none() {
        let Some(answer) = answers.next() else { break };
        let which = RunRef {
            workflow: end.workflow.clone(),
            task: end.task.clone(),
            run: Some(end.run.clone()),
        };
        end = engine.answer(&which, answer, &Silent, stop).map_err(said)?;
    }
    Ok((end, answers.len()))
}

/// Does the work under a clock, and stops it when everything is to stop.
fn timed<T: Send>(
    patience: Duration,
    stop: &StopSwitch,
    work: impl FnOnce(&StopSwitch) -> Result<T, String> + Send,
) -> Result<T, String> {
    let (own, done) = (StopSwitch::new(), StopSwitch::new());
    thread::scope(|scope| {
        let (own, done) = (&own, &done);
        let clock = scope.spawn(move || {
            let began = Instant::now();
            while done.wait(LOOK_AGAIN).is_none() {
                if let Some(signal) = stop.requested() {
                    own.request(signal);
                    return false;
                }
                if began.elapsed() > patience {
                    own.request(SIGTERM);
                    return true;
                }
            }
            false
        });
        let result = work(own);
        done.request(0);
        if clock.join().unwrap_or(false) {
            return Err(format!("it took longer than its `timeout` of {patience:?}"));
        }
        result
    })
}

const LOOK_AGAIN: Duration = Duration::from_millis(50);
const SIGTERM: i32 = 15;

/// Puts the recording of the run in the place of the one that was played.
fn update(file: &TestFile, case: &Case, recording: &Path) -> Result<Option<PathBuf>, String> {
    let (Recorded::Cassette { path, text, .. }, Beside::Disk(folder)) = (&case.agent, &file.beside)
    else {
        return Ok(None);
    };
    let fresh = fs::read_to_string(recording)
        .map_err(|error| format!("its run was not recorded: {error}"))?;
    let path = folder.join(path);
    if fresh == *text {
        return Ok(None);
    }
    fs::write(&path, fresh)
        .map_err(|error| format!("could not write {}: {error}", path.display()))?;
    Ok(Some(path))
}
