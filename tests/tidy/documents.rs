//! The paths that documents name in backticks or link to.

/// Paths of the recipes in CONTRIBUTING.md, which a reader makes, and one with names to fill in.
const MADE_UP: [&str; 4] = ["get_article", "parcelwise", "tests/it/tools/articles.rs", "FOLDER/"];

/// What a file or a folder is called: a link's target, or words in backticks that look like a path.
pub fn paths(markdown: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (n, text) in markdown.split("```").enumerate() {
        // Every second piece is a block of code.
        if n % 2 == 1 {
            continue;
        }
        for (n, words) in text.split('`').enumerate() {
            if n % 2 == 1 {
                // `tests/it/x.rs: the_name_of_a_test`
                found.push(words.split_once(": ").map_or(words, |(path, _)| path).to_owned());
            } else {
                found.extend(
                    words
                        .split("](")
                        .skip(1)
                        .filter_map(|rest| rest.split([')', '#']).next())
                        .filter(|target| !target.is_empty() && !target.contains("://"))
                        .map(str::to_owned),
                );
            }
        }
    }
    found.retain(|path| looks_like_a_path(path) && !MADE_UP.iter().any(|made_up| path.contains(made_up)));
    found
}

fn looks_like_a_path(path: &str) -> bool {
    let plain = path.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
    let name = path.rsplit('/').next().unwrap_or_default();
    let source = name.ends_with(".rs") && !name.starts_with('.');
    let file = name.rsplit_once('.').is_some_and(|(stem, extension)| !stem.is_empty() && !extension.is_empty());
    let outside = ["tests/", "docs/", "deploy/", "schemas/", "benches/", ".ci/", "release/", "src/"];
    // Names of MCP methods (`tools/call`), addresses (`/health`) and media types have neither an end nor such a beginning.
    plain
        && !path.starts_with('/')
        && !path.starts_with("target/")
        && (source
            || path.contains('/') && (file || name.is_empty() || outside.iter().any(|top| path.starts_with(top))))
}

/// Whether it is there, by the names of all files from the root: there, below `src/`, or, without a folder, anywhere.
pub fn exists(path: &str, files: &[String]) -> bool {
    let path = path.trim_end_matches('/');
    let at = |root: &str| {
        files.iter().any(|file| {
            file.strip_prefix(root)
                .and_then(|file| file.strip_prefix(path))
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    };
    at("") || at("src/") || (!path.contains('/') && files.iter().any(|file| file.ends_with(&format!("/{path}"))))
}
