//! The order of layers: outer paths before inner ones, so that none covers what was laid before it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use botpipe_sandbox::Layer;

/// The layers as they are laid, without those that lie in what is closed. `ours` is laid wherever it is.
pub(super) fn laid(mut layers: Vec<Layer>, ours: &[PathBuf]) -> Vec<Layer> {
    layers.sort_by_cached_key(|layer| {
        let path = path(layer);
        (path.components().count(), path.to_owned(), rank(layer))
    });
    layers.dedup();
    // A program may make thousands of repositories: each path asks only for those around it.
    let mut closed: HashSet<PathBuf> = HashSet::new();
    let mut laid = Vec::with_capacity(layers.len());
    for layer in layers {
        let path = path(&layer);
        let is_ours = super::within(path, ours);
        let masks = matches!(layer, Layer::Masked(_));
        if !masks && !is_ours && path.ancestors().any(|around| closed.contains(around)) {
            continue;
        }
        if (masks || matches!(layer, Layer::Shown(_))) && !is_ours {
            closed.insert(path.to_owned());
        }
        laid.push(layer);
    }
    laid
}

fn path(layer: &Layer) -> &Path {
    match layer {
        Layer::Writable(path)
        | Layer::Private(path)
        | Layer::Empty(path)
        | Layer::Shown(path)
        | Layer::Masked(path) => path,
        Layer::Scratch(scratch) => &scratch.at,
        Layer::Text(text) => &text.at,
    }
}

/// Of two at one path the stricter is laid last.
fn rank(layer: &Layer) -> u8 {
    match layer {
        Layer::Writable(_) => 0,
        Layer::Scratch(_) => 1,
        Layer::Private(_) | Layer::Empty(_) => 2,
        Layer::Shown(_) | Layer::Text(_) => 3,
        Layer::Masked(_) => 4,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    /// Each with its settings, as many small repositories have them.
    #[test]
    fn of_many_layers_each_is_looked_at_once() {
        let config = |n: usize| PathBuf::from(format!("/home/me/work/lib{n}/.git/config"));
        let all: Vec<Layer> = (0..40_000).map(|n| Layer::Shown(config(n))).collect();
        let inner = Layer::Writable(config(7).join("inner"));
        let began = Instant::now();
        let laid = laid([all, vec![inner.clone()]].concat(), &[]);
        assert_eq!(laid.len(), 40_000);
        assert!(!laid.contains(&inner), "it lies in what is closed");
        assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    }
}
