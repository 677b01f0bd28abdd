//! What the engine itself looks at after a producer: its artifacts, then the step's checks.

use std::path::PathBuf;
use std::time::Duration;

use botpipe_kernel::ids::{CheckName, Role, VisitId};
use botpipe_kernel::plan::Check;
use botpipe_kernel::run::{CheckResult, CheckStatus, Input};
use botpipe_sandbox::{Containment, Identity, Launch};

use super::Trouble;
use crate::driver::Driver;
use crate::environment;
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
    Ok(Input::ChecksEnded { visit, checks, findings })
}

fn one(driver: &mut Driver<'_>, check: &Check) -> Result<CheckResult, Trouble> {
    let name = check.name.clone();
    if let Some(when) = &check.when
        && !driver.evaluate(when, &format!("`when` of check `{name}`"))?
    {
        return Ok(CheckResult { name, status: CheckStatus::Skipped, output: None });
    }
    let command = driver.render(&check.command, &format!("command of check `{name}`"))?;
    let timeout = check.timeout_ms.map_or(DEFAULT_TIMEOUT, Duration::from_millis);
    let extra = driver.visit_environment()?;
    let launch = Launch {
        program: PathBuf::from("sh"),
        args: vec!["-c".into(), command.into()],
        cwd: driver.desk.layout.root().to_owned(),
        env: environment::build(std::env::vars_os(), &driver.run.pass_env, &extra),
        containment: Containment::Auto,
        stage1: driver.parts.stage1.clone(),
        mark: None,
    };
    let spec = Spec { wall: Some(timeout), capture_limit: OUTPUT_LIMIT, ..Spec::of(launch) };
    driver.append().map_err(Trouble::Fatal)?;
    let stop = driver.stop;
    let ended = process::run(spec, &mut Onlooker { driver }, stop);
    let failed = |why: String| CheckStatus::Failed { why };
    let status = match ended.how {
        How::Exited(0) | How::Dismissed => CheckStatus::Passed,
        How::Exited(code) => failed(format!("exit code {code}")),
        How::Signalled(signal) => failed(format!("ended by signal {signal}")),
        How::TimedOut { after, .. } => {
            failed(format!("still running after {after:?}, and was ended"))
        }
        How::SpawnFailed { what, .. } => {
            return Err(Trouble::Stuck { message: format!("check `{name}`: {what}") });
        }
        How::Stopped { .. } => return Err(Trouble::Stopped),
    };
    let mut text = ended.stdout.text;
    if !ended.stderr.text.is_empty() {
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&ended.stderr.text);
    }
    let output = if text.is_empty() {
        None
    } else {
        let text = driver.desk.redactor.redact(&text).into_owned();
        Some(driver.keep(&text)?)
    };
    Ok(CheckResult { name, status, output })
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
