//! Which artifacts a recorded run may write, told to those that are recorded beside it.
//!
//! Branches share the folder of their workflow also where each has files of its own: what stands there new
//! after a turn may be another's.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};

use botpipe_kernel::ids::RunId;

use super::FOLDER;
use super::turn::Recorder;

/// Holds the paths, a line each.
const CLAIMS: &str = "writes";

impl Recorder {
    /// Tells which places are this run's to write.
    pub(crate) fn claim(&self, places: &[String]) -> io::Result<()> {
        if places.is_empty() {
            return Ok(());
        }
        let mut file =
            OpenOptions::new().create(true).append(true).open(self.folder.join(CLAIMS))?;
        file.write_all(format!("{}\n", places.join("\n")).as_bytes())
    }

    /// The places that are for runs beside this one to write.
    pub(super) fn claimed_beside(&self, run: &RunId) -> io::Result<BTreeSet<String>> {
        let mut claimed = BTreeSet::new();
        let Some(runs) = self.folder.parent().and_then(|own| own.parent()) else {
            return Ok(claimed);
        };
        for entry in fs::read_dir(runs)? {
            let entry = entry?;
            let name = entry.file_name();
            if !name.to_str().is_some_and(|other| are_beside(run.as_str(), other)) {
                continue;
            }
            match fs::read_to_string(entry.path().join(FOLDER).join(CLAIMS)) {
                Ok(text) => claimed.extend(text.lines().map(str::to_owned)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(claimed)
    }
}

/// Whether two runs are of different branches of the same visit, or below such.
fn are_beside(one: &str, other: &str) -> bool {
    let apart = one.split('.').zip(other.split('.')).find(|(a, b)| a != b);
    let visit = |part: &str| part.split_once('-').map(|(visit, _)| visit.to_owned());
    one.split('.').next() == other.split('.').next()
        && apart.is_some_and(|(a, b)| visit(a).is_some() && visit(a) == visit(b))
}

#[cfg(test)]
mod tests {
    use super::are_beside;

    #[test]
    fn runs_are_beside_each_other_when_they_part_at_the_branches_of_one_visit() {
        assert!(are_beside("r1-a.4-0", "r1-a.4-1"));
        assert!(are_beside("r1-a.4-0.1-0", "r1-a.4-1"));
        assert!(are_beside("r1-a.4-0.1-0", "r1-a.4-1.1-0"));
        for (one, other) in [
            ("r1-a.4-0", "r1-a.4-0"),
            ("r1-a.4-0", "r1-a"),
            ("r1-a.4-0", "r1-a.4-0.2-1"),
            ("r1-a.4-0", "r1-a.5-1"),
            ("r1-a.4-0", "r1-b.4-1"),
            ("r1-a", "r1-b"),
        ] {
            assert!(!are_beside(one, other), "{one} {other}");
            assert!(!are_beside(other, one), "{other} {one}");
        }
    }
}
