//! Files that a producer must leave alone: what they are when a visit begins, and whether they still are.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use botpipe_kernel::plan::Step;
use botpipe_kernel::run::Ref;

use super::Trouble;
use crate::driver::Driver;
use crate::plain::{self, Opened};
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
        found.insert(name(), content_of(plain::follow(&path)?)?);
    } else {
        found.insert(name(), "a special file".to_owned());
    }
    Ok(())
}

/// A digest; of a file that claims to be so long that nobody reads all of it, what changes with any change of it.
fn content_of(mut opened: Opened) -> std::io::Result<String> {
    let about = &opened.metadata;
    if about.len() > LARGEST {
        let (seconds, part) = (about.ctime(), about.ctime_nsec());
        return Ok(format!("{} bytes, changed at {seconds}.{part:09}", about.len()));
    }
    // It may grow while it is read.
    Ok(files::digest_read(&mut (&mut opened.file).take(LARGEST + 1))?.to_string())
}

/// As that of a snapshot.
const LARGEST: u64 = 1 << 30;

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::path::Path;

    #[test]
    fn a_protected_file_that_claims_any_length_is_not_read_through() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let now = || {
            let mut found = super::Content::new();
            super::walk(root, Path::new("long"), &mut found).unwrap();
            found
        };
        let long = File::create(root.join("long")).unwrap();
        assert!([1 << 50, 1 << 43, 1 << 40].iter().any(|length| long.set_len(*length).is_ok()));
        let before = now();
        assert_eq!(before, now());
        std::thread::sleep(std::time::Duration::from_millis(20));
        std::os::unix::fs::FileExt::write_at(&long, b"x", 7).unwrap();
        assert_ne!(before, now());
    }
}
