//! Reads Rust as far as imports need it: tokens without comments and literals, modules, `use` declarations, paths.

use std::collections::HashMap;

const TESTS_ONLY: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];

/// A path of names from the root of the crate.
pub type Path = Vec<String>;

/// One file of `src/`.
pub struct Module {
    /// As `["http", "server"]` for `http/server.rs`, `["http"]` for `http/mod.rs`.
    pub path: Path,
    /// The paths into the crate that it names.
    pub names: Vec<Name>,
    /// What its `use` declarations call the items that they bring in.
    bound: HashMap<String, Path>,
    pub tokens: Vec<String>,
}

/// A path that a file names.
pub struct Name {
    pub path: Path,
    /// It stands in the tests beside the code.
    pub in_tests: bool,
}

/// The files of a crate, by their module paths.
pub struct Crate {
    pub modules: Vec<Module>,
    at: HashMap<Path, usize>,
}

/// What is read at one place of a file: the module that it stands in, and the braces that were open there.
struct Inline {
    path: Path,
    is_tests: bool,
    depth: usize,
}

/// A path of a `use` declaration, and the name that it gets.
struct Leaf {
    path: Vec<String>,
    name: String,
}

impl Crate {
    /// From the files below `src/`, each as its path there and its text.
    pub fn read(files: &[(String, String)]) -> Self {
        let paths: Vec<Path> = files.iter().map(|(file, _)| module_path(file)).collect();
        let is_module = |path: &[String]| paths.iter().any(|known| known == path);
        let modules: Vec<Module> =
            files.iter().zip(&paths).map(|((_, text), path)| Module::read(path, text, &is_module)).collect();
        let at = modules.iter().enumerate().map(|(n, module)| (module.path.clone(), n)).collect();
        Self { modules, at }
    }

    /// The module of the file that defines what a path names, whatever re-exports it goes through.
    pub fn definition<'a>(&'a self, path: &[String]) -> Option<&'a Module> {
        let (mut module, mut rest) = (self.get(&[])?, path.to_vec());
        // A chain of re-exports is shorter than this; one that goes round has no definition.
        for _ in 0..64 {
            let Some(name) = rest.first() else { return Some(module) };
            let mut below = module.path.clone();
            below.push(name.clone());
            if let Some(inner) = self.get(&below) {
                module = inner;
                rest.remove(0);
            } else if let Some(target) = module.bound.get(name) {
                let mut full = target.clone();
                full.extend(rest.drain(1..));
                (module, rest) = (self.get(&[])?, full);
            } else {
                return Some(module);
            }
        }
        None
    }

    fn get(&self, path: &[String]) -> Option<&Module> {
        self.at.get(path).map(|at| &self.modules[*at])
    }
}

impl Module {
    fn read(path: &[String], text: &str, is_module: &impl Fn(&[String]) -> bool) -> Self {
        let mut module = Self { path: path.to_vec(), names: Vec::new(), bound: HashMap::new(), tokens: tokens(text) };
        let tokens = module.tokens.clone();
        let mut inline = vec![Inline { path: path.to_vec(), is_tests: false, depth: 0 }];
        let (mut depth, mut at) = (0, 0);
        while at < tokens.len() {
            let here = inline.last().map(|inline| inline.path.clone()).unwrap_or_default();
            let in_tests = inline.iter().any(|inline| inline.is_tests);
            let before = at.checked_sub(1).map_or("", |before| &tokens[before]);
            match tokens[at].as_str() {
                "{" => depth += 1,
                "}" => {
                    depth -= 1;
                    if inline.len() > 1 && inline.last().is_some_and(|inline| inline.depth == depth) {
                        inline.pop();
                    }
                }
                "mod" if tokens.get(at + 2).is_some_and(|next| next == "{") => {
                    let mut path = here;
                    path.push(tokens[at + 1].clone());
                    let is_tests = tokens[..at].ends_with(&TESTS_ONLY.map(str::to_owned));
                    inline.push(Inline { path, is_tests, depth });
                    at += 1;
                }
                // `use<'a>` is no declaration.
                "use" if tokens.get(at + 1).is_some_and(|next| next != "<") => {
                    let mut leaves = Vec::new();
                    at = tree(&tokens, at + 1, &[], &mut leaves);
                    for leaf in leaves {
                        let Some(path) = absolute(&here, &leaf.path, is_module) else { continue };
                        if inline.len() == 1 {
                            module.bound.insert(leaf.name, path.clone());
                        }
                        module.names.push(Name { path, in_tests });
                    }
                    continue;
                }
                word if is_word(word) && before != "::" && tokens.get(at + 1).is_some_and(|next| next == "::") => {
                    let mut path = vec![word.to_owned()];
                    while tokens.get(at + 1).is_some_and(|next| next == "::")
                        && let Some(next) = tokens.get(at + 2).filter(|next| is_word(next))
                    {
                        path.push(next.clone());
                        at += 2;
                    }
                    let name = absolute(&here, &path, is_module);
                    module.names.extend(name.map(|path| Name { path, in_tests }));
                }
                _ => {}
            }
            at += 1;
        }
        module
    }

