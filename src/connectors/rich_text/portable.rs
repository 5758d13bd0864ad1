//! Portable Text (Sanity): a flat list of blocks, whose marks refer to definitions beside the text.

use serde_json::Value;

use super::{
    render::Renderer,
    unknown::Unknown,
    walk::{Inline, Kind, Node, Text, inline},
};

pub(super) fn node(value: &Value) -> Result<Node<'_>, Unknown> {
    let word = |name: &str| value[name].as_str();
    let name = word("_type").unwrap_or_default();
    let written = |kind, write, of| Ok(Node { kind, inline: Some(Inline { write, of }), children: &[] });
    match name {
        "block" => {
            let level = value["level"].as_u64().and_then(|level| usize::try_from(level).ok()).unwrap_or(1);
            let kind = match (word("listItem"), word("style").unwrap_or("normal")) {
                (Some(list), _) => Kind::LooseItem { numbered: list == "number", level, checked: None },
                (None, "blockquote") => Kind::Quote,
                (None, style) => match style.strip_prefix('h').and_then(|level| level.parse().ok()) {
                    Some(level @ 1..=6) => Kind::Heading(level),
                    // A style of one's own is a paragraph that looks otherwise.
                    _ => Kind::Block,
                },
            };
            written(kind, spans, value)
        }
        "code" | "codeBlock" => written(Kind::Code, code, value),
        "image" | "file" => Ok(Node::leaf(Kind::Media(word("alt").or(word("caption"))))),
        "break" | "divider" | "hr" | "horizontalRule" => Ok(Node::leaf(Kind::Rule)),
        "table" => match value["rows"].as_array() {
            Some(rows) => Ok(Node::new(Kind::Table, rows)),
            None => Err(Unknown::node(name)),
        },
        "tableRow" | "row" => written(Kind::Row, cells, value),
        other => Err(Unknown::node(other)),
    }
}

fn code(renderer: &mut Renderer, block: &Value) -> Result<(), Unknown> {
    renderer.leaf.text(block["code"].as_str().unwrap_or_default());
    Ok(())
}

fn cells(renderer: &mut Renderer, row: &Value) -> Result<(), Unknown> {
    for cell in row["cells"].as_array().into_iter().flatten() {
        renderer.open_cell();
        renderer.leaf.lines(cell.as_str().unwrap_or_default());
        renderer.close_cell();
    }
    Ok(())
}

fn spans(renderer: &mut Renderer, block: &Value) -> Result<(), Unknown> {
    let definitions = block["markDefs"].as_array().map_or(&[] as &[Value], Vec::as_slice);
    for child in block["children"].as_array().into_iter().flatten() {
        match child["_type"].as_str().unwrap_or("span") {
            "span" => {
                let mut text = Text { text: child["text"].as_str().unwrap_or_default(), ..Text::default() };
                for mark in child["marks"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                    match mark {
                        "strike-through" | "strike" => text.struck = true,
                        "sup" => text.raised = true,
                        key => {
                            let definition = definitions.iter().find(|definition| definition["_key"] == key);
                            text.link = text.link.or(definition.and_then(|definition| definition["href"].as_str()));
                        }
                    }
                }
                inline(renderer, &text);
            }
            "image" => renderer.leaf.text(child["alt"].as_str().unwrap_or_default()),
            other => return Err(Unknown::node(other)),
        }
    }
    Ok(())
}
