//! Links, and the index.

use std::fs;
use std::path::Path;

use crate::console::{ROOT, page, pages};

/// The targets of a page's links, outside code.
fn links(markdown: &str) -> Vec<String> {
    let mut fenced = false;
    let mut links = Vec::new();
    for line in markdown.lines() {
        fenced ^= line.trim_start().starts_with("```");
        if fenced {
            continue;
        }
        // Every other piece is code.
        for text in line.split('`').step_by(2) {
            let mut rest = text;
            while let Some((_, after)) = rest.split_once("](") {
                let (link, after) = after.split_once(')').unwrap_or((after, ""));
                links.push(link.to_owned());
                rest = after;
            }
        }
    }
    links
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(markdown: &str) -> Vec<String> {
    let headings = markdown.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|heading| {
            let text = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = text.chars().filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '-');
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

#[test]
fn every_relative_link_has_a_target() {
    let mut all = pages();
    all.push("README.md".to_owned());
    let mut broken = Vec::new();
    for path in &all {
        for link in links(&page(path)) {
            if link.contains("://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let folder = Path::new(path).parent().unwrap();
            let target = if file.is_empty() {
                Path::new(path).to_owned()
            } else {
                folder.join(file)
            };
            let there = Path::new(ROOT).join(&target);
            let leads = match anchor {
                _ if !there.exists() => false,
                "" => true,
                anchor => anchors(&fs::read_to_string(&there).unwrap())
                    .iter()
                    .any(|found| found == anchor),
            };
            if !leads {
                broken.push(format!("{path}: {link}"));
            }
        }
    }
    assert!(broken.is_empty(), "these links lead nowhere: {broken:#?}");
}

#[test]
fn index_lists_every_page() {
    let named = links(&page("docs/README.md"));
    for path in pages() {
        let name = path.strip_prefix("docs/").unwrap_or("../CONTRIBUTING.md");
        assert!(
            name == "README.md" || named.iter().any(|link| link == name),
            "docs/README.md does not name {path}"
        );
    }
}

#[test]
fn every_named_path_exists() {
    let mut missing = Vec::new();
    for path in ["README.md".to_owned()].into_iter().chain(pages()) {
        let text = page(&path);
        let code = text.split('`').skip(1).step_by(2);
        let folders = ["src/", "tests/", "crates/", "fuzz/", "examples/", "packaging/", "docs/"];
        for named in code.filter(|code| folders.iter().any(|folder| code.starts_with(folder))) {
            let is_path = !named.contains([' ', '<', '*', '\n']);
            if is_path && !Path::new(ROOT).join(named).exists() {
                missing.push(format!("{path}: {named}"));
            }
        }
    }
    assert!(missing.is_empty(), "these do not exist: {missing:#?}");
}

#[test]
fn links_are_found_outside_code() {
    let page =
        "See [a](a.md), [`b`](b.md#c) and `[not](this.md)`.\n\n```sh\n[nor](that.md)\n```\n## What it *taught*\n";
    assert_eq!(links(page), ["a.md", "b.md#c"]);
    assert_eq!(anchors(page), ["what-it-taught"]);
}
