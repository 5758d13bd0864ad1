//! Outputs of `knowledge.list` and `knowledge.get`: pages of states, of which each can be unreadable by itself.

use serde_json::{Map, Value, json};

use super::super::outputs;
use crate::{
    desk::{Listed, ListedPage},
    domain::{ArticleId, ArticleMark, ArticleState, Event, Language, Timestamp},
    webhooks::read_event,
};

/// Most articles of one page.
const PAGE_MAX: usize = 1000;

/// Reads a page.
pub(in crate::connectors) fn page(output: Value, now: Timestamp) -> Result<ListedPage, String> {
    let Value::Object(mut members) = output else { return Err("expected an object with articles and next".to_owned()) };
    let Some(Value::Array(articles)) = members.remove("articles") else {
        return Err("articles: expected a list".to_owned());
    };
    if articles.len() > PAGE_MAX {
        return Err(format!("articles: more than {PAGE_MAX} on one page"));
    }
    let next = match members.remove("next") {
        None | Some(Value::Null) => None,
        Some(next @ (Value::String(_) | Value::Number(_) | Value::Object(_))) => Some(next),
        Some(_) => return Err("next: expected a string, a number, an object or null".to_owned()),
    };
    let complete = match members.remove("complete") {
        None | Some(Value::Null) => true,
        Some(Value::Bool(complete)) => complete,
        Some(_) => return Err("complete: expected true or false".to_owned()),
    };
    let articles = articles.into_iter().enumerate();
    let articles = articles.map(|(n, one)| listed(one, now).map_err(|why| format!("articles[{n}].{why}")));
    Ok(ListedPage { articles: articles.collect::<Result<_, _>>()?, next, complete })
}

/// Reads one article. Its id and variant must be readable: without them nobody can tell what is there.
pub(in crate::connectors) fn listed(value: Value, now: Timestamp) -> Result<Listed, String> {
    let Value::Object(mut members) = value else { return Err("article: expected a state".to_owned()) };
    members.retain(|_, member| !member.is_null());
    let article = match members.get("article") {
        Some(Value::String(id)) => ArticleId::parse(id),
        Some(Value::Number(id)) => ArticleId::parse(&id.to_string()),
        _ => return Err("article: expected a string or a number".to_owned()),
    };
    let article = article.map_err(|invalid| format!("article: {}", invalid.why))?;
    let variant = match members.get("variant") {
        None => None,
        Some(Value::String(tag)) => Some(Language::parse(tag).map_err(|invalid| format!("variant: {}", invalid.why))?),
        Some(_) => return Err("variant: expected a language tag".to_owned()),
    };
    let unreadable = |why: String| Ok(Listed::Unreadable { article: article.clone(), variant: variant.clone(), why });
    if let Some((name, why)) = members.iter().find_map(|(name, member)| Some((name, outputs::reason(member)?))) {
        return unreadable(format!("{name}: {why}"));
    }
    if members.get("visible") == Some(&Value::Bool(true))
        && !members.contains_key("title")
        && !members.contains_key("body")
    {
        return match version(&members) {
            Ok(version) => Ok(Listed::Entry { article: article.clone(), variant: variant.clone(), version }),
            Err(why) => unreadable(why),
        };
    }
    members.insert("article".to_owned(), article.as_str().into());
    match read_event(Value::Object(members), now) {
        Ok(Event::Article(state)) => Ok(Listed::State(state)),
        Ok(_) => unreadable("expected a state of an article".to_owned()),
        Err((_, faults)) => unreadable(faults.join("; ")),
    }
}

fn version(members: &Map<String, Value>) -> Result<Option<ArticleMark>, String> {
    let Some(version) = members.get("version") else { return Ok(None) };
    let read = serde_json::from_value(version.clone()).map(Some);
    read.map_err(|_| "version: expected a time or an integer".to_owned())
}

/// A page as examples expect it.
pub(in crate::connectors) fn shown(page: &ListedPage) -> Value {
    let articles: Vec<Value> = page.articles.iter().map(one).collect();
    json!({ "articles": articles, "next": page.next, "complete": page.complete })
}

/// One article as examples expect it.
pub(in crate::connectors) fn one(listed: &Listed) -> Value {
    let state = |state: &ArticleState| serde_json::to_value(state).unwrap_or_default();
    match listed {
        Listed::State(known) => state(known),
        Listed::Entry { article, variant, version } => {
            json!({ "article": article, "variant": variant, "version": version, "visible": true })
        }
        Listed::Unreadable { article, variant, why } => {
            json!({ "article": article, "variant": variant, "unreadable": why })
        }
    }
}
