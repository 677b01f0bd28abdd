//! What the codec reads and sends is there in the schema that the installed Codex generates, and is all
//! named in `tests/codex/contract.txt`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use botpipe_kernel::run::{Harness, Usage};
use botpipe_providers::codex::Protocol;
use botpipe_providers::{Access, Asked, Codec, Rules, SandboxMode};
use regex::Regex;
use serde_json::{Value, json};

const TABLE: &str = include_str!("../../codex/contract.txt");

/// The sources that read and make the protocol's messages.
const SOURCES: [&str; 4] = [
    include_str!("../../../src/codex/protocol.rs"),
    include_str!("../../../src/codex/items.rs"),
    include_str!("../../../src/codex/failure.rs"),
    include_str!("../../../src/codex/leave.rs"),
];

/// Words of the sources that are not the protocol's.
const OURS: [&str; 9] = [
    "codex",
    "botpipe",
    "Botpipe",
    "CARGO_PKG_VERSION",
    "Delta",
    "/delta",
    "item/",
    "turn/",
    "collabToolCall",
];

/// Words of the table that the sources need not spell: the codec asks only how a method ends, and
/// `mod.rs` has the names of the sandbox modes.
const NOT_SPELT: [&str; 4] =
    ["item/agentMessage/delta", "read-only", "workspace-write", "danger-full-access"];

/// A line of the table: who says what, and there the place of a field and the words it is known to say.
struct Row<'t> {
    who: &'t str,
    what: &'t str,
    path: &'t str,
    words: Vec<&'t str>,
}

/// The rows; a message without fields is one with an empty path.
fn rows() -> Vec<Row<'static>> {
    let mut rows = Vec::new();
    let (mut who, mut what) = ("", "");
    for line in TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(field) = line.strip_prefix("  ") {
            let (path, words) = field.split_once(" = ").unwrap_or((field, ""));
            rows.push(Row { who, what, path, words: words.split_whitespace().collect() });
        } else {
            let parts: Vec<&str> = line.rsplitn(2, ' ').collect();
            (what, who) = (parts[0], parts[1]);
            rows.push(Row { who, what, path: "", words: Vec::new() });
        }
    }
    rows
}

/// What a Codex says of its own protocol.
struct Schema(Value);

impl Schema {
    fn of(binary: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = Command::new(binary)
            .args(["app-server", "generate-json-schema", "--out"])
            .arg(folder.path())
            .env("CODEX_HOME", folder.path())
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let path = folder.path().join("codex_app_server_protocol.schemas.json");
        Self(serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap())
    }

    fn definition(&self, name: &str) -> Option<&Value> {
        let all = &self.0["definitions"];
        all.get(name).or_else(|| all["v2"].get(name))
    }

    /// The shapes that a node may have: references followed, alternatives and items laid open.
    fn shapes<'s>(&'s self, node: &'s Value) -> Vec<&'s Value> {
        let mut shapes = vec![node];
        if let Some(place) = node["$ref"].as_str() {
            let target = self.0.pointer(place.trim_start_matches('#')).unwrap_or(&Value::Null);
            shapes.extend(self.shapes(target));
        }
        for several in ["anyOf", "oneOf", "allOf"] {
            let of = node[several].as_array().into_iter().flatten();
            shapes.extend(of.flat_map(|one| self.shapes(one)));
        }
        if let Some(items) = node.get("items") {
            shapes.extend(self.shapes(items));
        }
        shapes
    }

