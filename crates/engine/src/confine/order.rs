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
    let mut closed: HashSet<PathBuf> = HashSet::new();
    let mut laid = Vec::with_capacity(layers.len());
    for layer in layers {
        let path = path(&layer);
        let is_ours = super::within(path, ours);
        let masks = matches!(layer, Layer::Masked(_));
        // There may be thousands.
        let is_closed = path.ancestors().any(|above| closed.contains(above));
        if is_closed && !masks && !is_ours {
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
