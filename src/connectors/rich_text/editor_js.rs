//! Blocks of Editor.js (Directus): `type` and `data`, with inline HTML in their texts.

use serde_json::Value;

use super::{
    html,
    render::Renderer,
    unknown::Unknown,
    walk::{Inline, Kind, Node, mark},
};

pub(super) fn node(block: &Value) -> Result<Node<'_>, Unknown> {
    let name = block["type"].as_str().unwrap_or_default();
    let data = &block["data"];
    let written = |kind, write| Ok(Node { kind, inline: Some(Inline { write, of: data }), children: &[] });
    match name.to_ascii_lowercase().as_str() {
        "paragraph" | "alert" | "warning" | "quote" | "image" | "simpleimage" | "embed" | "attaches" | "toggle"
        | "linktool" => {
            let kind = if name.eq_ignore_ascii_case("quote") { Kind::Quote } else { Kind::Block };
            written(kind, texts)
        }
        "header" | "heading" => {
            let level = data["level"].as_u64().and_then(|level| usize::try_from(level).ok()).unwrap_or(2);
            written(Kind::Heading(level), texts)
        }
        "list" | "nestedlist" | "checklist" => written(Kind::Plain, list),
        "code" => written(Kind::Code, code),
        "raw" => written(Kind::Block, raw),
        "table" => written(Kind::Table, table),
        "delimiter" => Ok(Node::leaf(Kind::Rule)),
        _ => Err(Unknown::node(name)),
    }
}

/// Members that hold words, in the order in which they are shown.
fn texts(renderer: &mut Renderer, data: &Value) -> Result<(), Unknown> {
    let meta = &data["meta"];
    let members =
        [&data["title"], &data["text"], &data["message"], &data["caption"], &meta["title"], &meta["description"]];
    for text in members.into_iter().filter_map(Value::as_str) {
        html::read(renderer, text);
        renderer.boundary();
    }
    if let Some(url) = data["link"].as_str() {
        renderer.leaf.text(url);
    }
    Ok(())
}

/// Deepest nesting of lists that is followed.
const DEPTH_MAX: usize = 64;

fn list(renderer: &mut Renderer, data: &Value) -> Result<(), Unknown> {
    let numbered = data["style"] == "ordered";
    items(renderer, &data["items"], numbered, 0)
}

fn items(renderer: &mut Renderer, all: &Value, numbered: bool, depth: usize) -> Result<(), Unknown> {
    if depth > DEPTH_MAX {
        return Err(Unknown::node("list"));
    }
    let Some(all) = all.as_array().filter(|all| !all.is_empty()) else { return Ok(()) };
    renderer.open_list(numbered.then_some(1));
    for item in all {
        let checked = item["checked"].as_bool().or(item["meta"]["checked"].as_bool());
        renderer.open_item(checked.map(mark));
        let text = item.as_str().or(item["content"].as_str()).or(item["text"].as_str());
        html::read(renderer, text.unwrap_or_default());
        items(renderer, &item["items"], numbered, depth + 1)?;
        renderer.close_item();
    }
    renderer.close_list();
    Ok(())
}

fn code(renderer: &mut Renderer, data: &Value) -> Result<(), Unknown> {
    renderer.leaf.text(data["code"].as_str().unwrap_or_default());
    Ok(())
}

fn raw(renderer: &mut Renderer, data: &Value) -> Result<(), Unknown> {
    html::read(renderer, data["html"].as_str().unwrap_or_default());
    Ok(())
}

fn table(renderer: &mut Renderer, data: &Value) -> Result<(), Unknown> {
    for row in data["content"].as_array().into_iter().flatten() {
        renderer.close_row();
        for cell in row.as_array().into_iter().flatten() {
            renderer.open_cell();
            html::read(renderer, cell.as_str().unwrap_or_default());
            renderer.close_cell();
        }
    }
    renderer.close_row();
    Ok(())
}
