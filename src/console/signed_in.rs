//! What every way of signing in shares: the session's cookie, pages for strangers, and the record in the audit.

use askama::Template;
use http::StatusCode;

use super::{Console, ConsoleError, Reply, origin::Origin};
use crate::desk::{AuditRecord, AuditedPerson, Decision, Verdict};

/// The cookie's name. With `__Host-` a browser takes it from an encrypted answer of this very host alone.
pub(super) fn cookie_name(origin: &Origin) -> &'static str {
    if origin.is_https { "__Host-frontdesk_console" } else { "frontdesk_console" }
}

/// A cookie of this host. SameSite=Strict: no other site's link or form brings it along.
pub(super) fn cookie(name: &str, origin: &Origin, value: &str, seconds: u64) -> String {
    let secure = if origin.is_https { "; Secure" } else { "" };
    format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}")
}

/// A page for somebody who is not signed in.
pub(super) fn show_page(template: &impl Template) -> Result<Reply, ConsoleError> {
    let page = template.render().map_err(|error| ConsoleError(Box::new(error)))?;
    Ok(Reply::html(StatusCode::OK, page))
}

/// Puts what a person did with sessions into the audit.
pub(super) async fn note(console: &Console, person: AuditedPerson, tool: &'static str) -> Result<(), ConsoleError> {
    let record = AuditRecord {
        at: console.parts.clock.now(),
        agent: None,
        customer: None,
        staff: Some(person),
        conversation: None,
        context_id: None,
        origin: None,
        tool: tool.into(),
        decision: Decision::new(Verdict::Allowed),
    };
    console.parts.audit.record(record).await.map_err(|error| ConsoleError(Box::new(error)))
}
