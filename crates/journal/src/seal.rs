//! Seals: each row of the list of runs carries a digest of itself, since no chain covers what a list shows.

use rusqlite::types::{Type, ValueRef};
use rusqlite::{Connection, Row};
use sha2::{Digest as _, Sha256};

/// What a seal covers, in this order, and the seal itself; the heartbeat moves too often to be in it.
pub(crate) const COLUMNS: &str = "n, run, task, workflow, created_at, updated_at, last_seq, \
                                  ended, state, owner, head, fence, seal";
const COVERED: usize = 12;

/// Seals a run's row after it was changed, in the same transaction.
pub(crate) fn put(conn: &Connection, n: i64) -> rusqlite::Result<()> {
    let digest = conn
        .prepare_cached(&format!("SELECT {COLUMNS} FROM runs WHERE n = ?1"))?
        .query_row([n], digest)?;
    conn.prepare_cached("UPDATE runs SET seal = ?2 WHERE n = ?1")?
        .execute(rusqlite::params![n, digest])
        .map(drop)
}

/// Refuses a row of [`COLUMNS`] that is not as it was sealed.
pub(crate) fn check(row: &Row<'_>) -> rusqlite::Result<()> {
    if row.get_ref(COVERED)? == ValueRef::Blob(&digest(row)?) {
        return Ok(());
    }
    let what = "the list of runs is not as it was written".into();
    Err(rusqlite::Error::FromSqlConversionFailure(COVERED, Type::Blob, what))
}

/// # Shape
/// SHA-256 over each value: a byte for its type, and for text and blobs its length (8) and bytes, for
/// numbers their 8 bytes. Numbers are big-endian.
fn digest(row: &Row<'_>) -> rusqlite::Result<[u8; 32]> {
    let mut hasher = Sha256::new();
    for column in 0..COVERED {
        let value = row.get_ref(column)?;
        let (kind, bytes) = match value {
            ValueRef::Null => (0, &[][..]),
            ValueRef::Integer(number) => {
                hasher.update([1]);
                hasher.update(number.to_be_bytes());
                continue;
            }
            ValueRef::Real(number) => {
                hasher.update([2]);
                hasher.update(number.to_be_bytes());
                continue;
            }
            ValueRef::Text(bytes) => (3, bytes),
            ValueRef::Blob(bytes) => (4, bytes),
        };
        hasher.update([kind]);
        hasher.update((bytes.len() as u64).to_be_bytes());
        hasher.update(bytes);
    }
    Ok(hasher.finalize().into())
}
