-- Who is signed in to the console, and links to sign in. Tokens are kept as SHA-256.

CREATE TABLE console_links (
    token_hash BLOB PRIMARY KEY,
    person     TEXT NOT NULL,
    role       TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX console_links_expiry ON console_links (expires_at);

CREATE TABLE console_sessions (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    token_hash BLOB NOT NULL UNIQUE,
    person     TEXT NOT NULL,
    role       TEXT NOT NULL,
    signed_in_by TEXT NOT NULL,
    began_at   INTEGER NOT NULL,
    used_at    INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX console_sessions_expiry ON console_sessions (expires_at);
