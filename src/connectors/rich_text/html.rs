//! HTML to blocks and inline text.
//!
//! html5gum is a tokenizer that passes the tests of the HTML standard. A tree of the document is not built: the
//! standard's tree builder looks for open elements at every tag, which takes quadratic time on nested ones. What it says
//! about elements that are closed by others is kept as far as it changes what is read.

use std::collections::HashMap;

use html5gum::{
    Span, Tokenizer,
    emitters::callback::{CallbackEmitter, CallbackEvent},
};

use super::{
    elements::{Role, role},
    render::Renderer,
};

/// An open element.
struct Open {
    name: Vec<u8>,
    role: Role,
    hides: bool,
}

/// A start tag whose attributes are being read.
struct StartTag {
    name: Vec<u8>,
    attribute: Option<Attribute>,
    hides: bool,
    is_open: bool,
    href: String,
    alt: String,
    start: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Attribute {
    Hidden,
    Style,
    Href,
    Alt,
    Start,
    Open,
}

/// The end tag of one closes another, too.
const HEADINGS: [&[u8]; 6] = [b"h1", b"h2", b"h3", b"h4", b"h5", b"h6"];

/// Longest value of an attribute that is read.
const VALUE_BYTES_MAX: usize = 4096;

struct Reader<'r> {
    renderer: &'r mut Renderer,
    open: Vec<Open>,
    /// Where elements of a name are open.
    places: HashMap<Vec<u8>, Vec<usize>>,
    /// The cells that are open: an end tag in one closes nothing around it.
    cells: Vec<usize>,
    /// The lists that are open.
    lists: Vec<usize>,
    tables: Vec<usize>,
    /// The elements that are open and hidden by what they are: a tag in one closes nothing around it.
    walls: Vec<usize>,
    hidden: usize,
    tag: Option<StartTag>,
    /// A line break that follows `<pre>` does not count.
    fresh_code: bool,
}

/// Reads HTML, and closes all that it opened.
pub(super) fn read(renderer: &mut Renderer, html: &str) {
    let mut reader = Reader {
        renderer,
        open: Vec::new(),
        places: HashMap::new(),
        cells: Vec::new(),
        lists: Vec::new(),
        tables: Vec::new(),
        walls: Vec::new(),
        hidden: 0,
        tag: None,
        fresh_code: false,
    };
    let mut emitter = CallbackEmitter::new(|event: CallbackEvent<'_>, _: Span<()>| -> Option<()> {
        reader.event(event);
        None
    });
    emitter.naively_switch_states(true);
    Tokenizer::new_with_emitter(html, emitter).for_each(drop);
    reader.close_to(0);
    reader.renderer.leaf.end_marks();
}

/// Whether a text is HTML: it begins with a tag that no Markdown begins with.
pub(super) fn is_html(text: &str) -> bool {
    let Some(rest) = text.trim_start().strip_prefix('<') else { return false };
    if rest.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("!doctype")) || rest.starts_with("!--") {
        return true;
    }
    let name: String = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
    let after = rest[name.len()..].chars().next();
    let name = name.to_ascii_lowercase();
    let known = role(name.as_bytes()) != Role::Inline
        || matches!(
            name.as_str(),
            "html" | "body" | "head" | "span" | "b" | "strong" | "i" | "em" | "u" | "code" | "svg"
        );
    known && after.is_some_and(|c| c == '>' || c == '/' || c.is_ascii_whitespace())
}

