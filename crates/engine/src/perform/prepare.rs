//! The prompt of a turn (or the command of a script), with the contract of its step.

use botpipe_kernel::ids::Role;
use botpipe_kernel::ids::{ArtifactName, RouteTag, TurnId};
use botpipe_kernel::plan::{Action, Choice, Route, Step, Target, Work};
use botpipe_kernel::run::{CheckStatus, Feedback, Input, Ref, Said, SessionUse, TurnCause};

use serde_json::{Value, json};

use super::session::{Found, find};
use super::{Agent, Trouble, code, confined, earlier};
use crate::confine::View;
use crate::confine::site::Needs;
use crate::driver::Driver;
use crate::enforcement::KeyPlace;
use crate::harness::key;
use crate::policy;
use crate::prompt::{
    AttachedNote, CheckLine, Contract, ItemLine, OfferedRoute, Part, ReadLine, Wanted, WriteLine,
    request_text,
};

/// Renders what a turn is asked.
pub(super) fn prepare(
    driver: &mut Driver<'_>,
    turn: TurnId,
    cause: &TurnCause,
    feedback: Vec<Feedback>,
    offered: &[RouteTag],
    session: Option<SessionUse>,
    said: &[Said],
) -> Result<Input, Trouble> {
    let step = driver.current_step()?;
    if turn.role.is_code() {
        let prompt = code::prepare(driver, &step, &turn)?;
        let (code, _) = code::of_turn(driver, &step, &turn)?;
        let policy = Some(policy(driver, &step, turn.role, code.function().is_none())?);
        return Ok(Input::TurnPrepared { turn, prompt, request: None, policy, session, said: 0 });
    }
    let Some(planned) = step.turn(turn.role).cloned() else {
        return Err(Trouble::Stuck { message: format!("step `{}` has no such turn", step.id) });
    };
    let what = format!("prompt of step `{}` ({})", step.id, turn.role);
    let asked = driver.render(&planned.prompt, &what)?;
    let Found { session, earlier } = find(driver, &planned, (&step, turn.role), session, &what)?;
    let mut contract = contract(driver, &step, &turn, cause, feedback, offered, session.as_ref())?;
    contract.earlier = earlier;
    for said in said {
        contract.said.push(driver.text_of(&said.text)?);
    }
    let told = u32::try_from(said.len()).unwrap_or(u32::MAX);
    let join = |part| format!("{}\n\n{}", asked.trim_end(), contract.render(part));
    let text = request_text(
        &join(Part::WithoutInterruption),
        &driver.desk.folder,
        driver.desk.run_id.as_str(),
        driver.desk.task.as_str(),
    );
    let request = Some(botpipe_journal::digest_of(text.as_bytes()));
    // It may cite what an agent wrote into a file.
    let whole = driver.desk.redactor.redact(&join(Part::Whole)).into_owned();
    let prompt = driver.desk.keep_beside(driver.parts, whole).map_err(Trouble::Fatal)?;
    let policy = Some(policy(driver, &step, turn.role, true)?);
    Ok(Input::TurnPrepared { turn, prompt, request, policy, session, said: told })
}

/// The policy in force for a turn; the same object for the same policy, so that a turn records only
/// its name. `starts`: whether it may start a program; a function runs in its host, and what it asks for is
/// proven when it asks.
fn policy(driver: &mut Driver<'_>, step: &Step, role: Role, starts: bool) -> Result<Ref, Trouble> {
    let holds = policy::of_run(&driver.run, (step, role), &driver.desk.layout);
    let mut place = None;
    let needs = match driver.agent_of(step, role).map_err(Trouble::Fatal)? {
        _ if !starts => None,
        Some(Agent::Replay { .. }) if !role.is_code() => None,
        Some(Agent::Harness { kind, harness }) if !role.is_code() => {
            crate::harness::prepare(kind, &harness, driver.desk.layout.root())
                .map_err(|message| Trouble::Stuck { message })?;
            let stuck = |message| Trouble::Stuck { message };
            let key = key::place(kind, &harness, &driver.run.pass_env, &holds).map_err(stuck)?;
            let needs = Needs::of_harness(kind, &harness, &key).map_err(stuck)?;
            place = KeyPlace::of(kind, &key);
            Some(needs)
        }
        Some(Agent::Command { program, args }) if !role.is_code() => {
            Some(Needs::of_program(&program, &args))
        }
        _ => Some(Needs::default()),
    };
    let mut text = policy::in_force(&driver.run.pass_env, &holds);
    // A recording runs nothing.
    if let Some(needs) = needs {
        let report = confined::prove(driver, step, role, View::of(role), &needs)?;
        let mut whole: Value = serde_json::from_str(&text).unwrap_or_default();
        whole["report"] = report;
        if let Some(place) = place {
            whole["report"]["key"] = json!(place);
        }
        text = whole.to_string();
    }
    if let Some((_, kept)) = driver.desk.policies.iter().find(|(known, _)| *known == text) {
        return Ok(kept.clone());
    }
    let digest = driver.parts.objects.put(text.as_bytes());
    let kept = Ref::Object(digest.map_err(|error| Trouble::Fatal(error.into()))?);
    driver.desk.policies.push((text, kept.clone()));
    Ok(kept)
}

