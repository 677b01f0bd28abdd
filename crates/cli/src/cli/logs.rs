//! `botpipe logs`: what happened in a run, line by line.

use std::fmt::Write as _;
use std::thread;
use std::time::Duration;

use botpipe_engine::Engine;
use botpipe_engine::engine::RunView;
use botpipe_engine::request::RunStatus;
use botpipe_journal::Stored;
use botpipe_kernel::run::{Event, Lifecycle, Run};
use serde_json::json;

use super::options::Which;
use crate::term::clock::moment;
use crate::term::exit;
use crate::term::failure::Failure;
use crate::term::output::say;
use crate::term::words;

/// Print what happened in a run
///
/// Lines of text, wherever they go; with `--events` every recorded event as a line of JSON.
///
/// Examples:
///   botpipe logs ralph_loop csv-export -f
///   botpipe logs ralph_loop csv-export --events | jq .event.kind
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// Every event as it was recorded, a line of JSON each
    #[arg(long)]
    events: bool,
    /// Go on until the run ends, stops or waits
    #[arg(long, short)]
    follow: bool,
}

impl Args {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let which = self.which.run()?;
        let engine = self.which.workspace.engine()?;
        let mut view = engine.show(&which)?;
        let mut log = Log {
            engine: &engine,
            run: Run::new(view.state.plan.clone()),
            seq: 0,
            events: self.events,
        };
        if !log.print(&view, &view.events) {
            return Ok(exit::OK);
        }
        while self.follow && matches!(log.run.lifecycle, Lifecycle::Running) {
            thread::sleep(PAUSE);
            let more = engine.events_after(&view.summary.run, log.seq)?;
            if more.is_empty() {
                view = engine.show(&which)?;
                if view.summary.state == RunStatus::OwnerLost && view.summary.events == log.seq {
                    break;
                }
            } else if !log.print(&view, &more) {
                break;
            }
        }
        Ok(exit::OK)
    }
}

/// How far a run was printed.
struct Log<'a> {
    engine: &'a Engine,
    /// Folded as far as it was printed.
    run: Run,
    seq: u64,
    events: bool,
}

impl Log<'_> {
    /// Prints more events; false when nobody reads them.
    fn print(&mut self, view: &RunView, events: &[Stored]) -> bool {
        events.iter().all(|stored| {
            self.seq = stored.seq;
            self.run.evolve(&stored.event);
            if self.events {
                let line = json!({ "seq": stored.seq, "at": stored.at, "event": stored.event });
                return say(&format!("{line}\n"));
            }
            let Some(words) = words::of(&stored.event, &self.run) else { return true };
            let mut line = format!("{} {words}\n", moment(stored.at));
            if let Event::TurnEnded { turn, .. } = &stored.event
                && let Some(path) = self.engine.activity_file(&view.summary, turn)
            {
                let _ = writeln!(line, "{:20}output: {}", "", path.display());
            }
            say(&line)
        })
    }
}

/// Between two looks at a run that is followed.
const PAUSE: Duration = Duration::from_millis(200);
