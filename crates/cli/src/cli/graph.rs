//! `botpipe graph`: a workflow drawn, with what a run took.

use botpipe_engine::graph::Graph;
use botpipe_kernel::ids::{RunId, TaskId};
use clap::ValueEnum;

use super::options::{Workspace, checked, run_of};
use crate::term::exit;
use crate::term::failure::Failure;
use crate::term::output::say;

/// Draw a workflow: its steps, its routes, its ends
///
/// Standard output is the drawing, wherever it goes. Steps with a scope say of what; a route that goes on to
/// the next item says where it leads when no item is left; where a person is asked, a dashed line leads back.
///
/// Examples:
///   botpipe graph ralph_loop
///   botpipe graph ralph_loop --format svg > ralph_loop.svg
///   botpipe graph ralph_loop --run csv-export --format svg > run.svg
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// The workflow: a name, an alias, or a path to its file or folder
    #[arg(value_name = "REF")]
    reference: String,
    /// As a Mermaid flowchart, or as a picture
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Mermaid)]
    format: Format,
    /// Draw the plan of this task's run, and mark what it took
    #[arg(long, value_name = "TASK")]
    run: Option<TaskId>,
    /// A run of that task; without it, the newest
    #[arg(long, value_name = "RUN", requires = "run")]
    run_id: Option<RunId>,
    #[command(flatten)]
    workspace: Workspace,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Mermaid,
    Svg,
}

impl Args {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let graph = match &self.run {
            None => {
                let compiled = checked(self.workspace.path(), &self.reference)?;
                // What checks has a plan.
                compiled.plan.as_ref().map(Graph::of).unwrap_or_default()
            }
            Some(task) => {
                let which = run_of(&self.workspace, &self.reference, task, self.run_id.as_ref())?;
                let view = self.workspace.engine()?.show(&which)?;
                Graph::of(&view.state.plan).marked(&view)
            }
        };
        say(&match self.format {
            Format::Mermaid => graph.mermaid(),
            Format::Svg => graph.svg(),
        });
        Ok(exit::OK)
    }
}
