//! The workflows that come inside the program.

/// A file that comes inside the program.
#[derive(Debug, Clone, Copy)]
pub struct ShippedFile {
    /// Relative to the shipped root: `ralph_loop/sop.yaml`.
    pub path: &'static str,
    pub text: &'static str,
    pub executable: bool,
}

/// The shipped files under a folder, their paths relative to it; all of them for `""`.
///
/// # Shape
/// `folder` ends with `/` or is empty: `ralph_loop/`.
pub fn shipped(folder: &str) -> impl Iterator<Item = ShippedFile> + use<'_> {
    FILES.iter().filter_map(move |file| {
        Some(ShippedFile { path: file.path.strip_prefix(folder)?, ..*file })
    })
}

const FILES: &[ShippedFile] = include!(concat!(env!("OUT_DIR"), "/shipped.rs"));
