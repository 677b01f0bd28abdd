//! A program of a run in its sandbox: the policy that binds it compiled, its launch confined.

use std::ffi::OsString;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use botpipe_kernel::ids::Role;
use botpipe_kernel::plan::{Step, Validation};
use botpipe_sandbox::{Account, Launch};

use serde_json::{Value, json};

use super::Trouble;
use crate::account;
use crate::confine::canary::{self, Grounded, Seen};
use crate::confine::guard::{self, Guard, Log, in_one_line};
use crate::confine::refused::{Complaint, MORE, MOST_TOLD, Reasons, Told, complaints, of_message};
use crate::confine::site::{Needs, of_run};
use crate::confine::whole::{Compiled, Surroundings, compile};
use crate::confine::{Site, View, report};
use crate::driver::Driver;
use crate::environment;
use crate::policy::{self, Control, Held, Origin, Resolved};
use crate::process::{Output, Outside};
use crate::request::Notice;

/// What was refused while a program ran.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// Sentences, as they came from around it.
    told: Arc<Mutex<Vec<String>>>,
    /// Why files are refused to it.
    reasons: Option<Reasons>,
    /// What it said itself of files.
    complaints: Vec<Complaint>,
    /// Its variables, and what its policy says of them.
    variables: Vec<(OsString, OsString)>,
    rules: policy::Environment,
}

impl Refusals {
    /// Looks through what it printed.
    pub(super) fn hear(&mut self, printed: &[&Output]) {
        for output in printed {
            self.add(complaints(&output.text));
        }
    }

    /// Looks through a message of a harness.
    pub(super) fn hear_message(&mut self, line: &str) {
        self.add(of_message(line));
    }

    /// It failed: for want of a variable, maybe.
    pub(super) fn missed(&mut self, printed: &[&Output]) {
        let printed: Vec<&str> = printed.iter().map(|output| output.text.as_str()).collect();
        let names = std::env::vars_os().map(|(name, _)| name);
        let start = environment::Lets::Start;
        let told = environment::missed(names, &self.rules, &self.variables, &printed, start);
        self.told.lock().unwrap_or_else(PoisonError::into_inner).extend(told);
    }

    fn add(&mut self, found: Vec<Complaint>) {
        for complaint in found {
            if self.complaints.len() < MOST_COMPLAINTS && !self.complaints.contains(&complaint) {
                self.complaints.push(complaint);
            }
        }
    }
}

/// A launch in its sandbox.
pub(super) struct Confined {
    pub(super) launch: Launch,
    pub(super) outside: Option<Arc<dyn Outside>>,
    /// What of its policy its supervisor keeps.
    pub(super) limits: Held,
    pub(super) refusals: Refusals,
}

/// What of a program depends on who asks for it.
pub(super) struct Program<'a> {
    pub(super) role: Role,
    pub(super) view: View,
    pub(super) needs: Needs,
    /// Names of variables that pass beside the usual ones.
    pub(super) pass: &'a [String],
    /// Variables of its own.
    pub(super) extra: &'a [(String, String)],
}

/// Confines a launch by the policy of a step.
pub(super) fn confine(
    driver: &mut Driver<'_>,
    step: &Step,
    program: &Program<'_>,
    launch: Launch,
) -> Result<Confined, Trouble> {
    let told = Arc::default();
    let heard: Arc<Mutex<Vec<String>>> = Arc::clone(&told);
    let log: Log = Arc::new(move |sentence: &str| {
        let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        // A program that asks without end is told of once.
        if heard.len() <= MOST_TOLD && !heard.iter().any(|known| known == sentence) {
            heard.push(sentence.to_owned());
        }
    });
    guard::take_over(driver.desk.layout.root(), &log);
    prove(driver, step, program.role, program.view, &program.needs)?;
    let layout = &driver.desk.layout;
    let holds = policy::of_run(&driver.run, (step, program.role), layout);
    let (site, compiled) = compiled(driver, &holds, program.role, program.view, &program.needs)?;
    // To whoever watches, once: no agent has a use for it.
    for it in compiled.files.iter().flat_map(|files| &files.unshown) {
        if driver.desk.unshown.insert(it.what.clone()) {
            driver.progress.notice(&Notice::Note { text: &in_one_line(&it.what) });
        }
    }
    let reasons = Reasons::of(&compiled, &holds, &site);
    let mut refusals =
        Refusals { reasons, rules: holds.environment.clone(), told, ..Refusals::default() };
    let guard = Guard::stand(&compiled, driver.stop, log);
    let guard = guard.map_err(|error| Trouble::stuck(format!("set the sandbox up: {error}")))?;
    let extra: Vec<(String, String)> =
        compiled.variables.iter().chain(program.extra).cloned().collect();
    let mut env =
        environment::confined(std::env::vars_os(), program.pass, &holds.environment, &extra);
    if compiled.files.is_some() {
        environment::sign_nothing(&mut env);
    }
    refusals.variables.clone_from(&env);
    let launch = Launch { env, confinement: compiled.confinement, ..launch };
    Ok(Confined { launch, outside: Some(Arc::new(guard)), limits: Held::of(&holds), refusals })
}

/// What a program says of files that is looked into.
const MOST_COMPLAINTS: usize = 500;

