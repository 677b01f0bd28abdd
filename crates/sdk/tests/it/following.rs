//! Events that are followed, runs that are begun, and values that are none.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use botpipe::build::{Output, Schema, Step, Target};
use botpipe::{
    Client, Error, ErrorKind, Event, Harness, Lifecycle, NoValue, NotRunnable, Provider, RunRef,
    RunStatus, Signal, SignalResult, Silent, Start, StopSwitch, Workflow,
};

use crate::examples::example;

/// What [`asks`] gives back.
#[derive(serde::Deserialize)]
struct Answer {
    n: u32,
}

fn asks() -> Workflow {
    Workflow::builder("asks")
        .output(Output::values([("n", "outcome.payload * 2")]))
        .step(Step::ask("how_many", "How many?").answer(Schema::integer()))
        .build()
        .unwrap()
}

fn kinds(events: impl Iterator<Item = Result<(u64, Event), Error>>) -> Vec<&'static str> {
    events.map(|event| event.unwrap().1.kind()).collect()
}

#[test]
fn a_run_is_followed_until_it_waits_and_then_to_its_end() {
    let place = tempfile::tempdir().unwrap();
    let client = Client::open(place.path()).unwrap();
    let running = client.begin(&asks(), Start::default()).unwrap();
    let which = running.which().clone();
    let mut events = running.events().unwrap().every(Duration::from_millis(5));
    let first = kinds(events.by_ref());
    assert_eq!((first.first(), first.last()), (Some(&"run_created"), Some(&"question_asked")));
    assert_eq!(events.seq(), u64::try_from(first.len()).unwrap());
    assert!(events.next().is_none(), "it stays over");
    let end = running.end().unwrap();
    assert!(matches!(end.lifecycle(), Lifecycle::Waiting(_)));
    let why = client.value_of::<u32>(end).unwrap_err();
    assert!(matches!(&why, NoValue::Unfinished { .. }), "{why}");
    assert!(why.to_string().contains("waiting"), "{why}");

    let refused = client.answer(&which, "many", &Silent, &StopSwitch::new()).unwrap_err();
    assert!(matches!(refused, Error::Answer { .. }), "{refused}");
    let end = client.answer(&which, "21", &Silent, &StopSwitch::new()).unwrap();
    let more = client.follow(&which).unwrap().after(events.seq());
    let more = kinds(more);
    assert_eq!(more.last(), Some(&"run_finished"));
    let whole = kinds(client.follow(&which).unwrap());
    assert_eq!(whole, [first, more].concat());

    assert_eq!(client.value_of::<Answer>(end.clone()).unwrap().n, 42);
    let wrong = client.value_of::<String>(end).unwrap_err();
    assert!(matches!(&wrong, NoValue::Type { .. }), "{wrong}");
    assert!(wrong.to_string().contains(r#"it is {"n":42}"#), "{wrong}");
}

#[test]
fn a_follower_of_a_living_run_waits_for_what_comes() {
    let place = tempfile::tempdir().unwrap();
    let client = Client::open(place.path()).unwrap();
    let workflow = Workflow::builder("waits")
        .step(Step::wait_for("pause", Duration::from_millis(400)))
        .build()
        .unwrap();
    let running = client.begin(&workflow, Start::default()).unwrap();
    let all = kinds(client.follow(running.which()).unwrap().every(Duration::from_millis(10)));
    assert_eq!(all.last(), Some(&"run_finished"), "{all:?}");
    assert!(matches!(running.end().unwrap().lifecycle(), Lifecycle::Finished(_)));
}

#[test]
fn a_run_that_was_begun_can_be_stopped_and_signalled() {
    let place = tempfile::tempdir().unwrap();
    let client = Client::open(place.path()).unwrap();
    let workflow = Workflow::builder("waits")
        .step(Step::wait_for("pause", Duration::from_hours(1)))
        .step(Step::wait_signal("built", "build_done").route("done", Target::Finish))
        .build()
        .unwrap();
    let running = client.begin(&workflow, Start::default()).unwrap();
    let which = running.which().clone();
    let busy = client.begin(&workflow, Start::default()).err().unwrap();
    assert_eq!(busy.kind(), ErrorKind::Busy, "{busy}");
    running.stop(15);
    let end = running.end().unwrap();
    assert!(matches!(end.lifecycle(), Lifecycle::Awaiting(_)), "{:?}", end.lifecycle());
    let states: Vec<RunStatus> =
        client.runs(None, None).unwrap().into_iter().map(|it| it.state).collect();
    assert_eq!(states, [RunStatus::Waiting]);
    let signal = |name: &str| Signal { name: name.parse().unwrap(), payload: None, id: None };
    let send = |name| client.signal(&which, &signal(name), &Silent, &StopSwitch::new());
    assert!(matches!(send("build_done").unwrap(), SignalResult::Kept));
    assert!(matches!(send("built").unwrap_err(), Error::NoSignal { .. }));
}

#[test]
fn what_cannot_begin_says_so() {
    let place = tempfile::tempdir().unwrap();
    let client = Client::open(place.path()).unwrap();
    let agent = Workflow::builder("agent").step(Step::prompt("go", "Go.")).build().unwrap();
    let none = client.begin(&agent, Start::default()).err().unwrap();
    assert!(matches!(none, Error::NoProvider { .. }), "{none}");
    let none = client.llm::<String>("Hm?", Schema::string(), Start::default()).unwrap_err();
    assert!(matches!(none, NoValue::Failed(Error::NoProvider { .. })), "{none}");
    let wrong = client.classify::<String>("Hm?", Vec::<String>::new(), Start::default());
    assert!(matches!(wrong, Err(NoValue::Wrong(NotRunnable::Wrong { .. }))));
    let wrong = Schema::json(serde_json::json!({ "type": "txt" }));
    let wrong = client.llm::<String>("Hm?", wrong, Start::default()).unwrap_err();
    assert!(wrong.to_string().contains("`txt`"), "{wrong}");
    assert!(client.runs(None, None).unwrap().is_empty());
}

#[test]
fn a_client_with_settings_fills_in_every_start() {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("botpipe.yaml"), "runtime: { max_step: 1 }\n").unwrap();
    let client = Client::open(place.path()).unwrap();
    assert!(client.run(&asks(), Start::default()).is_ok());
    let client = client.with_settings();
    let error = client.run(&asks(), Start::default()).unwrap_err();
    assert!(matches!(error, Error::Config(_)), "{error}");
}

/// A program that is killed when the test is over, however that ends.
struct Program(Child);

impl Program {
    fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

#[test]
fn a_follower_ends_when_the_owner_is_killed() {
    let place = tempfile::tempdir().unwrap();
    let program = Command::new(example("ralph_loop"))
        .arg(place.path())
        .args(["Wait", "sh", "-c", "sleep 600"])
        .stdout(Stdio::null())
        .spawn();
    let mut program = Program(program.unwrap());
    let client = Client::open(place.path()).unwrap();
    let run = loop {
        match client.runs(None, None).unwrap().pop() {
            Some(run) => break run,
            None => assert!(program.0.try_wait().unwrap().is_none(), "it ended"),
        }
    };
    let which = RunRef { workflow: run.workflow, task: run.task, run: Some(run.run) };
    let mut last = "";
    for event in client.follow(&which).unwrap().every(Duration::from_millis(10)) {
        last = event.unwrap().1.kind();
        if last == "turn_started" {
            program.kill();
        }
    }
    assert_eq!(last, "turn_started");
    assert_eq!(client.runs(None, None).unwrap()[0].state, RunStatus::OwnerLost);
}

#[test]
fn several_may_open_a_new_workspace_at_once() {
    for _ in 0..10 {
        let place = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            let open = || Client::open(place.path()).map(drop);
            let opened: Vec<_> = (0..6).map(|_| scope.spawn(open)).collect();
            for one in opened {
                one.join().unwrap().unwrap();
            }
        });
        assert!(place.path().join(".botpipe/.gitignore").is_file());
    }
}

#[test]
fn a_harness_is_found_or_its_absence_is_told() {
    let place = tempfile::tempdir().unwrap();
    let client = Client::open(place.path()).unwrap();
    match client.provider(Harness::Codex) {
        Ok(provider) => assert!(matches!(provider, Provider::Harness(_))),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Usage);
            assert!(error.to_string().contains("codex"), "{error}");
        }
    }
}
