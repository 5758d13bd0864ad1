-- Whose a row is, so that erasure finds it; keyed hashes where only a repeat has to be recognised. `keyed_hash` is ours.

ALTER TABLE ledger ADD COLUMN customer_hash TEXT;
ALTER TABLE ledger ADD COLUMN conversation_hash TEXT;
CREATE INDEX ledger_customer_hash ON ledger (customer_hash) WHERE customer_hash IS NOT NULL;
CREATE INDEX ledger_conversation_hash ON ledger (conversation_hash) WHERE conversation_hash IS NOT NULL;

-- Who wrote it: a note stands on the contact of another id of the same person.
ALTER TABLE notes ADD COLUMN customer_hash TEXT;
ALTER TABLE notes ADD COLUMN conversation_hash TEXT;
ALTER TABLE comments ADD COLUMN customer_hash TEXT;
ALTER TABLE comments ADD COLUMN conversation_hash TEXT;
ALTER TABLE contact_changes ADD COLUMN customer_hash TEXT;
ALTER TABLE contact_changes ADD COLUMN at INTEGER NOT NULL DEFAULT 0;
UPDATE contact_changes SET at = CAST(unixepoch('subsec') * 1000 AS INTEGER);
CREATE INDEX contact_changes_at ON contact_changes (at);

-- Effects of before this format, as far as the embedded desk knows whose they are.
CREATE INDEX audit_customer ON audit (customer_hash) WHERE customer_hash IS NOT NULL;
UPDATE ledger SET
    customer_hash = (SELECT keyed_hash(customer) FROM tickets WHERE tickets.effect = ledger.effect),
    conversation_hash = (SELECT keyed_hash(conversation) FROM tickets WHERE tickets.effect = ledger.effect)
WHERE effect IN (SELECT effect FROM tickets);
UPDATE ledger SET (customer_hash, conversation_hash) = (
    SELECT keyed_hash(tickets.customer), keyed_hash(tickets.conversation)
    FROM comments JOIN tickets ON tickets.n = comments.ticket WHERE comments.effect = ledger.effect)
WHERE effect IN (SELECT effect FROM comments);
UPDATE ledger SET customer_hash = (
    SELECT keyed_hash(CASE WHEN contact LIKE '%:%' THEN contact ELSE 'builtin:' || contact END)
    FROM (SELECT effect, contact FROM notes UNION ALL SELECT effect, contact FROM contact_changes) AS written
    WHERE written.effect = ledger.effect)
WHERE customer_hash IS NULL
  AND effect IN (SELECT effect FROM notes UNION ALL SELECT effect FROM contact_changes);

-- Ids that a customer was seen to have in other systems, or contacts that are theirs under another id. system:id.
CREATE TABLE customer_links (
    customer TEXT NOT NULL,
    linked   TEXT NOT NULL,
    PRIMARY KEY (customer, linked)
) STRICT, WITHOUT ROWID;
CREATE INDEX customer_links_linked ON customer_links (linked);

-- Erasures that were carried out, so that a restored backup can be given those that it does not know.
CREATE TABLE erasures (
    id TEXT PRIMARY KEY,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What was delivered is recognised by a keyed hash: identities hold ids of conversations.
UPDATE deliveries SET identity = keyed_hash(identity), body_hash = CAST(keyed_hash(hex(body_hash)) AS BLOB);
UPDATE events SET
    identity = CASE WHEN identity LIKE 'unmappable:%' THEN 'unmappable:' ELSE '' END || keyed_hash(identity),
    body_hash = CAST(keyed_hash(hex(body_hash)) AS BLOB);
CREATE INDEX deliveries_age ON deliveries (source, at);
CREATE INDEX events_age ON events (updated_at) WHERE state IN ('done', 'dead', 'discarded', 'quarantined');

-- The audit names contacts by a keyed hash, as it does customers.
UPDATE audit SET objects = (
    SELECT json_group_array(CASE WHEN value LIKE 'contact:%' THEN 'contact:' || keyed_hash(substr(value, 9)) ELSE value END)
    FROM json_each(audit.objects))
WHERE objects LIKE '%"contact:%';

-- When the latest change of an article was applied.
ALTER TABLE article_versions ADD COLUMN at INTEGER NOT NULL DEFAULT 0;
UPDATE article_versions SET at = CAST(unixepoch('subsec') * 1000 AS INTEGER);

-- Words of articles that are gone leave the index, too.
INSERT INTO articles_text (articles_text, rank) VALUES ('secure-delete', 1);
INSERT INTO articles_text (articles_text) VALUES ('rebuild');