    fn field<'s>(&'s self, shapes: &[&'s Value], name: &str) -> Vec<&'s Value> {
        let found = shapes.iter().filter_map(|shape| shape["properties"].get(name));
        found.flat_map(|node| self.shapes(node)).collect()
    }

    /// The parameters of a message, or a reply.
    fn message(&self, who: &str, what: &str) -> Vec<&Value> {
        let list = match who {
            "we ask" => "ClientRequest",
            "we say" => "ClientNotification",
            "it says" => "ServerNotification",
            "it asks" => "ServerRequest",
            "it replies" | "we reply" => {
                return self.definition(what).map(|it| self.shapes(it)).unwrap_or_default();
            }
            _ => panic!("`{who}` is nobody of the table"),
        };
        let all = self.definition(list).map(|it| self.shapes(it)).unwrap_or_default();
        let of = |shape: &&Value| words(&self.field(&[*shape], "method")).contains(what);
        let found: Vec<&Value> = all.into_iter().filter(of).collect();
        let params = self.field(&found, "params");
        if params.is_empty() { found } else { params }
    }

    /// What a row names and the schema does not have.
    fn lacks(&self, row: &Row<'_>) -> Option<String> {
        let Row { who, what, path, words: known } = row;
        let mut shapes = self.message(who, what);
        if shapes.is_empty() {
            return Some(format!("`{who} {what}`"));
        }
        for name in path.split('.').filter(|name| !name.is_empty()) {
            let (name, kind) = name.split_once('<').unwrap_or((name, ""));
            shapes = self.field(&shapes, name);
            if let Some(kind) = kind.strip_suffix('>') {
                shapes.retain(|shape| words(&self.field(&[*shape], "type")).contains(kind));
            }
            if shapes.is_empty() {
                return Some(format!("`{name}` of `{path}` in `{who} {what}`"));
            }
        }
        let there = words(&shapes);
        let gone = known.iter().find(|word| !there.contains(**word))?;
        Some(format!("the word `{gone}` of `{path}` in `{who} {what}`"))
    }
}

/// The words that shapes allow.
fn words(shapes: &[&Value]) -> BTreeSet<String> {
    let all = shapes.iter().flat_map(|shape| shape["enum"].as_array().into_iter().flatten());
    all.filter_map(Value::as_str).map(str::to_owned).collect()
}

#[test]
fn the_installed_codex_has_all_that_the_codec_depends_on() {
    let Some(binary) = super::binary() else { return };
    let schema = Schema::of(&binary);
    let gone: Vec<String> = rows().iter().filter_map(|row| schema.lacks(row)).collect();
    assert!(gone.is_empty(), "gone from Codex's protocol:\n{}", gone.join("\n"));
}

#[test]
fn what_the_codec_sends_fits_the_installed_codex() {
    let Some(binary) = super::binary() else { return };
    let Schema(schema) = Schema::of(&binary);
    let fits = |list: &str, line: &str| {
        let reference = format!("#/definitions/{list}");
        let whole = json!({ "$ref": reference, "definitions": schema["definitions"] });
        let validator = jsonschema::validator_for(&whole).unwrap();
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(validator.is_valid(&line), "no {list}: {line}");
    };
    for sandbox in
        [SandboxMode::ReadOnly, SandboxMode::WorkspaceWrite, SandboxMode::DangerFullAccess]
    {
        let thread = Some("01a202ca-615b-7e93-b12c-2c6134b53ab7");
        for (session, from) in [(None, None), (thread, None), (thread, Some("u-1"))] {
            let access = Access { sandbox, writable: vec!["/data".to_owned()], network: false };
            let harness = Harness {
                model: Some("gpt-5.5".to_owned()),
                effort: Some("high".to_owned()),
                ..Harness::default()
            };
            let mut protocol = Protocol::new(&Asked {
                harness: &harness,
                prompt: "Go.",
                cwd: "/work",
                session,
                from,
                new_session: "",
                session_cost: 0,
                session_usage: &Usage::default(),
                access: &access,
                asks: false,
                rules: &Rules::NONE,
                has_login: true,
                has_variable: &|_| false,
            });
            fits("ClientRequest", &protocol.open());
            let said = protocol.hear(r#"{"id":1,"result":{}}"#).send;
            let (initialized, thread) = said.split_once('\n').unwrap();
            fits("ClientNotification", initialized);
            fits("ClientRequest", thread);
            fits(
                "ClientRequest",
                &protocol.hear(r#"{"id":2,"result":{"thread":{"id":"t"}}}"#).send,
            );
            protocol.hear(r#"{"id":3,"result":{"turn":{"id":"u"}}}"#);
            fits("ClientRequest", &protocol.steer("Faster.").unwrap());
            fits("ClientRequest", &protocol.leave_off().unwrap());
        }
    }
}

#[test]
fn the_table_names_all_that_the_codec_speaks_of_and_no_more() {
    let comment = Regex::new(r"(?m)//.*$").unwrap();
    let literal = Regex::new(r#""((?:[^"\\]|\\.)*)""#).unwrap();
    let name = Regex::new("^[A-Za-z_/-]+$").unwrap();
    let mut spelt = BTreeSet::new();
    for source in SOURCES {
        let source = comment.replace_all(source, "");
        let literals = literal.captures_iter(&source).map(|it| it[1].to_owned());
        spelt.extend(literals.filter(|it| name.is_match(it)));
    }
    let mut named = BTreeSet::new();
    for row in rows() {
        let parts = row.path.split(['.', '<', '>']).chain(row.words);
        named.extend(parts.filter(|part| !part.is_empty()).map(str::to_owned));
        // Types of replies are told by what they reply to.
        if !row.who.contains("repl") {
            named.insert(row.what.to_owned());
        }
    }
    let unnamed: Vec<&String> =
        spelt.difference(&named).filter(|word| !OURS.contains(&word.as_str())).collect();
    assert!(unnamed.is_empty(), "read or sent, and not in contract.txt: {unnamed:?}");
    let unused: Vec<&String> =
        named.difference(&spelt).filter(|word| !NOT_SPELT.contains(&word.as_str())).collect();
    assert!(unused.is_empty(), "in contract.txt, and neither read nor sent: {unused:?}");
}
