-- Refresh tokens of upstreams and what came with them, encrypted under store.encryption_key. `authorization` is the
-- SHA-256 of token endpoint, client and first token: another first token is another row.
CREATE TABLE upstream_tokens (
    authorization BLOB PRIMARY KEY,
    -- Each renewal takes the place of the version that it was made with.
    version INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    renewed_at INTEGER NOT NULL
) STRICT;
