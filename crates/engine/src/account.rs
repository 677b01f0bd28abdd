//! Whose a workspace is, where root works in another user's: programs run as that user, and what is made for them is
//! theirs.

use std::fs::{self, Metadata};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use botpipe_sandbox::Account;
use rustix::fs::{AtFlags, Gid, Stat, Uid, chownat, fchown, fstat, statat};
use rustix::process::geteuid;

use crate::plain;

/// Whose programs of a workspace are; `None`: they are whoever runs Botpipe. In a sandbox root has no power over what
/// is not its own.
pub(crate) fn of(workspace: &Path) -> Option<Account> {
    of_folder(&workspace.symlink_metadata().ok()?)
}

/// The same, by what is known of a folder.
pub(crate) fn of_folder(there: &Metadata) -> Option<Account> {
    let may = |bit: u32| there.mode() & bit != 0;
    let roots = there.uid() == 0 || may(0o002) || (there.gid() == 0 && may(0o020));
    (geteuid().is_root() && !roots).then(|| Account { user: there.uid(), group: there.gid() })
}

/// Whether an account writes what is there, as far as its rights say.
pub(crate) fn writes(Account { user, group }: Account, there: &Metadata) -> bool {
    let may = |bit: u32| there.mode() & bit != 0;
    let own = there.uid() == user && may(0o200);
    own || may(0o002) || (there.gid() == group && may(0o020))
}

/// Whether it reads what is there, as far as its rights say.
pub(crate) fn reads(Account { user, group }: Account, there: &Metadata) -> bool {
    let may = |bit: u32| there.mode() & bit != 0;
    (there.uid() == user && may(0o400)) || may(0o004) || (there.gid() == group && may(0o040))
}

/// Whose that becomes which root makes beside this, or in this folder; `None`: it is root's as it is.
fn heir(there: &Stat) -> Option<(Uid, Gid)> {
    let heir = (Uid::from_raw(there.st_uid), Gid::from_raw(there.st_gid));
    (geteuid().is_root() && there.st_uid != 0).then_some(heir)
}

/// Gives what root has just made in a folder of somebody else's to them. Where it cannot be given it stays root's,
/// which a program that writes it is told by the kernel.
pub(crate) fn inherit(folder: impl AsFd, made: impl AsFd) {
    if let Some((user, group)) = fstat(folder).ok().as_ref().and_then(heir) {
        let _ = fchown(made, Some(user), Some(group));
    }
}

/// The same of what lies where only we can reach it, and will lie beside this or in this folder.
pub(crate) fn inherit_from(there: &Stat, made: &Path) {
    if let Some((user, group)) = heir(there) {
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        let _ = chownat(rustix::fs::CWD, made, Some(user), Some(group), flags);
    }
}

/// Gives a folder of ours to an account; what is in it stays whose it is.
///
/// # Errors
/// Where it cannot be given, or a link is on the way.
pub(crate) fn give(folder: &Path, account: Account) -> io::Result<()> {
    let there = fs::symlink_metadata(folder)?;
    if (there.uid(), there.gid()) == (account.user, account.group) {
        return Ok(());
    }
    let (user, group) = (Uid::from_raw(account.user), Gid::from_raw(account.group));
    // A handle to go through has no rights of its own: it is named.
    let (above, name) = plain::split(folder)?;
    let above = plain::folder(above)?;
    Ok(chownat(above, name, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Gives a folder to an account, with all that is in it. No link is followed.
///
/// # Errors
/// As those of [`give`], by the first that cannot be given.
pub(crate) fn give_whole(folder: &Path, account: Account) -> io::Result<()> {
    give(folder, account)?;
    give_below(&plain::folder(folder)?, account)
}

fn give_below(folder: &OwnedFd, account: Account) -> io::Result<()> {
    let (user, group) = (Uid::from_raw(account.user), Gid::from_raw(account.group));
    for name in plain::names(folder)? {
        let inner = plain::folder_at(folder, &name);
        // One that has other names may be somebody's elsewhere.
        let alone =
            statat(folder, &name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|it| it.st_nlink == 1);
        if inner.is_ok() || alone {
            chownat(folder, &name, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW)?;
        }
        if let Ok(inner) = inner {
            give_below(&inner, account)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

    use super::*;

    fn owner(path: &Path) -> (u32, u32) {
        let there = path.symlink_metadata().unwrap();
        (there.uid(), there.gid())
    }

    #[test]
    fn programs_are_who_has_the_workspace_where_root_could_not_write_it() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(of(folder.path()), None);
        if !geteuid().is_root() {
            return;
        }
        for (user, group, mode, is) in [
            (4321, 1234, 0o755, Some((4321, 1234))),
            (1000, 0, 0o755, Some((1000, 0))),
            (1000, 0, 0o775, None),
            (4321, 1234, 0o777, None),
            (0, 1234, 0o755, None),
        ] {
            chown(folder.path(), Some(user), Some(group)).unwrap();
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
            let found = of(folder.path()).map(|it| (it.user, it.group));
            assert_eq!(found, is, "{user}:{group} {mode:o}");
        }
    }

    #[test]
    fn what_is_given_is_all_in_a_folder_and_nothing_beyond() {
        if !geteuid().is_root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().canonicalize().unwrap().join(name);
        fs::create_dir_all(at("given/in")).unwrap();
        fs::create_dir_all(at("roots")).unwrap();
        fs::write(at("roots/file"), "").unwrap();
        fs::write(at("given/in/file"), "").unwrap();
        symlink("../roots", at("given/link")).unwrap();
        fs::hard_link(at("roots/file"), at("given/named")).unwrap();
        give_whole(&at("given"), Account { user: 4321, group: 1234 }).unwrap();
        for name in ["given", "given/in", "given/in/file", "given/link"] {
            assert_eq!(owner(&at(name)), (4321, 1234), "{name}");
        }
        for name in ["roots", "roots/file"] {
            assert_eq!(owner(&at(name)), (0, 0), "{name}");
        }
        assert!(give(&at("given/link/none"), Account { user: 4321, group: 1234 }).is_err());
    }
}
