//! Views of the workspace (overlays), for who judges the work and who may not write all of it: they show it as it
//! is, or nothing is started.

use botpipe_sandbox::Layer;

use super::scan::Names;
use super::{Refusal, Site};

/// Refuses a view of folders with attributes by which an overlay hides what is in them. No program in the sandbox
/// sets one; one without a sandbox may, and an archive may bring it.
pub(super) fn check(layers: &[Layer], site: &Site, names: &Names) -> Result<(), Refusal> {
    if !layers.iter().any(|layer| matches!(layer, Layer::Scratch(_))) {
        return Ok(());
    }
    let Some((folder, attribute)) = names.hiding() else { return Ok(()) };
    let folder = site.workspace.join(folder).display().to_string();
    Err(Refusal {
        control: "sandbox_mode",
        what: format!(
            "the folder `{folder}` has the attribute `{attribute}`, which would hide files in it from who looks at \
             the work"
        ),
        permit: format!("`setfattr -x {attribute} '{folder}'` takes it off"),
    })
}
