//! Steps and routes as a graph, for the rules that follow the flow.

use botpipe_kernel::plan::Target;

use crate::document::{Document, RouteDecl, StepDecl};

/// Where one route may lead.
pub(super) enum Edge {
    /// To the step of that index.
    Step(usize),
    /// Out of the run, or to a person.
    End,
}

/// The edges of a route of the step at `from`; targets that do not exist have none.
pub(super) fn edges(document: &Document, from: usize, route: &RouteDecl) -> Vec<Edge> {
    route
        .action
        .targets()
        .filter_map(|target| match &target.value {
            Target::SelfStep => Some(Edge::Step(from)),
            Target::Step(id) => document.step_index(id).map(Edge::Step),
            Target::Finish | Target::Fail | Target::AwaitInput => Some(Edge::End),
        })
        .collect()
}

/// Whether all steps and routes were read, so that the graph is the author's.
pub(super) fn is_whole(document: &Document) -> bool {
    let resolves = |step: &StepDecl| {
        step.routes_known
            && step.routes.iter().flat_map(|route| route.action.targets()).all(|target| {
                match &target.value {
                    Target::Step(id) => document.step_index(id).is_some(),
                    _ => true,
                }
            })
    };
    document.steps_known && document.entry_index().is_some() && document.steps.iter().all(resolves)
}
