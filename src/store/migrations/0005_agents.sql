-- Static bearer tokens of agents. The token itself is kept nowhere: only its SHA-256.
CREATE TABLE agent_token (
    id INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
) STRICT;

-- A member of staff who saw an order, and why.
ALTER TABLE audit ADD COLUMN staff TEXT;
ALTER TABLE audit ADD COLUMN reason TEXT;

-- The trace that an event belongs to (W3C Trace Context), so that what comes of it is seen with it.
ALTER TABLE events ADD COLUMN traceparent TEXT;
