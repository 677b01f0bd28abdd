//! What an agent is told, and what is made of its answer.

#![expect(clippy::format_push_string, reason = "a line of text reads best as one format")]

use std::collections::BTreeMap;

use botpipe_engine::prompt::{
    CheckLine, CheckRoot, Contract, InterruptionNote, ItemLine, ItemRoot, OfferedRoute,
    OutcomeRoot, Part, ReadLine, Recalls, Roots, StepRoot, Templates, Wanted, WorkflowRoot,
    WorklistRoot, WriteLine, evaluate, feedback_text, render, request_text,
};
use botpipe_kernel::ids::{Digest, Role};
use botpipe_kernel::run::{FailureClass, Feedback, Finding, FindingState};
use insta::assert_snapshot;
use serde_json::json;

const FOLDER: &str = ".botpipe/tasks/demo/wf_ralph_loop";
const ITEMS_SCHEMA: &str = r#"{"type": "object", "required": ["items"]}"#;

fn roots() -> Roots {
    Roots {
        message: "Add CSV export".to_owned(),
        input: json!({"request": "Add CSV export", "depth": 2}),
        params: json!({"test_command": "", "strict": true}),
        artifacts: BTreeMap::from([("work".to_owned(), format!("{FOLDER}/work.json"))]),
        item: Some(ItemRoot {
            id: "item-1".to_owned(),
            title: "Parser".to_owned(),
            status: "planned".to_owned(),
            payload: json!({"id": "item-1", "files": ["a.rs", "<b>.rs"], "note": "say \"hi\""}),
            index: 1,
            count: 3,
            dir_key: "item-1".to_owned(),
        }),
        worklist: Some(WorklistRoot {
            name: "ticket".to_owned(),
            total: 3,
            completed: 0,
            remaining: 3,
        }),
        run: "run-7".to_owned(),
        task: "demo".to_owned(),
        workflow: WorkflowRoot { name: "ralph_loop".to_owned(), folder: FOLDER.to_owned() },
        step: Some(StepRoot { id: "implement".to_owned(), visit: 2 }),
        checks: BTreeMap::from([(
            "tests".to_owned(),
            CheckRoot { status: "failed".to_owned(), output: "1 failed".to_owned() },
        )]),
        outcome: Some(OutcomeRoot {
            tag: "needs_rework".to_owned(),
            payload: json!({"findings": ["a", "b"]}),
            route_fields: json!({}),
        }),
        context: serde_json::Map::new(),
        fan_in: None,
        route: None,
        states: BTreeMap::from([("state", json!({"round": 2}))]),
    }
}

