//! Finds the test programs of this crate for the tests of others, building them where they are missing.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Where `name` of this crate is, built from the sources as they are.
///
/// # Errors
/// Cargo is not there, or the program does not compile.
pub fn find(name: &str) -> io::Result<PathBuf> {
    let mut build = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.args(["build", "--quiet", "--message-format=json", "--bin", name, "--manifest-path"]);
    build.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"));
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    let output = build.output()?;
    let messages = String::from_utf8_lossy(&output.stdout);
    let built = messages.lines().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let wanted = message["target"]["name"] == name;
        message["executable"].as_str().filter(|_| wanted).map(PathBuf::from)
    });
    built.ok_or_else(|| io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()))
}
