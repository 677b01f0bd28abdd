//! What comes out of the door: plan, texts, digests, metadata, diagnostics as JSON.

use botpipe_kernel::ids::Role;
use botpipe_kernel::plan::Continuity;
use botpipe_lang::{
    Compiled, Folder, InMemory, SourceFile, canonical_plan, compile, digest_of, metadata,
};

use crate::corpus::folder;

fn inline(text: &str) -> Compiled {
    let source = SourceFile { name: "sop.yaml".to_owned(), text: text.to_owned() };
    compile(&source, &InMemory::default())
}

fn ralph_loop() -> Compiled {
    let text = std::fs::read_to_string(folder("ok").join("ralph_loop.sop.yaml")).unwrap();
    compile(&SourceFile { name: "sop.yaml".to_owned(), text }, &Folder::new(folder("ok")))
}

#[test]
fn every_digest_of_a_plan_has_its_text() {
    let compiled = ralph_loop();
    let plan = compiled.plan.unwrap();
    for (digest, text) in &compiled.texts {
        assert_eq!(&digest_of(text), digest);
    }
    assert!(compiled.texts.contains_key(&plan.params));
    assert!(compiled.texts.contains_key(&plan.input.schema));
    for step in &plan.steps {
        for role in [Role::Producer, Role::Verifier] {
            assert!(compiled.texts.contains_key(&step.turn(role).unwrap().prompt));
        }
    }
    assert_eq!(compiled.plan_digest, Some(digest_of(&canonical_plan(&plan))));
}

#[test]
fn the_loop_means_what_it_says() {
    let compiled = ralph_loop();
    let plan = compiled.plan.unwrap();
    assert_eq!(plan.input.message_field.as_deref(), Some("request"));
    let implement = &plan.steps[1];
    assert_eq!(implement.turn(Role::Producer).unwrap().session, Continuity::WorkItem);
    assert_eq!(implement.turn(Role::Verifier).unwrap().session, Continuity::Fresh);
    assert_eq!(implement.checks()[0].timeout_ms, Some(20 * 60 * 1000));
    let turns = compiled.turns.unwrap();
    assert_eq!((turns.fixed, turns.per_item), (5 * 2 * 3, 6 * 2 * 3));
    assert_eq!(turns.with_items(3), 30 + 3 * 36);
}

#[test]
fn canonical_json_has_sorted_keys_and_no_spaces() {
    let text = canonical_plan(&ralph_loop().plan.unwrap());
    assert!(text.starts_with(r#"{"artifacts":{"#), "{text}");
    assert!(!text.contains(": ") && !text.contains('\n'));
}

#[test]
fn where_a_text_stands_does_not_change_the_plan() {
    let one = inline("sop: 1\nname: x\nsteps:\n- id: a\n  prompt: Go on.\n");
    let two = inline("name: \"x\"\nsop: 1\nsteps: [{prompt: 'Go on.', id: a}]\n");
    assert_eq!(one.plan_digest.unwrap(), two.plan_digest.unwrap());
}

#[test]
fn metadata_reads_even_a_file_that_does_not_check() {
    let text = "sop: 9\nname: odd\ntitle: A title\ndescription: Words.\naliases: [x, y]\nwhat: 1\n";
    let found = metadata(text);
    assert_eq!(found.name.as_deref(), Some("odd"));
    assert_eq!(found.title.as_deref(), Some("A title"));
    assert_eq!(found.aliases, ["x", "y"]);
    assert_eq!(inline(text).meta, found);
    assert_eq!(metadata(": ["), botpipe_lang::Metadata::default());
}

#[test]
fn a_diagnostic_is_json() {
    let text = "sop: 1\nname: x\nsteps:\n- id: a\n  prompt: Go.\n  route: { done: FINISH }\n";
    let found = inline(text).diagnostics;
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(
        json,
        serde_json::json!([{
            "code": "BP0201",
            "severity": "error",
            "message": "a step has no key `route`",
            "file": "sop.yaml",
            "labels": [{
                "span": { "start": 46, "end": 51 },
                "line": 6,
                "column": 3,
                "text": "did you mean `routes`?",
                "primary": true,
            }],
            "suggestion": { "span": { "start": 46, "end": 51 }, "replacement": "routes" },
        }])
    );
}

#[test]
fn limits_are_a_part_of_the_policy_beside_them() {
    let plan = |policy: &str, limits: &str| {
        let text = format!(
            "sop: 1\nname: x\n{limits}steps:\n- id: a\n  prompt: Go.\n  policy: {{ {policy} }}\n"
        );
        inline(&text).plan.unwrap()
    };
    let whole = "limits: { max_steps: 5, memory: 1GiB, processes: 9 }\n";
    let plan = plan("limits: { memory: 512MiB }", whole);
    let bounds = plan.policy_of(&plan.steps[0], plan.steps[0].first_role()).limits;
    assert_eq!((bounds.memory, bounds.processes), (Some(512 << 20), Some(9)));
    assert_eq!((plan.limits.max_steps, bounds.wall_ms), (5, None));
}

#[test]
fn a_byte_order_mark_and_windows_lines_are_no_problem() {
    let text = "\u{feff}sop: 1\r\nname: x\r\nsteps:\r\n- id: a\r\n  prompt: Go.\r\n";
    let compiled = inline(text);
    assert!(compiled.diagnostics.is_empty(), "{:?}", compiled.diagnostics);
}

#[test]
fn the_message_fills_the_one_required_text() {
    let with = |input: &str| {
        let text = format!("sop: 1\nname: x\ninput: {input}\nsteps:\n- id: a\n  prompt: Go.\n");
        inline(&text).plan.unwrap().input.message_field
    };
    assert_eq!(with("{ a: { type: string } }").as_deref(), Some("a"));
    let other = "{ a: { type: string }, b: { type: string, default: x } }";
    assert_eq!(with(other).as_deref(), Some("a"));
    assert_eq!(with("{ a: { type: string }, b: { type: string } }"), None);
    assert_eq!(with("{ a: { type: integer } }"), None);
}
