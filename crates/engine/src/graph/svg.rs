//! A graph as SVG: plain boxes and lines, readable on a light and on a dark page.

use std::fmt::Write as _;

use super::layout::{CHAR, LINE, layout};
use super::{Graph, Shape};

impl Graph {
    /// As SVG. The same graph gives the same text.
    pub fn svg(&self) -> String {
        let layout = layout(self);
        let (width, height) = (layout.width, layout.height);
        let mut text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"ui-monospace, Menlo, Consolas, monospace\" \
             font-size=\"13\" role=\"img\">\n<title>{}</title>\n{STYLE}",
            safe(&self.name)
        );
        for line in &layout.lines {
            let points = line.points.iter().map(|[x, y]| format!("{x},{y}"));
            let points = points.collect::<Vec<_>>().join(" ");
            let class = match (line.taken, line.back) {
                (true, _) => "line taken",
                (false, true) => "line back",
                (false, false) => "line",
            };
            let arrow = if line.taken { "taken" } else { "arrow" };
            let _ = writeln!(
                text,
                "<polyline class=\"{class}\" points=\"{points}\" marker-end=\"url(#{arrow})\"/>"
            );
        }
        for (node, [x, y, w, h]) in self.nodes.iter().zip(&layout.boxes) {
            let class = if self.marked && node.visits == 0 { "box untouched" } else { "box" };
            let round = if node.shape == Shape::Step { 4 } else { h / 2 };
            let dash = if node.shape == Shape::Pause { " stroke-dasharray=\"4 3\"" } else { "" };
            let _ = writeln!(
                text,
                "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" rx=\"{round}\"{dash}/>"
            );
            for (n, line) in node.lines.iter().enumerate() {
                let times = if n == 0 && node.visits > 0 {
                    format!(" ×{}", node.visits)
                } else {
                    String::new()
                };
                let class = if n == 0 { "name" } else { "about" };
                let (at, down) = (x + w / 2, y + 12 + LINE * (n + 1) - 4);
                let _ = writeln!(
                    text,
                    "<text class=\"{class}\" x=\"{at}\" y=\"{down}\" text-anchor=\"middle\">{}{times}</text>",
                    safe(line)
                );
            }
        }
        for line in &layout.lines {
            let [x, y] = line.label;
            let wide = line.words.chars().count() * CHAR;
            let _ = writeln!(
                text,
                "<text class=\"label\" x=\"{x}\" y=\"{y}\" textLength=\"{wide}\">{}</text>",
                safe(&line.words)
            );
        }
        text.push_str("</svg>\n");
        text
    }
}

const STYLE: &str = "<style>\n\
    .box { fill: #f6f8fa; stroke: #57606a; } .untouched { opacity: 0.45; }\n\
    .line { fill: none; stroke: #57606a; } .back { stroke-dasharray: 4 3; }\n\
    .taken { stroke: #0969da; stroke-width: 2.5; }\n\
    .name { font-weight: bold; fill: #1f2328; } .about { fill: #57606a; } .label { fill: #57606a; }\n\
    @media (prefers-color-scheme: dark) {\n\
    .box { fill: #161b22; } .name { fill: #e6edf3; } .about, .label { fill: #9198a1; }\n\
    .box, .line { stroke: #9198a1; } .taken { stroke: #4493f8; } }\n\
    </style>\n\
    <defs>\n\
    <marker id=\"arrow\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"7\" markerHeight=\"7\" \
    orient=\"auto\" markerUnits=\"userSpaceOnUse\"><path d=\"M0,0 L10,5 L0,10 z\" fill=\"#57606a\"/></marker>\n\
    <marker id=\"taken\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"9\" markerHeight=\"9\" \
    orient=\"auto\" markerUnits=\"userSpaceOnUse\"><path d=\"M0,0 L10,5 L0,10 z\" fill=\"#0969da\"/></marker>\n\
    </defs>\n";

/// Text that stays text in XML; what XML cannot hold is left out.
fn safe(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.chars().filter(|c| !c.is_control()).collect()
}
