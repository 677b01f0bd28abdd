//! Rule: every step can be reached, and from every step the run can end.

use super::flow::{Edge, edges, is_whole};
use crate::diagnostic::{Code, Problem, Report};
use crate::document::Document;

pub(super) fn check(document: &Document, report: &mut Report<'_>) {
    let Some(entry) = document.entry_index() else { return };
    if !is_whole(document) {
        return;
    }
    let count = document.steps.len();
    let mut next = vec![Vec::new(); count];
    let mut before = vec![Vec::new(); count];
    let mut ends = vec![false; count];
    for (from, step) in document.steps.iter().enumerate() {
        for route in &step.routes {
            for edge in edges(document, from, route) {
                match edge {
                    Edge::Step(to) => {
                        next[from].push(to);
                        before[to].push(from);
                    }
                    // To give up is always there, and no way an author planned.
                    Edge::End => ends[from] |= !route.inherited,
                }
            }
        }
    }
    let reached = all_from(vec![entry], &next);
    let ends = all_from((0..count).filter(|n| ends[*n]).collect(), &before);
    for (n, step) in document.steps.iter().enumerate() {
        let id = &step.id.value;
        if !reached[n] {
            report.push(
                Problem::new(
                    Code::Unreachable,
                    step.id.span,
                    format!("no route leads to step `{id}`"),
                )
                .also(document.steps[entry].id.span, "a run begins here"),
            );
        } else if !ends[n] {
            report.push(
                Problem::new(
                    Code::NoWayOut,
                    step.id.span,
                    format!("from step `{id}` the run can never end"),
                )
                .help("let some route lead to FINISH, FAIL or AWAIT_INPUT"),
            );
        }
    }
}

/// Every place that is open, or that some chain of edges leads to from one that is.
fn all_from(mut open: Vec<usize>, edges: &[Vec<usize>]) -> Vec<bool> {
    let mut reached = vec![false; edges.len()];
    while let Some(at) = open.pop() {
        if !std::mem::replace(&mut reached[at], true) {
            open.extend(&edges[at]);
        }
    }
    reached
}
