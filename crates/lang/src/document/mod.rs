//! What the author wrote, section by section, every part with its place.

mod action;
mod artifact;
mod code;
pub(crate) mod field;
mod group;
mod inherited;
mod kind;
mod named;
mod output;
mod outside;
mod policy;
mod protect;
mod provider;
mod route;
mod schema;
mod session;
mod state;
mod step;
mod text;
mod validate;
mod value;
mod work;
mod workflow;
mod worklist;

use botpipe_kernel::ids::{ArtifactName, SessionName, StepId, WorkflowName};
use botpipe_kernel::plan::{Budget, Policy, Provider};

pub(crate) use action::{ActionDecl, Form};
pub(crate) use artifact::ArtifactDecl;
pub(crate) use code::{CallDecl, CodeDecl, HooksDecl};
pub(crate) use group::{BranchDecl, ChildDecl, ChildrenDecl, GroupDecl, OverDecl};
pub(crate) use inherited::GlobalRoutes;
pub(crate) use named::Named;
pub(crate) use output::{OutputDecl, OutputFrom};
pub(crate) use outside::WaitDecl;
pub use policy::{NETWORK_PRESETS, policy, policy_of};
pub(crate) use route::RouteDecl;
pub(crate) use schema::SchemaDecl;
pub(crate) use session::ContinuityDecl;
pub(crate) use state::{AssignmentDecl, StateDecl};
pub(crate) use step::StepDecl;
pub(crate) use text::TextDecl;
pub(crate) use work::{CheckDecl, TurnDecl, WorkDecl};
pub(crate) use workflow::read;
pub(crate) use worklist::{SourceDecl, WorklistDecl};

use crate::diagnostic::Report;
use crate::files::Files;
use crate::source::Spanned;

/// A workflow as authored. What was reported while reading is left out, and the `…_known` flags say
/// so: rules that would then accuse the innocent stay silent.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) name: Option<WorkflowName>,
    pub(crate) title: Option<String>,
    pub(crate) description: Option<String>,
    /// `None`: reported.
    pub(crate) input: Option<SchemaDecl>,
    /// `None`: reported.
    pub(crate) params: Option<SchemaDecl>,
    pub(crate) artifacts: Named<ArtifactDecl>,
    pub(crate) artifacts_known: bool,
    pub(crate) worklists: Vec<WorklistDecl>,
    pub(crate) worklists_known: bool,
    pub(crate) steps: Named<StepDecl>,
    pub(crate) steps_known: bool,
    pub(crate) entry: Option<Spanned<StepId>>,
    pub(crate) max_steps: u32,
    pub(crate) provider: Option<Provider>,
    pub(crate) policy: Option<Policy>,
    pub(crate) budget: Budget,
    /// Ids of steps that are branches.
    pub(crate) branch_ids: Named<Spanned<StepId>>,
    pub(crate) state: StateDecl,
    pub(crate) global: GlobalRoutes,
    pub(crate) output: Option<OutputDecl>,
    /// `None`: reported.
    pub(crate) sessions: Option<Vec<(Spanned<SessionName>, ContinuityDecl)>>,
}

impl Document {
    pub(crate) fn artifact(&self, name: &ArtifactName) -> Option<&ArtifactDecl> {
        self.artifacts.named(name.as_str())
    }

    pub(crate) fn step_index(&self, id: &StepId) -> Option<usize> {
        self.steps.index(id.as_str())
    }

    /// Where a run begins: the step named by `entry`, else the first.
    pub(crate) fn entry_index(&self) -> Option<usize> {
        match &self.entry {
            Some(entry) => self.step_index(&entry.value),
            None => (!self.steps.is_empty()).then_some(0),
        }
    }
}

/// What the sections are read with.
struct Reader<'r, 's> {
    report: &'r mut Report<'s>,
    files: &'r dyn Files,
    document: Document,
    /// The workflows that this one is compiled for, by the place of their files.
    above: &'r [String],
}
