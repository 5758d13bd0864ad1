//! Blocks of Notion: a flat list, in which what stands below a block is among its own children.

use serde_json::Value;

use super::{
    render::Renderer,
    unknown::Unknown,
    walk::{Inline, Kind, Node, Text, inline},
};

pub(super) fn node(value: &Value) -> Result<Node<'_>, Unknown> {
    let name = value["type"].as_str().unwrap_or_default();
    let own = &value[name];
    let children = own["children"].as_array().or(value["children"].as_array()).map_or(&[] as &[Value], Vec::as_slice);
    // The API gives children only when asked for them block by block.
    if value["has_children"] == true && children.is_empty() && name != "child_page" && name != "child_database" {
        return Err(Unknown::node(&format!("{name}:without-children")));
    }
    let said = |kind| Ok(Node { kind, inline: Some(Inline { write: words, of: &own["rich_text"] }), children });
    let item = |numbered, checked| said(Kind::LooseItem { numbered, level: 1, checked });
    match name {
        "paragraph" | "toggle" | "callout" => said(Kind::Block),
        "heading_1" | "heading_2" | "heading_3" | "heading_4" => {
            let level = name.rsplit('_').next().and_then(|level| level.parse().ok()).unwrap_or(2);
            match children {
                [] => said(Kind::Heading(level)),
                // A heading that is folded up.
                _ => said(Kind::Block),
            }
        }
        "bulleted_list_item" => item(false, None),
        "numbered_list_item" => item(true, None),
        "to_do" => item(false, own["checked"].as_bool().or(Some(false))),
        "quote" => said(Kind::Quote),
        "code" => said(Kind::Code),
        "divider" => Ok(Node::leaf(Kind::Rule)),
        "table" => Ok(Node::new(Kind::Table, children)),
        "table_row" => {
            Ok(Node { kind: Kind::Row, inline: Some(Inline { write: cells, of: &own["cells"] }), children: &[] })
        }
        "column_list" | "column" | "synced_block" | "tab" => Ok(Node::new(Kind::Plain, children)),
        "image" | "video" | "file" | "pdf" | "audio" => {
            Ok(Node { kind: Kind::Block, inline: Some(Inline { write: words, of: &own["caption"] }), children: &[] })
        }
        "bookmark" | "embed" | "link_preview" => {
            Ok(Node { kind: Kind::Block, inline: Some(Inline { write: bookmark, of: own }), children: &[] })
        }
        "equation" => Ok(Node { kind: Kind::Block, inline: Some(Inline { write: equation, of: own }), children: &[] }),
        // Pages of their own, and what is made of the page itself.
        "child_page" | "child_database" | "table_of_contents" | "breadcrumb" => Ok(Node::leaf(Kind::Plain)),
        other => Err(Unknown::node(other)),
    }
}

fn words(renderer: &mut Renderer, rich: &Value) -> Result<(), Unknown> {
    for part in rich.as_array().into_iter().flatten() {
        inline(
            renderer,
            &Text {
                text: part["plain_text"].as_str().unwrap_or_default(),
                link: part["href"].as_str(),
                struck: part["annotations"]["strikethrough"] == true,
                raised: false,
            },
        );
    }
    Ok(())
}

fn cells(renderer: &mut Renderer, cells: &Value) -> Result<(), Unknown> {
    for cell in cells.as_array().into_iter().flatten() {
        renderer.open_cell();
        words(renderer, cell)?;
        renderer.close_cell();
    }
    Ok(())
}

fn bookmark(renderer: &mut Renderer, own: &Value) -> Result<(), Unknown> {
    let url = own["url"].as_str().unwrap_or_default();
    inline(renderer, &Text { text: url, link: Some(url), ..Text::default() });
    renderer.boundary();
    words(renderer, &own["caption"])
}

fn equation(renderer: &mut Renderer, own: &Value) -> Result<(), Unknown> {
    renderer.leaf.text(own["expression"].as_str().unwrap_or_default());
    Ok(())
}
