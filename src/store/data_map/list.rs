//! The entries: every table of the store. A table that refers to another stands before it, so that its rows are found
//! while the parent's still exist.

use super::{Age, ERASED_SQL, Erasure, Kept, Key, TableEntry};

const OF_NOBODY: TableEntry =
    TableEntry { table: "", description: "", found_by: &[], or: None, erasure: Erasure::Nothing, kept: Kept::Always };

pub(in crate::store) const DATA_MAP: &[TableEntry] = &[
    TableEntry {
        table: "events",
        description: "what chat platforms reported",
        found_by: &[Key::Name("customer"), Key::Conversation("conversation")],
        // Unmappable and unmapped bodies name their subject in the payload alone.
        or: Some(
            "customer IS NULL AND payload IS NOT NULL AND kind NOT LIKE 'article.%' AND mentions(payload, ?1)",
        ),
        erasure: Erasure::Blank {
            set: &[
                ("identity", "CASE WHEN identity LIKE 'unmappable:%' THEN 'unmappable:erased' ELSE 'erased' END"),
                ("body_hash", "zeroblob(16)"),
                ("subject", "'erased:' || id"),
                ("state", "CASE WHEN state IN ('done', 'dead', 'discarded') THEN state ELSE 'discarded' END"),
                ("updated_at", "?2"),
                ("error", "NULL"),
                ("receipt", "CASE WHEN receipt LIKE 'ticket:%' THEN receipt END"),
                ("conversation", "NULL"),
                ("customer", "NULL"),
                ("payload", "NULL"),
                ("parked", "0"),
                ("waits_for", "NULL"),
                ("wait_cause", "NULL"),
            ],
            stay: &[
                "id", "source", "kind", "priority", "claims", "failures", "token", "due_at", "received_at", "in_doubt",
                "traceparent", "waits", "outage_since",
            ],
            left: "TRUE",
        },
        kept: Kept::Days(Age::Events),
    },
    TableEntry {
        table: "comments",
        description: "comments on tickets of the embedded helpdesk",
        found_by: &[
            Key::RowOf { column: "ticket", table: "tickets", key: "n" },
            Key::CustomerHash("customer_hash"),
            Key::ConversationHash("conversation_hash"),
        ],
        or: None,
        erasure: Erasure::Blank {
            set: &[("text", "'[erased]'"), ("customer_hash", "NULL"), ("conversation_hash", "NULL")],
            stay: &["n", "effect", "ticket", "at"],
            left: "text <> '[erased]'",
        },
        kept: Kept::Always,
    },
    TableEntry {
        table: "tickets",
        description: "tickets of the embedded helpdesk",
        found_by: &[Key::Customer("customer"), Key::Conversation("conversation")],
        or: None,
        erasure: Erasure::Blank {
            set: &[
                ("customer", "'[erased]'"),
                ("email", "NULL"),
                ("name", "NULL"),
                ("conversation", "NULL"),
                ("subject", "'[erased]'"),
                ("description", "'[erased]'"),
                ("category", "NULL"),
                ("order_number", "NULL"),
                ("tags", "'[]'"),
                ("fields", "'{}'"),
            ],
            stay: &["n", "effect", "priority", "status", "created_at"],
            left: "TRUE",
        },
        kept: Kept::Always,
    },
    TableEntry {
        table: "notes",
        description: "notes on contacts of the embedded CRM",
        found_by: &[
            Key::Contact("contact"),
            Key::CustomerHash("customer_hash"),
            Key::ConversationHash("conversation_hash"),
        ],
        // Notes written before `conversation_hash` existed.
        or: Some(
            "EXISTS (SELECT 1 FROM json_each(?1, '$.conversations')
                     WHERE substr(text, 1, length(value) + 22) = 'Chatbot conversation ' || value || ',')",
        ),
        erasure: Erasure::Blank {
            set: &[
                ("contact", "'[erased]'"),
                ("text", "'[erased]'"),
                ("customer_hash", "NULL"),
                ("conversation_hash", "NULL"),
            ],
            stay: &["n", "effect", "at"],
            left: "TRUE",
        },
        kept: Kept::Always,
    },
    TableEntry {
        table: "contact_changes",
        description: "earlier values of contact fields, kept for repeated requests",
        found_by: &[Key::Contact("contact"), Key::CustomerHash("customer_hash")],
        or: None,
        erasure: Erasure::Delete,
        kept: Kept::Days(Age::ContactChanges),
    },
    TableEntry {
        table: "contact_writes",
        description: "which write of a contact field was the last",
        found_by: &[Key::ContactScope("lower(hex(contact))")],
        or: None,
        erasure: Erasure::Delete,
        kept: Kept::Days(Age::Ledger),
    },
    TableEntry {
        table: "conversation_ends",
        description: "when the latest conversation of a contact ended",
        found_by: &[Key::ContactScope("lower(hex(contact))")],
        or: None,
        erasure: Erasure::Delete,
        kept: Kept::Days(Age::Ledger),
    },
    TableEntry {
        table: "contacts",
        description: "contacts of the embedded CRM",
        found_by: &[Key::Customer("customer")],
        or: None,
        erasure: Erasure::Delete,
        kept: Kept::Always,
    },
    TableEntry {
        table: "conversation_tickets",
        description: "which ticket a conversation has",
        found_by: &[Key::Customer("customer"), Key::Conversation("conversation")],
        or: None,
        erasure: Erasure::Delete,
        kept: Kept::Days(Age::ConversationTickets),
    },
    TableEntry {
        table: "ledger",
        description: "what came of requests, kept for their repetition",
        found_by: &[Key::CustomerHash("customer_hash"), Key::ConversationHash("conversation_hash")],
        // Entries written before `customer_hash` existed.
        or: Some("customer_hash IS NULL AND receipt IS NOT NULL AND mentions(receipt, ?1)"),
        erasure: Erasure::Blank {
            // Hashed with the key: an unkeyed hash of a request could be guessed.
            set: &[
                ("scope", "CAST(keyed_hash(hex(scope)) AS BLOB)"),
                ("fingerprint", "CAST(keyed_hash(hex(fingerprint)) AS BLOB)"),
                ("receipt", ERASED_SQL),
                ("target", "NULL"),
                ("conversation", "NULL"),
            ],
            stay: &[
                "effect", "expires_at", "begun_at", "joined", "ended", "repeats_ms", "customer_hash", "conversation_hash",
            ],
            left: "receipt IS NOT '{\"erased\":true}'",
        },
        kept: Kept::Days(Age::Ledger),
    },
    TableEntry {
        table: "audit",
        description: "decisions on calls",
        found_by: &[Key::CustomerHash("customer_hash"), Key::Conversation("conversation")],
        // Look-ups of the subject's orders by staff, with the reason that they gave.
        or: Some(
            "staff IS NOT NULL AND EXISTS (SELECT 1 FROM json_each(objects) AS object WHERE ltrim(substr(object.value, 7), '#')
                 IN (SELECT value FROM json_each(?1, '$.orders')) AND object.value LIKE 'order:%')",
        ),
        erasure: Erasure::Blank {
            set: &[
                (
                    "conversation",
                    "CASE WHEN conversation LIKE 'erased:%' THEN conversation
                          ELSE 'erased:' || keyed_hash(conversation) END",
                ),
                ("context_id", "NULL"),
                ("reason", "CASE WHEN reason IS NOT NULL THEN '[erased]' END"),
            ],
            stay: &["id", "at", "agent", "customer_hash", "tool", "verdict", "objects", "fields", "effect", "staff", "origin"],
            left: "(conversation NOT LIKE 'erased:%' OR context_id IS NOT NULL OR reason <> '[erased]')",
        },
        kept: Kept::Days(Age::Audit),
    },
    TableEntry {
        table: "orders",
        description: "orders of the embedded order system",
        found_by: &[
            Key::Customer("json_extract(doc, '$.owner.customer')"),
            Key::Email(
                "CASE WHEN json_extract(doc, '$.owner') = 'guest' THEN canonical_email(json_extract(doc, '$.email')) END",
            ),
        ],
        or: None,
        erasure: Erasure::Delete,
        kept: Kept::Always,
    },
    TableEntry {
        table: "customer_links",
        description: "other ids of the same person",
        found_by: &[Key::Customer("customer"), Key::Customer("linked")],
        or: None,
        erasure: Erasure::Delete,
        kept: Kept::Always,
    },
    TableEntry {
        table: "verification_codes",
        description: "one-time codes under way",
        found_by: &[Key::Customer("customer"), Key::Email("canonical_email(email)"), Key::Conversation("conversation")],
        or: None,
        erasure: Erasure::Delete,
        kept: Kept::UntilExpired,
    },
    TableEntry {
        table: "proven_addresses",
        description: "addresses that conversations have proven by a one-time code",
        found_by: &[Key::Customer("customer"), Key::Email("canonical_email(email)"), Key::Conversation("conversation")],
        or: None,
        erasure: Erasure::Delete,
        kept: Kept::UntilExpired,
    },
    // Keyed hashes of dedup keys and bodies.
    TableEntry { table: "context_revocations", ..OF_NOBODY },
    TableEntry { table: "deliveries", kept: Kept::Days(Age::Deliveries), ..OF_NOBODY },
    TableEntry { table: "article_versions", kept: Kept::Days(Age::ArticleVersions), ..OF_NOBODY },
    // Help articles are about nobody.
    TableEntry { table: "articles", ..OF_NOBODY },
    TableEntry { table: "articles_text", ..OF_NOBODY },
    TableEntry { table: "articles_text_config", ..OF_NOBODY },
    TableEntry { table: "articles_text_content", ..OF_NOBODY },
    TableEntry { table: "articles_text_data", ..OF_NOBODY },
    TableEntry { table: "articles_text_docsize", ..OF_NOBODY },
    TableEntry { table: "articles_text_idx", ..OF_NOBODY },
    TableEntry { table: "article_changes", ..OF_NOBODY },
    TableEntry { table: "reconciliations", ..OF_NOBODY },
    // Short-lived: hashes of keys under a lock.
    TableEntry { table: "locks", ..OF_NOBODY },
    // Agents, sources and counts.
    TableEntry { table: "agent_token", ..OF_NOBODY },
    TableEntry { table: "dead_letters", ..OF_NOBODY },
    TableEntry { table: "event_counts", ..OF_NOBODY },
    // Members of staff, by the name that they signed in with.
    TableEntry { table: "console_links", kept: Kept::UntilExpired, ..OF_NOBODY },
    TableEntry { table: "console_sessions", kept: Kept::UntilExpired, ..OF_NOBODY },
    // Encrypted tokens of upstreams.
    TableEntry { table: "upstream_tokens", ..OF_NOBODY },
    // Names of upstreams.
    TableEntry { table: "holds", ..OF_NOBODY },
    TableEntry { table: "hold_alerts", ..OF_NOBODY },
    TableEntry { table: "sources_heard", ..OF_NOBODY },
    TableEntry { table: "erasures", ..OF_NOBODY },
    TableEntry { table: "store_key", ..OF_NOBODY },
    TableEntry { table: "sqlite_sequence", ..OF_NOBODY },
];
