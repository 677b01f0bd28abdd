//! Where the nodes and edges of a graph are drawn: in layers from the entry down.

use super::{Graph, Shape};

/// A graph with places, in pixels.
pub(super) struct Layout {
    pub(super) width: usize,
    pub(super) height: usize,
    /// Left, top, width, height; in the order of the nodes.
    pub(super) boxes: Vec<[usize; 4]>,
    pub(super) lines: Vec<Line>,
}

/// One drawn edge: all edges of the same two nodes and the same kind are one.
pub(super) struct Line {
    pub(super) points: Vec<[usize; 2]>,
    /// Left end of the text, and its baseline.
    pub(super) label: [usize; 2],
    pub(super) words: Vec<String>,
    pub(super) back: bool,
    pub(super) taken: bool,
}

/// Width of a character and height of a line of the text that is drawn.
pub(super) const CHAR: usize = 8;
pub(super) const LINE: usize = 17;
const PAD: usize = 12;
const GAP: usize = 46;
const MARGIN: usize = 24;

pub(super) fn layout(graph: &Graph) -> Layout {
    let ranks = ranks(graph);
    let lines = bundles(graph);
    let deepest = ranks.iter().copied().max().unwrap_or(0);
    let size = |n: usize| {
        let node = &graph.nodes[n];
        let longest = node.lines.iter().map(|line| line.chars().count()).max().unwrap_or(0);
        let more = usize::from(node.visits > 0) * 5;
        [(longest + more) * CHAR + 2 * PAD, node.lines.len() * LINE + 2 * PAD]
    };
    // Labels of edges that lead down stand below the box they leave, one below the other.
    let down = |line: &Bundle| ranks[line.to] == ranks[line.from] + 1;
    let below = |n: usize| {
        let of = lines.iter().filter(|line| line.from == n && down(line));
        of.map(|line| line.words.len()).sum::<usize>() * LINE
    };
    let mut boxes = vec![[0; 4]; graph.nodes.len()];
    let (mut top, mut right) = (MARGIN, 0);
    for rank in 0..=deepest {
        let (mut left, mut tallest) = (MARGIN, 0);
        for n in (0..graph.nodes.len()).filter(|n| ranks[*n] == rank) {
            let [width, height] = size(n);
            boxes[n] = [left, top, width, height];
            let label = lines.iter().filter(|line| line.from == n && down(line)).map(Bundle::width);
            left += width.max(label.max().unwrap_or(0) + width / 2) + GAP;
            tallest = tallest.max(height + below(n));
        }
        right = right.max(left);
        top += tallest + GAP;
    }
    let mut drawn = Vec::new();
    let mut lane = right;
    let mut labels_below = vec![0; graph.nodes.len()];
    let mut ports = vec![0; graph.nodes.len()];
    for line in lines {
        let ([x, y, w, h], [to_x, to_y, to_w, to_h]) = (boxes[line.from], boxes[line.to]);
        let is_down = down(&line);
        let (points, label) = if is_down {
            let at = x + w / 2;
            let text = y + h + LINE + labels_below[line.from];
            labels_below[line.from] += line.words.len() * LINE;
            (
                vec![
                    [at, y + h],
                    [at, to_y - GAP / 3],
                    [to_x + to_w / 2, to_y - GAP / 3],
                    [to_x + to_w / 2, to_y],
                ],
                [at + 6, text],
            )
        } else {
            // Every other edge has a lane of its own beside the graph, and its ends on the right side.
            let mut port = |n: usize, height: usize| {
                ports[n] += 1;
                (ports[n] * 12).min(height - 6)
            };
            let start = y + port(line.from, h);
            let end = to_y + port(line.to, to_h);
            let at = lane;
            lane += line.width() + 14;
            let points = vec![[x + w, start], [at, start], [at, end], [to_x + to_w, end]];
            (points, [at + 5, start.midpoint(end) + 5])
        };
        drawn.push(Line { points, label, words: line.words, back: line.back, taken: line.taken });
    }
    Layout { width: lane + MARGIN, height: top, boxes, lines: drawn }
}

/// Edges of the same two nodes and the same kind.
struct Bundle {
    from: usize,
    to: usize,
    words: Vec<String>,
    back: bool,
    taken: bool,
}

