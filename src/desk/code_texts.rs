//! Subject and text of the message that brings a one-time code, by language.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::Language;

/// The subject and the text of a message. `{code}` and `{minutes}` stand for the code and the minutes that it is valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CodeText {
    /// One line. A code in it can be read on a locked screen.
    pub subject: String,
    /// Plain text; it must hold `{code}`.
    pub text: String,
}

/// Language, subject and text.
type Shipped = (&'static str, &'static str, &'static str);

const ENGLISH: Shipped = (
    "en",
    "Your one-time code",
    "Your one-time code is {code}. It is valid for {minutes} minutes.\n\n\
     Enter it in the chat in which you were asked for it, and give it to nobody else.\n\
     If you did not ask for a code, somebody may have mistyped their address: ignore this message.\n",
);

const SHIPPED: [Shipped; 7] = [
    ENGLISH,
    (
        "de",
        "Ihr Einmalcode",
        "Ihr Einmalcode ist {code}. Er gilt {minutes} Minuten.\n\n\
         Geben Sie ihn in dem Chat ein, in dem Sie danach gefragt wurden, und geben Sie ihn sonst niemandem.\n\
         Wenn Sie keinen Code angefordert haben, hat sich vielleicht jemand bei der Adresse vertippt: Ignorieren Sie diese \
         Nachricht.\n",
    ),
    (
        "fr",
        "Votre code à usage unique",
        "Votre code à usage unique est {code}. Il est valable {minutes} minutes.\n\n\
         Saisissez-le dans la conversation où il vous a été demandé et ne le communiquez à personne d’autre.\n\
         Si vous n’avez pas demandé de code, quelqu’un s’est peut-être trompé d’adresse : ignorez ce message.\n",
    ),
    (
        "es",
        "Su código de un solo uso",
        "Su código de un solo uso es {code}. Es válido durante {minutes} minutos.\n\n\
         Introdúzcalo en el chat en el que se lo han pedido y no se lo dé a nadie más.\n\
         Si no ha pedido ningún código, es posible que alguien se haya equivocado de dirección: ignore este mensaje.\n",
    ),
    (
        "nl",
        "Uw eenmalige code",
        "Uw eenmalige code is {code}. Deze is {minutes} minuten geldig.\n\n\
         Vul de code in in de chat waarin erom is gevraagd en geef hem aan niemand anders.\n\
         Hebt u geen code aangevraagd? Dan heeft iemand zich misschien in het adres vergist: negeer dit bericht.\n",
    ),
    (
        "it",
        "Il suo codice monouso",
        "Il suo codice monouso è {code}. È valido per {minutes} minuti.\n\n\
         Lo inserisca nella chat in cui le è stato chiesto e non lo comunichi a nessun altro.\n\
         Se non ha richiesto alcun codice, forse qualcuno ha sbagliato indirizzo: ignori questo messaggio.\n",
    ),
    (
        "pt",
        "O seu código de utilização única",
        "O seu código de utilização única é {code}. É válido durante {minutes} minutos.\n\n\
         Introduza-o na conversa em que lhe foi pedido e não o dê a mais ninguém.\n\
         Se não pediu nenhum código, alguém pode ter-se enganado no endereço: ignore esta mensagem.\n",
    ),
];

/// The texts of a configuration over those that are shipped.
#[derive(Debug, Clone, Default)]
pub struct CodeTexts(pub BTreeMap<Language, CodeText>);

impl CodeTexts {
    /// The text in the wanted language, with the code: the configured one for exactly that tag, the configured one for its
    /// language, the shipped one; otherwise the same for `otherwise`, and English at last.
    pub(super) fn render(
        &self,
        wanted: Option<&Language>,
        otherwise: &Language,
        code: &str,
        minutes: u32,
    ) -> (Language, CodeText) {
        let found = wanted.into_iter().chain([otherwise]).find_map(|language| Some((language, self.find(language)?)));
        let (language, text) = match found {
            Some((language, text)) => (language.clone(), text),
            None => (Language::english(), text(ENGLISH)),
        };
        let fill = |text: &str| filled(text, code, minutes);
        (language, CodeText { subject: fill(&text.subject), text: fill(&text.text) })
    }

    /// Whether there is a text in the language, or in the one that it belongs to.
    pub fn has(&self, language: &Language) -> bool {
        self.find(language).is_some()
    }

    /// The languages that texts are shipped in.
    pub fn shipped() -> Vec<&'static str> {
        SHIPPED.iter().map(|(tag, ..)| *tag).collect()
    }

    fn find(&self, language: &Language) -> Option<CodeText> {
        let primary = language.primary();
        let own =
            self.0.get(language).or_else(|| self.0.iter().find(|(own, _)| own.as_str() == primary).map(|(_, t)| t));
        own.cloned().or_else(|| shipped(primary))
    }
}