fn compiled(
    driver: &Driver<'_>,
    holds: &Resolved,
    role: Role,
    view: View,
    needs: &Needs,
) -> Result<(Site, Compiled), Trouble> {
    let about = (&driver.desk.task, &driver.run.plan.name);
    let mut site = of_run(&driver.desk.layout, about, needs, view);
    let root = driver.desk.layout.root();
    hand_over(root, needs)?;
    site.kept.extend(driver.run.sources.iter().map(|source| root.join(source)));
    site.stop = driver.stop.clone();
    let surroundings = Surroundings {
        endpoints: needs.endpoints.clone(),
        api: needs.api.clone(),
        ..Surroundings::default()
    };
    let compiled = compile(holds, &site, &surroundings);
    match compiled {
        Ok(compiled) => Ok((site, compiled)),
        // It was given up for that.
        Err(_) if driver.stop.requested().is_some() => Err(Trouble::Stopped),
        Err(refusal) => {
            Err(Trouble::Refused { message: format!("the {role} cannot be confined: {refusal}") })
        }
    }
}

/// Gives what a harness writes of Botpipe's own to whoever programs run as.
fn hand_over(root: &Path, needs: &Needs) -> Result<(), Trouble> {
    let Some(account) = account::of(root) else { return Ok(()) };
    for path in &needs.write {
        let Ok(there) = path.symlink_metadata() else { continue };
        if there.is_dir() {
            account::give(path, account).map_err(|error| {
                Trouble::stuck(format!("give away `{}`: {error}", path.display()))
            })?;
        } else if !account::reads(account, &there) {
            let Account { user, group } = account;
            let message = format!(
                "the login `{0}` is not read by user {user}, whose workspace this is and whom programs run as; \
                 give the key in a variable of the environment, which stays outside of the sandbox, or run this \
                 as that user with a login of its own (`docker run --user {user}:{group}`)",
                path.display()
            );
            return Err(Trouble::Refused { message });
        }
    }
    Ok(())
}

/// Sends canaries through the sandbox of a policy, once in the life of an owner, and says what keeps each
/// control.
pub(super) fn prove(
    driver: &mut Driver<'_>,
    step: &Step,
    role: Role,
    view: View,
    needs: &Needs,
) -> Result<Value, Trouble> {
    let holds = policy::of_run(&driver.run, (step, role), &driver.desk.layout);
    let agent = !role.is_code();
    // Where a policy lets it pass.
    let unkept = policy::unkept(&holds, driver.run.provider_of(step, role).as_ref());
    let in_force = policy::in_force(&driver.run.pass_env, &holds);
    let key = (format!("{agent} {unkept:?} {in_force}"), view);
    if let Some((_, report)) = driver.desk.proven.iter().find(|(known, _)| *known == key) {
        return Ok(report.clone());
    }
    let (site, compiled) = compiled(driver, &holds, role, view, needs)?;
    let stage1 = driver.parts.stage1.clone();
    let canaries = canary::send(&compiled, &holds, &site, stage1);
    let canaries = canaries.map_err(|why| match why {
        Grounded::Guard(error) => Trouble::stuck(format!("set the sandbox up: {error}")),
        // Nothing of the machine is missing.
        Grounded::Sandbox(error @ botpipe_sandbox::Error::NoStage1) => Trouble::stuck(error),
        Grounded::Sandbox(error) => Trouble::Refused {
            message: format!(
                "no sandbox could be built here: {error}; `botpipe doctor` tells what is missing, and \
                 `sandbox_mode: danger_full_access` with `network: full` permits the run without one"
            ),
        },
    })?;
    if let Some(failed) = canaries.iter().find(|canary| canary.result == Seen::Failed) {
        return Err(Trouble::Refused {
            message: format!(
                "`{}` does not hold: a canary could {}, or could not although it may",
                failed.control, failed.tried
            ),
        });
    }
    let mut controls = report::of(&compiled, &holds, &canaries, agent);
    controls.retain(|kept| !agent || !unkept.contains(&kept.control));
    if let Some(watched) = report::watched(&controls, &holds) {
        let said = format!("`{}` of the {role} is only kept in part (`strict`)", watched.control);
        let held = matches!(holds.origin(Control::Strict), Origin::Ceiling { .. });
        match holds.validation {
            Validation::Warn if !held => driver.progress.notice(&Notice::Note { text: &said }),
            Validation::Ignore if !held => {}
            _ => {
                let message = format!("{said}; `strict: false` in its policy permits the run");
                return Err(Trouble::Refused { message });
            }
        }
    }
    let report = json!({
        "controls": controls,
        "canaries": canaries,
    });
    driver.desk.proven.push((key, report.clone()));
    Ok(report)
}

/// Tells whoever watches what was refused while a program ran.
pub(super) fn tell(driver: &Driver<'_>, refusals: &Refusals) -> Vec<Told> {
    let heard = std::mem::take(&mut *refusals.told.lock().unwrap_or_else(PoisonError::into_inner));
    let mut told: Vec<Told> =
        heard.into_iter().map(|sentence| Told { sentence, of_unseen: false }).collect();
    for complaint in &refusals.complaints {
        let Some(Told { sentence, of_unseen }) =
            refusals.reasons.as_ref().and_then(|reasons| reasons.told(complaint))
        else {
            continue;
        };
        // Its path is the program's word.
        let sentence = driver.desk.redactor.redact(&sentence).into_owned();
        let new = Told { sentence, of_unseen };
        if told.len() <= MOST_TOLD && !told.contains(&new) {
            told.push(new);
        }
    }
    if told.len() > MOST_TOLD {
        told.truncate(MOST_TOLD);
        told.push(Told { sentence: MORE.to_owned(), of_unseen: false });
    }
    for Told { sentence, .. } in &told {
        driver.progress.notice(&Notice::Note { text: sentence });
    }
    told
}