impl Reader<'_> {
    fn event(&mut self, event: CallbackEvent<'_>) {
        match event {
            CallbackEvent::OpenStartTag { name } => {
                self.tag = Some(StartTag {
                    name: name.to_vec(),
                    attribute: None,
                    hides: false,
                    is_open: false,
                    href: String::new(),
                    alt: String::new(),
                    start: None,
                });
            }
            CallbackEvent::AttributeName { name } => {
                if let Some(tag) = &mut self.tag {
                    tag.attribute(name);
                }
            }
            CallbackEvent::AttributeValue { value } => {
                if let Some(tag) = &mut self.tag {
                    tag.value(value);
                }
            }
            CallbackEvent::CloseStartTag { .. } => {
                if let Some(tag) = self.tag.take() {
                    self.start(tag);
                }
            }
            CallbackEvent::EndTag { name } => {
                self.tag = None;
                self.end(name);
            }
            CallbackEvent::String { value } if self.hidden == 0 => {
                let text = String::from_utf8_lossy(value);
                let fresh = std::mem::take(&mut self.fresh_code);
                let after = text.strip_prefix('\n').filter(|_| fresh);
                self.renderer.leaf.text(after.unwrap_or(&text));
            }
            _ => {}
        }
    }

    fn start(&mut self, tag: StartTag) {
        self.fresh_code = false;
        let role = role(&tag.name);
        self.close_implied(&tag.name, role);
        let hides = tag.hides || role == Role::Hidden || (tag.name == b"dialog" && !tag.is_open);
        if role == Role::Void {
            if self.hidden == 0 && !hides {
                self.void(&tag);
            }
            return;
        }
        if hides || self.hidden > 0 {
            return self.push(tag.name, role, hides);
        }
        match role {
            Role::Inline => return,
            // These cross blocks, and a link ends another one.
            Role::Link => return self.renderer.leaf.open_link(&tag.href),
            Role::Struck => return self.renderer.leaf.open_struck(),
            Role::Raised => return self.renderer.leaf.raise(),
            Role::Block | Role::Rows => self.renderer.boundary(),
            Role::Heading(level) => self.renderer.open_heading(level),
            Role::Bullets => self.renderer.open_list(None),
            Role::Numbers => self.renderer.open_list(Some(tag.start.unwrap_or(1))),
            Role::Item => self.renderer.open_item(None),
            Role::Quote => self.renderer.open_quote(),
            Role::Code => {
                self.renderer.open_code();
                self.fresh_code = true;
            }
            Role::Table => self.renderer.open_table(),
            Role::Row => self.renderer.close_row(),
            Role::Cell => self.renderer.open_cell(),
            Role::Hidden | Role::Void => {}
        }
        self.push(tag.name, role, false);
    }

    /// Elements that have no content.
    fn void(&mut self, tag: &StartTag) {
        match tag.name.as_slice() {
            b"br" => self.renderer.leaf.line_break(),
            b"hr" => self.renderer.rule(),
            b"img" | b"image" if !tag.alt.trim().is_empty() => self.renderer.leaf.text(&tag.alt),
            _ => {}
        }
    }

    fn push(&mut self, name: Vec<u8>, role: Role, hides: bool) {
        let at = self.open.len();
        self.places.entry(name.clone()).or_default().push(at);
        match role {
            Role::Cell => self.cells.push(at),
            Role::Bullets | Role::Numbers => self.lists.push(at),
            Role::Table => self.tables.push(at),
            Role::Hidden => self.walls.push(at),
            _ => {}
        }
        self.hidden += usize::from(hides);
        self.open.push(Open { name, role, hides });
    }

    /// The innermost open element of a name, above a place that it cannot be closed across.
    fn place(&self, name: &[u8], floor: Option<&usize>) -> Option<usize> {
        let at = *self.places.get(name)?.last()?;
        (floor.is_none_or(|floor| at > *floor) && self.is_inside(at)).then_some(at)
    }

    fn is_inside(&self, at: usize) -> bool {
        self.walls.last().is_none_or(|wall| at >= *wall)
    }

    /// Closes the elements that a start tag ends.
    fn close_implied(&mut self, name: &[u8], role: Role) {
        if role.ends_paragraph() || name == b"hr" {
            self.close_from(self.place(b"p", self.cells.last()));
        }
        match role {
            Role::Heading(_) => {
                let top = self.open.len().checked_sub(1);
                self.close_from(top.filter(|top| matches!(self.open[*top].role, Role::Heading(_))));
            }
            Role::Item => self.close_from(self.place(b"li", self.lists.last().max(self.cells.last()))),
            Role::Row => self.close_from(self.place(b"tr", self.tables.last())),
            Role::Cell => {
                let of_table = |cell: &usize| self.tables.last().is_none_or(|table| cell > table);
                let cell = self.cells.last().copied().filter(|cell| of_table(cell) && self.is_inside(*cell));
                self.close_from(cell);
            }
            Role::Rows => {
                let inner = [b"thead".as_slice(), b"tbody", b"tfoot"];
                let open = inner.iter().filter_map(|name| self.place(name, self.tables.last())).max();
                self.close_from(open);
            }
            _ if name == b"dt" || name == b"dd" => {
                let floor = self.places.get(b"dl".as_slice()).and_then(|places| places.last()).max(self.cells.last());
                let open = self.place(b"dt", floor).max(self.place(b"dd", floor));
                self.close_from(open);
            }
            _ => {}
        }
    }

    fn end(&mut self, name: &[u8]) {
        let role = role(name);
        if self.hidden == 0 {
            match (name, role) {
                (b"br", _) => self.renderer.leaf.line_break(),
                (_, Role::Link) => self.renderer.leaf.close_link(),
                (_, Role::Struck) => self.renderer.leaf.close_struck(),
                (b"p", _) => self.renderer.boundary(),
                _ => {}
            }
        }
        let floor = match role {
            Role::Table | Role::Row | Role::Rows | Role::Cell => None,
            _ => self.cells.last(),
        };
        let floor = match role {
            Role::Item => floor.max(self.lists.last()),
            Role::Row | Role::Rows | Role::Cell => self.tables.last(),
            _ => floor,
        };
        self.close_from(match role {
            Role::Heading(_) => HEADINGS.iter().filter_map(|name| self.place(name, floor)).max(),
            _ => self.place(name, floor),
        });
    }

    fn close_from(&mut self, place: Option<usize>) {
        if let Some(at) = place {
            self.close_to(at);
        }
    }

    /// Closes all open elements from a place on.
    fn close_to(&mut self, at: usize) {
        while self.open.len() > at {
            let Some(Open { name, role, hides }) = self.open.pop() else { return };
            if let Some(places) = self.places.get_mut(&name) {
                places.pop();
            }
            let places = match role {
                Role::Cell => Some(&mut self.cells),
                Role::Bullets | Role::Numbers => Some(&mut self.lists),
                Role::Table => Some(&mut self.tables),
                Role::Hidden => Some(&mut self.walls),
                _ => None,
            };
            if let Some(places) = places {
                places.pop();
            }
            // What opened while it was hidden opened nothing.
            if self.hidden > 0 {
                self.hidden -= usize::from(hides);
                continue;
            }
            match role {
                Role::Block | Role::Rows => self.renderer.boundary(),
                Role::Heading(_) | Role::Code => self.renderer.close_style(),
                Role::Bullets | Role::Numbers => self.renderer.close_list(),
                Role::Item => self.renderer.close_item(),
                Role::Quote => self.renderer.close_quote(),
                Role::Table => self.renderer.close_table(),
                Role::Row => self.renderer.close_row(),
                Role::Cell => self.renderer.close_cell(),
                Role::Link | Role::Struck | Role::Raised | Role::Hidden | Role::Void | Role::Inline => {}
            }
        }
    }
}

