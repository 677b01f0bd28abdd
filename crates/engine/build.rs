//! Embeds the shipped workflows: every file under `workflows/` becomes part of the library.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

fn main() -> io::Result<()> {
    let root = Path::new(&variable("CARGO_MANIFEST_DIR")?).join("../../workflows");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut files = Vec::new();
    if root.is_dir() {
        gather(&root, &mut files)?;
    }
    files.sort();
    let mut code = String::from("&[\n");
    for path in files {
        let relative = text(path.strip_prefix(&root).map_err(io::Error::other)?)?;
        let executable = fs::metadata(&path)?.permissions().mode() & 0o111 != 0;
        let place = text(&path)?;
        let _ = writeln!(
            code,
            "    ShippedFile {{ path: {relative:?}, text: include_str!({place:?}), executable: {executable} }},"
        );
    }
    code.push_str("]\n");
    fs::write(Path::new(&variable("OUT_DIR")?).join("shipped.rs"), code)
}

fn variable(name: &str) -> io::Result<String> {
    std::env::var(name).map_err(io::Error::other)
}

fn text(path: &Path) -> io::Result<&str> {
    path.to_str().ok_or_else(|| io::Error::other(format!("{} is not UTF-8", path.display())))
}

fn gather(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            gather(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