fn contract(
    driver: &mut Driver<'_>,
    step: &Step,
    turn: &TurnId,
    cause: &TurnCause,
    feedback: Vec<Feedback>,
    offered: &[RouteTag],
    session: Option<&SessionUse>,
) -> Result<Contract, Trouble> {
    let visit = driver.current_visit()?.clone();
    let planned = step.turn(turn.role);
    let mut required = step.requires.clone();
    let extra = planned.iter().flat_map(|planned| planned.requires.clone());
    required.extend(extra.filter(|name| !step.requires.contains(name)));
    let mut reads = step.reads.clone();
    reads.extend(planned.iter().flat_map(|planned| planned.reads.clone()));
    let mut contract = Contract {
        workflow: driver.run.plan.name.to_string(),
        step: step.id.to_string(),
        title: step.title.clone(),
        role: turn.role,
        turn: turn.clone(),
        way: driver.desk.path.clone(),
        visit_n: visit.id.n,
        max_visits: driver.run.max_visits(step),
        item: driver
            .run
            .item_of(step)
            .map(|item| ItemLine { id: item.id.to_string(), title: item.title.clone() }),
        input: Some(driver.desk.input.clone()),
        reads: read_lines(driver, &reads)?,
        requires: read_lines(driver, &required)?,
        protect: if turn.role == Role::Producer { step.protect.clone() } else { Vec::new() },
        writes: write_lines(driver, step, turn.role)?,
        checks: Vec::new(),
        routes: Vec::new(),
        handoff: None,
        answer: None,
        said: Vec::new(),
        earlier: None,
        feedback,
        interruption: earlier::note(driver, turn, cause, session)?,
        attached: attached(driver, session)?,
        wanted: match step.work {
            Work::Classify { .. } => Wanted::Choice,
            Work::Llm { .. } => Wanted::Value,
            _ => Wanted::Route,
        },
    };
    for check in &visit.checks {
        let output = match &check.output {
            Some(output) => driver.text_of(output)?,
            None => String::new(),
        };
        let status = match &check.status {
            CheckStatus::Passed => "passed".to_owned(),
            CheckStatus::Failed { why } => format!("failed: {why}"),
            CheckStatus::Skipped => "skipped".to_owned(),
        };
        contract.checks.push(CheckLine { name: check.name.to_string(), status, output });
    }
    if let Some(handoff) = &visit.handoff {
        contract.handoff = Some(driver.text_of(handoff)?);
    }
    if let (Some(children), None) = (&visit.children, &contract.handoff) {
        contract.handoff = Some(super::results::summary(driver, children)?);
    }
    if let Some(answer) = &visit.answer {
        contract.answer = Some(driver.text_of(answer)?);
    }
    if let Work::Classify { choices, .. } = &step.work {
        contract.routes.extend(choices.iter().map(choice_line));
        return Ok(contract);
    }
    for route in step.routes.iter().filter(|route| offered.contains(&route.tag)) {
        let line = route_line(driver, step, route)?;
        contract.routes.push(line);
    }
    Ok(contract)
}

fn read_lines(driver: &mut Driver<'_>, names: &[ArtifactName]) -> Result<Vec<ReadLine>, Trouble> {
    let mut lines = Vec::with_capacity(names.len());
    for name in names {
        let place = driver.artifact_place(name)?;
        lines.push(ReadLine {
            name: name.to_string(),
            format: format_of(driver, name),
            exists: place.absolute.symlink_metadata().is_ok_and(|it| it.is_file()),
            path: place.relative,
        });
    }
    Ok(lines)
}

