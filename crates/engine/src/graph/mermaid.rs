//! A graph as a Mermaid flowchart.

use std::fmt::Write as _;

use super::{Graph, Node, Shape};

impl Graph {
    /// As Mermaid. The same graph gives the same text.
    pub fn mermaid(&self) -> String {
        let mut text = String::from("flowchart TD\n");
        for (n, node) in self.nodes.iter().enumerate() {
            let words = node.lines.iter().map(|line| safe(line)).collect::<Vec<_>>().join("<br/>");
            let words =
                if node.visits > 0 { format!("{words}<br/>×{}", node.visits) } else { words };
            let _ = match node.shape {
                Shape::Step => writeln!(text, "    {}[\"{words}\"]", id(n, node)),
                Shape::End => writeln!(text, "    {}([\"{words}\"])", id(n, node)),
                Shape::Pause => writeln!(text, "    {}[/\"{words}\"/]", id(n, node)),
            };
        }
        let mut taken = Vec::new();
        for (n, edge) in self.edges.iter().enumerate() {
            let arrow = if edge.back { "-.->" } else { "-->" };
            let mut label = safe(&edge.label);
            if edge.taken > 0 {
                taken.push(n.to_string());
                let _ = write!(label, " ×{}", edge.taken);
            }
            let (from, to) =
                (id(edge.from, &self.nodes[edge.from]), id(edge.to, &self.nodes[edge.to]));
            let _ = writeln!(text, "    {from} {arrow}|\"{label}\"| {to}");
        }
        if !taken.is_empty() {
            let _ = writeln!(text, "    linkStyle {} stroke-width:3px", taken.join(","));
        }
        text
    }
}

/// A name that is no word of Mermaid's own: `end` would end the chart.
fn id(n: usize, node: &Node) -> String {
    match node.shape {
        Shape::Step => format!("step_{}", node.lines[0]),
        Shape::End => node.lines[0].clone(),
        Shape::Pause => format!("AWAIT_INPUT_{n}"),
    }
}

/// Text that stays text between quotes.
fn safe(text: &str) -> String {
    text.replace('#', "#35;").replace('"', "#quot;").replace('<', "#lt;").replace('>', "#gt;")
}
