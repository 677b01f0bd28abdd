//! What an agent asks leave for: said at once by its policy or by an earlier answer, else asked of a person.

use std::time::{Duration, Instant};

use botpipe_kernel::ids::{Digest, TurnId};
use botpipe_kernel::plan::PermissionMode;
use botpipe_kernel::run::{Input, Leave, Permission, Provider, Wanted, WantedKind};
use botpipe_providers::{Leave as Answer, Rules, Want};

use super::Trouble;
use crate::driver::Driver;
use crate::error::Error;
use crate::harness::Kind;
use crate::policy::{Control, Resolved, cannot_ask, cannot_keep};
use crate::request::AsksLeave;

/// What one start of a turn asks leave for.
#[derive(Debug)]
pub(super) struct Asking {
    mode: PermissionMode,
    /// What was allowed once, and is done.
    pub(super) used: Vec<Digest>,
    /// What nobody was there to be asked about: the turn is left off for it.
    pub(super) wanted: Option<Wanted>,
    /// How long persons were waited for.
    pub(super) held: Duration,
}

/// What is said to it.
pub(super) enum Said {
    Answer(Answer),
    /// Nobody is there: the turn is to be left off.
    Nobody,
    /// The owner is told to stop.
    Nothing,
}

impl Asking {
    pub(super) fn new(mode: PermissionMode) -> Self {
        Self { mode, used: Vec::new(), wanted: None, held: Duration::ZERO }
    }

    /// What is said to something that the turn wants.
    ///
    /// # Order
    /// A person's answer is on the disk before it is given on.
    pub(super) fn say(
        &mut self,
        driver: &mut Driver<'_>,
        turn: &TurnId,
        want: &Want,
    ) -> Result<Said, Error> {
        let refused = |why: &str| Ok(Said::Answer(Answer::Denied(Some(why.to_owned()))));
        if self.wanted.is_some() {
            return refused("the turn is left off, and goes on later");
        }
        match (self.mode, want.kind) {
            (PermissionMode::DenyAll, _) => {
                return refused(
                    "the policy of this step allows nothing that needs a permission, and nobody is asked",
                );
            }
            (PermissionMode::AutoEdit, WantedKind::Edit) => {
                return Ok(Said::Answer(Answer::Given));
            }
            _ => {}
        }
        let wanted = shown(driver, want);
        if let Some(given) = driver.run.permitted(&wanted, &self.used) {
            let (leave, note) = (given.leave, given.note.clone());
            return Ok(self.given(&wanted, leave, note));
        }
        let Some((leave, note)) = self.ask(driver, turn, &wanted) else {
            if driver.stop.requested().is_some() {
                return Ok(Said::Nothing);
            }
            self.wanted = Some(wanted);
            return Ok(Said::Nobody);
        };
        let n = driver.run.visit.as_ref().map_or(0, |visit| visit.permissions.answered);
        let permission = Permission { wanted: wanted.clone(), leave, note: note.clone() };
        driver.tell(Input::PermissionAnswered { turn: turn.clone(), n, permission })?;
        Ok(self.given(&wanted, leave, note))
    }

    fn given(&mut self, wanted: &Wanted, leave: Leave, note: Option<String>) -> Said {
        if leave == Leave::Once {
            self.used.push(wanted.exact.clone());
        }
        Said::Answer(match leave {
            Leave::Once | Leave::Always => Answer::Given,
            Leave::Denied => Answer::Denied(note),
        })
    }

    /// What a person says who is there; asked until it is an answer.
    fn ask(
        &mut self,
        driver: &Driver<'_>,
        turn: &TurnId,
        wanted: &Wanted,
    ) -> Option<(Leave, Option<String>)> {
        if driver.run.full_auto {
            return None;
        }
        let since = Instant::now();
        let way = driver.desk.way_to(turn);
        let mut again = false;
        let said = loop {
            let asks = AsksLeave { turn: &way, wanted, again };
            let Some(words) = driver.progress.ask_leave(&asks, driver.stop) else { break None };
            let words = driver.desk.redactor.redact(&words).into_owned();
            if let Some(said) = Leave::read(&words) {
                break Some(said);
            }
            again = true;
        };
        self.held += since.elapsed();
        said
    }
}

/// What is wanted as it is shown and recorded: without secrets, and no longer than a person reads. The
/// digests are of all of it.
fn shown(driver: &Driver<'_>, want: &Want) -> Wanted {
    let clean = |text: &str| driver.desk.redactor.redact(text).into_owned();
    let (what, detail) = (clean(&want.what), want.detail.as_deref().map(clean));
    let (cwd, why) = (want.cwd.as_deref().map(clean), want.why.as_deref().map(clean));
    let of = |detail: Option<&String>| {
        let all = serde_json::json!([want.kind, what, cwd, detail]);
        botpipe_journal::digest_of(all.to_string().as_bytes())
    };
    let exact = of(detail.as_ref());
    // The files of an edit are what it is alike in, and its text is not.
    let alike = if want.kind == WantedKind::Edit { of(None) } else { exact.clone() };
    Wanted {
        kind: want.kind,
        what: shortened(what),
        detail: detail.map(shortened),
        cwd,
        why: why.map(shortened),
        exact,
        alike,
    }
}

fn shortened(text: String) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((at, _)) => format!("{} […]", &text[..at]),
        None => text,
    }
}

/// Whether a turn is to ask leave; refused where its policy wants that and this agent cannot be held to it,
/// as one that a run falls back to may be.
pub(super) fn asks(
    holds: &Resolved,
    kind: Kind,
    harness: &botpipe_kernel::run::Harness,
) -> Result<bool, Trouble> {
    if !holds.asks() {
        return Ok(false);
    }
    match cannot_ask(Some(&provider(kind, harness))) {
        None => Ok(true),
        Some(_) if holds.may_go_unkept(Control::PermissionMode) => Ok(false),
        Some(why) => Err(Trouble::Refused {
            message: format!("the turn is to ask leave (`permission_mode`), and {why}"),
        }),
    }
}

/// The rules that a turn's harness keeps; refused where it keeps none, as one that a run falls back to may.
pub(super) fn rules(
    holds: &Resolved,
    kind: Kind,
    harness: &botpipe_kernel::run::Harness,
) -> Result<Rules, Trouble> {
    let by = provider(kind, harness);
    let mut rules =
        Rules { allow: holds.permissions.allow.clone(), deny: holds.permissions.deny.clone() };
    for (control, list) in
        [(Control::AllowPermissions, &mut rules.allow), (Control::DenyPermissions, &mut rules.deny)]
    {
        match cannot_keep(control, holds, Some(&by)).filter(|_| !list.is_empty()) {
            None => {}
            Some(_) if holds.may_go_unkept(control) => list.clear(),
            Some(why) => {
                let message = format!("the turn is held to `{control}`, and {why}");
                return Err(Trouble::Refused { message });
            }
        }
    }
    Ok(rules)
}

fn provider(kind: Kind, harness: &botpipe_kernel::run::Harness) -> Provider {
    let harness = Box::new(harness.clone());
    match kind {
        Kind::Codex => Provider::Codex(harness),
        Kind::Claude => Provider::Claude(harness),
        Kind::Acp => Provider::Acp(harness),
    }
}

/// Characters of what is wanted that a person is shown.
const SHOWN_CHARS: usize = 4_000;
