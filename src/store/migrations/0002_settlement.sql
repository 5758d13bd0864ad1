-- Effects that can be settled later, comments on tickets, and field changes under a caller's own key.

-- When the effect was begun, or begun again. What was in doubt before this format is old enough to be settled.
ALTER TABLE ledger ADD COLUMN begun_at INTEGER NOT NULL DEFAULT 0;
-- Others that are sending the same request under the same effect: then nobody can say for all that it was not done.
ALTER TABLE ledger ADD COLUMN joined INTEGER NOT NULL DEFAULT 0;
-- 1: the call that began it has ended without knowing the result.
ALTER TABLE ledger ADD COLUMN ended INTEGER NOT NULL DEFAULT 0;

CREATE TABLE comments (
    n      INTEGER PRIMARY KEY AUTOINCREMENT,
    effect TEXT NOT NULL UNIQUE,
    ticket INTEGER NOT NULL REFERENCES tickets (n),
    text   TEXT NOT NULL,
    at     INTEGER NOT NULL
) STRICT;

CREATE TABLE contact_changes (
    effect  TEXT PRIMARY KEY,
    contact TEXT NOT NULL,
    before  TEXT NOT NULL -- JSON object: what the written fields held
) STRICT, WITHOUT ROWID;
