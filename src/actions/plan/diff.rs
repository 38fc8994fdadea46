//! The unified diff of two texts.

use std::fmt::Write as _;

/// Lines of context around a change.
const CONTEXT: usize = 3;
/// Most comparisons of lines: a million take a few milliseconds and megabytes. Longer texts are shown as removed and added whole.
const MOST_COMPARISONS: usize = 1_000_000;

/// A line of both texts, or of one of them.
#[derive(Clone, Copy)]
struct DiffLine<'a> {
    mark: char,
    text: &'a str,
}

/// In the format of `diff -u`; empty if the texts are equal.
pub fn unified(from: &str, to: &str, old: &str, new: &str) -> String {
    let lines = lines(old, new);
    let changes: Vec<usize> = (0..lines.len())
        .filter(|index| lines.get(*index).is_some_and(|line| line.mark != ' '))
        .collect();
    let mut text = String::new();
    let mut rest = changes.as_slice();
    while let Some(first) = rest.first() {
        // Changes with less than twice the context between them share a hunk.
        let count = rest
            .windows(2)
            .take_while(|pair| matches!(pair, [change, next] if next - change <= 2 * CONTEXT + 1))
            .count()
            + 1;
        let last = rest.get(count - 1).unwrap_or(first);
        let (start, end) = (first.saturating_sub(CONTEXT), (last + CONTEXT + 1).min(lines.len()));
        if text.is_empty() {
            let _ = writeln!(text, "--- {from}\n+++ {to}");
        }
        write_hunk(&mut text, &lines, start, end);
        rest = rest.get(count..).unwrap_or_default();
    }
    text
}

fn write_hunk(text: &mut String, lines: &[DiffLine], start: usize, end: usize) {
    let count = |lines: &[DiffLine], without: char| lines.iter().filter(|line| line.mark != without).count();
    let (before, shown) = (
        lines.get(..start).unwrap_or_default(),
        lines.get(start..end).unwrap_or_default(),
    );
    let range = |without: char| {
        let (before, length) = (count(before, without), count(shown, without));
        // Without lines the range is the line before.
        let first = if length == 0 { before } else { before + 1 };
        if length == 1 {
            first.to_string()
        } else {
            format!("{first},{length}")
        }
    };
    let _ = writeln!(text, "@@ -{} +{} @@", range('+'), range('-'));
    for line in shown {
        let _ = writeln!(text, "{}{}", line.mark, line.text);
    }
}

fn lines<'a>(old: &'a str, new: &'a str) -> Vec<DiffLine<'a>> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let mut both = old.iter().zip(&new);
    let head = both.by_ref().take_while(|(old, new)| old == new).count();
    let (old_rest, new_rest) = (old.get(head..).unwrap_or_default(), new.get(head..).unwrap_or_default());
    let backwards = old_rest.iter().rev().zip(new_rest.iter().rev());
    let tail = backwards.take_while(|(old, new)| old == new).count();
    let middle = |lines: &[&'a str]| lines.get(..lines.len() - tail).unwrap_or_default().to_vec();
    let same = |lines: &[&'a str]| {
        lines
            .iter()
            .map(|text| DiffLine { mark: ' ', text })
            .collect::<Vec<_>>()
    };
    let mut all = same(old.get(..head).unwrap_or_default());
    all.extend(changed(&middle(old_rest), &middle(new_rest)));
    all.extend(same(old.get(old.len() - tail..).unwrap_or_default()));
    all
}

