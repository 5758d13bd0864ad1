//! The ledger of effects: which effect a request has begun or finished, under its effect key.

use async_trait::async_trait;
use rusqlite::{OptionalExtension, Transaction, params};

use super::{Store, StoreError, audit, contact_writes, conversations, keyed_hash::HashKey, links, locks, requests};
use crate::{
    desk::{AuditRecord, Begin, Claim, EffectKey, Fence, Ledger, LinkedTicket, PortError, System, Target},
    domain::{ConversationId, CustomerId, EffectId, FieldName, Priority, Ticket, TicketId, Timestamp},
};

/// Expired entries removed with each new claim, so that the table stays bounded by the repeat window.
const PRUNED_PER_CLAIM: u32 = 4;

/// Receipt of an effect whose records were erased.
pub(super) const ERASED: &str = r#"{"erased":true}"#;

#[async_trait]
impl Ledger for Store {
    async fn begin(&self, claim: &Claim) -> Result<Begin, PortError> {
        let (claim, now, key) = (claim.clone(), self.clock.now(), self.key.clone());
        self.write(move |transaction| begin(transaction, &claim, now, &key))
            .await
            .map_err(|error| error.of(System::Ledger))
    }

    async fn finish(
        &self,
        effect: &EffectId,
        receipt: serde_json::Value,
        record: AuditRecord,
    ) -> Result<(), PortError> {
        let row = self.audit.row(record);
        let (effect, now) = (effect.clone(), self.clock.now());
        self.write(move |transaction| {
            let finished: Option<(Vec<u8>, bool)> = transaction
                .prepare_cached(
                    "UPDATE ledger SET receipt = ?2, expires_at = coalesce(?3 + repeats_ms, expires_at)
                     WHERE effect = ?1 AND receipt IS NULL RETURNING scope, repeats_ms IS NOT NULL",
                )?
                .query_row(params![effect.as_str(), serde_json::to_string(&receipt)?, now.unix_ms()], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })
                .optional()?;
            if let Some((effect_key, true)) = finished {
                let ticket: Ticket = serde_json::from_value(receipt)?;
                requests::done(transaction, &effect_key, &format!("ticket:{}", ticket.name()), now)?;
            }
            audit::insert(transaction, &row)
        })
        .await
        .map_err(|error| error.of(System::Ledger))
    }

    async fn join(&self, effect: &EffectId) -> Result<bool, PortError> {
        let effect = effect.clone();
        self.write(move |transaction| {
            let joined = transaction
                .prepare_cached("UPDATE ledger SET joined = joined + 1 WHERE effect = ?1 AND receipt IS NULL")?
                .execute([effect.as_str()])?;
            Ok(joined == 1)
        })
        .await
        .map_err(|error| error.of(System::Ledger))
    }

    async fn leave(&self, effect: &EffectId) -> Result<(), PortError> {
        let effect = effect.clone();
        self.write(move |transaction| {
            transaction
                .prepare_cached("UPDATE ledger SET ended = 1 WHERE effect = ?1 AND receipt IS NULL")?
                .execute([effect.as_str()])?;
            Ok(())
        })
        .await
        .map_err(|error| error.of(System::Ledger))
    }

    async fn begin_again(&self, effect: &EffectId, since: Timestamp) -> Result<bool, PortError> {
        let (effect, now) = (effect.clone(), self.clock.now());
        self.write(move |transaction| {
            let changed = transaction
                .prepare_cached(
                    "UPDATE ledger SET begun_at = ?3, ended = 0, joined = 0
                     WHERE effect = ?1 AND begun_at = ?2 AND receipt IS NULL",
                )?
                .execute(params![effect.as_str(), since.unix_ms(), now.unix_ms()])?;
            Ok(changed == 1)
        })
        .await
        .map_err(|error| error.of(System::Ledger))
    }

    async fn target(&self, effect_key: &EffectKey) -> Result<Option<Option<Target>>, PortError> {
        let now = self.clock.now();
        self.read(|connection| conversations::target(connection, effect_key, now))
            .map_err(|error| error.of(System::Ledger))
    }

    async fn unsettled(
        &self,
        conversation: &EffectKey,
        but: &EffectKey,
    ) -> Result<Option<(EffectId, Timestamp)>, PortError> {
        let now = self.clock.now();
        self.read(|connection| conversations::unsettled(connection, conversation, but, now))
            .map_err(|error| error.of(System::Ledger))
    }

    async fn link_ticket(
        &self,
        conversation: &ConversationId,
        customer: &CustomerId,
        ticket: &Ticket,
        priority: Option<Priority>,
        fence: &Fence,
    ) -> Result<(), PortError> {
        let (conversation, customer, ticket) = (conversation.clone(), customer.clone(), ticket.clone());
        let (fence, now) = (fence.clone(), self.clock.now());
        self.write(move |transaction| {
            conversations::link(transaction, &conversation, &customer, &ticket, priority, &fence, now)
        })
        .await
        .map_err(|error| error.of(System::Ledger))
    }

    async fn linked_ticket(
        &self,
        conversation: &ConversationId,
        customer: &CustomerId,
        since: Timestamp,
    ) -> Result<LinkedTicket, PortError> {
        self.read(|connection| conversations::linked(connection, conversation, customer, since))
            .map_err(|error| error.of(System::Ledger))
    }

    async fn close_link(
        &self,
        conversation: &ConversationId,
        customer: &CustomerId,
        ticket: &TicketId,
    ) -> Result<(), PortError> {
        let (conversation, customer, ticket) = (conversation.clone(), customer.clone(), ticket.clone());
        self.write(move |transaction| conversations::close(transaction, &conversation, &customer, &ticket))
            .await
            .map_err(|error| error.of(System::Ledger))
    }

    async fn take_fields(
        &self,
        contact: &EffectKey,
        fields: Vec<FieldName>,
        effect: &EffectId,
        first: bool,
    ) -> Result<Vec<FieldName>, PortError> {
        let (contact, effect, now) = (*contact, effect.clone(), self.clock.now());
        self.write(move |transaction| contact_writes::take_fields(transaction, &contact, fields, &effect, first, now))
            .await
            .map_err(|error| error.of(System::Ledger))
    }

    async fn take_end(&self, contact: &EffectKey, at: Timestamp) -> Result<bool, PortError> {
        let (contact, now) = (*contact, self.clock.now());
        self.write(move |transaction| contact_writes::take_end(transaction, &contact, at, now))
            .await
            .map_err(|error| error.of(System::Ledger))
    }

    async fn give_back(
        &self,
        contact: &EffectKey,
        effect: &EffectId,
        ended: Option<Timestamp>,
    ) -> Result<(), PortError> {
        let (contact, effect) = (*contact, effect.clone());
        self.write(move |transaction| contact_writes::give_back(transaction, &contact, &effect, ended))
            .await
            .map_err(|error| error.of(System::Ledger))
    }

    async fn forget(&self, effect_key: &EffectKey) -> Result<(), PortError> {
        let effect_key = *effect_key;
        self.write(move |transaction| {
            transaction
                .prepare_cached("DELETE FROM ledger WHERE scope = ?1 AND receipt IS NULL")?
                .execute([effect_key.as_bytes()])?;
            Ok(())
        })
        .await
        .map_err(|error| error.of(System::Ledger))
    }

    async fn effect_of(&self, effect_key: &EffectKey) -> Result<Option<EffectId>, PortError> {
        let effect_key = effect_key.as_bytes().to_vec();
        self.read_slow(move |connection| {
            let effect: Option<String> = connection
                .prepare_cached("SELECT effect FROM ledger WHERE scope = ?1")?
                .query_row([effect_key], |row| row.get(0))
                .optional()?;
            Ok(effect.map(|effect| EffectId::parse(&effect)).transpose()?)
        })
        .await
        .map_err(|error| error.of(System::Ledger))
    }

    async fn release(&self, effect: &EffectId) -> Result<(), PortError> {
        let effect = effect.clone();
        self.write(move |transaction| {
            transaction
                .prepare_cached("DELETE FROM ledger WHERE effect = ?1 AND receipt IS NULL AND joined = 0")?
                .execute([effect.as_str()])?;
            Ok(())
        })
        .await
        .map_err(|error| error.of(System::Ledger))
    }
}

