//! What is read of HTML and of documents, and how long it takes.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{html_text, reason, rich_text};

#[test]
fn html_is_read_as_markdown() {
    for (html, text) in [
        (
            "<p>Within <b>30</b> days.</p><p>Free&nbsp;of charge &amp; tax.</p>",
            "Within 30 days.\n\nFree of charge & tax.",
        ),
        ("<h2>Returns</h2>\n<p>Unused.</p>", "## Returns\n\nUnused."),
        (
            "<ul><li>unused</li><li>in its box<ul><li>or not</li></ul></li></ul><p>End",
            "- unused\n- in its box\n  - or not\n\nEnd",
        ),
        ("<ol start=3><li>a<li>b</ol>", "3. a\n4. b"),
        ("<a href='https://x.example/a b'>Our <i>terms</i></a>.", "[Our terms](https://x.example/a%20b)."),
        (
            "<a href='javascript:alert(1)'>x</a> <a href='/rel'>y</a> <a href='https://z.example'>https://z.example</a>",
            "x y https://z.example",
        ),
        ("<table><tr><th>Size<th>Price</tr><tr><td>S<td>1|2</table>", "| Size | Price |\n| --- | --- |\n| S | 1\\|2 |"),
        ("<blockquote><p>a</p><p>b</p></blockquote>c", "> a\n>\n> b\n\nc"),
        ("<pre>\na\n  b</pre>", "```\na\n  b\n```"),
        ("one<br>two<br/>three", "one\ntwo\nthree"),
        ("<script>alert('<p>no</p>')</script><style>p { }</style><p>yes</p><!-- no -->", "yes"),
        ("<p hidden>no<p>yes<span style='display: none'>no<span>no</span></span>", "yes"),
        ("was <s>20</s> 10", "was ~~20~~ 10"),
        ("<s><a href=\"https://x.example/a\"></s> here", "[here](https://x.example/a)"),
        ("10<sup>2</sup> m, 1<sup>st</sup>", "10^2 m, 1st"),
        ("<div>a<div>b</div>c</div>", "a\n\nb\n\nc"),
        ("<dl><dt>Size<dd>S</dl>", "Size\n\nS"),
        ("<img alt='A box' src=x><hr>", "A box\n\n---"),
        ("<h1>a</h2><p>b", "# a\n\nb"),
        ("<td>x</td></tr></table>1 < 2 &lt;p&gt;", "x\n\n1 < 2 <p>"),
        ("<svg><title>Icon</title><text>seen</text></svg>", "seen"),
        ("co\u{ad}operate\u{200b}", "cooperate"),
        ("", ""),
    ] {
        assert_eq!(html_text(html), text, "{html}");
    }
}

