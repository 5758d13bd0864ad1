//! Documents whose nodes have `type` and `children`: Strapi's blocks, Slate, and Lexical (Payload).

use serde_json::Value;

use super::{
    unknown::Unknown,
    walk::{Kind, Node, Text},
};

/// Bit of Lexical's `format` for text that is struck through, and for raised text.
const LEXICAL_STRUCK: u64 = 4;
const LEXICAL_RAISED: u64 = 64;

pub(super) fn node(value: &Value) -> Result<Node<'_>, Unknown> {
    let word = |name: &str| value[name].as_str();
    let children = value["children"].as_array().map_or(&[] as &[Value], Vec::as_slice);
    let node = |kind| Ok(Node::new(kind, children));
    let name = match word("type") {
        Some(name) => name,
        // Slate's text has no type.
        None if value["text"].is_string() => "text",
        None => return Err(Unknown::node("")),
    };
    match name {
        "text" | "code-highlight" => {
            let format = value["format"].as_u64().unwrap_or(0);
            Ok(Node::leaf(Kind::Text(Text {
                text: word("text").unwrap_or_default(),
                link: None,
                struck: value["strikethrough"] == true || format & LEXICAL_STRUCK != 0,
                raised: value["superscript"] == true || format & LEXICAL_RAISED != 0,
            })))
        }
        "root" => node(Kind::Plain),
        "paragraph" | "p" => node(Kind::Block),
        "heading" => {
            let tag = word("tag").and_then(|tag| tag.strip_prefix('h')).and_then(|level| level.parse().ok());
            let level = value["level"].as_u64().and_then(|level| usize::try_from(level).ok());
            node(Kind::Heading(level.or(tag).unwrap_or(2)))
        }
        "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => node(Kind::Heading(name[1..].parse().unwrap_or(2))),
        "list" => {
            let numbered =
                word("format") == Some("ordered") || word("listType") == Some("number") || word("tag") == Some("ol");
            node(Kind::List(numbered.then(|| value["start"].as_u64().unwrap_or(1))))
        }
        "ul" | "bulleted-list" | "unordered-list" | "check-list" => node(Kind::List(None)),
        "ol" | "numbered-list" | "ordered-list" => node(Kind::List(Some(value["start"].as_u64().unwrap_or(1)))),
        "list-item" | "listitem" | "li" | "check-list-item" => node(Kind::Item { checked: value["checked"].as_bool() }),
        "lic" | "list-item-text" => node(Kind::Plain),
        "quote" | "blockquote" => node(Kind::Quote),
        "code" | "code-block" | "code_block" => node(Kind::Code),
        "linebreak" => Ok(Node::leaf(Kind::Break)),
        "tab" => Ok(Node::leaf(Kind::Text(Text { text: "\t", ..Text::default() }))),
        "link" | "autolink" | "a" => {
            let url = word("url").or(value["fields"]["url"].as_str()).or(word("href"));
            node(url.map_or(Kind::Plain, Kind::Link))
        }
        "image" => {
            let said = value["image"]["alternativeText"].as_str().or(word("alt")).or(word("altText"));
            node(Kind::Media(said))
        }
        "upload" | "media" => node(Kind::Media(value["value"]["alt"].as_str())),
        "horizontalrule" | "hr" | "thematic-break" => Ok(Node::leaf(Kind::Rule)),
        "table" => node(Kind::Table),
        "thead" | "tbody" => node(Kind::Plain),
        "tablerow" | "table-row" | "tr" => node(Kind::Row),
        "tablecell" | "table-cell" | "td" | "th" => node(Kind::Cell),
        // Blocks of a schema of one's own.
        "block" | "inlineBlock" => match value["fields"]["blockType"].as_str() {
            Some(own) => Err(Unknown::node(&format!("{name}:{own}"))),
            None => Err(Unknown::node(name)),
        },
        other => Err(Unknown::node(other)),
    }
}
