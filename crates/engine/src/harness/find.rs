//! Where a harness's program is: a path as given, else the first in `PATH`; the native binary behind a
//! launcher.

use std::env;
use std::path::{Path, PathBuf};

use super::Kind;
use crate::confine::site;
use crate::process::search::{self, is_program};

/// No program.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    #[error("there is no program `{program}` in PATH")]
    NotInPath { program: String },
    #[error("`{}` is no program that can be started", path.display())]
    NoProgram { path: PathBuf },
    #[error(
        "`{}` lies where agents write, and Botpipe itself would run it, in no sandbox: install it elsewhere, or \
         name that path yourself if it is meant (`provider.program` of your own `botpipe.yaml`)", path.display()
    )]
    OfAgents { path: PathBuf },
}

/// The program of a harness. One that is not named but found is none that lies where agents write: in a `PATH`
/// are folders of the workspace where npm started us, or an environment of Python's is in force.
///
/// # Errors
/// When there is none.
pub(crate) fn find(
    kind: Kind,
    given: Option<&Path>,
    workspace: &Path,
) -> Result<PathBuf, FindError> {
    let path = if let Some(given) = given {
        program(given)?
    } else {
        let name = Path::new(kind.program());
        let found = search::outside(name, &site::written_by_all(workspace));
        found.map_or_else(|| Err(FindError::OfAgents { path: program(name)? }), Ok)?
    };
    Ok(native(kind, &path).unwrap_or(path))
}

/// Any program: a path as given, or the first of its name in `PATH`.
///
/// # Errors
/// When there is none.
pub(crate) fn program(named: &Path) -> Result<PathBuf, FindError> {
    Ok(if named.components().count() > 1 {
        let path = std::path::absolute(named).unwrap_or_else(|_| named.to_owned());
        if !is_program(&path) {
            return Err(FindError::NoProgram { path });
        }
        path
    } else {
        let program = named.display().to_string();
        search::outside(named, &[]).ok_or(FindError::NotInPath { program })?
    })
}

/// The binary that an npm launcher starts: the launcher would stay as its parent.
///
/// # Source
/// `@openai/codex` 0.169.0: `bin/codex.js` starts `vendor/<triple>/bin/codex` of the package of its
/// platform, which npm puts into the launcher's own `node_modules` or beside it.
/// `@anthropic-ai/claude-code` 2.1.330 likewise; its binary is named `claude`.
fn native(kind: Kind, path: &Path) -> Option<PathBuf> {
    let real = path.canonicalize().ok()?;
    match kind {
        Kind::Acp => None,
        Kind::Codex => {
            (real.file_name()? == "codex.js").then_some(())?;
            let package = real.parent()?.parent()?;
            let name = format!("codex-{}-{}", system()?, architecture()?);
            let inside = package.join("node_modules").join("@openai").join(&name);
            let beside = package.parent()?.join(&name);
            [inside, beside].into_iter().find_map(|platform| {
                let triples = platform.join("vendor").read_dir().ok()?;
                let binaries = triples.flatten().map(|it| it.path().join("bin").join("codex"));
                binaries.into_iter().find(|binary| is_program(binary))
            })
        }
        Kind::Claude => {
            LAUNCHERS.iter().any(|it| real.ends_with(it)).then_some(())?;
            let package = real.ancestors().find(|it| it.ends_with("@anthropic-ai/claude-code"))?;
            let name = format!("claude-code-{}-{}", system()?, architecture()?);
            let scopes = [package.join("node_modules").join("@anthropic-ai"), package.join("..")];
            let binaries = scopes.into_iter().flat_map(|scope| {
                ["", "-musl"].map(|libc| scope.join(format!("{name}{libc}")).join("claude"))
            });
            binaries.into_iter().find_map(|binary| {
                is_program(&binary).then(|| binary.canonicalize().ok()).flatten()
            })
        }
    }
}

/// What npm starts as `claude`: the second stands for the binary until the package's script has run.
const LAUNCHERS: [&str; 2] = ["cli-wrapper.cjs", "bin/claude.exe"];

fn system() -> Option<&'static str> {
    match env::consts::OS {
        "linux" => Some("linux"),
        "macos" => Some("darwin"),
        _ => None,
    }
}

fn architecture() -> Option<&'static str> {
    match env::consts::ARCH {
        "x86_64" => Some("x64"),
        "aarch64" => Some("arm64"),
        _ => None,
    }
}
