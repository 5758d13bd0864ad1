-- One-time codes under way, and the addresses that conversations have proven by one. `key_hash` is the hash of agent,
-- customer and conversation, or of agent, customer and handle. `customer` is the code's own where no other is known.

CREATE TABLE verification_codes (
    key_hash BLOB PRIMARY KEY,
    code_hash BLOB NOT NULL, -- HMAC under a key of the store; of a code that nobody has, if a limit kept it back
    email TEXT NOT NULL,
    customer TEXT NOT NULL,
    conversation TEXT,
    tries_left INTEGER NOT NULL,
    begun_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX verification_codes_expiry ON verification_codes (expires_at);

CREATE TABLE proven_addresses (
    key_hash BLOB PRIMARY KEY,
    email TEXT NOT NULL,
    customer TEXT NOT NULL,
    conversation TEXT,
    proven_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX proven_addresses_expiry ON proven_addresses (expires_at);
