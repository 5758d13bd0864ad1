//! Rules of `[verification]`: a sender, and nothing that would prove too much or tell too much.

use super::Faults;
use crate::{
    config::Config,
    desk::CodeTexts,
    domain::{SystemId, names_loopback},
    identity::Mode,
    mail::{SmtpOptions, SmtpTls, is_sender},
};

pub(super) fn verification(config: &Config, faults: &mut Faults) {
    reserved(config, faults);
    let verification = &config.verification;
    for (language, text) in &verification.texts {
        for (key, why) in text.faults() {
            faults.value(&format!("verification.texts.{language}.{key}"), why);
        }
    }
    if let Some(smtp) = &verification.smtp {
        server(smtp, faults);
    }
    match verification.from.as_deref() {
        Some(from) if !is_sender(from) => {
            faults.value("verification.from", "must be an address, as desk@example.com or Acme <desk@example.com>");
        }
        None if verification.smtp.is_some() => {
            faults
                .value("verification.from", "is needed with verification.smtp: the sender, as Acme <desk@example.com>");
        }
        _ => {}
    }
    if !verification.texts().has(&verification.language) {
        faults.value(
            "verification.language",
            format!(
                "is {0}, and there is no text in it; write one as [verification.texts.{0}] with subject and text, or one of {1}",
                verification.language,
                CodeTexts::shipped().join(", ")
            ),
        );
    }
    if !verification.enabled {
        return;
    }
    match (&verification.smtp, &verification.connector) {
        (None, None) => faults.value(
            "verification.enabled",
            "needs something that sends the codes; write [verification.smtp] with host, or verification.connector with \
             the name of an upstream",
        ),
        (Some(_), Some(_)) => {
            faults.value("verification.connector", "is there together with verification.smtp; remove one of the two");
        }
        _ => {}
    }
    if config.identity.mode == Mode::Argument {
        faults.value(
            "verification.enabled",
            "is of no use with identity.mode = \"argument\", where the agent says who the customer is; remove one of the two",
        );
    }
}

fn server(smtp: &SmtpOptions, faults: &mut Faults) {
    if smtp.host.is_empty() {
        faults.value("verification.smtp.host", "is missing; write the name of the mail server, as smtp.example.com");
    } else if smtp.tls == SmtpTls::None && !names_loopback(&smtp.host) {
        faults.value(
            "verification.smtp.tls",
            "is none, and the mail server is another machine: codes could be read on the way; write tls = \"starttls\" or \
             \"implicit\"",
        );
    }
    if smtp.port() == 465 && smtp.tls == SmtpTls::Starttls {
        faults.value(
            "verification.smtp.tls",
            "is starttls, and servers at port 465 encrypt from the first octet; write tls = \"implicit\", or port = 587",
        );
    }
    if smtp.username.is_some() != smtp.password.is_some() {
        let (there, missing) =
            if smtp.username.is_some() { ("username", "password") } else { ("password", "username") };
        faults.value(
            &format!("verification.smtp.{missing}"),
            format!(
                "is needed with verification.smtp.{there}; write both, or none for a server without authentication"
            ),
        );
    }
}

/// Ids of the system `code` are those that a proven address gives; no other system may have them.
fn reserved(config: &Config, faults: &mut Faults) {
    let why = "is code, which is kept for customers who are known by a one-time code; choose another name";
    if config.identity.subject_system.as_str() == SystemId::CODE {
        faults.value("identity.subject_system", why);
    }
    for (name, upstream) in &config.upstreams {
        let system = upstream.system.as_ref().map_or(name.as_str(), SystemId::as_str);
        if system == SystemId::CODE {
            faults.value(&format!("upstreams.{name}.system"), why);
        }
    }
}