/// Uses the longest common subsequence.
fn changed<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<DiffLine<'a>> {
    let width = new.len() + 1;
    let small = old.len().saturating_mul(new.len()) <= MOST_COMPARISONS;
    let mut common = vec![0_u32; if small { (old.len() + 1) * width } else { 0 }];
    // The number of common lines in the rests of both.
    let get = |common: &[u32], row: usize, column: usize| common.get(row * width + column).copied().unwrap_or_default();
    if small {
        for (row, old_line) in old.iter().enumerate().rev() {
            for (column, new_line) in new.iter().enumerate().rev() {
                let best = if old_line == new_line {
                    get(&common, row + 1, column + 1) + 1
                } else {
                    get(&common, row + 1, column).max(get(&common, row, column + 1))
                };
                if let Some(cell) = common.get_mut(row * width + column) {
                    *cell = best;
                }
            }
        }
    }
    let (mut row, mut column) = (0, 0);
    let mut lines = Vec::with_capacity(old.len() + new.len());
    loop {
        match (old.get(row), new.get(column)) {
            (Some(old_line), Some(new_line)) if small && old_line == new_line => {
                lines.push(DiffLine {
                    mark: ' ',
                    text: old_line,
                });
                (row, column) = (row + 1, column + 1);
            }
            (Some(old_line), new_line)
                if new_line.is_none() || get(&common, row + 1, column) >= get(&common, row, column + 1) =>
            {
                lines.push(DiffLine {
                    mark: '-',
                    text: old_line,
                });
                row += 1;
            }
            (_, Some(new_line)) => {
                lines.push(DiffLine {
                    mark: '+',
                    text: new_line,
                });
                column += 1;
            }
            _ => return lines,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use proptest::prelude::*;

    fn diff(old: &str, new: &str) -> String {
        unified("a", "b", old, new)
    }

    #[test]
    fn diff_shows_changes_with_context() {
        let before = "a\nb\nc\nd\ne\nf\ng\nh\ni\n";
        assert_eq!(diff(before, before), "");
        assert_eq!(
            diff(before, &before.replace('e', "E")),
            "--- a\n+++ b\n@@ -2,7 +2,7 @@\n b\n c\n d\n-e\n+E\n f\n g\n h\n"
        );
        assert_eq!(diff("", "x\n"), "--- a\n+++ b\n@@ -0,0 +1 @@\n+x\n");
        assert_eq!(diff("x\n", ""), "--- a\n+++ b\n@@ -1 +0,0 @@\n-x\n");
    }

    #[test]
    fn distant_changes_become_two_hunks() {
        let before = (0..30).fold(String::new(), |text, n| text + &format!("{n}\n"));
        let after = before.replace("\n3\n", "\nthree\n").replace("\n20\n", "\ntwenty\n");
        let shown = diff(&before, &after);
        assert_eq!(shown.matches("@@ ").count(), 2, "{shown}");
        assert!(shown.contains("@@ -18,7 +18,7 @@"), "{shown}");
    }

    #[test]
    fn overlong_texts_are_replaced_whole() {
        let text = |word: &str| (0..2000).fold(String::new(), |text, n| text + &format!("{word}{n}\n"));
        let shown = diff(&format!("same\n{}", text("a")), &format!("same\n{}", text("b")));
        assert_eq!(shown.lines().filter(|line| line.starts_with("-a")).count(), 2000);
        assert_eq!(shown.lines().filter(|line| line.starts_with("+b")).count(), 2000);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// As patch(1) reads it.
        #[test]
        fn applying_the_diff_gives_the_new_text(old in "([a-c]\n){0,30}", new in "([a-c]\n){0,30}") {
            prop_assume!(old != new && Command::new("patch").arg("--version").output().is_ok());
            let folder = std::env::temp_dir().join(format!("seldon-model-diff-{}", std::process::id()));
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("a"), &old).unwrap();
            let mut patch = Command::new("patch")
                .args(["--quiet", "--force", "--output=-", "a"])
                .current_dir(&folder)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            patch.stdin.take().unwrap().write_all(diff(&old, &new).as_bytes()).unwrap();
            let output = patch.wait_with_output().unwrap();
            std::fs::remove_dir_all(&folder).unwrap();
            prop_assert_eq!(String::from_utf8_lossy(&output.stdout), new);
        }
    }
}
