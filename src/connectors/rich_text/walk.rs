//! The intermediate tree of documents of rich text, and the walk over it.

use serde_json::Value;

use super::{render::Renderer, unknown::Unknown};

/// A node in the words of all dialects.
pub(super) struct Node<'a> {
    pub(super) kind: Kind<'a>,
    /// Inline content that the dialect writes itself, before the children.
    pub(super) inline: Option<Inline<'a>>,
    pub(super) children: &'a [Value],
}

/// Writes the inline content of a node.
#[derive(Clone, Copy)]
pub(super) struct Inline<'a> {
    pub(super) write: fn(&mut Renderer, &Value) -> Result<(), Unknown>,
    pub(super) of: &'a Value,
}

pub(super) enum Kind<'a> {
    /// Only its children count.
    Plain,
    Block,
    Heading(usize),
    /// With the number of its first item, an ordered list.
    List(Option<u64>),
    Item {
        checked: Option<bool>,
    },
    /// An item without a list around it: whether it is numbered, and how deep it is, from 1.
    LooseItem {
        numbered: bool,
        level: usize,
        checked: Option<bool>,
    },
    Quote,
    Code,
    Table,
    Row,
    Cell,
    Rule,
    Break,
    Link(&'a str),
    Text(Text<'a>),
    /// A picture, a file: what is said of it.
    Media(Option<&'a str>),
}

#[derive(Default)]
pub(super) struct Text<'a> {
    pub(super) text: &'a str,
    pub(super) link: Option<&'a str>,
    pub(super) struck: bool,
    pub(super) raised: bool,
}

/// Reads a node of a dialect.
pub(super) type Dialect = for<'a> fn(&'a Value) -> Result<Node<'a>, Unknown>;

impl<'a> Node<'a> {
    pub(super) fn new(kind: Kind<'a>, children: &'a [Value]) -> Self {
        Self { kind, inline: None, children }
    }

    pub(super) fn leaf(kind: Kind<'a>) -> Self {
        Self::new(kind, &[])
    }
}

/// Renders nodes that stand beside each other. The depth of JSON bounds the recursion.
pub(super) fn walk(renderer: &mut Renderer, dialect: Dialect, nodes: &[Value]) -> Result<(), Unknown> {
    let mut loose = LooseLists::default();
    for node in nodes {
        let node = dialect(node)?;
        if let Kind::LooseItem { numbered, level, checked } = node.kind {
            loose.item(renderer, numbered, level, checked);
            inside(renderer, dialect, &node)?;
            continue;
        }
        loose.end(renderer);
        one(renderer, dialect, &node)?;
    }
    loose.end(renderer);
    Ok(())
}

/// Renders what is in a node.
fn inside(renderer: &mut Renderer, dialect: Dialect, node: &Node<'_>) -> Result<(), Unknown> {
    if let Some(Inline { write, of }) = node.inline {
        write(renderer, of)?;
    }
    walk(renderer, dialect, node.children)
}

fn one(renderer: &mut Renderer, dialect: Dialect, node: &Node<'_>) -> Result<(), Unknown> {
    let inner = |renderer: &mut Renderer| inside(renderer, dialect, node);
    match &node.kind {
        Kind::Plain => inner(renderer)?,
        Kind::Block => {
            renderer.boundary();
            inner(renderer)?;
            renderer.boundary();
        }
        Kind::Heading(level) => {
            renderer.open_heading(*level);
            inner(renderer)?;
            renderer.close_style();
        }
        Kind::List(start) => {
            renderer.open_list(*start);
            inner(renderer)?;
            renderer.close_list();
        }
        Kind::Item { checked } => {
            renderer.open_item(checked.map(mark));
            inner(renderer)?;
            renderer.close_item();
        }
        Kind::LooseItem { .. } => {}
        Kind::Quote => {
            renderer.open_quote();
            inner(renderer)?;
            renderer.close_quote();
        }
        Kind::Code => {
            renderer.open_code();
            inner(renderer)?;
            renderer.close_style();
        }
        Kind::Table => {
            renderer.open_table();
            inner(renderer)?;
            renderer.close_table();
        }
        Kind::Row => {
            renderer.close_row();
            inner(renderer)?;
            renderer.close_row();
        }
        Kind::Cell => {
            renderer.open_cell();
            inner(renderer)?;
            renderer.close_cell();
        }
        Kind::Rule => renderer.rule(),
        Kind::Break => renderer.leaf.line_break(),
        Kind::Link(url) => {
            renderer.leaf.open_link(url);
            inner(renderer)?;
            renderer.leaf.close_link();
        }
        Kind::Text(text) => inline(renderer, text),
        Kind::Media(said) => {
            if let Some(said) = said.filter(|said| !said.trim().is_empty()) {
                renderer.boundary();
                renderer.leaf.text(said);
                renderer.boundary();
            }
            inner(renderer)?;
        }
    }
    Ok(())
}

pub(super) fn inline(renderer: &mut Renderer, text: &Text<'_>) {
    let leaf = &mut renderer.leaf;
    if let Some(url) = text.link {
        leaf.open_link(url);
    }
    if text.struck {
        leaf.open_struck();
    }
    if text.raised {
        leaf.raise();
    }
    leaf.lines(text.text);
    if text.struck {
        leaf.close_struck();
    }
    if text.link.is_some() {
        leaf.close_link();
    }
}

pub(super) fn mark(checked: bool) -> &'static str {
    if checked { "[x]" } else { "[ ]" }
}

/// Deepest level of loose items that is kept.
const LEVELS_MAX: usize = 16;

/// Lists that are made of items without one.
#[derive(Default)]
struct LooseLists {
    /// Whether the list of each level is numbered.
    open: Vec<bool>,
}

impl LooseLists {
    fn item(&mut self, renderer: &mut Renderer, numbered: bool, level: usize, checked: Option<bool>) {
        let level = level.clamp(1, LEVELS_MAX);
        while self.open.len() > level || (self.open.len() == level && self.open.last() != Some(&numbered)) {
            self.open.pop();
            renderer.close_list();
        }
        while self.open.len() < level {
            self.open.push(numbered);
            renderer.open_list(numbered.then_some(1));
        }
        renderer.open_item(checked.map(mark));
    }

    fn end(&mut self, renderer: &mut Renderer) {
        for _ in self.open.drain(..) {
            renderer.close_list();
        }
    }
}
