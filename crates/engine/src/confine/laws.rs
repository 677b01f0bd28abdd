//! Laws of the policy compiler, on random policies over a random tree: what is denied stays denied, whatever
//! else is said, and what is laid later uncovers nothing.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use botpipe_kernel::plan::SandboxMode;
use botpipe_sandbox::{Layer, Text};
use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};
use proptest::test_runner::TestCaseError;
use tempfile::TempDir;

use super::{Files, Rules, Site, View, files};

/// Where everything happens; names repeat, so that lists overlap.
const PATHS: [&str; 15] = [
    ".",
    "src",
    "src/deep",
    "src/deep/x.key",
    "docs",
    "docs/.env",
    ".env",
    "odd name",
    "odd name/ä*b",
    "link",
    "twin",
    "way/main",
    "none",
    "none/below",
    "../beside",
];

const PATTERNS: [&str; 13] = [
    "*",
    "**",
    "**/*",
    "*/*",
    "**/.env",
    "**/*.key",
    "src/**",
    "docs/*",
    "odd name/ä?b",
    "{src,docs}/.env",
    "*.none",
    "w*/m*",
    "[.]env",
];

struct World {
    folder: TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join("w").join(name);
        for name in ["src/deep", "docs", "odd name", ".git/hooks", ".botpipe/tasks/t/wf_w"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        fs::create_dir_all(folder.path().join("beside")).unwrap();
        for name in ["src/deep/x.key", "docs/.env", ".env", "odd name/ä*b", "src/main"] {
            fs::write(at(name), name).unwrap();
        }
        fs::write(at(".git/config"), "[core]\n\tbare = false\n").unwrap();
        symlink("docs/.env", at("link")).unwrap();
        symlink("src", at("way")).unwrap();
        fs::hard_link(at(".env"), at("twin")).unwrap();
        Self { folder }
    }

    fn site(&self, view: View) -> Site {
        let workspace = self.folder.path().join("w").canonicalize().unwrap();
        let state = workspace.join(".botpipe");
        Site {
            places: vec![state.join("tasks/t/wf_w")],
            state,
            workspace,
            home: None,
            shown: Vec::new(),
            covered: Vec::new(),
            kept: Vec::new(),
            granted: Vec::new(),
            readable: Vec::new(),
            view,
            path: Vec::new(),
            tools: Vec::new(),
            certificates: Vec::new(),
            stop: crate::process::StopSwitch::new(),
        }
    }

