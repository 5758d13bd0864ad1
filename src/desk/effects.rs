//! Effects done once: the ledger around a write.

use std::future::Future;

use serde::{Serialize, de::DeserializeOwned};

use super::{Begin, Call, Claim, Decision, Desk, DeskError, Effect, PortError, Scope, Verdict, audit::AuditRecord};
use crate::domain::{CustomerId, EffectId};

/// How a write ended.
pub(super) struct Outcome<T> {
    pub receipt: T,
    pub effect: Effect,
}

/// A receipt, and whether this call brought it about.
pub(super) struct Once<T> {
    pub receipt: T,
    pub repeated: bool,
}

impl Desk {
    /// Runs `write` unless the same request has been done inside the window; then its receipt is returned.
    ///
    /// `describe` says for the audit what the receipt is about. `write` may run again for an effect that is in doubt, under the same [`EffectId`]: the ports absorb that.
    pub(super) async fn once<T, W>(
        &self,
        call: &Call,
        customer: &CustomerId,
        describe: impl Fn(&T) -> Decision,
        write: impl FnOnce(EffectId) -> W,
    ) -> Result<Once<T>, DeskError>
    where
        T: Serialize + DeserializeOwned,
        W: Future<Output = Result<Outcome<T>, DeskError>>,
    {
        let claim = Claim {
            scope: Scope::of(call, customer),
            fingerprint: call.fingerprint,
            expires_at: self.clock.now().plus(self.options.repeat_window()),
        };
        let effect = match self.ledger.begin(&claim).await? {
            Begin::Fresh { effect } | Begin::InDoubt { effect } => effect,
            Begin::Done { receipt } => {
                let receipt = serde_json::from_value(receipt).map_err(unreadable)?;
                let decision = describe(&receipt);
                // What is described may have changed something besides what is repeated.
                let effect = if decision.effect == Effect::None { Effect::Repeated } else { decision.effect };
                self.note(call, decision.effect(effect)).await?;
                return Ok(Once { receipt, repeated: true });
            }
            Begin::KeyReused => {
                self.note(call, Decision::new(Verdict::KeyReused)).await?;
                return Err(DeskError::KeyReused);
            }
        };
        let Outcome { receipt, effect: happened } = write(effect.clone()).await?;
        let record = AuditRecord::of(call, self.clock.now(), describe(&receipt).effect(happened));
        let stored = serde_json::to_value(&receipt).map_err(unreadable)?;
        self.ledger.finish(&effect, stored, record).await?;
        Ok(Once { receipt, repeated: false })
    }

    /// Puts a decision about `call` on record.
    pub(super) async fn note(&self, call: &Call, decision: Decision) -> Result<(), DeskError> {
        let record = AuditRecord::of(call, self.clock.now(), decision);
        Ok(self.audit.record(record).await?)
    }
}

fn unreadable(source: serde_json::Error) -> PortError {
    PortError::Unexpected { system: "ledger", source: Box::new(source) }
}
