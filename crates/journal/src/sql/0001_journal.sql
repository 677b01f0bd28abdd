-- Format 1: runs with their lease, events, and requests from other processes.
PRAGMA application_id = 0x626f7470;

-- One row a run. `n` is the order of creation: nothing is ever ordered by a clock.
-- `owner` is the lease: JSON of who may append, NULL when nobody does. `fence` counts every grant of
-- the lease, so that a writer who lost it is told; `beat` moves while its holder lives, and is the time
-- in milliseconds once that one has appended. `seal` covers all of a row but `beat`.
CREATE TABLE runs (
    n          INTEGER PRIMARY KEY,
    run        TEXT    NOT NULL UNIQUE,
    task       TEXT    NOT NULL,
    workflow   TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    ended      INTEGER NOT NULL DEFAULT 0,
    last_seq   INTEGER NOT NULL DEFAULT 0,
    head       BLOB    NOT NULL,
    fence      INTEGER NOT NULL DEFAULT 0,
    beat       INTEGER NOT NULL DEFAULT 0,
    owner      TEXT,
    state      TEXT    NOT NULL DEFAULT '',
    seal       BLOB    NOT NULL DEFAULT x''
) STRICT;

-- Used by claim.rs `holders`: the runs somebody holds, of which there is hardly ever more than one.
CREATE INDEX runs_held ON runs (n) WHERE owner IS NOT NULL;

-- Append-only. `place` is the run's `n` * 2^32 + the event's sequence number, so that a run's events lie
-- together and a page is filled before the next is begun. `body` is the event as JSON; `hash` chains it
-- to all before it, and stands with the last event of each append.
-- Read by its primary key in read.rs; nothing else looks into events.
CREATE TABLE events (
    place   INTEGER PRIMARY KEY,
    version INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    hash    BLOB,
    body    TEXT    NOT NULL
) STRICT;

-- What another process asks of a run's owner; taken, and so removed, by the owner.
CREATE TABLE requests (
    n    INTEGER PRIMARY KEY,
    run  INTEGER NOT NULL,
    body TEXT    NOT NULL
) STRICT;
