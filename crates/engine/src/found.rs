//! What a new owner finds before it asks a harness anything: its folder, and the harness's version.

use std::path::Path;

use botpipe_kernel::run::{Effect, Input, outstanding};

use crate::driver::Driver;
use crate::error::Error;
use crate::harness::{self, Kind};
use crate::perform::Agent;
use crate::request::Notice;

impl Driver<'_> {
    /// Looks once, when a harness is about to be asked: what the run recorded of it may not hold any more.
    ///
    /// A program that does not tell its version, or an old one, stops the run before it is asked.
    pub(crate) fn look_first(&mut self) -> Result<(), Error> {
        let next = outstanding(&self.run).into_iter().next();
        let (Some(Effect::Prepare { turn, .. } | Effect::RunTurn { turn, .. }), Some(step)) =
            (next, self.run.current_step().cloned())
        else {
            return Ok(());
        };
        let of = self.run.own_provider(&turn);
        let known = match &of {
            Some(name) => self.desk.looked_at.contains(name),
            None => self.desk.has_looked,
        };
        if known || turn.role.is_code() {
            return Ok(());
        }
        let agent = self.agent_of(&step, turn.role)?;
        let Some(Agent::Harness { kind, harness }) = agent else { return Ok(()) };
        match &of {
            Some(name) => drop(self.desk.looked_at.insert(name.clone())),
            None => self.desk.has_looked = true,
        }
        let program = Path::new(&harness.program);
        let version = match kind {
            // It tells its version only when it is spoken to.
            Kind::Acp => None,
            Kind::Codex | Kind::Claude => {
                match harness::usable(kind, program, self.parts.stage1.as_ref()) {
                    Ok((version, newer)) => {
                        if let Some(text) = newer.filter(|_| version.to_string() != harness.version)
                        {
                            self.progress.notice(&Notice::Note { text: &text });
                        }
                        Some(version.to_string())
                    }
                    Err(why) => {
                        let name = kind.name();
                        let was =
                            format!("it was version {} when it was last seen", harness.version);
                        let message = format!("{name} cannot be asked: {why} ({was})");
                        return self.tell(Input::Stuck { message }).map(drop);
                    }
                }
            }
        };
        let workspace = self.desk.layout.root().display().to_string();
        self.tell(Input::Found { workspace, of, version }).map(drop)
    }
}
