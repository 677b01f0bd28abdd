//! A plan as a graph: steps and ends, routes between them, and what of it a run took.

mod layout;
mod mermaid;
mod svg;

use std::collections::BTreeMap;

use botpipe_kernel::plan::{Plan, Step, Target};
use botpipe_kernel::run::Event;

use crate::engine::RunView;

/// Steps in file order, then the ends.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    name: String,
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    /// Whether a run's marks are on it.
    marked: bool,
}

#[derive(Debug, Clone)]
struct Node {
    shape: Shape,
    /// First line: what it is; second, where there is one: how it works.
    lines: Vec<String>,
    /// How often a run was here.
    visits: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Step,
    /// The run ends.
    End,
    /// The run waits for a person, who leads it back to the step before.
    Pause,
}

#[derive(Debug, Clone)]
struct Edge {
    from: usize,
    to: usize,
    label: String,
    /// Back to the step that asked.
    back: bool,
    taken: usize,
}

impl Graph {
    /// The graph of a plan. Routes that a step only inherits are drawn when a run took them.
    pub fn of(plan: &Plan) -> Self {
        let nodes = plan.steps.iter().map(|step| Node {
            shape: Shape::Step,
            lines: vec![step.id.to_string(), about(step)],
            visits: 0,
        });
        let mut graph = Self {
            name: plan.name.to_string(),
            nodes: nodes.collect(),
            edges: Vec::new(),
            marked: false,
        };
        for (from, step) in plan.steps.iter().enumerate() {
            for route in step.routes.iter().filter(|route| !route.inherited) {
                for (n, target) in route.action.targets().enumerate() {
                    let to = graph.target(plan, from, target);
                    let label = match n {
                        0 => route.tag.to_string(),
                        _ => format!("{}, no item left", route.tag),
                    };
                    graph.edges.push(Edge { from, to, label, back: false, taken: 0 });
                }
            }
        }
        graph
    }

    /// The same with what a run took: how often each step was visited, each route taken.
    #[must_use]
    pub fn marked(mut self, view: &RunView) -> Self {
        self.marked = true;
        let plan = view.state.plan.clone();
        let at = |id: &str| plan.steps.iter().position(|step| step.id.as_str() == id);
        let mut ends: BTreeMap<usize, usize> = BTreeMap::new();
        for stored in &view.events {
            match &stored.event {
                Event::VisitEntered { visit, .. } => {
                    if let Some(node) = at(visit.step.as_str()) {
                        self.nodes[node].visits += 1;
                    }
                }
                Event::RouteTaken { visit, tag, to, .. } => {
                    let Some(from) = at(visit.step.as_str()) else { continue };
                    let to = self.target(&plan, from, to);
                    let known = |edge: &&mut Edge| {
                        let of_tag = edge.label.split(',').next() == Some(tag.as_str());
                        edge.from == from && edge.to == to && of_tag && !edge.back
                    };
                    if let Some(edge) = self.edges.iter_mut().find(known) {
                        edge.taken += 1;
                    } else {
                        let label = tag.to_string();
                        self.edges.push(Edge { from, to, label, back: false, taken: 1 });
                    }
                    if self.nodes[to].shape != Shape::Step {
                        *ends.entry(to).or_default() += 1;
                    }
                }
                Event::AnswerAccepted { .. } => {
                    // The step that asked last is the one that is answered.
                    let asked = self
                        .edges
                        .iter()
                        .rposition(|edge| edge.back && ends.contains_key(&edge.from));
                    if let Some(edge) = asked {
                        self.edges[edge].taken += 1;
                    }
                }
                _ => {}
            }
        }
        for (node, count) in ends {
            self.nodes[node].visits = count;
        }
        self
    }

    /// The node a target means; ends and pauses are made when first met.
    fn target(&mut self, plan: &Plan, from: usize, target: &Target) -> usize {
        let (shape, words) = match target {
            Target::Step(id) => {
                let known = plan.steps.iter().position(|step| step.id == *id);
                return known.unwrap_or(from);
            }
            Target::SelfStep => return from,
            Target::Finish => (Shape::End, "FINISH"),
            Target::Fail => (Shape::End, "FAIL"),
            Target::AwaitInput => {
                let back = |edge: &&Edge| edge.back && edge.to == from;
                if let Some(edge) = self.edges.iter().find(back) {
                    return edge.from;
                }
                let lines = vec!["AWAIT_INPUT".to_owned()];
                self.nodes.push(Node { shape: Shape::Pause, lines, visits: 0 });
                let pause = self.nodes.len() - 1;
                let label = "answered".to_owned();
                self.edges.push(Edge { from: pause, to: from, label, back: true, taken: 0 });
                return pause;
            }
        };
        let known = self.nodes.iter().position(|it| it.shape == shape && it.lines[0] == words);
        known.unwrap_or_else(|| {
            self.nodes.push(Node { shape, lines: vec![words.to_owned()], visits: 0 });
            self.nodes.len() - 1
        })
    }
}

/// How a step works, in a few words.
fn about(step: &Step) -> String {
    let kind = step.kind();
    match &step.scope {
        Some(scope) => format!("{kind} · each {scope}"),
        None => kind.to_owned(),
    }
}
