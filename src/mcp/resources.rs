//! Help articles as resources: `article://{id}`, in the customer's language or the one in `?language=`.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use rmcp::{
    ErrorData,
    model::{
        CacheScope, ListResourceTemplatesResult, ListResourcesResult, PaginatedRequestParams, ReadResourceResult,
        Resource, ResourceContents, ResourceTemplate,
    },
};

use super::Services;
use crate::{
    desk::DeskError,
    domain::{ArticleId, Language},
    identity::Caller,
    telemetry::causes,
};

const SCHEME: &str = "article://";
const MIME_TYPE: &str = "text/markdown";
const PAGE: u32 = 100;
/// Short, since articles change at any time.
const TTL_MS: u64 = 10_000;
/// Escaped are all but unreserved characters (RFC 3986, section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

pub(super) async fn list(
    services: &Services,
    caller: Option<&Caller>,
    request: Option<PaginatedRequestParams>,
) -> Result<ListResourcesResult, ErrorData> {
    let after = request
        .and_then(|request| request.cursor)
        .filter(|cursor| !cursor.is_empty())
        .map(|cursor| parse(&cursor).map(|(id, _)| id).ok_or_else(unknown_cursor))
        .transpose()?;
    let page = services.calls.desk.articles(caller, after.as_ref(), PAGE).await.map_err(unavailable)?;
    let next_cursor = page.articles.last().filter(|_| page.more).map(|article| uri(&article.id));
    let resources = page
        .articles
        .into_iter()
        .map(|article| {
            Resource::new(uri(&article.id), article.id.to_string())
                .with_title(article.title)
                .with_mime_type(MIME_TYPE)
                .with_size(article.body_bytes)
        })
        .collect();
    let mut result =
        ListResourcesResult::with_all_items(resources).with_ttl_ms(TTL_MS).with_cache_scope(cache_scope(caller));
    result.next_cursor = next_cursor;
    Ok(result)
}

pub(super) fn templates() -> ListResourceTemplatesResult {
    let template = ResourceTemplate::new("article://{id}{?language}", "article")
        .with_title("Help article")
        .with_description("One published help article; search_articles finds its id.")
        .with_mime_type(MIME_TYPE);
    ListResourceTemplatesResult::with_all_items(vec![template]).with_ttl_ms(TTL_MS).with_cache_scope(CacheScope::Public)
}

/// What is shown depends on the customer, where one is named.
fn cache_scope(caller: Option<&Caller>) -> CacheScope {
    if caller.is_some() { CacheScope::Private } else { CacheScope::Public }
}

pub(super) async fn read(
    services: &Services,
    caller: Option<&Caller>,
    uri: &str,
) -> Result<ReadResourceResult, ErrorData> {
    let not_found = || {
        let data = serde_json::json!({ "uri": uri });
        ErrorData::resource_not_found("there is no such resource; resources/list names those there are", Some(data))
    };
    let (id, language) = parse(uri).ok_or_else(not_found)?;
    let article = services
        .calls
        .desk
        .article(caller, &id, language.as_ref())
        .await
        .map_err(unavailable)?
        .ok_or_else(not_found)?;
    let text = format!("# {}\n\n{}", article.title, article.body);
    let contents = ResourceContents::text(text, uri).with_mime_type(MIME_TYPE);
    Ok(ReadResourceResult::new(vec![contents]).with_ttl_ms(TTL_MS).with_cache_scope(cache_scope(caller)))
}

/// The error for an unknown cursor of any list.
pub(super) fn unknown_cursor() -> ErrorData {
    ErrorData::invalid_params("unknown cursor; start without one", None)
}

fn uri(id: &ArticleId) -> String {
    format!("{SCHEME}{}", utf8_percent_encode(id.as_str(), RESERVED))
}

/// The article of a URI, and the language in `?language=`.
fn parse(uri: &str) -> Option<(ArticleId, Option<Language>)> {
    let rest = uri.strip_prefix(SCHEME)?;
    let (encoded, language) = match rest.split_once('?') {
        Some((encoded, query)) => (encoded, Some(Language::parse(query.strip_prefix("language=")?).ok()?)),
        None => (rest, None),
    };
    let id = percent_decode_str(encoded).decode_utf8().ok()?;
    Some((ArticleId::parse(&id).ok()?, language))
}

fn unavailable(error: DeskError) -> ErrorData {
    tracing::error!(error = causes(&error), "failed to read articles");
    ErrorData::internal_error("the knowledge base does not answer right now; try again in a minute", None)
}
