//! One turn recorded: the files before it, and after it what changed and what was answered.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use botpipe_kernel::ids::TurnId;
use botpipe_kernel::plan::Step;
use botpipe_kernel::run::{FailureClass, FileStamp, Input, SnapshotId, TurnResult};
use botpipe_providers::{Cassette, FilePatch, RecordedEnd, Recording};
use serde::{Deserialize, Serialize};

use super::FOLDER;
use crate::driver::{Driver, activity_name};
use crate::perform::{Trouble, asked};
use crate::plain;
use crate::request::Notice;
use crate::workspace::artifacts;
use crate::workspace::files;
use crate::workspace::layout::WorkspacePath;

/// Records the turns of one owner.
pub(crate) struct Recorder {
    pub(super) folder: PathBuf,
    /// What the running turn was seen doing.
    heard: Vec<String>,
}

/// The files before a turn.
#[derive(Serialize, Deserialize)]
struct Before {
    tree: SnapshotId,
    /// The files of the workflow's folder, relative to it.
    files: BTreeMap<String, FileStamp>,
}

impl Recorder {
    /// `None` when the run is not recorded.
    pub(crate) fn open(run_folder: &WorkspacePath) -> Option<Self> {
        let folder = run_folder.absolute.join(FOLDER);
        folder.is_dir().then_some(Self { folder, heard: Vec::new() })
    }

    /// Keeps a line that the turn was seen printing.
    pub(crate) fn hear(&mut self, line: &str) {
        if self.heard.len() < MOST_LINES {
            self.heard.push(line.chars().take(LONGEST_LINE).collect());
        }
    }

    fn before(&self, turn: &TurnId) -> PathBuf {
        self.folder.join(file_name(turn)).with_extension("before")
    }
}

/// Lines of activity that are kept of a turn, and characters of each.
const MOST_LINES: usize = 200;
const LONGEST_LINE: usize = 300;
/// The largest file that is recorded.
const LARGEST: u64 = 4 << 20;

/// A turn's recording, by its path: another start of the turn replaces it.
pub(super) fn file_name(turn: &TurnId) -> PathBuf {
    let name = activity_name(&TurnId { start: 1, ..turn.clone() }).with_extension("json");
    name.file_name().map(PathBuf::from).unwrap_or(name)
}

