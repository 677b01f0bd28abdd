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
    pub(super) words: String,
    pub(super) back: bool,
    pub(super) taken: bool,
}

/// Width of a character and height of a line of the text that is drawn.
pub(super) const CHAR: usize = 8;
pub(super) const LINE: usize = 17;
const PAD: usize = 12;
const GAP: usize = 40;
const MARGIN: usize = 24;

/// Edges to what comes next go straight down, and have their words where they arrive. All others leave a
/// box on its right, where they have their words, and have a lane of their own beside the graph.
pub(super) fn layout(graph: &Graph) -> Layout {
    let rows = rows(graph);
    let mut row_of = vec![0; graph.nodes.len()];
    for (row, nodes) in rows.iter().enumerate() {
        for n in nodes {
            row_of[*n] = row;
        }
    }
    let pauses = |row: usize| rows[row].iter().all(|n| graph.nodes[*n].shape == Shape::Pause);
    let is_down = |line: &Bundle| {
        let (from, to) = (row_of[line.from], row_of[line.to]);
        from < to && (from + 1..to).all(pauses)
    };
    let (down, aside): (Vec<_>, Vec<_>) = bundles(graph).into_iter().partition(is_down);
    let boxes = boxes(graph, &rows, &down, &aside);
    let mut drawn: Vec<Line> = Vec::new();
    let mut arrived = vec![0; boxes.len()];
    for line in down {
        let ([x, y, w, h], [to_x, to_y, to_w, _]) = (boxes[line.from], boxes[line.to]);
        let (from, to) = (x + w / 2, to_x + to_w / 2);
        let turn = to_y - GAP / 2 - arrivals(&drawn, line.to, &boxes) * LINE;
        let points = vec![[from, y + h], [from, turn], [to, turn], [to, to_y]];
        let label = [to + 7, to_y - 8 - arrived[line.to] * LINE];
        arrived[line.to] += 1;
        drawn.push(line.drawn(points, label));
    }
    let right = |[x, _, w, _]: &[usize; 4]| x + w;
    let widest = aside.iter().map(|line| right(&boxes[line.from]) + 6 + line.width()).max();
    let mut lane = boxes.iter().map(right).max().unwrap_or(0).max(widest.unwrap_or(0)) + LANE;
    let mut ports = vec![0; boxes.len()];
    for line in aside {
        let mut port = |n: usize| {
            ports[n] += 1;
            boxes[n][1] + ports[n] * PORT
        };
        let (start, end) = (port(line.from), port(line.to));
        let (from, to) = (right(&boxes[line.from]), right(&boxes[line.to]));
        let points = vec![[from, start], [lane, start], [lane, end], [to, end]];
        drawn.push(line.drawn(points, [from + 6, start - 5]));
        lane += LANE;
    }
    let bottom = boxes.iter().map(|[_, y, _, h]| y + h).max().unwrap_or(0);
    let labels = drawn.iter().map(|line| line.label[0] + line.words.chars().count() * CHAR).max();
    let width = lane.max(labels.unwrap_or(0)) + MARGIN;
    Layout { width, height: bottom + MARGIN, boxes, lines: drawn }
}

/// Between two lanes, and between two lines at a box.
const LANE: usize = 14;
const PORT: usize = 18;

/// How many edges have arrived from above at a box so far.
fn arrivals(drawn: &[Line], to: usize, boxes: &[[usize; 4]]) -> usize {
    let place = [boxes[to][0] + boxes[to][2] / 2, boxes[to][1]];
    drawn.iter().filter(|line| line.points.last() == Some(&place)).count()
}

/// Left, top, width and height of each node.
fn boxes(graph: &Graph, rows: &[Vec<usize>], down: &[Bundle], aside: &[Bundle]) -> Vec<[usize; 4]> {
    let mut boxes = vec![[0; 4]; graph.nodes.len()];
    let (mut top, mut middle) = (MARGIN, 0);
    for row in rows {
        let is_pause = row.iter().all(|n| graph.nodes[*n].shape == Shape::Pause);
        // Beside the edges that go down past it.
        let mut left = if is_pause { middle + GAP } else { MARGIN };
        let words = row.iter().map(|n| down.iter().filter(|line| line.to == *n).count()).max();
        top += words.unwrap_or(0) * LINE;
        let mut tallest = 0;
        middle = 0;
        for &n in row {
            let node = &graph.nodes[n];
            let longest = node.lines.iter().map(|line| line.chars().count()).max().unwrap_or(0);
            let times = usize::from(node.visits > 0) * 5;
            let width = (longest + times) * CHAR + 2 * PAD;
            let ends = aside.iter().map(|it| usize::from(it.from == n) + usize::from(it.to == n));
            let height = (node.lines.len() * LINE + 2 * PAD).max((ends.sum::<usize>() + 1) * PORT);
            boxes[n] = [left, top, width, height];
            let beside = aside.iter().filter(|line| line.from == n).map(Bundle::width).max();
            let above = down.iter().filter(|line| line.to == n).map(Bundle::width).max();
            let needs = (width / 2 + 7 + above.unwrap_or(0)).max(width + 6 + beside.unwrap_or(0));
            left += needs.max(width) + GAP;
            tallest = tallest.max(height);
            middle = middle.max(boxes[n][0] + width / 2);
        }
        top += tallest + GAP;
    }
    boxes
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
    fn words(&self) -> String {
        self.words.join(", ")
    }

    fn width(&self) -> usize {
        self.words().chars().count() * CHAR
    }

    fn drawn(self, points: Vec<[usize; 2]>, label: [usize; 2]) -> Line {
        Line { points, label, words: self.words(), back: self.back, taken: self.taken }
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

/// The nodes row by row: steps lie below every step before them in the file that leads to them, each
/// pause below its step, and the ends below all.
fn rows(graph: &Graph) -> Vec<Vec<usize>> {
    let ranks = ranks(graph);
    let mut rows = Vec::new();
    for rank in 0..=ranks.iter().copied().max().unwrap_or(0) {
        let of_rank = |n: &usize| ranks[*n] == rank;
        let is_pause = |n: &usize| graph.nodes[*n].shape == Shape::Pause;
        let (pauses, others): (Vec<_>, Vec<_>) =
            (0..graph.nodes.len()).filter(of_rank).partition(is_pause);
        rows.extend([others, pauses].into_iter().filter(|row| !row.is_empty()));
    }
    rows
}

fn ranks(graph: &Graph) -> Vec<usize> {
    let mut ranks = vec![0; graph.nodes.len()];
    let is_step = |n: usize| graph.nodes[n].shape == Shape::Step;
    let steps = graph.nodes.iter().take_while(|node| node.shape == Shape::Step).count();
    for n in 0..steps {
        let into = graph.edges.iter().filter(|edge| edge.to == n && edge.from < n && !edge.back);
        // A step that only later ones lead to still lies below the one before it.
        let above = into.map(|edge| ranks[edge.from] + 1).max();
        ranks[n] = above.unwrap_or_else(|| if n > 0 { ranks[n - 1] + 1 } else { 0 });
    }
    let lowest = (0..ranks.len()).filter(|n| is_step(*n)).map(|n| ranks[n]).max().unwrap_or(0);
    for (n, node) in graph.nodes.iter().enumerate().skip(steps) {
        let asking = graph.edges.iter().find(|edge| edge.to == n && !edge.back);
        ranks[n] = match (node.shape, asking) {
            (Shape::Pause, Some(edge)) => ranks[edge.from],
            _ => lowest + 1,
        };
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
            let [x, y] = line.label;
            areas.push([x, y - LINE + 5, line.words.chars().count() * CHAR, LINE]);
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
