-- Reconciliations of articles: what was asked for, how far it is, and what became of it. No texts and no persons.

CREATE TABLE reconciliations (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    source   TEXT NOT NULL,
    asked_at INTEGER NOT NULL,
    ended_at INTEGER,
    apply    INTEGER NOT NULL,           -- whether more may be removed than is taken for granted
    state    TEXT NOT NULL,              -- asked, running, done, waiting, incomplete, failed
    pages    INTEGER NOT NULL DEFAULT 0,
    listed   INTEGER NOT NULL DEFAULT 0,
    written  INTEGER NOT NULL DEFAULT 0,
    removed  INTEGER NOT NULL DEFAULT 0,
    waiting  INTEGER NOT NULL DEFAULT 0, -- removals that wait for --apply
    skipped  INTEGER NOT NULL DEFAULT 0, -- what cannot be read, or another source reports
    error    TEXT
) STRICT;
CREATE INDEX reconciliations_source ON reconciliations (source, id);