#[test]
fn documents_of_every_form_are_read() {
    let strapi = json!([
        { "type": "heading", "level": 2, "children": [{ "type": "text", "text": "Returns" }] },
        { "type": "paragraph", "children": [
            { "type": "text", "text": "See " },
            { "type": "link", "url": "https://x.example", "children": [{ "type": "text", "text": "terms", "bold": true }] },
        ] },
        { "type": "list", "format": "ordered", "children": [
            { "type": "list-item", "children": [{ "type": "text", "text": "a" }] },
            { "type": "list", "format": "unordered", "children": [
                { "type": "list-item", "children": [{ "type": "text", "text": "b" }] },
            ] },
        ] },
    ]);
    let contentful = json!({ "nodeType": "document", "data": {}, "content": [
        { "nodeType": "heading-2", "content": [{ "nodeType": "text", "value": "Returns", "marks": [] }] },
        { "nodeType": "paragraph", "content": [
            { "nodeType": "text", "value": "See ", "marks": [] },
            { "nodeType": "hyperlink", "data": { "uri": "https://x.example" }, "content": [
                { "nodeType": "text", "value": "terms", "marks": [{ "type": "bold" }] },
            ] },
        ] },
        { "nodeType": "ordered-list", "content": [{ "nodeType": "list-item", "content": [
            { "nodeType": "paragraph", "content": [{ "nodeType": "text", "value": "a" }] },
            { "nodeType": "unordered-list", "content": [{ "nodeType": "list-item", "content": [
                { "nodeType": "paragraph", "content": [{ "nodeType": "text", "value": "b" }] },
            ] }] },
        ] }] },
    ] });
    let sanity = json!([
        { "_type": "block", "style": "h2", "children": [{ "_type": "span", "text": "Returns" }] },
        { "_type": "block", "style": "normal", "markDefs": [{ "_key": "k", "_type": "link", "href": "https://x.example" }],
          "children": [{ "_type": "span", "text": "See " }, { "_type": "span", "text": "terms", "marks": ["strong", "k"] }] },
        { "_type": "block", "listItem": "number", "level": 1, "children": [{ "_type": "span", "text": "a" }] },
        { "_type": "block", "listItem": "bullet", "level": 2, "children": [{ "_type": "span", "text": "b" }] },
    ]);
    let storyblok = json!({ "type": "doc", "content": [
        { "type": "heading", "attrs": { "level": 2 }, "content": [{ "type": "text", "text": "Returns" }] },
        { "type": "paragraph", "content": [
            { "type": "text", "text": "See " },
            { "type": "text", "text": "terms", "marks": [{ "type": "link", "attrs": { "href": "https://x.example" } }] },
        ] },
        { "type": "ordered_list", "content": [{ "type": "list_item", "content": [
            { "type": "paragraph", "content": [{ "type": "text", "text": "a" }] },
            { "type": "bullet_list", "content": [{ "type": "list_item", "content": [
                { "type": "paragraph", "content": [{ "type": "text", "text": "b" }] },
            ] }] },
        ] }] },
    ] });
    let directus = json!({ "time": 1, "version": "2.30", "blocks": [
        { "id": "1", "type": "header", "data": { "text": "Returns", "level": 2 } },
        { "id": "2", "type": "paragraph", "data": { "text": "See <a href=\"https://x.example\">terms</a>" } },
        { "id": "3", "type": "list", "data": { "style": "ordered", "items": [
            { "content": "a", "items": [] },
        ] } },
    ] });
    let payload = json!({ "root": { "type": "root", "children": [
        { "type": "heading", "tag": "h2", "children": [{ "type": "text", "text": "Returns", "format": 0 }] },
        { "type": "paragraph", "children": [
            { "type": "text", "text": "See " },
            { "type": "link", "fields": { "url": "https://x.example" }, "children": [{ "type": "text", "text": "terms" }] },
        ] },
        { "type": "list", "listType": "number", "start": 1, "tag": "ol", "children": [
            { "type": "listitem", "children": [{ "type": "text", "text": "a" }] },
            { "type": "listitem", "children": [{ "type": "list", "listType": "bullet", "children": [
                { "type": "listitem", "children": [{ "type": "text", "text": "b" }] },
            ] }] },
        ] },
    ] } });
    let text = |text: &str| json!([{ "type": "text", "plain_text": text, "href": null }]);
    let notion = json!({ "object": "list", "results": [
        { "object": "block", "type": "heading_2", "heading_2": { "rich_text": text("Returns") } },
        { "object": "block", "type": "paragraph", "paragraph": { "rich_text": [
            { "plain_text": "See " }, { "plain_text": "terms", "href": "https://x.example" },
        ] } },
        { "object": "block", "type": "numbered_list_item", "has_children": true,
          "numbered_list_item": { "rich_text": text("a") },
          "children": [{ "object": "block", "type": "bulleted_list_item", "bulleted_list_item": { "rich_text": text("b") } }] },
    ] });
    let expected = "## Returns\n\nSee [terms](https://x.example)\n\n1. a";
    for document in [&strapi, &contentful, &sanity, &storyblok, &directus, &payload, &notion] {
        let read = rich_text(document).unwrap();
        assert!(read.starts_with(expected), "{read}");
        assert!(document == &directus || read.lines().last().is_some_and(|last| last.trim() == "- b"), "{read}");
    }
}

