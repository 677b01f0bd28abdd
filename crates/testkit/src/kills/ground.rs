//! The ground of one trial: a scratch repository with unfinished work of its owner, and the ledger beside it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::agent::Ledger;

/// The programs of a proof.
#[derive(Debug, Clone)]
pub struct Programs {
    /// The `botpipe` to be proved.
    pub botpipe: PathBuf,
    /// The `fake-agent` it drives.
    pub agent: PathBuf,
    /// The agent's script.
    pub script: PathBuf,
}

/// A folder with a workspace in it, and beside it what must not be in the workspace.
#[derive(Debug)]
pub struct Ground {
    folder: PathBuf,
}

/// Why a ground cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum GroundError {
    /// A file or folder.
    #[error("`{}` could not be used", path.display())]
    File {
        /// Which.
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A program did not do its work.
    #[error("`{line}` could not be run: {why}")]
    Program {
        /// Its command line.
        line: String,
        /// What it said.
        why: String,
    },
}

/// What a tree holds: by path, the mode and the bytes of a file or the target of a link.
pub(super) type Tree = BTreeMap<String, (u32, Vec<u8>)>;

impl Ground {
    /// Makes it: a repository with a commit, an edited, a staged, an untracked and an ignored file.
    pub fn make(folder: &Path) -> Result<Self, GroundError> {
        let ground = Self { folder: folder.to_owned() };
        let file = |relative: &str, text: &str| ground.write(relative, text);
        file("README.md", "# A small project\n")?;
        file("NOTES.md", "Old notes.\n")?;
        file(".gitignore", "*.log\n")?;
        ground.git(&["init", "-q", "-b", "main"])?;
        ground.git(&["add", "."])?;
        ground.git(&["commit", "-q", "-m", "A small project"])?;
        file("NOTES.md", "Old notes.\nEdited, not staged.\n")?;
        file("staged.txt", "staged\n")?;
        ground.git(&["add", "staged.txt"])?;
        file("untracked.txt", "untracked\n")?;
        file("own.log", "ignored\n")?;
        Ok(ground)
    }

