//! Effects done once: runs a write through the ledger.

use std::{future::Future, time::Duration};

use serde::{Serialize, de::DeserializeOwned};

use super::{
    Begin, Call, Cause, Claim, Decision, Desk, DeskError, Effect, EffectKey, Plan, PortError, PortErrorKind,
    Settlement, System, Verdict, audit::AuditRecord, ports::customer, settlement::Next,
};
use crate::{
    domain::{CustomerId, EffectId, Timestamp},
    telemetry::failpoint,
};

/// Longest duration of a request to a system behind the desk: twice the largest `limits.call_timeout_ms`.
pub(super) const UNDER_WAY_MAX: Duration = Duration::from_secs(240);

/// Result of a write.
pub(super) struct Outcome<T> {
    pub receipt: T,
    pub effect: Effect,
}

/// A receipt, and whether an earlier request produced it.
pub(super) struct Once<T> {
    pub receipt: T,
    pub repeated: bool,
}

/// A write: how to do, find and describe it.
pub(super) struct Write<D, F, W> {
    /// Name of the system, for messages.
    pub system: System,
    pub settlement: Settlement,
    /// Makes the audit decision of a receipt.
    pub describe: D,
    /// Searches for the effect.
    pub find: F,
    /// Performs the write. May run again for an effect in doubt, under the same [`EffectId`], where the settlement
    /// permits it.
    pub write: W,
    /// Stored with the claim.
    pub plan: Plan,
}

impl Desk {
    /// Does a write unless the same request was done within the repeat window; then returns its receipt.
    pub(super) async fn once<T, D, F, FF, W, WF>(
        &self,
        call: &Call,
        customer: &CustomerId,
        write: Write<D, F, W>,
    ) -> Result<Once<T>, DeskError>
    where
        T: Serialize + DeserializeOwned,
        D: Fn(&T) -> Decision,
        F: FnOnce(EffectId) -> FF,
        FF: Future<Output = Result<Option<T>, PortError>>,
        W: FnOnce(EffectId) -> WF,
        WF: Future<Output = Result<Outcome<T>, DeskError>>,
    {
        self.once_under(EffectKey::of(call, customer), call, write).await
    }

    /// The same under a key other than the call's arguments or idempotency key.
    ///
    /// An effect whose answer was lost stays in doubt until the system can settle it ([`Settlement`]).
    pub(super) async fn once_under<T, D, F, FF, W, WF>(
        &self,
        effect_key: EffectKey,
        call: &Call,
        write: Write<D, F, W>,
    ) -> Result<Once<T>, DeskError>
    where
        T: Serialize + DeserializeOwned,
        D: Fn(&T) -> Decision,
        F: FnOnce(EffectId) -> FF,
        FF: Future<Output = Result<Option<T>, PortError>>,
        W: FnOnce(EffectId) -> WF,
        WF: Future<Output = Result<Outcome<T>, DeskError>>,
    {
        let Write { system, settlement, describe, find, write, plan } = write;
        let claim = Claim { plan, ..self.claim(effect_key, call)? };
        // A system that keeps effects unique handles parallel requests better than a lock does.
        let _lock = match settlement.is_unique() {
            true => None,
            false => Some(self.keyed_locks.take(claim.effect_key).await),
        };
        let mut begun = self.ledger.begin(&claim).await?;
        if let Begin::InDoubt { effect, since, .. } = &begun
            && !settlement.is_unique()
            && settlement.next(self.age(*since)) == Next::Write
            && !self.ledger.join(effect).await?
        {
            // Another call has just settled or released it.
            begun = self.ledger.begin(&claim).await?;
        }
        let (effect, first) = match begun {
            Begin::Fresh { effect } => (effect, true),
            Begin::InDoubt { effect, since, ended } => match settlement.next(self.age(since)) {
                Next::Write => (effect, false),
                Next::Leave => {
                    // Another process may be running it, and the ledger will know soon. An event has one worker, whose
                    // last attempt is over when the next one begins.
                    let event = call.repeat_window.is_some();
                    let under_way = !event && !ended && self.age(since) < UNDER_WAY_MAX;
                    return Err(self.in_doubt(call, &effect, system, under_way, None).await?);
                }
                Next::Find { believed } => match find(effect.clone()).await {
                    Ok(Some(receipt)) => {
                        self.finish(call, &effect, &receipt, describe(&receipt).effect(Effect::Repeated)).await?;
                        return Ok(Once { receipt, repeated: true });
                    }
                    Ok(None) if believed && self.ledger.begin_again(&effect, since).await? => (effect, true),
                    Ok(None) => return Err(self.in_doubt(call, &effect, system, true, None).await?),
                    Err(error) => return Err(self.in_doubt(call, &effect, system, true, Some(error)).await?),
                },
            },
            Begin::Done { receipt } => {
                let receipt = serde_json::from_value(receipt).map_err(unreadable)?;
                let decision = describe(&receipt);
                // The description may include another effect.
                let effect = if decision.effect == Effect::None { Effect::Repeated } else { decision.effect };
                self.note(call, decision.effect(effect)).await?;
                return Ok(Once { receipt, repeated: true });
            }
            Begin::KeyReused => {
                self.note(call, Decision::new(Verdict::KeyReused)).await?;
                return Err(DeskError::KeyReused);
            }
            Begin::Erased => return Err(self.erased(call).await?),
        };
        match write(effect.clone()).await {
            Ok(Outcome { receipt, effect: happened }) => {
                failpoint::pass("effect");
                self.finish(call, &effect, &receipt, describe(&receipt).effect(happened)).await?;
                Ok(Once { receipt, repeated: false })
            }
            Err(DeskError::Port(error)) if error.is_not_done() && (first || error.is_verdict()) => {
                self.ledger.release(&effect).await?;
                Err(DeskError::Port(error))
            }
            // A system with unique effects does not repeat what it did before it failed.
            Err(DeskError::Port(error)) if !settlement.is_unique() => {
                self.ledger.leave(&effect).await?;
                Err(self.in_doubt(call, &effect, system, settlement.can_settle(), Some(error)).await?)
            }
            Err(error) => {
                if first && !matches!(error, DeskError::Port(_)) {
                    self.ledger.release(&effect).await?;
                }
                Err(error)
            }
        }
    }

