//! The words of a text as the search compares them: in lower case, reduced to their stem where the language has a
//! stemmer, and pairs of characters in scripts that write no spaces.

use std::{borrow::Cow, collections::BTreeSet, ops::Range};

use rusqlite::{Connection, functions::FunctionFlags};
use rust_stemmers::{Algorithm, Stemmer};
use unicode_normalization::{UnicodeNormalization, is_nfc};

use super::StoreError;

/// Longest excerpt: a word costs two, a pair of characters one.
const EXCERPT_COST: usize = 80;
/// Terms before the first match, for the sense.
const TERMS_BEFORE: usize = 5;
/// How far into a long text an excerpt is looked for.
const EXCERPT_BYTES_MAX: usize = 256 * 1024;

/// One term of a text and where it stands.
struct Term {
    text: String,
    at: Range<usize>,
    cost: usize,
}

/// The stemmer of a primary language.
fn stemmer(language: &str) -> Option<Stemmer> {
    Some(Stemmer::create(match language {
        "ar" => Algorithm::Arabic,
        "da" => Algorithm::Danish,
        "de" => Algorithm::German,
        "el" => Algorithm::Greek,
        "en" => Algorithm::English,
        "es" => Algorithm::Spanish,
        "fi" => Algorithm::Finnish,
        "fr" => Algorithm::French,
        "hu" => Algorithm::Hungarian,
        "it" => Algorithm::Italian,
        "nb" | "nn" | "no" => Algorithm::Norwegian,
        "nl" => Algorithm::Dutch,
        "pt" => Algorithm::Portuguese,
        "ro" => Algorithm::Romanian,
        "ru" => Algorithm::Russian,
        "sv" => Algorithm::Swedish,
        "ta" => Algorithm::Tamil,
        "tr" => Algorithm::Turkish,
        _ => return None,
    }))
}

/// Whether the script writes no spaces between words, or, as Korean, glues particles to them.
fn is_dense(c: char) -> bool {
    matches!(u32::from(c),
        0x0e00..=0x0eff | 0x1000..=0x109f | 0x1780..=0x17ff | 0x1100..=0x11ff | 0x3040..=0x30ff | 0x3130..=0x318f
        | 0x31f0..=0x31ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xac00..=0xd7af | 0xf900..=0xfaff | 0x20000..=0x3ffff)
}

fn terms(text: &str, language: &str) -> Vec<Term> {
    let stemmer = stemmer(language);
    let mut terms = Vec::new();
    let mut rest = text.char_indices().peekable();
    while let Some((start, first)) = rest.next() {
        if !first.is_alphanumeric() {
            continue;
        }
        let dense = is_dense(first);
        let mut run = vec![(start, first)];
        while let Some(next) = rest.next_if(|(_, c)| c.is_alphanumeric() && is_dense(*c) == dense) {
            run.push(next);
        }
        let end = |n: usize| run[n].0 + run[n].1.len_utf8();
        if !dense {
            let word: String = run.iter().flat_map(|(_, c)| c.to_lowercase()).collect();
            let stem = stemmer.as_ref().map(|stemmer| stemmer.stem(&word).into_owned()).unwrap_or(word);
            terms.push(Term { text: stem, at: start..end(run.len() - 1), cost: 2 });
        } else if run.len() == 1 {
            terms.push(Term { text: first.to_string(), at: start..end(0), cost: 1 });
        } else {
            for n in 1..run.len() {
                let pair = [run[n - 1].1, run[n].1].into_iter().collect();
                terms.push(Term { text: pair, at: run[n - 1].0..end(n), cost: 1 });
            }
        }
    }
    terms
}

/// Composed characters, so that an accent does not end a word.
fn composed(text: &str) -> Cow<'_, str> {
    if is_nfc(text) { Cow::Borrowed(text) } else { Cow::Owned(text.nfc().collect()) }
}

/// The terms of a text, separated by spaces, for the index.
fn indexed(text: &str, language: &str) -> String {
    let text = composed(text);
    let mut out = String::with_capacity(text.len());
    for term in terms(&text, language) {
        out.push_str(&term.text);
        out.push(' ');
    }
    out
}

/// Registers the SQL function `search_terms(text, language)` on a connection.
pub(super) fn register(connection: &Connection) -> Result<(), StoreError> {
    let pure = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("search_terms", 2, pure, |context| {
        let (text, language): (String, String) = (context.get(0)?, context.get(1)?);
        Ok(indexed(&text, &language))
    })?;
    Ok(())
}

/// English words that say nothing about a topic. In other languages their frequency tells.
const TOPICLESS: &[&str] = &[
    "a", "an", "and", "are", "at", "be", "can", "could", "did", "do", "does", "for", "from", "get", "had", "has",
    "have", "how", "i", "in", "is", "it", "me", "my", "of", "on", "or", "our", "should", "that", "the", "this", "to",
    "want", "was", "we", "what", "when", "where", "which", "who", "why", "will", "with", "would", "you", "your",
];
/// Terms of a query that are used.
const QUERY_TERMS_MAX: usize = 32;

/// A query in one language.
pub(super) struct Query {
    terms: Vec<String>,
}

