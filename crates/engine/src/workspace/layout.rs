//! Where everything of a workspace lives, and where an artifact may.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use botpipe_kernel::ids::{RunId, StepId, TaskId, WorkflowName};
use botpipe_kernel::plan::Artifact;
use rustix::fs::{FlockOperation, flock};

use super::{Error, files};
use crate::plain;

/// The places of one workspace.
///
/// # Shape
/// ```text
/// .botpipe/.gitignore   everything but workflows/ is ignored
/// .botpipe/botpipe.db · objects/ · snapshots.git/ · workflows/
/// .botpipe/worktrees/<run>/                       the files of a branch with its own
/// .botpipe/tasks/<task>/request.md
/// .botpipe/tasks/<task>/wf_<workflow>/            a workflow's artifacts
/// .botpipe/tasks/<task>/wf_<workflow>/<step>/     a step's own artifacts
/// .botpipe/tasks/<task>/wf_<workflow>/runs/<run>/ projections of a run
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
    /// The folder with `.botpipe`: the root, but for a branch with files of its own.
    home: PathBuf,
}

/// A place inside the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspacePath {
    /// Relative to the workspace, with `/`.
    pub relative: String,
    pub absolute: PathBuf,
}

impl Layout {
    /// Name of the folder that holds all that is ours.
    pub const FOLDER: &'static str = ".botpipe";

