//! Documents whose nodes have `content`: ProseMirror and what builds on it (TipTap, Storyblok, Atlassian), and
//! Contentful's rich text.

use serde_json::Value;

use super::{
    unknown::Unknown,
    walk::{Kind, Node, Text},
};

pub(super) fn node(value: &Value) -> Result<Node<'_>, Unknown> {
    let attributes = &value["attrs"];
    let said = |name: &str| attributes[name].as_str();
    let children = value["content"].as_array().map_or(&[] as &[Value], Vec::as_slice);
    let node = |kind| Ok(Node::new(kind, children));
    let level = |name: &str| name.rsplit('-').next().and_then(|level| level.parse().ok()).unwrap_or(2);
    let name = value["nodeType"].as_str().or(value["type"].as_str()).unwrap_or_default();
    match name {
        "text" => Ok(Node::leaf(Kind::Text(text(value)))),
        "doc" | "document" | "panel" | "detailsContent" | "nestedExpand" | "layoutSection" | "layoutColumn"
        | "mediaSingle" | "mediaGroup" | "bodiedExtension" | "tbody" | "thead" => node(Kind::Plain),
        "paragraph" | "detailsSummary" | "caption" | "blockTaskItem" => node(Kind::Block),
        "details" | "callout" | "layout" => node(Kind::Block),
        "heading" => {
            let level = attributes["level"].as_u64().and_then(|level| usize::try_from(level).ok());
            node(Kind::Heading(level.unwrap_or(2)))
        }
        "heading-1" | "heading-2" | "heading-3" | "heading-4" | "heading-5" | "heading-6" => {
            node(Kind::Heading(level(name)))
        }
        "bullet_list" | "bulletList" | "unordered-list" | "taskList" | "task_list" | "decisionList" => {
            node(Kind::List(None))
        }
        "ordered_list" | "orderedList" | "ordered-list" => {
            let start = attributes["order"].as_u64().or(attributes["start"].as_u64()).unwrap_or(1);
            node(Kind::List(Some(start)))
        }
        "list_item" | "listItem" | "list-item" | "decisionItem" => node(Kind::Item { checked: None }),
        "taskItem" | "task_item" => {
            let state = said("state").map(|state| state == "DONE");
            node(Kind::Item { checked: attributes["checked"].as_bool().or(state) })
        }
        "blockquote" => node(Kind::Quote),
        "code_block" | "codeBlock" => node(Kind::Code),
        "horizontal_rule" | "horizontalRule" | "rule" | "hr" => Ok(Node::leaf(Kind::Rule)),
        "hard_break" | "hardBreak" => Ok(Node::leaf(Kind::Break)),
        "table" => node(Kind::Table),
        "table_row" | "tableRow" | "table-row" => node(Kind::Row),
        "table_cell" | "tableCell" | "table_header" | "tableHeader" | "table-cell" | "table-header-cell" => {
            node(Kind::Cell)
        }
        "hyperlink" => node(value["data"]["uri"].as_str().map_or(Kind::Plain, Kind::Link)),
        // The address of what they lead to is not in the document.
        "entry-hyperlink" | "asset-hyperlink" | "resource-hyperlink" => node(Kind::Plain),
        "image" | "media" | "mediaInline" | "figure" => node(Kind::Media(said("alt").or(said("title")))),
        "embedded-asset-block" => node(Kind::Media(
            value["data"]["target"]["fields"]["description"]
                .as_str()
                .or(value["data"]["target"]["fields"]["title"].as_str()),
        )),
        "youtube" | "video" | "iframe" => node(Kind::Media(said("title"))),
        "emoji" => Ok(words(said("emoji").or(said("text")).or(said("shortName")).unwrap_or_default())),
        "status" => Ok(words(said("text").unwrap_or_default())),
        "mention" => Ok(words(said("text").or(said("label")).unwrap_or_default())),
        "inlineCard" | "blockCard" | "embedCard" => {
            let url = said("url").unwrap_or_default();
            Ok(Node::leaf(Kind::Text(Text { text: url, link: Some(url), ..Text::default() })))
        }
        // Components of a schema of one's own.
        "blok" => {
            let component = attributes["body"][0]["component"].as_str().unwrap_or_default();
            Err(Unknown::node(&format!("blok:{component}")))
        }
        other => Err(Unknown::node(other)),
    }
}

fn words(text: &str) -> Node<'_> {
    Node::leaf(Kind::Text(Text { text, ..Text::default() }))
}

/// Text with its marks. Those that say nothing (bold, colour) are left out.
fn text(value: &Value) -> Text<'_> {
    let mut text =
        Text { text: value["text"].as_str().or(value["value"].as_str()).unwrap_or_default(), ..Text::default() };
    for mark in value["marks"].as_array().into_iter().flatten() {
        match mark["type"].as_str().unwrap_or_default() {
            "link" => text.link = mark["attrs"]["href"].as_str().or(mark["attrs"]["url"].as_str()),
            "strike" | "strikethrough" | "s" => text.struck = true,
            "superscript" => text.raised = true,
            // Atlassian's, in one mark for both.
            "subsup" => text.raised = mark["attrs"]["type"] == "sup",
            _ => {}
        }
    }
    text
}