    /// The room: the first name of its path.
    pub fn room(&self) -> &str {
        self.path.first().map_or("", String::as_str)
    }
}

/// `http/server.rs` and `http/server/mod.rs` are both `http::server`; `lib.rs` is the root.
fn module_path(file: &str) -> Path {
    let file = file.trim_end_matches(".rs");
    let file = file.strip_suffix("/mod").unwrap_or(file);
    if file == "lib" { Vec::new() } else { file.split('/').map(str::to_owned).collect() }
}

/// A path as named in `here`, from the root of the crate. None: it is another crate's, or a name of the file's own.
fn absolute(here: &[String], path: &[String], is_module: &impl Fn(&[String]) -> bool) -> Option<Path> {
    let mut base = here.to_vec();
    let mut rest = path;
    match path.first()?.as_str() {
        "crate" => base.clear(),
        "self" => {}
        "super" => {
            while rest.first().is_some_and(|first| first == "super") {
                base.pop()?;
                rest = &rest[1..];
            }
            return Some([&base, rest].concat());
        }
        first => {
            base.push(first.to_owned());
            return is_module(&base).then(|| [here, path].concat());
        }
    }
    Some([&base, &rest[1..]].concat())
}

/// Reads the tree of a `use` declaration from `at` on; returns where it ends.
fn tree(tokens: &[String], mut at: usize, prefix: &[String], leaves: &mut Vec<Leaf>) -> usize {
    let mut path = prefix.to_vec();
    while at < tokens.len() {
        match tokens[at].as_str() {
            "::" => {}
            "{" => {
                at += 1;
                while at < tokens.len() && tokens[at] != "}" && tokens[at] != ";" {
                    at = tree(tokens, at, &path, leaves);
                    if tokens.get(at).is_some_and(|next| next == ",") {
                        at += 1;
                    }
                }
                return at + 1;
            }
            ";" | "," | "}" => break,
            "*" => {}
            "as" => {
                at += 1;
                let name = tokens.get(at).cloned().unwrap_or_default();
                leaves.push(Leaf { path, name });
                return at + 1;
            }
            word => path.push(word.to_owned()),
        }
        at += 1;
    }
    if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
        path.pop();
    }
    if !path.is_empty() {
        leaves.push(Leaf { name: path.last().cloned().unwrap_or_default(), path });
    }
    at
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Words, `::` and single signs; comments and literals are left out.
pub fn tokens(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let (mut tokens, mut at) = (Vec::new(), 0);
    let is = |at: usize, c: char| chars.get(at) == Some(&c);
    while at < chars.len() {
        let c = chars[at];
        if c == '/' && is(at + 1, '/') {
            at = end(&chars, at, |at| chars[at] == '\n');
        } else if c == '/' && is(at + 1, '*') {
            let mut open = 1;
            at += 2;
            while at < chars.len() && open > 0 {
                let (step, change) = match (chars[at], chars.get(at + 1)) {
                    ('/', Some('*')) => (2, 1),
                    ('*', Some('/')) => (2, -1),
                    _ => (1, 0),
                };
                (at, open) = (at + step, open + change);
            }
        } else if c == '"' {
            at = after_string(&chars, at);
        } else if c == '\'' {
            // A character, or a lifetime, which has no second quote.
            if is(at + 1, '\\') {
                at = end(&chars, at + 3, |at| chars[at] == '\'') + 1;
            } else {
                at += if is(at + 2, '\'') { 3 } else { 1 };
            }
        } else if c.is_alphanumeric() || c == '_' {
            let to = end(&chars, at, |at| !(chars[at].is_alphanumeric() || chars[at] == '_'));
            let word: String = chars[at..to].iter().collect();
            let raw = ["r", "br", "cr"].contains(&word.as_str());
            let hashes = end(&chars, to, |at| chars[at] != '#') - to;
            at = if raw && is(to + hashes, '"') {
                let close: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
                end(&chars, to + hashes + 1, |at| chars[at..].starts_with(&close)) + close.len()
            } else {
                tokens.push(word);
                to
            };
        } else if c == ':' && is(at + 1, ':') {
            tokens.push("::".to_owned());
            at += 2;
        } else {
            if !c.is_whitespace() {
                tokens.push(c.to_string());
            }
            at += 1;
        }
    }
    tokens
}

/// The first place from `at` on that fits, or the end.
fn end(chars: &[char], at: usize, fits: impl Fn(usize) -> bool) -> usize {
    (at..chars.len()).find(|at| fits(*at)).unwrap_or(chars.len())
}

fn after_string(chars: &[char], quote: usize) -> usize {
    let mut at = quote + 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}