impl CodeText {
    /// Why it cannot be used, each by its key and the end of a sentence that begins with it.
    pub fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        if !self.text.contains("{code}") {
            faults.push(("text", "does not hold {code}, so nobody would learn the code".to_owned()));
        }
        let subject = self.subject.trim();
        if subject.is_empty() || subject.chars().any(char::is_control) {
            faults.push(("subject", "must be one line".to_owned()));
        }
        for (key, text) in [("subject", &self.subject), ("text", &self.text)] {
            let unknown = places(text).find(|place| !PLACES.contains(place));
            faults.extend(unknown.map(|place| {
                (key, format!("holds {place}, which stands for nothing; {} can be written", PLACES.join(" and ")))
            }));
        }
        faults
    }
}

const PLACES: [&str; 2] = ["{code}", "{minutes}"];

/// What stands in braces on one line, with them.
fn places(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices('{').filter_map(|(at, _)| {
        let rest = &text[at..];
        Some(&rest[..=rest.find(['}', '\n']).filter(|end| rest[*end..].starts_with('}'))?])
    })
}

/// The minutes of a shipped text in the plural, and as they are read of one.
const SINGULAR: [(&str, &str); 5] = [
    ("{minutes} minutes", "1 minute"),
    ("{minutes} Minuten", "1 Minute"),
    ("{minutes} minutos", "1 minuto"),
    ("{minutes} minuten", "1 minuut"),
    ("{minutes} minuti", "1 minuto"),
];

fn filled(text: &str, code: &str, minutes: u32) -> String {
    let mut text = text.to_owned();
    if minutes == 1 {
        for (plural, singular) in SINGULAR {
            text = text.replace(plural, singular);
        }
    }
    // The code last: it is digits, and nothing in it is a place.
    text.replace("{minutes}", &minutes.to_string()).replace("{code}", code)
}

fn shipped(language: &str) -> Option<CodeText> {
    SHIPPED.into_iter().find(|(tag, ..)| *tag == language).map(text)
}

fn text((_, subject, text): Shipped) -> CodeText {
    CodeText { subject: subject.to_owned(), text: text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(text: &str) -> Language {
        Language::parse(text).unwrap()
    }

    #[test]
    fn the_text_is_that_of_the_nearest_language() {
        let own = |text: &str| CodeText { subject: "s".to_owned(), text: format!("{text} {{code}}") };
        let texts = CodeTexts(BTreeMap::from([(tag("de-AT"), own("Servus")), (tag("fr"), own("Salut"))]));
        for (wanted, expected) in [
            (Some("de-AT"), "Servus 123456"),
            (Some("de-CH"), "Ihr Einmalcode ist 123456. Er gilt 10 Minuten."),
            (Some("fr-CA"), "Salut 123456"),
            (Some("pt-BR"), "O seu código de utilização única é 123456."),
            (Some("ja"), "Il suo codice monouso è 123456."),
            (None, "Il suo codice monouso è 123456."),
        ] {
            let (_, text) = texts.render(wanted.map(tag).as_ref(), &tag("it"), "123456", 10);
            assert!(text.text.starts_with(expected), "{wanted:?}: {}", text.text);
        }
        let (language, text) = texts.render(Some(&tag("ja")), &tag("ko"), "123456", 10);
        assert!(language.as_str() == "en" && text.text.starts_with("Your one-time code is 123456."));
    }

    #[test]
    fn every_shipped_text_has_its_code_and_its_minutes_and_no_code_in_the_subject() {
        for (tag, ..) in SHIPPED {
            let text = shipped(tag).unwrap();
            assert_eq!(text.faults(), [], "{tag}");
            assert!(text.text.contains("{minutes}") && !text.subject.contains("{code}"), "{tag}");
        }
        let text = |subject: &str, text: &str| CodeText { subject: subject.to_owned(), text: text.to_owned() };
        let keys = |text: CodeText| text.faults().into_iter().map(|(key, _)| key).collect::<Vec<_>>();
        assert_eq!(keys(text("s", "no code")), ["text"]);
        assert_eq!(keys(text("a\nBcc: x", "{code}")), ["subject"]);
        for unknown in ["{code} {name}", "{{code}} {code}", "{Code} {code}", "{code} { minutes }", "{code} {}"] {
            let faults = text("s", unknown).faults();
            assert!(
                matches!(&faults[..], [("text", why)] if why.contains("stands for nothing")),
                "{unknown}: {faults:?}"
            );
        }
        assert_eq!(keys(text("{shop}", "{code}")), ["subject"]);
        assert_eq!(keys(text("s", "{code} :-{ {\n}")), [""; 0]);
    }

    #[test]
    fn one_minute_is_read_as_one() {
        for (name, ..) in SHIPPED {
            let render = |minutes| CodeTexts::default().render(None, &tag(name), "123456", minutes).1.text;
            let (one, two) = (render(1), render(2));
            assert!(one.contains(" 1 ") && !one.contains('{'), "{name}: {one}");
            assert_ne!(one.replace(" 1 ", " 2 "), two, "{name}: the plural differs");
        }
    }
}