    /// What of that folder a project may keep in git.
    pub(crate) const IN_GIT: [&'static str; 2] = [".gitignore", "workflows"];

    /// The layout of an existing folder; creates nothing.
    ///
    /// # Errors
    /// [`Error::NoWorkspace`] when it is not there (a typo must not create a folder),
    /// [`Error::NotAFolder`] when it is a file, [`Error::NotReadable`] when it may not be entered.
    pub fn open(root: &Path) -> Result<Self, Error> {
        let root = match root.canonicalize() {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::NoWorkspace { path: root.to_owned() });
            }
            Err(error) => return Err(Error::io("open the workspace", root)(error)),
        };
        if !root.is_dir() {
            return Err(Error::NotAFolder { path: root });
        }
        // Else everything in it would only seem not to be there.
        let access = rustix::fs::Access::READ_OK | rustix::fs::Access::EXEC_OK;
        if let Err(error) = rustix::fs::access(&root, access) {
            return Err(Error::NotReadable { path: root, source: error.into() });
        }
        Ok(Self { home: root.clone(), root })
    }

    /// Makes `.botpipe` and its `.gitignore` where they are missing; what is there stays.
    ///
    /// # Errors
    /// [`Error::Root`] when it is the root of all, [`Error::NotAFolder`] when `.botpipe` is a file or a
    /// link, [`Error::NotWritable`] when it cannot be written.
    pub fn create(&self) -> Result<(), Error> {
        if self.root.parent().is_none() {
            return Err(Error::Root);
        }
        // A folder that only took the place goes when the program has ended that it was made for.
        for _ in 0..TRIES {
            match self.try_to_create() {
                Err(Error::NotWritable { source, .. } | Error::Io { source, .. })
                    if source.kind() == io::ErrorKind::NotFound => {}
                done => return done,
            }
        }
        self.try_to_create()
    }

    fn try_to_create(&self) -> Result<(), Error> {
        let folder = self.botpipe();
        let not_writable = |source: io::Error| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Error::DiskFull { path: folder.clone() }
            }
            _ => Error::NotWritable { path: folder.clone(), source },
        };
        match fs::create_dir(&folder) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(not_writable(error)),
        }
        let found = fs::symlink_metadata(&folder).map_err(Error::io("look at", &folder))?;
        if !found.is_dir() {
            return Err(Error::NotAFolder { path: folder });
        }
        let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
        rustix::fs::access(&folder, access).map_err(|error| not_writable(error.into()))?;
        // A clone may bring links: what is Botpipe's own is written through none.
        for own in [self.database(), self.objects(), self.snapshots(), folder.join(WORKTREES)] {
            if fs::symlink_metadata(&own).is_ok_and(|found| found.is_symlink()) {
                let link = io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "it is a symbolic link, and none is followed here: remove it",
                );
                return Err(Error::io("use", own)(link));
            }
        }
        let ignore = folder.join(".gitignore");
        if fs::symlink_metadata(&ignore).is_err() {
            files::replace(&ignore, IGNORE.as_bytes(), 0o644).map_err(not_writable)?;
        }
        Ok(())
    }

    /// Holds `.botpipe` by a shared lock while somebody works with it; `None` where no lock can be had.
    pub(crate) fn hold(&self) -> Option<File> {
        let held = File::open(self.botpipe()).ok()?;
        flock(&held, FlockOperation::NonBlockingLockShared).ok()?;
        Some(held)
    }

    /// The workspace itself; absolute, no link in it.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder with `.botpipe`.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The same workspace, with the files of a branch in its own folder.
    pub(super) fn with_root(&self, root: PathBuf) -> Self {
        Self { root, home: self.home.clone() }
    }

    /// All that is of a branch with files of its own.
    pub fn worktree(&self, run: &RunId) -> WorkspacePath {
        self.place(format!("{}/{WORKTREES}/{run}", Self::FOLDER))
    }

    /// The same workspace, with the files of a run that recorded where it worked: a folder of a branch, or
    /// the workspace, wherever that was then.
    pub(crate) fn where_recorded(&self, folder: Option<&str>) -> Self {
        let mark = format!("/{}/{WORKTREES}/", Self::FOLDER);
        match folder.and_then(|folder| folder.rsplit_once(&mark)) {
            Some((_, below)) => self.with_root(self.botpipe().join(WORKTREES).join(below)),
            None => self.clone(),
        }
    }

    /// The folder of the branch whose files these are; `None`: they are the workspace's own.
    pub(crate) fn own_folder(&self) -> Option<PathBuf> {
        let all = self.botpipe().join(WORKTREES);
        let run = self.root.strip_prefix(&all).ok()?.components().next()?;
        Some(all.join(run))
    }

    pub fn botpipe(&self) -> PathBuf {
        self.home.join(Self::FOLDER)
    }

    /// The source of truth: runs, events, leases.
    pub fn database(&self) -> PathBuf {
        self.botpipe().join("botpipe.db")
    }

    /// The content-addressed store.
    pub fn objects(&self) -> PathBuf {
        self.botpipe().join("objects")
    }

    /// The private repository of workspace trees.
    pub fn snapshots(&self) -> PathBuf {
        self.botpipe().join("snapshots.git")
    }

    /// Workflows of this workspace; the one part meant to be committed.
    pub fn workflows(&self) -> PathBuf {
        self.botpipe().join("workflows")
    }

    pub fn tasks(&self) -> PathBuf {
        self.botpipe().join("tasks")
    }

    pub fn task(&self, task: &TaskId) -> PathBuf {
        self.tasks().join(task.as_str())
    }

    /// The task's message, as a projection.
    pub fn request(&self, task: &TaskId) -> PathBuf {
        self.task(task).join("request.md")
    }

    /// A workflow's folder within a task; `{{ workflow.folder }}` is its relative form.
    pub fn workflow_folder(&self, task: &TaskId, workflow: &WorkflowName) -> WorkspacePath {
        self.place(format!("{}/tasks/{task}/wf_{workflow}", Self::FOLDER))
    }

    /// The folder of a step's own artifacts.
    pub fn step_folder(
        &self,
        task: &TaskId,
        workflow: &WorkflowName,
        step: &StepId,
    ) -> WorkspacePath {
        let folder = self.workflow_folder(task, workflow);
        self.place(format!("{}/{step}", folder.relative))
    }

    /// The folder of a run's projections.
    pub fn run_folder(&self, task: &TaskId, workflow: &WorkflowName, run: &RunId) -> WorkspacePath {
        let folder = self.workflow_folder(task, workflow);
        self.place(format!("{}/{RUNS}/{run}", folder.relative))
    }

    /// Makes the folder of a run's projections, through no link: what is in it is Botpipe's own.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be made, or a link is on the way.
    pub(crate) fn make_run_folder(
        &self,
        task: &TaskId,
        workflow: &WorkflowName,
        run: &RunId,
    ) -> Result<WorkspacePath, Error> {
        let folder = self.run_folder(task, workflow, run);
        plain::make(&folder.absolute).map_err(Error::io("create", &folder.absolute))?;
        Ok(folder)
    }

    /// Where a path lies that a program knows from its own folder on: artifacts are in the workspace, to which
    /// a branch has a link.
    pub(crate) fn place_of(&self, relative: &Path) -> PathBuf {
        let top = if relative.starts_with(Self::FOLDER) { &self.home } else { &self.root };
        top.join(relative)
    }

    /// The folder that holds those of a workflow's runs, which is kept from programs.
    pub(crate) fn runs_folder(&self, task: &TaskId, workflow: &WorkflowName) -> PathBuf {
        self.workflow_folder(task, workflow).absolute.join(RUNS)
    }

    /// Where an artifact lives, given its path as rendered: under the workflow's folder, or under
    /// its owner step's.
    ///
    /// # Errors
    /// Those of [`Layout::name_artifact`]; [`Error::LeadsAway`] when a link is on the way, [`Error::LeadsOut`]
    /// when one at its end leads out of the workspace.
    pub fn resolve_artifact(
        &self,
        task: &TaskId,
        workflow: &WorkflowName,
        artifact: &Artifact,
        rendered: &str,
    ) -> Result<WorkspacePath, Error> {
        let place = self.name_artifact(task, workflow, artifact, rendered)?;
        self.stays_inside(&place)?;
        Ok(place)
    }

    /// The same by name alone, to be told and not to be opened.
    ///
    /// # Errors
    /// [`Error::ArtifactPath`] when the path is no plain relative path.
    pub fn name_artifact(
        &self,
        task: &TaskId,
        workflow: &WorkflowName,
        artifact: &Artifact,
        rendered: &str,
    ) -> Result<WorkspacePath, Error> {
        let refuse = |rule| Error::ArtifactPath { path: rendered.to_owned(), rule };
        let mut within: Vec<&str> = artifact.owner.iter().map(StepId::as_str).collect();
        within.extend(plain_components(rendered).map_err(refuse)?);
        if within.first() == Some(&RUNS) {
            return Err(refuse("lies in `runs/`, which is kept for the records of runs"));
        }
        let folder = self.workflow_folder(task, workflow);
        Ok(self.place(format!("{}/{}", folder.relative, within.join("/"))))
    }

    /// Refuses a path on whose way there is a link, wherever that leads: a program may put it there, and
    /// Botpipe would follow it where the program itself may not go. One at its end is no artifact, which whoever
    /// wrote it is told; it is refused where it leads out.
    fn stays_inside(&self, place: &WorkspacePath) -> Result<(), Error> {
        let mut path = self.home.clone();
        let mut parts = place.relative.split('/').peekable();
        while let Some(part) = parts.next() {
            path.push(part);
            let Ok(found) = fs::symlink_metadata(&path) else { break };
            if !found.is_symlink() {
                continue;
            }
            if parts.peek().is_some() {
                return Err(Error::LeadsAway { path });
            }
            // A link to nowhere could be made to lead anywhere: it is refused as well.
            if !path.canonicalize().is_ok_and(|to| to.starts_with(&self.home)) {
                return Err(Error::LeadsOut { path });
            }
        }
        Ok(())
    }

    fn place(&self, relative: String) -> WorkspacePath {
        WorkspacePath { absolute: self.home.join(&relative), relative }
    }
}

/// The parts of a plain relative path, or the rule it breaks.
fn plain_components(path: &str) -> Result<Vec<&str>, &'static str> {
    if path.is_empty() {
        return Err("is empty");
    }
    if path.starts_with('/') {
        return Err("is absolute; it must be relative to the workflow's folder");
    }
    if path.ends_with('/') {
        return Err("names a folder");
    }
    if path.chars().any(char::is_control) {
        return Err("holds a control character (a line break, perhaps from its template)");
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") {
        return Err("leaves its folder with `..`");
    }
    if parts.is_empty() {
        return Err("names a folder");
    }
    if parts.iter().any(|part| part.len() > 255) {
        return Err("holds a name longer than 255 bytes");
    }
    Ok(parts)
}

/// How often the folder of ours is made again that goes meanwhile.
const TRIES: usize = 20;

/// The folder of a workflow's runs; no artifact may lie in it.
const RUNS: &str = "runs";

/// The folder of branches that have files of their own.
const WORKTREES: &str = "worktrees";

const IGNORE: &str = "\
# Written by botpipe. Only workflows/ is meant to be committed.
/*
!/workflows/
";
