//! The sandbox: built as for a step with the default policy, with canaries sent through it.

use std::fs;
use std::path::{Path, PathBuf};

use botpipe_sandbox::{Account, Error, landlock};

use super::Finding;
use crate::confine::canary::{self, Canary, Grounded, Seen};
use crate::confine::site::of_person;
use crate::confine::whole::{Surroundings, compile};
use crate::policy::{Ground, resolve};

const NAME: &str = "sandbox";

/// Whether programs can be confined here, and how far.
pub(super) fn finding(workspace: &Path, stage1: Option<&PathBuf>) -> Finding {
    match canaries(workspace, stage1) {
        Err(finding) => finding,
        Ok((seen, account)) => match seen.iter().find(|it| it.result == Seen::Failed) {
            Some(failed) => Finding::problem(
                NAME,
                format!("`{}` does not hold: {}", failed.control, failed.tried),
                "run `botpipe sandbox -- sh` there and look; runs are refused until it holds",
            ),
            None => of_landlock((seen.len(), account), landlock()),
        },
    }
}

/// What canaries saw, and as whom they flew.
fn canaries(
    workspace: &Path,
    stage1: Option<&PathBuf>,
) -> Result<(Vec<Canary>, Option<Account>), Finding> {
    let workspace = workspace.canonicalize().map_err(|error| {
        let says = format!("not tried: {}: {error}", workspace.display());
        Finding::warning(NAME, says, "name another with `--workspace`")
    })?;
    if workspace.parent().is_none() {
        let says = format!("not tried: {}", crate::workspace::Error::Root);
        return Err(Finding::warning(NAME, says, "name another with `--workspace`"));
    }
    let policy = resolve(&[], &[], &Ground::of_process(&workspace));
    let site = of_person(workspace, None);
    let compiled = compile(&policy, &site, &Surroundings::default())
        .map_err(|refusal| Finding::problem(NAME, refusal.what, refusal.permit))?;
    let seen = canary::send(&compiled, &policy, &site, stage1.cloned());
    let account = compiled.files.as_ref().and_then(|files| files.account);
    seen.map(|seen| (seen, account)).map_err(|why| match why {
        Grounded::Guard(error) => {
            let says = format!("it cannot be set up: {error}");
            Finding::problem(NAME, says, "give this user write permission in the workspace")
        }
        Grounded::Sandbox(error) => {
            Finding::problem(NAME, error.to_string(), mend(&error, &setting))
        }
    })
}

/// The last wall behind the others, by the kernel's interface to it.
///
/// # Source
/// Linux, `Documentation/userspace-api/landlock.rst`: TCP ports since ABI 4 (Linux 6.7), signals and abstract
/// sockets since ABI 6 (Linux 6.12).
fn of_landlock((canaries, account): (usize, Option<Account>), abi: Option<u32>) -> Finding {
    let who = account.map(|Account { user, group }| {
        format!(", as user {user} with group {group}, whose the workspace is")
    });
    let who = who.unwrap_or_default();
    let holds = format!("holds with the default policy ({canaries} canaries{who})");
    let open = match abi {
        None => {
            "no Landlock: `allow_local_binding: false` is not kept, the rest by the mounts alone"
        }
        Some(..4) => "Landlock is older than ABI 4: `allow_local_binding: false` is not kept",
        Some(4..6) => {
            "Landlock is older than ABI 6: abstract sockets of the host can be reached with `network: full`"
        }
        Some(abi) => return Finding::ok(NAME, format!("{holds}, Landlock ABI {abi}")),
    };
    let next = match abi {
        None => "add `landlock` to the kernel's `lsm=` parameter",
        Some(_) => "a kernel from 6.12 on has all of it",
    };
    Finding::warning(NAME, format!("{holds}; {open}"), next)
}

/// What to do about a sandbox that cannot be built; `setting` reads one of the kernel's.
fn mend(error: &Error, setting: &dyn Fn(&str) -> Option<String>) -> String {
    let says = |name: &str, value: &str| setting(name).is_some_and(|it| it.trim() == value);
    let step = match error {
        Error::Refused { step, .. } => step.as_str(),
        Error::Unsupported => return "use Linux, or a Linux container".to_owned(),
        Error::NoStage1 | Error::Stage1 { .. } | Error::Silent { .. } => {
            return "install Botpipe again: its binary cannot start itself".to_owned();
        }
        _ => "",
    };
    if says("user/max_user_namespaces", "0") {
        return "`sysctl -w user.max_user_namespaces=15000`: there are no user namespaces"
            .to_owned();
    }
    if says("kernel/unprivileged_userns_clone", "0") {
        return "`sysctl -w kernel.unprivileged_userns_clone=1`: only root may make user namespaces"
            .to_owned();
    }
    if says("kernel/apparmor_restrict_unprivileged_userns", "1") {
        return "AppArmor keeps user namespaces from programs without a profile: give Botpipe one with \
                `userns,`, or `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`"
            .to_owned();
    }
    let of_numbers = ["uid_map", "gid_map", "become-user"].contains(&step);
    if of_numbers && rustix::process::geteuid().is_root() {
        return "let root have `CAP_SETUID`, `CAP_SETGID` and `CAP_SETFCAP` (Docker: `--cap-add`)"
            .to_owned();
    }
    if step.contains("overlay") {
        return "load overlayfs (`modprobe overlay`); in a user namespace it needs Linux 5.11"
            .to_owned();
    }
    "in a container, let it make user namespaces and mounts (Docker: `--security-opt seccomp=unconfined \
     --security-opt apparmor=unconfined`); on a host, Linux 5.12 or newer"
        .to_owned()
}

fn setting(name: &str) -> Option<String> {
    fs::read_to_string(format!("/proc/sys/{name}")).ok()
}

#[cfg(test)]
mod tests {
    use std::io;

    use botpipe_sandbox::{Account, Error};

    use super::{mend, of_landlock};
    use crate::doctor::State;

    fn refused(step: &str) -> Error {
        Error::Refused { step: step.to_owned(), source: io::Error::from_raw_os_error(1) }
    }

    #[test]
    fn what_is_missing_is_named_with_what_mends_it() {
        for (name, value, expected) in [
            ("user/max_user_namespaces", "0\n", "user.max_user_namespaces=15000"),
            ("kernel/unprivileged_userns_clone", "0\n", "kernel.unprivileged_userns_clone=1"),
            ("kernel/apparmor_restrict_unprivileged_userns", "1\n", "AppArmor"),
        ] {
            let next =
                mend(&refused("user-namespace"), &|it| (it == name).then(|| value.to_owned()));
            assert!(next.contains(expected), "{next}");
        }
        let fine = |_: &str| Some("1000\n".to_owned());
        assert!(mend(&refused("overlay /w"), &fine).contains("modprobe overlay"));
        assert!(mend(&refused("pivot"), &fine).contains("in a container"));
    }

    #[test]
    fn an_old_landlock_is_told_with_what_it_leaves_open() {
        for (abi, state) in
            [(None, State::Warning), (Some(3), State::Warning), (Some(5), State::Warning)]
        {
            let found = of_landlock((7, None), abi);
            assert_eq!((found.state, found.next.is_some()), (state, true), "{found:?}");
        }
        let account = Some(Account { user: 7, group: 8 });
        let found = of_landlock((7, account), Some(6));
        assert_eq!(found.state, State::Ok);
        assert!(found.says.contains("7 canaries, as user 7 with group 8"), "{found:?}");
    }
}