impl Driver<'_> {
    /// Looks at the files before a turn that is to be recorded. A turn that was cut off is recorded
    /// from its first start on.
    pub(crate) fn begin_recording(&mut self, turn: &TurnId) {
        let Some(recorder) = &mut self.desk.recorder else { return };
        recorder.heard.clear();
        let path = recorder.before(turn);
        if turn.start > 1 && path.exists() {
            return;
        }
        let done = self.before().and_then(|before| {
            let text = serde_json::to_string(&before).map_err(|error| error.to_string())?;
            fs::write(&path, text).map_err(|error| error.to_string())
        });
        self.note_unrecorded(turn, done.err());
    }

    /// Records what a turn left and answered.
    pub(crate) fn end_recording(&mut self, turn: &TurnId, prompt: &str, ended: &Input) {
        let Some(recorder) = &self.desk.recorder else { return };
        // It goes on, and is recorded from its first start on.
        if matches!(ended, Input::PermissionWanted { .. }) {
            return;
        }
        let Input::TurnEnded { result, .. } = ended else {
            // Nothing was done: what others do until it is asked again is not its own.
            return drop(fs::remove_file(recorder.before(turn)));
        };
        let end = match result {
            TurnResult::Failed { class: FailureClass::ReplayMismatch, .. } => return,
            TurnResult::Failed { class, message } => {
                RecordedEnd::Failed { class: *class, message: message.clone() }
            }
            TurnResult::Completed { text, .. } => match self.parts.text(text) {
                Ok(text) => RecordedEnd::Answer(text),
                Err(error) => return self.note_unrecorded(turn, Some(error.to_string())),
            },
        };
        let done = self.recording(turn, prompt, end);
        self.note_unrecorded(turn, done.err());
    }

    fn note_unrecorded(&self, turn: &TurnId, why: Option<String>) {
        if let Some(why) = why {
            let text = format!("turn {turn} could not be recorded: {why}");
            self.progress.notice(&Notice::Note { text: &text });
        }
    }

    fn before(&mut self) -> Result<Before, String> {
        let tree = self.desk.snapshots.take().map_err(|error| error.to_string())?;
        Ok(Before { tree, files: self.folder_files()? })
    }

    /// What stands in the workflow's folder beside the records of runs.
    fn folder_files(&self) -> Result<BTreeMap<String, FileStamp>, String> {
        let root = self.desk.layout.place_of(Path::new(&self.desk.folder));
        let mut found = BTreeMap::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).map_err(|error| error.to_string())? {
                let path = entry.map_err(|error| error.to_string())?.path();
                let Ok(relative) = path.strip_prefix(&root) else { continue };
                // Those beside this run write their files here too.
                if relative == Path::new("runs") || path.file_name().is_some_and(plain::is_half) {
                    continue;
                }
                if path.is_dir() && !path.is_symlink() {
                    folders.push(path);
                } else if let (Some(stamp), Some(name)) =
                    (artifacts::stamp(&path), relative.to_str())
                {
                    found.insert(name.to_owned(), stamp);
                }
            }
        }
        Ok(found)
    }

    fn recording(&mut self, turn: &TurnId, prompt: &str, end: RecordedEnd) -> Result<(), String> {
        let Some(recorder) = &self.desk.recorder else { return Ok(()) };
        let (file, activity) = (recorder.folder.join(file_name(turn)), recorder.heard.clone());
        let before =
            fs::read_to_string(recorder.before(turn)).map_err(|error| error.to_string())?;
        let before: Before = serde_json::from_str(&before).map_err(|error| error.to_string())?;
        let now = self.before()?;
        let request = self.run.visit.as_ref().and_then(|visit| visit.request.clone());
        let mut recording = Recording {
            // What a person gave may hold a secret, and a cassette is made to be shared.
            asked: request
                .as_ref()
                .and_then(|request| asked(self, prompt, request))
                .map(|text| self.desk.redactor.redact(&text).into_owned()),
            request,
            activity,
            artifacts: BTreeMap::new(),
            patch: BTreeMap::new(),
            end,
        };
        let changed = self.desk.snapshots.changed(&before.tree, &now.tree);
        for path in changed.map_err(|error| error.to_string())? {
            self.add(&path, &path, &mut recording.patch)?;
        }
        let names = self.artifact_names(turn)?;
        let of_others = match &self.desk.recorder {
            Some(recorder) => recorder.claimed_beside(&self.desk.run_id),
            None => Ok(BTreeSet::new()),
        };
        let of_others = of_others.map_err(|error| error.to_string())?;
        let gone = before.files.keys().filter(|path| !now.files.contains_key(*path));
        let written =
            now.files.iter().filter(|(path, stamp)| before.files.get(*path) != Some(stamp));
        for path in written.map(|(path, _)| path).chain(gone) {
            let whole = format!("{}/{path}", self.desk.folder);
            if let Some(name) = names.get(&whole) {
                self.add(&whole, name, &mut recording.artifacts)?;
            } else if !of_others.contains(&whole) {
                let name = format!("{{{{ workflow.folder }}}}/{path}");
                self.add(&whole, &name, &mut recording.patch)?;
            }
        }
        let cassette = Cassette {
            workflow: self.run.plan.name.to_string(),
            turns: vec![(turn.path(), recording)],
            ..Cassette::default()
        };
        fs::write(file, cassette.to_text()).map_err(|error| error.to_string())
    }

    /// Tells those that are recorded beside this run what its step may write.
    pub(crate) fn claim(&mut self, step: &Step) -> Result<(), Trouble> {
        if self.desk.recorder.is_none() {
            return Ok(());
        }
        let mut places = Vec::new();
        for name in step.writes() {
            places.push(self.artifact_place(name)?.relative);
        }
        match &self.desk.recorder {
            Some(recorder) => recorder.claim(&places).map_err(Trouble::stuck),
            None => Ok(()),
        }
    }

    /// The artifacts that a turn may write, by their path.
    fn artifact_names(&mut self, turn: &TurnId) -> Result<BTreeMap<String, String>, String> {
        let unknown = || "its step is not known".to_owned();
        let step = self.current_step().map_err(|_| unknown())?;
        let mut names = BTreeMap::new();
        for name in step.writes_of(turn.role) {
            let place = self.artifact_place(name).map_err(|_| unknown())?;
            names.insert(place.relative, name.to_string());
        }
        Ok(names)
    }

    /// Adds a file as it is now, redacted; one that cannot be recorded is told.
    fn add(
        &self,
        path: &str,
        name: &str,
        to: &mut BTreeMap<String, FilePatch>,
    ) -> Result<(), String> {
        let leave_out = |why: &str| {
            let text = format!("the recording leaves out `{path}`: {why}");
            self.progress.notice(&Notice::Note { text: &text });
            Ok(())
        };
        let mut bytes = Vec::new();
        let mut opened = match files::open(&self.desk.layout.place_of(Path::new(path))) {
            Ok(opened) if opened.metadata.len() > LARGEST => return leave_out("it is too large"),
            Ok(opened) => opened,
            Err(files::NoFile::Missing) => {
                to.insert(name.to_owned(), FilePatch::Delete);
                return Ok(());
            }
            Err(files::NoFile::Other(why)) => return leave_out(&format!("it {why}")),
            Err(files::NoFile::Failed(error)) => return Err(read(path, &error)),
        };
        (&mut opened.file)
            .take(LARGEST)
            .read_to_end(&mut bytes)
            .map_err(|error| read(path, &error))?;
        let bytes = match String::from_utf8(bytes) {
            Ok(text) => self.desk.redactor.redact(&text).into_owned().into_bytes(),
            Err(no_text) => no_text.into_bytes(),
        };
        let mode = std::os::unix::fs::MetadataExt::mode(&opened.metadata);
        to.insert(name.to_owned(), FilePatch::Write { bytes, executable: mode & 0o111 != 0 });
        Ok(())
    }
}

fn read(path: &str, error: &io::Error) -> String {
    format!("`{path}` cannot be read: {error}")
}
