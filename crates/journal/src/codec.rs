//! Events as they are stored: a version and one line of JSON.

use botpipe_kernel::ids::RunId;
use botpipe_kernel::run::Event;

use crate::error::Error;

/// Writes an event in the newest version.
///
/// # Shape
/// `(1, {"kind":"run_cancelled"})`: fields in the order of their declaration, no white space.
///
/// # Errors
/// [`Error::Unstorable`] when the event has no JSON form, which no event of this version lacks.
pub fn encode(event: &Event) -> Result<(u32, String), Error> {
    let body = serde_json::to_string(event)
        .map_err(|source| Error::Unstorable { kind: event.kind(), source })?;
    Ok((Event::VERSION, body))
}

/// Reads an event that was stored in `version`.
///
/// # Errors
/// [`Error::NewerEvent`] for a version this program does not know; [`Error::Damaged`] when the text
/// is no event of its version.
pub fn decode(run: &RunId, seq: u64, version: u32, body: &str) -> Result<Event, Error> {
    if version > Event::VERSION {
        return Err(Error::NewerEvent {
            run: run.clone(),
            seq,
            version,
            supported: Event::VERSION,
        });
    }
    serde_json::from_str(body).map_err(|error| Error::Damaged {
        path: std::path::PathBuf::from(crate::open::FILE),
        run: Some(run.clone()),
        seq: Some(seq),
        what: format!("it is no event of version {version}: {error}"),
    })
}
