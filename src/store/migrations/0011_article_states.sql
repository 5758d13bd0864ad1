-- Articles are states: one row for each variant, who may read it, and what reported it. `search_terms` is ours: the
-- words of a text as the search compares them, which depends on the language.

DROP TRIGGER articles_inserted;
DROP TRIGGER articles_deleted;
DROP TRIGGER articles_updated;
DROP TRIGGER articles_added;
DROP TRIGGER articles_changed;
DROP TRIGGER articles_removed;
DROP TABLE articles_text;
ALTER TABLE articles RENAME TO articles_before;

CREATE TABLE articles (
    n          INTEGER PRIMARY KEY,
    id         TEXT NOT NULL,
    variant    TEXT NOT NULL,               -- the language as the CMS names it; empty: the article has no variants
    language   TEXT NOT NULL,               -- the primary language of the variant, or else the configured one
    title      TEXT NOT NULL,
    body       TEXT NOT NULL,
    url        TEXT,
    updated_at INTEGER NOT NULL,
    audience   INTEGER NOT NULL DEFAULT 0,  -- the level from which it is shown: 0 anonymous, 1 otp, 2 verified
    source     TEXT,                        -- the webhook source or upstream; NULL: imported; empty: not known any more
    event      INTEGER,                     -- the event that wrote it
    listing    INTEGER,                     -- the listing that wrote it
    UNIQUE (id, variant)
) STRICT;
CREATE INDEX articles_language ON articles (language);
CREATE INDEX articles_source ON articles (source) WHERE source IS NOT NULL;
INSERT INTO articles (n, id, variant, language, title, body, url, updated_at, source, event)
SELECT n, id, '', 'en', title, body, url, updated_at,
       (SELECT coalesce((SELECT events.source FROM events WHERE events.id = arrival), '')
        FROM article_versions WHERE article = articles_before.id),
       (SELECT arrival FROM article_versions WHERE article = articles_before.id)
FROM articles_before;
DROP TABLE articles_before;

CREATE VIRTUAL TABLE articles_text USING fts5 (title, body, tokenize = 'unicode61 remove_diacritics 2');
-- Words of articles that are gone leave the index.
INSERT INTO articles_text (articles_text, rank) VALUES ('secure-delete', 1);
INSERT INTO articles_text (rowid, title, body)
SELECT n, search_terms(title, language), search_terms(body, language) FROM articles;
CREATE TRIGGER articles_inserted AFTER INSERT ON articles BEGIN
    INSERT INTO articles_text (rowid, title, body)
    VALUES (new.n, search_terms(new.title, new.language), search_terms(new.body, new.language));
END;
CREATE TRIGGER articles_deleted AFTER DELETE ON articles BEGIN
    DELETE FROM articles_text WHERE rowid = old.n;
END;
CREATE TRIGGER articles_updated AFTER UPDATE OF title, body, language ON articles
WHEN old.title IS NOT new.title OR old.body IS NOT new.body OR old.language IS NOT new.language BEGIN
    DELETE FROM articles_text WHERE rowid = old.n;
    INSERT INTO articles_text (rowid, title, body)
    VALUES (new.n, search_terms(new.title, new.language), search_terms(new.body, new.language));
END;

-- The latest state of each variant. The variant * is the article with all its variants, which is only ever removed.
ALTER TABLE article_versions RENAME TO article_versions_before;
CREATE TABLE article_versions (
    article    TEXT NOT NULL,
    variant    TEXT NOT NULL,
    arrival    INTEGER NOT NULL, -- the id of its event
    changed_at INTEGER,          -- when the CMS says that it happened
    number     INTEGER,          -- how the CMS counts the change
    at         INTEGER NOT NULL, -- when it arrived
    PRIMARY KEY (article, variant)
) STRICT, WITHOUT ROWID;
INSERT INTO article_versions (article, variant, arrival, changed_at, at)
SELECT article, '', arrival, changed_at, at FROM article_versions_before;
DROP TABLE article_versions_before;

-- Grows with every change of an article that customers of a level may see.
DROP TABLE article_changes;
CREATE TABLE article_changes (
    one       INTEGER PRIMARY KEY CHECK (one = 1),
    anonymous INTEGER NOT NULL,
    otp       INTEGER NOT NULL,
    verified  INTEGER NOT NULL
) STRICT;
INSERT INTO article_changes (one, anonymous, otp, verified) VALUES (1, 0, 0, 0);
CREATE TRIGGER articles_added AFTER INSERT ON articles BEGIN
    UPDATE article_changes SET anonymous = anonymous + (new.audience <= 0), otp = otp + (new.audience <= 1),
        verified = verified + 1;
END;
CREATE TRIGGER articles_changed AFTER UPDATE ON articles
WHEN old.title IS NOT new.title OR old.body IS NOT new.body OR old.url IS NOT new.url
  OR old.audience IS NOT new.audience BEGIN
    UPDATE article_changes SET
        anonymous = anonymous + (min(old.audience, new.audience) <= 0),
        otp = otp + (min(old.audience, new.audience) <= 1),
        verified = verified + 1;
END;
CREATE TRIGGER articles_removed AFTER DELETE ON articles BEGIN
    UPDATE article_changes SET anonymous = anonymous + (old.audience <= 0), otp = otp + (old.audience <= 1),
        verified = verified + 1;
END;

-- Events about articles say a state. What is no longer stored, or was never mapped, stays as it is.
UPDATE events SET payload = CASE kind
    WHEN 'article.unpublished' THEN json_patch(
        json_object('kind', 'article.changed', 'article', payload ->> 'article', 'visible', json('false')),
        json_object('version', payload ->> 'changed_at'))
    ELSE json_patch(
        json_object('kind', 'article.changed', 'article', payload ->> 'article', 'visible', json('true'),
            'title', payload ->> 'title', 'body', payload ->> 'body'),
        json_object('version', payload ->> 'changed_at', 'url', payload ->> 'url')) END
WHERE kind IN ('article.published', 'article.updated', 'article.unpublished') AND payload IS NOT NULL
  AND json_valid(payload) AND payload ->> 'kind' = kind;
UPDATE events SET kind = 'article.changed'
WHERE kind IN ('article.published', 'article.updated', 'article.unpublished');
