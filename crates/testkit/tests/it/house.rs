//! The walls of the house: who may import whom, and where unsafe code, SQL, processes and printing live.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What each crate may import of ours. `testkit` is for tests alone.
const EDGES: &[(&str, &[&str])] = &[
    ("botpipe-kernel", &[]),
    ("botpipe-sandbox", &[]),
    ("botpipe-egress", &[]),
    ("botpipe-lang", &["botpipe-kernel"]),
    ("botpipe-journal", &["botpipe-kernel"]),
    ("botpipe-providers", &["botpipe-kernel"]),
    (
        "botpipe-engine",
        &[
            "botpipe-kernel",
            "botpipe-lang",
            "botpipe-journal",
            "botpipe-providers",
            "botpipe-sandbox",
            // Who answers where a confined program knocks.
            "botpipe-egress",
        ],
    ),
    ("botpipe", &["botpipe-engine", "botpipe-kernel", "botpipe-lang"]),
    (
        "botpipe-cli",
        &["botpipe-kernel", "botpipe-lang", "botpipe-journal", "botpipe-sandbox", "botpipe-engine"],
    ),
    ("botpipe-testkit", &[]),
];

/// The longest a file may be, in lines.
const LONGEST: usize = 500;

/// A source file of a crate.
struct Source {
    /// From the crate's folder on: `src/run/decide/mod.rs`.
    path: String,
    text: String,
}

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The sources of every crate, by the crate's folder.
fn sources() -> BTreeMap<String, Vec<Source>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(crates()).unwrap() {
        let root = entry.unwrap().path();
        let mut found = Vec::new();
        let mut folders = ["src", "tests", "benches"].map(|name| root.join(name)).to_vec();
        while let Some(folder) = folders.pop() {
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            for path in entries.map(|entry| entry.unwrap().path()) {
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|end| end == "rs") {
                    let name = path.strip_prefix(&root).unwrap().display().to_string();
                    found.push(Source { path: name, text: fs::read_to_string(&path).unwrap() });
                }
            }
        }
        let name = root.file_name().unwrap().to_str().unwrap().to_owned();
        all.insert(name, found);
    }
    assert!(all.len() >= EDGES.len());
    all
}

/// Fails with every offence.
#[track_caller]
fn none(offences: &[String]) {
    assert!(offences.is_empty(), "\n{}", offences.join("\n"));
}

/// The files of production code that `offends`, but for those of `home`.
fn outside(home: &[&str], offends: fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for (name, sources) in sources() {
        // What is only a file's inline tests has a file of its own where they are long.
        let is_code = |it: &&Source| it.path.starts_with("src/") && !it.path.ends_with("/tests.rs");
        for source in sources.iter().filter(is_code) {
            let place = format!("{name}/{}", source.path);
            let at_home = name == "testkit" || home.iter().any(|home| place.starts_with(home));
            if !at_home && offends(&code(&source.text)) {
                found.push(place);
            }
        }
    }
    found
}

/// A file without its comments and its inline tests.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

fn is_unsafe(code: &str) -> bool {
    ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"].iter().any(|word| code.contains(word))
}

fn starts_processes(code: &str) -> bool {
    ["Command::new", "process::Command", "libc::fork", "posix_spawn"]
        .iter()
        .any(|it| code.contains(it))
}

fn speaks_sql(code: &str) -> bool {
    ["rusqlite", "SELECT ", "INSERT INTO", "UPDATE ", "PRAGMA "].iter().any(|it| code.contains(it))
}

fn prints(code: &str) -> bool {
    ["println!", "print!(", "io::stdout()", "io::stderr()"].iter().any(|it| code.contains(it))
}

/// What is wrong with the form of a file.
fn faults_of_form(path: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if !text.starts_with("//! ") {
        faults.push(format!("{path} does not say what it is in its first line"));
    }
    let lines = text.lines().count();
    if lines > LONGEST {
        faults.push(format!("{path} has {lines} lines, more than {LONGEST}"));
    }
    if code(text).contains("use super::*") {
        faults.push(format!("{path} takes everything from above: `use super::*`"));
    }
    faults
}

/// Edges of `package` that the table does not have.
fn wrong_edges(package: &Value) -> Vec<String> {
    let name = package["name"].as_str().unwrap();
    let Some((_, allowed)) = EDGES.iter().find(|(known, _)| *known == name) else {
        return vec![format!("{name} is in no table of edges")];
    };
    let ours = |it: &&Value| it["name"].as_str().is_some_and(|it| it.starts_with("botpipe"));
    let dependencies = package["dependencies"].as_array().unwrap();
    let production = dependencies.iter().filter(ours).filter(|it| it["kind"] != "dev");
    production
        .map(|it| it["name"].as_str().unwrap())
        .filter(|it| !allowed.contains(it))
        .map(|it| format!("{name} may not import {it}"))
        .collect()
}

