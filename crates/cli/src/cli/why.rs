//! `botpipe why`: what a run waits for, or why it stands still.

use botpipe_engine::why::{Cause, Holder, Why};
use botpipe_kernel::ids::TurnId;
use botpipe_kernel::run::Stop;
use serde_json::{Value, json};

use super::options::{Json, Which};
use crate::term::exit;
use crate::term::failure::Failure;
use crate::term::next::Named;
use crate::term::output::result;
use crate::term::reason;

/// Tell what a run waits for or why it stands still, and what unblocks it
///
/// Since when, until when where that is known, and the command to type. Changes nothing, and ends with
/// exit code 0 wherever the run stands.
///
/// Examples:
///   botpipe why ralph_loop csv-export
///   botpipe why ralph_loop csv-export --json | jq -r .next
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    json: Json,
}

impl Args {
    pub(super) fn json(&self) -> bool {
        self.json.json
    }

    pub(super) fn run(self) -> Result<u8, Failure> {
        let which = self.which.run()?;
        let why = self.which.workspace.engine()?.why(&which)?;
        let named = Named {
            workflow: &why.summary.workflow,
            task: &why.summary.task,
            run: which.run.as_ref().map(|_| &why.summary.run),
            workspace: self.which.workspace.path(),
        };
        result(self.json.form(), || reason::text(&why, &named), || view(&why, &named));
        Ok(exit::OK)
    }
}

/// # Shape
/// `{"run", "task", "workflow", "state", "cause": {"kind", …}, "at", "since", "until", "owner", "unheard",
/// "behind", "unblocks", "next"}`; times in milliseconds since the epoch.
fn view(why: &Why, named: &Named<'_>) -> Value {
    let run = &why.summary;
    let owner = run.owner.as_ref().map(
        |it| json!({ "command": it.command, "pid": it.pid, "host": it.host, "alive": run.owned }),
    );
    json!({
        "run": run.run,
        "task": run.task,
        "workflow": run.workflow,
        "state": run.state.as_str(),
        "cause": cause(&why.cause),
        "at": why.at,
        "since": why.since,
        "until": why.until,
        "owner": owner,
        "unheard": why.unheard,
        "behind": why.behind.as_ref().map(holder),
        "unblocks": why.unblocks,
        "next": why.next.as_ref().map(|next| named.next(next)),
    })
}

fn cause(cause: &Cause) -> Value {
    match cause {
        Cause::Works(work) => {
            let deadlines = work.deadlines.iter().map(|it| {
                json!({
                    "clock": reason::clock(it.clock),
                    "while_busy": it.busy,
                    "after_ms": u64::try_from(it.after.as_millis()).unwrap_or(u64::MAX),
                    "at": it.at,
                })
            });
            json!({
                "kind": if work.turn.is_some() { "turn" } else { "engine" },
                "doing": work.doing,
                "turn": work.turn,
                "process": work.process,
                "last_sign": work.last_sign,
                "deadlines": deadlines.collect::<Vec<_>>(),
            })
        }
        Cause::OwnerLost { turn, gone_by } => json!({
            "kind": "owner_lost",
            "turn": turn.as_ref().map(|(turn, _)| turn),
            "on_interrupt": turn.as_ref().map(|(_, then)| then),
            "gone_by": gone_by,
        }),
        Cause::Asks { question, schema } => json!({
            "kind": "question",
            "question": question.text,
            "choices": question.choices,
            "schema": schema.as_ref().and_then(|it| serde_json::from_str::<Value>(it).ok()),
        }),
        Cause::Awaits { wait, attended } => json!({
            "kind": "wait",
            "signal": wait.signal,
            "until": wait.until,
            "attended": attended,
        }),
        Cause::Held { hold, attended } => json!({
            "kind": "hold",
            "class": hold.class,
            "message": hold.message,
            "login": hold.login,
            "on_limit": hold.on_limit,
            "attended": attended,
        }),
        Cause::Stopped { stop, turn } => stopped(stop, turn.as_ref()),
        Cause::Finished { verdict, by } => json!({
            "kind": "finished",
            "verdict": verdict,
            "visit": by.as_ref().map(|(visit, _)| visit),
            "route": by.as_ref().map(|(_, tag)| tag),
        }),
        Cause::Cancelled => json!({ "kind": "cancelled" }),
    }
}

fn stopped(stop: &Stop, turn: Option<&TurnId>) -> Value {
    let kind = match stop {
        Stop::MaxSteps { .. }
        | Stop::MaxVisits { .. }
        | Stop::Budget { .. }
        | Stop::StepBudget { .. } => "limit",
        Stop::Policy { .. } => "policy",
        Stop::Signal { .. } => "signal",
        Stop::Provider { .. } => "provider",
        Stop::Error { .. } => "error",
    };
    json!({ "kind": kind, "stop": stop, "message": stop.to_string(), "next_turn": turn })
}

fn holder(holder: &Holder) -> Value {
    json!({
        "run": holder.run,
        "task": holder.task,
        "workflow": holder.workflow,
        "command": holder.owner.as_ref().map(|it| &it.command),
        "pid": holder.owner.as_ref().map(|it| it.pid),
    })
}
