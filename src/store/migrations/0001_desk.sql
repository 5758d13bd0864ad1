-- The embedded desk, the ledger and the audit log. Times are Unix milliseconds.

CREATE TABLE store_key (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE orders (
    number TEXT PRIMARY KEY, -- the order id without its leading #
    doc    TEXT NOT NULL     -- domain::Order as JSON
) STRICT, WITHOUT ROWID;

CREATE TABLE contacts (
    customer TEXT PRIMARY KEY, -- system:id
    email    TEXT,             -- as it was written
    email_canonical TEXT,
    fields   TEXT NOT NULL     -- JSON object
) STRICT, WITHOUT ROWID;
CREATE INDEX contacts_email ON contacts (email_canonical) WHERE email_canonical IS NOT NULL;

CREATE TABLE notes (
    n        INTEGER PRIMARY KEY AUTOINCREMENT,
    effect   TEXT NOT NULL UNIQUE,
    contact  TEXT NOT NULL,
    text     TEXT NOT NULL,
    at       INTEGER NOT NULL
) STRICT;

CREATE TABLE tickets (
    n            INTEGER PRIMARY KEY AUTOINCREMENT,
    effect       TEXT NOT NULL UNIQUE,
    customer     TEXT NOT NULL,
    email        TEXT,
    name         TEXT,
    conversation TEXT,
    subject      TEXT NOT NULL,
    description  TEXT NOT NULL,
    priority     TEXT NOT NULL,
    category     TEXT,
    order_number TEXT,
    status       TEXT NOT NULL DEFAULT 'open',
    created_at   INTEGER NOT NULL
) STRICT;

CREATE TABLE articles (
    n          INTEGER PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    title      TEXT NOT NULL,
    body       TEXT NOT NULL,
    url        TEXT,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE VIRTUAL TABLE articles_text USING fts5 (
    title, body, content = 'articles', content_rowid = 'n', tokenize = 'porter unicode61 remove_diacritics 2'
);
CREATE TRIGGER articles_inserted AFTER INSERT ON articles BEGIN
    INSERT INTO articles_text (rowid, title, body) VALUES (new.n, new.title, new.body);
END;
CREATE TRIGGER articles_deleted AFTER DELETE ON articles BEGIN
    INSERT INTO articles_text (articles_text, rowid, title, body) VALUES ('delete', old.n, old.title, old.body);
END;
CREATE TRIGGER articles_updated AFTER UPDATE OF title, body ON articles BEGIN
    INSERT INTO articles_text (articles_text, rowid, title, body) VALUES ('delete', old.n, old.title, old.body);
    INSERT INTO articles_text (rowid, title, body) VALUES (new.n, new.title, new.body);
END;

CREATE TABLE ledger (
    scope       BLOB PRIMARY KEY,
    effect      TEXT NOT NULL UNIQUE,
    fingerprint BLOB NOT NULL,
    expires_at  INTEGER NOT NULL,
    receipt     TEXT -- JSON; while it is NULL the effect is in doubt
) STRICT, WITHOUT ROWID;
CREATE INDEX ledger_expiry ON ledger (expires_at);

CREATE TABLE audit (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    at            INTEGER NOT NULL,
    agent         TEXT,
    customer_hash TEXT,
    conversation  TEXT,
    context_id    TEXT,
    tool          TEXT NOT NULL,
    verdict       TEXT NOT NULL,
    objects       TEXT NOT NULL, -- JSON array
    fields        TEXT NOT NULL, -- JSON array
    effect        TEXT NOT NULL
) STRICT;
CREATE INDEX audit_at ON audit (at, id);
CREATE INDEX audit_conversation ON audit (conversation, at) WHERE conversation IS NOT NULL;
