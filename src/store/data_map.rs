//! Data map of the store: for each table, how a subject's rows are found, what erasure does to them, and how long rows
//! are kept. Erasure, export, restore and retention use this list; a test fails when a table or column is missing.

mod list;

pub(super) use list::DATA_MAP;

/// The entry of one table.
pub(super) struct TableEntry {
    pub(super) table: &'static str,
    /// Description of the rows, for exports.
    pub(super) description: &'static str,
    /// A row belongs to the subject if one of these keys matches …
    pub(super) found_by: &'static [Key],
    /// … or this SQL condition holds. `?1` is the subject as JSON.
    pub(super) or: Option<&'static str>,
    pub(super) erasure: Erasure,
    pub(super) kept: Kept,
}

/// A column or SQL expression that identifies the owner of a row.
#[derive(Debug, Clone, Copy)]
pub(super) enum Key {
    /// A customer id, `system:id`.
    Customer(&'static str),
    /// A customer id as the chat platform spelt it.
    Name(&'static str),
    /// A contact id of the embedded CRM.
    Contact(&'static str),
    /// The contact's ledger key, in hexadecimal.
    ContactScope(&'static str),
    /// A canonical email address.
    Email(&'static str),
    Conversation(&'static str),
    CustomerHash(&'static str),
    ConversationHash(&'static str),
    /// A foreign key to another table's row, whose owner decides.
    RowOf {
        column: &'static str,
        table: &'static str,
        key: &'static str,
    },
}

/// What erasure does to a subject's rows.
pub(super) enum Erasure {
    /// The table holds no personal data.
    Nothing,
    Delete,
    /// Keep the row and overwrite its content.
    Blank {
        /// Column and new value. `?2` is the time.
        set: &'static [(&'static str, &'static str)],
        /// Columns that keep their values: they hold no personal data.
        #[cfg_attr(not(test), expect(dead_code, reason = "a declaration that the test of the schema reads"))]
        stay: &'static [&'static str],
        /// SQL condition: the row is not blanked yet. Needed where blanked rows still match a key.
        left: &'static str,
    },
}

/// How long rows are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// Until removed or erased: records of the embedded systems, and tables that are bounded by the configuration.
    Always,
    /// A key of `[retention]` bounds its age.
    Days(Age),
    /// Each row says until when, in `expires_at`.
    UntilExpired,
}

/// The keys of `[retention]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Age {
    Events,
    Deliveries,
    Audit,
    Ledger,
    ConversationTickets,
    ContactChanges,
    ArticleVersions,
}

/// Receipt of an erased effect, as an SQL literal.
const ERASED_SQL: &str = "'{\"erased\":true}'";

impl Age {
    /// The key under `[retention]`.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Events => "events_days",
            Self::Deliveries => "deliveries_days",
            Self::Audit => "audit_days",
            Self::Ledger => "ledger_days",
            Self::ConversationTickets => "conversation_tickets_days",
            Self::ContactChanges => "contact_changes_days",
            Self::ArticleVersions => "article_versions_days",
        }
    }
}

impl Key {
    fn condition(self) -> Option<String> {
        let is_in = |expression: &str, member: &str| {
            Some(format!("{expression} IN (SELECT value FROM json_each(?1, '$.{member}'))"))
        };
        match self {
            Self::Customer(expression) => is_in(expression, "customers"),
            Self::Name(expression) => is_in(expression, "names"),
            Self::Contact(expression) => is_in(expression, "contacts"),
            Self::ContactScope(expression) => is_in(expression, "contact_scopes"),
            Self::Email(expression) => is_in(expression, "emails"),
            Self::Conversation(expression) => is_in(expression, "conversations"),
            Self::CustomerHash(expression) => is_in(expression, "customer_hashes"),
            Self::ConversationHash(expression) => is_in(expression, "conversation_hashes"),
            Self::RowOf { column, table, key } => {
                let parent = DATA_MAP.iter().find(|entry| entry.table == table)?.condition()?;
                Some(format!("{column} IN (SELECT {key} FROM {table} WHERE {parent})"))
            }
        }
    }
}

impl TableEntry {
    /// SQL condition for the subject's rows; none for a table without personal data.
    pub(super) fn condition(&self) -> Option<String> {
        let by_key = self.found_by.iter().filter_map(|key| key.condition());
        let all: Vec<String> = by_key.chain(self.or.map(|or| format!("({or})"))).collect();
        (!all.is_empty()).then(|| format!("({})", all.join(" OR ")))
    }

    /// SQL condition for rows that are not erased yet.
    pub(super) fn left(&self) -> &'static str {
        match &self.erasure {
            Erasure::Blank { left, .. } => left,
            Erasure::Nothing | Erasure::Delete => "TRUE",
        }
    }

    /// The statement that erases them. `?1` is the subject, `?2` the time.
    pub(super) fn erase(&self) -> Option<String> {
        let (theirs, table) = (self.condition()?, self.table);
        match &self.erasure {
            Erasure::Nothing => None,
            Erasure::Delete => Some(format!("DELETE FROM {table} WHERE ?2 IS NOT NULL AND {theirs}")),
            Erasure::Blank { set, left, .. } => {
                let set: Vec<String> = set.iter().map(|(column, value)| format!("{column} = {value}")).collect();
                Some(format!("UPDATE {table} SET {} WHERE ?2 IS NOT NULL AND {left} AND {theirs}", set.join(", ")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::Clock,
        store::{Store, open},
    };

    /// Every table of the schema, shadow tables too, with its columns.
    fn schema() -> Vec<(String, Vec<String>)> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("frontdesk.db");
        drop(Store::open(&path, Clock::system()).unwrap());
        let connection = open::readable(&path).unwrap();
        let mut tables = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").unwrap();
        let tables: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
        tables
            .into_iter()
            .map(|table| {
                let mut columns = connection.prepare("SELECT name FROM pragma_table_info(?1)").unwrap();
                let columns = columns.query_map([&table], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
                (table, columns)
            })
            .collect()
    }

    #[test]
    fn every_table_says_what_it_holds_of_whom() {
        let schema = schema();
        for (table, columns) in &schema {
            let entry = DATA_MAP.iter().find(|entry| entry.table == table);
            let entry = entry.unwrap_or_else(|| panic!("DATA_MAP does not know the table {table}"));
            assert_eq!(entry.erase().is_some(), !entry.found_by.is_empty(), "{table}");
            // A blanked table must classify each of its columns.
            let Erasure::Blank { set, stay, .. } = &entry.erasure else { continue };
            for column in columns {
                let known = set.iter().any(|(set, _)| set == column) || stay.contains(&column.as_str());
                assert!(known, "DATA_MAP does not say what erasure does to {table}.{column}");
            }
        }
        for entry in DATA_MAP {
            assert!(schema.iter().any(|(table, _)| table == entry.table), "there is no table {}", entry.table);
        }
    }

    #[test]
    fn the_mark_of_an_erased_receipt_is_one() {
        assert_eq!(ERASED_SQL, format!("'{}'", crate::store::ledger::ERASED));
    }
}
