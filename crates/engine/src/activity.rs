//! What a turn said, read back from its side file: as it came, or in words for a person who watches.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use botpipe_kernel::ids::{Digest, TurnId};
use botpipe_kernel::run::{Event, Run, Usage};
use botpipe_providers::{Asked, Codec, Rules};
use serde::{Deserialize, Serialize};

use crate::driver::activity_name;
use crate::engine::{Engine, RunView};
use crate::harness::Kind;
use crate::perform::{TOLD, codec_of};
use crate::policy;
use crate::process::Stream;
use crate::request::RunSummary;
use crate::workspace::files::Hasher;

/// A line that a turn printed, redacted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub stream: Stream,
    pub text: String,
    /// Botpipe itself says it, of what the program was refused.
    pub by_botpipe: bool,
}

/// What a turn was refused, as it was told when the turn ended.
///
/// # Shape
/// `{"turn":"do/1/producer/1","sentences":["`src/b` is not written: …"]}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    pub turn: TurnId,
    pub sentences: Vec<String>,
}

/// The side file of a turn, read as far as it is written.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    read: u64,
    hasher: Hasher,
}

/// A row of a side file.
#[derive(Deserialize)]
struct Row {
    s: String,
    l: String,
    #[serde(default)]
    by: Option<String>,
}

impl From<Row> for Line {
    fn from(Row { s, l, by }: Row) -> Self {
        let stream = if s == "err" { Stream::Stderr } else { Stream::Stdout };
        Self { stream, text: l, by_botpipe: by.as_deref() == Some("botpipe") }
    }
}

impl Tail {
    /// Where it is, or would be.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives what was written since to `each`, until that says false; whether it never did.
    ///
    /// # Errors
    /// A file that cannot be read. One that is not there has nothing yet.
    pub fn more(&mut self, each: &mut dyn FnMut(Line) -> bool) -> io::Result<bool> {
        let mut file = match File::open(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(true),
            file => file?,
        };
        file.seek(SeekFrom::Start(self.read))?;
        let mut rows = BufReader::new(file);
        let mut row = Vec::new();
        loop {
            row.clear();
            rows.read_until(b'\n', &mut row)?;
            if row.last() != Some(&b'\n') {
                // Half a row is a whole one soon.
                return Ok(true);
            }
            self.read += row.len() as u64;
            self.hasher.update(&row);
            // A row that cannot be read is none of ours; the digest will tell.
            let Ok(row) = serde_json::from_slice::<Row>(&row) else { continue };
            if !each(row.into()) {
                return Ok(false);
            }
        }
    }

    /// Whether what was read is what was recorded at the turn's end.
    pub fn is_intact(self, recorded: Option<&Digest>) -> bool {
        match recorded {
            Some(recorded) => self.hasher.finish() == *recorded,
            None => self.read == 0,
        }
    }
}

/// Turns what an agent prints into words for a person who watches.
pub struct Words {
    /// The harness's protocol; a plain program's lines are words already.
    codec: Option<Box<dyn Codec>>,
}

impl Words {
    /// What a line says, if it is worth a person's while.
    pub fn of(&mut self, line: &Line) -> Option<String> {
        match &mut self.codec {
            // Told with the turn's end.
            _ if line.by_botpipe => None,
            Some(_) if line.stream == Stream::Stderr => None,
            Some(codec) => codec.hear(&line.text).say,
            None => Some(line.text.clone()),
        }
    }
}

impl Engine {
    /// What a turn was refused; nothing where its side file is gone, or older than these rows.
    pub fn refused(&self, run: &RunSummary, turn: &TurnId) -> Vec<String> {
        let path = self.tail(run, turn).path;
        let lines = last_rows(&path).unwrap_or_default().into_iter().map(Line::from);
        let told = lines.filter(|line| line.by_botpipe);
        told.map(|line| line.text.strip_prefix(TOLD).unwrap_or(&line.text).to_owned()).collect()
    }

    /// What each turn of a run was refused, in the order in which they ended.
    pub fn all_refused(&self, view: &RunView) -> Vec<Refused> {
        let ended = view.events.iter().filter_map(|stored| match &stored.event {
            Event::TurnEnded { turn, activity: Some(_), .. } => Some(turn.clone()),
            _ => None,
        });
        let refused = ended.map(|turn| {
            let sentences = self.refused(&view.summary, &turn);
            Refused { turn, sentences }
        });
        refused.filter(|it| !it.sentences.is_empty()).collect()
    }

    /// What a turn said, from its beginning.
    pub fn tail(&self, run: &RunSummary, turn: &TurnId) -> Tail {
        let folder = self.parts.layout.run_folder(&run.task, &run.workflow, &run.run);
        let path = folder.absolute.join(activity_name(turn));
        Tail { path, read: 0, hasher: Hasher::default() }
    }

    /// The words of a turn that runs, given the run inside it.
    pub fn words(&self, run: &Run, turn: &TurnId) -> Words {
        let provider = run.provider_of_turn(turn);
        let agent = provider.as_ref().and_then(Kind::of);
        let (Some((kind, harness)), true) = (agent, !turn.role.is_code()) else {
            return Words { codec: None };
        };
        let layout = self.parts.layout.where_recorded(run.workspace.as_deref());
        let root = layout.root();
        let cwd = root.display().to_string();
        let asked = Asked {
            harness,
            prompt: "",
            cwd: &cwd,
            session: run.visit.as_ref().and_then(|it| it.session()?.token.as_deref()),
            from: None,
            new_session: "",
            session_cost: 0,
            session_usage: &Usage::default(),
            access: &policy::UNCONFINED,
            asks: false,
            rules: &Rules::NONE,
            has_login: true,
            has_variable: &|_| false,
        };
        Words { codec: Some(codec_of(kind, &asked).1) }
    }

    /// A run as a list shows it now.
    ///
    /// # Errors
    /// No such run; a journal that cannot be read.
    pub fn look(&self, view: &RunView) -> Result<RunSummary, crate::Error> {
        let RunSummary { run, task, workflow, .. } = &view.summary;
        let (workflow, task, run) = (workflow.clone(), task.clone(), Some(run.clone()));
        let row = self.find(&crate::request::RunRef { workflow, task, run })?;
        Ok(crate::engine::summary_of(&row))
    }
}

/// The last rows of a side file: what was refused is told at the end of a turn.
fn last_rows(path: &Path) -> io::Result<Vec<Row>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LAST_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(LAST_BYTES).read_to_end(&mut bytes)?;
    // Half a row is none.
    let rows =
        bytes.split(|byte| *byte == b'\n').filter_map(|row| serde_json::from_slice(row).ok());
    Ok(rows.collect())
}

/// Room for all the sentences that are told of one turn, with the longest paths.
const LAST_BYTES: u64 = 1 << 20;
