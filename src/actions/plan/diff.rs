//! The unified diff of two texts.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use similar::udiff::UnifiedHunkHeader;
use similar::{Algorithm, capture_diff_slices_deadline, group_diff_ops};

/// Lines of context around a change.
const CONTEXT: usize = 3;
/// After this, what has not been compared yet is shown as removed and added whole. Objects take less than a millisecond.
const LIMIT: Duration = Duration::from_millis(100);

/// In the format of `diff -u`; empty if the texts are equal. `TextDiff` would write the same, and makes the charm's program 270 KB
/// larger.
pub fn unified(from: &str, to: &str, old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let operations = capture_diff_slices_deadline(Algorithm::Myers, &old, &new, Some(Instant::now() + LIMIT));
    let mut text = String::new();
    for hunk in group_diff_ops(operations, CONTEXT) {
        if text.is_empty() {
            let _ = writeln!(text, "--- {from}\n+++ {to}");
        }
        let _ = writeln!(text, "{}", UnifiedHunkHeader::new(&hunk));
        for change in hunk.iter().flat_map(|operation| operation.iter_changes(&old, &new)) {
            let _ = writeln!(text, "{}{}", change.tag(), change.value());
        }
    }
    text
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
