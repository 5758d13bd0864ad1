//! The elements of HTML, by what they do to the text in them.

/// What an element does to the text in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Block,
    Heading(usize),
    Bullets,
    Numbers,
    Item,
    Quote,
    Code,
    Table,
    Row,
    /// The head, body or foot of a table.
    Rows,
    Cell,
    Link,
    Struck,
    Raised,
    /// Its content is not shown.
    Hidden,
    /// It has no content.
    Void,
    Inline,
}

pub(super) fn role(name: &[u8]) -> Role {
    match name {
        b"p" | b"div" | b"section" | b"article" | b"header" | b"footer" | b"main" | b"nav" | b"aside" | b"figure"
        | b"figcaption" | b"address" | b"details" | b"summary" | b"form" | b"fieldset" | b"legend" | b"dl" | b"dt"
        | b"dd" | b"center" | b"hgroup" | b"search" | b"caption" | b"option" | b"optgroup" | b"dialog" => Role::Block,
        b"h1" => Role::Heading(1),
        b"h2" => Role::Heading(2),
        b"h3" => Role::Heading(3),
        b"h4" => Role::Heading(4),
        b"h5" => Role::Heading(5),
        b"h6" => Role::Heading(6),
        b"ul" | b"menu" | b"dir" => Role::Bullets,
        b"ol" => Role::Numbers,
        b"li" => Role::Item,
        b"blockquote" => Role::Quote,
        b"pre" | b"listing" | b"xmp" | b"plaintext" => Role::Code,
        b"table" => Role::Table,
        b"tr" => Role::Row,
        b"thead" | b"tbody" | b"tfoot" => Role::Rows,
        b"td" | b"th" => Role::Cell,
        b"a" => Role::Link,
        b"s" | b"del" | b"strike" => Role::Struck,
        b"sup" => Role::Raised,
        b"script" | b"style" | b"template" | b"noscript" | b"noembed" | b"noframes" | b"iframe" | b"title"
        | b"object" | b"video" | b"audio" | b"canvas" | b"rp" | b"annotation" | b"annotation-xml" | b"desc"
        | b"datalist" => Role::Hidden,
        b"br" | b"hr" | b"img" | b"input" | b"wbr" | b"meta" | b"link" | b"source" | b"track" | b"col" | b"area"
        | b"base" | b"embed" | b"param" | b"image" | b"frame" | b"keygen" | b"bgsound" => Role::Void,
        _ => Role::Inline,
    }
}

impl Role {
    /// Whether its start tag ends an open paragraph.
    pub(super) fn ends_paragraph(self) -> bool {
        !matches!(
            self,
            Self::Link
                | Self::Struck
                | Self::Raised
                | Self::Hidden
                | Self::Void
                | Self::Inline
                | Self::Row
                | Self::Rows
                | Self::Cell
        )
    }
}