impl StartTag {
    fn attribute(&mut self, name: &[u8]) {
        // Of an attribute that is there twice the first counts.
        self.attribute = match name {
            b"hidden" => {
                self.hides = true;
                Some(Attribute::Hidden)
            }
            b"open" => {
                self.is_open = true;
                Some(Attribute::Open)
            }
            b"style" => Some(Attribute::Style),
            b"href" if self.href.is_empty() => Some(Attribute::Href),
            b"alt" if self.alt.is_empty() => Some(Attribute::Alt),
            b"start" if self.start.is_none() => Some(Attribute::Start),
            _ => None,
        };
    }

    fn value(&mut self, value: &[u8]) {
        let text = |value: &[u8]| String::from_utf8_lossy(&value[..value.len().min(VALUE_BYTES_MAX)]).into_owned();
        match self.attribute.take() {
            Some(Attribute::Style) => {
                let style: String = text(value).to_ascii_lowercase().split_ascii_whitespace().collect();
                self.hides |= style.contains("display:none") || style.contains("visibility:hidden");
            }
            Some(Attribute::Href) => self.href = text(value),
            Some(Attribute::Alt) => self.alt = text(value),
            Some(Attribute::Start) => self.start = text(value).trim().parse().ok(),
            Some(Attribute::Hidden | Attribute::Open) | None => {}
        }
    }
}