    /// A copy with the same bytes.
    pub fn copy(&self, folder: &Path) -> Result<Self, GroundError> {
        let mut copy = Command::new("cp");
        copy.arg("-a").arg(&self.folder).arg(folder);
        run(&mut copy)?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where Botpipe works.
    pub fn workspace(&self) -> PathBuf {
        self.folder.join("workspace")
    }

    /// What the agent was asked to do.
    pub fn ledger(&self) -> Ledger {
        Ledger::at(&self.folder.join("ledger.jsonl"))
    }

    /// What grows while somebody who got away is alive.
    pub fn beats(&self) -> PathBuf {
        self.folder.join("beats")
    }

    /// What no policy lets an agent write.
    pub(super) fn forbidden(&self) -> PathBuf {
        self.workspace().join(".git").join("hooks").join("after-the-turn")
    }

    /// Takes the sandbox away: runs of this ground are held by nothing but their end.
    pub(super) fn without_sandbox(self) -> Result<Self, GroundError> {
        self.write("botpipe.yaml", "policy: { sandbox_mode: danger_full_access }\n")?;
        Ok(self)
    }

    /// `botpipe run ralph_loop` on this ground, the agent trying to escape.
    pub fn run(&self, programs: &Programs) -> Command {
        let words = ["run", "ralph_loop", "Greet by name", "--task", TASK];
        self.with_agent(programs, &words)
    }

    /// `botpipe` with these words and the fake agent, which tries to escape and to write what is forbidden.
    pub(super) fn with_agent(&self, programs: &Programs, words: &[&str]) -> Command {
        let mut command = self.botpipe(&programs.botpipe, words);
        command.args(["--provider", "command", "--"]);
        command.arg(&programs.agent).arg("--script").arg(&programs.script);
        command.arg("--ledger").arg(self.ledger().path()).arg("--escape").arg(self.beats());
        command.arg("--forbidden").arg(self.forbidden());
        command
    }

    /// `botpipe resume ralph_loop` on this ground.
    pub fn resume(&self, programs: &Programs) -> Command {
        self.botpipe(&programs.botpipe, &["resume", "ralph_loop", TASK])
    }

    /// The events that are recorded, as JSON lines; none when there is no run.
    pub(super) fn events(&self, botpipe: &Path) -> Result<Option<String>, GroundError> {
        self.beside(|look| look.say(botpipe, &["logs", "ralph_loop", TASK, "--events"]))
    }

    /// Looks at what is recorded in a copy, so that looking changes nothing; nothing where nothing is.
    pub(super) fn beside<T>(
        &self,
        look: impl FnOnce(&Self) -> Result<Option<T>, GroundError>,
    ) -> Result<Option<T>, GroundError> {
        if !self.workspace().join(".botpipe").exists() {
            return Ok(None);
        }
        let copied = Self { folder: self.folder.join("look") };
        remove(&copied.folder)?;
        fs::create_dir_all(copied.workspace()).map_err(|source| error(&copied.folder, source))?;
        let mut copy = Command::new("cp");
        copy.arg("-a").arg(self.workspace().join(".botpipe")).arg(copied.workspace());
        run(&mut copy)?;
        let found = look(&copied)?;
        remove(&copied.folder)?;
        Ok(found)
    }

    /// What a `botpipe` that only looks prints; nothing when what it looks for is not there.
    pub(super) fn say(
        &self,
        botpipe: &Path,
        words: &[&str],
    ) -> Result<Option<String>, GroundError> {
        let mut command = self.botpipe(botpipe, words);
        let output = command.output().map_err(|source| error(botpipe, source))?;
        match output.status.code() {
            Some(0) => Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned())),
            Some(NOT_FOUND) => Ok(None),
            _ => Err(refused(&command, &output)),
        }
    }

    /// All that the run leaves to its users: the workspace with `.git`, and of `.botpipe` the artifacts.
    pub(super) fn tree(&self) -> Result<Tree, GroundError> {
        let root = self.workspace();
        let mut tree = Tree::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            let entries = fs::read_dir(&folder).map_err(|source| error(&folder, source))?;
            for entry in entries {
                let path = entry.map_err(|source| error(&folder, source))?.path();
                let name = path.strip_prefix(&root).unwrap_or(&path).display().to_string();
                let private = name.starts_with(".botpipe") && !".botpipe/tasks".starts_with(&name);
                let artifact = name.starts_with(".botpipe/tasks/") && !name.contains("/runs");
                if private && !artifact {
                    continue;
                }
                let meta = path.symlink_metadata().map_err(|source| error(&path, source))?;
                let bytes = if meta.is_dir() {
                    folders.push(path.clone());
                    Ok(Vec::new())
                } else if meta.is_symlink() {
                    fs::read_link(&path).map(|to| to.display().to_string().into_bytes())
                } else {
                    fs::read(&path)
                };
                let bytes = bytes.map_err(|source| error(&path, source))?;
                tree.insert(name, (meta.permissions().mode(), bytes));
            }
        }
        Ok(tree)
    }

    /// Whether a run is recorded: its chain of events has an end.
    pub(super) fn recorded(&self) -> bool {
        let heads = fs::read_dir(self.workspace().join(".botpipe").join("heads"));
        heads.is_ok_and(|mut heads| heads.next().is_some())
    }

    /// `botpipe` with these words, in the workspace.
    pub(super) fn botpipe(&self, botpipe: &Path, words: &[&str]) -> Command {
        let mut command = Command::new(botpipe);
        // The agent keeps its ledger there, beside the workspace.
        command.env("BOTPIPE_ALLOW_WRITE", &self.folder);
        command.args(words).current_dir(self.workspace()).env("NO_COLOR", "1");
        command.stdin(Stdio::null());
        command
    }

    /// Writes a file of the workspace.
    pub(super) fn write(&self, relative: &str, text: &str) -> Result<(), GroundError> {
        let path = self.workspace().join(relative);
        let folder = path.parent().unwrap_or(&path);
        let written = fs::create_dir_all(folder).and_then(|()| fs::write(&path, text));
        written.map_err(|source| error(&path, source))
    }

    fn git(&self, words: &[&str]) -> Result<(), GroundError> {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=Somebody", "-c", "user.email=somebody@example.com"]);
        run(git.args(words).current_dir(self.workspace()))
    }
}

/// Runs a program that must do well.
fn run(command: &mut Command) -> Result<(), GroundError> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|source| error(Path::new(command.get_program()), source))?;
    if output.status.success() { Ok(()) } else { Err(refused(command, &output)) }
}

fn refused(command: &Command, output: &Output) -> GroundError {
    let why = format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    GroundError::Program { line: format!("{command:?}"), why }
}

pub(super) fn remove(folder: &Path) -> Result<(), GroundError> {
    match fs::remove_dir_all(folder) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(error(folder, source)),
        _ => Ok(()),
    }
}

pub(super) fn error(path: &Path, source: io::Error) -> GroundError {
    GroundError::File { path: path.to_owned(), source }
}

/// The task of the run.
pub(super) const TASK: &str = "greet";
/// Exit code of a command whose run is not there.
const NOT_FOUND: i32 = 3;
