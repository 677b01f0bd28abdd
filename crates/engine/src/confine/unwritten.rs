//! What may not be written by any of its names: what `deny_write` names, the links on the way there, and every
//! other name of those files.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use botpipe_sandbox::Layer;
use globset::{GlobBuilder, GlobSetBuilder};

use super::links::{self, follow};
use super::paths::{absolute, is_pattern};
use super::pattern::Pattern;
use super::placeholders::is_there;
use super::scan::{self, Names};
use super::{Gap, Refusal, Site};

const CONTROL: &str = "deny_write";

/// What `deny_write` names.
#[derive(Debug, Default)]
pub(super) struct Unwritten {
    /// What is there, without links in its path; a link by its own name.
    pub(super) there: BTreeSet<PathBuf>,
    /// What is not there, by names of one place.
    pub(super) missing: BTreeSet<PathBuf>,
    pub(super) gaps: Vec<Gap>,
}

/// Finds what they name. `laid` is what a program sees of the host.
pub(super) fn find(
    written: &[String],
    site: &Site,
    names: &Names,
    laid: &[Layer],
) -> Result<Unwritten, Refusal> {
    let mut found = Unwritten::default();
    if written.is_empty() {
        return Ok(found);
    }
    let mut patterns = Vec::new();
    let mut set = GlobSetBuilder::new();
    for text in written {
        let whole = text.strip_suffix("/**").unwrap_or(text);
        let path = absolute(whole, site);
        if !is_pattern(whole) {
            found.add(&path);
            continue;
        }
        let inside = path.strip_prefix(&site.workspace);
        let inside = inside.map_err(|_| refused(text, "is a pattern outside the workspace"))?;
        let inside = inside.to_string_lossy();
        let none = |error: &str| refused(text, &format!("is no pattern: {error}"));
        let glob = GlobBuilder::new(&inside).literal_separator(true).build();
        set.add(glob.map_err(|error| none(&error.to_string()))?);
        let all = Pattern::all(&site.workspace, &inside).map_err(|error| none(&error))?;
        patterns.extend(all.into_iter().map(|pattern| (text, pattern)));
        found.gaps.push(Gap {
            control: CONTROL,
            what: format!("what comes to match `{text}` while a program runs can be written by it"),
        });
    }
    if !patterns.is_empty() {
        let through = links::through(CONTROL, &patterns, site, names, laid)?;
        found.there.extend(through.there.into_iter().chain(through.links));
        for glob in &through.inside {
            let glob = GlobBuilder::new(glob).literal_separator(true).build();
            set.add(glob.map_err(|error| refused(&error.to_string(), "is no pattern"))?);
        }
        let set = set.build().map_err(|error| refused(&error.to_string(), "is no pattern"))?;
        for (path, _) in names.entries().filter(|(path, _)| set.is_match(path)) {
            found.add(&site.workspace.join(path));
        }
    }
    if !names.linked().is_empty() {
        let others = scan::other_names(&found.there, &site.workspace, &site.state, names);
        found.there.extend(others);
    }
    let doors = names.doors().map(|path| site.workspace.join(path));
    let within = |path: &Path| path.ancestors().any(|above| found.there.contains(above));
    let doors: Vec<PathBuf> = doors.filter(|path| within(path)).collect();
    found.there.extend(doors);
    Ok(found)
}

impl Unwritten {
    /// What a path leads to, and each link on the way.
    fn add(&mut self, path: &Path) {
        let led = follow(path);
        self.there.extend(led.links);
        if is_there(&led.to) {
            self.there.insert(led.to);
        } else {
            self.missing.insert(led.to);
        }
    }
}

/// How something is kept from being written. What a program writes to a pipe or a socket arrives although it
/// is read only: those are closed.
pub(super) fn kept(path: PathBuf) -> Layer {
    let is_door = |it: fs::Metadata| it.file_type().is_fifo() || it.file_type().is_socket();
    if fs::symlink_metadata(&path).is_ok_and(is_door) {
        Layer::Masked(path)
    } else {
        Layer::Shown(path)
    }
}

fn refused(text: &str, what: &str) -> Refusal {
    Refusal {
        control: CONTROL,
        what: format!("`{CONTROL}: {text}` {what}"),
        permit: "name the folder that holds them".to_owned(),
    }
}
