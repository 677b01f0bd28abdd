//! Files that a producer must leave alone: what they are when a visit begins, and whether they still are.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use botpipe_kernel::plan::Step;
use botpipe_kernel::run::Ref;

use super::Trouble;
use crate::driver::Driver;
use crate::workspace::files;

/// What stands at protected paths: a file's digest, a link's target; by path.
type Content = BTreeMap<String, String>;

/// What a step protects as it is now; nothing for a step that protects nothing.
pub(super) fn content(driver: &Driver<'_>, step: &Step) -> Result<Option<Ref>, Trouble> {
    if step.protect.is_empty() {
        return Ok(None);
    }
    let now = look(driver, step)?;
    let text = serde_json::to_string(&now).map_err(Trouble::stuck)?;
    driver.keep(&text).map(Some)
}

/// The protected files that are not what they were when the visit began.
pub(super) fn touched(driver: &Driver<'_>, step: &Step) -> Result<Vec<String>, Trouble> {
    let Some(before) = &driver.current_visit()?.baseline.protected else { return Ok(Vec::new()) };
    let before: Content = serde_json::from_str(&driver.text_of(before)?).map_err(Trouble::stuck)?;
    let now = look(driver, step)?;
    let differs = |path: &&String| before.get(*path) != now.get(*path);
    let mut touched: Vec<String> =
        before.keys().chain(now.keys()).filter(differs).cloned().collect();
    touched.sort();
    touched.dedup();
    Ok(touched)
}

fn look(driver: &Driver<'_>, step: &Step) -> Result<Content, Trouble> {
    let root = driver.desk.layout.root();
    let mut found = Content::new();
    for path in &step.protect {
        let path = path.trim_start_matches("./").trim_end_matches('/');
        walk(root, Path::new(path), &mut found).map_err(|error| Trouble::Stuck {
            message: format!("protected `{path}` of step `{}` cannot be read: {error}", step.id),
        })?;
    }
    Ok(found)
}

fn walk(root: &Path, relative: &Path, found: &mut Content) -> std::io::Result<()> {
    let path = root.join(relative);
    let name = || relative.to_string_lossy().into_owned();
    let about = match fs::symlink_metadata(&path) {
        Ok(about) => about,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if about.is_dir() {
        for entry in fs::read_dir(&path)? {
            walk(root, &relative.join(entry?.file_name()), found)?;
        }
    } else if about.is_symlink() {
        found.insert(name(), format!("-> {}", fs::read_link(&path)?.display()));
    } else if about.is_file() {
        let digest = files::digest_read(&mut fs::File::open(&path)?)?;
        found.insert(name(), digest.to_string());
    } else {
        found.insert(name(), "a special file".to_owned());
    }
    Ok(())
}
