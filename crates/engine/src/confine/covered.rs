//! How many names are covered one by one: each takes a mount, of which a system has a bounded number, and a program
//! starts no sooner than all are laid.

use super::Refusal;

/// A program of them starts within a second or two.
const MOST: usize = 8000;

/// Refuses to cover more names than that.
pub(super) fn few_enough(control: &'static str, names: usize) -> Result<(), Refusal> {
    if names <= MOST {
        return Ok(());
    }
    let permit = match control {
        "deny_read" => {
            "deny the folders that hold them (`deny_read: [build/**]`), or write less than the whole workspace \
             (`allow_write` of its folders): what is not written is hidden by its name, however much there is"
        }
        _ => {
            "deny the folders that hold them (`deny_write: [build/**]`), or name in `allow_write` the folders that \
             are written"
        }
    };
    Err(Refusal {
        control,
        what: format!(
            "`{control}` means {names} files and folders in what may be written, and each is covered by itself: more \
             than {MOST} are too many"
        ),
        permit: permit.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, Instant};

    use botpipe_kernel::plan::SandboxMode;

    use super::super::{Rules, files, site};

    const ALL: [&str; 1] = ["**/*.js"];

    #[test]
    fn as_many_as_are_covered_are_soon_found_and_more_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let workspace = folder.path().canonicalize().unwrap();
        let (all, here, none) = (ALL.map(str::to_owned), [".".to_owned()], []);
        for n in 0..super::MOST {
            let folder = workspace.join(format!("d{}", n / 100));
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(format!("{n}.js")), n.to_string()).unwrap();
        }
        let site = site::of_person(workspace.clone(), None);
        let read = Rules {
            sandbox_mode: SandboxMode::WorkspaceWrite,
            allow_read: &here,
            deny_read: &all,
            allow_write: &here,
            deny_write: &none,
        };
        let written = Rules { deny_read: &none, deny_write: &all, ..read };
        for rules in [read, written] {
            let begun = Instant::now();
            let found = files(&rules, &site).unwrap().unwrap();
            assert!(found.layers.len() > super::MOST);
            // Each compared with each took ten.
            assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
        }
        fs::write(workspace.join("more.js"), "more").unwrap();
        for (rules, control) in [(read, "deny_read"), (written, "deny_write")] {
            let refusal = files(&rules, &site).unwrap_err();
            assert_eq!(refusal.control, control);
            assert!(refusal.what.contains(&(super::MOST + 1).to_string()), "{refusal}");
        }
        // What is not written is hidden by its name, and needs no cover.
        let narrow = Rules { allow_write: &none, ..read };
        files(&narrow, &site).unwrap().unwrap();
        let read_only = Rules { sandbox_mode: SandboxMode::ReadOnly, ..read };
        files(&read_only, &site).unwrap().unwrap();
    }

    #[test]
    fn nothing_is_compiled_once_a_stop_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let site = site::of_person(folder.path().canonicalize().unwrap(), None);
        let (all, here, none) = (ALL.map(str::to_owned), [".".to_owned()], []);
        let rules = Rules {
            sandbox_mode: SandboxMode::WorkspaceWrite,
            allow_read: &here,
            deny_read: &all,
            allow_write: &here,
            deny_write: &none,
        };
        files(&rules, &site).unwrap();
        site.stop.request(15);
        let refusal = files(&rules, &site).unwrap_err();
        assert!(refusal.what.contains("asked to stop"), "{refusal}");
    }
}