fn packages() -> Vec<Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(crates())
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

#[test]
fn crates_import_only_what_the_design_allows() {
    let packages = packages();
    assert_eq!(packages.len(), EDGES.len());
    none(&packages.iter().flat_map(wrong_edges).collect::<Vec<_>>());
}

#[test]
fn the_kernel_needs_nothing_but_serde() {
    let packages = packages();
    let kernel = packages.iter().find(|it| it["name"] == "botpipe-kernel").unwrap();
    let dependencies = kernel["dependencies"].as_array().unwrap().iter();
    let production = dependencies.filter(|it| it["kind"] != "dev");
    assert_eq!(production.map(|it| it["name"].as_str().unwrap()).collect::<Vec<_>>(), ["serde"]);
}

#[test]
fn unsafe_code_is_in_the_sandbox() {
    none(&outside(&["sandbox/"], is_unsafe));
}

#[test]
fn sql_is_in_the_journal() {
    none(&outside(&["journal/"], speaks_sql));
}

#[test]
fn processes_are_started_by_the_sandbox() {
    none(&outside(&["sandbox/", "engine/src/process/"], starts_processes));
}

#[test]
fn only_the_faces_print() {
    // Stage 1 takes its own standard streams; it prints nothing.
    none(&outside(&["cli/", "sandbox/src/linux/"], prints));
}

#[test]
fn every_file_has_its_form() {
    let all = sources();
    let files = all.iter().flat_map(|(name, sources)| {
        sources.iter().map(move |source| (format!("{name}/{}", source.path), &source.text))
    });
    none(&files.flat_map(|(path, text)| faults_of_form(&path, text)).collect::<Vec<_>>());
}

#[test]
fn every_test_file_is_run() {
    let mut lost = Vec::new();
    for (name, sources) in sources() {
        for source in sources.iter().filter(|it| it.path.starts_with("tests/it/")) {
            let stem = source.path.trim_end_matches(".rs").trim_end_matches("/mod");
            let stem = stem.rsplit('/').next().unwrap();
            let declared = |it: &Source| it.text.contains(&format!("mod {stem};"));
            if stem != "main" && !sources.iter().any(declared) {
                lost.push(format!("{name}/{} belongs to no test program", source.path));
            }
        }
    }
    none(&lost);
}

#[test]
fn a_file_of_inline_tests_is_no_code() {
    let mut built = Vec::new();
    for (name, sources) in sources() {
        let all = sources.iter().filter(|it| it.path.starts_with("src/"));
        for folder in all.filter_map(|it| it.path.strip_suffix("/tests.rs")) {
            let owners = [format!("{folder}.rs"), format!("{folder}/mod.rs")];
            let mut owner = sources.iter().filter(|it| owners.contains(&it.path));
            if !owner.any(|it| it.text.contains("#[cfg(test)]\nmod tests;")) {
                built.push(format!("{name}/{folder}/tests.rs"));
            }
        }
    }
    none(&built);
}

#[test]
fn the_checks_bite() {
    assert!(is_unsafe("fn f() { unsafe { g() } }") && !is_unsafe("fn safe() {}"));
    assert!(starts_processes("Command::new(\"sh\")") && !starts_processes("Command { program }"));
    assert!(speaks_sql("conn.execute(\"SELECT 1\")") && !speaks_sql("select the item"));
    assert!(prints("eprintln!(\"x\")") && !prints("writeln!(out, \"x\")"));
    assert_eq!(code("//! a\n// println!\nfn f() {}\n#[cfg(test)]\nmod tests {}"), "fn f() {}");
    assert!(faults_of_form("a.rs", "//! Says what it is.\n").is_empty());
    assert_eq!(faults_of_form("a.rs", "use super::*;\n").len(), 2);
    assert_eq!(faults_of_form("a.rs", &format!("//! Long.\n{}", "\n".repeat(LONGEST))).len(), 1);
    let edge = |from: &str, to: &str, kind: Value| {
        let dependency = serde_json::json!({ "name": to, "kind": kind });
        wrong_edges(&serde_json::json!({ "name": from, "dependencies": [dependency] })).len()
    };
    assert_eq!(edge("botpipe-kernel", "botpipe-journal", Value::Null), 1);
    assert_eq!(edge("botpipe-cli", "botpipe-testkit", Value::Null), 1);
    assert_eq!(edge("botpipe-cli", "botpipe-testkit", "dev".into()), 0);
    assert_eq!(edge("botpipe-new", "serde", Value::Null), 1);
}
