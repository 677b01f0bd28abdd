//! Folders of others that root would have written: in a sandbox it is a user like any, with no power over what is
//! not its own.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::process::geteuid;

use super::Refusal;

/// Refuses an `allow_write` that root could not write in there.
pub(super) fn check(written: &str, root: &Path) -> Result<(), Refusal> {
    match root.symlink_metadata() {
        Ok(there) if geteuid().is_root() && !is_written_by_root(&there) => {
            Err(refusal(written, root, (there.uid(), there.gid())))
        }
        _ => Ok(()),
    }
}

fn is_written_by_root(there: &Metadata) -> bool {
    let may = |bit: u32| there.mode() & bit != 0;
    there.uid() == 0 || may(0o002) || (there.gid() == 0 && may(0o020))
}

fn refusal(written: &str, root: &Path, (user, group): (u32, u32)) -> Refusal {
    Refusal {
        control: "allow_write",
        what: format!(
            "`allow_write: {written}` is `{}`, which is user {user}'s, and in a sandbox root writes only what is its own",
            root.display()
        ),
        permit: format!(
            "run this as that user (`setpriv --reuid={user} --regid={group} --clear-groups`, `docker run --user \
             {user}:{group}`), or `chown -R 0:0` it; `sandbox_mode: read_only` reads it as it is"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_somebody_elses_is_told_by_number() {
        let folder = tempfile::tempdir().unwrap();
        assert!(check(".", folder.path()).is_ok());
        if geteuid().is_root() {
            std::os::unix::fs::chown(folder.path(), Some(4321), Some(1234)).unwrap();
            let refusal = check(".", folder.path()).unwrap_err();
            assert!(refusal.what.contains("user 4321's"), "{refusal}");
            assert!(refusal.permit.contains("--user 4321:1234"), "{refusal}");
        }
    }
}