#[test]
fn tables_code_and_what_is_struck_through_are_read() {
    let cell = |text: &str| json!({ "type": "tableCell", "content": [{ "type": "paragraph", "content": [{ "type": "text", "text": text }] }] });
    let document = json!({ "type": "doc", "content": [
        { "type": "table", "content": [
            { "type": "tableRow", "content": [cell("a"), cell("b")] },
            { "type": "tableRow", "content": [cell("c"), cell("d")] },
        ] },
        { "type": "codeBlock", "content": [{ "type": "text", "text": "x = 1\n  y" }] },
        { "type": "paragraph", "content": [
            { "type": "text", "text": "20", "marks": [{ "type": "strike" }] },
            { "type": "hardBreak" },
            { "type": "text", "text": "10", "marks": [{ "type": "textStyle" }] },
        ] },
    ] });
    let read = rich_text(&document).unwrap();
    assert_eq!(read, "| a | b |\n| --- | --- |\n| c | d |\n\n```\nx = 1\n  y\n```\n\n~~20~~\n10");
}

#[test]
fn what_is_not_known_is_named_and_never_left_out() {
    for (document, name) in [
        (json!([{ "type": "carousel", "children": [] }]), "carousel"),
        (
            json!({ "nodeType": "document", "content": [{ "nodeType": "embedded-entry-block", "content": [] }] }),
            "embedded-entry-block",
        ),
        (json!([{ "_type": "block", "children": [{ "_type": "price" }] }]), "price"),
        (
            json!({ "type": "doc", "content": [{ "type": "blok", "attrs": { "body": [{ "component": "faq" }] } }] }),
            "blok:faq",
        ),
        (json!({ "blocks": [{ "type": "poll", "data": {} }] }), "poll"),
        (json!({ "root": { "children": [{ "type": "block", "fields": { "blockType": "banner" } }] } }), "block:banner"),
        (
            json!([{ "object": "block", "type": "toggle", "toggle": {}, "has_children": true }]),
            "toggle:without-children",
        ),
        (json!([{ "type": "Ada <ada@example.com>\n", "children": [] }]), "Adaadaexample.com"),
    ] {
        let error = rich_text(&document).unwrap_err();
        assert_eq!(error, format!("the text holds a node of the type {name}, which is not known here"));
        assert_eq!(reason(&error), Some(error.clone()));
    }
    let error = rich_text(&json!({ "body": "x" })).unwrap_err();
    assert_eq!(reason(&error), Some(error.clone()));
    assert_eq!(reason("the text holds a node of the type my secret, which is not known here"), None);
    assert_eq!(reason("the text of a customer"), None);
    assert_eq!(rich_text(&json!([])), Ok(String::new()));
}

#[test]
fn a_text_that_is_no_html_stays_as_it_is() {
    for text in ["# Returns\n\n- a\n- `<b>`", "1 < 2", "<https://x.example>", "<me@x.example> writes", ""] {
        assert_eq!(rich_text(&json!(text)), Ok(text.to_owned()));
    }
    assert_eq!(rich_text(&json!(" <P class=x>a</P>")), Ok("a".to_owned()));
}

/// Texts on which a reader that looks back, or down its tree, takes quadratic time.
fn worst() -> Vec<String> {
    const BYTES: usize = 512 * 1024;
    let nested = |open: &str| open.repeat(BYTES / open.len());
    let pieces = [
        "<div>",
        "<p>",
        "<b>",
        "<a href=https://x.example>x",
        "<ul><li>",
        "<ol><li>x",
        "<table><tr><td>",
        "<table><td>x",
        "<blockquote>x",
        "<s>x",
        "<font>",
        "<div hidden>",
        "<li>",
        "<h1>x",
        "<pre>x",
        "</div>",
        "</p>",
        "<",
        "&",
        "&amp",
        "&#9999999;",
        "&notin",
        "<!--",
        "<a ",
        "<!",
        "]]>",
        "<p>x<table>",
        "<td>|",
        "x<br>",
        "<sup>1",
        "<dl><dt>x<dd>",
        "` ",
        "\u{ad}",
        "<select><option>",
        "<svg><title>",
        "<template>",
        "<button><p>",
    ];
    let mut all: Vec<String> = pieces.map(nested).to_vec();
    all.push("<div>".repeat(8 * BYTES / 5));
    all.push(format!("{}{}", "<div>".repeat(BYTES / 11), "</div>".repeat(BYTES / 11)));
    all.push(format!("{}{}", "<div>".repeat(BYTES / 9), "</p>".repeat(BYTES / 9)));
    all.push(format!("{}{}", "<ul><li>".repeat(BYTES / 20), "x</li>".repeat(BYTES / 20)));
    all.push(format!("<p {}>x", (0..BYTES / 9).map(|n| format!("a{n} ")).collect::<String>()));
    all.push(format!("<p style='{}'>x", "a".repeat(BYTES)));
    all.push(format!("<{}>", "a".repeat(BYTES)));
    all.push(format!("<script>{}", "</scrip".repeat(BYTES / 7)));
    all.push(format!("<table>{}{}", "<tr><td>x<td>y".repeat(BYTES / 30), "</table>".repeat(10)));
    all
}

