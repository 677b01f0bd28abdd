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

/// Has nothing made beside the workspace, in the folders between it and the one of the program's own that they lie in
/// (`empty`): only the program would see it, and it would be gone without a word. Not where more than that is laid.
pub(super) fn close_around(workspace: &Path, empty: &[PathBuf], layers: &mut Vec<Layer>) {
    let outer = empty.iter().filter(|it| workspace.starts_with(it));
    let Some(outer) = outer.max_by_key(|it| it.components().count()) else { return };
    let between = workspace.ancestors().skip(1).take_while(|it| it != outer);
    let Some(first) = between.last() else { return };
    let Some(at) = layers.iter().position(|it| matches!(it, Layer::Private(at) if at == outer))
    else {
        return;
    };
    // What is laid there, or around it, shows more.
    if !layers[at + 1..].iter().any(|layer| first.starts_with(path(layer))) {
        layers.insert(at + 1, Layer::Empty(first.to_owned()));
    }
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

    #[test]
    fn nothing_is_made_beside_a_workspace_in_a_folder_of_a_home() {
        let [home, work] = ["/home/me", "/home/me/w/deep/work"].map(PathBuf::from);
        let empty = [PathBuf::from("/home"), home.clone()];
        let closed = |workspace: &Path, more: &[Layer]| {
            let mut layers: Vec<Layer> = empty.iter().cloned().map(Layer::Private).collect();
            layers.extend(more.iter().cloned());
            close_around(workspace, &empty, &mut layers);
            layers.into_iter().position(|layer| layer == Layer::Empty("/home/me/w".into()))
        };
        assert_eq!(closed(&work, &[Layer::Writable(work.clone())]), Some(2));
        assert_eq!(closed(&work, &[Layer::Writable("/home/me/w".into())]), None);
        assert_eq!(closed(&work, &[Layer::Writable("/home/me".into())]), None);
        assert_eq!(closed(&home.join("w"), &[]), None);
        assert_eq!(closed(Path::new("/srv/w/work"), &[]), None);
    }
}
