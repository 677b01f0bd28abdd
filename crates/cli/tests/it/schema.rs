//! The JSON Schemas for editors know what is read, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use botpipe_engine::prompt::Validators;
use botpipe_kernel::plan::{Artifact, Plan, Policy, Route, Step, Worklist};
use botpipe_kernel::run::Event;
use botpipe_lang::reading::{Report, parse};
use botpipe_lang::{InMemory, SourceFile, compile};
use serde_json::{Value, json};

use crate::place::Place;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn schema(of: &str) -> String {
    Place::new().say(&["schema", of]).ends(0).out
}

/// A YAML text as JSON.
fn json(text: &str) -> Value {
    let source = SourceFile { name: "it.yaml".to_owned(), text: text.to_owned() };
    parse(&mut Report::on(&source)).map(|root| root.to_json()).unwrap_or_default()
}

/// The files below a folder whose names end so.
fn files(folder: &Path, end: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, end));
        } else if path.to_str().unwrap().ends_with(end) {
            found.push(path);
        }
    }
    found
}

#[track_caller]
fn all_fit(schema: &str, files: &[PathBuf], least: usize) {
    assert!(files.len() >= least, "{files:?}");
    let validators = Validators::default();
    let fits = |path: &PathBuf| {
        let value = json(&fs::read_to_string(path).unwrap());
        validators.validate(schema, &value).map_err(|why| format!("{}: {why}", path.display()))
    };
    let wrong: Vec<_> = files.iter().filter_map(|path| fits(path).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The key that no file has.
const PROBE: &str = "zzzzzzzzzz";

/// The keys that a reader says it knows where it met the probe; every place it says so.
fn known(diagnostics: &Value) -> Vec<BTreeSet<String>> {
    let of_probe = |it: &&Value| it["message"].as_str().is_some_and(|text| text.contains(PROBE));
    let helps = diagnostics.as_array().unwrap().iter().filter(of_probe);
    let keys = |help: &Value| {
        let list = help["help"].as_str().unwrap().strip_prefix("known here: ").unwrap().to_owned();
        list.split(", ").map(|key| key.trim_matches('`').to_owned()).collect()
    };
    helps.map(keys).collect()
}

/// Fails unless the keys of a schema's object are those that the reader knows there.
#[track_caller]
fn same_keys(schema: &str, pointer: &str, diagnostics: &Value) {
    let schema: Value = serde_json::from_str(schema).unwrap();
    let object = schema.pointer(pointer).unwrap_or_else(|| panic!("no {pointer}"));
    // Of several forms, those of all.
    let mut forms: Vec<&Value> = object["oneOf"].as_array().into_iter().flatten().collect();
    forms.push(object);
    forms.retain(|form| form["properties"].is_object());
    let keys = |form: &&Value| form["properties"].as_object().unwrap().clone();
    let has: BTreeSet<String> = forms.iter().flat_map(keys).map(|(key, _)| key).collect();
    let known = known(diagnostics);
    assert_eq!(known.len(), 1, "{pointer}: {diagnostics}");
    assert_eq!(has, known[0], "{pointer}");
    assert!(forms.iter().all(|form| form["additionalProperties"] == false), "{pointer}");
}

#[test]
fn the_schema_of_workflows_fits_every_right_file() {
    let mut all = files(&repository().join("crates/lang/tests/corpus/ok"), ".sop.yaml");
    all.extend(files(&repository().join("workflows"), "sop.yaml"));
    all_fit(&schema("workflow"), &all, 10);
}

#[test]
fn the_schema_of_workflows_has_the_keys_that_are_read() {
    let schema = schema("workflow");
    let places = [
        ("", "ZZ: 1"),
        ("/definitions/limits", "limits: { ZZ: 1 }"),
        ("/definitions/provider", "provider: { command: [x], ZZ: 1 }"),
        ("/definitions/budget", "budget: { ZZ: 1 }"),
        ("/definitions/policy", "policy: { ZZ: 1 }"),
        ("/definitions/environment", "policy: { environment: { ZZ: 1 } }"),
        ("/definitions/bounds", "policy: { limits: { ZZ: 1 } }"),
        ("/definitions/artifact", "artifacts: { a: { md: a.md, ZZ: 1 } }"),
        ("/definitions/worklist", "worklists: { w: { from: a, ZZ: 1 } }"),
        ("/definitions/turn/oneOf/1", "steps: [{ id: s, prompt: { prompt: x, ZZ: 1 } }]"),
        (
            "/definitions/own_session",
            "steps: [{ id: s, prompt: x, session: { continuity: run, ZZ: 1 } }]",
        ),
        ("/definitions/retry", "steps: [{ id: s, prompt: x, retry: { ZZ: 1 } }]"),
        (
            "/definitions/check",
            "steps: [{ id: s, produce: x, verify: x, checks: [c: { run: x, ZZ: 1 }] }]",
        ),
        (
            "/definitions/route",
            "steps: [{ id: s, prompt: x, routes: { a: { to: FINISH, ZZ: 1 } } }]",
        ),
        ("/definitions/code", "steps: [{ id: s, prompt: x, before: { run: x, ZZ: 1 } }]"),
        ("/definitions/global_route", "global_routes: { a: { to: FINISH, ZZ: 1 } }"),
        ("/definitions/step/properties/wait", "steps: [{ id: s, wait: { for: 1s, ZZ: 1 } }]"),
    ];
    // Of a step the reader knows too many to list them: each is asked for.
    let whole: Value = serde_json::from_str(&schema).unwrap();
    for key in whole["definitions"]["step"]["properties"].as_object().unwrap().keys() {
        let text = format!("sop: 1\nname: n\nsteps: [{{ {key}: 1, {PROBE}: 1 }}]\n");
        let source = SourceFile { name: "it.sop.yaml".to_owned(), text };
        let diagnostics = serde_json::to_value(&compile(&source, &InMemory::default()).diagnostics);
        let unknown: Vec<_> = diagnostics
            .unwrap()
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|it| {
                it["message"].as_str()?.strip_prefix("a step has no key ").map(str::to_owned)
            })
            .collect();
        assert_eq!(unknown, [format!("`{PROBE}`")], "{key}");
    }
    for (pointer, line) in places {
        let steps = if line.starts_with("steps") { "" } else { "steps: [{ id: s, prompt: x }]\n" };
        let text = format!("sop: 1\nname: n\n{steps}{}\n", line.replace("ZZ", PROBE));
        let source = SourceFile { name: "it.sop.yaml".to_owned(), text };
        let compiled = compile(&source, &InMemory::default());
        let diagnostics = serde_json::to_value(&compiled.diagnostics).unwrap();
        same_keys(&schema, pointer, &diagnostics);
    }
}

#[test]
fn the_schema_of_tests_fits_the_shipped_ones_and_has_the_keys_that_are_read() {
    let schema = schema("test");
    all_fit(&schema, &files(&repository().join("workflows"), ".test.yaml"), 1);
    let case = |more: &str| format!("cases: [{{ name: a, turns: {{}}, {more} }}]");
    let turn =
        |more: &str| format!("cases: [{{ name: a, turns: {{ s/1/worker: {{ {more} }} }} }}]");
    let places = [
        ("", format!("ZZ: 1\n{}", case(""))),
        ("/definitions/case", case("ZZ: 1")),
        ("/definitions/turn", turn("ZZ: 1")),
        ("/definitions/outcome", turn("outcome: { tag: done, ZZ: 1 }")),
        ("/definitions/call", case("functions: { f: { returns: done, ZZ: 1 } }")),
        ("/definitions/expect", case("expect: { ZZ: 1 }")),
        ("/definitions/content", case("expect: { files: { a.md: { ZZ: 1 } } }")),
    ];
    for (pointer, text) in places {
        let place = Place::with(
            "n",
            "sop: 1\nname: n\nsteps: [{ id: s, prompt: x, before: { call: f } }]\n",
        );
        place.write("workflows/n.test.yaml", &format!("test: 1\n{}\n", text.replace("ZZ", PROBE)));
        let said = place.say(&["test"]).ends(1).json();
        let diagnostics = &said["unreadable"][0]["diagnostics"];
        same_keys(&schema, pointer, diagnostics);
    }
}

#[test]
fn the_schema_of_settings_has_the_keys_that_are_read() {
    let schema = schema("config");
    let places = [
        ("", "ZZ: 1"),
        ("/properties/provider", "provider: { ZZ: 1 }"),
        ("/properties/runtime", "runtime: { ZZ: 1 }"),
        ("/definitions/policy", "policy: { ZZ: 1 }"),
        ("/definitions/environment", "policy: { environment: { ZZ: 1 } }"),
        ("/definitions/bounds", "policy: { limits: { ZZ: 1 } }"),
        ("/definitions/budget", "runtime: { budget: { ZZ: 1 } }"),
        ("/definitions/codex", "provider: { codex: { ZZ: 1 } }"),
        ("/definitions/claude", "provider: { claude: { ZZ: 1 } }"),
        ("/definitions/server", "provider: { mcp_servers: { s: { url: 'http://x', ZZ: 1 } } }"),
    ];
    for (pointer, text) in places {
        let place = Place::new();
        place.write(".nobody/botpipe/botpipe.yaml", &text.replace("ZZ", PROBE));
        let said = place.say(&["config", "show"]).ends(2);
        // The text of the message has the same list.
        let help = said.err.lines().find_map(|line| line.split_once("known here: "));
        let help = help.unwrap_or_else(|| panic!("{text}: {}", said.err)).1;
        let message = format!("no key `{PROBE}`");
        let found =
            serde_json::json!([{ "message": message, "help": format!("known here: {help}") }]);
        same_keys(&schema, pointer, &found);
    }
    let validators = Validators::default();
    let good = json("provider: { name: codex, model: gpt-5.5 }\nruntime: { max_steps: 3 }\n");
    assert_eq!(validators.validate(&schema, &good), Ok(()));
    assert!(validators.validate(&schema, &json("provider: { nam: codex }\n")).is_err());
}

/// An object without one of its keys.
fn without(value: &Value, key: &str) -> Value {
    let mut fewer = value.clone();
    fewer.as_object_mut().unwrap().remove(key);
    fewer
}

/// Fails unless a schema's object has just these keys, and requires just those that `reads` needs.
#[track_caller]
fn same_needs(object: &Value, whole: &Value, reads: impl Fn(&Value) -> bool, what: &str) {
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(keys(&object["properties"]), keys(whole), "{what}");
    let required = object["required"].as_array().into_iter().flatten();
    let required: BTreeSet<&str> = required.map(|key| key.as_str().unwrap()).collect();
    for key in keys(whole) {
        let needed = !reads(&without(whole, &key));
        assert_eq!(required.contains(key.as_str()), needed, "{what}: `{key}`");
    }
}

/// Adds the fields that a kind of event was given after its golden row was written, which is never edited.
fn later(event: &mut Value) {
    if event["kind"] == "turn_interrupted" {
        event["usage"] = json!({ "input": 10, "output": 5 });
        event["took_ms"] = json!(1200);
    }
}

#[test]
fn the_schema_of_events_fits_every_kind_and_needs_what_is_needed() {
    let text = schema("events");
    let schema: Value = serde_json::from_str(&text).unwrap();
    // A row of every kind, with every field filled that it may have.
    let rows = files(&repository().join("crates/journal/tests/golden/v2"), ".json");
    assert!(rows.len() >= 45 && schema["oneOf"].as_array().unwrap().len() == rows.len());
    for path in rows {
        let row: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let mut event: Value = serde_json::from_str(row["body"].as_str().unwrap()).unwrap();
        later(&mut event);
        assert_eq!(Validators::default().validate(&text, &event), Ok(()), "{}", path.display());
        let kind = event["kind"].as_str().unwrap();
        let reads = |value: &Value| serde_json::from_value::<Event>(value.clone()).is_ok();
        assert!(reads(&event));
        same_needs(&schema["definitions"][kind], &event, reads, kind);
    }
}

#[test]
fn the_schema_of_events_fits_what_runs_record() {
    let text = schema("events");
    let place = Place::with("hello", crate::place::HELLO);
    let asks = r#"cat > /dev/null; test -e a && tag=done || tag=ask; touch a
                  echo '{"outcome": {"tag": "'$tag'", "route_fields": {"question": "Who?"}}}'"#;
    place.run("hello", asks, &[]).ends(5);
    place.say(&["answer", "hello", "t1", "--answer", "Ada"]).ends(0);
    place
        .say(&["run", "hello", "x", "--task", "t2", "--provider", "command", "--", "false"])
        .ends(1);
    let validators = Validators::default();
    for task in ["t1", "t2"] {
        let said = place.say(&["logs", "hello", task, "--events"]).ends(0).out;
        for line in said.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            assert_eq!(validators.validate(&text, &line["event"]), Ok(()), "{line}");
        }
    }
}

