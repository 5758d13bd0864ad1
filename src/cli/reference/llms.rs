//! `llms.txt` (<https://llmstxt.org>): every page of the book with one line about it, for agents that look things up.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::Context;

/// The list, from the book's table of contents; none where there is no book. `generated` has pages that may not be written
/// yet.
pub(super) fn page(docs: &Path, generated: &BTreeMap<String, String>) -> anyhow::Result<Option<String>> {
    let contents = docs.join("SUMMARY.md");
    if !contents.exists() {
        return Ok(None);
    }
    let read = |path: &Path| {
        fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display())).map(|text| text + "\n")
    };
    let mut list = String::new();
    for line in read(&contents)?.lines() {
        if let Some(part) = line.strip_prefix("# ").filter(|part| *part != "Summary") {
            list.push_str(&format!("\n## {part}\n\n"));
        } else if line.starts_with("---") {
            // By the convention, what can be left out.
            list.push_str("\n## Optional\n\n");
        } else if let Some((title, page)) = link(line) {
            let text = match generated.get(page) {
                Some(text) => text.clone(),
                None => read(&docs.join(page))?,
            };
            match list.is_empty() {
                true => list = format!("# {title}\n\n> {}\n", summary(&text)),
                false => list.push_str(&format!("- [{title}]({page}): {}\n", summary(&text))),
            }
        }
    }
    Ok(Some(list))
}

/// `[title](page)`, in a list or not.
fn link(line: &str) -> Option<(&str, &str)> {
    let line = line.trim().trim_start_matches("- ").strip_prefix('[')?;
    let (title, rest) = line.split_once("](")?;
    Some((title, rest.strip_suffix(')')?))
}

/// The first sentence of a page; where it begins with something else than prose, what its sections are about.
fn summary(page: &str) -> String {
    let mut blocks = page.split("\n\n").map(str::trim).filter(|block| !block.is_empty());
    let prose = |block: &&str| !block.starts_with(['#', '|', '<', '-']) && !block.starts_with("```");
    let first = blocks.by_ref().take_while(|block| !block.starts_with("## ")).find(prose);
    match first {
        Some(block) => sentence(&without_links(block)),
        None => {
            let sections: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
            if sections.is_empty() { "a table.".to_owned() } else { format!("{}.", sections.join(", ")) }
        }
    }
}

fn sentence(block: &str) -> String {
    let text = block.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.split_once(". ") {
        Some((first, _)) => format!("{first}."),
        None => text.trim_end_matches(':').to_owned(),
    }
}

/// `[title](page)` as its title.
fn without_links(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        plain.push_str(before);
        let link =
            after.split_once(']').and_then(|(title, after)| Some((title, after.strip_prefix('(')?.split_once(')')?)));
        match link {
            Some((title, (_, after))) => {
                plain.push_str(title);
                rest = after;
            }
            None => {
                plain.push('[');
                rest = after;
            }
        }
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_told_by_its_first_sentence() {
        let page = "# T\n\n<!-- c -->\n\nRead [this\npage](a.md#b) now. Then more.\n\n## S\n";
        assert_eq!(summary(page), "Read this page now.");
        assert_eq!(summary("# T\n\n| a |\n|---|\n\n## One\n\nText.\n\n## Two\n"), "One, Two.");
        assert_eq!(link("- [A b](x/y.md)"), Some(("A b", "x/y.md")));
        assert_eq!(without_links("a [b] [c](d) e"), "a [b] c e");
    }
}
