//! Texts of content systems as readable text: HTML, and documents of rich text. One renderer makes Markdown of both:
//! headings, lists, tables, links, quotes and code; no style and no script.

mod children;
mod content;
mod editor_js;
mod elements;
mod html;
mod leaf;
mod notion;
mod portable;
mod render;
mod unknown;
mod walk;
mod words;

#[cfg(test)]
mod tests;

use serde_json::Value;

use self::{
    render::Renderer,
    unknown::{Unknown, is_name},
    walk::{Dialect, walk},
};

/// HTML as Markdown.
pub(super) fn html_text(html: &str) -> String {
    let mut renderer = Renderer::new();
    html::read(&mut renderer, html);
    renderer.finish()
}

/// Begins every error of [`rich_text`].
const ERROR: &str = "the text ";

/// A document of rich text as Markdown. A text that begins with a tag is read as HTML, any other stays as it is. What
/// is not known is an error that names its type: half an article would be shown for a whole one.
pub(super) fn rich_text(value: &Value) -> Result<String, String> {
    if let Value::String(text) = value {
        return Ok(if html::is_html(text) { html_text(text) } else { text.clone() });
    }
    let mut renderer = Renderer::new();
    let read =
        document(value).ok_or(Unknown::Document).and_then(|(dialect, nodes)| walk(&mut renderer, dialect, nodes));
    read.map(|()| renderer.finish()).map_err(|unknown| format!("{ERROR}{unknown}"))
}

/// The sentence of an error of [`rich_text`], if this is one: it holds nothing but the name of a type.
pub(super) fn reason(error: &str) -> Option<String> {
    if error == format!("{ERROR}{}", Unknown::Document) {
        return Some(error.to_owned());
    }
    let name = error.strip_prefix(ERROR)?.strip_prefix("holds a node of the type ")?.split(", ").next()?;
    let is = name == "(none)" || (!name.is_empty() && name.len() <= 64 && name.chars().all(is_name));
    (is && error == format!("{ERROR}{}", Unknown::Node(name.to_owned()))).then(|| error.to_owned())
}

/// The form of a document, and its nodes.
fn document(value: &Value) -> Option<(Dialect, &[Value])> {
    match value {
        Value::Array(nodes) => match nodes.first() {
            None => Some((children::node as Dialect, nodes.as_slice())),
            Some(first) => dialect(first).map(|dialect| (dialect, nodes.as_slice())),
        },
        Value::Object(_) => {
            let list = |name: &str| value[name].as_array().map(Vec::as_slice);
            if value["nodeType"].is_string() || (value["type"] == "doc" && value["content"].is_array()) {
                Some((content::node as Dialect, std::slice::from_ref(value)))
            } else if let Some(nodes) = value["root"]["children"].as_array() {
                Some((children::node as Dialect, nodes.as_slice()))
            } else if let Some(blocks) =
                list("blocks").filter(|blocks| blocks.iter().all(|one| one["type"].is_string()))
            {
                Some((editor_js::node as Dialect, blocks))
            } else if value["object"] == "list" && value["results"].is_array() {
                list("results").map(|results| (notion::node as Dialect, results))
            } else {
                dialect(value).map(|dialect| (dialect, std::slice::from_ref(value)))
            }
        }
        _ => None,
    }
}

/// The dialect that a node is written in.
fn dialect(node: &Value) -> Option<Dialect> {
    if node["_type"].is_string() {
        Some(portable::node)
    } else if node["object"] == "block" {
        Some(notion::node)
    } else if node["nodeType"].is_string() {
        Some(content::node)
    } else if node["children"].is_array() || (node["text"].is_string() && node["marks"].is_null()) {
        Some(children::node)
    } else if node["type"].is_string() && node["data"].is_object() {
        Some(editor_js::node)
    } else if node["type"].is_string() && (node["content"].is_array() || node["attrs"].is_object()) {
        Some(content::node)
    } else {
        None
    }
}