#[test]
fn the_schema_of_plans_fits_every_plan_and_has_the_keys_that_plans_have() {
    let text = schema("plan");
    let schema: Value = serde_json::from_str(&text).unwrap();
    let plans = files(&repository().join("crates/lang/tests/corpus/ok"), ".plan.json");
    assert!(plans.len() >= 10);
    let mut seen: BTreeMap<&str, Value> = BTreeMap::new();
    let mut see = |place, value: &Value| {
        let all = seen.entry(place).or_insert_with(|| value.clone()).as_object_mut().unwrap();
        all.extend(value.as_object().unwrap().clone());
    };
    for path in plans {
        let plan: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(Validators::default().validate(&text, &plan), Ok(()), "{}", path.display());
        see("", &plan);
        plan["policy"].is_object().then(|| see("policy", &plan["policy"]));
        for (list, place) in [("artifacts", "artifact"), ("worklists", "worklist")] {
            plan[list].as_object().unwrap().values().for_each(|value| see(place, value));
        }
        for step in plan["steps"].as_array().unwrap() {
            see("step", step);
            step["routes"].as_array().unwrap().iter().for_each(|route| see("route", route));
            step["policy"].is_object().then(|| see("policy", &step["policy"]));
        }
    }
    let reads = |place: &str, value: &Value| match place {
        "" => serde_json::from_value::<Plan>(value.clone()).is_ok(),
        "artifact" => serde_json::from_value::<Artifact>(value.clone()).is_ok(),
        "worklist" => serde_json::from_value::<Worklist>(value.clone()).is_ok(),
        "step" => serde_json::from_value::<Step>(value.clone()).is_ok(),
        "route" => serde_json::from_value::<Route>(value.clone()).is_ok(),
        "policy" => serde_json::from_value::<Policy>(value.clone()).is_ok(),
        other => panic!("{other}"),
    };
    seen.entry("policy").and_modify(|it| it["allow_write"] = serde_json::json!([]));
    for (place, whole) in &seen {
        let object = if place.is_empty() { &schema } else { &schema["definitions"][place] };
        same_needs(object, whole, |value| reads(place, value), place);
    }
}
