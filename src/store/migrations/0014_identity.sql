-- Revoked customer contexts, by keyed hash, and how the customer of a decision was determined.

CREATE TABLE context_revocations (
    kind TEXT NOT NULL,      -- customer, conversation, context
    hash TEXT NOT NULL,
    at   INTEGER NOT NULL,   -- what was issued until then is refused
    PRIMARY KEY (kind, hash)
) STRICT, WITHOUT ROWID;

ALTER TABLE audit ADD COLUMN origin TEXT;
