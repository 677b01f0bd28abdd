//! `botpipe attach`: a person goes on in a conversation of a run.

use std::io::{self, IsTerminal as _};

use botpipe_engine::Error;
use botpipe_engine::attach::{Conversation, Pick};
use botpipe_engine::error::ErrorKind;
use botpipe_kernel::ids::StepId;
use botpipe_kernel::run::Refusal;
use serde_json::json;

use super::options::{Json, Which};
use crate::signals;
use crate::term::exit;
use crate::term::failure::Failure;
use crate::term::next::Named;
use crate::term::output::{printable, result, shell_word, tell};

/// Go on in a conversation of a run yourself
///
/// Starts the harness's own interactive resume (`codex resume`, `claude --resume`) of the run's last
/// conversation, with the home, folder, model and settings its turns have, on this terminal. What goes
/// beyond the run's policy is asked of you. Meanwhile nobody else moves the run. It is recorded that you
/// were there, and the next turn is told, with the files that changed.
///
/// Only between turns: `botpipe say` speaks to a turn that runs. ACP agents and plain programs have no
/// conversation that could be gone on with.
///
/// Examples:
///   botpipe attach ralph_loop csv-export
///   botpipe attach ralph_loop csv-export --step plan
///   botpipe attach ralph_loop csv-export --print
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// The last conversation of this step
    #[arg(long, value_name = "STEP")]
    step: Option<StepId>,
    /// The conversation of this name: its key, or the harness's own name of it
    #[arg(long, value_name = "SESSION")]
    session: Option<String>,
    /// Print the command line instead of running it; then nothing is recorded, and no turn is told
    #[arg(long)]
    print: bool,
    #[command(flatten)]
    json: Json,
}

impl Args {
    pub(super) fn json(&self) -> bool {
        self.json.json
    }

    pub(super) fn run(self) -> Result<u8, Failure> {
        let which = self.which.run()?;
        let engine = self.which.workspace.engine()?;
        let pick = Pick { step: self.step.clone(), session: self.session.clone() };
        let conversation =
            engine.conversation(&which, &pick).map_err(|it| self.failure(it, &which))?;
        if self.print {
            result(self.json.form(), || text(&conversation), || view(&conversation));
            return Ok(exit::OK);
        }
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return Err(Failure::usage("there is no terminal to go on in the conversation")
                .hint("`--print` gives the command line to type in one"));
        }
        tell(&format!(
            "conversation {} (turn {}): the run stands still until you leave",
            conversation.session.0, conversation.turn
        ));
        let stop = signals::forward_endings()
            .map_err(|error| Failure::error(format!("could not listen for signals: {error}")))?;
        let left = engine.attach(&which, &pick, &stop).map_err(|it| self.failure(it, &which))?;
        let (workflow, task) = (&which.workflow, &which.task);
        let workspace = self.which.workspace.path();
        let named = Named { workflow, task, run: which.run.as_ref(), workspace };
        let next = named.command("resume", "");
        let changed = left.changed.iter().map(|path| format!("  changed: {}\n", printable(path)));
        tell(&format!("you left the conversation\n{}  next: {next}", changed.collect::<String>()));
        if left.code != 0 {
            return Err(Failure::error(format!("the harness ended with code {}", left.code)));
        }
        Ok(exit::OK)
    }

    /// What else a person can do.
    fn failure(&self, error: Error, which: &botpipe_engine::request::RunRef) -> Failure {
        let workspace = self.which.workspace.path();
        let (workflow, task) = (&which.workflow, &which.task);
        let named = Named { workflow, task, run: which.run.as_ref(), workspace };
        if matches!(error, Error::Refused { refusal: Refusal::Ended }) {
            return Failure::from(error).hint(format!(
                "nothing more can be recorded of it; `{}` gives the command line",
                named.command("attach", " --print")
            ));
        }
        if error.kind() == ErrorKind::Busy {
            let said = format!("tell it something with `{}`", named.command("say", " '…'"));
            let logs = format!("watch it with `{}`", named.command("logs", " -f"));
            return Failure::error(error.to_string()).hint(said).hint(logs);
        }
        error.into()
    }
}

/// # Shape
/// A line for a shell: the folder, the variables, the words.
fn text(conversation: &Conversation) -> String {
    let env = conversation.env.iter().map(|(name, value)| format!("{name}={}", shell_word(value)));
    let words = conversation.words.iter().map(|word| shell_word(word));
    let line: Vec<String> = env.chain(words).collect();
    let cwd = shell_word(&conversation.cwd.display().to_string());
    format!("cd {cwd} && {}\n", line.join(" "))
}

fn view(conversation: &Conversation) -> serde_json::Value {
    let env: serde_json::Map<_, _> =
        conversation.env.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    json!({
        "turn": conversation.turn,
        "session": conversation.session,
        "token": conversation.token,
        "cwd": conversation.cwd,
        "env": env,
        "command": conversation.words,
    })
}
