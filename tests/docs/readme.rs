//! The README: short, and its figures are those of the reference.

use crate::console::page;

/// More is not read.
const LONGEST: usize = 150;

#[test]
fn readme_is_short() {
    let lines = page("README.md").lines().count();
    assert!(lines <= LONGEST, "README.md has {lines} lines, more than {LONGEST}");
}

#[test]
fn readme_costs_are_those_of_the_reference() {
    let reference = page("docs/reference/costs.md");
    let readme = page("README.md");
    let costs = |line: &&str| line.starts_with("| changed") || line.starts_with("| quiet");
    let rows: Vec<&str> = readme.lines().filter(costs).collect();
    assert_eq!(rows.len(), 6, "quiet and changed hooks with 1, 10 and 100 models");
    for row in rows {
        assert!(
            reference.lines().any(|line| line.starts_with(row)),
            "docs/reference/costs.md has other figures: {row}"
        );
    }
}