fn write_lines(
    driver: &mut Driver<'_>,
    step: &Step,
    role: Role,
) -> Result<Vec<WriteLine>, Trouble> {
    let plan = driver.run.plan.clone();
    let mut lines = Vec::new();
    for name in step.writes_of(role) {
        let place = driver.artifact_place(name)?;
        if let Some(folder) = place.absolute.parent() {
            crate::plain::make_theirs(folder).map_err(Trouble::stuck)?;
        }
        let artifact = plan.artifacts.get(name);
        let schema = match artifact.and_then(|artifact| artifact.schema.as_ref()) {
            Some(schema) => Some(driver.plan_text(schema)?.to_string()),
            None => None,
        };
        lines.push(WriteLine {
            name: name.to_string(),
            format: format_of(driver, name),
            path: place.relative,
            required: artifact.is_some_and(|artifact| artifact.required),
            schema,
        });
    }
    Ok(lines)
}

fn format_of(driver: &Driver<'_>, name: &ArtifactName) -> String {
    driver
        .run
        .plan
        .artifacts
        .get(name)
        .map_or("raw", |artifact| artifact.format.as_str())
        .to_owned()
}

fn route_line(
    driver: &mut Driver<'_>,
    step: &Step,
    route: &Route,
) -> Result<OfferedRoute, Trouble> {
    let plan = driver.run.plan.clone();
    let required_writes = match &route.required_writes {
        Some(names) => names.iter().map(ToString::to_string).collect(),
        None => step
            .writes()
            .filter(|name| plan.artifacts.get(*name).is_some_and(|artifact| artifact.required))
            .map(ToString::to_string)
            .collect(),
    };
    let payload_schema = match &route.payload {
        Some(schema) => Some(driver.plan_text(schema)?.to_string()),
        None => None,
    };
    let fields_schema = match &route.route_fields {
        Some(schema) => Some(driver.plan_text(schema)?.to_string()),
        None => None,
    };
    Ok(OfferedRoute {
        tag: route.tag.to_string(),
        summary: route.summary.clone(),
        target: target_words(&route.action),
        required_writes,
        required_checks: route.required_checks.iter().map(ToString::to_string).collect(),
        payload_schema,
        fields_schema,
        asks: matches!(route.action, Action::To(Target::AwaitInput)),
        inherited: route.inherited,
    })
}

fn choice_line(choice: &Choice) -> OfferedRoute {
    OfferedRoute {
        tag: choice.name.clone(),
        summary: choice.description.clone(),
        target: String::new(),
        required_writes: Vec::new(),
        required_checks: Vec::new(),
        payload_schema: None,
        fields_schema: None,
        asks: false,
        inherited: false,
    }
}

fn target_words(action: &Action) -> String {
    let of = |target: &Target| match target {
        Target::Step(id) => format!("go to step `{id}`"),
        Target::SelfStep => "repeat this step".to_owned(),
        Target::Finish => "finish the run".to_owned(),
        Target::Fail => "fail the run".to_owned(),
        Target::AwaitInput => "pause for a person".to_owned(),
    };
    let onto = |next: &Target| match next {
        Target::SelfStep => "go on with the next".to_owned(),
        other => of(other),
    };
    match action {
        Action::To(target) => of(target),
        Action::CompleteAndAdvance { next, exhausted } => {
            format!("complete the item and {}; after the last item {}", onto(next), of(exhausted))
        }
        Action::Advance { next, exhausted } => {
            format!(
                "leave the item as it is and {}; after the last item {}",
                onto(next),
                of(exhausted)
            )
        }
        Action::CompleteCurrent { next } => format!("complete the item and {}", of(next)),
        Action::Reset { next } => format!("open the item again and {}", of(next)),
        Action::Refresh { next, exhausted } => {
            format!("read the items again and {}; where none is open {}", of(next), of(exhausted))
        }
    }
}
/// What is said of a person who was in a conversation of the run since the last turn.
fn attached(
    driver: &mut Driver<'_>,
    session: Option<&SessionUse>,
) -> Result<Option<AttachedNote>, Trouble> {
    let all = driver.run.attached.clone();
    let Some(first) = all.first() else { return Ok(None) };
    let changed = match &first.tree {
        Some(before) => {
            let now = driver.desk.snapshots.take().map_err(Trouble::stuck)?;
            driver.desk.snapshots.changed(before, &now).map_err(Trouble::stuck)?
        }
        None => Vec::new(),
    };
    let token = session.and_then(|session| session.token.as_ref());
    let own = token.is_some_and(|token| all.iter().any(|it| it.token == *token));
    Ok(Some(AttachedNote { own, changed }))
}
