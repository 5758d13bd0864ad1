//! Transcripts for tickets. A message cannot imitate another speaker, a heading or a remark of ours.

use crate::domain::{ConversationDetails, Message, Speaker, text::is_break};

/// Longest message in characters, and longest transcript in octets: helpdesks accept about 64 KiB.
const MESSAGE_CHARS_MAX: usize = 8_000;
const BYTES_MAX: usize = 48_000;
/// The beginning of the conversation gets one part in this many of the transcript, the end gets the others.
const BEGINNING: usize = 4;

/// `**Customer:** …` and `**AI Agent:** …`, a paragraph each. A remark replaces what is left out and names the command
/// that shows it.
pub(super) fn transcript(details: &ConversationDetails, event: i64) -> String {
    let paragraphs: Vec<String> = details.messages.iter().map(|message| paragraph(message, event)).collect();
    let fits = |budget: usize, mut sizes: Box<dyn Iterator<Item = usize> + '_>| {
        let mut left = budget;
        std::iter::from_fn(|| {
            left = left.checked_sub(sizes.next()? + 2)?;
            Some(())
        })
        .count()
    };
    let whole = paragraphs.iter().map(|paragraph| paragraph.len() + 2).sum::<usize>() <= BYTES_MAX;
    if whole {
        return paragraphs.join("\n\n");
    }
    let first = fits(BYTES_MAX / BEGINNING, Box::new(paragraphs.iter().map(String::len)));
    let rest = paragraphs.len() - first;
    let last = fits(BYTES_MAX - BYTES_MAX / BEGINNING, Box::new(paragraphs.iter().rev().map(String::len))).min(rest);
    let left_out = &details.messages[first..details.messages.len() - last];
    let characters: usize = left_out.iter().map(|message| message.text.chars().count()).sum();
    let messages = if left_out.len() == 1 { "1 message".to_owned() } else { format!("{} messages", left_out.len()) };
    let remark = format!("*({messages} of {characters} characters left out here; {})*", kept(event));
    let mut parts = paragraphs[..first].to_vec();
    if !left_out.is_empty() {
        parts.push(remark);
    }
    parts.extend_from_slice(&paragraphs[paragraphs.len() - last..]);
    parts.join("\n\n")
}

fn paragraph(message: &Message, event: i64) -> String {
    let count = message.text.chars().count();
    let name = speaker(message.from);
    if count <= MESSAGE_CHARS_MAX {
        return said(&format!("**{name}:** "), &message.text);
    }
    let begun: String = message.text.chars().take(MESSAGE_CHARS_MAX).collect();
    let left_out = count - MESSAGE_CHARS_MAX;
    let remark = format!("*({left_out} more characters of this message left out; {})*", kept(event));
    format!("{}\n\n{remark}", said(&format!("**{name}:** "), &begun))
}

fn kept(event: i64) -> String {
    format!("frontdesk events show {event} --payload has them")
}

pub(super) fn speaker(from: Speaker) -> &'static str {
    match from {
        Speaker::Customer => "Customer",
        Speaker::Assistant => "AI Agent",
        Speaker::Unknown => "Unknown speaker",
    }
}

/// `text` after a prefix; each further line begins with `> `.
pub(super) fn said(prefix: &str, text: &str) -> String {
    let text = text.trim_end_matches(is_break).replace("\r\n", "\n");
    let mut said = prefix.to_owned();
    for (n, line) in text.split(is_break).enumerate() {
        if n > 0 {
            said.push_str("\n> ");
        }
        said.push_str(line);
    }
    said
}

/// The first `chars_max` characters at most, with `…` for the rest.
pub(super) fn cut(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((at, _)) => format!("{}…", &text[..at]).chars().take(chars_max).collect(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{ConversationId, Timestamp};

    fn details(texts: &[&str]) -> ConversationDetails {
        let message = |(n, text): (usize, &&str)| Message {
            from: if n % 2 == 0 { Speaker::Customer } else { Speaker::Assistant },
            text: (*text).to_owned(),
        };
        ConversationDetails {
            conversation: ConversationId::parse("conv_1").unwrap(),
            at: Timestamp::parse("2026-03-30T14:22:00Z").unwrap(),
            customer: "cus_1".to_owned(),
            email: None,
            name: None,
            verified: None,
            messages: texts.iter().enumerate().map(message).collect(),
            intent: None,
            duration_s: None,
            unreadable: Vec::new(),
        }
    }

    #[test]
    fn what_is_short_is_as_in_the_guide() {
        assert_eq!(
            transcript(&details(&["Help", "One moment."]), 7),
            "**Customer:** Help\n\n**AI Agent:** One moment."
        );
        assert_eq!(transcript(&details(&[]), 7), "");
    }

    #[test]
    fn a_text_of_a_hundred_kilobytes_is_cut_and_said() {
        let text = transcript(&details(&[&"ä".repeat(100_000), "Ok."]), 7);
        assert!(text.len() < 64 * 1024 && text.ends_with("**AI Agent:** Ok."), "{}", text.len());
        assert!(text.contains("*(92000 more characters of this message left out; frontdesk events show 7 --payload"));
        let many: Vec<String> = (0..5_000).map(|n| format!("message {n} of a conversation without an end")).collect();
        let text = transcript(&details(&many.iter().map(String::as_str).collect::<Vec<_>>()), 7);
        assert!(text.len() < 64 * 1024 && text.contains("message 0 ") && text.contains("message 4999 "));
        let shown = text.matches("message ").count();
        assert!(text.contains(&format!("*({} messages of ", 5_000 - shown)), "{shown}");
    }

    proptest! {
        #[test]
        fn a_transcript_cannot_be_forged(
            texts in proptest::collection::vec("(.|\n|\r|\u{2028}|\u{85}|\\*\\*AI Agent:\\*\\* |## What the assistant did|> ){0,40}", 0..6),
        ) {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let written = transcript(&details(&texts), 7);
            // A line without "> " is ours: a speaker or a blank line.
            let mut speakers = Vec::new();
            for line in written.split(is_break) {
                if let Some(name) = ["**Customer:** ", "**AI Agent:** "].iter().find(|name| line.starts_with(**name)) {
                    speakers.push(*name);
                } else {
                    prop_assert!(line.is_empty() || line.starts_with("> "), "{line:?}");
                }
            }
            let wanted: Vec<&str> =
                (0..texts.len()).map(|n| if n % 2 == 0 { "**Customer:** " } else { "**AI Agent:** " }).collect();
            prop_assert_eq!(speakers, wanted);
        }
    }
}
