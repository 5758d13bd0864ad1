-- The inbox, the versions of articles, and which ticket a conversation has. Times are Unix milliseconds.

ALTER TABLE tickets ADD COLUMN tags TEXT NOT NULL DEFAULT '[]';   -- JSON array
ALTER TABLE tickets ADD COLUMN fields TEXT NOT NULL DEFAULT '{}'; -- JSON object

-- What has been accepted, for as long as its signature could be sent again. Events may be pruned; these are not.
CREATE TABLE deliveries (
    source    TEXT NOT NULL,
    identity  TEXT NOT NULL,
    body_hash BLOB NOT NULL,
    at        INTEGER NOT NULL,
    PRIMARY KEY (source, identity)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    source       TEXT NOT NULL,
    kind         TEXT NOT NULL,
    identity     TEXT NOT NULL,
    body_hash    BLOB NOT NULL,
    subject      TEXT NOT NULL, -- one of these after the other
    priority     INTEGER NOT NULL,
    state        TEXT NOT NULL,
    claims       INTEGER NOT NULL DEFAULT 0,
    failures     INTEGER NOT NULL DEFAULT 0,
    token        INTEGER NOT NULL DEFAULT 0,
    due_at       INTEGER NOT NULL, -- pending: not before; claimed: the end of the lease
    received_at  INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    error        TEXT,
    receipt      TEXT,
    in_doubt     INTEGER NOT NULL DEFAULT 0,
    conversation TEXT,
    customer     TEXT,
    payload      TEXT
) STRICT;
CREATE INDEX events_waiting ON events (priority DESC, id) WHERE state IN ('pending', 'claimed');
CREATE INDEX events_subject ON events (subject, id) WHERE state IN ('pending', 'claimed');
CREATE INDEX events_due ON events (due_at) WHERE state IN ('pending', 'claimed');
CREATE INDEX events_state ON events (state, id);
CREATE INDEX events_conversation ON events (conversation) WHERE conversation IS NOT NULL;
CREATE INDEX events_customer ON events (customer) WHERE customer IS NOT NULL;
CREATE INDEX events_ended ON events (updated_at) WHERE payload IS NOT NULL AND state NOT IN ('pending', 'claimed');

-- Depths, kept in the same commit: to count a million rows takes a second.
CREATE TABLE event_counts (
    state TEXT PRIMARY KEY,
    n     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER events_counted AFTER INSERT ON events BEGIN
    INSERT INTO event_counts (state, n) VALUES (new.state, 1) ON CONFLICT (state) DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER events_recounted AFTER UPDATE OF state ON events WHEN old.state <> new.state BEGIN
    UPDATE event_counts SET n = n - 1 WHERE state = old.state;
    INSERT INTO event_counts (state, n) VALUES (new.state, 1) ON CONFLICT (state) DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER events_uncounted AFTER DELETE ON events BEGIN
    UPDATE event_counts SET n = n - 1 WHERE state = old.state;
END;

-- The latest change of each article that was worked off, so that an overtaken one changes nothing.
CREATE TABLE article_versions (
    article    TEXT PRIMARY KEY,
    arrival    INTEGER NOT NULL, -- the id of its event
    changed_at INTEGER           -- when the CMS says that it happened
) STRICT, WITHOUT ROWID;

CREATE TABLE conversation_tickets (
    conversation TEXT NOT NULL,
    customer     TEXT NOT NULL, -- system:id
    ticket       TEXT NOT NULL, -- domain::Ticket as JSON
    escalated    INTEGER NOT NULL,
    PRIMARY KEY (conversation, customer)
) STRICT, WITHOUT ROWID;
