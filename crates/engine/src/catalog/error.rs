//! Why a reference leads to no workflow.

use std::path::PathBuf;

/// A reference that leads nowhere, or to something that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No workflow has this name or alias.
    #[error("there is no workflow `{}`", reference.escape_debug())]
    Unknown {
        reference: String,
        /// The name that was probably meant.
        near: Option<String>,
        /// Every name there is.
        known: Vec<String>,
        /// Where was looked, first wins.
        roots: Vec<String>,
    },
    /// A path that leads to nothing.
    #[error("there is no workflow file at `{}`", path.display())]
    NoFile { path: PathBuf },
    /// A folder without a `sop.yaml`.
    #[error("the folder `{}` holds no `sop.yaml`", path.display())]
    NoSop { path: PathBuf },
    /// A file that is there and cannot be read.
    #[error("could not read `{}`: {why}", path.display())]
    Unreadable { path: PathBuf, why: String },
    /// The workspace itself is not there.
    #[error(transparent)]
    Workspace(#[from] crate::workspace::Error),
}

impl Error {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { near, known, roots, .. } => {
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                let near = near.as_ref().map(|near| format!("did you mean `{near}`? "));
                Some(format!(
                    "{}known workflows: {known}; looked in {}",
                    near.unwrap_or_default(),
                    roots.join(", then ")
                ))
            }
            Self::NoSop { .. } => {
                Some("a workflow is one file `NAME.sop.yaml` or a folder with a `sop.yaml`".into())
            }
            Self::NoFile { .. } | Self::Unreadable { .. } | Self::Workspace(_) => None,
        }
    }
}