impl Query {
    /// Stop words are used only when there are no others.
    pub(super) fn new(text: &str, language: &str) -> Self {
        let text = composed(text);
        let all = terms(&text, language);
        let topical = |term: &&Term| {
            let word = text[term.at.clone()].to_lowercase();
            language != "en" || !TOPICLESS.contains(&word.as_str())
        };
        let chosen: Vec<&Term> = all.iter().filter(topical).collect();
        let chosen = if chosen.is_empty() { all.iter().collect() } else { chosen };
        Self { terms: chosen.into_iter().take(QUERY_TERMS_MAX).map(|term| term.text.clone()).collect() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    pub(super) fn has_one_term(&self) -> bool {
        self.terms.len() == 1
    }

    /// All terms, or any of them, as an expression of FTS5: each in quotes, so that none is syntax. A single character
    /// of a script without spaces is the beginning of a pair.
    pub(super) fn expression(&self, all: bool) -> String {
        let quoted = |term: &String| match term.chars().next() {
            Some(first) if is_dense(first) && term.chars().nth(1).is_none() => format!("\"{term}\"*"),
            _ => format!("\"{term}\""),
        };
        self.terms.iter().map(quoted).collect::<Vec<_>>().join(if all { " AND " } else { " OR " })
    }

    /// The passage of `body` with the most terms of the query.
    pub(super) fn excerpt(&self, body: &str, language: &str) -> String {
        let body = composed(body);
        let end = body.floor_char_boundary(EXCERPT_BYTES_MAX);
        let terms = terms(&body[..end], language);
        let sought: BTreeSet<&str> = self.terms.iter().map(String::as_str).collect();
        let found: Vec<Option<&str>> = terms.iter().map(|term| sought.get(term.text.as_str()).copied()).collect();
        let (mut first, mut cost, mut best) = (0, 0, (0, 0, 0..0));
        for last in 0..terms.len() {
            cost += terms[last].cost;
            while cost > EXCERPT_COST {
                cost -= terms[first].cost;
                first += 1;
            }
            // A window that ends in a match, or the first one, if nothing matches.
            if found[last].is_none() && best.0 > 0 {
                continue;
            }
            let matches = found[first..=last].iter().flatten();
            let distinct = matches.clone().collect::<BTreeSet<_>>().len();
            let score = (distinct, matches.count());
            if score > (best.0, best.1) || (score.0 == 0 && first == 0) {
                // From the first match on.
                let start = first + found[first..=last].iter().position(Option::is_some).unwrap_or(0);
                best = (score.0, score.1, start..last + 1);
            }
        }
        let Some(range) = widened(&terms, best.2) else { return body[..end].to_owned() };
        let from = if range.start == 0 { 0 } else { terms[range.start].at.start };
        let to = if range.end == terms.len() { end } else { terms[range.end - 1].at.end };
        let cut = |whole: bool| if whole { "" } else { "…" };
        format!("{}{}{}", cut(from == 0), body[from..to].trim(), cut(to == body.len()))
    }
}

/// As many terms around the matches as an excerpt may have: a few before them, then what follows.
fn widened(terms: &[Term], range: Range<usize>) -> Option<Range<usize>> {
    if range.is_empty() {
        return None;
    }
    let (mut start, mut end) = (range.start, range.end);
    let mut cost: usize = terms[range].iter().map(|term| term.cost).sum();
    let before = start.saturating_sub(TERMS_BEFORE);
    while start > before && cost + terms[start - 1].cost <= EXCERPT_COST {
        start -= 1;
        cost += terms[start].cost;
    }
    while end < terms.len() && cost + terms[end].cost <= EXCERPT_COST {
        cost += terms[end].cost;
        end += 1;
    }
    while start > 0 && cost + terms[start - 1].cost <= EXCERPT_COST {
        start -= 1;
        cost += terms[start].cost;
    }
    Some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_stemmed_in_their_language() {
        assert_eq!(indexed("Returns & returned parcels", "en"), "return return parcel ");
        assert_eq!(indexed("Die Rücksendungen, Rücksendung", "de"), "die rucksend rucksend ");
        assert_eq!(indexed("returns", "de"), "return ");
        assert_eq!(indexed("Gift-card no. 42", "xx"), "gift card no 42 ");
        assert_eq!(indexed("cafe\u{301}s", "en"), indexed("cafés", "en"));
    }

    #[test]
    fn scripts_without_spaces_are_pairs() {
        assert_eq!(indexed("退货政策 30天", "zh"), "退货 货政 政策 30 天 ");
        assert_eq!(Query::new("退货", "zh").expression(true), "\"退货\"");
        assert_eq!(Query::new("货", "zh").expression(true), "\"货\"*");
        assert_eq!(indexed("반품은", "ko"), "반품 품은 ");
    }

    #[test]
    fn an_excerpt_is_the_passage_with_the_most_matches() {
        let filler = "Nothing about it here. ".repeat(40);
        let body = format!("{filler}Gift cards never expire and can be used twice. {filler}");
        let excerpt = Query::new("gift card expiry", "en").excerpt(&body, "en");
        assert!(excerpt.contains("Gift cards never expire"), "{excerpt}");
        assert!(excerpt.starts_with('…') && excerpt.ends_with('…'), "{excerpt}");
        assert_eq!(Query::new("zeppelin", "en").excerpt("Short text.", "en"), "Short text.");
        assert_eq!(Query::new("x", "en").excerpt("", "en"), "");
        assert!(Query::new("x", "en").excerpt(&filler, "en").starts_with("Nothing about it"));
    }
}
