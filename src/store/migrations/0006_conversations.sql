-- Tickets of conversations: until when a conversation has one, where a request for one goes, and who is at it.

-- When the ticket was last used, and what is known of it. Links from before this format end as if they were used now.
ALTER TABLE conversation_tickets ADD COLUMN used_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversation_tickets ADD COLUMN priority TEXT NOT NULL DEFAULT 'normal';
ALTER TABLE conversation_tickets ADD COLUMN closed INTEGER NOT NULL DEFAULT 0; -- it took no more comments
ALTER TABLE conversation_tickets DROP COLUMN escalated;
UPDATE conversation_tickets SET used_at = unixepoch() * 1000;
CREATE INDEX conversation_tickets_used ON conversation_tickets (used_at);

-- Where the effect goes, decided with the claim (JSON), and the conversation whose ticket it opens.
ALTER TABLE ledger ADD COLUMN target TEXT;
ALTER TABLE ledger ADD COLUMN conversation BLOB;
-- Once it is done, for how long a repeat is recognised, where that is not until expires_at.
ALTER TABLE ledger ADD COLUMN repeats_ms INTEGER;
CREATE INDEX ledger_conversation ON ledger (conversation) WHERE conversation IS NOT NULL AND receipt IS NULL;

-- One holder of each key at a time, among all processes on the store. The token changes with every holder.
CREATE TABLE locks (
    key           BLOB PRIMARY KEY,
    token         TEXT NOT NULL,
    lease_ends_at INTEGER NOT NULL,
    worker        INTEGER NOT NULL -- 1: taken by the one process that works events off
) STRICT, WITHOUT ROWID;
CREATE INDEX locks_ended ON locks (lease_ends_at);

-- Requests for tickets that were taken down while the helpdesk was away; identity is the ledger's scope in hexadecimal.
CREATE INDEX events_requested ON events (identity) WHERE kind = 'ticket.requested';
