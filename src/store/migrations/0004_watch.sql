-- What people on call and listening clients want to know, kept in the same commit as what it is about.

-- Kinds that are left out are passed over in the index.
DROP INDEX events_waiting;
CREATE INDEX events_waiting ON events (priority DESC, id, kind, due_at, state) WHERE state IN ('pending', 'claimed');

DROP INDEX events_due;
CREATE INDEX events_due ON events (due_at, kind, state) WHERE state IN ('pending', 'claimed');

-- How many dead letters there have ever been, and how many of them were reported.
CREATE TABLE dead_letters (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    ever     INTEGER NOT NULL,
    reported INTEGER NOT NULL
) STRICT;
INSERT INTO dead_letters (one, ever, reported) SELECT 1, count(*), 0 FROM events WHERE state = 'dead';
CREATE TRIGGER events_born_dead AFTER INSERT ON events WHEN new.state = 'dead' BEGIN
    UPDATE dead_letters SET ever = ever + 1;
END;
CREATE TRIGGER events_died AFTER UPDATE OF state ON events WHEN new.state = 'dead' AND old.state <> 'dead' BEGIN
    UPDATE dead_letters SET ever = ever + 1;
END;

-- When each source was last heard.
CREATE TABLE sources_heard (
    source TEXT PRIMARY KEY,
    at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO sources_heard (source, at) SELECT source, max(at) FROM deliveries GROUP BY source;
CREATE TRIGGER deliveries_heard AFTER INSERT ON deliveries BEGIN
    INSERT INTO sources_heard (source, at) VALUES (new.source, new.at)
    ON CONFLICT (source) DO UPDATE SET at = excluded.at WHERE excluded.at > at;
END;

-- Grows with every change of an article.
CREATE TABLE article_changes (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    n   INTEGER NOT NULL
) STRICT;
INSERT INTO article_changes (one, n) VALUES (1, 0);
CREATE TRIGGER articles_added AFTER INSERT ON articles BEGIN
    UPDATE article_changes SET n = n + 1;
END;
CREATE TRIGGER articles_changed AFTER UPDATE ON articles
WHEN old.title IS NOT new.title OR old.body IS NOT new.body OR old.url IS NOT new.url BEGIN
    UPDATE article_changes SET n = n + 1;
END;
CREATE TRIGGER articles_removed AFTER DELETE ON articles BEGIN
    UPDATE article_changes SET n = n + 1;
END;