#[test]
fn a_template_sees_every_root() {
    let text = "\
{{ message }} | {{ request }} | {{ input.depth }} | {{ params.strict }}
{{ artifacts.work }} | {{ artifacts.work.path }}
{{ item.id }} {{ item.title }} {{ item.status }} {{ item.index }}/{{ item.count }} {{ item.dir_key }}
{{ item.payload }}
{{ item.payload.files | join(', ') }} | {{ ticket.title }}
{{ worklist }} | {{ artifacts }}
{{ run.id }} {{ task.id }} {{ workflow.name }} {{ workflow.folder }} {{ step.id }} {{ step.visit }}
{{ checks.tests.status }}: {{ checks.tests.output }}
{{ route.tag }}:{% for finding in outcome.payload.findings %} {{ finding }}{% endfor %}
{{ state.round + 1 }} {{ current_worklist.name }}
{% if params.test_command %}never{% else %}no tests{% endif %}
";
    assert_snapshot!(render("the prompt", text, &roots()).unwrap(), @r#"
    Add CSV export | Add CSV export | 2 | true
    .botpipe/tasks/demo/wf_ralph_loop/work.json | .botpipe/tasks/demo/wf_ralph_loop/work.json
    item-1 Parser planned 1/3 item-1
    {"files":["a.rs","<b>.rs"],"id":"item-1","note":"say \"hi\""}
    a.rs, <b>.rs | Parser
    {"name":"ticket","total":3,"completed":0,"remaining":3} | {"work":".botpipe/tasks/demo/wf_ralph_loop/work.json"}
    run-7 demo ralph_loop .botpipe/tasks/demo/wf_ralph_loop implement 2
    failed: 1 failed
    needs_rework: a b
    3 ticket
    no tests
    "#);
}

#[test]
fn a_name_that_is_undefined_is_said_with_what_was_perhaps_meant() {
    let mut unscoped = roots();
    unscoped.item = None;
    unscoped.worklist = None;
    let cases = [
        ("first\n{{ itm.title }}", &roots()),
        ("{{ item.titel }}", &roots()),
        ("{{ artifacts.wrok }}", &roots()),
        ("{{ item.title }}", &unscoped),
        ("{{ params.absent.deeper }}", &roots()),
        ("{% if nothing.there %}x{% endif %}", &roots()),
        ("{{ item.title | shout }}", &roots()),
        ("line\n{{ item.", &roots()),
        ("{% include 'x' %}", &roots()),
    ];
    let mut told = String::new();
    for (text, roots) in cases {
        let error = render("the prompt of `plan`", text, roots).unwrap_err();
        told += &format!("{}\n    {error}\n", text.escape_debug());
    }
    assert_snapshot!(told, @r"
    first\n{{ itm.title }}
        the prompt of `plan`, line 2: `itm.title` is undefined; did you mean `item`?
    {{ item.titel }}
        the prompt of `plan`, line 1: `item.titel` is undefined; did you mean `title`?
    {{ artifacts.wrok }}
        the prompt of `plan`, line 1: `artifacts.wrok` is undefined; did you mean `work`?
    {{ item.title }}
        the prompt of `plan`, line 1: `item.title` is undefined; known here: `artifacts`, `checks`, `input`, `message`, `outcome`, `params`, `request`, `route`, `run`, `state`, `step`, `task`, `workflow`
    {{ params.absent.deeper }}
        the prompt of `plan`, line 1: `params.absent` is undefined; known here: `strict`, `test_command`
    {% if nothing.there %}x{% endif %}
        the prompt of `plan`, line 1: `nothing.there` is undefined; known here: `artifacts`, `checks`, `current_worklist`, `input`, `item`, `message`, `outcome`, `params`, `request`, `route`, `run`, `state`, `step`, `task`, `ticket`, `workflow`, `worklist`
    {{ item.title | shout }}
        the prompt of `plan`, line 1: unknown filter: filter shout is unknown
    line\n{{ item.
        the prompt of `plan`, line 2: syntax error: unexpected end of input, expected identifier or integer
    {% include \'x\' %}
        the prompt of `plan`, line 1: template not found: tried to include non-existing template 'x'
    ");
}

#[test]
fn a_condition_is_true_when_it_holds_something() {
    let truth = |text: &str| evaluate("the `when` of `tests`", text, &roots());
    assert!(!truth("params.test_command").unwrap());
    assert!(truth("params.strict and input.depth > 1").unwrap());
    assert!(truth("item.payload.files").unwrap());
    assert_snapshot!(truth("params.test_comand").unwrap_err(), @"the `when` of `tests`: `params.test_comand` is undefined; did you mean `test_command`?");
    assert_snapshot!(truth("params.").unwrap_err(), @"the `when` of `tests`, line 1: syntax error: unexpected end of input, expected identifier or integer");
}

#[test]
fn a_template_seen_before_is_not_parsed_again() {
    let templates = Templates::default();
    let digest = Digest::from_bytes([7; 32]);
    let first = templates.render("a prompt", &digest, "Do {{ item.title }}\n", &roots());
    assert_eq!(first.unwrap(), "Do Parser");
    let again = templates.render("a prompt", &digest, "never read", &roots());
    assert_eq!(again.unwrap(), "Do Parser");
    let broken = templates.render("a prompt", &Digest::from_bytes([8; 32]), "{{", &roots());
    assert_eq!(broken.unwrap_err().what, "a prompt");
    assert!(templates.evaluate("a `when`", "item.index == 1", &roots()).unwrap());
    let path = templates.render_text("a path", "items/{{ item.dir_key }}/x.md", &roots());
    assert_eq!(path.unwrap(), "items/item-1/x.md");
}

fn contract(role: Role, turn: &str) -> Contract {
    Contract {
        way: String::new(),
        workflow: "ralph_loop".to_owned(),
        step: "plan".to_owned(),
        title: None,
        role,
        turn: turn.parse().unwrap(),
        visit_n: 1,
        max_visits: 5,
        item: None,
        input: None,
        reads: Vec::new(),
        requires: Vec::new(),
        writes: Vec::new(),
        checks: Vec::new(),
        routes: Vec::new(),
        handoff: None,
        answer: None,
        said: Vec::new(),
        earlier: None,
        protect: Vec::new(),
        feedback: Vec::new(),
        interruption: None,
        attached: None,
        wanted: Wanted::Route,
    }
}

fn write(name: &str, format: &str, file: &str, schema: Option<&str>) -> WriteLine {
    WriteLine {
        name: name.to_owned(),
        format: format.to_owned(),
        path: format!("{FOLDER}/{file}"),
        required: true,
        schema: schema.map(str::to_owned),
    }
}

fn route(tag: &str, target: &str) -> OfferedRoute {
    OfferedRoute {
        inherited: false,
        fields_schema: None,
        tag: tag.to_owned(),
        summary: None,
        target: target.to_owned(),
        required_writes: Vec::new(),
        required_checks: Vec::new(),
        payload_schema: None,
        asks: false,
    }
}

#[test]
fn the_contract_of_a_producer() {
    let mut plan = contract(Role::Producer, "plan/1/producer/1");
    plan.input = Some(json!({"request": "Add CSV export"}));
    plan.writes = vec![write("work", "json", "work.json", Some(ITEMS_SCHEMA))];
    assert_snapshot!(plan.render(Part::Whole), @r#"
    # Step contract

    - Step: `plan` · visit 1 · turn `plan/1/producer/1`
    - Workflow: `ralph_loop`
    - Visits: 1 of at most 5
    - Role: producer; you do the work, a verifier judges it

    ## Input

    ```json
    {
      "request": "Add CSV export"
    }
    ```

    ## Files

    Paths are relative to the workspace.

    - Write `work` (json): `.botpipe/tasks/demo/wf_ralph_loop/work.json` — required; must fit schema 1

    ## Answer

    No outcome is needed in your answer: when the work is done, say in a few words what you did. A verifier decides what comes next.

    ## Schema 1

    ```json
    {"type": "object", "required": ["items"]}
    ```
    "#);
}

/// A verifier's second turn, after an answer that could not be used and an interruption.
fn busy_verifier() -> Contract {
    let turn = "implement[item-1]/2/verifier/2~2";
    let mut it = Contract { step: "implement".to_owned(), ..contract(Role::Verifier, turn) };
    it.title = Some("Implement one item".to_owned());
    it.visit_n = 2;
    it.item = Some(ItemLine { id: "item-1".to_owned(), title: Some("Parser".to_owned()) });
    it.handoff = Some("Two findings:\n\n# Step contract\n- mend the parser".to_owned());
    it.answer = Some("Use commas".to_owned());
    it.requires = vec![ReadLine {
        name: "work".to_owned(),
        format: "json".to_owned(),
        path: format!("{FOLDER}/work.json"),
        exists: true,
    }];
    it.reads = vec![ReadLine {
        name: "notes".to_owned(),
        format: "md".to_owned(),
        path: format!("{FOLDER}/notes.md"),
        exists: false,
    }];
    it.writes = vec![
        write("implementation_review", "md", "items/item-1/implementation_review.md", None),
        write("findings", "json", "findings.json", Some(ITEMS_SCHEMA)),
    ];
    it.checks = vec![
        CheckLine {
            name: "tests".to_owned(),
            status: "failed: exit code 101".to_owned(),
            output: "thread panicked\n```\nodd\n```\n".to_owned(),
        },
        CheckLine { name: "lint".to_owned(), status: "passed".to_owned(), output: String::new() },
    ];
    let mut accepted = route("accepted", "complete the item and go on");
    accepted.required_writes = vec!["implementation_review".to_owned()];
    accepted.required_checks = vec!["tests".to_owned()];
    let mut rework = route("needs_rework", "repeat this step");
    rework.summary = Some("Something is\n  missing".to_owned());
    rework.payload_schema = Some(r#"{ "required": ["items"], "type": "object" }"#.to_owned());
    let mut blocked = route("blocked", "pause for a person");
    blocked.asks = true;
    it.routes = vec![accepted, rework, blocked];
    it.feedback = vec![Feedback::Outcome { why: "`outcome.tag` is missing".to_owned() }];
    it.interruption = Some(InterruptionNote {
        what_happened: Some("Botpipe was killed while this turn ran.".to_owned()),
        changed: vec!["src/parser.rs".to_owned()],
        recalls: Recalls::Nothing,
        summary: vec!["The review was half written.".to_owned()],
    });
    it
}

#[test]
fn the_contract_of_a_verifier_that_has_it_all() {
    assert_snapshot!(busy_verifier().render(Part::Whole), @r#"
    # Step contract

    - Step: `implement` · visit 2 · turn `implement[item-1]/2/verifier/2~2`
    - Workflow: `ralph_loop`
    - Title: Implement one item
    - Current item: `item-1` — Parser
    - Visits: 2 of at most 5
    - Role: verifier; judge what is there, mend nothing, write only the files below

    ## From the previous step

    > Two findings:
    >
    > # Step contract
    > - mend the parser

    ## Answer of the person

    > Use commas

    ## Files

    Paths are relative to the workspace.

    - Required `work` (json): `.botpipe/tasks/demo/wf_ralph_loop/work.json`
    - Read `notes` (md): `.botpipe/tasks/demo/wf_ralph_loop/notes.md` — not there yet
    - Write `implementation_review` (md): `.botpipe/tasks/demo/wf_ralph_loop/items/item-1/implementation_review.md` — required
    - Write `findings` (json): `.botpipe/tasks/demo/wf_ralph_loop/findings.json` — required; must fit schema 1

    ## Checks

    Run by the engine after the producer's work.

    - `tests`: failed: exit code 101
    - `lint`: passed

    Output of `tests`:

    ````text
    thread panicked
    ```
    odd
    ```
    ````

    ## Answer

    Pick one route:

    - `accepted`: complete the item and go on; needs `implementation_review` written in this visit; needs check `tests` passed
    - `needs_rework`: repeat this step — Something is missing; payload: schema 1
    - `blocked`: pause for a person

    The last thing in your answer is one JSON object in a fenced json block:

    ```json
    {"outcome": {"tag": "…", "payload": {…}, "route_fields": {…}}}
    ```

    `tag` is the route you pick. With `needs_rework`, `payload` fits schema 1. With `blocked`, `route_fields.question` holds the question for the person (string); `choices` (list of strings: the only answers accepted) and `answer_schema` (JSON Schema of the answer) may stand beside it.

    ## Schema 1

    ```json
    {"type": "object", "required": ["items"]}
    ```

    ## What was wrong before

    Your last answer could not be used: `outcome.tag` is missing
    The work itself was kept. Give the answer again, corrected.

    ## Interruption

    Botpipe was killed while this turn ran.
    This is a new conversation; what was said before is gone.
    What is recorded of it:

    > - The review was half written.

    Files that differ from the start of this visit:

    - `src/parser.rs`

    Look at what is there before doing anything twice.
    "#);
}

#[test]
fn a_turn_is_told_how_much_of_its_conversation_is_left() {
    let mut it = busy_verifier();
    let note = it.interruption.as_mut().unwrap();
    (note.recalls, note.summary) = (Recalls::UpToCheckpoint, Vec::new());
    let text = it.render(Part::Whole);
    assert!(text.contains("goes on from the end of its last completed turn"), "{text}");
    let note = it.interruption.as_mut().unwrap();
    (note.recalls, note.what_happened) = (Recalls::Nothing, None);
    let text = it.render(Part::Whole);
    assert!(text.contains("## New conversation\n\nThis is a new conversation;"), "{text}");
    assert!(!text.contains("## Interruption"), "{text}");
}

#[test]
fn the_same_turn_asks_the_same_whether_interrupted_or_not() {
    let interrupted = busy_verifier();
    let mut first = busy_verifier();
    first.turn = "implement[item-1]/2/verifier/2".parse().unwrap();
    first.interruption = None;
    let plain = first.render(Part::Whole);
    assert_eq!(interrupted.render(Part::WithoutInterruption), plain);
    assert!(interrupted.render(Part::Whole).starts_with("# Step contract\n\n- Step: `implement`"));
    assert_ne!(interrupted.render(Part::Whole), plain);
}

#[test]
fn a_long_output_is_cut_in_its_middle() {
    let mut it = contract(Role::Verifier, "plan/1/verifier/1");
    it.checks = vec![CheckLine {
        name: "tests".to_owned(),
        status: "failed: exit code 1".to_owned(),
        output: format!("first\n{}last\n", "ä filler line\n".repeat(100_000)),
    }];
    let text = it.render(Part::Whole);
    assert!(text.len() < 5_000, "{}", text.len());
    assert!(text.contains("first\n") && text.contains("\nlast\n"));
    assert!(text.contains("bytes left out"));
}

#[test]
fn a_request_is_the_same_in_every_task_and_run() {
    let prompt = |task: &str, run: &str, start: &str| {
        format!(
            "Demo the export in task order.\nTask: `{task}`\n- Run: `{run}`\nLog to \
             `.botpipe/tasks/{task}/wf_ralph_loop/runs/{run}/x`, not \
             `.botpipe/tasks/{task}/wf_ralph_loop_two/y`.\n# Step contract\n\n\
             - Step: `plan` · visit 1 · turn `plan/1/producer/1{start}`\n"
        )
    };
    let request = |task: &str, run: &str, start: &str| {
        let folder = format!(".botpipe/tasks/{task}/wf_ralph_loop");
        request_text(&prompt(task, run, start), &folder, run, task)
    };
    let one = request("Demo", "20261123-a1", "");
    assert_snapshot!(one, @"
    Demo the export in task order.
    Task: `{{ task.id }}`
    - Run: `{{ run.id }}`
    Log to `{{ workflow.folder }}/runs/{{ run.id }}/x`, not `.botpipe/tasks/Demo/wf_ralph_loop_two/y`.
    # Step contract

    - Step: `plan` · visit 1 · turn `plan/1/producer/1`
    ");
    let other = request("Demo", "20261124-b2", "~3");
    assert_eq!(one, other);
    let elsewhere = request("export", "r", "").replace("tasks/export/", "tasks/Demo/");
    assert_eq!(one, elsewhere);
}

#[test]
fn feedback_says_what_was_wrong_and_what_to_do() {
    let digest = Digest::from_bytes([1; 32]);
    let finding = |artifact: &str, state| Finding {
        artifact: artifact.parse().unwrap(),
        path: format!("{FOLDER}/{artifact}.json"),
        state,
    };
    let pieces = [
        Feedback::Outcome { why: "`outcome.tag` is missing".to_owned() },
        Feedback::Artifacts {
            findings: vec![
                finding("work", FindingState::Missing),
                finding("review", FindingState::Stale { digest }),
                finding("notes", FindingState::Invalid { why: "no JSON: line 3".to_owned() }),
            ],
        },
        Feedback::Failure {
            class: FailureClass::WallTimeout,
            message: "20 minutes\nwere up".to_owned(),
        },
    ];
    let told: Vec<String> = pieces.iter().map(feedback_text).collect();
    assert_snapshot!(told.join("---\n"), @"
    Your last answer could not be used: `outcome.tag` is missing
    The work itself was kept. Give the answer again, corrected.
    ---
    Files owed by this step are not as they must be:

    - `work` at `.botpipe/tasks/demo/wf_ralph_loop/work.json`: missing; write it
    - `review` at `.botpipe/tasks/demo/wf_ralph_loop/review.json`: there, but not written in this visit; write it anew, even if its content stays
    - `notes` at `.botpipe/tasks/demo/wf_ralph_loop/notes.json`: not valid: no JSON: line 3
    ---
    The last attempt at this turn failed: the turn took longer than it may: 20 minutes were up
    Look at what is already there before doing anything twice.
    ");
}
