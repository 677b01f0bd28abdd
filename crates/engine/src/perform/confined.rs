//! A program of a run in its sandbox: the policy that binds it compiled, its launch confined.

use std::sync::{Arc, Mutex, PoisonError};

use botpipe_egress::Event;
use botpipe_kernel::ids::Role;
use botpipe_kernel::plan::{SandboxMode, Step};
use botpipe_sandbox::{Containment, Launch};

use super::Trouble;
use crate::confine::View;
use crate::confine::guard::Guard;
use crate::confine::hints;
use crate::confine::site::{Needs, of_run};
use crate::confine::whole::{Compiled, Surroundings, compile};
use crate::driver::Driver;
use crate::environment;
use crate::policy::{self, Resolved};
use crate::process::Outside;
use crate::request::Notice;

/// Sentences of what was refused over the network, while a program ran.
pub(super) type Refusals = Arc<Mutex<Vec<String>>>;

/// A launch in its sandbox.
pub(super) struct Confined {
    pub(super) launch: Launch,
    pub(super) outside: Option<Arc<dyn Outside>>,
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
    driver: &Driver<'_>,
    step: &Step,
    program: Program<'_>,
    launch: Launch,
) -> Result<Confined, Trouble> {
    let layout = &driver.desk.layout;
    let holds = policy::of_run(&driver.run, (step, program.role), layout);
    let compiled = compiled(driver, &holds, &program)?;
    let refusals = Refusals::default();
    let heard = Arc::clone(&refusals);
    let log = Arc::new(move |event: Event| {
        if let Some(sentence) = hints::of_network(&event) {
            let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
            // A program that asks without end is told of once.
            if heard.len() < MOST_REFUSALS && !heard.contains(&sentence) {
                heard.push(sentence);
            }
        }
    });
    let list = layout.botpipe().join("placeholders");
    let guard = Guard::stand(&compiled, Some(&list), log);
    let guard = guard.map_err(|error| Trouble::stuck(format!("set the sandbox up: {error}")))?;
    let extra: Vec<(String, String)> =
        compiled.variables.iter().chain(program.extra).cloned().collect();
    let env = environment::confined(std::env::vars_os(), program.pass, &holds.environment, &extra);
    let launch = Launch {
        env,
        containment: Containment::Namespace,
        confinement: Some(compiled.confinement),
        ..launch
    };
    Ok(Confined { launch, outside: Some(Arc::new(guard)), refusals })
}

/// Refusals that are told of one program.
const MOST_REFUSALS: usize = 50;

fn compiled(
    driver: &Driver<'_>,
    holds: &Resolved,
    program: &Program<'_>,
) -> Result<Compiled, Trouble> {
    let about = (&driver.desk.task, &driver.run.plan.name);
    let site = of_run(&driver.desk.layout, about, &program.needs, program.view);
    let surroundings =
        Surroundings { endpoints: program.needs.endpoints.clone(), ..Surroundings::default() };
    compile(holds, &site, &surroundings).map_err(|refusal| Trouble::Refused {
        message: format!("{refusal} (policy of {})", program.role),
    })
}

/// Tells whoever watches what was refused while a program ran.
pub(super) fn tell(driver: &Driver<'_>, refusals: &Refusals) -> Vec<String> {
    let told = std::mem::take(&mut *refusals.lock().unwrap_or_else(PoisonError::into_inner));
    for sentence in &told {
        driver.progress.notice(&Notice::Note { text: sentence });
    }
    told
}

/// Whether a harness keeps its own sandbox: only where ours is left off.
pub(super) fn is_ours(holds: &Resolved) -> bool {
    holds.sandbox_mode != SandboxMode::DangerFullAccess
}
