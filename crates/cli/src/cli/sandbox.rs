//! `botpipe sandbox`: a command under a policy, confined as a step would be.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use botpipe_engine::config::{Layer, policy_author};
use botpipe_engine::policy::{Ground, Origin, Resolved, resolve};
use botpipe_engine::process::StopSwitch;
use botpipe_engine::sandbox::{Command, Ended, Host, NotRun, launch_once};
use botpipe_kernel::plan::PolicyLayer;

use super::options::{Workspace, unusable_policy};
use crate::signals;
use crate::term::exit;
use crate::term::failure::Failure;
use crate::term::output::{Stdout, printable, tell};

/// Run a command under a policy, confined as a step's program would be
///
/// Without `--policy` the default holds: the workspace can be written, the rest of the host is read-only,
/// the home is private (tool chains and package caches are read; what is written to them is gone
/// afterwards), and there is no network. The policies of the repository's `botpipe.yaml` and of your own
/// narrow that.
///
/// What this process reads is handed on to the command, and what the command prints is looked through for
/// refusals on its way: it has pipes, not the terminal, and may print without colours (`FORCE_COLOR=1` is
/// passed on) and in another order between its two streams. Ctrl-C interrupts it, a second one kills
/// all that it started, a third does not wait until what it left is looked at; with Ctrl-Z it stands still.
///
/// The file is a mapping with the words of a workflow's `policy`, and `limits`. A refusal, of the network or
/// of a file that the command complains of, is told on standard error, with the one line that would permit it.
///
/// Exit: the command's own code, 128 + N after signal N; 124 beyond one of its `limits`, 125 the sandbox
/// could not be built or its policy cannot be enforced here, 126 the command cannot be executed, 127 it was
/// not found; 1 also where what it prints cannot be written.
///
/// Examples:
///   botpipe sandbox -- cargo test
///   botpipe sandbox --policy locked.yaml -- sh -c 'cat .env; curl https://example.com'
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// A file with a policy
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    #[command(flatten)]
    workspace: Workspace,
    /// Where a host is, instead of asking for it; may be given more than once
    #[arg(long, value_name = "HOST=ADDRESS:PORT", value_parser = resolved)]
    resolve: Vec<(Host, SocketAddr)>,
    /// The command
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

fn resolved(text: &str) -> Result<(Host, SocketAddr), String> {
    let (host, address) = text.split_once('=').ok_or("write HOST=ADDRESS:PORT")?;
    let host = Host::parse(host).map_err(|error| error.to_string())?;
    let address = address.parse().map_err(|_| format!("`{address}` is no ADDRESS:PORT"))?;
    Ok((host, address))
}

impl Args {
    pub(super) fn run(self) -> Result<u8, Failure> {
        if self.command.first().is_none_or(|program| program.is_empty()) {
            let failure = Failure::error("the command is empty: `''` is the name of no program");
            return Err(failure.code(exit::NO_COMMAND));
        }
        launch_once();
        let (policy, pass) = self.resolved().map_err(|failure| failure.code(exit::NO_SANDBOX))?;
        let stop = StopSwitch::new();
        signals::forward_as_they_are(&stop).map_err(|error| {
            Failure::error(format!("listen for signals: {error}")).code(exit::NO_SANDBOX)
        })?;
        let sources = self.policy.into_iter().collect();
        let command = Command {
            argv: self.command,
            workspace: self.workspace.workspace,
            policy,
            pass,
            sources,
            resolve: self.resolve.into_iter().collect::<BTreeMap<_, _>>(),
            stage1: None,
        };
        let told =
            |sentence: &str| tell(printable(&format!("botpipe sandbox: {sentence}")).trim_end());
        match command.run(&stop, (Stdout, std::io::stderr()), told) {
            Ok(Ended::Exited(code)) => Ok(u8::try_from(code).unwrap_or(exit::ERROR)),
            Ok(Ended::Signalled(signal)) => Ok(exit::by_signal(signal)),
            Ok(Ended::Exceeded(what)) => {
                told(&format!("the command {what}"));
                Ok(exit::BEYOND)
            }
            Err(error) => Err(not_run(&error)),
        }
    }

    /// The policy that holds, and the variables that its own file lets pass: the file that `--policy` names, else the
    /// default, narrowed by all others. What came with a clone permits nothing here.
    fn resolved(&self) -> Result<(Resolved, Vec<String>), Failure> {
        let settings = self.workspace.config()?.with(Layer::default());
        let files: Vec<&PolicyLayer> = settings.policies().map(|it| &it.value).collect();
        let own = self.policy.as_deref().map(policy_author).transpose().map_err(unusable_policy)?;
        let workspace = self.workspace.path();
        let workspace = workspace.canonicalize().unwrap_or_else(|_| workspace.to_owned());
        let ground = Ground::of_process(&workspace);
        let author = |it: &PolicyLayer| Origin::Repository { path: it.from.clone() };
        let ceiling = |it: &&PolicyLayer| Origin::Ceiling { path: it.from.clone() };
        let authors: Vec<_> = own.iter().map(|it| (author(it), &it.policy)).collect();
        let ceilings: Vec<_> = files.iter().map(|it| (ceiling(it), &it.policy)).collect();
        let holds = resolve(&authors, &ceilings, &ground);
        if own.is_none() {
            let clones = files.iter().filter(|it| !it.ceiling).map(|it| (author(it), &it.policy));
            let persons = files.iter().filter(|it| it.ceiling).map(|it| (ceiling(it), &it.policy));
            let (clones, persons): (Vec<_>, Vec<_>) = (clones.collect(), persons.collect());
            let mut as_in_a_run = resolve(&clones, &persons, &ground);
            as_in_a_run.origins.clone_from(&holds.origins);
            if as_in_a_run != holds {
                tell(
                    "botpipe sandbox: the policy of the repository's `botpipe.yaml` permits more to a run than \
                     to this command, which it only narrows; `--policy FILE` is your own",
                );
            }
        }
        let pass = own.and_then(|it| it.policy.environment.allow).unwrap_or_default();
        Ok((holds, pass))
    }
}

fn not_run(error: &NotRun) -> Failure {
    let failure = Failure::error(error.to_string());
    match error {
        NotRun::Program { missing: true, .. } => failure.code(exit::NO_COMMAND),
        NotRun::Program { missing: false, .. } => failure.code(exit::NOT_EXECUTABLE),
        NotRun::Sandbox(_) => failure
            .code(exit::NO_SANDBOX)
            .hint("`botpipe doctor` tells what is missing here for a sandbox"),
        _ => failure.code(exit::NO_SANDBOX),
    }
}
