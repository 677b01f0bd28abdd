//! The builder by itself: the text it writes, what it says of mistakes, and what lies beside it.

use std::fs;

use botpipe::build::{Artifact, Budget, Choices, Reference, Route, Schema, Step, Target, Turn};
use botpipe::{NotRunnable, Workflow};

#[test]
fn the_text_is_that_of_a_file() {
    let builder = Workflow::builder("notes")
        .title("Notes: and more")
        .input([("request", Schema::string())])
        .artifact("notes", Artifact::md("notes.md").required())
        .step(
            Step::produce("write", "Write the notes.\nAll of them.\n")
                .verify("Are they right?")
                .producer_writes(["notes"])
                .route("accepted", Target::Finish)
                .route("needs_rework", Route::to(Target::SelfStep).no_required_writes())
                .max_visits(3),
        )
        .step(Step::run("count", "wc {{ artifacts.notes }}"));
    let text = r#"sop: 1
name: notes
title: "Notes: and more"
input: { request: { type: string } }
artifacts: { notes: { md: notes.md, required: true } }
steps:
  - id: write
    produce: |
      Write the notes.
      All of them.
    verify: Are they right?
    producer_writes: [notes]
    routes: { accepted: FINISH, needs_rework: { to: SELF, required_writes: [] } }
    max_visits: 3
  - id: count
    run: "wc {{ artifacts.notes }}"
"#;
    assert_eq!(builder.to_text(), text);
}

#[test]
fn a_mistake_is_told_as_of_a_file_with_its_line() {
    let wrong = Workflow::builder("wrong")
        .budget(Budget::new().usd(f64::NAN).turns(0))
        .step(Step::prompt("go", "Go.").route("done", "nowhere").route("done", Target::Finish))
        .build()
        .unwrap_err();
    let words = wrong.to_string();
    assert!(words.starts_with("`wrong.sop.yaml (built)` does not check\n"), "{words}");
    for part in ["BP", "`usd`", "`turns`", "`done`", " | budget: { usd: .nan, turns: 0 }"] {
        assert!(words.contains(part), "no {part} in:\n{words}");
    }
    assert!(words.contains("\n  help: "), "{words}");
    let NotRunnable::Wrong { text, diagnostics, .. } = wrong else { panic!("{wrong:?}") };
    for label in diagnostics.iter().flat_map(|it| &it.labels) {
        assert!(text.get(label.span.start..label.span.end).is_some());
    }
}

#[test]
fn names_that_are_none_are_told_and_nothing_panics() {
    for bad in ["", " ", "a b", "é", "a\nb", "<<", "null", "..", "SELF"] {
        let built = Workflow::builder(bad)
            .artifact(bad, Artifact::md(bad))
            .session(bad, botpipe::build::Continuity::Key(bad.to_owned()))
            .step(Step::prompt(bad, Turn::new(bad)).route(bad, Route::to(bad).set(bad, bad)))
            .step(Step::classify(bad, bad, Choices::from(Vec::<String>::new())))
            .step(Step::parallel(bad))
            .build();
        assert!(matches!(built, Err(NotRunnable::Wrong { .. })), "{bad:?}");
    }
}

#[test]
fn files_are_at_hand_or_in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("on_disk.md"), "From the disk.").unwrap();
    fs::write(folder.path().join("both.md"), "From the disk, too.").unwrap();
    let builder = || {
        Workflow::builder("files")
            .step(Step::prompt("one", "on_disk.md"))
            .step(Step::prompt("two", "both.md"))
            .step(Step::llm("three", "prompts/at_hand.md").returns(Schema::file("size.json")))
    };
    let words = builder().folder(folder.path()).build().unwrap_err().to_string();
    assert!(words.contains("`both.md`") || words.contains("prompts/at_hand.md"), "{words}");
    let built = builder()
        .folder(folder.path())
        .file("both.md", "At hand.")
        .file("./prompts/at_hand.md", "At hand, too.")
        .file("size.json", r#"{ "type": "integer" }"#)
        .build()
        .unwrap();
    let inline = Workflow::builder("files")
        .step(Step::prompt("one", "From the disk."))
        .step(Step::prompt("two", "At hand."))
        .step(Step::llm("three", "At hand, too.").returns(Schema::integer()))
        .build()
        .unwrap();
    assert_eq!(built.digest(), inline.digest());
    let outside = builder().file("../size.json", "{}").folder(folder.path()).build();
    assert!(outside.is_err());
}

#[test]
fn workflows_start_others_that_are_built_found_or_looked_for() {
    let built = Workflow::builder("child").step(Step::prompt("go", "go.md")).file("go.md", "Go.");
    let built = built.build().unwrap();
    let parent =
        |child: Reference| Workflow::builder("parent").step(Step::workflow("below", child));
    let by_hand = parent((&built).into()).build().unwrap();

    let place = tempfile::tempdir().unwrap();
    fs::create_dir(place.path().join("workflows")).unwrap();
    let text = built.text().replace("go.md", "Go.");
    fs::write(place.path().join("workflows/child.sop.yaml"), text).unwrap();
    let found = Workflow::find(place.path(), "child").unwrap();
    assert_eq!(found.digest(), built.digest());
    for other in [
        parent((&found).into()),
        parent("child".into()).workspace(place.path()),
        parent("child".to_owned().into()).workspace(place.path()),
    ] {
        assert_eq!(other.build().unwrap().digest(), by_hand.digest());
    }

    let nowhere = parent("child".into()).build().unwrap_err().to_string();
    assert!(nowhere.contains("no workflow `child` at hand"), "{nowhere}");
    let unknown = parent("chill".into()).workspace(place.path()).build().unwrap_err().to_string();
    assert!(unknown.contains("did you mean `child`?"), "{unknown}");
    let other = Workflow::builder("child").step(Step::prompt("stay", "Stay.")).build().unwrap();
    let two = parent((&built).into()).step(Step::workflow("again", &other)).build();
    let two = two.unwrap_err().to_string();
    assert!(two.contains("two different workflows are called `child`"), "{two}");
    let grandparent = Workflow::builder("top").step(Step::workflow("below", &by_hand));
    assert_eq!(grandparent.build().unwrap().name(), "top");
}

#[test]
fn what_is_said_twice_holds_as_said_last() {
    let once = Workflow::builder("x").title("B").step(Step::prompt("go", "Go.").max_visits(2));
    let twice = Workflow::builder("x")
        .title("A")
        .title("B")
        .step(Step::prompt("go", "Go.").max_visits(1).max_visits(2));
    assert_eq!(once.to_text(), twice.to_text());
}