/// Claims an effect key, or says what is known under it: done, in doubt, erased, or used by a different request.
fn begin(transaction: &Transaction<'_>, claim: &Claim, now: Timestamp, key: &HashKey) -> Result<Begin, StoreError> {
    let erased = transaction
        .prepare_cached("SELECT 1 FROM ledger WHERE scope = ?1 AND receipt = ?2 AND expires_at > ?3")?
        .exists(params![key.of_hash(claim.effect_key.as_bytes()), ERASED, now.unix_ms()])?;
    if erased {
        return Ok(Begin::Erased);
    }
    type Row = (String, Vec<u8>, i64, Option<String>, i64, bool);
    let known: Option<Row> = transaction
        .prepare_cached(
            "SELECT effect, fingerprint, expires_at, receipt, begun_at, ended FROM ledger WHERE scope = ?1",
        )?
        .query_row([claim.effect_key.as_bytes()], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
        })
        .optional()?;
    if let Some((effect, fingerprint, expires_at, receipt, begun_at, ended)) = known
        && expires_at > now.unix_ms()
    {
        if fingerprint != claim.fingerprint.as_bytes() {
            return Ok(Begin::KeyReused);
        }
        return Ok(match receipt {
            Some(receipt) => Begin::Done { receipt: serde_json::from_str(&receipt)? },
            None => {
                Begin::InDoubt { effect: EffectId::parse(&effect)?, since: Timestamp::from_unix_ms(begun_at)?, ended }
            }
        });
    }
    let plan = &claim.plan;
    if let Some(fence) = &plan.fence
        && !locks::is_held(transaction, fence)?
    {
        return Err(StoreError::LockLost);
    }
    let effect = EffectId::fresh();
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO ledger (scope, effect, fingerprint, expires_at, begun_at, customer_hash, conversation_hash,
                 target, conversation, repeats_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            claim.effect_key.as_bytes(),
            effect.as_str(),
            claim.fingerprint.as_bytes(),
            claim.expires_at.unix_ms(),
            now.unix_ms(),
            key.hash(&claim.customer.to_string()),
            claim.conversation.as_ref().map(|id| key.hash(id.as_str())),
            plan.target.as_ref().map(serde_json::to_string).transpose()?,
            plan.conversation.as_ref().map(EffectKey::as_bytes),
            plan.repeats.map(|repeats| i64::try_from(repeats.as_millis()).unwrap_or(i64::MAX))
        ])?;
    for linked in &claim.linked {
        links::link(transaction, &claim.customer, linked)?;
    }
    transaction
        .prepare_cached(
            "DELETE FROM ledger WHERE scope IN (SELECT scope FROM ledger WHERE expires_at < ?1 ORDER BY expires_at LIMIT ?2)",
        )?
        .execute(params![now.unix_ms(), PRUNED_PER_CLAIM])?;
    Ok(Begin::Fresh { effect })
}
