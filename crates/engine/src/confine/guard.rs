//! What stands around a confined program while it runs: stand-ins for missing files, who answers on its
//! network, and who covers what turns up.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use botpipe_egress::{Bounds, Endpoint, Event, Forward, Proxy, Rules};
use botpipe_sandbox::{Contained, Watching};

use super::eyes::Eyes;
use super::lookout::Lookout;
use super::record::{self, Record};
use super::scan;
use super::whole::{Compiled, Door};
use super::work_trees::Known;
use super::{Placeholders, hints};
use crate::process::{Outside, StopSwitch};

/// Told of every refusal, as a sentence.
pub(crate) type Log = Arc<dyn Fn(&str) + Send + Sync>;

/// Stands from before a program starts until it is dropped.
pub(crate) struct Guard {
    /// Whether anything holds the program's files.
    holds_files: bool,
    doors: Vec<Door>,
    eyes: Eyes,
    lookout: Option<Lookout>,
    work_trees: Option<Known>,
    log: Log,
    standing: Mutex<Standing>,
    // Dropped last: nothing may be made in their place while anything runs.
    _record: Option<Record>,
    _placeholders: Placeholders,
}

#[derive(Debug, Default)]
struct Standing {
    proxies: Vec<Proxy>,
    forwards: Vec<Forward>,
    apis: Vec<Endpoint>,
    watching: Option<Watching>,
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard").field("doors", &self.doors.len()).finish_non_exhaustive()
    }
}

impl Guard {
    /// Stands ready for a program, unless it is asked to stop.
    pub(crate) fn stand(compiled: &Compiled, stop: &StopSwitch, log: Log) -> io::Result<Self> {
        let log = once(log);
        let files = compiled.files.as_ref();
        let wanted = files.map_or(&[][..], |files| &files.placeholders);
        let placeholders = Placeholders::make(wanted, stop)?;
        let mut lookout = files.and_then(|files| files.lookout.clone());
        if let (Some(lookout), Some(files)) = (&mut lookout, files) {
            lookout.keep(&files.kept);
            lookout.amid(&record::all(&lookout.areas()));
        }
        let work_trees = lookout.as_ref().and_then(|lookout| Known::of(&lookout.workspace));
        let record = lookout.as_ref().map(Record::of).transpose().unwrap_or_else(|error| {
            log(&format!(
                "what a program may not bring into being could not be written down ({error}): if this is killed, look \
                 yourself at what the program left"
            ));
            None
        });
        Ok(Self {
            holds_files: files.is_some(),
            doors: compiled.doors.clone(),
            eyes: Eyes::of(files, lookout.as_ref()),
            lookout,
            work_trees,
            log,
            standing: Mutex::default(),
            _record: record,
            _placeholders: placeholders,
        })
    }
}

/// Looks for what owners that died were looking out for around a workspace: before anything of it is taken for there.
pub(crate) fn take_over(workspace: &Path, log: &Log) {
    record::take_over(&[workspace.to_owned()], &mut |told| log(&in_one_line(&told)));
}

impl Drop for Guard {
    /// The program has ended: what it made that steers others is put aside.
    fn drop(&mut self) {
        if let Some(lookout) = &self.lookout {
            lookout.look_and_tell(&mut |told| (self.log)(&told));
        }
        // What is written beside the workspace was not known when this began.
        let beside = self.lookout.iter().filter(|lookout| !lookout.written.is_empty());
        for lookout in beside {
            record::take_over(&lookout.written, &mut |told| (self.log)(&told));
        }
        for told in self.work_trees.iter().flat_map(Known::gone) {
            (self.log)(&told);
        }
        if !self.holds_files {
            scan::forget();
        }
    }
}

impl Outside for Guard {
    fn serve(&self, program: &mut Contained) -> io::Result<()> {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        for (listener, door) in program.take_listeners().into_iter().zip(&self.doors) {
            let log = Arc::clone(&self.log);
            match door {
                Door::Proxy(rules) => {
                    let rules = rules.as_ref().clone();
                    let known = rules.clone();
                    let log = move |event| tell(&log, &event, &known);
                    standing.proxies.push(Proxy::serve(listener, rules, log)?);
                }
                Door::Address(address) => {
                    let bounds = Bounds::default();
                    let log = move |event| tell(&log, &event, &Rules::default());
                    standing.forwards.push(Forward::serve(listener, *address, bounds, log)?);
                }
                Door::Api(upstream) => {
                    let bounds = Bounds::default();
                    let log = move |event| tell(&log, &event, &Rules::default());
                    let api = Endpoint::serve(listener, upstream, bounds, log);
                    standing.apis.push(api.map_err(io::Error::other)?);
                }
            }
        }
        standing.watching = self.eyes.open(program.cover()?, &self.log)?;
        Ok(())
    }
}

fn tell(log: &Log, event: &Event, rules: &Rules) {
    if let Some(sentence) = hints::of_network(event, rules) {
        log(&sentence);
    }
}

/// Sentences that are told of one program.
const MOST: usize = 1000;

/// Programs try again: each sentence is told once. Of one that tries without end, so many are.
fn once(log: Log) -> Log {
    let told = Mutex::new(BTreeSet::new());
    Arc::new(move |sentence| {
        let before = {
            let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
            let before = told.len();
            if before > MOST || !told.insert(sentence.to_owned()) {
                return;
            }
            before
        };
        if before < MOST {
            log(&in_one_line(sentence));
        } else {
            log(&format!(
                "more is to be told of this program than the {MOST} sentences before this one"
            ));
        }
    })
}

/// A sentence as it is told: a name in it may hold a line break, and would say another in our name.
pub(crate) fn in_one_line(sentence: &str) -> String {
    let mut line = String::with_capacity(sentence.len());
    for character in sentence.chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_told_once_and_no_flood_of_them() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hears = Arc::clone(&heard);
        let log = once(Arc::new(move |sentence| hears.lock().unwrap().push(sentence.to_owned())));
        for _ in 0..2 {
            for n in 0..MOST + 10 {
                log(&format!("sentence {n}"));
            }
        }
        let heard = heard.lock().unwrap();
        assert_eq!(heard.len(), MOST + 1);
        assert_eq!(heard[MOST - 1], format!("sentence {}", MOST - 1));
        assert!(heard[MOST].starts_with("more is to be told"), "{}", heard[MOST]);
    }
}
