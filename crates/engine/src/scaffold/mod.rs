//! A new workflow to begin with: a small one with comments, written into the workspace.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use botpipe_kernel::ids::WorkflowName;

use crate::error::Error;
use crate::schemas;
use crate::workspace;
use crate::workspace::layout::Layout;

/// Writes a workflow into `workflows/NAME/`; the files, from the workspace on.
///
/// # Errors
/// One of that name that is there already, in either form: it stays as it is. No workspace.
pub fn workflow(workspace: &Path, name: &WorkflowName) -> Result<Vec<PathBuf>, Error> {
    let layout = Layout::open(workspace)?;
    let root = layout.root();
    let folder = Path::new("workflows").join(name.as_str());
    let single = Path::new("workflows").join(format!("{name}.sop.yaml"));
    for taken in [&folder, &single] {
        if fs::symlink_metadata(root.join(taken)).is_ok() {
            return Err(Error::Taken { path: taken.clone() });
        }
    }
    fs::create_dir_all(root.join("workflows"))
        .map_err(workspace::Error::io("create", &root.join("workflows")))?;
    // Of two at once only one makes the folder.
    fs::create_dir(root.join(&folder)).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Error::Taken { path: folder.clone() },
        _ => workspace::Error::io("create", &root.join(&folder))(error).into(),
    })?;
    let mut written = Vec::new();
    for (path, text) in TEMPLATE {
        let relative = folder.join(path);
        let path = root.join(&relative);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(workspace::Error::io("create", parent))?;
        }
        fs::write(&path, text.replace("NAME", name.as_str()))
            .map_err(workspace::Error::io("write", &path))?;
        written.push(relative);
    }
    let schema = Path::new("workflows").join(SCHEMA);
    let path = root.join(&schema);
    // One that is there may be somebody's own, or a link to one.
    if fs::symlink_metadata(&path).is_err() {
        fs::write(&path, schemas::WORKFLOW).map_err(workspace::Error::io("write", &path))?;
        written.push(schema);
    }
    Ok(written)
}

/// The schema for editors, as the first line of the new workflow names it.
const SCHEMA: &str = "sop.schema.json";

/// The files of the new workflow; `NAME` in them stands for its name.
const TEMPLATE: [(&str, &str); 3] = [
    ("sop.yaml", include_str!("template/sop.yaml")),
    ("prompts/change.md", include_str!("template/prompts/change.md")),
    ("prompts/review.md", include_str!("template/prompts/review.md")),
];
