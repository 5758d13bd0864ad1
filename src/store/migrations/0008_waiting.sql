-- Why events wait that are not themselves to blame, and what they wait for.

-- The upstream that an event waits for, and why: outage, refused, forbidden, misconfigured or no_email.
ALTER TABLE events ADD COLUMN waits_for TEXT;
ALTER TABLE events ADD COLUMN wait_cause TEXT;
-- Attempts that an outage has ended, and since when.
ALTER TABLE events ADD COLUMN waits INTEGER NOT NULL DEFAULT 0;
ALTER TABLE events ADD COLUMN outage_since INTEGER;
-- 1: it is tried as a probe, or when a person asks for it, and never expires.
ALTER TABLE events ADD COLUMN parked INTEGER NOT NULL DEFAULT 0;

DROP INDEX events_waiting;
CREATE INDEX events_waiting ON events (priority DESC, id, kind, due_at, parked, state) WHERE state IN ('pending', 'claimed');
DROP INDEX events_due;
CREATE INDEX events_due ON events (due_at, kind, parked, state) WHERE state IN ('pending', 'claimed');
CREATE INDEX events_parked ON events (waits_for, wait_cause, updated_at, id) WHERE parked = 1;

-- What holds events back, one row for an upstream and a cause.
CREATE TABLE holds (
    upstream    TEXT NOT NULL,
    cause       TEXT NOT NULL,
    kinds       TEXT NOT NULL,     -- JSON array: the kinds of events that need the upstream
    since       INTEGER NOT NULL,
    stopped     INTEGER NOT NULL,  -- 1: all events of the kinds wait, not only those that are parked
    first_event INTEGER,           -- refused, with no success since: a second one stops the upstream
    probe_at    INTEGER NOT NULL,  -- when the next parked event is tried
    pause_ms    INTEGER NOT NULL,  -- the pause after that
    probes      INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (upstream, cause)
) STRICT, WITHOUT ROWID;

-- What people were told of holds: when it began, and when they were told last.
CREATE TABLE hold_alerts (
    upstream TEXT NOT NULL,
    cause    TEXT NOT NULL,
    since    INTEGER NOT NULL,
    told_at  INTEGER NOT NULL,
    PRIMARY KEY (upstream, cause)
) STRICT, WITHOUT ROWID;
