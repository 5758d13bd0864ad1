//! Questions about the identity mode.

use std::{fs, path::PathBuf};

use anyhow::bail;

use super::{
    answers::{Answers, IdentityArg},
    ask::{Asker, Question},
};
use crate::{
    domain::{Clock, CustomerId, Email, SystemId},
    identity::{self, Algorithm, ContextKey, ContextOptions, KeyMaterial},
};

pub(super) enum Identity {
    /// Customer contexts, signed with CONTEXT_SECRET.
    Secret {
        issuer: String,
    },
    /// Customer contexts, verified with a public key.
    PublicKey {
        issuer: String,
        file: PathBuf,
        algorithm: Algorithm,
    },
    Fixed {
        customer: String,
        email: Option<String>,
    },
    Token {
        issuer: String,
        resource: String,
        person_claim: String,
    },
}

/// Asks for the identity mode and its values.
pub(super) fn of(asker: &mut Asker, answers: &Answers) -> anyhow::Result<Identity> {
    let read = |text: &str| match <IdentityArg as clap::ValueEnum>::from_str(text, false) {
        Ok(mode) => Ok(mode),
        Err(_) => Err("choose context, fixed or token".to_owned()),
    };
    let text = "Identity: context (your backend signs a customer context for each call), fixed (one customer for the whole \
        process) or token (the customer's own access token)";
    let question = Question { flag: "--identity", text, default: Some("context") };
    let mode = match answers.identity {
        Some(mode) => mode,
        None => asker.ask(&question, None, read)?,
    };
    foreign(answers, mode)?;
    let filled = |text: &str| if text.is_empty() { Err("must not be empty".to_owned()) } else { Ok(text.to_owned()) };
    let mut ask = |flag, text, default, given: &Option<String>, judge: Judge<'_>| {
        asker.ask(&Question { flag, text, default }, given.as_deref(), judge)
    };
    Ok(match mode {
        IdentityArg::Context => {
            let text = "Issuer (iss) of customer contexts: the name that your backend gives itself";
            let issuer = ask("--issuer", text, Some("backend"), &answers.issuer, &filled)?;
            let text = "Public key in PEM that your backend's signatures are verified with; nothing for a shared secret, \
                which is generated";
            let question = Question { flag: "--public-key", text, default: Some("") };
            let key = match &answers.public_key {
                Some(path) => asker.ask(&question, Some(&path.display().to_string()), public_key)?,
                None if answers.identity.is_none() && asker.is_terminal() => asker.ask(&question, None, public_key)?,
                None => None,
            };
            match key {
                Some((file, algorithm)) => Identity::PublicKey { issuer, file, algorithm },
                None => Identity::Secret { issuer },
            }
        }
        IdentityArg::Fixed => {
            let customer = |text: &str| match CustomerId::parse_or_in(&SystemId::builtin(), text) {
                Ok(_) => Ok(text.to_owned()),
                Err(invalid) => Err(invalid.to_string()),
            };
            let email = |text: &str| match text {
                "" => Ok(String::new()),
                text => Email::parse(text).map(|_| text.to_owned()).map_err(|invalid| invalid.to_string()),
            };
            let customer = ask("--customer", "Customer id, as cus_ada", None, &answers.customer, &customer)?;
            let text = "The customer's email address; nothing for none";
            let email = match asker.is_terminal() || answers.email.is_some() {
                true => asker.ask(
                    &Question { flag: "--email", text, default: Some("") },
                    answers.email.as_deref(),
                    email,
                )?,
                false => String::new(),
            };
            Identity::Fixed { customer, email: Some(email).filter(|email| !email.is_empty()) }
        }
        IdentityArg::Token => Identity::Token {
            issuer: ask(
                "--issuer",
                "Issuer of access tokens, as https://login.example.com",
                None,
                &answers.issuer,
                &filled,
            )?,
            resource: ask(
                "--resource",
                "Address of /mcp as agents know it, as https://desk.example.com/mcp",
                None,
                &answers.resource,
                &filled,
            )?,
            person_claim: ask(
                "--person-claim",
                "Claim that only tokens of signed-in people have",
                Some("auth_time"),
                &answers.person_claim,
                &filled,
            )?,
        },
    })
}

/// Parses an answer, or says what is wrong with it.
type Judge<'a> = &'a dyn Fn(&str) -> Result<String, String>;

/// Refuses flags of another mode.
fn foreign(answers: &Answers, mode: IdentityArg) -> anyhow::Result<()> {
    let (context, fixed, token) =
        (mode == IdentityArg::Context, mode == IdentityArg::Fixed, mode == IdentityArg::Token);
    for (flag, given, fits, belongs) in [
        ("--issuer", answers.issuer.is_some(), context || token, "context or token"),
        ("--public-key", answers.public_key.is_some(), context, "context"),
        ("--customer", answers.customer.is_some(), fixed, "fixed"),
        ("--email", answers.email.is_some(), fixed, "fixed"),
        ("--resource", answers.resource.is_some(), token, "token"),
        ("--person-claim", answers.person_claim.is_some(), token, "token"),
    ] {
        if given && !fits {
            bail!("{flag} is for --identity {belongs}");
        }
    }
    Ok(())
}

/// Reads a public key: its file and the algorithm that it fits. None for no file.
fn public_key(text: &str) -> Result<Option<(PathBuf, Algorithm)>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let file = std::path::absolute(text).map_err(|error| error.to_string())?;
    let pem = fs::read_to_string(&file).map_err(|error| format!("failed to read {}: {error}", file.display()))?;
    let fits = |algorithm: &Algorithm| {
        let key = ContextKey { algorithm: *algorithm, kid: None, material: KeyMaterial::PublicPem(pem.clone()) };
        let (issuer, audience) = ("backend".to_owned(), "frontdesk".to_owned());
        let options =
            ContextOptions { issuer, audience, azp: None, azp_required: false, lifetime_s_max: 900, keys: vec![key] };
        let mode = identity::ContextMode { contexts: Some(options), ..identity::ContextMode::default() };
        let options = identity::Options::Context(Box::new(mode));
        identity::Identity::new(options, SystemId::builtin(), None, Clock::system()).is_ok()
    };
    let algorithm = [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Rs256].into_iter().find(fits);
    let why = || format!("{} is not a public key in PEM for EdDSA, ES256 or RS256", file.display());
    Ok(Some((file.clone(), algorithm.ok_or_else(why)?)))
}
