//! What the engine itself looks at after a producer: its artifacts, then the step's checks.

use std::path::PathBuf;
use std::time::Duration;

use botpipe_kernel::ids::{CheckName, Role, VisitId};
use botpipe_kernel::plan::Check;
use botpipe_kernel::run::{CheckResult, CheckStatus, Input};
use botpipe_sandbox::{Containment, Identity, Launch};

use super::Trouble;
use super::confined::{Confined, Program, confine, tell};
use crate::confine::View;
use crate::confine::refused::Told;
use crate::confine::site::Needs;
use crate::driver::Driver;
use crate::process::{self, How, Reply, Spec, Stream, Watch};
use crate::request::Notice;

/// Bytes of a check's output that are kept for feedback and evidence.
const OUTPUT_LIMIT: usize = 64 << 10;
/// How long a check may run when its author sets no `timeout`.
const DEFAULT_TIMEOUT: Duration = Duration::from_mins(30);

/// Inspects the producer's artifacts and runs the checks in file order.
pub(super) fn run(
    driver: &mut Driver<'_>,
    visit: VisitId,
    names: &[CheckName],
) -> Result<Input, Trouble> {
    let findings = super::enter::findings(driver, Role::Producer)?;
    let step = driver.current_step()?;
    let mut checks = Vec::with_capacity(names.len());
    for check in step.checks().iter().filter(|check| names.contains(&check.name)) {
        checks.push(one(driver, check)?);
    }
    // After the checks: what they change counts for the producer, who made them do it.
    let touched = super::protect::touched(driver, &step)?;
    Ok(Input::ChecksEnded { visit, checks, findings, touched })
}

fn one(driver: &mut Driver<'_>, check: &Check) -> Result<CheckResult, Trouble> {
    let name = check.name.clone();
    if let Some(when) = &check.when
        && !driver.evaluate(when, &format!("`when` of check `{name}`"))?
    {
        return Ok(CheckResult { name, status: CheckStatus::Skipped, output: None });
    }
    let command = driver.render(&check.command, &format!("command of check `{name}`"))?;
    let script = Script {
        command,
        timeout: check.timeout_ms.map_or(DEFAULT_TIMEOUT, Duration::from_millis),
        environment: driver.visit_environment()?,
        most: OUTPUT_LIMIT,
        view: View::Discarded,
    };
    let ended = run_script(driver, &format!("check `{name}`"), script)?;
    let status = match ended.failure {
        None => CheckStatus::Passed,
        Some(why) => CheckStatus::Failed { why },
    };
    let output = if ended.output.is_empty() { None } else { Some(driver.keep(&ended.output)?) };
    Ok(CheckResult { name, status, output })
}

/// A command of the author's that is no turn.
pub(super) struct Script {
    pub(super) command: String,
    pub(super) timeout: Duration,
    pub(super) environment: Vec<(String, String)>,
    /// Bytes of its output that are kept.
    pub(super) most: usize,
    /// What becomes of what it changes in the workspace.
    pub(super) view: View,
}

/// How it ended.
pub(super) struct ScriptEnd {
    /// Why it counts as failed.
    pub(super) failure: Option<String>,
    /// What it printed on standard output.
    pub(super) stdout: String,
    /// All that it printed, redacted.
    pub(super) output: String,
}

/// Runs a command to its end, once all that was told is durable.
pub(super) fn run_script(
    driver: &mut Driver<'_>,
    what: &str,
    script: Script,
) -> Result<ScriptEnd, Trouble> {
    let launch = Launch {
        program: PathBuf::from("sh"),
        args: vec!["-c".into(), script.command.into()],
        cwd: driver.desk.layout.root().to_owned(),
        env: Vec::new(),
        containment: Containment::Auto,
        stage1: driver.parts.stage1.clone(),
        mark: None,
        confinement: None,
    };
    let step = driver.current_step()?;
    let pass = driver.run.pass_env.clone();
    let program = Program {
        role: Role::Script,
        view: script.view,
        needs: Needs::default(),
        pass: &pass,
        extra: &script.environment,
    };
    let Confined { launch, outside, limits, mut refusals } =
        confine(driver, &step, &program, launch)?;
    let spec = Spec {
        outside,
        limits,
        wall: Some(script.timeout),
        capture_limit: script.most,
        ..Spec::of(launch)
    };
    driver.append().map_err(Trouble::Fatal)?;
    let stop = driver.stop;
    let ended = process::run(spec, &mut Onlooker { driver }, stop);
    refusals.hear(&[&ended.stdout, &ended.stderr]);
    let refused = tell(driver, &refusals);
    let failure = match ended.how {
        How::Exited(0) | How::Dismissed | How::LeftOff => None,
        How::Exited(code) => Some(format!("exit code {code}")),
        How::Signalled(signal) => Some(format!("ended by signal {signal}")),
        How::TimedOut { after, .. } => {
            Some(format!("still running after {after:?}, and was ended"))
        }
        How::Exceeded { what } => Some(what),
        How::SpawnFailed { what: why, .. } => {
            return Err(Trouble::Stuck { message: format!("{what}: {why}") });
        }
        How::Stopped { .. } => return Err(Trouble::Stopped),
    };
    let mut output = ended.stdout.text.clone();
    if !ended.stderr.text.is_empty() {
        if !output.is_empty() && !output.ends_with('\n') {
            output.push('\n');
        }
        output.push_str(&ended.stderr.text);
    }
    // Agents get to read it.
    for Told { sentence, .. } in refused.iter().filter(|told| !told.of_unseen) {
        output.push_str("\nbotpipe sandbox: ");
        output.push_str(sentence);
    }
    let output = driver.desk.redactor.redact(&output).into_owned();
    Ok(ScriptEnd { failure, stdout: ended.stdout.text, output })
}

/// Shows a check's lines to whoever watches the run.
struct Onlooker<'d, 'a> {
    driver: &'d mut Driver<'a>,
}

impl Watch for Onlooker<'_, '_> {
    fn started(&mut self, _stage1: &Identity) {}

    fn line(&mut self, _stream: Stream, line: &str) -> Reply {
        let line = self.driver.desk.redactor.redact(line).into_owned();
        self.driver.progress.notice(&Notice::Activity { turn: None, line: &line });
        Reply::default()
    }
}
