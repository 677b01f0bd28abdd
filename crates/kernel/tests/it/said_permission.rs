//! What an agent asks leave for, and what a person at hand says: as a scenario says it.

use botpipe_kernel::ids::TurnId;
use botpipe_kernel::run::{
    Evidence, Input, Leave, Permission, Process, Run, SnapshotId, Wanted, WantedKind,
};

use crate::leaves::COMMANDS;
use crate::plans::digest;
use crate::world::{Draw, ran, used_up};

/// `wants COMMAND`, or `wants COMMAND after COMMAND` where that one was allowed and is done; for a person
/// at hand, `leave y: COMMAND`.
pub(crate) fn input(run: &Run, turn: TurnId, word: &str, rest: &str) -> Result<Input, String> {
    if word == "wants" {
        let (command, done) = rest.split_once(" after ").unwrap_or((rest, ""));
        let used = Some(done).filter(|it| !it.is_empty()).map(|it| wanted(it).exact);
        return Ok(Input::PermissionWanted {
            turn,
            wanted: wanted(command),
            used: used.into_iter().collect(),
            evidence: Evidence { took_ms: 5, ..Evidence::default() },
            tree: Some(SnapshotId("half".to_owned())),
        });
    }
    let (answer, command) = rest.split_once(": ").ok_or("`leave y: COMMAND`")?;
    let (leave, note) = Leave::read(answer).ok_or_else(|| format!("`{answer}` is no answer"))?;
    let permission = Permission { wanted: wanted(command), leave, note };
    Ok(Input::PermissionAnswered { turn, n: answered(run), permission })
}

/// How often the running turn was answered.
pub(crate) fn answered(run: &Run) -> u32 {
    run.visit.as_ref().map_or(0, |visit| visit.permissions.answered)
}

/// A command; those of the same length are the same.
pub(crate) fn wanted(command: &str) -> Wanted {
    let same = digest(u8::try_from(command.len()).unwrap());
    Wanted {
        kind: WantedKind::Command,
        what: command.to_owned(),
        detail: None,
        cwd: None,
        why: None,
        exact: same.clone(),
        alike: same,
    }
}

/// A turn that asks leave: a person at hand answers, or it is cut off to wait for one.
pub(crate) fn asks_leave(run: &Run, turn: TurnId, draw: &mut Draw<'_>) -> Vec<Input> {
    let started = Input::TurnStarted {
        turn: turn.clone(),
        process: Process { pid: 7, start_ticks: 8, boot_id: Some("b".to_owned()) },
    };
    let known = Input::SessionKnown { turn: turn.clone(), token: "s".to_owned() };
    let any = |draw: &mut Draw<'_>| wanted(COMMANDS[draw.below(COMMANDS.len())]);
    let mut inputs = vec![started, known];
    let mut used = Vec::new();
    if draw.one_in(2) {
        let wanted = any(draw);
        let leave = [Leave::Once, Leave::Denied, Leave::Always][draw.below(3)];
        if leave == Leave::Once && draw.one_in(2) {
            used.push(wanted.exact.clone());
        }
        let permission = Permission { wanted, leave, note: None };
        let n = answered(run);
        inputs.push(Input::PermissionAnswered { turn: turn.clone(), n, permission });
    }
    if draw.one_in(4) {
        inputs.extend(ran(turn, draw).pop());
        return inputs;
    }
    let evidence = Evidence { usage: used_up(draw), took_ms: 3, ..Evidence::default() };
    inputs.push(Input::PermissionWanted { turn, wanted: any(draw), used, evidence, tree: None });
    inputs
}
