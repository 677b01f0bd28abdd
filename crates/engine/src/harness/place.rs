//! Where Botpipe keeps what belongs to a person and not to a workspace.

use std::env;
use std::path::PathBuf;

/// `$XDG_STATE_HOME/botpipe`, else `~/.local/state/botpipe`.
///
/// # Errors
/// When neither variable is set, in words.
pub(crate) fn state_folder() -> Result<PathBuf, String> {
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|it| it.is_absolute());
    absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local").join("state")))
        .map(|state| state.join("botpipe"))
        .ok_or_else(|| "neither XDG_STATE_HOME nor HOME names a folder to keep state in".to_owned())
}
