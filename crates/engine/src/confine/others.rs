//! Folders of others that root would have written: in a sandbox it is a user like any, with no power over what is
//! not its own. Programs run as whoever owns them, where that is one.

use std::path::{Path, PathBuf};

use botpipe_sandbox::{Account, NoAccount};

use super::{Gap, Refusal, Site};
use crate::account;

/// Who the programs of a site run as, where root starts them: the owner of the workspace. Else, of a program that is
/// nobody's step, the owner of what of `roots` root could not write: what steps leave for each other is the
/// workspace's.
pub(super) fn account(
    site: &Site,
    roots: &[(&String, PathBuf)],
) -> Result<Option<Account>, Refusal> {
    let of_workspace = account::of(&site.workspace).map(|it| (it, site.workspace.clone()));
    let of_root = || {
        let mut others = roots.iter().filter(|_| site.places.is_empty());
        others.find_map(|(_, root)| Some((account::of(root)?, root.clone())))
    };
    let Some((account, whose)) = of_workspace.or_else(of_root) else { return Ok(None) };
    match account.refused() {
        None => Ok(Some(account)),
        Some(why) => Err(not_known(&whose, account, why)),
    }
}

/// Refuses an `allow_write` that nobody who is in there could write.
pub(super) fn check(written: &str, root: &Path, runs_as: Option<Account>) -> Result<(), Refusal> {
    let Ok(there) = root.symlink_metadata() else { return Ok(()) };
    match (account::of_folder(&there), runs_as) {
        (None, None) => Ok(()),
        (Some(owner), None) => Err(refusal(written, root, owner)),
        (_, Some(account)) if account::writes(account, &there) => Ok(()),
        (_, Some(account)) => Err(of_several(written, root, account)),
    }
}

/// Refuses a program with no sandbox but with namespaces, in which root does not write what is another user's.
pub(super) fn check_unconfined(site: &Site) -> Result<(), Refusal> {
    let Some(Account { user, .. }) = account::of(&site.workspace) else { return Ok(()) };
    Err(Refusal {
        control: "sandbox_mode",
        what: format!(
            "`{}` is user {user}'s, and root writes only what is its own where a program has a network or limits of \
             its own, with `danger_full_access` too",
            site.workspace.display()
        ),
        permit: "`sandbox_mode: workspace_write` runs programs as that user; `danger_full_access` with `network: full` \
                 and no limits leaves all of it"
            .to_owned(),
    })
}

/// What the operator grants and an account cannot write.
pub(super) fn gaps(site: &Site, Account { user, group }: Account) -> impl Iterator<Item = Gap> {
    let account = Account { user, group };
    let known = site.granted.iter().filter_map(|path| Some((path, path.symlink_metadata().ok()?)));
    let closed = known.filter(move |(_, there)| !account::writes(account, there));
    closed.map(move |(path, _)| Gap {
        control: "allow_write",
        what: format!(
            "`{}`, which is granted, is not written by its rights: programs run as user {user}, whose files these are \
             (`chown -R {user}:{group}` gives it to it)",
            path.display()
        ),
    })
}

fn refusal(written: &str, root: &Path, Account { user, group }: Account) -> Refusal {
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

fn of_several(written: &str, root: &Path, Account { user, group }: Account) -> Refusal {
    Refusal {
        control: "allow_write",
        what: format!(
            "`allow_write: {written}` is `{}`, which user {user} may not write, and programs run as that user, whose \
             files the others are: there is one for all",
            root.display()
        ),
        permit: format!("`chown -R {user}:{group}` it, or leave it out"),
    }
}

fn not_known(whose: &Path, Account { user, group }: Account, why: NoAccount) -> Refusal {
    let what = match why {
        NoAccount::Power(power) => format!("Botpipe has not the power for it (`{power}`)"),
        NoAccount::Unknown => format!("there is no user {user} with group {group} in here"),
    };
    let (permit, id) = match why {
        NoAccount::Power(power) => {
            let power = power.trim_start_matches("CAP_");
            (format!("`docker run --cap-add {power}` gives it; or"), format!("{user}:{group}"))
        }
        NoAccount::Unknown => {
            ("run the container with that user mapped, or".to_owned(), "0:0".to_owned())
        }
    };
    let other = match why {
        NoAccount::Power(_) => format!("run it as that user (`docker run --user {id}`)"),
        NoAccount::Unknown => format!("`chown -R {id}` the folder from in here"),
    };
    Refusal {
        control: "allow_write",
        what: format!(
            "`{}` is user {user}'s, and so programs would run as that user, but {what}",
            whose.display()
        ),
        permit: format!("{permit} {other}"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::chown;

    use super::*;

    #[test]
    fn what_is_somebody_elses_is_told_by_number() {
        let folder = tempfile::tempdir().unwrap();
        let account = |user| Some(Account { user, group: user });
        assert!(check(".", folder.path(), None).is_ok());
        if rustix::process::geteuid().is_root() {
            let refusal = check(".", folder.path(), account(7)).unwrap_err();
            assert!(refusal.what.contains("which user 7 may not write"), "{refusal}");
            assert!(refusal.permit.contains("`chown -R 7:7`"), "{refusal}");
            chown(folder.path(), Some(4321), Some(1234)).unwrap();
            assert!(check(".", folder.path(), account(4321)).is_ok());
            let refusal = check(".", folder.path(), None).unwrap_err();
            assert!(refusal.what.contains("user 4321's"), "{refusal}");
            assert!(refusal.permit.contains("--user 4321:1234"), "{refusal}");
        }
    }

    #[test]
    fn an_account_that_cannot_be_is_told_with_a_way_out() {
        let account = Account { user: 4321, group: 1234 };
        let power = not_known(Path::new("/w"), account, NoAccount::Power("CAP_SETUID")).to_string();
        assert!(power.contains("(`CAP_SETUID`)") && power.contains("--cap-add SETUID`"), "{power}");
        assert!(power.contains("--user 4321:1234"), "{power}");
        let unknown = not_known(Path::new("/w"), account, NoAccount::Unknown).to_string();
        assert!(unknown.contains("no user 4321 with group 1234 in here"), "{unknown}");
    }
}
