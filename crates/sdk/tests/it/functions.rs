//! Functions of the program itself, called by the runs it moves.

use botpipe::build::{Artifact, Call, Output, Route, Schema, Step, Target};
use botpipe::{
    Client, Error, Functions, Lifecycle, NoValue, Silent, Start, StopSwitch, Verdict, Workflow,
};
use serde_json::{Value, json};

fn rate() -> Workflow {
    Workflow::builder("rate")
        .params([("most", Schema::integer().default(3))])
        .state([("sum", Schema::integer().default(0))])
        .artifact("notes", Artifact::md("notes.md").required())
        .output(Output::values([("sum", "state.sum")]))
        .step(
            Step::call("add", "add")
                .with("numbers", json!([1, 2, "{{ params.most }}"]))
                .writes(["notes"])
                .before(Call::new("prepare"))
                .route(
                    "done",
                    Route::to("look")
                        .set("state.sum", "outcome.payload")
                        .on_taken(Call::new("tell").with("sum", "{{ outcome.payload }}")),
                ),
        )
        .step(
            Step::validate("look", Call::new("is_good"), "notes", ("why", Artifact::md("why.md")))
                .max_visits(2),
        )
        .build()
        .unwrap()
}

fn functions() -> Functions {
    Functions::new()
        .function("add", |called| {
            let numbers: Vec<u64> = called.with("numbers")?;
            assert!(called.with::<String>("numbers").is_err() && called.with::<u8>("no").is_err());
            assert_eq!(called.read("notes")?, None);
            called.write("notes", "Added.\n")?;
            called.print("added");
            let sum: u64 = numbers.iter().sum();
            Ok::<_, String>(json!({ "event": { "tag": "done", "payload": sum } }))
        })
        .function("prepare", |called| {
            assert_eq!(called.context()["hook"], "before");
            Ok::<_, String>(())
        })
        .function("tell", |called| {
            assert_eq!(called.context()["step"]["id"], "add");
            called.with::<u64>("sum").map(|_| ())
        })
        .function("is_good", |called| {
            let good = called.read("notes")?.as_deref() == Some("Added.\n");
            Ok::<_, String>(if good { "valid" } else { "invalid" })
        })
}

#[test]
fn a_run_calls_the_functions_of_its_program() {
    let place = tempfile::tempdir().unwrap();
    let client = Client::open_with(place.path(), functions()).unwrap();
    let sum: Value = client.run_for(&rate(), Start::default()).unwrap();
    assert_eq!(sum, json!({ "sum": 6 }));
}

#[test]
fn a_function_that_fails_or_panics_is_told() {
    let place = tempfile::tempdir().unwrap();
    let workflow = Workflow::builder("fails")
        .step(Step::call("go", "go").route("done", Target::Finish))
        .build()
        .unwrap();
    let failing = Functions::new().function("go", |_| Err::<(), _>("no luck"));
    let panicking = Functions::new().function("go", |called| {
        assert!(called.with::<u8>("x").is_ok(), "no x");
        Ok::<_, String>(())
    });
    for (functions, words) in [(failing, "no luck"), (panicking, "the function panicked: no x")] {
        let client = Client::open_with(place.path(), functions).unwrap();
        let why = client.run_for::<Value>(&workflow, Start::default()).unwrap_err();
        assert!(why.to_string().contains(words), "{why}");
        let NoValue::Unfinished { end, .. } = why else { panic!("{why}") };
        // The next owner has another function, and goes on.
        let good = Functions::new().function("go", |_| Ok::<_, String>("done"));
        let client = Client::open_with(place.path(), good).unwrap();
        let end = client
            .resume(&end.which(), &botpipe::Resume::default(), &Silent, &StopSwitch::new())
            .unwrap();
        assert!(matches!(end.lifecycle(), Lifecycle::Finished(Verdict::None)), "{words}");
    }
}

#[test]
fn a_function_that_is_not_there_keeps_the_run_from_beginning() {
    let place = tempfile::tempdir().unwrap();
    let without = Client::open(place.path()).unwrap();
    let error = without.run(&rate(), Start::default()).unwrap_err();
    assert!(matches!(error, Error::Host { .. }), "{error}");
    let other = Functions::new().function("other", |_| Ok::<_, String>(()));
    let client = Client::open_with(place.path(), other).unwrap();
    let error = client.run(&rate(), Start::default()).unwrap_err().to_string();
    assert!(error.contains("the host has no function"), "{error}");
    assert!(client.runs(None, None).unwrap().is_empty());
}
