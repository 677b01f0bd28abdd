//! `botpipe logs`: what happened in a run, line by line, and all that is kept of its turns.

mod follow;
mod kept;

use botpipe_engine::Engine;
use botpipe_kernel::ids::TurnId;

use self::follow::{Log, Shown};
use super::options::Which;
use crate::term::exit;
use crate::term::failure::Failure;
use crate::term::output::{say, say_bytes};

/// Print what happened in a run, and what is kept of its turns
///
/// Lines of text, wherever they go; with `--events` every recorded event as a line of JSON. Everything
/// here was redacted before it was kept.
///
/// `-f` shows the running turn's activity as well, and ends when the run rests: finished, stopped,
/// waiting for an answer, or without an owner. It then tells on standard error where the run stands and
/// what moves it on, and ends with the run's exit code, so that `run --detach` and `logs -f` end as
/// `run` does. A run that waits for a time with its owner does not rest: it is followed on.
///
/// Examples:
///   botpipe logs ralph_loop csv-export -f
///   botpipe logs ralph_loop csv-export --events | jq .event.kind
///   botpipe logs ralph_loop csv-export --raw --turn plan/1/producer/1
///   botpipe logs ralph_loop csv-export --trace --json | jq .usage
///   botpipe logs ralph_loop csv-export --object 3fa2c1
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    what: What,
    /// Only this turn, as `--trace` names it
    #[arg(long, value_name = "TURN", conflicts_with = "object")]
    turn: Option<TurnId>,
    /// With `--trace`: a JSON document a line, for each turn
    #[arg(long, requires = "trace")]
    json: bool,
    /// Go on until the run rests, and end with its exit code
    #[arg(long, short, conflicts_with_all = ["trace", "object"])]
    follow: bool,
}

/// What is printed, if not what happened in words.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct What {
    /// Every event as it was recorded, a line of JSON each
    #[arg(long)]
    events: bool,
    /// What the turns printed, line by line as it came: a harness's own stream of events. Its error
    /// output goes to standard error
    #[arg(long)]
    raw: bool,
    /// All that is kept of each turn: prompt, contract, request, policy, session, events, transcript,
    /// usage, result
    #[arg(long)]
    trace: bool,
    /// An object, by the first digits of its digest
    #[arg(long, value_name = "DIGEST")]
    object: Option<String>,
}

impl Args {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let which = self.which.run()?;
        let engine = self.which.workspace.engine()?;
        if let Some(prefix) = &self.what.object {
            engine.show(&which)?;
            return object(&engine, prefix);
        }
        let view = engine.show(&which)?;
        if self.what.trace {
            for trace in engine.trace(&view, self.turn.as_ref())? {
                let read = if self.json {
                    say(&format!("{}\n", kept::view(&trace)))
                } else {
                    say(&kept::text(&trace, &view))
                };
                if !read {
                    break;
                }
            }
            return Ok(exit::OK);
        }
        let shown = match &self.what {
            What { raw: true, .. } => Shown::Raw,
            What { events: true, .. } => Shown::Events,
            _ => Shown::Words,
        };
        let mut log = Log::begin(&engine, &view, shown, self.follow, self.turn.as_ref())?;
        if !log.print(&view.events) || !self.follow {
            return Ok(exit::OK);
        }
        log.follow(self.which.workspace.path(), which.run.is_some())
    }
}

/// Prints an object as it is; its whole digest goes to standard error.
fn object(engine: &Engine, prefix: &str) -> Result<u8, Failure> {
    let (digest, bytes) = engine.object(prefix)?;
    if digest.as_str() != prefix {
        crate::term::output::tell(&format!("object {digest}"));
    }
    say_bytes(&bytes);
    Ok(exit::OK)
}