impl Bundle {
    fn width(&self) -> usize {
        let longest = self.words.iter().map(|word| word.chars().count()).max();
        longest.unwrap_or(0) * CHAR
    }
}

fn bundles(graph: &Graph) -> Vec<Bundle> {
    let mut bundles: Vec<Bundle> = Vec::new();
    for edge in &graph.edges {
        let times = if edge.taken > 0 { format!(" ×{}", edge.taken) } else { String::new() };
        let word = format!("{}{times}", edge.label);
        let same = |it: &&mut Bundle| {
            (it.from, it.to, it.back, it.taken) == (edge.from, edge.to, edge.back, edge.taken > 0)
        };
        match bundles.iter_mut().find(same) {
            Some(bundle) => bundle.words.push(word),
            None => bundles.push(Bundle {
                from: edge.from,
                to: edge.to,
                words: vec![word],
                back: edge.back,
                taken: edge.taken > 0,
            }),
        }
    }
    bundles
}

/// The layer of each node: steps lie below every step before them in the file that leads to them; a
/// pause lies beside what comes after its step, and the ends below all.
fn ranks(graph: &Graph) -> Vec<usize> {
    let mut ranks = vec![0; graph.nodes.len()];
    let is_step = |n: usize| graph.nodes[n].shape == Shape::Step;
    for n in 0..graph.nodes.len() {
        let into = graph.edges.iter().filter(|edge| edge.to == n && edge.from < n && !edge.back);
        let above = into.map(|edge| ranks[edge.from] + 1).max();
        ranks[n] = above.unwrap_or(0);
        // A step that only later ones lead to still lies below the one before it.
        if above.is_none() && n > 0 && is_step(n) {
            ranks[n] = ranks[n - 1] + 1;
        }
    }
    let lowest = (0..ranks.len()).filter(|n| is_step(*n)).map(|n| ranks[n]).max().unwrap_or(0);
    for (n, node) in graph.nodes.iter().enumerate() {
        if node.shape == Shape::End {
            ranks[n] = lowest + 1;
        }
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::super::{Edge, Node};
    use super::*;

    /// A graph of steps and two ends, with these edges.
    fn graph(steps: usize, edges: &[(usize, usize)]) -> Graph {
        let node = |n: usize| Node {
            shape: if n < steps { Shape::Step } else { Shape::End },
            lines: vec![format!("node {n}"); 2],
            visits: 0,
        };
        let edge = |(from, to): &(usize, usize)| Edge {
            from: *from,
            to: *to,
            label: format!("from {from} to {to}"),
            back: false,
            taken: 0,
        };
        Graph {
            name: "g".to_owned(),
            nodes: (0..steps + 2).map(node).collect(),
            edges: edges.iter().map(edge).collect(),
            marked: false,
        }
    }

    #[test]
    fn no_two_boxes_and_no_two_labels_overlap_and_all_is_on_the_page() {
        let graph = graph(
            5,
            &[
                (0, 1),
                (0, 2),
                (0, 5),
                (1, 3),
                (2, 3),
                (3, 3),
                (3, 0),
                (3, 4),
                (4, 5),
                (4, 6),
                (1, 1),
            ],
        );
        let layout = layout(&graph);
        let mut areas = layout.boxes.clone();
        for line in &layout.lines {
            let width = line.words.iter().map(|word| word.chars().count()).max().unwrap() * CHAR;
            let [x, y] = line.label;
            areas.push([x, y - LINE + 5, width, line.words.len() * LINE]);
            assert!(line.points.iter().all(|[x, y]| *x < layout.width && *y < layout.height));
        }
        for (n, [x, y, w, h]) in areas.iter().enumerate() {
            assert!(x + w <= layout.width && y + h <= layout.height, "{n}");
            for (m, [a, b, c, d]) in areas.iter().enumerate().skip(n + 1) {
                let apart = x + w <= *a || a + c <= *x || y + h <= *b || b + d <= *y;
                assert!(apart, "{n} {:?} and {m} {:?}", areas[n], areas[m]);
            }
        }
    }

    #[test]
    fn what_leads_on_lies_below_and_the_ends_lie_lowest() {
        let graph = graph(4, &[(0, 1), (1, 0), (1, 2), (0, 2), (2, 4), (0, 5), (3, 4)]);
        assert_eq!(ranks(&graph), [0, 1, 2, 3, 4, 4]);
    }
}