#[test]
fn megabytes_of_the_worst_are_read_in_linear_time() {
    for html in worst() {
        let started = std::time::Instant::now();
        let text = html_text(&html);
        let start: String = html.chars().take(20).collect();
        // A reader that takes quadratic time takes minutes and more.
        assert!(started.elapsed().as_secs() < 30, "{start} took {:?}", started.elapsed());
        assert!(text.len() <= 12 * html.len(), "{start} gives {} bytes", text.len());
    }
}

/// HTML with words that are seen (`seen1`) and words that are not (`hidden2`), however it is nested.
fn pieces() -> impl Strategy<Value = Vec<String>> {
    let tag = prop::sample::select(vec![
        "p",
        "div",
        "b",
        "ul",
        "ol",
        "li",
        "table",
        "tr",
        "td",
        "th",
        "h2",
        "blockquote",
        "pre",
        "code",
        "a",
        "s",
        "sup",
        "span",
        "section",
        "dl",
        "dt",
        "dd",
        "tbody",
        "caption",
        "button",
        "label",
    ]);
    let piece = prop_oneof![
        4 => (0..1000u32).prop_map(|n| format!(" seen{n} ")),
        2 => tag.clone().prop_map(|tag| format!("<{tag}>")),
        2 => tag.clone().prop_map(|tag| format!("</{tag}>")),
        1 => tag.prop_map(|tag| format!("<{tag} class=\"hidden1\" onclick='hidden2'>")),
        1 => Just("<br>".to_owned()),
        1 => Just("<!-- hidden3 -->".to_owned()),
        1 => (0..9u32).prop_map(|n| format!("<script>hidden{n}</script>")),
        1 => (0..9u32).prop_map(|n| format!("<style>.hidden{n} {{ }}</style>")),
        1 => (0..9u32).prop_map(|n| format!("<template><p>hidden{n}</p></template>")),
        1 => (0..9u32).prop_map(|n| format!("<span hidden>hidden{n} <i>hidden{n}</i></span>")),
        1 => Just("<a href=\"https://x.example/hidden\">".to_owned()),
        1 => Just("&amp; &lt;".to_owned()),
    ];
    prop::collection::vec(piece, 0..60)
}

proptest! {
    #[test]
    fn every_visible_word_is_read_and_nothing_else(pieces in pieces()) {
        let html = pieces.concat();
        let text = html_text(&html);
        let words = |text: &str| -> Vec<String> {
            let seen = text.match_indices("seen").map(|(at, _)| {
                text[at..].chars().take_while(char::is_ascii_alphanumeric).collect::<String>()
            });
            seen.collect()
        };
        let written: Vec<String> = pieces.iter().flat_map(|piece| words(piece)).collect();
        // Words between the rows of a table stand before it.
        let (mut expected, mut read) = (written, words(&text));
        expected.sort();
        read.sort();
        prop_assert_eq!(read, expected, "{}\n{}", html, text);
        prop_assert!(!text.replace("https://x.example/hidden", "").contains("hidden"), "{}\n{}", html, text);
        for tag in ["<p", "</", "<div", "<script", "<style", "onclick", "class="] {
            prop_assert!(!text.contains(tag), "{}\n{}", html, text);
        }
    }

    #[test]
    fn any_text_is_read(html in ".{0,200}") {
        let text = html_text(&html);
        let sound = text.trim_end() == text && !text.contains('\0');
        prop_assert!(sound, "{}", text);
        let _ = rich_text(&Value::String(html));
    }
}
