//! What each way of naming a customer grants, and warnings about those that anybody, or whoever has an agent's token, can
//! use.

use crate::{
    config::{Config, TokenConfig},
    domain::Level,
    identity::{AssertedOptions, EmailProof, LIFETIME_S, Mode, TokenProfile, agents::Authentication},
};

/// The ways in which calls can name their customer, each with the level that it grants.
pub fn grants(config: &Config) -> Vec<String> {
    let identity = &config.identity;
    if identity.mode != Mode::Context {
        return Vec::new();
    }
    let mut found = Vec::new();
    if let Some(issuer) = &identity.context.issuer {
        found.push(format!(
            "customer contexts of {issuer}: the level that they say, for {} s",
            identity.context.lifetime_max_s
        ));
    }
    for (agent, carrier) in &config.agents.carriers {
        if let Some(header) = &carrier.context_header {
            found.push(format!("customer contexts of agent {agent}: in the header {header}"));
        }
        if let Some(level) = carrier.input_level() {
            found.push(format!("customer contexts of agent {agent} as argument: {} at most", word(level)));
        }
    }
    for (_, profile) in profiles(config) {
        let place = profile.header.as_deref().map_or("as customer contexts do".to_owned(), |name| format!("in {name}"));
        let address = match (&profile.email_claim, &profile.email_proof) {
            (None, _) => "no address".to_owned(),
            (_, EmailProof::Never) => "an address that proves nothing".to_owned(),
            (_, EmailProof::Always) => "a proven address".to_owned(),
            (_, EmailProof::Claim(claim)) => format!("an address that {claim} proves"),
        };
        found.push(format!(
            "tokens of {}, {place}: {} as {}:{}, with {address}",
            profile.name,
            word(profile.level),
            profile.system,
            profile.customer_claim
        ));
    }
    found.extend(identity.asserted.iter().map(asserted));
    found
}

fn asserted(entry: &AssertedOptions) -> String {
    let otherwise = match &entry.verified_header {
        Some(header) => format!(" where {header} says so, else anonymous"),
        None => String::new(),
    };
    let address = match (&entry.email_header, &entry.email_verified_header, entry.email_verified) {
        (None, ..) if !entry.member => "no address".to_owned(),
        (_, _, true) => "a proven address".to_owned(),
        (_, Some(header), _) => format!("an address that {header} proves"),
        _ if entry.member => "an address that email_verified proves".to_owned(),
        _ => "an address that proves nothing".to_owned(),
    };
    let (agent, level, system) = (&entry.agent, word(entry.level), &entry.system);
    format!("asserted by {agent}: {level} as {system} customers{otherwise}, with {address}")
}

/// The profiles that have no fault, each with its entry and key.
fn profiles(config: &Config) -> Vec<((usize, &TokenConfig), TokenProfile)> {
    let entries = config.identity.tokens.iter().enumerate();
    entries.filter_map(|(n, entry)| Some(((n, entry), entry.meaning(&config.identity.subject_system)?))).collect()
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Anonymous => "anonymous",
        Level::Otp => "otp",
        Level::Verified => "verified",
    }
}

/// Warnings about what says who the customer is and can be set by anybody, or by whoever has an agent's token.
pub(super) fn warnings(config: &Config) -> Vec<String> {
    let mut found: Vec<String> =
        config.identity.asserted.iter().enumerate().flat_map(|(n, entry)| of_assertion(n, entry)).collect();
    for ((n, entry), profile) in profiles(config) {
        found.extend(of_profile(n, entry, &profile));
    }
    for (agent, carrier) in &config.agents.carriers {
        if carrier.input_level() == Some(Level::Verified) {
            found.push(format!(
                "agents.carriers.{agent}.tool_input_level is verified: the model can see the customer contexts of this \
                 agent and use one of another conversation; leave it out, and it is otp"
            ));
        }
    }
    if config.agents.authentication == Authentication::None {
        let long = config.identity.context.lifetime_max_s > LIFETIME_S;
        for key in [(long, "identity.context.lifetime_max_s"), (!config.identity.tokens.is_empty(), "identity.tokens")]
        {
            if let (true, key) = key {
                found.push(format!(
                    "{key} accepts what is kept for long or seen by others, and agents do not authenticate, so that no azp \
                     protects it: whoever gets one can use it; set agents.authentication = \"required\""
                ));
            }
        }
    }
    found
}

fn of_assertion(n: usize, entry: &AssertedOptions) -> Vec<String> {
    let (key, agent) = (format!("identity.asserted[{n}]"), &entry.agent);
    let mut found = Vec::new();
    if entry.level == Level::Verified {
        found.push(format!(
            "{key}.level is verified: whoever has the token of {agent} can change any customer's contact data; leave it \
             out, and it is otp"
        ));
    }
    if entry.email_verified {
        found.push(format!(
            "{key}.email_verified takes every address that {agent} sends for proven: be sure that its platform verifies \
             them, or name its email_verified_header"
        ));
    }
    if entry.email_verified_header.is_some() && entry.email_verified_header == entry.verified_header {
        found.push(format!(
            "{key}.email_verified_header is verified_header: if that speaks of the customer and not of the address (as \
             Chatwoot's does), a visitor who changes the address reads other people's orders; leave email_verified_header \
             out, and the address proves nothing"
        ));
    }
    if entry.addresses.is_empty() {
        found.push(format!(
            "{key} believes {agent} from any address: whoever has its token can read any customer's orders; name the \
             platform's addresses"
        ));
    }
    found
}

fn of_profile(n: usize, entry: &TokenConfig, profile: &TokenProfile) -> Vec<String> {
    let key = format!("identity.tokens[{n}]");
    let mut found = Vec::new();
    if profile.names_by_address() && profile.email_proof == EmailProof::Never {
        found.push(format!(
            "{key}.customer_claim is an address that nothing proves, so that every token is refused: name the claim that \
             proves it (email_verified = \"claim\"), or write email_verified = \"always\" if nobody can sign up with the \
             address of another"
        ));
    }
    if profile.email_proof == EmailProof::Always {
        let level = match profile.level {
            Level::Verified => ", at level verified",
            Level::Anonymous | Level::Otp => "",
        };
        found.push(format!(
            "{key}.email_verified is always{level}: be sure that nobody can sign up at {} with the address of another",
            profile.name
        ));
    }
    if profile.header.as_deref() == Some("x-openwebui-user-jwt") && profile.level == Level::Verified {
        found.push(format!(
            "{key}.level is verified, and by default anybody can sign up to Open WebUI; leave it out, and it is otp"
        ));
    }
    if entry.preset.is_none()
        && entry.is_symmetric()
        && profile.level == Level::Verified
        && profile.issuer.is_none()
        && profile.audiences.is_empty()
    {
        found.push(format!(
            "{key}.level is verified for whatever is signed with its secret, for whatever purpose: name issuer or audience"
        ));
    }
    found
}
