//! The registry: every call passes its checks in this order: level, rate limits, arguments; then the tool.

use std::{collections::HashMap, sync::Arc, time::Duration};

use serde_json::{Map, Value};

use super::{
    OneTimeCodes, Options, all,
    argument_mode::ArgumentMode,
    arguments::Arguments,
    carried_key::CarriedKey,
    error::{RegistryError, ToolError, in_words},
    refused::{Code, Refused},
    tool::{AnyTool, Spec, ToolReply},
};
use crate::{
    desk::{AuditRecord, Call, Decision, Desk, Fingerprint, IdempotencyKey, Verdict},
    domain::{AgentId, CustomerId, Level},
    identity::{Caller, Subject},
    limits::{self, Limiter},
    telemetry::causes,
};

/// The offered tools.
pub struct Registry {
    entries: Vec<Entry>,
    by_name: HashMap<&'static str, usize>,
    argument_mode: Option<ArgumentMode>,
    customers: Limiter<CustomerId>,
    deadlines: Vec<Duration>,
    /// Arguments that hosts add: removed before validation.
    ignored_arguments: Vec<String>,
    desk: Arc<Desk>,
}

struct Entry {
    spec: Spec,
    arguments: Arguments,
    tool: Box<dyn AnyTool>,
}

/// A tool call, as the transport passes it.
#[derive(Debug)]
pub struct Request {
    pub tool: &'static str,
    pub arguments: Map<String, Value>,
    pub idempotency_key: CarriedKey,
    /// The authenticated agent, where authentication is required.
    pub agent: Option<AgentId>,
    pub caller: CallerSource,
}

/// The customer of a call.
#[derive(Debug)]
pub enum CallerSource {
    /// Known from the transport or the customer context.
    Caller(Box<Caller>),
    /// To be taken from an argument (identity mode `argument`).
    Argument,
}

impl Registry {
    /// `by_argument` offers the tools of identity mode `argument`: fewer, and lookup_order with a `customer_email`.
    pub fn new(
        options: &Options,
        by_argument: bool,
        limits: &limits::Options,
        desk: Arc<Desk>,
    ) -> Result<Self, RegistryError> {
        let codes = if desk.verifications().is_some() { OneTimeCodes::Enabled } else { OneTimeCodes::Disabled };
        let tools = all(options, codes)?;
        let names: Vec<&str> = tools.iter().map(|tool| tool.spec().name).collect();
        let named = options.levels.keys().map(|name| ("levels", name));
        let named = named.chain(options.deadlines_ms.keys().map(|name| ("deadlines_ms", name)));
        for (key, name) in named {
            if !names.contains(&name.as_str()) {
                if all(options, OneTimeCodes::Enabled)?.iter().any(|tool| tool.spec().name == name) {
                    return Err(RegistryError::OnlyWithCodes { key, name: name.clone() });
                }
                return Err(RegistryError::UnknownTool { key, name: name.clone(), known: names.join(", ") });
            }
        }
        if let Some(name) =
            options.deadlines_ms.iter().find(|(_, ms)| !(100..=120_000).contains(*ms)).map(|(name, _)| name)
        {
            return Err(RegistryError::Deadline(name.clone()));
        }
        let argument_mode = by_argument.then(ArgumentMode::default);
        let mut entries = Vec::new();
        for tool in tools {
            let mut spec = super::spec(tool.as_ref(), codes);
            if let Some(level) = options.levels.get(spec.name) {
                spec.level = *level;
            }
            if argument_mode.as_ref().is_some_and(|mode| !mode.offers(&mut spec)) {
                continue;
            }
            let arguments = Arguments::new(spec.name, &spec.input_schema, tool.own_patterns())?;
            if let Some(name) = options.ignored_arguments.iter().find(|name| arguments.has(name)) {
                return Err(RegistryError::IgnoredArgument { tool: spec.name, name: name.clone() });
            }
            entries.push(Entry { spec, arguments, tool });
        }
        let by_name = entries.iter().enumerate().map(|(at, entry)| (entry.spec.name, at)).collect();
        let deadline = |entry: &Entry| options.deadline(entry.spec.name, entry.spec.hints.read_only);
        let deadlines = entries.iter().map(deadline).collect();
        let ignored_arguments = options.ignored_arguments.clone();
        Ok(Self { entries, by_name, argument_mode, customers: limits.customers(), deadlines, ignored_arguments, desk })
    }

    pub(super) fn desk(&self) -> &Desk {
        &self.desk
    }

    /// The specifications, in a fixed order.
    pub fn specs(&self) -> impl Iterator<Item = &Spec> {
        self.entries.iter().map(|entry| &entry.spec)
    }

    pub fn spec(&self, tool: &str) -> Option<&Spec> {
        self.by_name.get(tool).map(|at| &self.entries[*at].spec)
    }

    /// Whether the tool writes: such a call must run to its end even if the client disconnects.
    pub fn writes(&self, tool: &str) -> bool {
        self.spec(tool).is_some_and(|spec| !spec.hints.read_only)
    }

    /// Deadline of a call of the tool.
    pub fn deadline(&self, tool: &str) -> Duration {
        self.by_name.get(tool).map_or(Duration::ZERO, |at| self.deadlines[*at])
    }

