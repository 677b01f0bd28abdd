//! Before and between turns: the tree and the artifacts as they are.

use std::collections::BTreeMap;

use botpipe_kernel::ids::{ArtifactName, Role, VisitId};
use botpipe_kernel::plan::Step;
use botpipe_kernel::run::{Baseline, FileStamp, Finding, Input};

use super::Trouble;
use crate::driver::Driver;
use crate::workspace::artifacts;

/// Looks at what the step requires, and records the tree and the step's writable artifacts.
pub(super) fn enter(driver: &mut Driver<'_>, visit: VisitId) -> Result<Input, Trouble> {
    let step = driver.current_step()?;
    driver.claim(&step)?;
    let mut requires = Vec::new();
    for name in &step.requires {
        requires.push(driver.find(name, None)?);
    }
    // Where nothing is run there is nothing to put back.
    let tree = match step.first_role() {
        Role::Outside => None,
        _ => Some(driver.desk.snapshots.take().map_err(Trouble::stuck)?),
    };
    let baseline = Baseline {
        tree,
        files: stamps(driver, &step)?,
        protected: super::protect::content(driver, &step)?,
    };
    let drift = super::items::drift(driver)?;
    Ok(Input::BaselineTaken { visit, baseline, requires, drift })
}

/// Records the producer's tree.
pub(super) fn seal(driver: &mut Driver<'_>, visit: VisitId) -> Result<Input, Trouble> {
    let tree = driver.desk.snapshots.take().map_err(Trouble::stuck)?;
    Ok(Input::Sealed { visit, tree: Some(tree) })
}

fn stamps(
    driver: &mut Driver<'_>,
    step: &Step,
) -> Result<BTreeMap<ArtifactName, FileStamp>, Trouble> {
    let mut stamps = BTreeMap::new();
    for name in step.writes() {
        let place = driver.artifact_place(name)?;
        if let Some(stamp) = artifacts::stamp(&place.absolute) {
            stamps.insert(name.clone(), stamp);
        }
    }
    Ok(stamps)
}

/// The artifacts of a role as they stand on disk, each against the baseline that counts for it.
pub(crate) fn findings(driver: &mut Driver<'_>, role: Role) -> Result<Vec<Finding>, Trouble> {
    let step = driver.current_step()?;
    let visit = driver.current_visit()?;
    let entry = visit.entry_files.clone().unwrap_or_default();
    let here = visit.baseline.files.clone();
    let mut findings = Vec::new();
    // A hook answers for the whole step.
    let names: Vec<_> = if role.is_hook() {
        step.writes().collect()
    } else {
        step.writes_of(role).iter().collect()
    };
    for name in names {
        // What a judge writes must be new in this visit; what is produced, since the step was
        // entered from elsewhere.
        let baseline = match role {
            Role::Verifier => here.get(name),
            _ => entry.get(name),
        };
        findings.push(driver.find(name, baseline)?);
    }
    Ok(findings)
}
