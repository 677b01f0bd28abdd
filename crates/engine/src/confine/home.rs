//! The home of a program: empty, but for the tool chains and package caches of whoever runs it. Those are
//! read; what is written to them is gone with the program.

use std::path::{Path, PathBuf};

use botpipe_sandbox::{Layer, Scratch};

/// A folder of a home that is shown, and what of it is not.
struct Tools {
    folder: &'static str,
    without: &'static [&'static str],
}

const fn tools(folder: &'static str) -> Tools {
    Tools { folder, without: &[] }
}

/// Tool chains and caches by their folders in a home, without what proves who somebody is.
const TOOLS: &[Tools] = &[
    Tools { folder: ".cargo", without: &["credentials", "credentials.toml"] },
    tools(".rustup"),
    tools(".npm"),
    tools(".nvm"),
    tools(".volta"),
    tools(".fnm"),
    tools(".bun"),
    tools(".deno"),
    tools(".yarn"),
    tools(".pnpm-store"),
    tools(".pyenv"),
    tools(".rbenv"),
    tools(".asdf"),
    tools(".sdkman"),
    tools(".local/bin"),
    tools(".local/lib"),
    tools(".local/share/fnm"),
    tools(".local/share/mise"),
    tools(".local/share/pipx"),
    tools(".local/share/pnpm"),
    tools(".local/share/uv"),
    tools(".cache/bazel"),
    tools(".cache/go-build"),
    tools(".cache/node-gyp"),
    tools(".cache/pip"),
    tools(".cache/pnpm"),
    tools(".cache/pypoetry"),
    tools(".cache/uv"),
    tools(".cache/yarn"),
    tools("go"),
    Tools { folder: ".m2", without: &["settings.xml", "settings-security.xml"] },
    Tools { folder: ".gradle", without: &["gradle.properties"] },
    tools(".ivy2"),
    tools(".sbt"),
    Tools { folder: ".gem", without: &["credentials"] },
    Tools { folder: ".bundle", without: &["config"] },
    Tools { folder: ".nuget/packages", without: &[] },
    tools(".dotnet"),
    tools(".opam"),
    tools(".cabal"),
    tools(".ghcup"),
    tools(".stack"),
    tools(".mix"),
    tools(".julia"),
];

/// Files of a home that say how tools behave, read only.
const SETTINGS: [&str; 4] =
    [".gitconfig", ".config/git/config", ".config/git/ignore", ".config/git/attributes"];

/// What is laid over an empty home.
pub(super) fn layers(home: &Path, path: &[PathBuf]) -> Vec<Layer> {
    let mut layers = Vec::new();
    let mut shown: Vec<PathBuf> = Vec::new();
    for Tools { folder, without } in TOOLS {
        let at = home.join(folder);
        if is_straight(&at) && at.is_dir() {
            let hidden = without.iter().map(PathBuf::from).collect();
            shown.push(at.clone());
            layers.push(Layer::Scratch(Scratch {
                at,
                hidden,
                writable: true,
                ..Scratch::default()
            }));
        }
    }
    // Programs that were put elsewhere: with their folder, since they look beside themselves.
    for folder in path.iter().filter(|folder| folder.starts_with(home) && *folder != home) {
        let beside = match (folder.file_name(), folder.parent()) {
            (Some(name), Some(parent)) if name == "bin" && parent != home => parent,
            _ => folder,
        };
        if !super::within(beside, &shown) && is_straight(beside) && beside.is_dir() {
            shown.push(beside.to_owned());
            layers.push(Layer::Shown(beside.to_owned()));
        }
    }
    let settings = SETTINGS.iter().map(|name| home.join(name));
    layers.extend(settings.filter(|file| is_straight(file) && file.is_file()).map(Layer::Shown));
    layers
}

/// There, and reached without a link.
fn is_straight(path: &Path) -> bool {
    path.canonicalize().is_ok_and(|found| found == path)
}