    /// Audits the repeat of an erased request and returns the error.
    pub(super) async fn erased(&self, call: &Call) -> Result<DeskError, DeskError> {
        self.note(call, Decision::new(Verdict::Allowed).effect(Effect::Repeated)).await?;
        Ok(DeskError::Erased)
    }

    /// The ledger claim of a request.
    pub(super) fn claim(&self, effect_key: EffectKey, call: &Call) -> Result<Claim, DeskError> {
        let owner = customer(&call.caller)?;
        Ok(Claim {
            effect_key,
            fingerprint: call.fingerprint,
            expires_at: self.clock.now().plus(call.repeat_window.unwrap_or(self.options.repeat_window())),
            customer: owner.id.clone(),
            linked: owner.linked.clone(),
            conversation: call.caller.conversation.clone(),
            plan: Plan::default(),
        })
    }

    pub(super) async fn finish<T: Serialize>(
        &self,
        call: &Call,
        effect: &EffectId,
        receipt: &T,
        decision: Decision,
    ) -> Result<(), DeskError> {
        let record = AuditRecord::of(call, self.clock.now(), decision);
        let stored = serde_json::to_value(receipt).map_err(unreadable)?;
        Ok(self.ledger.finish(effect, stored, record).await?)
    }

    /// Audits an effect in doubt, with the external id to search for, and returns the error.
    async fn in_doubt(
        &self,
        call: &Call,
        effect: &EffectId,
        system: System,
        can_settle: bool,
        source: Option<PortError>,
    ) -> Result<DeskError, DeskError> {
        self.note(call, Decision::new(Verdict::InDoubt).on("effect", effect)).await?;
        Ok(DeskError::InDoubt { system, can_settle, source })
    }

    pub(super) fn age(&self, since: Timestamp) -> Duration {
        let ms = self.clock.now().unix_ms().saturating_sub(since.unix_ms());
        Duration::from_millis(u64::try_from(ms).unwrap_or(0))
    }

    /// Audits a decision about `call`.
    pub(super) async fn note(&self, call: &Call, decision: Decision) -> Result<(), DeskError> {
        let record = AuditRecord::of(call, self.clock.now(), decision);
        Ok(self.audit.record(record).await?)
    }
}

pub(super) fn unreadable(source: impl Into<Cause>) -> PortError {
    PortError::new(System::Ledger, PortErrorKind::Unexpected, source)
}