    /// Calls a tool of this registry.
    pub async fn call(&self, mut request: Request) -> Result<ToolReply, ToolError> {
        let Some(entry) = self.by_name.get(request.tool).map(|at| &self.entries[*at]) else {
            return Err(ToolError::refused(Code::InvalidArguments, "There is no tool of that name."));
        };
        let spec = &entry.spec;
        request.arguments.retain(|name, _| !self.ignored_arguments.contains(name));
        let caller = self.caller(spec, request.agent, request.caller, &request.arguments).await?;
        let admitted =
            self.admit(&caller, spec).and_then(|()| checked(entry, request.arguments, request.idempotency_key));
        let (arguments, idempotency_key) = match admitted {
            Ok(admitted) => admitted,
            Err((verdict, refused)) => {
                self.note(&caller, spec, verdict).await?;
                return Err(ToolError::Refused(refused));
            }
        };
        let fingerprint = match spec.hints.read_only {
            // A repeated read is answered again and not deduplicated.
            true => Fingerprint::NONE,
            false => {
                let mut canonical = arguments.clone();
                entry.tool.canonical(&mut canonical);
                fingerprint(&canonical)
            }
        };
        let call = Call { caller, tool: spec.name, fingerprint, idempotency_key, repeat_window: None };
        let result = entry.tool.call(&self.desk, &call, arguments).await;
        if let Err(ToolError::Unrecorded { verdict, .. }) = &result {
            self.note(&call.caller, spec, *verdict).await?;
        }
        if let Err(error) = &result
            && error.is_failure()
        {
            tracing::error!(tool = spec.name, error = causes(error), "tool call failed");
            self.note(&call.caller, spec, Verdict::Failed).await?;
        }
        result
    }

    /// Determines the caller.
    async fn caller(
        &self,
        spec: &Spec,
        agent: Option<AgentId>,
        caller: CallerSource,
        arguments: &Map<String, Value>,
    ) -> Result<Caller, ToolError> {
        let claimed = match self.argument_mode.as_ref().map(|mode| mode.claimed(spec, arguments)).transpose() {
            Ok(claimed) => claimed,
            Err(error) => {
                self.note_refused(spec.name, &Caller::nobody(agent), Verdict::InvalidArguments).await?;
                return Err(error);
            }
        };
        match (caller, claimed) {
            (CallerSource::Caller(caller), None) => Ok(*caller),
            (_, Some(caller)) => Ok(Caller { agent, ..caller }),
            (CallerSource::Argument, None) => Err(ToolError::step_up(spec.level)),
        }
    }

    /// Checks whether the caller may call the tool, before any named record is looked up.
    fn admit(&self, caller: &Caller, spec: &Spec) -> Result<(), Judged> {
        if caller.staff().is_some() && spec.staff_scope.is_none() {
            let why = "Members of staff can call lookup_order alone without a customer. Call again for a customer, without \
                the staff reason.";
            return Err((Verdict::IdentityRefused, Refused::new(Code::NotConfirmed, why)));
        }
        if let Some(Err(wait)) = caller.customer().map(|customer| self.customers.check(&customer.id)) {
            let why = format!(
                "Too many requests for this customer in a short time. Wait {}, then call again.",
                in_words(wait.seconds())
            );
            return Err((Verdict::RateLimited, Refused::new(Code::Slowed, why).again_in(wait.seconds())));
        }
        let reached = match &caller.subject {
            Subject::Customer(customer) => customer.reached() >= spec.level,
            Subject::Nobody => spec.for_nobody && spec.level == Level::Anonymous,
            Subject::Claimed(_) | Subject::Staff(_) => true,
        };
        if !reached {
            return Err((Verdict::StepUp, ToolError::step_up_at(&self.desk, spec.level).into_refused()));
        }
        if let Some(mode) = &self.argument_mode
            && !mode.allows(spec, self.desk.now())
        {
            let why = "Too many look-ups in a short time. Wait a minute, then try again.";
            return Err((Verdict::RateLimited, Refused::new(Code::Slowed, why).again_in(60)));
        }
        Ok(())
    }

    async fn note(&self, caller: &Caller, spec: &Spec, verdict: Verdict) -> Result<(), ToolError> {
        self.note_refused(spec.name, caller, verdict).await
    }

    /// Audits a call that was refused before its customer was known.
    pub async fn note_refused(&self, tool: &str, caller: &Caller, verdict: Verdict) -> Result<(), ToolError> {
        let tool = self.spec(tool).map_or("unknown", |spec| spec.name);
        let record = AuditRecord::of_caller(caller, tool, self.desk.now(), Decision::new(verdict));
        self.desk.record(record).await.map_err(ToolError::Port)
    }
}

/// A refused call: the verdict for the audit, and what the agent may know.
type Judged = (Verdict, Refused);

fn checked(
    entry: &Entry,
    arguments: Map<String, Value>,
    key: CarriedKey,
) -> Result<(Map<String, Value>, Option<IdempotencyKey>), Judged> {
    let arguments = entry.arguments.check(arguments, |name| entry.tool.instead_of(name));
    arguments
        .and_then(|arguments| Ok((arguments, key.parse()?)))
        .map_err(|sentence| (Verdict::InvalidArguments, Refused::new(Code::InvalidArguments, sentence)))
}

/// Hashes the members sorted by name, so that their order does not matter.
fn fingerprint(arguments: &Map<String, Value>) -> Fingerprint {
    let mut members: Vec<(&String, &Value)> = arguments.iter().collect();
    members.sort_by_key(|(name, _)| *name);
    Fingerprint::of(serde_json::to_string(&members).unwrap_or_default().as_bytes())
}