    /// Every file and folder of the workspace.
    fn all(&self) -> Vec<PathBuf> {
        let mut found = vec![self.folder.path().join("w").canonicalize().unwrap()];
        let mut at = 0;
        while let Some(folder) = found.get(at).cloned() {
            at += 1;
            if !folder.is_symlink() {
                let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
                found.extend(entries.map(|entry| entry.path()));
            }
        }
        found
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Gone,
    Read,
    Written,
}

/// What a program can do with a path, by the layers in their order.
fn effect(files: &Files, path: &Path) -> Effect {
    let mut effect = Effect::Read;
    for layer in &files.layers {
        let (at, then) = match layer {
            Layer::Masked(at) | Layer::Private(at) | Layer::Empty(at) => (at, Effect::Gone),
            Layer::Shown(at) | Layer::Text(Text { at, .. }) => (at, Effect::Read),
            Layer::Writable(at) => (at, Effect::Written),
            Layer::Scratch(scratch) => {
                let inside = path.strip_prefix(&scratch.at);
                let hidden =
                    inside.is_ok_and(|it| scratch.hidden.iter().any(|h| it.starts_with(h)));
                // What is written to it never reaches the host.
                (&scratch.at, if hidden { Effect::Gone } else { Effect::Read })
            }
        };
        if path.starts_with(at) {
            effect = then;
        }
    }
    effect
}

fn list() -> impl Strategy<Value = Vec<String>> {
    let path = prop::sample::select(PATHS.to_vec());
    let pattern = prop::sample::select(PATTERNS.to_vec());
    let text = prop_oneof![3 => path, 2 => pattern];
    prop::collection::vec(text.prop_map(str::to_owned), 0..4)
}

fn paths() -> impl Strategy<Value = Vec<String>> {
    let path = prop::sample::select(PATHS.to_vec());
    prop::collection::vec(path.prop_map(str::to_owned), 0..4)
}

fn holds(
    world: &World,
    rules: &Rules<'_>,
    site: &Site,
    compiled: &Files,
) -> Result<(), TestCaseError> {
    let denied = super::denied::patterns(rules.deny_read);
    let kept = super::denied::patterns(rules.deny_write);
    for path in world.all() {
        let Ok(inside) = path.strip_prefix(&site.workspace) else { continue };
        let effect = effect(compiled, &path);
        let told =
            || format!("{} is {effect:?} under {rules:?}: {:#?}", path.display(), compiled.layers);
        let ours = path.starts_with(&site.state);
        // The workspace itself has no name that a pattern could mean.
        let named = !inside.as_os_str().is_empty() && !path.is_symlink() && !ours;
        if denied.is_match(inside) && named {
            proptest::prop_assert_eq!(effect, Effect::Gone, "{}", told());
        }
        // The file that a link leads to, and the other name of a file.
        if path.ends_with("docs/.env") && denied.is_match("link") {
            proptest::prop_assert_eq!(effect, Effect::Gone, "{}", told());
        }
        if path.ends_with("twin") && denied.is_match(".env") {
            proptest::prop_assert_eq!(effect, Effect::Gone, "{}", told());
        }
        // The same by a link to its folder, and a link that is not to lead elsewhere.
        if path.ends_with("src/main") && denied.is_match("way/main") {
            proptest::prop_assert_eq!(effect, Effect::Gone, "{}", told());
        }
        let by_way =
            kept.is_match("way/main") && (path.ends_with("src/main") || path.ends_with("way"));
        if by_way || (path.ends_with("twin") && kept.is_match(".env")) {
            proptest::prop_assert_ne!(effect, Effect::Written, "{}", told());
        }
        if (kept.is_match(inside) && named)
            || inside.starts_with(".git/hooks")
            || inside.starts_with(".git/config")
        {
            proptest::prop_assert_ne!(effect, Effect::Written, "{}", told());
        }
        if rules.sandbox_mode == SandboxMode::ReadOnly || site.view == View::Discarded {
            proptest::prop_assert!(effect != Effect::Written || ours, "{}", told());
        }
    }
    // What is both read and written is so also where the rest of the workspace is not.
    let nothing_denied = rules.deny_read.is_empty() && rules.deny_write.is_empty();
    let written = rules.sandbox_mode != SandboxMode::ReadOnly && site.view != View::Discarded;
    if nothing_denied && written && rules.allow_write.iter().any(|it| it == "src/deep") {
        let effect = effect(compiled, &site.workspace.join("src/deep/x.key"));
        proptest::prop_assert_eq!(effect, Effect::Written, "{:#?}", compiled.layers);
    }
    let own = effect(compiled, &site.state.join("botpipe.db"));
    proptest::prop_assert_eq!(own, Effect::Gone);
    proptest::prop_assert_eq!(effect(compiled, &site.places[0]), Effect::Written);
    let upper: Vec<&PathBuf> = compiled
        .layers
        .iter()
        .filter_map(|layer| match layer {
            Layer::Writable(at) | Layer::Shown(at) => Some(at),
            _ => None,
        })
        .filter(|at| at.starts_with(&site.workspace))
        .collect();
    for (n, outer) in upper.iter().enumerate() {
        let covered = upper[..n].iter().find(|inner| inner.starts_with(outer) && inner != &outer);
        proptest::prop_assert!(covered.is_none(), "{outer:?} is laid over {covered:?}");
    }
    Ok(())
}

proptest! {
    #[test]
    fn what_is_denied_stays_denied(
        sandbox_mode in prop_oneof![Just(SandboxMode::ReadOnly), Just(SandboxMode::WorkspaceWrite)],
        discarded in any::<bool>(),
        allow_read in prop_oneof![Just(vec!["/".to_owned()]), paths()],
        deny_read in list(),
        allow_write in paths(),
        deny_write in list(),
    ) {
        let world = World::new();
        let site = world.site(if discarded { View::Discarded } else { View::Kept });
        let rules = Rules {
            sandbox_mode,
            allow_read: &allow_read,
            deny_read: &deny_read,
            allow_write: &allow_write,
            deny_write: &deny_write,
        };
        let before = world.all().len();
        // A policy that cannot be kept is refused, with what would permit it; none brings it down.
        match files(&rules, &site) {
            Ok(Some(compiled)) => {
                holds(&world, &rules, &site, &compiled)?;
                let again = files(&rules, &site).unwrap().unwrap();
                // Sockets of other programs come and go.
                let of_site = |files: &Files| {
                    let others = |layer: &&Layer| {
                        matches!(layer, Layer::Masked(at) if !at.starts_with(&site.workspace))
                    };
                    let kept = files.layers.iter().filter(|layer| !others(layer));
                    kept.cloned().collect::<Vec<_>>()
                };
                proptest::prop_assert_eq!(of_site(&again), of_site(&compiled), "twice is not the same");
            }
            Ok(None) => proptest::prop_assert!(false, "no layers for a sandbox"),
            Err(refusal) => proptest::prop_assert!(!refusal.permit.is_empty()),
        }
        proptest::prop_assert_eq!(world.all().len(), before, "compiling changes nothing");
    }

    #[test]
    fn no_text_brings_it_down(texts in prop::collection::vec(any::<String>(), 0..4), which in 0..4usize) {
        let world = World::new();
        let site = world.site(View::Kept);
        let (none, all) = (Vec::new(), vec!["/".to_owned()]);
        let pick = |n: usize, other| if n == which { texts.as_slice() } else { other };
        let rules = Rules {
            sandbox_mode: SandboxMode::WorkspaceWrite,
            allow_read: pick(0, &all),
            deny_read: pick(1, &none),
            allow_write: pick(2, &none),
            deny_write: pick(3, &none),
        };
        drop(files(&rules, &site));
    }
}
