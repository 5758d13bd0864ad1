-- Which of two writes to a contact is the later one, so that no repeat puts back what another request has set since.
-- Contacts are named by a hash of their id. Times are Unix milliseconds.

CREATE TABLE contact_writes (
    contact  BLOB NOT NULL,
    field    TEXT NOT NULL,
    effect   TEXT NOT NULL, -- the last one that set the field
    previous TEXT,          -- the one before it, while that one may turn out not to have been done
    at       INTEGER NOT NULL,
    PRIMARY KEY (contact, field)
) STRICT, WITHOUT ROWID;

-- When the latest conversation ended whose outcome a contact shows.
CREATE TABLE conversation_ends (
    contact  BLOB PRIMARY KEY,
    ended_at INTEGER NOT NULL,
    previous INTEGER,
    at       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
