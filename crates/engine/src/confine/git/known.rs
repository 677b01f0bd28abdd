//! What there is of git in a workspace, and what there was before a program started.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::odd::Odd;
use super::paths::Stamp;
use super::states::Programs;
use crate::confine::scan::{Kind, Names};

/// What there was of git before a program started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::confine) struct Known {
    /// Folders of git's own, whose settings and hooks are kept; and whether they had settings.
    #[serde(with = "by_path")]
    pub(super) folders: BTreeMap<PathBuf, bool>,
    /// Every `.git` that is no folder.
    pub(super) links: BTreeSet<OsString>,
    /// What stands half done in them.
    #[serde(with = "by_path")]
    pub(super) programs: Programs,
    /// What was no file and no folder in them.
    #[serde(default, with = "by_path")]
    pub(super) odd: Odd,
    /// Settings of work trees, and folders that say where git fetches from.
    #[serde(default)]
    pub(super) stood: BTreeSet<OsString>,
    /// Their indexes, as far as it would show if they changed.
    #[serde(default, with = "by_path")]
    pub(super) indexes: BTreeMap<PathBuf, Stamp>,
    /// What is looked through beside the workspace.
    pub(super) beside: BTreeSet<OsString>,
    /// Folders of hooks that the person's own settings name in each work tree.
    pub(super) hooks: BTreeSet<OsString>,
    /// Programs that they name so, and those of all that settings name in work trees which were there.
    #[serde(default)]
    pub(super) scripts: BTreeSet<OsString>,
    #[serde(default)]
    pub(super) scripts_there: BTreeSet<OsString>,
    pub(super) home: Option<OsString>,
    /// Nothing of the workspace is written.
    pub(super) only_beside: bool,
    /// Folders that whoever runs this may not look into, and no program either.
    #[serde(default)]
    pub(super) closed: BTreeSet<OsString>,
}

impl Known {
    /// These were closed to whoever runs this, and so to the program.
    pub(in crate::confine) fn closed_before(&mut self, folders: &[PathBuf]) {
        self.closed = folders.iter().map(|folder| folder.clone().into_os_string()).collect();
    }
}

/// Paths are any bytes, which keys of JSON are not.
mod by_path {
    use std::collections::BTreeMap;
    use std::ffi::{OsStr, OsString};
    use std::path::PathBuf;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<V: Serialize, S: Serializer>(
        map: &BTreeMap<PathBuf, V>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let pairs = map.iter().map(|(path, value)| (path.as_os_str(), value));
        pairs.collect::<Vec<(&OsStr, &V)>>().serialize(to)
    }

    pub(super) fn deserialize<'de, V: Deserialize<'de>, D: Deserializer<'de>>(
        from: D,
    ) -> Result<BTreeMap<PathBuf, V>, D::Error> {
        let pairs = Vec::<(OsString, V)>::deserialize(from)?;
        Ok(pairs.into_iter().map(|(path, value)| (path.into(), value)).collect())
    }
}

/// What there is of git among the names in a folder.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Folders that git takes for its own, whatever they are called: nobody needs a `.git` to use one.
    pub(super) folders: BTreeSet<PathBuf>,
    /// Every `.git` that is no folder.
    pub(super) links: BTreeSet<PathBuf>,
}

impl Found {
    /// # Source
    /// `is_git_directory` of git 2.47.
    pub(super) fn in_names(base: &Path, names: &Names) -> Self {
        let mut found = Self::default();
        for (folder, entries) in names.all() {
            let (mut head, mut objects, mut refs, mut common) = (false, false, false, false);
            // What is in one that is none yet, `git init` takes over.
            let named = folder.file_name().is_some_and(|name| name == ".git");
            for entry in entries {
                match entry.name.as_encoded_bytes() {
                    b"HEAD" => head = entry.kind != Kind::Folder,
                    b"objects" => objects = true,
                    b"refs" => refs = true,
                    b"commondir" => common = entry.kind != Kind::Folder,
                    b".git" if entry.kind != Kind::Folder => {
                        found.links.insert(base.join(folder).join(".git"));
                    }
                    _ => {}
                }
            }
            if named || (head && ((objects && refs) || common)) {
                // Joined with nothing, a path would end in a slash.
                let path =
                    if folder.as_os_str().is_empty() { base.into() } else { base.join(folder) };
                found.folders.insert(path);
            }
        }
        found
    }
}
